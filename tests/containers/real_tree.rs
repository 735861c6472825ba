//! The executable on a real tree: the toolchain that compiled it, and everything a file system can hold.
//!
//! From a directory over the store and a registry to another program's unpacked files, and to a container,
//! with nothing lost on the way and memory that does not grow with the tree.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::docker::Loaded;
use super::docker_registry::{DockerRegistry, Options};
use super::images::unique;
use super::measured::{self, Measured};
use super::programs::{run, text};
use super::sandbox::{SECRETS, Sandbox};
use super::schemas::check_layout;
use super::trees::{Node, assert_same, mode, plant_oddities, snapshot};

/// A smaller tree proves nothing.
const LEAST_BYTES: u64 = 500 << 20;
/// When enough has been copied: more than programs and libraries, so that a part of the documentation's
/// many small files comes along where it is installed.
const ENOUGH_BYTES: u64 = 640 << 20;
/// What building and pushing may use at most.
const MOST_MEMORY: u64 = 64 << 20;

const USER: &str = "giteaAdmin";

/// Copies files, sorted by path, until there are enough bytes. Links stay links.
fn copy(from: &Path, to: &Path, bytes: &mut u64) {
    let mut entries: Vec<_> = fs::read_dir(from).expect("listed").map(|entry| entry.expect("an entry")).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    fs::create_dir(to).expect("created");
    for entry in entries {
        if *bytes >= ENOUGH_BYTES {
            break;
        }
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().expect("a type");
        if kind.is_dir() {
            copy(&from, &to, bytes);
        } else if kind.is_symlink() {
            symlink(fs::read_link(&from).expect("read"), &to).expect("linked");
        } else {
            *bytes += fs::copy(&from, &to).expect("copied");
        }
    }
    // Last, as it may forbid writing.
    fs::set_permissions(to, fs::metadata(from).expect("there").permissions()).expect("mode set");
}

/// A tree as people have them, with a shell to run. Answers the path of its largest file, relative.
fn plant(root: &Path) -> PathBuf {
    fs::create_dir_all(root.join("bin")).expect("created");
    fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox-static is installed");
    symlink("busybox", root.join("bin/sh")).expect("linked");
    // Cargo's own way to say which compiler.
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let sysroot = PathBuf::from(text(Command::new(compiler).args(["--print", "sysroot"])));
    let mut bytes = 0;
    copy(&sysroot, &root.join("toolchain"), &mut bytes);
    assert!(bytes >= LEAST_BYTES, "{} has only {bytes} bytes", sysroot.display());
    let nodes = snapshot(root);
    let size = |node: &Node| if let Node::File { size, .. } = node { *size } else { 0 };
    let (largest, _) = nodes.iter().max_by_key(|(_, node)| size(node)).expect("files");
    // Its first name is then one of the oddities, and the toolchain's a link to it.
    plant_oddities(&root.join("odd"), &root.join(largest));
    largest.clone()
}

