//! Where sources land on a base, as those see it who unpack the layers: an engine, Podman and umoci.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tar::{EntryType, Header};

use super::docker::Loaded;
use super::images::unique;
use super::programs::{run, text};
use super::sandbox::Sandbox;
use super::trees::{Node, Tree, of_tar, survey};

/// Flags for an image without a context's directory, and with one.
const WAYS: [&[&str]; 5] = [
    &["--copy", "tool:/bin/", "--copy", "tool:/tmp/x", "--copy", "tool:/var/www/y"],
    &["tree", "--copy-to", "/bin", "--copy", "tree:/tmp/x", "--copy", "tree:/www/y"],
    &["app"],
    &["--add-tar", "app.tar"],
    &["--add-tar", "tree.tar:/bin", "--add-tar", "tree.tar:/tmp/x", "--add-tar", "tree.tar:/www/y"],
];

/// A sandbox with the image `base:v1`, in which `/bin` and `/www` are links, and sources with a `tool` for `/bin`,
/// something for `/tmp` and something for `/var/www`.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let busybox = std::fs::read("/bin/busybox").expect("busybox-static is installed");
    let mut builder = tar::Builder::new(Vec::new());
    let header = |kind: EntryType, mode: u32, owner: u64| {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(owner);
        header.set_gid(owner);
        header.set_mtime(1_700_000_000);
        header.set_size(0);
        header
    };
    for (mode, owner, name) in
        [(0o755, 0, "usr"), (0o755, 0, "usr/bin"), (0o1777, 0, "tmp"), (0o755, 0, "var"), (0o2750, 33, "var/www")]
    {
        let mut header = header(EntryType::Directory, mode, owner);
        builder.append_data(&mut header, format!("{name}/"), std::io::empty()).expect("in memory");
    }
    for (name, target) in [("bin", "usr/bin"), ("www", "/var/www")] {
        builder.append_link(&mut header(EntryType::Symlink, 0o777, 0), name, target).expect("in memory");
    }
    let mut file = header(EntryType::Regular, 0o755, 0);
    file.set_size(busybox.len() as u64);
    builder.append_data(&mut file, "usr/bin/busybox", &busybox[..]).expect("in memory");
    sandbox.file("base.tar", builder.into_inner().expect("in memory"));
    let words = ["idpbuilder-build", "-t", "base:v1", "-q", "--entrypoint", "/bin/busybox", "--add-tar"];
    sandbox.run(&[&words[..], &["base.tar:/,keep"]].concat()).success();
    for path in ["tool", "tree/tool", "app/bin/tool", "app/tmp/x/tool", "app/www/y/tool"] {
        let path = sandbox.file(path, &busybox);
        let set = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("mode");
        set(&path, 0o755);
        set(path.parent().expect("inside"), 0o755);
    }
    // What a source says of a directory counts: this one says the same.
    std::fs::set_permissions(sandbox.work().join("app/tmp"), PermissionsExt::from_mode(0o1777)).expect("mode");
    let tar = |arguments: &[&str]| run(Command::new("tar").arg("-C").arg(sandbox.work()).args(arguments));
    // Without entries for the directories.
    let files = ["bin/tool", "tmp/x/tool", "www/y/tool"];
    sandbox.file("app.tar", tar(&[&["-cf", "-", "-C", "app"], &files[..]].concat()));
    sandbox.file("tree.tar", tar(&["-cf", "-", "-C", "tree", "tool"]));
    sandbox
}

/// Builds on the base and answers the file to load.
fn build(sandbox: &Sandbox, name: &str, flags: &[&str]) -> PathBuf {
    let words = ["idpbuilder-build", "-t", name, "-q", "--from", "base:v1"];
    sandbox.run(&[&words, flags].concat()).success();
    sandbox.run(&["idpbuilder-save", name, "-q", "-o", "image.tar"]).success();
    sandbox.work().join("image.tar")
}

fn check(tree: &Tree, flags: &[&str]) {
    let at = |path: &str| &tree.get(Path::new(path)).unwrap_or_else(|| panic!("{flags:?}: no {path}")).node;
    for (path, mode) in [("tmp", 0o1777), ("var/www", 0o2750), ("usr/bin", 0o755)] {
        assert_eq!(at(path), &Node::Directory { mode }, "{flags:?}: {path}");
    }
    for (path, target) in [("bin", "usr/bin"), ("www", "/var/www")] {
        assert_eq!(at(path), &Node::Symlink { target: target.into() }, "{flags:?}: {path}");
    }
    for path in ["usr/bin/busybox", "usr/bin/tool", "tmp/x", "var/www/y"] {
        at(path);
    }
}

#[test]
#[ignore = "needs a Docker Engine; bin/test runs it"]
fn docker_finds_the_base_as_it_was() {
    let sandbox = sandbox();
    for flags in WAYS {
        let image = Loaded(unique("landing"));
        let file = build(&sandbox, &image.0, flags);
        let docker = |arguments: &[&str]| text(Command::new("docker").args(arguments));
        run(Command::new("docker").args(["load", "-q", "-i"]).arg(file));
        let container = docker(&["create", &image.0]);
        let exported = run(Command::new("docker").args(["export", &container]));
        docker(&["rm", &container]);
        check(&of_tar(&exported), flags);
        let stat = ["run", "--rm", &image.0, "stat", "-c", "%n %a %u:%g", "/tmp", "/var/www", "/usr/bin"];
        assert_eq!(docker(&stat), "/tmp 1777 0:0\n/var/www 2750 33:33\n/usr/bin 755 0:0", "{flags:?}");
        docker(&["run", "--rm", &image.0, "test", "-x", "/bin/tool"]);
    }
}

#[test]
#[ignore = "needs Podman; bin/test runs it"]
fn podman_finds_the_base_as_it_was() {
    let sandbox = sandbox();
    let storage = super::images::Sandbox::new();
    for flags in WAYS {
        let name = unique("landing");
        let file = build(&sandbox, &name, flags);
        let podman = || super::podman::podman(&storage);
        run(podman().args(["load", "-q", "-i"]).arg(file));
        let container = text(podman().args(["create", &name]));
        check(&of_tar(&run(podman().args(["export", &container]))), flags);
    }
}

#[test]
#[ignore = "needs umoci; bin/test runs it"]
fn umoci_finds_the_base_as_it_was() {
    let sandbox = sandbox();
    for (number, flags) in WAYS.iter().enumerate() {
        build(&sandbox, &format!("app:v{number}"), flags);
        let bundle = sandbox.work().join(format!("bundle-{number}"));
        let image = format!("{}:app:v{number}", sandbox.store().display());
        run(Command::new("umoci").args(["unpack", "--rootless", "--image", &image]).arg(&bundle));
        check(&survey(&bundle.join("rootfs")), flags);
    }
}
