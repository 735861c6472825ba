//! Images on bases, wherever these are.

use idpbuilder_oci::image::Digest;
use serde_json::{Value, json};

use crate::sandbox::{Output, RATE, Sandbox};
use crate::server::Server;

/// A sandbox with two contexts and the image `base:v1` of one of them.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("below/etc/base.conf", "base\n");
    sandbox.file("app/etc/app.conf", "app\n");
    let flags = ["--entrypoint", "/bin/base", "--cmd", "serve", "-e", "A=1", "-e", "B=1", "--label", "from=base"];
    let words = ["idpbuilder-build", "below", "-t", "base:v1", "-q", "--platform", "linux/amd64", "--user", "app"];
    sandbox.run(&[&words[..], &flags].concat()).success();
    sandbox
}

fn build_on(sandbox: &Sandbox, base: &str, flags: &[&str]) -> Output {
    let words = ["idpbuilder-build", "app", "-t", "app:v1", "--platform", "linux/amd64", "--from", base];
    sandbox.run(&[&words[..], flags].concat())
}

fn shown(sandbox: &Sandbox, image: &str, what: &str) -> Value {
    let text = sandbox.run(&["idpbuilder-inspect", image, what]).success();
    serde_json::from_str(&text).expect("JSON")
}

fn digest_of(sandbox: &Sandbox, image: &str) -> String {
    sandbox.run(&["idpbuilder-inspect", image, "--format", "{{.Digest}}"]).success()
}

#[test]
fn an_image_on_a_stored_one() {
    let sandbox = sandbox();
    let output = build_on(&sandbox, "base:v1", &["-e", "B=2", "-e", "C=3", "--label", "own=1", "--expose", "80"]);
    insta::with_settings!({filters => vec![(RATE, "")]}, {
        insta::assert_snapshot!("from_stored", output);
    });
    insta::assert_snapshot!(
        "from_stored_manifest",
        sandbox.run(&["idpbuilder-inspect", "app:v1", "--manifest"]).stdout
    );
    insta::assert_snapshot!("from_stored_config", sandbox.run(&["idpbuilder-inspect", "app:v1", "--config"]).stdout);
    let files = sandbox.run(&["idpbuilder-inspect", "app:v1", "--files"]).success();
    assert!(files.contains("etc/base.conf") && files.contains("etc/app.conf"), "{files}");
    let base = shown(&sandbox, "base:v1", "--manifest");
    assert_eq!(shown(&sandbox, "app:v1", "--manifest")["layers"][0], base["layers"][0]);
    // A new entrypoint does not take the base's arguments.
    build_on(&sandbox, "base:v1", &["-q", "--entrypoint", "/bin/app"]).success();
    let config = shown(&sandbox, "app:v1", "--config");
    assert_eq!((&config["config"]["Entrypoint"][0], &config["config"]["Cmd"]), (&"/bin/app".into(), &Value::Null));
    build_on(&sandbox, "base:v1", &["-q", "--entrypoint", "[]", "--cmd", "/bin/other"]).success();
    let config = shown(&sandbox, "app:v1", "--config");
    assert_eq!((&config["config"]["Entrypoint"], &config["config"]["Cmd"][0]), (&Value::Null, &"/bin/other".into()));
    // The same bases and the same context are the same image, and scratch is none.
    let once = build_on(&sandbox, "base:v1", &["-q"]).success();
    assert_eq!(build_on(&sandbox, "base:v1", &["-q"]).success(), once);
    let plain = sandbox.run(&["idpbuilder-build", "app", "-t", "app:v1", "--platform", "linux/amd64", "-q"]).success();
    assert_eq!(build_on(&sandbox, "scratch", &["-q"]).success(), plain);
    assert_ne!(plain, once);
}

