//! The example of a push with the library alone, against Debian's docker-registry.

#[path = "../../examples/push_directory.rs"]
#[expect(dead_code, reason = "its `main` belongs to the example")]
mod push_directory;

use idpbuilder_oci::image::Reference;
use idpbuilder_oci::ops::push::Destination;
use idpbuilder_oci::tls::TlsPolicy;

use crate::docker_registry::{DockerRegistry, Options};

#[tokio::test]
async fn the_example_pushes_a_directory() {
    let server = DockerRegistry::start(&Options::default());
    let (context, store) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    std::fs::write(context.path().join("index.html"), "hello").expect("written");
    let reference = format!("{}/team/site:v1", server.host()).parse().expect("a reference");
    let destination = Destination { reference, policy: TlsPolicy::Plaintext, credential: None };
    let images = store.path().join("images");
    let pushed = push_directory::push_directory(context.path().to_owned(), &images, destination).await;
    let pinned: Reference = pushed.expect("pushed").parse().expect("a reference");
    assert_eq!((pinned.registry(), pinned.repository()), (Some(&*server.host()), "team/site"));
    assert!(pinned.digest().is_some(), "{pinned}");
}
