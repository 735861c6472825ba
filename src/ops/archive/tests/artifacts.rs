//! What is no image of a container: kept, listed, saved and loaded like one, and never in the way of images.

use super::*;
use crate::image::Content;
use crate::store::StoreError;

const UNKNOWN: &str = "application/vnd.example.thing.v1";

/// An artifact as helm, oras or buildx write it.
fn artifact(store: &ImageStore, config: (&str, &[u8]), kind: Option<&str>, layer: &str) -> Document {
    let lease = store.lease().expect("a lease");
    let config = store.put(&lease, config.0, config.1).expect("stored");
    let layer = store.put(&lease, layer, b"content").expect("stored");
    let document = Document::from_manifest(Manifest {
        artifact_type: kind.map(str::to_owned),
        ..Manifest::new(config, vec![layer], BTreeMap::new())
    });
    store.put(&lease, media_type::IMAGE_MANIFEST, &document.bytes).expect("stored");
    document
}

/// All of them, with the type that is shown.
fn artifacts(store: &ImageStore) -> Vec<(&'static str, &'static str, Document)> {
    let chart = ("application/vnd.cncf.helm.config.v1+json", &br#"{"name":"chart","version":"1.0.0"}"#[..]);
    let empty = ("application/vnd.oci.empty.v1+json", &b"{}"[..]);
    let tarball = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
    let proof = "application/vnd.docker.attestation.manifest.v1+json";
    vec![
        ("chart", chart.0, artifact(store, chart, None, tarball)),
        ("thing", UNKNOWN, artifact(store, empty, Some(UNKNOWN), "text/plain")),
        ("file", "text/markdown", artifact(store, empty, None, "text/markdown")),
        ("proof", proof, artifact(store, empty, Some(proof), "application/vnd.in-toto+json")),
    ]
}

fn kinds(store: &ImageStore) -> Vec<(String, String)> {
    let kind = |descriptor: &Descriptor| match store.stored_tree(descriptor).expect("stored").documents.last() {
        None => descriptor.media_type.clone(),
        Some(document) => match &document.content {
            Content::Index(_) => "index".to_owned(),
            Content::Manifest(manifest) => manifest.artifact_kind().unwrap_or("image").to_owned(),
        },
    };
    let entries = store.entries().expect("entries").into_iter();
    let mut kinds: Vec<_> = entries.map(|entry| (entry.name.unwrap_or_default(), kind(&entry.descriptor))).collect();
    kinds.sort();
    kinds
}

#[test]
fn artifacts_are_listed_and_saved_and_loaded_with_images() {
    let (_dir, store) = open();
    image(&store, &["one"], &["app"]);
    multi(&store, &["multi"]);
    let mut expected =
        vec![("app:latest".to_owned(), "image".to_owned()), ("multi:latest".to_owned(), "index".to_owned())];
    let mut names = vec!["app", "multi"];
    for (name, kind, document) in artifacts(&store) {
        publish(&store, &document, &[name]);
        expected.push((format!("{name}:latest"), kind.to_owned()));
        names.push(name);
    }
    expected.sort();
    assert_eq!(kinds(&store), expected);
    for platform in [None, Some("linux/amd64".parse::<Platform>().expect("a platform"))] {
        let archive = saved(&store, &names, ArchiveFormat::Oci, platform.as_ref());
        let (_other_dir, other) = open();
        assert_eq!(loaded(&other, &archive).expect("loads").len(), names.len());
        assert_eq!(kinds(&other).len(), names.len());
        other.prune().expect("pruned");
        for entry in other.entries().expect("entries") {
            other.tree(&entry.descriptor).expect("whole");
        }
    }
    for name in &names[2..] {
        let stop = Interrupt::default();
        let docker = save(&store, &[(*name).to_owned()], ArchiveFormat::Docker, None, Vec::new(), &Silent, &stop);
        assert!(matches!(docker, Err(ArchiveError::Artifact { .. })), "{docker:?}");
    }
}

/// An index with an image, an attestation, an artifact, and something of an unknown type.
fn mixed(store: &ImageStore) -> (Document, Descriptor) {
    let one = stored(store, "amd64", &["one"]);
    let lease = store.lease().expect("a lease");
    let leaf = store.put(&lease, UNKNOWN, b"not even JSON").expect("stored");
    let mut manifests = vec![leaf.clone()];
    manifests.extend(artifacts(store).into_iter().map(|(_, _, document)| document.descriptor));
    manifests.push(one.descriptor);
    let document = Document::from_index(Index { manifests, ..Index::default() });
    store.put(&lease, media_type::IMAGE_INDEX, &document.bytes).expect("stored");
    publish(store, &document, &["mixed"]);
    (document, leaf)
}

#[test]
fn an_index_with_unknown_entries_is_an_index() {
    let (_dir, store) = open();
    let (index, leaf) = mixed(&store);
    assert_eq!(kinds(&store), [("mixed:latest".to_owned(), "index".to_owned())]);
    for platform in [None, Some("linux/amd64")] {
        let platform = platform.map(|text| text.parse::<Platform>().expect(text));
        let image = store.image("mixed", &index.descriptor, platform.as_ref()).expect("the image");
        assert_eq!(image.config.architecture, "amd64");
    }
    store.prune().expect("pruned");
    store.check_blob(&leaf).expect("kept");
    let archive = saved(&store, &["mixed"], ArchiveFormat::Oci, None);
    let (_other_dir, other) = open();
    assert_eq!(loaded(&other, &archive).expect("loads"), [(Some("mixed:latest".into()), index.digest())]);
    other.check_blob(&leaf).expect("loaded");
    // Without the leaf, the index is as good.
    let mut files = entries(&archive);
    files.retain(|(path, _)| !path.ends_with('/') && !path.ends_with(&leaf.digest.hex()));
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, content)| (path.as_str(), content.as_slice())).collect();
    let (_third_dir, third) = open();
    let archive = [tar_of(&files), vec![0; 1024]].concat();
    assert_eq!(loaded(&third, &archive).expect("loads"), [(Some("mixed:latest".into()), index.digest())]);
    third.prune().expect("pruned");
    assert_eq!(kinds(&third), [("mixed:latest".to_owned(), "index".to_owned())]);
}