#[test]
fn bases_of_layouts_and_archives_are_the_same_base() {
    let sandbox = sandbox();
    let stored = build_on(&sandbox, "base:v1", &["-q"]).success();
    let digest = digest_of(&sandbox, "app:v1");
    for (format, file) in [("docker-archive", "docker.tar"), ("oci-archive", "oci.tar")] {
        sandbox.run(&["idpbuilder-save", "base:v1", "-o", file, "--format", format, "-q"]).success();
    }
    let original = sandbox.store();
    let other = sandbox.work().join("other");
    for base in [
        format!("oci:{}:base:v1", original.display()),
        "oci-archive:oci.tar".into(),
        "oci-archive:oci.tar:base:v1".into(),
        "docker-archive:docker.tar".into(),
        "docker-archive:docker.tar:base".into(),
    ] {
        let flags = ["-q", "--store", "other"];
        if base.ends_with(":base") {
            insta::assert_snapshot!("from_archive_without_the_name", build_on(&sandbox, &base, &flags));
            continue;
        }
        assert_eq!(build_on(&sandbox, &base, &flags).success(), stored, "{base}");
        if !base.starts_with("docker") {
            // `docker save` does not keep the manifest, whose digest is in the annotation.
            let words = ["idpbuilder-inspect", "app:v1", "--format", "{{.Digest}}", flags[1], flags[2]];
            assert_eq!(sandbox.run(&words).success(), digest, "{base}");
        }
        let listed = sandbox.run(&["idpbuilder-list", "-q", flags[1], flags[2]]).success();
        assert_eq!(listed.lines().count(), 1, "a base gets no name: {listed}");
        std::fs::remove_dir_all(&other).expect("removed");
    }
}

#[test]
fn a_base_of_a_registry_is_pulled_once() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &[]);
    let name = format!("{}/team/base:v1", server.address);
    sandbox.run(&["idpbuilder-push", "base:v1", &name, "--plain-http", "-q"]).success();
    sandbox.run(&["idpbuilder-rm", "base:v1", "--prune", "-q"]).success();
    let first = build_on(&sandbox, &name, &["-q", "--plain-http", "--pull"]).success();
    let manifest = shown(&sandbox, "app:v1", "--manifest");
    assert_eq!(manifest["annotations"]["org.opencontainers.image.base.name"], name.as_str());
    assert_eq!(build_on(&sandbox, &format!("docker://{name}"), &["-q", "--plain-http"]).success(), first);
    drop(server);
    // The store has it from now on, and nobody is asked.
    assert_eq!(build_on(&sandbox, &name, &["-q", "--plain-http"]).success(), first);
    let told = build_on(&sandbox, &name, &["-q", "--plain-http", "--pull", "--retry", "0"]).failure(3);
    assert!(told.contains("cannot pull"), "{told}");
}

#[test]
fn what_is_no_base_says_why() {
    let sandbox = sandbox();
    sandbox.file("no.tar", "nothing");
    insta::assert_snapshot!("from_other_platform", {
        let words = ["idpbuilder-build", "app", "-t", "app:v1", "--platform", "linux/arm64", "--from", "base:v1"];
        sandbox.run(&words)
    });
    insta::assert_snapshot!("from_nowhere", build_on(&sandbox, "nowhere:v1", &[]));
    insta::assert_snapshot!("from_no_layout", build_on(&sandbox, "oci:app", &[]));
    insta::assert_snapshot!("from_no_archive", build_on(&sandbox, "docker-archive:no.tar", &[]));
    insta::assert_snapshot!("from_no_path", build_on(&sandbox, "oci:", &[]));
    assert!(!sandbox.work().join("app/oci-layout").exists(), "nothing was made of the directory");
}

/// A newer `base:v2` beside the image `app:v1` on `base:v1`.
fn with_newer_base() -> Sandbox {
    let sandbox = sandbox();
    build_on(&sandbox, "base:v1", &["-q", "-e", "B=2", "--workdir", "/srv", "--label", "own=1"]).success();
    sandbox.file("newer/etc/base.conf", "newer\n");
    let words =
        ["idpbuilder-build", "newer", "-t", "base:v2", "-q", "--platform", "linux/amd64", "-e", "B=9", "-e", "D=4"];
    sandbox
        .run(&[&words[..], &["--entrypoint", "/bin/newer", "--cmd", "run", "--label", "from=newer"]].concat())
        .success();
    sandbox
}

