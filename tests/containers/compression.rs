//! Every compression of a layer, unpacked by those who read it, against the tree it was made of.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use idpbuilder_oci::archive::ArchiveFormat;
use idpbuilder_oci::build::{Compression, Format, Layers};
use idpbuilder_oci::image::ContainerConfig;

use super::docker::Loaded;
use super::images::{Sandbox, build_as, tree, unique};
use super::programs::{run, save_into, text};
use super::trees::{Node, of_tar, snapshot};

/// A tree that takes several blocks of each format, some of which do not compress.
fn planted(sandbox: &Sandbox) -> PathBuf {
    let (root, _) = tree(sandbox, &["planted"]);
    let text: Vec<u8> = (0..1_500_000_u32).flat_map(|i| format!("{} ", i / 3).into_bytes()).collect();
    std::fs::write(root.join("text"), &text).expect("written");
    let mut state = 7_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()
    })
    .take(400_000)
    .flat_map(|bytes| [bytes[0], bytes[1], bytes[2], bytes[3]])
    .collect();
    std::fs::write(root.join("noise"), noise).expect("written");
    root
}

fn built(sandbox: &Sandbox, root: &Path, format: Format, name: &str) {
    let compression = Compression::new(format, None).expect("the default level");
    build_as(sandbox, root, ContainerConfig::default(), &[name], (compression, Layers::Auto));
}

fn has_all(unpacked: &BTreeMap<PathBuf, Node>, root: &Path, who: &str) {
    for (path, node) in snapshot(root) {
        assert!(unpacked.get(&path) == Some(&node), "{who}: {}", path.display());
    }
}

#[test]
#[ignore = "needs umoci; bin/test runs it"]
fn umoci_unpacks_gzip_and_plain_tar() {
    let sandbox = Sandbox::new();
    let root = planted(&sandbox);
    for (format, name) in [(Format::Gzip, "gzip"), (Format::None, "none")] {
        built(&sandbox, &root, format, name);
        let bundle = sandbox.path(&format!("bundle-{name}"));
        let image = format!("{}:{name}:latest", sandbox.store.root().display());
        run(Command::new("umoci").args(["unpack", "--rootless", "--image", &image]).arg(&bundle));
        assert!(snapshot(&bundle.join("rootfs")) == snapshot(&root), "{name}");
    }
}

#[test]
#[ignore = "needs a Docker Engine; bin/test runs it"]
fn docker_unpacks_gzip_and_plain_tar() {
    let sandbox = Sandbox::new();
    let root = planted(&sandbox);
    for format in [Format::Gzip, Format::None] {
        let loaded = Loaded(unique("compression"));
        built(&sandbox, &root, format, &loaded.0);
        save_into(&sandbox.store, &[&loaded.0], ArchiveFormat::Docker, Command::new("docker").arg("load"));
        let container = text(Command::new("docker").args(["create", &loaded.0, "/never-started"]));
        let tar = run(Command::new("docker").args(["export", &container]));
        run(Command::new("docker").args(["rm", &container]));
        has_all(&of_tar(&tar), &root, "docker");
    }
}

#[test]
#[ignore = "needs Podman; bin/test runs it"]
fn podman_unpacks_every_format() {
    let sandbox = Sandbox::new();
    let root = planted(&sandbox);
    for format in [Format::Gzip, Format::Zstd, Format::None] {
        let name = unique("compression");
        built(&sandbox, &root, format, &name);
        let podman = || super::podman::podman(&sandbox);
        save_into(&sandbox.store, &[&name], ArchiveFormat::Oci, podman().arg("load"));
        let container = text(podman().args(["create", &name, "/never-started"]));
        let tar = run(podman().args(["export", &container]));
        has_all(&of_tar(&tar), &root, "podman");
    }
}

#[test]
#[ignore = "needs zstd and GNU gzip; bin/test runs it"]
fn the_formats_own_programs_read_it() {
    let sandbox = Sandbox::new();
    let root = planted(&sandbox);
    for (format, program) in [(Format::Gzip, "gzip"), (Format::Zstd, "zstd")] {
        built(&sandbox, &root, format, program);
        let selection = sandbox.store.resolve(program).expect("built");
        let image = sandbox.store.image(program, &selection.descriptor, None).expect("reads");
        let blob = sandbox.store.blob_path(image.manifest.layers[0].digest);
        let input = std::fs::File::open(blob).expect("stored");
        let output = Command::new(program).args(["-dc"]).stdin(input).output().expect(program);
        assert!(output.status.success(), "{program}: {output:?}");
        has_all(&of_tar(&output.stdout), &root, program);
    }
}
