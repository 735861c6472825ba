mod naming;
mod pruning;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::time::Duration;

use super::*;
use crate::image::{Descriptor, Document, Manifest, Reference, media_type};

fn open() -> (tempfile::TempDir, ImageStore) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = ImageStore::open(&dir.path().join("images")).expect("a new store");
    (dir, store)
}

fn name(text: &str) -> Reference {
    text.parse::<Reference>().expect("a reference").with_default_tag()
}

/// An image with one layer of `content`, stored and named.
fn image(store: &ImageStore, content: &[u8], names: &[&str]) -> Document {
    let lease = store.lease().expect("a lease");
    let layer = store.put(&lease, media_type::IMAGE_LAYER, content).expect("stored");
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
        layer.digest
    );
    let config = store.put(&lease, media_type::IMAGE_CONFIG, config.as_bytes()).expect("stored");
    let document = Document::from_manifest(Manifest::new(config, vec![layer], BTreeMap::new()));
    store.put(&lease, media_type::IMAGE_MANIFEST, &document.bytes).expect("stored");
    let names: Vec<Reference> = names.iter().map(|text| name(text)).collect();
    store.publish(&lease, &document, &names, Some("2026-01-02T03:04:05Z")).expect("published");
    document
}

fn names(store: &ImageStore) -> Vec<String> {
    store.entries().expect("entries").into_iter().filter_map(|entry| entry.name).collect()
}

#[test]
fn a_new_store_is_an_empty_layout() {
    let (_dir, store) = open();
    let marker = std::fs::read_to_string(store.root().join("oci-layout")).expect("marker");
    assert_eq!(marker, r#"{"imageLayoutVersion":"1.0.0"}"#);
    assert!(store.entries().expect("entries").is_empty());
    ImageStore::open(store.root()).expect("opens again");
}

#[test]
fn a_foreign_directory_is_refused_untouched() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("thesis.txt"), "text").expect("written");
    assert!(matches!(ImageStore::open(dir.path()), Err(StoreError::NotALayout(_))));
    assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 1);
    std::fs::write(dir.path().join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).expect("written");
    assert!(matches!(ImageStore::open(dir.path()), Err(StoreError::LayoutVersion(v)) if v == "2.0.0"));
}

#[test]
fn a_store_whose_maker_was_killed_is_finished() {
    let empty = br#"{"schemaVersion":2,"manifests":[]}"#;
    let steps: [&dyn Fn(&Path); 6] = [
        &|root| std::fs::create_dir(root).expect("made"),
        &|root| std::fs::write(root.join(".index.lock"), "").expect("written"),
        &|root| std::fs::create_dir_all(root.join("blobs/sha256")).expect("made"),
        &|root| std::fs::create_dir(root.join(".tmp")).expect("made"),
        &|root| std::fs::write(root.join(".tmp-index"), "{").expect("written"),
        &|root| std::fs::write(root.join("index.json"), empty).expect("written"),
    ];
    for done in 0..=steps.len() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().join("images");
        steps[..done].iter().for_each(|step| step(&root));
        let store = ImageStore::open(&root).unwrap_or_else(|error| panic!("after {done} steps: {error}"));
        image(&store, b"one", &["app"]);
        assert_eq!(names(&store), ["app:latest"]);
        assert!(!root.join(".tmp-index").exists());
    }
    for content in ["blobs/sha256/00", "blobs/other/00", "blobs/thesis.txt"] {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(content);
        std::fs::create_dir_all(path.parent().expect("below")).expect("made");
        std::fs::write(path, "text").expect("written");
        assert!(matches!(ImageStore::open(dir.path()), Err(StoreError::NotALayout(_))), "{content}");
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 1);
    }
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("index.json"), "{}").expect("written");
    assert!(matches!(ImageStore::open(dir.path()), Err(StoreError::NotALayout(_))));
}

#[test]
fn many_may_make_a_store_at_once() {
    for _ in 0..20 {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().join("home/images");
        let all = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for number in 0..4 {
                let (root, all) = (&root, &all);
                scope.spawn(move || {
                    all.wait();
                    let store = ImageStore::open(root).expect("opens");
                    image(&store, &[number], &[&format!("app:{number}")]);
                });
            }
        });
        assert_eq!(names(&ImageStore::open(&root).expect("opens")).len(), 4);
    }
}