#[test]
fn an_image_gets_another_base() {
    let sandbox = with_newer_base();
    let words = ["idpbuilder-build", "--rebase", "base:v2", "app:v1", "-t", "app:v2"];
    insta::assert_snapshot!("rebased", sandbox.run(&words));
    insta::assert_snapshot!("rebased_config", sandbox.run(&["idpbuilder-inspect", "app:v2", "--config"]).stdout);
    // The same as if it had been built there.
    let rebased = digest_of(&sandbox, "app:v2");
    let flags = ["-q", "-t", "app:there", "-e", "B=2", "--workdir", "/srv", "--label", "own=1"];
    build_on(&sandbox, "base:v2", &flags).success();
    assert_eq!(digest_of(&sandbox, "app:there"), rebased);
    // And back.
    sandbox.run(&["idpbuilder-build", "--rebase", "base:v1", "app:v2", "-t", "app:v3", "-q"]).success();
    build_on(&sandbox, "base:v1", &["-q", "-e", "B=2", "--workdir", "/srv", "--label", "own=1"]).success();
    assert_eq!(digest_of(&sandbox, "app:v3"), digest_of(&sandbox, "app:v1"));
}

#[test]
fn what_was_taken_away_stays_away_on_another_base() {
    let sandbox = with_newer_base();
    for flags in [&["--entrypoint", "[]"][..], &["--cmd", "[]"], &["--entrypoint", "[]", "--cmd", "/bin/app"]] {
        build_on(&sandbox, "base:v1", &[&["-q"], flags].concat()).success();
        sandbox.run(&["idpbuilder-build", "--rebase", "base:v2", "app:v1", "-t", "app:v2", "-q"]).success();
        build_on(&sandbox, "base:v2", &[&["-q", "-t", "app:there"], flags].concat()).success();
        assert_eq!(digest_of(&sandbox, "app:v2"), digest_of(&sandbox, "app:there"), "{flags:?}");
    }
}

#[test]
fn no_layer_is_read_for_another_base() {
    let sandbox = with_newer_base();
    let layer = &shown(&sandbox, "app:v1", "--manifest")["layers"][1];
    let hex = layer["digest"].as_str().expect("a digest").trim_start_matches("sha256:").to_owned();
    let size = usize::try_from(layer["size"].as_u64().expect("a size")).expect("small");
    // Content of the right size that nobody could decompress.
    std::fs::write(sandbox.store().join("blobs/sha256").join(hex), vec![0; size]).expect("written");
    sandbox.run(&["idpbuilder-build", "--rebase", "base:v2", "app:v1", "-t", "app:v2", "-q"]).success();
    let manifest = shown(&sandbox, "app:v2", "--manifest");
    assert_eq!(&manifest["layers"][1], layer);
}

#[test]
fn an_old_base_that_cannot_be_told_is_asked_for() {
    let sandbox = with_newer_base();
    let rebase = |image: &str, flags: &[&str]| {
        let words = ["idpbuilder-build", "--rebase", "base:v2", image, "-t", "moved:v1"];
        sandbox.run(&[&words[..], flags].concat())
    };
    insta::assert_snapshot!("rebase_without_annotation", rebase("base:v1", &[]));
    insta::assert_snapshot!("rebase_from_another_base", rebase("app:v1", &["--old-base", "base:v2"]));
    let by_hand = rebase("app:v1", &["-q", "--old-base", "base:v1"]).success();
    assert_eq!(rebase("app:v1", &["-q"]).success(), by_hand);
    // Whatever was built on nothing can be put on something.
    rebase("base:v1", &["-q", "--old-base", "scratch"]).success();
    assert_eq!(shown(&sandbox, "moved:v1", "--manifest")["layers"].as_array().map(Vec::len), Some(2));
    sandbox.run(&["idpbuilder-rm", "base:v1", "--prune", "-q"]).success();
    insta::assert_snapshot!("rebase_after_pruning", rebase("app:v1", &[]));
    insta::assert_snapshot!("rebase_while_building", rebase("app:v1", &["--env", "A=1"]));
    insta::assert_snapshot!("rebase_nothing", sandbox.run(&["idpbuilder-build", "--rebase", "base:v2", "-t", "x"]));
}

