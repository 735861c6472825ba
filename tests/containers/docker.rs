//! `docker load` and `docker save`, and containers of our images on a real engine.

use std::process::Command;

use idpbuilder_oci::image::Digest;
use idpbuilder_oci::ops::archive::ArchiveFormat;
use testcontainers::core::WaitFor;
use testcontainers::core::wait::ExitWaitStrategy;
use testcontainers::runners::AsyncRunner;
use testcontainers::{GenericImage, ImageExt};

use super::images::{Sandbox, busybox, tree, unique};
use super::programs::{load_from, save_into, text};

/// An image in the engine, removed when the test ends.
pub(crate) struct Loaded(pub(crate) String);

impl Drop for Loaded {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["image", "rm", "--force", &self.0]).output();
    }
}

fn docker() -> Command {
    Command::new("docker")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Docker Engine; bin/test runs it"]
async fn docker_runs_what_it_loaded_from_us() {
    let sandbox = Sandbox::new();
    let name = unique("run");
    busybox(&sandbox, &[&name], &["sh", "-c", "echo $GREETING"]);
    let loaded = Loaded(name.clone());
    let told = save_into(&sandbox.store, &[&name], ArchiveFormat::Docker, docker().arg("load"));
    assert!(told.contains(&format!("Loaded image: {name}")), "{told}");
    let (repository, tag) = name.rsplit_once(':').expect("tagged");
    let exited = WaitFor::exit(ExitWaitStrategy::new().with_exit_code(0));
    let container = GenericImage::new(repository, tag).with_wait_for(exited.clone()).start().await.expect("runs");
    assert_eq!(container.stdout_to_vec().await.expect("output"), b"hello from the image\n");
    container.rm().await.expect("removed");
    let container = GenericImage::new(repository, tag).with_wait_for(exited).with_cmd(["echo", "another", "command"]);
    let container = container.start().await.expect("runs");
    assert_eq!(container.stdout_to_vec().await.expect("output"), b"another command\n");
    container.rm().await.expect("removed");
    drop(loaded);
}

#[test]
#[ignore = "needs a Docker Engine; bin/test runs it"]
fn docker_keeps_ids_and_names_and_gives_back_the_same_layers() {
    let sandbox = Sandbox::new();
    let (one, two, three) = (unique("one"), unique("two"), unique("three"));
    let (_, document) = tree(&sandbox, &[&one, &two]);
    busybox(&sandbox, &[&three], &["true"]);
    let loaded = [&one, &two, &three].map(|name| Loaded(name.clone()));
    save_into(&sandbox.store, &[&one, &two, &three], ArchiveFormat::Docker, docker().arg("load"));
    let id = document.manifest().expect("a manifest").config.digest;
    for name in [&one, &two] {
        let shown = text(docker().args(["image", "inspect", "--format", "{{.Id}} {{json .RepoTags}}", name]));
        let (shown_id, names) = shown.split_once(' ').expect("two fields");
        assert_eq!(shown_id.parse::<Digest>().expect("a digest"), id);
        assert!(names.contains(&one) && names.contains(&two), "{names}");
    }
    let back = Sandbox::new();
    let outcome = load_from(&back.store, docker().args(["save", &one, &two, &three]));
    let mut names: Vec<String> =
        outcome.images.iter().map(|(name, _)| name.clone().expect("named").to_string()).collect();
    names.sort();
    let mut expected = vec![one.clone(), two, three];
    expected.sort();
    assert_eq!(names, expected);
    let image = |sandbox: &Sandbox| {
        let selection = sandbox.store.resolve(&one).expect("there");
        sandbox.store.image(&one, &selection.descriptor, None).expect("reads")
    };
    let (ours, theirs) = (image(&sandbox), image(&back));
    assert_eq!(theirs.config_bytes, ours.config_bytes);
    assert_eq!(theirs.manifest.layers.len(), 2);
    drop(loaded);
}

#[test]
#[ignore = "needs a Docker Engine; bin/test runs it"]
fn docker_takes_an_image_without_a_name() {
    let sandbox = Sandbox::new();
    let document = busybox(&sandbox, &[&unique("nameless")], &["true"]);
    let id = document.manifest().expect("a manifest").config.digest.to_string();
    let loaded = Loaded(id.clone());
    let told = save_into(&sandbox.store, &[&id], ArchiveFormat::Docker, docker().arg("load"));
    assert!(told.contains(&format!("Loaded image ID: {id}")), "{told}");
    assert_eq!(text(docker().args(["image", "inspect", "--format", "{{json .RepoTags}}", &id])), "[]");
    let back = Sandbox::new();
    let outcome = load_from(&back.store, docker().args(["save", &id]));
    assert_eq!(outcome.images.len(), 1);
    assert_eq!(outcome.images[0].0, None);
    back.store.prune().expect("pruned");
    back.store.resolve(&id).expect("kept by its id");
    drop(loaded);
}
