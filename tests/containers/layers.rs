//! Images of several layers, unpacked by those who read them, against the tree they were made of.

use std::path::PathBuf;
use std::process::Command;

use idpbuilder_oci::archive::ArchiveFormat;
use idpbuilder_oci::build::{Compression, Format, Layers};
use idpbuilder_oci::image::ContainerConfig;

use super::docker::Loaded;
use super::images::{Sandbox, build_as, unique};
use super::programs::{run, save_into, text};
use super::trees::{of_tar, plant, snapshot};

/// Every kind of file, and enough of them that no way to cut leaves it whole.
fn planted(sandbox: &Sandbox) -> PathBuf {
    let root = sandbox.path("tree");
    plant(&root);
    let mut state = 7_u64;
    for number in 0..12 {
        let directory = root.join(format!("data/{}", number % 3));
        std::fs::create_dir_all(&directory).expect("created");
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        });
        let content: Vec<u8> = noise.take(4 << 20).collect();
        std::fs::write(directory.join(format!("part-{number}")), content).expect("written");
    }
    std::fs::hard_link(root.join("data/0/part-0"), root.join("zz-part")).expect("linked");
    root
}

/// Builds the tree, and answers how many layers it has.
fn built(sandbox: &Sandbox, root: &std::path::Path, layers: Layers, format: Format, name: &str) -> usize {
    let compression = Compression::new(format, None).expect("the default level");
    let document = build_as(sandbox, root, ContainerConfig::default(), &[name], (compression, layers));
    document.manifest().expect("an image").layers.len()
}

#[test]
#[ignore = "needs umoci; bin/test runs it"]
fn umoci_unpacks_any_number_of_layers() {
    let sandbox = Sandbox::new();
    let root = planted(&sandbox);
    let source = snapshot(&root);
    for (what, layers, least, most) in
        [("single", Layers::AtMost(1), 1, 1), ("auto", Layers::Auto, 2, 32), ("five", Layers::AtMost(5), 2, 5)]
    {
        for (format, name) in [(Format::Gzip, "gzip"), (Format::None, "none")] {
            let name = format!("{what}-{name}");
            let count = built(&sandbox, &root, layers, format, &name);
            assert!((least..=most).contains(&count), "{name}: {count}");
            let bundle = sandbox.path(&format!("bundle-{name}"));
            let image = format!("{}:{name}:latest", sandbox.store.root().display());
            run(Command::new("umoci").args(["unpack", "--rootless", "--image", &image]).arg(&bundle));
            assert!(snapshot(&bundle.join("rootfs")) == source, "{name}");
            std::fs::remove_dir_all(&bundle).expect("removed");
        }
    }
}

#[test]
#[ignore = "needs Podman; bin/test runs it"]
fn podman_unpacks_any_number_of_layers() {
    let sandbox = Sandbox::new();
    let root = planted(&sandbox);
    let source = snapshot(&root);
    for (layers, least) in [(Layers::AtMost(1), 1), (Layers::Auto, 2), (Layers::AtMost(5), 2)] {
        let name = unique("layers");
        assert!(built(&sandbox, &root, layers, Format::Zstd, &name) >= least, "{layers:?}");
        let podman = || super::podman::podman(&sandbox);
        save_into(&sandbox.store, &[&name], ArchiveFormat::Oci, podman().arg("load"));
        let container = text(podman().args(["create", &name, "/never-started"]));
        let unpacked = of_tar(&run(podman().args(["export", &container])));
        for (path, node) in &source {
            assert!(unpacked.get(path) == Some(node), "{layers:?}: {}", path.display());
        }
    }
}

#[test]
#[ignore = "needs a Docker Engine; bin/test runs it"]
fn docker_unpacks_any_number_of_layers() {
    let sandbox = Sandbox::new();
    let root = planted(&sandbox);
    let source = snapshot(&root);
    for layers in [Layers::Auto, Layers::AtMost(5)] {
        let loaded = Loaded(unique("layers"));
        assert!(built(&sandbox, &root, layers, Format::Gzip, &loaded.0) > 1, "{layers:?}");
        save_into(&sandbox.store, &[&loaded.0], ArchiveFormat::Docker, Command::new("docker").arg("load"));
        let container = text(Command::new("docker").args(["create", &loaded.0, "/never-started"]));
        let tar = run(Command::new("docker").args(["export", &container]));
        run(Command::new("docker").args(["rm", &container]));
        let unpacked = of_tar(&tar);
        for (path, node) in &source {
            assert!(unpacked.get(path) == Some(node), "{layers:?}: {}", path.display());
        }
    }
}
