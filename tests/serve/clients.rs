//! Real clients push to the server and pull from it.

use idpbuilder_oci::image::Digest;
use idpbuilder_oci::serve::ServeTls;
use idpbuilder_oci::store::ImageStore;

use crate::support::{Image, PASSWORD, Running, Setup, USER, client, file, tar_of};

/// An image in a layout of its own, as `oci:` names it.
fn source(server: &Running, image: &Image) -> String {
    let path = server.directory.path().join("source");
    image.save(&ImageStore::open(&path).expect("a layout"), "app:v1");
    format!("oci:{}:app:v1", path.display())
}

fn skopeo(arguments: &[&str]) -> crate::support::Run {
    client("skopeo", &[&["--insecure-policy"], arguments].concat())
}

/// The one manifest that the store has under `name`.
fn stored(server: &Running, name: &str) -> Digest {
    server.store.resolve(name).unwrap_or_else(|error| panic!("{error}")).descriptor.digest
}

#[test]
fn skopeo_over_http() {
    let server = Running::start();
    let image = Image::new("carried by skopeo");
    let remote = format!("docker://{}/team/app:v1", server.address);
    let from = source(&server, &image);
    skopeo(&["copy", "--preserve-digests", "--dest-tls-verify=false", &from, &remote]).succeeds();
    assert_eq!(stored(&server, "team/app:v1"), image.digest());
    let target = server.directory.path().join("target");
    let to = format!("oci:{}:back", target.display());
    skopeo(&["copy", "--preserve-digests", "--src-tls-verify=false", &remote, &to]).succeeds();
    let back = ImageStore::open(&target).expect("a layout");
    assert_eq!(back.resolve("back").expect("there").descriptor.digest, image.digest());
    for blob in &image.blobs {
        assert_eq!(std::fs::read(back.blob_path(Digest::of(blob))).expect("there"), *blob);
    }
    let tags = skopeo(&["list-tags", "--tls-verify=false", &format!("docker://{}/team/app", server.address)]);
    assert!(tags.succeeds().contains("\"v1\""));
    // The second time there is nothing left to send.
    let other = format!("docker://{}/team/other:v2", server.address);
    skopeo(&["copy", "--src-tls-verify=false", "--dest-tls-verify=false", &remote, &other]).succeeds();
    let lines = server.log_when(|lines| lines.iter().any(|line| line.path.ends_with("/team/other/manifests/v2")));
    assert!(
        lines.iter().all(|line| !line.path.contains("team/other/blobs/uploads") || line.received == 0),
        "{lines:#?}"
    );
    skopeo(&["delete", "--tls-verify=false", &remote]).succeeds();
    server.get("/v2/team/app/manifests/v1").refused(404, "MANIFEST_UNKNOWN");
}

#[test]
fn skopeo_over_tls_with_a_password() {
    let tls = ServeTls::SelfSigned { names: vec!["registry.example".to_owned()] };
    let server = Running::start_with(Setup { tls, password: true, ..Setup::default() });
    let pem = server.pem.clone().expect("made at start");
    let certificates = server.directory.path().join("certs");
    file(&certificates, "ca.crt", pem.as_bytes());
    let certificates = certificates.to_string_lossy().into_owned();
    let credentials = format!("{USER}:{PASSWORD}");
    let image = Image::new("carried over TLS");
    let from = source(&server, &image);
    // By address and by name: the certificate has both.
    for host in [server.address.to_string(), format!("localhost:{}", server.address.port())] {
        let remote = format!("docker://{host}/app:v1");
        let copy = |directory: &str, credentials: &str| {
            let options = ["copy", "--preserve-digests", "--dest-cert-dir", directory, "--dest-creds", credentials];
            skopeo(&[&options[..], &[&from, &remote]].concat())
        };
        copy(&certificates, &credentials).succeeds();
        assert_eq!(stored(&server, "app:v1"), image.digest());
        let untrusted = copy("/nonexistent", &credentials);
        assert!(!untrusted.success && untrusted.output.contains("x509"), "{}", untrusted.output);
        let wrong = copy(&certificates, "alice:wrong");
        assert!(!wrong.success && wrong.output.contains("unauthorized"), "{}", wrong.output);
        let inspect = ["inspect", "--cert-dir", &certificates, "--creds", &credentials, &remote];
        assert!(skopeo(&inspect).succeeds().contains(&image.digest().to_string()));
    }
}

