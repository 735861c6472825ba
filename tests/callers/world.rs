//! A machine with a cluster, two registries that want logins, and the three programs.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::api_server::{Answers, ApiServer, CERTIFICATE, CREDENTIAL, LOCALBUILDS, kubeconfig, localbuild, secret};
use crate::docker_registry::{DockerRegistry, Options};
use crate::sandbox::{Output, SECRETS, Sandbox};

pub(crate) const USER: &str = "giteaAdmin";
pub(crate) const TOKEN: &str = SECRETS[1];
const OTHER_USER: &str = "somebody";
const OTHER_PASSWORD: &str = SECRETS[0];

/// Names that no other run has, in an engine that others may use.
pub(crate) fn unique() -> String {
    static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!("callers-{}-{count}", std::process::id())
}

/// An image in the engine, removed when the test ends.
pub(crate) struct InEngine(pub(crate) String);

impl Drop for InEngine {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["image", "rm", "--force", &self.0]).output();
    }
}

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    /// The cluster's API server; without it the cluster is stopped.
    pub(crate) api: Option<ApiServer>,
    /// The cluster's registry, `127.0.0.1:port`.
    pub(crate) cluster: String,
    /// Somebody else's registry, whose login is in everybody's files.
    pub(crate) other: String,
    /// Kept running.
    _registries: [DockerRegistry; 2],
}