#[test]
fn an_old_base_is_found_at_its_registry_by_its_digest() {
    let sandbox = with_newer_base();
    let server = Server::start(&sandbox, &[]);
    let name = format!("{}/team/base", server.address);
    sandbox.run(&["idpbuilder-push", "base:v1", &format!("{name}:v1"), "--plain-http", "-q"]).success();
    let old = digest_of(&sandbox, "base:v1");
    sandbox.run(&["idpbuilder-rm", "base:v1", "-q"]).success();
    build_on(&sandbox, &format!("{name}:v1"), &["-q", "--plain-http"]).success();
    sandbox.run(&["idpbuilder-rm", &format!("{name}:v1"), "--prune", "-q"]).success();
    let words = ["idpbuilder-build", "--rebase", "base:v2", "app:v1", "-t", "app:v2", "-q", "--plain-http"];
    let told = sandbox.run(&words).failure(4);
    let by_digest = format!("{name}@{}", old.trim());
    assert!(told.contains(&format!("hint: name it: --old-base {by_digest}")), "{told}");
    sandbox.run(&[&words[..], &["--old-base", &by_digest]].concat()).success();
    let rebased = digest_of(&sandbox, "app:v2");
    build_on(&sandbox, "base:v2", &["-q"]).success();
    assert_eq!(digest_of(&sandbox, "app:v1"), rebased);
}

