use serde_json::json;

use super::*;
use crate::image::{Document, Manifest};

struct Bench {
    _directory: tempfile::TempDir,
    store: ImageStore,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = ImageStore::open(&directory.path().join("images")).expect("a store");
        Self { _directory: directory, store }
    }

    /// An image of one layer that Docker might have made.
    fn image(&self, kinds: [&str; 2], config: &serde_json::Value) -> Document {
        let lease = self.store.lease().expect("a lease");
        let config = self.store.put(&lease, kinds[0], config.to_string().as_bytes()).expect("stored");
        let layer = self.store.put(&lease, kinds[1], b"layer").expect("stored");
        let document = Document::from_manifest(Manifest::new(config, vec![layer], BTreeMap::new()));
        self.store.put(&lease, media_type::IMAGE_MANIFEST, &document.bytes).expect("stored");
        document
    }

    fn read(&self, document: &Document, platform: &str) -> Result<Base, BaseError> {
        let platform = platform.parse().expect("a platform");
        Base::read(&self.store, ("base", None), &document.descriptor, &platform)
    }
}

const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

fn docker_config() -> serde_json::Value {
    json!({
        "architecture": "arm", "variant": "v7", "os": "linux", "os.features": ["x"], "docker_version": "24",
        "config": {
            "User": "app", "Env": ["PATH=/bin", "A=1"], "Entrypoint": ["/entry"], "Cmd": ["serve"],
            "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/data": {}}, "WorkingDir": "/srv", "Labels": {"a": "1", "b": "1"},
            "StopSignal": "SIGINT", "Healthcheck": {"Test": ["CMD", "x"], "Interval": 5_000_000_000_i64},
            "OnBuild": ["RUN a", "RUN b"], "Shell": ["/bin/ash", "-c"],
        },
        "rootfs": {"type": "layers", "diff_ids": [Digest::of(b"tar")]},
        "history": [{"created_by": "ENV A=1", "empty_layer": true}],
    })
}

