//! Names: which can be given, and that what is listed can be typed again.

use idpbuilder_oci::image::Digest;
use serde_json::{Value, json};

use crate::sandbox::Sandbox;

fn digest_of(sandbox: &Sandbox, name: &str) -> String {
    sandbox.run(&["idpbuilder-inspect", name, "--format", "{{.Digest}}"]).success().trim().to_owned()
}

/// A sandbox with two different images, `a:1` and `b:1`.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    for name in ["a", "b"] {
        sandbox.file(&format!("{name}/file"), name);
        sandbox.run(&["idpbuilder-build", name, "-t", &format!("{name}:1"), "-q"]).success();
    }
    sandbox
}

#[test]
fn what_reads_as_a_digest_is_no_name() {
    let sandbox = sandbox();
    let digest = digest_of(&sandbox, "b:1");
    let hex = digest.strip_prefix("sha256:").expect("a digest").to_owned();
    let sha512 = format!("sha512:{}", "a".repeat(128));
    let tagged = format!("{hex}:v1");
    let at_registry = format!("r.example/sha256:{hex}");
    for (name, code) in [
        ("c:1", 0),
        ("deadbeef", 0),
        ("r.example:5000/team/app", 0),
        (&*at_registry, 0),
        ("sha256sum:1", 0),
        (&*digest, 64),
        (&*hex, 64),
        (&*tagged, 64),
        (&*sha512, 64),
        ("sha256", 64),
        ("sha256:v1", 64),
        ("App", 4),
        ("v1.0+build5", 4),
        ("", 4),
    ] {
        for words in [
            &["idpbuilder-build", "a", "-q", "-t", name][..],
            &["idpbuilder-tag", "-q", "a:1", name],
            &["idpbuilder-index", "create", "-q", name, "a:1"],
        ] {
            let output = sandbox.run(words);
            assert_eq!(output.code, Some(code), "{output}");
        }
        if code == 0 {
            sandbox.run(&["idpbuilder-rm", "-q", name]).success();
        }
    }
    assert_eq!(digest_of(&sandbox, &digest), digest);
    insta::assert_snapshot!("tag_a_digest", sandbox.run(&["idpbuilder-tag", "a:1", &format!("sha256:{hex}")]));
}

/// The names in the store, as `idpbuilder-list` shows them.
fn listed(sandbox: &Sandbox) -> Vec<Value> {
    serde_json::from_str(&sandbox.run(&["idpbuilder-list", "-o", "json"]).success()).expect("JSON")
}

#[test]
fn what_is_listed_can_be_typed_whoever_wrote_it() {
    let sandbox = sandbox();
    let (a, b) = (digest_of(&sandbox, "a:1"), digest_of(&sandbox, "b:1"));
    let path = sandbox.store().join("index.json");
    let index: Value = serde_json::from_slice(&std::fs::read(&path).expect("an index")).expect("JSON");
    let entry = |digest: &str| {
        let entries = index["manifests"].as_array().expect("entries");
        entries.iter().find(|entry| entry["digest"] == digest).expect("there").clone()
    };
    let pinned = format!("app:v1@{b}");
    let names = ["v1", "v1.0+build5", "App:v1", "", "with space", "\u{1b}[31mred", &pinned, &b, &b[7..]];
    // All of them stand for a, but for the one with b's digest.
    let manifests: Vec<Value> = names
        .iter()
        .map(|name| {
            let mut entry = entry(if *name == pinned { &b } else { &a });
            entry["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
            entry
        })
        .collect();
    std::fs::write(&path, json!({"schemaVersion": 2, "manifests": manifests}).to_string()).expect("written");
    let lines = listed(&sandbox);
    assert_eq!(lines.len(), names.len());
    for line in &lines {
        let digest = line["digest"].as_str().expect("a digest");
        let mut typed = vec![digest.to_owned()];
        typed.extend(line["name"].as_str().map(str::to_owned));
        if let Some(repository) = line["repository"].as_str() {
            typed.push(match line["tag"].as_str() {
                Some(tag) => format!("{repository}:{tag}"),
                None => repository.to_owned(),
            });
        }
        for typed in typed {
            assert_eq!(digest_of(&sandbox, &typed), digest, "{typed} of {line}");
        }
    }
    let usable = lines.iter().filter(|line| !line["name"].is_null()).count();
    assert_eq!(usable, 4, "{lines:?}");
    // b's digest is b, although a has it for a name.
    assert_eq!(digest_of(&sandbox, &b), b);
    assert_eq!(digest_of(&sandbox, &b[7..]), b);
    sandbox.run(&["idpbuilder-rm", "v1.0+build5"]).success();
    assert_eq!(listed(&sandbox).len(), names.len() - 1);
}

/// A tar of files.
fn tar_of(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append_data(&mut header, path, &content[..]).expect("written");
    }
    builder.into_inner().expect("finished")
}