#[test]
fn an_entry_of_an_unknown_type_is_kept_and_is_no_image() {
    let (_dir, store) = open();
    image(&store, &["one"], &["app"]);
    let mut files = entries(&saved(&store, &["app"], ArchiveFormat::Oci, None));
    files.retain(|(path, _)| !path.ends_with('/'));
    let leaf = Descriptor::of(UNKNOWN, b"not even JSON");
    for (_, content) in files.iter_mut().filter(|(path, _)| path == "index.json") {
        let mut index: Index = serde_json::from_slice(content).expect("an index");
        let annotations = Some(BTreeMap::from([(annotation::REF_NAME.to_owned(), "thing:v1".to_owned())]));
        index.manifests.insert(0, Descriptor { annotations, ..leaf.clone() });
        *content = serde_json::to_vec(&index).expect("serialises");
    }
    files.push((blob_path(leaf.digest), b"not even JSON".to_vec()));
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, content)| (path.as_str(), content.as_slice())).collect();
    let archive = [tar_of(&files), vec![0; 1024]].concat();
    let (_other_dir, other) = open();
    assert_eq!(loaded(&other, &archive).expect("loads").len(), 2);
    other.prune().expect("pruned");
    other.check_blob(&leaf).expect("kept");
    let expected =
        [("app:latest", "image"), ("thing:v1", UNKNOWN)].map(|(name, kind)| (name.to_owned(), kind.to_owned()));
    assert_eq!(kinds(&other), expected);
    let found = other.resolve("thing:v1").expect("there").descriptor;
    assert!(matches!(other.tree(&found), Err(StoreError::NotADocument { .. })));
    assert!(matches!(other.image("thing", &found, None), Err(StoreError::NotADocument { .. })));
    // It can be handed on as it came.
    let again = saved(&other, &["thing:v1", "app"], ArchiveFormat::Oci, None);
    let (_third_dir, third) = open();
    loaded(&third, &again).expect("loads");
    assert_eq!(kinds(&third), expected);
    assert!(crate::store::ImageStore::repair(other.root(), &Interrupt::default()).expect("repaired").is_empty());
}
