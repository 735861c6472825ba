//! Documents that other readers would take differently are refused by every command.

use idpbuilder_oci::image::Digest;

use crate::sandbox::Sandbox;
use crate::server::Server;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Writes a layout with the image `app:v1`, as an attacker could.
struct Layout<'a> {
    sandbox: &'a Sandbox,
    directory: &'a str,
}

impl Layout<'_> {
    fn blob(&self, kind: &str, content: &str) -> String {
        let digest = Digest::of(content.as_bytes());
        self.sandbox.file(&format!("{}/blobs/sha256/{}", self.directory, digest.hex()), content);
        format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":{}}}"#, content.len())
    }

    /// Puts the image into the index; `ours` and `theirs` are two configurations.
    fn write(&self, config: &str, manifest: impl Fn(&str, &str) -> String) {
        let kind = "application/vnd.oci.image.config.v1+json";
        let (ours, theirs) = (self.blob(kind, config), self.blob(kind, &self::config(r#","author":"theirs""#)));
        let manifest = self.blob(MANIFEST, &manifest(&ours, &theirs));
        self.index(&manifest, "");
    }

    fn index(&self, manifest: &str, fields: &str) {
        let manifest = manifest.trim_end_matches('}');
        let name = r#""annotations":{"org.opencontainers.image.ref.name":"app:v1"}"#;
        let index = format!(r#"{{"schemaVersion":2,"manifests":[{manifest},{name}}}]{fields}}}"#);
        self.sandbox.file(&format!("{}/index.json", self.directory), index);
        self.sandbox.file(&format!("{}/oci-layout", self.directory), r#"{"imageLayoutVersion":"1.0.0"}"#);
    }

    /// Fails unless every command refuses the image and names the reason.
    fn is_refused(&self, reason: &str) {
        let (sandbox, directory) = (self.sandbox, self.directory);
        let packed = sandbox.shell(&format!("tar -cf image.tar -C {directory} oci-layout index.json blobs")).status();
        assert!(packed.expect("it runs").success());
        let of_layout = format!("oci:{directory}");
        for (words, input) in [
            (vec!["idpbuilder-inspect", "--store", directory, "app:v1"], false),
            (vec!["idpbuilder-inspect", "--store", directory, "app:v1", "--config"], false),
            (vec!["idpbuilder-save", "--store", directory, "app:v1", "-o", "out.tar"], false),
            (vec!["idpbuilder-push", "--store", directory, "app:v1", "127.0.0.1:1/app:v1", "--plain-http"], false),
            (vec!["idpbuilder-build", "app", "-t", "new:v1", "--platform", "linux/amd64", "--from", &of_layout], false),
            (
                vec![
                    "idpbuilder-build",
                    "app",
                    "-t",
                    "new:v1",
                    "--platform",
                    "linux/amd64",
                    "--from",
                    "oci-archive:image.tar",
                ],
                false,
            ),
            (vec!["idpbuilder-load", "--progress", "none"], true),
        ] {
            let archive = std::fs::read(sandbox.work().join("image.tar")).expect("packed");
            let output = sandbox.run_with_input(&words, if input { &archive } else { b"" });
            let told = output.failure(4);
            assert!(told.contains(reason), "{words:?}: {told}");
        }
        assert!(sandbox.run(&["idpbuilder-list", "-q"]).success().is_empty());
        assert!(!sandbox.work().join("out.tar").exists());
    }
}

fn config(fields: &str) -> String {
    format!(r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[]}}{fields}}}"#)
}

fn plain(ours: &str, _: &str) -> String {
    format!(r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{ours},"layers":[]}}"#)
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("app/app.conf", "app\n");
    sandbox
}

#[test]
fn a_manifest_with_two_configurations_is_refused_by_every_command() {
    let sandbox = sandbox();
    let layout = Layout { sandbox: &sandbox, directory: "odd" };
    for (key, reason) in [
        ("Config", "`Config` differs from the field `config` in nothing but case"),
        ("config", "duplicate field `config`"),
        ("manifests", "the document has fields of an image manifest and of an index"),
    ] {
        layout.write(&config(""), |ours, theirs| {
            format!(r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{ours},"layers":[],"{key}":{theirs}}}"#)
        });
        layout.is_refused(reason);
    }
}