fn own(config: ContainerConfig) -> ImageConfig {
    ImageConfig {
        created: Some("1980-01-01T00:00:01Z".into()),
        author: None,
        architecture: "amd64".into(),
        variant: None,
        os: "linux".into(),
        config,
        rootfs: crate::image::RootFs { kind: "layers".into(), diff_ids: vec![Digest::of(b"own")] },
        history: vec![History { created_by: Some("own".into()), ..History::default() }],
        extra: BTreeMap::new(),
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn what_nothing_is_said_of_is_the_bases() {
    let bench = Bench::new();
    let image = bench.image([media_type::DOCKER_CONFIG, DOCKER_LAYER], &docker_config());
    let base = bench.read(&image, "linux/arm").expect("an image");
    assert_eq!(base.layers[0].media_type, media_type::IMAGE_LAYER_GZIP);
    assert_eq!((base.size(), base.triggers()), (5, 2));
    let config = base.under(own(ContainerConfig::default()), Resets::default());
    let mut expected = docker_config();
    expected["created"] = json!("1980-01-01T00:00:01Z");
    expected["rootfs"]["diff_ids"] = json!([Digest::of(b"tar"), Digest::of(b"own")]);
    expected["history"] = json!([
        {"created_by": "ENV A=1", "empty_layer": true},
        {"comment": "layer of the base image"},
        {"created_by": "own"},
    ]);
    let found: serde_json::Value = serde_json::from_slice(&config.to_bytes()).expect("JSON");
    assert_eq!(found, expected);
}

#[test]
fn what_is_said_goes_over_the_base() {
    let bench = Bench::new();
    let image = bench.image([media_type::IMAGE_CONFIG, media_type::IMAGE_LAYER], &docker_config());
    let base = bench.read(&image, "linux/arm/v7").expect("an image");
    let said = ContainerConfig {
        user: Some("1000".into()),
        exposed_ports: ["90/udp".to_owned()].into(),
        env: texts(&["B=2", "A=3"]),
        cmd: texts(&["other"]),
        healthcheck: Some(crate::image::HealthCheck { test: texts(&["NONE"]), ..Default::default() }),
        volumes: ["/more".to_owned()].into(),
        working_dir: Some("/".into()),
        labels: [("b".to_owned(), "2".to_owned())].into(),
        stop_signal: Some("SIGTERM".into()),
        ..ContainerConfig::default()
    };
    let config = base.under(own(said.clone()), Resets::default()).config;
    assert_eq!(config.env, ["PATH=/bin", "A=3", "B=2"]);
    // An entry that occurs twice is replaced once; other duplicates stay.
    let twice = texts(&["A=1", "X=1", "B=1", "A=2", "X=2", "A=3"]);
    let base_twice = ContainerConfig { env: twice, ..ContainerConfig::default() };
    let said_twice = ContainerConfig { env: texts(&["A=9", "C=1"]), ..ContainerConfig::default() };
    assert_eq!(super::inherited(base_twice, said_twice).env, ["A=9", "X=1", "B=1", "X=2", "C=1"]);
    assert_eq!((&config.entrypoint, &config.cmd), (&texts(&["/entry"]), &texts(&["other"])));
    assert_eq!((config.exposed_ports.len(), config.volumes.len(), config.labels.len()), (2, 2, 2));
    assert_eq!(config.labels["b"], "2");
    assert_eq!((config.user, config.working_dir, config.stop_signal), (said.user, said.working_dir, said.stop_signal));
    assert_eq!(config.healthcheck, said.healthcheck);
    // The base's arguments are not those of another entrypoint.
    let said = ContainerConfig { entrypoint: texts(&["/mine"]), ..ContainerConfig::default() };
    let config = base.under(own(said), Resets::default()).config;
    assert_eq!((config.entrypoint, config.cmd), (texts(&["/mine"]), Vec::new()));
}

#[test]
fn a_new_check_keeps_what_it_does_not_say() {
    let check = |value: serde_json::Value| serde_json::from_value::<HealthCheck>(value).expect("a check");
    let base = check(json!({"Test": ["CMD", "x"], "Interval": 5, "Retries": 7}));
    let on = |own: serde_json::Value| {
        let own = ContainerConfig { healthcheck: Some(check(own)), ..ContainerConfig::default() };
        let base = ContainerConfig { healthcheck: Some(base.clone()), ..ContainerConfig::default() };
        inherited(base, own).healthcheck.expect("a check")
    };
    let new = on(json!({"Test": ["CMD-SHELL", "echo hi"], "Interval": 0, "Timeout": 3}));
    assert_eq!(new, check(json!({"Test": ["CMD-SHELL", "echo hi"], "Interval": 5, "Retries": 7, "Timeout": 3})));
    assert_eq!(on(json!({"Retries": 1})), check(json!({"Test": ["CMD", "x"], "Interval": 5, "Retries": 1})));
    assert_eq!(on(json!({"Test": ["NONE"]})), check(json!({"Test": ["NONE"]})));
}

#[test]
fn a_reset_leaves_nothing_of_the_bases_command() {
    let bench = Bench::new();
    let image = bench.image([media_type::IMAGE_CONFIG, media_type::IMAGE_LAYER], &docker_config());
    let base = bench.read(&image, "linux/arm").expect("an image");
    let command = |said: ContainerConfig, resets: Resets| {
        let config = base.under(own(said), resets).config;
        (config.entrypoint, config.cmd)
    };
    let nothing = ContainerConfig::default;
    let entrypoint = Resets { entrypoint: true, cmd: false };
    assert_eq!(command(nothing(), entrypoint), (texts(&[]), texts(&[])));
    assert_eq!(command(nothing(), Resets { entrypoint: false, cmd: true }), (texts(&["/entry"]), texts(&[])));
    let said = ContainerConfig { cmd: texts(&["/bin/other"]), ..nothing() };
    assert_eq!(command(said, entrypoint), (texts(&[]), texts(&["/bin/other"])));
}

#[test]
fn annotations_that_are_given_stay() {
    let bench = Bench::new();
    let image = bench.image([media_type::IMAGE_CONFIG, media_type::IMAGE_LAYER], &docker_config());
    let base = Base { name: "r.io/a:1".parse().ok(), ..bench.read(&image, "linux/arm").expect("an image") };
    let own = base.annotate(BTreeMap::new());
    assert_eq!(own[annotation::BASE_NAME], "r.io/a:1");
    assert_eq!(own[annotation::BASE_DIGEST], image.digest().to_string());
    let given = base.annotate([(annotation::BASE_NAME.to_owned(), "mine".to_owned())].into());
    assert_eq!(given[annotation::BASE_NAME], "mine");
}

#[test]
fn what_cannot_be_built_on_says_why() {
    let bench = Bench::new();
    let image = bench.image([media_type::IMAGE_CONFIG, media_type::IMAGE_LAYER], &docker_config());
    let told = |result: Result<Base, BaseError>| result.expect_err("refused").to_string();
    assert_eq!(told(bench.read(&image, "linux/amd64")), "`base` has no image for linux/amd64 (it has linux/arm/v7)");
    // The configuration of an artifact may be anything.
    for config in [docker_config(), json!({})] {
        let chart = bench.image(["application/vnd.cncf.helm.config.v1+json", "application/x"], &config);
        let refused = bench.read(&chart, "linux/arm").expect_err("refused");
        assert!(matches!(refused, BaseError::NotAnImage { .. }), "{refused:?}");
    }
    let mut config = docker_config();
    config["rootfs"]["diff_ids"] = json!([]);
    let torn = bench.image([media_type::IMAGE_CONFIG, media_type::IMAGE_LAYER], &config);
    assert_eq!(
        told(bench.read(&torn, "linux/arm")),
        "`base` is damaged: its manifest lists 1 layer, its configuration 0"
    );
    std::fs::remove_file(bench.store.blob_path(Digest::of(b"layer"))).expect("removed");
    let refused = bench.read(&image, "linux/arm").expect_err("refused");
    assert!(matches!(refused, BaseError::Store(StoreError::MissingBlob(_))), "{refused:?}");
}

#[test]
fn dockers_layers_get_the_names_of_the_specification() {
    let name = |kind: &str| with_oci_name(Descriptor::new(kind, Digest::of(b""), 0)).media_type;
    assert_eq!(name(DOCKER_LAYER), media_type::IMAGE_LAYER_GZIP);
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    assert_eq!(name(foreign), "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip");
    for kind in ["application/vnd.oci.image.layer.v1.tar+gzip+encrypted", "application/x"] {
        assert_eq!(name(kind), kind);
    }
}

#[test]
fn a_base_whose_manifest_and_configuration_differ_is_refused() {
    let bench = Bench::new();
    for count in [0, 2] {
        let mut config = docker_config();
        config["rootfs"]["diff_ids"] = (0..count).map(|_| json!(Digest::of(b"tar"))).collect();
        let document = bench.image([media_type::DOCKER_CONFIG, DOCKER_LAYER], &config);
        let error = bench.read(&document, "linux/arm").expect_err("they differ");
        assert!(matches!(error, BaseError::LayerCount { layers: 1, diff_ids, .. } if diff_ids == count), "{error:?}");
    }
}

#[test]
fn the_last_of_several_variables_of_a_name_counts_where_the_first_is() {
    let env = |words: &[&str]| ContainerConfig { env: texts(words), ..ContainerConfig::default() };
    let merged = inherited(env(&["A=1", "B=1", "A=2"]), env(&["A=3", "C=1", "C=2", "D"]));
    assert_eq!(merged.env, ["A=3", "B=1", "C=2", "D"]);
}