/// A certificate of idpbuilder's kind: an authority that is also the leaf.
fn certificate() -> (String, String) {
    let mut parameters = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("names");
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().expect("a key");
    (parameters.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
}

impl World {
    pub(crate) fn new() -> Self {
        let (pem, key) = certificate();
        let tls = || Some((pem.clone(), key.clone()));
        let of_cluster = DockerRegistry::start(&Options { login: Some((USER, TOKEN)), tls: tls() });
        let of_other = DockerRegistry::start(&Options { login: Some((OTHER_USER, OTHER_PASSWORD)), tls: tls() });
        let mut sandbox = Sandbox::new();
        sandbox.run(&["idpbuilder-oci", "install", "--dir", "bin"]).success();
        sandbox.set("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", sandbox.work().join("bin").display()));
        sandbox.set("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}/no-bus", sandbox.path().display()));
        sandbox.set("DOCKER_BUILDKIT", "0");
        if let Some(engine) = std::env::var_os("DOCKER_HOST") {
            sandbox.set("DOCKER_HOST", engine);
        }

        // Loopback has no names below a domain, so the cluster has path routing.
        let mut build = localbuild(&of_cluster.port().to_string(), true);
        for name in ["host", "ingressHost"] {
            build["items"][0]["spec"]["buildCustomization"][name] = "127.0.0.1".into();
        }
        let api = ApiServer::start(Answers::from([
            (LOCALBUILDS.to_owned(), (200, build)),
            (CREDENTIAL.to_owned(), (200, secret(&[("username", USER), ("password", "another"), ("token", TOKEN)]))),
            (CERTIFICATE.to_owned(), (200, secret(&[("ca.crt", &pem)]))),
        ]));
        let world = Self {
            api: Some(api),
            cluster: of_cluster.host(),
            other: of_other.host(),
            sandbox,
            _registries: [of_cluster, of_other],
        };
        let context = world.api.as_ref().expect("started").context("kind-localdev");
        world.put(".kube/config", &kubeconfig("kind-localdev", &[context]));
        world.put(".idpbuilder/config.toml", "credential_store = \"file\"\n");
        for host in [&world.cluster, &world.other] {
            let file = world.put("ca.pem", &pem).display().to_string();
            world.sandbox.run(&["idpbuilder-trust", "add", host, &file]).success();
            world.sandbox.run(&["idpbuilder-trust", "install", host, "--podman"]).success();
        }
        let login = STANDARD.encode(format!("{OTHER_USER}:{OTHER_PASSWORD}"));
        for file in FILES {
            // As nobody's program writes it.
            let text = format!("{{ \"auths\": {{\"{}\": {{\"auth\": \"{login}\"}} }},\n\n \"x\": 1}}\n", world.other);
            let path = world.put(file, &text);
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o640)).expect("mode");
        }
        world
    }

    /// With docker and podman asking our helper.
    pub(crate) fn wired() -> Self {
        let world = Self::new();
        world.install();
        world
    }

    pub(crate) fn install(&self) {
        let output = self.sandbox.run(&[
            "idpbuilder-oci",
            "install",
            "--dir",
            "bin",
            "--docker",
            "--podman",
            // The registry is outside localtest.me.
            "--context",
            "kind-localdev",
        ]);
        assert!(!output.stderr.contains("not on PATH"), "{output}");
        output.success();
    }

    /// Takes the wiring back; the links stay where they are.
    pub(crate) fn uninstall(&self) {
        self.sandbox.run(&["idpbuilder-oci", "uninstall", "--dir", "elsewhere", "--docker", "--podman"]).success();
    }

    /// Writes a file below the home directory.
    pub(crate) fn put(&self, name: &str, content: &str) -> PathBuf {
        let path = self.sandbox.home().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(&path, content).expect("written");
        path
    }

    /// A credential helper that notes what it is asked for, and has nothing.
    pub(crate) fn helper(&self, name: &str) {
        let log = self.sandbox.work().join(name);
        let script = format!(
            "#!/bin/sh\necho \"$1 $(cat)\" >> {}\necho 'credentials not found in native keychain'\nexit 1\n",
            log.display()
        );
        let file = self.sandbox.file(&format!("bin/docker-credential-{name}"), script);
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).expect("mode");
    }

    /// Bytes and modes of the files that others read.
    pub(crate) fn files(&self) -> Vec<(Vec<u8>, u32)> {
        let look = |name: &&str| {
            let path = self.sandbox.home().join(name);
            let mode = path.metadata().expect("there").permissions().mode() & 0o7777;
            (std::fs::read(path).expect("read"), mode)
        };
        FILES.iter().map(look).collect()
    }

    /// Runs a command line of words for a shell, with our helper on PATH.
    pub(crate) fn run(&self, line: &str) -> Output {
        self.run_with_input(line, "")
    }

    pub(crate) fn run_with_input(&self, line: &str, input: &str) -> Output {
        self.sandbox.finish(&[line], self.sandbox.shell(line), input.as_bytes())
    }

    /// Podman with storage of its own; the vfs driver needs nothing of the kernel.
    pub(crate) fn podman(&self, line: &str) -> Output {
        let root = self.sandbox.path().display();
        let options =
            format!("--storage-driver=vfs --cgroup-manager=cgroupfs --root {root}/pod --runroot {root}/podrun");
        self.run(&format!("podman {options} {line}"))
    }

    /// Builds an image of one file, and loads it into the engine under `name`.
    pub(crate) fn in_engine(&self, name: &str) -> InEngine {
        self.sandbox.file("app/file", name);
        self.sandbox.run(&["idpbuilder-build", "app", "-t", name, "-q"]).success();
        let loaded = InEngine(name.to_owned());
        self.run(&format!("idpbuilder-save {name} | docker load")).success();
        loaded
    }

    /// Fails unless all three programs do what they did before with somebody else's registry.
    #[track_caller]
    pub(crate) fn others_still_work(&self) {
        let other = &self.other;
        let name = unique();
        let image = self.in_engine(&format!("{other}/team/{name}:v1"));
        self.run(&format!("docker push {}", image.0)).success();
        self.run(&format!("docker image rm {0} && docker pull {0}", image.0)).success();
        self.run(&format!("skopeo inspect docker://{}", image.0)).success();
        self.podman(&format!("pull {}", image.0)).success();
    }
}

const FILES: [&str; 2] = [".docker/config.json", ".config/containers/auth.json"];