/// A layout as another program might write it: an image without layers for each platform, with a command to be run.
fn foreign_layout(sandbox: &Sandbox, platforms: &[(&str, &str)]) {
    let put = |content: &Value, kind: &str| {
        let bytes = content.to_string().into_bytes();
        let digest = Digest::of(&bytes);
        sandbox.file(&format!("foreign/blobs/sha256/{}", digest.hex()), &bytes);
        json!({"mediaType": kind, "digest": digest, "size": bytes.len()})
    };
    let manifests = platforms.iter().map(|(architecture, variant)| {
        let config = json!({
            "architecture": architecture, "variant": variant, "os": "linux", "config": {"OnBuild": ["RUN x"]},
            "rootfs": {"type": "layers", "diff_ids": []},
        });
        let config = put(&config, "application/vnd.docker.container.image.v1+json");
        let kind = "application/vnd.docker.distribution.manifest.v2+json";
        put(&json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": []}), kind)
    });
    let index = json!({"schemaVersion": 2, "manifests": manifests.collect::<Vec<_>>()});
    sandbox.file("foreign/index.json", index.to_string());
    sandbox.file("foreign/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
}

#[test]
fn a_base_of_another_programs_layout_becomes_an_oci_image() {
    let sandbox = sandbox();
    foreign_layout(&sandbox, &[("arm", "v7")]);
    let build = |platform: &str| {
        sandbox.run(&["idpbuilder-build", "app", "-t", "app:v1", "-q", "--from", "oci:foreign", "--platform", platform])
    };
    let output = build("linux/arm");
    assert!(output.stderr.contains("ONBUILD instructions (1), which are kept and not run here"), "{output}");
    let _ = output.success();
    let manifest = shown(&sandbox, "app:v1", "--manifest");
    assert_eq!(manifest["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.oci.image.config.v1+json");
    assert!(manifest["annotations"].get("org.opencontainers.image.base.name").is_none());
    let config = shown(&sandbox, "app:v1", "--config");
    assert_eq!((&config["variant"], &config["config"]["OnBuild"]), (&json!("v7"), &json!(["RUN x"])));
    assert!(build("linux/arm/v6").failure(4).contains("it has linux/arm/v7"));
    // Both are one image on that base.
    insta::assert_snapshot!("from_one_platform_twice", build("linux/arm/v7,linux/arm/v8"));
    foreign_layout(&sandbox, &[("arm", "v7"), ("arm", "v6")]);
    let output = build("linux/arm");
    insta::assert_snapshot!("from_one_of_several", output);
    let (_, one) = output.stderr.trim_end().rsplit_once(", ").expect("a list");
    let base = format!("oci:foreign:{one}");
    let words = ["idpbuilder-build", "app", "-t", "app:v1", "-q", "--from", &base, "--platform", "linux/arm/v6"];
    sandbox.run(&words).success();
}

#[test]
fn a_layout_and_not_the_store_is_what_errors_are_about() {
    let sandbox = sandbox();
    let copied = sandbox.shell("cp -r ~/.idpbuilder/images layout").status().expect("it runs");
    assert!(copied.success());
    let on = |base: &str| build_on(&sandbox, base, &["--store", "other"]).failure(4);
    let told = on("oci:layout:nothing");
    assert_eq!(told, "error: `[SANDBOX]/here/layout` has no image `nothing`\nhint: it has base:v1\n");
    let manifest = shown(&sandbox, "base:v1", "--manifest");
    let layer = manifest["layers"][0]["digest"].as_str().expect("a digest");
    let blob = sandbox.work().join("layout/blobs/sha256").join(layer.trim_start_matches("sha256:"));
    let bytes = std::fs::read(&blob).expect("there");
    let cut = &bytes[1..];
    for (content, what) in
        [(Some(vec![0; bytes.len()]), "is damaged in"), (Some(cut.to_vec()), "has"), (None, "is missing from")]
    {
        match content {
            Some(content) => std::fs::write(&blob, content).expect("written"),
            None => std::fs::remove_file(&blob).expect("removed"),
        }
        let told = on("oci:layout");
        assert!(told.contains(&format!("blob {layer} {what}")) && told.contains("`[SANDBOX]/here/layout`"), "{told}");
        assert!(told.contains("hint: write the image layout `[SANDBOX]/here/layout` again"), "{told}");
    }
}

#[test]
fn artifacts_and_old_schemas_are_no_bases() {
    let sandbox = sandbox();
    let put = |content: &Value, kind: &str| {
        let bytes = content.to_string().into_bytes();
        let digest = Digest::of(&bytes);
        sandbox.file(&format!("odd/blobs/sha256/{}", digest.hex()), &bytes);
        json!({"mediaType": kind, "digest": digest, "size": bytes.len()})
    };
    sandbox.file("odd/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    let on = |manifest: &Value| {
        sandbox.file("odd/index.json", json!({"schemaVersion": 2, "manifests": [manifest]}).to_string());
        build_on(&sandbox, "oci:odd", &[]).failure(4)
    };
    let empty = put(&json!({}), "application/vnd.oci.empty.v1+json");
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": kind, "artifactType": "application/x.chart", "config": empty, "layers": [empty],
    });
    let told = on(&put(&manifest, kind));
    let text = "error: `oci:odd` is an artifact of type `application/x.chart`, not a container image\n";
    assert!(told.starts_with(text), "{told}");
    let old = json!({"schemaVersion": 1, "name": "x", "tag": "1", "fsLayers": [], "history": [], "signatures": []});
    for kind in ["application/vnd.docker.distribution.manifest.v1+prettyjws", kind] {
        let told = on(&put(&old, kind));
        assert!(told.contains("schema version 1 is not supported"), "{told}");
        assert!(told.contains("skopeo copy --format oci"), "{told}");
    }
}

#[test]
fn an_archives_image_has_either_of_dockers_names() {
    let sandbox = sandbox();
    sandbox.run(&["idpbuilder-tag", "base:v1", "docker.io/x/y:1"]).success();
    sandbox.run(&["idpbuilder-save", "docker.io/x/y:1", "-o", "x.tar", "--format", "docker-archive", "-q"]).success();
    let [short, long] =
        ["x/y:1", "docker.io/x/y:1"].map(|name| build_on(&sandbox, &format!("docker-archive:x.tar:{name}"), &["-q"]));
    assert_eq!(short.success(), long.success());
}