#[test]
fn an_archive_with_a_part_of_an_index_says_what_is_absent() {
    let sandbox = Sandbox::new();
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut put = |content: Vec<u8>, is_kept: bool| {
        let hex = Digest::of(&content).hex();
        let described = json!({"digest": format!("sha256:{hex}"), "size": content.len()});
        if is_kept {
            files.push((format!("blobs/sha256/{hex}"), content));
        }
        described
    };
    let with = |mut descriptor: Value, more: Value| {
        descriptor.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        descriptor
    };
    let mut images = Vec::new();
    for (architecture, is_there) in [("amd64", false), ("arm64", true), ("riscv64", true)] {
        let config = json!({"architecture": architecture, "os": "linux", "rootfs": {"diff_ids": []},
            "config": {"Entrypoint": "/app"}});
        let config = put(config.to_string().into_bytes(), is_there);
        let config = with(config, json!({"mediaType": "application/vnd.oci.image.config.v1+json"}));
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": []});
        let manifest = put(manifest.to_string().into_bytes(), true);
        images.push(with(
            manifest,
            json!({"mediaType": "application/vnd.oci.image.manifest.v1+json",
                "platform": {"os": "linux", "architecture": architecture}}),
        ));
    }
    let thing = put(b"something".to_vec(), true);
    let thing = with(thing, json!({"mediaType": "application/vnd.example.thing.v1"}));
    images.insert(0, thing.clone());
    let index = put(json!({"schemaVersion": 2, "manifests": images}).to_string().into_bytes(), true);
    let name = json!({"mediaType": "application/vnd.oci.image.index.v1+json",
        "annotations": {"org.opencontainers.image.ref.name": "app:v1"}});
    let thing = with(thing, json!({"annotations": {"org.opencontainers.image.ref.name": "v1.0+build5"}}));
    let layout = json!({"schemaVersion": 2, "manifests": [with(index, name), thing]});
    files.push(("index.json".into(), layout.to_string().into_bytes()));
    files.push(("oci-layout".into(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()));
    sandbox.file("part.tar", tar_of(&files));
    let load =
        |more: &[&str]| sandbox.run(&[&["idpbuilder-load", "-i", "part.tar", "--progress", "none"], more].concat());
    insta::assert_snapshot!("load_a_part", load(&[]));
    insta::assert_snapshot!(
        "list_with_a_thing",
        sandbox.run(&["idpbuilder-list", "--format", "table {{.Name}} {{.Type}} {{.Platform}}"])
    );
    insta::assert_snapshot!("load_one_platform", load(&["--platform", "linux/arm64/v8"]));
    assert_eq!(
        sandbox.run(&["idpbuilder-inspect", "app:v1", "--format", "{{.Platform}}"]).success().trim(),
        "linux/arm64"
    );
    insta::assert_snapshot!("load_an_absent_platform", load(&["--platform", "linux/amd64"]));
    let unpacked = sandbox.work().join("layout");
    tar::Archive::new(&tar_of(&files)[..]).unpack(&unpacked).expect("unpacked");
    let words = ["idpbuilder-load", "-i", "layout", "--platform", "linux/riscv64", "-q", "--progress", "none"];
    assert_eq!(sandbox.run(&words).success().lines().next(), Some("app:v1"));
    // A base needs the image for its own platform alone.
    sandbox.file("here/file", "content");
    let build = |platform: &str| {
        let from = "oci-archive:part.tar:app:v1";
        sandbox.run(&["idpbuilder-build", "here", "-q", "-t", "on:1", "--from", from, "--platform", platform])
    };
    let _ = build("linux/riscv64").success();
    let config = sandbox.run(&["idpbuilder-inspect", "on:1", "--config"]).success();
    let config: Value = serde_json::from_str(&config).expect("JSON");
    assert_eq!((&config["rootfs"]["type"], &config["config"]["Entrypoint"]), (&json!("layers"), &json!(["/app"])));
    let _ = build("linux/amd64").failure(4);
    sandbox.run(&["idpbuilder-rm", "--prune", "-q"]).success();
}
