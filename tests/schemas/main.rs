//! What the store writes, against the image specification's JSON schemas. Each schema is also shown
//! to refuse something, so that a test that passes has looked.

use std::collections::{BTreeMap, BTreeSet};

use idpbuilder_oci::image::{
    ContainerConfig, Digest, Document, HealthCheck, History, ImageConfig, Manifest, Platform, Reference, RootFs,
    media_type,
};
use idpbuilder_oci::ops::build::{
    Base, BuildConfig, Compression, DEFAULT_TIMESTAMP, Layers, Owner, Resets, Sources, StoredLayers, build_index,
};
use idpbuilder_oci::progress::{Interrupt, Silent};
use idpbuilder_oci::store::ImageStore;

mod archives;

use testkit::schemas;

use schemas::{Kind, check_layout, violations};

/// A configuration with every field, and one with as few as there can be.
fn configurations(diff_id: Digest) -> [ImageConfig; 2] {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let rootfs = RootFs { kind: "layers".into(), diff_ids: vec![diff_id] };
    let least = ImageConfig {
        created: None,
        author: None,
        architecture: "amd64".into(),
        variant: None,
        os: "linux".into(),
        config: ContainerConfig::default(),
        rootfs,
        history: Vec::new(),
        extra: BTreeMap::new(),
    };
    let config = ContainerConfig {
        user: Some("1000:1000".into()),
        exposed_ports: BTreeSet::from(["80/tcp".to_owned()]),
        env: texts(&["PATH=/bin", "EMPTY="]),
        entrypoint: texts(&["/app"]),
        cmd: texts(&["--serve"]),
        healthcheck: Some(HealthCheck { test: texts(&["CMD", "/app", "--check"]), ..HealthCheck::default() }),
        volumes: BTreeSet::from(["/data".to_owned()]),
        working_dir: Some("/srv".into()),
        labels: BTreeMap::from([("org.opencontainers.image.title".to_owned(), "app".to_owned())]),
        stop_signal: Some("SIGTERM".into()),
        ..ContainerConfig::default()
    };
    let created = Some("1980-01-01T00:00:01Z".to_owned());
    let step = History {
        created: created.clone(),
        created_by: Some("build".into()),
        author: Some("somebody".into()),
        comment: Some("from a directory".into()),
        empty_layer: Some(false),
    };
    let most = ImageConfig {
        created,
        author: Some("somebody".into()),
        variant: Some("v8".into()),
        config,
        history: vec![step, History::default()],
        ..least.clone()
    };
    [most, least]
}

#[test]
#[ignore = "needs the image specification's schemas; bin/test installs them"]
fn a_store_with_images_is_valid_throughout() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = ImageStore::open(&dir.path().join("images")).expect("a store");
    assert_eq!(check_layout(store.root()), Ok(2), "an empty store");
    for (number, config) in configurations(Digest::of(b"tar")).into_iter().enumerate() {
        let lease = store.lease().expect("a lease");
        let layer = store.put(&lease, media_type::IMAGE_LAYER, format!("layer {number}").as_bytes()).expect("stored");
        let config = store.put(&lease, media_type::IMAGE_CONFIG, &config.to_bytes()).expect("stored");
        let annotations = BTreeMap::from([("org.example.note".to_owned(), "a note".to_owned())]);
        let document = Document::from_manifest(Manifest::new(config, vec![layer], annotations));
        store.put(&lease, media_type::IMAGE_MANIFEST, &document.bytes).expect("stored");
        let names = [format!("app:v{number}"), format!("r.example:5000/team/app:v{number}")]
            .map(|name| name.parse::<Reference>().expect("a reference"));
        store.publish(&lease, &document, &names, Some("2026-01-02T03:04:05Z")).expect("published");
    }
    // The layout file, the index, and of each image its manifest, configuration and layer.
    assert_eq!(check_layout(store.root()), Ok(2 + 2 * 3));
}