#[test]
fn a_configuration_with_two_environments_is_refused_by_every_command() {
    let sandbox = sandbox();
    let layout = Layout { sandbox: &sandbox, directory: "odd" };
    layout.write(&config(r#","config":{"Env":["A=1"],"env":["A=2"]}"#), plain);
    layout.is_refused("`env` differs from the field `Env` in nothing but case");
}

#[test]
fn an_ambiguous_layout_is_refused() {
    let sandbox = sandbox();
    let layout = Layout { sandbox: &sandbox, directory: "odd" };
    layout.write(&config(""), plain);
    sandbox.run(&["idpbuilder-inspect", "--store", "odd", "app:v1"]).success();
    let index = std::fs::read_to_string(sandbox.work().join("odd/index.json")).expect("written");
    for (file, content, reason) in [
        ("index.json", index.replace("]}", r#"],"Manifests":[]}"#), "`Manifests` differs from"),
        ("index.json", index.replace("]}", r#"],"layers":[]}"#), "`layers` belongs to an image manifest"),
        ("index.json", index.clone() + "{}", "trailing characters"),
        ("index.json", index.replace(r#""size""#, r#""Size""#), "`Size` differs from"),
        (
            "oci-layout",
            r#"{"imageLayoutVersion":"1.0.0","ImageLayoutVersion":"2.0.0"}"#.to_owned(),
            "`ImageLayoutVersion` differs from",
        ),
    ] {
        let before = std::fs::read(sandbox.work().join("odd").join(file)).expect("written");
        sandbox.file(&format!("odd/{file}"), &content);
        let told = sandbox.run(&["idpbuilder-inspect", "--store", "odd", "app:v1"]).failure(1);
        assert!(told.contains(reason) && told.contains(file), "{told}");
        let packed = sandbox.shell("tar -cf image.tar -C odd oci-layout index.json blobs").status();
        assert!(packed.expect("it runs").success());
        let archive = std::fs::read(sandbox.work().join("image.tar")).expect("packed");
        let told = sandbox.run_with_input(&["idpbuilder-load", "--progress", "none"], &archive).failure(4);
        assert!(told.contains(reason) && told.contains(file), "{told}");
        sandbox.file(&format!("odd/{file}"), &before);
    }
}

#[test]
fn what_a_registry_serves_is_refused_too() {
    let sandbox = sandbox();
    let layout = Layout { sandbox: &sandbox, directory: "odd" };
    let pull = |code: i32, reason: &str| {
        // The server hands out what is stored, whatever it is.
        let server = Server::start(&sandbox, &["--storage", "odd"]);
        let image = format!("{}/app:v1", server.address);
        let told = sandbox.run(&["idpbuilder-pull", &image, "--plain-http", "--progress", "none"]).failure(code);
        assert!(told.contains(reason), "{told}");
        let words = ["idpbuilder-build", "app", "-t", "new:v1", "--platform", "linux/amd64", "--plain-http", "--from"];
        let told = sandbox.run(&[&words[..], &[&image]].concat()).failure(code);
        assert!(told.contains(reason), "{told}");
        assert!(sandbox.run(&["idpbuilder-list", "-q"]).success().is_empty());
    };
    layout.write(&config(""), |ours, theirs| {
        format!(r#"{{"schemaVersion":2,"config":{ours},"layers":[],"Config":{theirs}}}"#)
    });
    pull(5, "`Config` differs from the field `config` in nothing but case");
    layout.write(&config(r#","OS":"windows""#), plain);
    pull(4, "`OS` differs from the field `os` in nothing but case");
}

#[test]
fn an_ambiguous_docker_archive_is_refused() {
    let sandbox = sandbox();
    let load = |manifest: &str, config: &str| {
        sandbox.file("docker/manifest.json", manifest);
        sandbox.file("docker/config.json", config);
        sandbox.file("docker/other.json", self::config(r#","author":"other""#));
        let packed = sandbox.shell("tar -cf docker.tar -C docker manifest.json config.json other.json").status();
        assert!(packed.expect("it runs").success());
        let archive = std::fs::read(sandbox.work().join("docker.tar")).expect("packed");
        sandbox.run_with_input(&["idpbuilder-load", "--progress", "none"], &archive)
    };
    let image = |fields: &str| format!(r#"[{{"Config":"config.json","RepoTags":["app:v1"],"Layers":[]{fields}}}]"#);
    load(&image(r#","Parent":"","LayerSources":{"sha256:x":{"mediaType":"x"}}"#), &config("")).success();
    for (fields, reason) in [
        (r#","config":"other.json""#, "`config` differs from the field `Config` in nothing but case"),
        (r#","Config":"other.json""#, "the key `Config` occurs twice"),
        (r#","repotags":["app:v2"]"#, "`repotags` differs from the field `RepoTags`"),
        (r#","RepoTag\u017f":["app:v2"]"#, "differs from the field `RepoTags`"),
    ] {
        let told = load(&image(fields), &config("")).failure(4);
        assert!(told.contains(reason) && told.contains("manifest.json"), "{told}");
    }
    let told = load(&image(""), &config(r#","Rootfs":{}"#)).failure(4);
    assert!(told.contains("`Rootfs` differs from the field `rootfs`") && told.contains("config.json"), "{told}");
}