/// A self-signed certificate as idpbuilder makes them: an authority that is also the leaf.
fn certificate() -> (String, String) {
    let names = ["*.cnoe.localtest.me", "127.0.0.1"].map(str::to_owned);
    let mut parameters = rcgen::CertificateParams::new(names).expect("names");
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().expect("a key");
    (parameters.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
}

/// Copies an image out of the registry into an image layout, with skopeo. Answers its digest.
fn fetch(source: &str, certificates: &Path, layout: &Path) -> String {
    let digest = layout.with_extension("digest");
    let mut skopeo = Command::new("skopeo");
    // That policy is about signatures, which nothing has here; TLS is verified.
    skopeo.args(["--insecure-policy", "copy", "--src-cert-dir"]).arg(certificates);
    skopeo.args(["--src-creds", &format!("{USER}:{}", SECRETS[0]), "--digestfile"]).arg(&digest);
    run(skopeo.args([source, &format!("oci:{}:tree", layout.display())]));
    fs::read_to_string(digest).expect("written").trim().to_owned()
}

/// Unpacks a layout's image into `rootfs` below `bundle`, with umoci.
fn unpack(layout: &Path, bundle: &Path) {
    // Owners are all that an unpacking without root's rights leaves out, and they are not compared.
    let rootless = (!rustix::process::geteuid().is_root()).then_some("--rootless");
    let image = format!("{}:tree", layout.display());
    run(Command::new("umoci").arg("unpack").args(rootless).args(["--image", &image]).arg(bundle));
}

/// `idpbuilder-save NAME | docker load`.
fn load(sandbox: &Sandbox, name: &str) -> Loaded {
    let mut save = sandbox.command(&["idpbuilder-save", name]);
    let mut save = save.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let archive = save.stdout.take().expect("piped");
    let load = Command::new("docker").arg("load").stdin(archive).output().expect("docker is installed");
    // Whatever went wrong, nothing is left behind.
    let loaded = Loaded(name.to_owned());
    let save = save.wait_with_output().expect("waited for");
    assert!(save.status.success(), "{}: {}", save.status, String::from_utf8_lossy(&save.stderr));
    assert!(load.status.success(), "{}: {}", load.status, String::from_utf8_lossy(&load.stderr));
    let told = String::from_utf8_lossy(&load.stdout).into_owned();
    assert!(told.contains(&format!("Loaded image: {name}")), "{told}");
    loaded
}

/// `docker run NAME ARGUMENTS`, with nothing but the image.
fn in_container(name: &str, arguments: &[&str]) -> String {
    let options = ["run", "--rm", "--pull=never", "--network=none", name];
    text(Command::new("docker").args(options).args(arguments))
}

/// Numbers for people; `--nocapture` shows them.
fn tell(what: &str, measured: &Measured) {
    println!("{what}: {:.1} s, at most {} KiB", measured.took.as_secs_f64(), measured.peak >> 10);
}

fn string(path: &Path) -> &str {
    path.to_str().expect("text")
}

#[test]
#[ignore = "needs docker-registry, skopeo, umoci and a Docker Engine; bin/test runs it"]
fn a_real_tree_arrives_whole_in_little_memory() {
    // Beside the build: a temporary file system may be in memory.
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let path = |name: &str| scratch.path().join(name);
    let tree = path("tree");
    let largest = plant(&tree);
    let planted = snapshot(&tree);
    println!("{} paths below {}", planted.len(), tree.display());
    let (certificate, key) = certificate();
    fs::create_dir(path("certificates")).expect("created");
    let authority = path("certificates/registry.crt");
    fs::write(&authority, &certificate).expect("written");
    let login = Some((USER, SECRETS[0]));
    let registry = DockerRegistry::start(&Options { login, tls: Some((certificate, key)) });
    let mut sandbox = Sandbox::new();
    sandbox.set("HOME", path("home"));
    fs::create_dir(path("home")).expect("created");

    let name = unique("real-tree");
    let digest_built = path("digest-built");
    let (context, result) = (string(&tree), string(&digest_built));
    let words = ["idpbuilder-build", context, "-t", &name, "--entrypoint", "/bin/busybox", "--digestfile", result];
    let build = measured::run(sandbox.command(&words), &digest_built);
    tell("build", &build);
    assert!(build.stdout.starts_with(&format!("Image saved to local store: {name}\n")), "{}", build.stdout);
    let digest = fs::read_to_string(&digest_built).expect("written");
    let layers = build.stdout.lines().find_map(|line| line.strip_prefix("  layers ")).expect("a number");
    let layers: usize = layers.trim().parse().expect("a number");
    assert!((4..=32).contains(&layers), "{layers} layers");
    // The layout file, the index, the manifest, the configuration and the layers.
    assert_eq!(check_layout(&path("home/.idpbuilder/images")), Ok(4 + layers));

    // What no DNS server has to be asked for, and what skopeo can resolve.
    let repository = format!("gitea.cnoe.localtest.me:{}/team/tree", registry.port());
    let source = format!("docker://{}/team/tree:v1", registry.host());
    sandbox.set("IDPBUILDER_REGISTRY_USERNAME", USER);
    sandbox.set("IDPBUILDER_REGISTRY_PASSWORD", SECRETS[0]);
    let destination = format!("{repository}:v1");
    // Without the certificate nothing is trusted, and nothing sent.
    let refused = sandbox.run(&["idpbuilder-push", &name, &destination]).failure(3);
    assert!(refused.contains("certificate"), "{refused}");
    let digest_pushed = path("digest-pushed");
    let (trusted, result) = (string(&authority), string(&digest_pushed));
    let words = ["idpbuilder-push", &name, &destination, "--ca-file", trusted, "--digestfile", result];
    let push = measured::run(sandbox.command(&words), &digest_pushed);
    tell("push", &push);
    assert_eq!(push.stdout, format!("{repository}@{digest}\n"));
    for shown in [&build.stdout, &build.stderr, &push.stdout, &push.stderr] {
        assert!(!shown.contains(SECRETS[0]), "a secret was printed:\n{shown}");
    }
    for (what, measured) in [("build", &build), ("push", &push)] {
        assert!(measured.peak < MOST_MEMORY, "{what} used {} KiB", measured.peak >> 10);
    }

    assert_eq!(fetch(&source, &path("certificates"), &path("layout")), digest);
    drop(registry);
    unpack(&path("layout"), &path("bundle"));
    assert_same(&snapshot(&path("bundle/rootfs")), &planted);

    let loaded = load(&sandbox, &name);
    let count = |wanted: fn(&Node) -> bool| planted.values().filter(|node| wanted(node)).count();
    let files = count(|node| matches!(node, Node::File { .. }));
    let directories = count(|node| matches!(node, Node::Directory { .. }));
    let symlinks = count(|node| matches!(node, Node::Symlink { .. }));
    let Node::File { content, .. } = &planted[&largest] else { panic!("{} is a file", largest.display()) };
    let script = "for kind in f d l; do busybox find /bin /odd /toolchain -type $kind | busybox wc -l; done; \
                  busybox stat -c '%a %h' /odd/setuid /odd/shared/zz-last; busybox sha256sum \"$1\"";
    let largest = format!("/{}", string(&largest));
    let shown = in_container(&name, &["sh", "-c", &format!("PATH=/bin; {script}"), "sh", &largest]);
    let sum = content.hex();
    assert_eq!(shown, format!("{files}\n{directories}\n{symlinks}\n4755 1\n444 3\n{sum}  {largest}"));
    drop(loaded);
}

#[test]
#[ignore = "needs a Docker Engine; bin/test runs it"]
fn what_is_built_and_saved_runs() {
    let sandbox = Sandbox::new();
    sandbox.file("app/greeting", "hello from a directory\n");
    sandbox.file("app/bin/cat", fs::read("/bin/busybox").expect("busybox-static is installed"));
    mode(&sandbox.work().join("app/bin/cat"), 0o755);
    let name = unique("saved");
    let words = ["idpbuilder-build", "app", "-t", &name, "--cmd", "/bin/cat /greeting"];
    let told = sandbox.run(&words).success();
    assert!(told.starts_with(&format!("Image saved to local store: {name}\n")), "{told}");
    assert_eq!(check_layout(&sandbox.store()), Ok(5));
    let loaded = load(&sandbox, &name);
    assert_eq!(in_container(&name, &[]), "hello from a directory");
    drop(loaded);
}
