//! skopeo and umoci on archives of ours and on the store in place.

use std::process::Command;

use idpbuilder_oci::image::Digest;
use idpbuilder_oci::ops::archive::{self, ArchiveFormat};
use idpbuilder_oci::progress::{Interrupt, Silent};

use super::images::{Sandbox, busybox, tree, unique};
use super::programs::{run, save_file, text};
use super::trees::snapshot;

pub(crate) fn skopeo() -> Command {
    let mut command = Command::new("skopeo");
    command.arg("--insecure-policy");
    command
}

#[test]
#[ignore = "needs skopeo; bin/test runs it"]
fn skopeo_reads_archives_and_the_store_in_place() {
    let sandbox = Sandbox::new();
    let (name, other) = (unique("skopeo"), unique("other"));
    let (_, document) = tree(&sandbox, &[&name]);
    busybox(&sandbox, &[&other], &["true"]);
    let (docker, oci) = (sandbox.path("docker.tar"), sandbox.path("oci.tar"));
    save_file(&sandbox.store, &[&name, &other], ArchiveFormat::Docker, &docker);
    save_file(&sandbox.store, &[&name, &other], ArchiveFormat::Oci, &oci);
    let manifest = document.manifest().expect("a manifest");
    let in_place = format!("oci:{}:{name}", sandbox.store.root().display());
    for source in [in_place.clone(), format!("oci-archive:{}:{name}", oci.display())] {
        let raw = run(skopeo().args(["inspect", "--raw", &source]));
        assert_eq!(Digest::of(&raw), document.digest(), "{source}");
        let config = run(skopeo().args(["inspect", "--raw", "--config", &source]));
        assert_eq!(Digest::of(&config), manifest.config.digest, "{source}");
    }
    // Skopeo reads the name of a Docker archive's image as Docker does.
    let source = format!("docker-archive:{}:{name}", docker.display());
    let config = run(skopeo().args(["inspect", "--raw", "--config", &source]));
    assert_eq!(Digest::of(&config), manifest.config.digest);
    for (number, source) in [source, in_place, format!("oci-archive:{}:{name}", oci.display())].iter().enumerate() {
        let copy = format!("dir:{}", sandbox.path(&format!("copy-{number}")).display());
        run(skopeo().args(["copy", source, &copy]));
    }
}

#[test]
#[ignore = "needs skopeo; bin/test runs it"]
fn what_skopeo_writes_loads_here() {
    let sandbox = Sandbox::new();
    let name = unique("written");
    let (_, document) = tree(&sandbox, &[&name]);
    let source = format!("oci:{}:{name}", sandbox.store.root().display());
    let manifest = document.manifest().expect("a manifest");
    for transport in ["docker-archive", "oci-archive"] {
        let file = sandbox.path(transport);
        run(skopeo().args(["copy", &source, &format!("{transport}:{}:reg.example/{name}", file.display())]));
        let back = Sandbox::new();
        let archive = std::fs::File::open(&file).expect("written");
        let outcome = archive::load(&back.store, archive, "2026-01-02T03:04:05Z", None, &Silent, &Interrupt::default())
            .expect(transport);
        let [(Some(loaded), digest)] = outcome.images.as_slice() else { panic!("{transport}: {outcome:?}") };
        assert_eq!(loaded.to_string(), format!("reg.example/{name}"), "{transport}");
        if transport == "oci-archive" {
            assert_eq!(*digest, document.digest());
        }
        let selection = back.store.resolve(&loaded.to_string()).expect("there");
        let image = back.store.image(&name, &selection.descriptor, None).expect("reads");
        assert_eq!(image.manifest.config.digest, manifest.config.digest, "{transport}");
    }
}

#[test]
#[ignore = "needs umoci; bin/test runs it"]
fn umoci_unpacks_the_store_in_place() {
    let sandbox = Sandbox::new();
    let (root, _) = tree(&sandbox, &["tree"]);
    let image = |tag: &str| format!("{}:{tag}", sandbox.store.root().display());
    let listed = text(Command::new("umoci").args(["ls", "--layout"]).arg(sandbox.store.root()));
    assert_eq!(listed, "tree:latest");
    let bundle = sandbox.path("bundle");
    run(Command::new("umoci").args(["unpack", "--image", &image("tree:latest")]).arg(&bundle));
    assert_eq!(snapshot(&bundle.join("rootfs")), snapshot(&root));
}
