//! `podman load` and `podman save`, with storage of its own for each test.

use std::process::Command;

use idpbuilder_oci::ops::archive::ArchiveFormat;

use super::images::{Sandbox, busybox, tree, unique};
use super::programs::{load_from, run, save_file, save_into, text};

/// Podman over storage in the sandbox; the vfs driver needs nothing of the kernel.
pub(crate) fn podman(sandbox: &Sandbox) -> Command {
    let mut command = Command::new("podman");
    command.args(["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--root"]);
    command.arg(sandbox.path("podman")).arg("--runroot").arg(sandbox.path("podman-run"));
    command
}

#[test]
#[ignore = "needs Podman; bin/test runs it"]
fn podman_loads_both_formats_from_a_pipe() {
    for format in [ArchiveFormat::Docker, ArchiveFormat::Oci] {
        let sandbox = Sandbox::new();
        let name = unique("podman");
        let (_, document) = tree(&sandbox, &[&name]);
        let told = save_into(&sandbox.store, &[&name], format, podman(&sandbox).arg("load"));
        assert!(told.contains(&name), "{format:?}: {told}");
        let id = document.manifest().expect("a manifest").config.digest;
        let shown = text(podman(&sandbox).args(["image", "inspect", "--format", "{{.Id}} {{.NamesHistory}}", &name]));
        assert!(shown.starts_with(&id.hex()), "{format:?}: {shown}");
    }
}

#[test]
#[ignore = "needs Podman; bin/test runs it"]
fn podman_loads_several_images_and_one_without_a_name() {
    let sandbox = Sandbox::new();
    let (one, two) = (unique("one"), unique("two"));
    let (_, tree) = tree(&sandbox, &[&one]);
    busybox(&sandbox, &[&two], &["true"]);
    let file = sandbox.path("images.tar");
    save_file(&sandbox.store, &[&one, &two], ArchiveFormat::Docker, &file);
    run(podman(&sandbox).arg("load").arg("--input").arg(&file));
    for name in [&one, &two] {
        run(podman(&sandbox).args(["image", "exists", name]));
    }
    let nameless = Sandbox::new();
    for format in [ArchiveFormat::Docker, ArchiveFormat::Oci] {
        save_into(&sandbox.store, &[&tree.digest().to_string()], format, podman(&nameless).arg("load"));
    }
    let id = tree.manifest().expect("a manifest").config.digest.hex();
    run(podman(&nameless).args(["image", "exists", &id]));
}

#[test]
#[ignore = "needs Podman; bin/test runs it"]
fn what_podman_saves_loads_here() {
    let sandbox = Sandbox::new();
    let name = unique("back");
    let (_, document) = tree(&sandbox, &[&name]);
    save_into(&sandbox.store, &[&name], ArchiveFormat::Docker, podman(&sandbox).arg("load"));
    let id = document.manifest().expect("a manifest").config.digest;
    for format in ["docker-archive", "oci-archive"] {
        let back = Sandbox::new();
        let outcome = load_from(&back.store, podman(&sandbox).args(["save", "--format", format, &name]));
        let [(Some(loaded), digest)] = outcome.images.as_slice() else { panic!("{format}: {outcome:?}") };
        assert_eq!(loaded.to_string(), format!("localhost/{name}"), "{format}");
        let selection = back.store.resolve(&digest.to_string()).expect("there");
        let image = back.store.image(&name, &selection.descriptor, None).expect("reads");
        assert_eq!(image.config.rootfs.diff_ids.len(), 2, "{format}");
        // Podman rewrites configurations on the way to OCI only.
        if format == "docker-archive" {
            assert_eq!(image.manifest.config.digest, id);
        }
    }
}
