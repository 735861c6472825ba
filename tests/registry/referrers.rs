//! Manifests about other manifests, at registries that keep no list of them.

use std::collections::BTreeMap;

use idpbuilder_oci::image::{Content, Descriptor, Document, Index, Manifest, media_type};
use idpbuilder_oci::registry::{RegistryError, Target};

use crate::docker_registry::{DockerRegistry, Options};
use crate::fixture::{TestStore, push_config, registry, registry_error};

/// An image about `subject`, stored as `name`.
fn about(local: &TestStore, name: &str, subject: &Document, note: &str) -> Document {
    let lease = local.store.lease().expect("a lease");
    let config = local.store.put(&lease, "application/vnd.oci.empty.v1+json", b"{}").expect("stored");
    let layer = local.store.put(&lease, "application/spdx+json", note.as_bytes()).expect("stored");
    let annotations = BTreeMap::from([("org.example.note".to_owned(), note.to_owned())]);
    let manifest = Manifest {
        artifact_type: Some("application/vnd.example.sbom".to_owned()),
        subject: Some(subject.descriptor.clone()),
        ..Manifest::new(config, vec![layer], annotations)
    };
    let document = Document::from_manifest(manifest);
    local.store.put(&lease, media_type::IMAGE_MANIFEST, &document.bytes).expect("stored");
    local.store.publish(&lease, &document, &[name.parse().expect("a name")], None).expect("published");
    document
}

fn list_tag(subject: &Document) -> String {
    subject.digest().to_string().replace(':', "-")
}

async fn listed(host: &str, subject: &Document) -> Vec<Descriptor> {
    let tag = list_tag(subject);
    let list = registry(host, None).get_manifest("team/app", Target::Tag(&tag)).await.expect("a list");
    let Content::Index(index) = list.content else { panic!("an index") };
    index.manifests
}

#[tokio::test]
async fn what_refers_to_a_manifest_is_listed_under_its_tag() {
    let server = DockerRegistry::start(&Options::default());
    let local = TestStore::new();
    let subject = local.image("app", &[vec![1; 10]]);
    let notes = [about(&local, "one", &subject, "first"), about(&local, "two", &subject, "second")];
    for (name, tag) in [("app", "v1"), ("one", "one"), ("two", "two"), ("two", "two")] {
        let name = push_config(name, &[&format!("{}/team/app:{tag}", server.host())], None);
        local.push(name).await.expect("pushed");
    }
    let found = listed(&server.host(), &subject).await;
    assert_eq!(found, notes.each_ref().map(Document::as_referrer), "each once, in order, with type and annotations");
    assert_eq!(found[0].artifact_type.as_deref(), Some("application/vnd.example.sbom"));
}

#[tokio::test]
async fn a_tag_of_something_else_is_not_replaced() {
    let server = DockerRegistry::start(&Options::default());
    let local = TestStore::new();
    let subject = local.image("app", &[vec![1; 10]]);
    about(&local, "one", &subject, "first");
    let host = server.host();
    let taken = format!("{host}/team/app:{}", list_tag(&subject));
    local.push(push_config("app", &[&taken], None)).await.expect("pushed");
    let error = local.push(push_config("one", &[&format!("{host}/team/app:one")], None)).await.expect_err("taken");
    assert!(matches!(registry_error(error), RegistryError::Referrers { .. }));
    let still = registry(&host, None).get_manifest("team/app", Target::Tag(&list_tag(&subject))).await.expect("there");
    assert_eq!(still.digest(), subject.digest());
}

#[tokio::test]
async fn an_index_has_a_subject_too() {
    let server = DockerRegistry::start(&Options::default());
    let local = TestStore::new();
    let subject = local.image("app", &[vec![1; 10]]);
    let host = server.host();
    local.push(push_config("app", &[&format!("{host}/team/app:v1")], None)).await.expect("pushed");
    let index = Index { subject: Some(subject.descriptor.clone()), ..Index::default() };
    let document = Document::from_index(index);
    let client = registry(&host, None);
    let stored = client.put_manifest("team/app", Target::Digest(document.digest()), &document).await.expect("stored");
    assert!(!stored.knows_subject, "this registry knows nothing of subjects");
    client.add_referrer("team/app", &document).await.expect("listed");
    assert_eq!(listed(&host, &subject).await, [document.as_referrer()]);
}