#[test]
#[ignore = "needs the image specification's schemas; bin/test installs them"]
fn images_on_bases_and_indexes_are_valid_too() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = ImageStore::open(&dir.path().join("images")).expect("a store");
    std::fs::create_dir(dir.path().join("app")).expect("made");
    let config = |name: &str, architecture: &str, base: Option<Base>| BuildConfig {
        packs_dockerfile: false,
        context: dir.path().join("app"),
        names: vec![name.parse().expect("a reference")],
        base,
        platform: Platform::new("linux", architecture, None),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        ignore_file: None,
        exclude: Vec::new(),
        private: Vec::new(),
        runtime: ContainerConfig::default(),
        sources: Sources::default(),
        resets: Resets::default(),
        copy_to: "/".into(),
        owner: Owner::default(),
        mode: None,
        timestamp: DEFAULT_TIMESTAMP,
        compression: Compression::default(),
        layers: Layers::Auto,
        cache: None,
        built_at: "2026-01-02T03:04:05Z".into(),
        conditions: None,
        stored: StoredLayers::default(),
    };
    let build = |configs: &[BuildConfig]| {
        build_index(configs, &store, &Silent, &Interrupt::default()).expect("built").document.descriptor
    };
    let bases = build(&[config("base:v1", "amd64", None), config("base:v1", "arm64", None)]);
    let on = |architecture: &str| {
        let platform = Platform::new("linux", architecture, None);
        let name = "r.example/team/base:v1".parse().ok();
        let base = Base::read(&store, ("base:v1", name), &bases, &platform).expect("an image");
        config("app:v1", architecture, Some(base))
    };
    let images = build(&[on("amd64"), on("arm64")]);
    assert_eq!(store.tree(&images).expect("whole").documents.len(), 3);
    // The layout file, the index, two indexes of two images each with a configuration, and the one layer of all.
    assert_eq!(check_layout(store.root()), Ok(2 + 2 + 4 * 2 + 1));
}

#[test]
#[ignore = "needs the image specification's schemas; bin/test installs them"]
fn damage_in_a_layout_is_seen() {
    let dir = tempfile::tempdir().expect("a directory");
    let missing = Digest::of(b"missing");
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{}","size":3,"digest":"{missing}"}}]}}"#,
        media_type::IMAGE_MANIFEST
    );
    std::fs::write(dir.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("written");
    std::fs::write(dir.path().join("index.json"), index).expect("written");
    let wrong = check_layout(dir.path()).expect_err("a blob is missing");
    assert!(matches!(&wrong[..], [line] if line.starts_with(&missing.to_string())), "{wrong:?}");

    let blobs = dir.path().join("blobs/sha256");
    std::fs::create_dir_all(&blobs).expect("made");
    std::fs::write(blobs.join(missing.hex()), "{}").expect("written");
    let wrong = check_layout(dir.path()).expect_err("the blob is another");
    assert!(wrong.iter().any(|line| line.contains("has 2 bytes, not 3")), "{wrong:?}");
    assert!(wrong.iter().any(|line| line.contains("hashes to")), "{wrong:?}");
    assert!(wrong.iter().any(|line| line.contains("schemaVersion")), "{wrong:?}");
}

#[test]
#[ignore = "needs the image specification's schemas; bin/test installs them"]
fn every_schema_refuses_something() {
    let digest = Digest::of(b"");
    let descriptor = format!(r#"{{"mediaType":"text/plain","size":0,"digest":"{digest}"}}"#);
    let config = |created: &str, diff_id: &str| {
        format!(
            r#"{{"created":"{created}","architecture":"amd64","os":"linux",
                "rootfs":{{"type":"layers","diff_ids":[{diff_id}]}}}}"#
        )
    };
    for (kind, good, bad) in [
        (Kind::Config, config("1980-01-01T00:00:01Z", ""), config("yesterday", "")),
        (Kind::Config, config("1980-01-01T00:00:01Z", "\"x\""), config("1980-01-01T00:00:01Z", "5")),
        (Kind::Descriptor, descriptor.clone(), descriptor.replace("sha256:", "sha256")),
        (Kind::Descriptor, descriptor.clone(), descriptor.replace("text/plain", "plain")),
        (
            Kind::Index,
            format!(r#"{{"schemaVersion":2,"manifests":[{descriptor}]}}"#),
            format!(r#"{{"schemaVersion":1,"manifests":[{descriptor}]}}"#),
        ),
        (Kind::Layout, r#"{"imageLayoutVersion":"1.0.0"}"#.into(), r#"{"imageLayoutVersion":"2.0.0"}"#.into()),
        (
            Kind::Manifest,
            format!(r#"{{"schemaVersion":2,"config":{descriptor},"layers":[{descriptor}]}}"#),
            format!(r#"{{"schemaVersion":2,"config":{{"size":"0"}},"layers":[{descriptor}]}}"#),
        ),
    ] {
        assert_eq!(violations(kind, good.as_bytes()), [""; 0], "{good}");
        assert!(!violations(kind, bad.as_bytes()).is_empty(), "{kind:?} accepts {bad}");
    }
    assert_eq!(violations(Kind::Layout, b"{").len(), 1);
}