#[test]
fn skopeo_with_every_platform() {
    let server = Running::start();
    let (one, two) = (Image::new("one"), Image::new("two"));
    let from = server.directory.path().join("many");
    let layout = ImageStore::open(&from).expect("a layout");
    one.save(&layout, "one:v1");
    two.save(&layout, "two:v1");
    let manifests = [&one, &two]
        .iter()
        .zip(["amd64", "arm64"])
        .map(|(image, architecture)| {
            let mut descriptor = serde_json::to_value(&image.manifest.descriptor).expect("JSON");
            descriptor["platform"] = serde_json::json!({ "architecture": architecture, "os": "linux" });
            descriptor
        })
        .collect::<Vec<_>>();
    let kind = idpbuilder_oci::image::media_type::IMAGE_INDEX;
    let index = serde_json::json!({ "schemaVersion": 2, "mediaType": kind, "manifests": manifests });
    let index = idpbuilder_oci::image::Document::parse(Some(kind), index.to_string().into_bytes()).expect("an index");
    let lease = layout.lease().expect("a lease");
    layout.put(&lease, kind, &index.bytes).expect("stored");
    layout.publish(&lease, &index, &["all:v1".parse().expect("a name")], None).expect("published");
    let remote = format!("docker://{}/all:v1", server.address);
    let copy = ["copy", "--all", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false"];
    skopeo(&[&copy[..], &[&format!("oci:{}:all:v1", from.display()), &remote]].concat()).succeeds();
    assert_eq!(stored(&server, "all:v1"), index.digest());
    let to = format!("oci:{}:all", server.directory.path().join("back").display());
    skopeo(&[&copy[..], &[&remote, &to]].concat()).succeeds();
}

/// podman with storage of its own, gone with the test.
struct Podman {
    directory: tempfile::TempDir,
}

impl Podman {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    fn run(&self, arguments: &[&str]) -> crate::support::Run {
        let at = |name: &str| self.directory.path().join(name).to_string_lossy().into_owned();
        let (root, runroot, tmp) = (at("root"), at("runroot"), at("tmp"));
        let own = [
            "--root",
            &root,
            "--runroot",
            &runroot,
            "--tmpdir",
            &tmp,
            "--storage-driver=vfs",
            "--cgroup-manager=cgroupfs",
            "--events-backend=none",
        ];
        client("podman", &[&own, arguments].concat())
    }
}

#[test]
#[ignore = "needs podman as root; bin/test runs it"]
fn podman_pushes_and_pulls() {
    let server = Running::start();
    let podman = Podman::new();
    let archive = file(server.directory.path(), "root.tar", &tar_of("carried by podman"));
    podman.run(&["import", &archive.to_string_lossy(), "localhost/app:v1"]).succeeds();
    let remote = format!("{}/team/app:v1", server.address);
    for format in ["oci", "v2s2"] {
        let push = ["push", "--tls-verify=false", "--format", format, "localhost/app:v1", &remote];
        podman.run(&push).succeeds();
        let digest = stored(&server, "team/app:v1");
        podman.run(&["pull", "--tls-verify=false", &remote]).succeeds();
        let seen = podman.run(&["image", "inspect", "--format", "{{.RepoDigests}}", &remote]).succeeds();
        assert!(seen.contains(&digest.to_string()), "{seen} has not {digest}");
        podman.run(&["rmi", &remote]).succeeds();
    }
}

/// An image name in the Docker Engine that is removed with the test.
struct DockerImage(String);

impl Drop for DockerImage {
    fn drop(&mut self) {
        client("docker", &["image", "rm", "--force", &self.0]);
    }
}

#[test]
#[ignore = "needs a Docker Engine; bin/test runs it"]
fn docker_pushes_and_pulls() {
    let server = Running::start();
    let archive = file(server.directory.path(), "root.tar", &tar_of("carried by docker"));
    // Docker takes 127.0.0.0/8 for insecure registries: plain HTTP needs no settings there.
    let name = DockerImage(format!("{}/team/app:v1", server.address));
    client("docker", &["import", &archive.to_string_lossy(), &name.0]).succeeds();
    let pushed = client("docker", &["push", &name.0]).succeeds();
    let digest = stored(&server, "team/app:v1");
    assert!(pushed.contains(&digest.to_string()), "{pushed}");
    client("docker", &["image", "rm", &name.0]).succeeds();
    client("docker", &["pull", &name.0]).succeeds();
    let seen = client("docker", &["image", "inspect", "--format", "{{.RepoDigests}}", &name.0]).succeeds();
    assert!(seen.contains(&digest.to_string()), "{seen} has not {digest}");
    // A second name for the same layers: mounted or found, never sent.
    let other = DockerImage(format!("{}/team/other:v2", server.address));
    client("docker", &["tag", &name.0, &other.0]).succeeds();
    client("docker", &["push", &other.0]).succeeds();
    assert_eq!(stored(&server, "team/other:v2"), digest);
    let lines = server.log_when(|lines| lines.iter().any(|line| line.path.ends_with("team/other/manifests/v2")));
    let sent: u64 = lines.iter().filter(|line| line.path.contains("other/blobs")).map(|line| line.received).sum();
    assert_eq!(sent, 0, "{lines:#?}");
}

#[test]
#[ignore = "needs a Docker Engine; bin/test runs it"]
fn docker_logs_in() {
    let server = Running::start_with(Setup { password: true, ..Setup::default() });
    let settings = tempfile::tempdir().expect("a directory");
    let settings = settings.path().to_string_lossy().into_owned();
    let host = server.address.to_string();
    let login = |password: &str| {
        client("docker", &["--config", &settings, "login", "--username", USER, "--password", password, &host])
    };
    let wrong = login("wrong");
    assert!(!wrong.success && wrong.output.contains("401"), "{}", wrong.output);
    login(PASSWORD).succeeds();
    let archive = file(server.directory.path(), "root.tar", &tar_of("behind a password"));
    let name = DockerImage(format!("{host}/app:v1"));
    client("docker", &["import", &archive.to_string_lossy(), &name.0]).succeeds();
    assert!(!client("docker", &["push", &name.0]).success, "without the login");
    client("docker", &["--config", &settings, "push", &name.0]).succeeds();
    stored(&server, "app:v1");
}
