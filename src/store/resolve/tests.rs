use std::collections::BTreeMap;

use super::*;
use crate::image::{Document, Index, Manifest, annotation, media_type};

fn open() -> (tempfile::TempDir, ImageStore) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = ImageStore::open(&directory.path().join("images")).expect("a store");
    (directory, store)
}

/// An image in the store whose manifest is unlike that of any other `content`.
fn image(store: &ImageStore, content: &str) -> Document {
    let lease = store.lease().expect("a lease");
    let config =
        format!(r#"{{"author":"{content}","architecture":"amd64","os":"linux","rootfs":{{"type":"layers"}}}}"#);
    let config = store.put(&lease, media_type::IMAGE_CONFIG, config.as_bytes()).expect("stored");
    let document = Document::from_manifest(Manifest::new(config, Vec::new(), BTreeMap::new()));
    store.put(&lease, media_type::IMAGE_MANIFEST, &document.bytes).expect("stored");
    document
}

/// Writes the index as another tool would, with any names.
fn write(store: &ImageStore, entries: &[(&str, &Document)]) {
    let entry = |(name, document): &(&str, &Document)| Descriptor {
        annotations: Some(BTreeMap::from([(annotation::REF_NAME.to_owned(), (*name).to_owned())])),
        ..document.descriptor.clone()
    };
    let index = Index { manifests: entries.iter().map(entry).collect(), ..Index::default() };
    std::fs::write(store.root().join("index.json"), serde_json::to_vec(&index).expect("serialises")).expect("written");
}

#[test]
fn what_the_store_has_is_found_as_it_is_typed() {
    let (_directory, store) = open();
    let (a, b, c) = (image(&store, "a"), image(&store, "b"), image(&store, "c"));
    let pinned = format!("app:v9@{}", b.digest());
    let digest_only = format!("tool@{}", c.digest());
    let evil = b.digest().to_string();
    let evil_id = c.digest().hex();
    write(
        &store,
        &[
            ("app:v1", &a),
            ("app:latest", &b),
            ("v1", &c),
            ("v1.0+build5", &b),
            ("App", &c),
            ("", &c),
            (&pinned, &b),
            (&digest_only, &c),
            // Names that are the digests of other images.
            (&evil, &a),
            (&evil_id, &a),
        ],
    );
    let digest = |document: &Document| document.digest().to_string();
    let (hex, short) = (a.digest().hex(), a.digest().short());
    let config = b.manifest().expect("a manifest").config.digest.to_string();
    for (typed, expected) in [
        ("app:v1", Some(&a)),
        ("app", Some(&b)),
        ("docker://app:v1", Some(&a)),
        ("v1", Some(&c)),
        ("v1.0+build5", Some(&b)),
        ("App", Some(&c)),
        ("app:v9", Some(&b)),
        (&*pinned, Some(&b)),
        (&*format!("app@{}", digest(&b)), Some(&b)),
        (&*format!("app@{}", digest(&c)), None),
        ("tool", Some(&c)),
        ("tool:latest", None),
        (&*digest_only, Some(&c)),
        (&*digest(&a), Some(&a)),
        (&*digest(&b), Some(&b)),
        (&*config, Some(&b)),
        (&*hex, Some(&a)),
        (&*short, Some(&a)),
        (&*evil_id, Some(&c)),
        ("app:v2", None),
        ("app@sha256:12", None),
        ("", None),
        (&*format!("sha256:{}", "0".repeat(64)), None),
        (&*format!("sha512:{}", "0".repeat(128)), None),
    ] {
        let found = store.resolve(typed);
        match (found, expected) {
            (Ok(found), Some(expected)) => assert_eq!(found.descriptor.digest, expected.digest(), "{typed}"),
            (Err(StoreError::NotFound { .. }), None) => {}
            (found, _) => panic!("{typed}: {found:?}"),
        }
    }
    // What is offered can be typed.
    for entry in store.entries().expect("entries") {
        if let Some(name) = entry.usable_name() {
            assert_eq!(store.resolve(name).expect(name).descriptor.digest, entry.descriptor.digest, "{name}");
        }
    }
}

#[test]
fn names_that_lead_elsewhere_are_not_offered() {
    let (_directory, store) = open();
    let a = image(&store, "a");
    let id = "a".repeat(64);
    let digest = format!("sha256:{id}");
    let sha512 = format!("sha512:{}", "a".repeat(128));
    for (name, is_usable) in [
        ("app:v1", true),
        ("v1.0+build5", true),
        ("App", true),
        ("sha256:v1", true),
        ("", false),
        ("a b", false),
        ("a\u{1b}[31m", false),
        ("\u{202e}x", false),
        (&*id, false),
        (&*digest, false),
        (&*sha512, false),
    ] {
        write(&store, &[(name, &a)]);
        let entries = store.entries().expect("entries");
        assert_eq!(entries[0].usable_name(), is_usable.then_some(name), "{name:?}");
    }
}

#[test]
fn several_images_under_one_name_are_told_apart_by_digest() {
    let (_directory, store) = open();
    let (a, b) = (image(&store, "a"), image(&store, "b"));
    let names = [&a, &b].map(|image| format!("app:v1@{}", image.digest()));
    write(&store, &[(&names[0], &a), (&names[1], &b)]);
    assert!(matches!(store.resolve("app:v1"), Err(StoreError::Ambiguous { count: 2, .. })));
    assert_eq!(store.resolve(&names[1]).expect("by digest").descriptor.digest, b.digest());
    write(&store, &[(&names[0], &a), ("app:v1", &b)]);
    assert_eq!(store.resolve("app:v1").expect("as it is written").descriptor.digest, b.digest());
}