#[test]
fn left_overs_of_a_killed_index_change_are_swept_by_the_next() {
    let (_dir, store) = open();
    let left = store.root().join(".tmp-left");
    std::fs::write(&left, "{").expect("a left-over");
    image(&store, b"one", &["app"]);
    assert!(!left.exists());
}

#[test]
fn blobs_are_checked_when_read() {
    let (_dir, store) = open();
    let lease = store.lease().expect("a lease");
    let descriptor = store.put(&lease, "text/plain", b"content").expect("stored");
    let mut text = String::new();
    store.read_blob(&descriptor).expect("opens").read_to_string(&mut text).expect("reads");
    assert_eq!(text, "content");
    std::fs::write(store.blob_path(descriptor.digest), "CONTENT").expect("damaged");
    let mut reader = store.read_blob(&descriptor).expect("opens");
    let error = reader.read_to_end(&mut Vec::new()).expect_err("damaged");
    assert!(matches!(reader.explain(error), StoreError::BlobDigest { .. }));
    std::fs::write(store.blob_path(descriptor.digest), "short").expect("truncated");
    assert!(matches!(store.read_blob(&descriptor), Err(StoreError::BlobSize { found: 5, .. })));
    store.put(&lease, "text/plain", b"content").expect("healed");
    store.read_blob(&descriptor).expect("opens").read_to_end(&mut Vec::new()).expect("whole again");
}

#[test]
fn an_uncommitted_or_unexpected_blob_leaves_nothing() {
    let (_dir, store) = open();
    let lease = store.lease().expect("a lease");
    let mut writer = store.write_blob(&lease).expect("a writer");
    writer.write_all(b"half").expect("written");
    drop(writer);
    let mut writer = store.write_blob(&lease).expect("a writer");
    writer.write_all(b"other").expect("written");
    let expected = Descriptor::of("text/plain", b"this");
    assert!(matches!(writer.commit_as(&expected), Err(StoreError::BlobDigest { .. })));
    for directory in [store.path(TEMPORARY), store.blob_directory()] {
        assert_eq!(std::fs::read_dir(directory).expect("listed").count(), 0);
    }
}

#[test]
fn a_damaged_index_is_an_error_that_names_the_file() {
    let (_dir, store) = open();
    std::fs::write(store.root().join("index.json"), "{").expect("damaged");
    match store.entries() {
        Err(StoreError::Json { path, .. }) => assert!(path.ends_with("index.json")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stored_blob_of_the_right_size_and_other_content_is_written_again() {
    let (_dir, store) = open();
    let lease = store.lease().expect("a lease");
    let descriptor = store.put(&lease, "text/plain", b"content").expect("stored");
    std::fs::write(store.blob_path(descriptor.digest), "CONTENT").expect("damaged");
    store.put(&lease, "text/plain", b"content").expect("healed");
    assert_eq!(store.read_document(&descriptor).expect("whole"), b"content");
}

#[test]
fn a_size_that_is_not_the_blobs_is_no_blob_whatever_its_digest() {
    let (_dir, store) = open();
    let lease = store.lease().expect("a lease");
    let right = store.put(&lease, media_type::IMAGE_LAYER, b"hello").expect("stored");
    for size in [4, 6] {
        let wrong = Descriptor::new(media_type::IMAGE_LAYER, right.digest, size);
        let mut writer = store.write_blob(&lease).expect("a writer");
        writer.write_all(b"hello").expect("written");
        let error = writer.commit_as(&wrong).expect_err("another size");
        assert!(matches!(error, StoreError::BlobSize { expected, found: 5, .. } if expected == size), "{error:?}");
        // A reader that was opened by such a descriptor.
        let file = std::fs::File::open(store.blob_path(right.digest)).expect("there");
        let mut reader = BlobReader::new(file, store.blob_path(right.digest), &wrong, None);
        let error = reader.read_to_end(&mut Vec::new()).expect_err("another size");
        let error = reader.explain(error);
        let told = matches!(error, StoreError::BlobSize { found: 5, .. } | StoreError::BlobDigest { .. });
        assert!(told, "{size}: {error:?}");
    }
}
