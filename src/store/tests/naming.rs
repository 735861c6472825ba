//! Tests of publishing, naming and resolving images.

use super::*;

#[test]
fn several_images_are_published_together_or_not_at_all() {
    let (_dir, store) = open();
    let one = image(&store, b"one", &["old"]);
    let two = image(&store, b"two", &["other"]);
    let lease = store.lease().expect("a lease");
    let (new, next) = ([name("new")], [name("next")]);
    let layer = &two.manifest().expect("a manifest").layers[0];
    std::fs::remove_file(store.blob_path(layer.digest)).expect("removed");
    let refused = store.publish_all(&lease, &[(&one, &new), (&two, &next)], None);
    assert!(matches!(refused, Err(StoreError::MissingBlob(digest)) if digest == layer.digest));
    assert_eq!(names(&store), ["old:latest", "other:latest"]);
    store.put(&lease, media_type::IMAGE_LAYER, b"two").expect("stored");
    store.publish_all(&lease, &[(&one, &new), (&two, &next)], None).expect("published");
    assert_eq!(names(&store), ["old:latest", "other:latest", "new:latest", "next:latest"]);
}

#[test]
fn names_move_and_several_share_an_image() {
    let (_dir, store) = open();
    let one = image(&store, b"one", &["app:v1", "app:latest"]);
    let two = image(&store, b"two", &["app:latest"]);
    assert_eq!(names(&store), ["app:v1", "app:latest"]);
    let digest = |text: &str| store.resolve(text).expect(text).descriptor.digest;
    assert_eq!(digest("app:v1"), one.digest());
    assert_eq!(digest("app"), two.digest());
    let lease = store.lease().expect("a lease");
    let orphans = store.tag(&lease, &one.descriptor, &[name("app")], None).expect("tagged");
    assert_eq!(orphans, [two.digest()]);
}

#[test]
fn resolving_takes_names_digests_and_ids() {
    let (_dir, store) = open();
    let one = image(&store, b"one", &["localhost:5000/team/app:v1", "app"]);
    image(&store, b"two", &["other"]);
    let config = one.manifest().expect("a manifest").config.digest;
    for text in [
        "app",
        "app:latest",
        "localhost:5000/team/app:v1",
        &one.digest().to_string(),
        &one.digest().short(),
        &config.short(),
        &format!("app@{}", one.digest()),
    ] {
        assert_eq!(store.resolve(text).expect(text).descriptor.digest, one.digest(), "{text}");
    }
    assert_eq!(store.resolve(&config.short()).expect("by id").entries.len(), 2);
    match store.resolve("team/app:v2") {
        Err(StoreError::NotFound { known, .. }) => assert_eq!(known[0], "app:latest"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(store.resolve("App"), Err(StoreError::NotFound { .. })));
}

#[test]
fn an_image_without_a_name_is_kept_by_its_digest() {
    let (_dir, store) = open();
    let one = image(&store, b"one", &[]);
    let lease = store.lease().expect("a lease");
    store.publish(&lease, &one, &[], None).expect("again");
    drop(lease);
    let entries = store.entries().expect("entries");
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].name.as_deref(), entries[0].created.as_deref()), (None, Some("2026-01-02T03:04:05Z")));
    store.prune().expect("pruned");
    store.tree(&one.descriptor).expect("whole");
    image(&store, b"one", &["app"]);
    assert_eq!(names(&store), ["app:latest"]);
    assert_eq!(store.entries().expect("entries").len(), 1);
}

#[test]
fn publishing_needs_every_blob() {
    let (_dir, store) = open();
    let lease = store.lease().expect("a lease");
    let config = Descriptor::of(media_type::IMAGE_CONFIG, b"{}");
    let document = Document::from_manifest(Manifest::new(config.clone(), vec![], BTreeMap::new()));
    store.put(&lease, media_type::IMAGE_MANIFEST, &document.bytes).expect("stored");
    let refused = store.publish(&lease, &document, &[name("app")], None);
    assert!(matches!(refused, Err(StoreError::MissingBlob(digest)) if digest == config.digest));
    assert!(names(&store).is_empty());
}

#[test]
fn a_tree_lists_children_before_parents() {
    let (_dir, store) = open();
    let one = image(&store, b"one", &["one"]);
    let two = image(&store, b"two", &["two"]);
    let lease = store.lease().expect("a lease");
    let platform = |arch| crate::image::Platform::new("linux", arch, None);
    let child =
        |document: &Document, arch| Descriptor { platform: Some(platform(arch)), ..document.descriptor.clone() };
    let index =
        crate::image::Index { manifests: vec![child(&one, "amd64"), child(&two, "arm64")], ..Default::default() };
    let bytes = serde_json::to_vec(&index).expect("serialises");
    let descriptor = store.put(&lease, media_type::IMAGE_INDEX, &bytes).expect("stored");
    let tree = store.tree(&descriptor).expect("whole");
    let digests: Vec<_> = tree.documents.iter().map(Document::digest).collect();
    assert_eq!(digests, [one.digest(), two.digest(), descriptor.digest]);
    assert_eq!(tree.blobs.len(), 4);
    let chosen = store.image("multi", &descriptor, Some(&platform("arm64"))).expect("there");
    assert_eq!(chosen.document.digest(), two.digest());
    let missing = store.image("multi", &descriptor, Some(&platform("s390x")));
    assert!(matches!(missing, Err(StoreError::Platform { .. })));
}

#[test]
fn a_pushed_name_leaves_its_image_kept_when_it_moves() {
    let (_dir, store) = open();
    let (first, second) = (image(&store, b"one", &[]), image(&store, b"two", &[]));
    let lease = store.lease().expect("a lease");
    let push = |document: &Document, tag: Option<&str>| {
        let tag = tag.map(name);
        store.publish_in(&lease, document, "app", tag.as_ref(), None).expect("published");
    };
    let kept = || {
        let entries = store.entries().expect("entries").into_iter();
        let line = |entry: Entry| {
            (entry.name.unwrap_or_default(), entry.repository.unwrap_or_default(), entry.descriptor.digest)
        };
        entries.map(line).collect::<Vec<_>>()
    };
    let entry =
        |name: &str, repository: &str, document: &Document| (name.to_owned(), repository.to_owned(), document.digest());
    push(&first, Some("app:v1"));
    // The entry without a name that only kept it from pruning says nothing any more; the other image's stays.
    assert_eq!(kept(), [entry("", "", &second), entry("app:v1", "app", &first)]);
    let before = std::fs::read(store.root().join("index.json")).expect("read");
    push(&first, Some("app:v1"));
    push(&first, None);
    assert_eq!(std::fs::read(store.root().join("index.json")).expect("read"), before, "nothing is written again");
    // A local name for the same image does not take the record away, nor does it get one.
    store.tag(&lease, &first.descriptor, &[name("app:v1"), name("mine")], None).expect("tagged");
    assert_eq!(kept()[1..], [entry("app:v1", "app", &first), entry("mine:latest", "", &first)]);
    // Moved by a local name, and by a push.
    store.tag(&lease, &second.descriptor, &[name("app:v1")], None).expect("tagged");
    assert_eq!(kept(), [entry("mine:latest", "", &first), entry("app:v1", "", &second), entry("", "app", &first)]);
    push(&first, Some("app:v1"));
    assert_eq!(kept(), [entry("mine:latest", "", &first), entry("app:v1", "app", &first)]);
    push(&second, None);
    push(&second, None);
    let other = store.publish_in(&lease, &second, "other", None, None);
    other.expect("published");
    assert_eq!(kept()[2..], [entry("", "app", &second), entry("", "other", &second)]);
    let doomed: Vec<Entry> = store
        .entries()
        .expect("entries")
        .into_iter()
        .filter(|entry| entry.repository.as_deref() == Some("app"))
        .collect();
    assert_eq!(store.untag(&doomed[..1], "app").expect("untagged").len(), 1);
    assert_eq!(store.untag(&doomed[..1], "app").expect("untagged").len(), 0);
    assert_eq!(store.remove(&doomed[1..]).expect("removed").len(), 1);
    assert_eq!(kept(), [entry("mine:latest", "", &first), entry("", "other", &second), entry("", "app", &first)]);
    drop(lease);
    let pruned = store.prune().expect("pruned");
    assert_eq!((pruned.manifests, pruned.blobs), (2, 3));
    assert_eq!(kept(), [entry("mine:latest", "", &first)]);
}

/// Stores an image whose configuration has `fields` beside what it needs, without a name.
fn image_with(store: &ImageStore, lease: &Lease, kind: &str, fields: &str) -> Document {
    let config =
        format!(r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[]}}{fields}}}"#);
    let config = store.put(lease, kind, config.as_bytes()).expect("stored");
    let document = Document::from_manifest(Manifest::new(config, Vec::new(), BTreeMap::new()));
    store.put(lease, media_type::IMAGE_MANIFEST, &document.bytes).expect("stored");
    document
}

fn index_over(store: &ImageStore, lease: &Lease, manifests: Vec<Descriptor>) -> Document {
    let document = Document::from_index(crate::image::Index { manifests, ..Default::default() });
    store.put(lease, media_type::IMAGE_INDEX, &document.bytes).expect("stored");
    document
}

#[test]
fn no_name_and_no_tree_for_documents_that_readers_take_differently() {
    let (_dir, store) = open();
    let lease = store.lease().expect("a lease");
    let two = r#","config":{"Cmd":["a"],"cmd":["b"]}"#;
    for kind in [media_type::IMAGE_CONFIG, media_type::DOCKER_CONFIG] {
        let plain = image_with(&store, &lease, kind, "");
        let odd = image_with(&store, &lease, kind, two);
        let digest = odd.manifest().expect("a manifest").config.digest;
        let index = index_over(&store, &lease, vec![plain.descriptor.clone(), odd.descriptor.clone()]);
        let nested = index_over(&store, &lease, vec![index.descriptor.clone()]);
        for document in [&odd, &index, &nested] {
            let refused = |outcome: Result<(), StoreError>| match outcome {
                Err(StoreError::Document { digest: found, .. }) => found == digest,
                _ => false,
            };
            assert!(refused(store.check_documents([document])));
            assert!(refused(store.check_documents([&plain, document])));
            assert!(refused(store.publish(&lease, document, &[name("odd")], None).map(drop)));
            assert!(refused(store.tree(&document.descriptor).map(drop)));
        }
        store.publish(&lease, &plain, &[name("plain")], None).expect("published");
        store.tree(&plain.descriptor).expect("whole");
        assert_eq!(names(&store), ["plain:latest"]);
    }
    // What is no image's configuration may hold anything.
    let artifact = image_with(&store, &lease, "application/x.config", two);
    store.publish(&lease, &artifact, &[name("artifact")], None).expect("published");
    store.tree(&artifact.descriptor).expect("whole");
}

#[test]
fn a_child_that_no_reader_has_seen_is_read_before_its_index_gets_a_name() {
    let (_dir, store) = open();
    let lease = store.lease().expect("a lease");
    let plain = image_with(&store, &lease, media_type::IMAGE_CONFIG, "");
    let text = String::from_utf8(plain.bytes.clone()).expect("UTF-8");
    let odd = text.replacen('{', r#"{"Config":{},"#, 1);
    let child = store.put(&lease, media_type::IMAGE_MANIFEST, odd.as_bytes()).expect("stored");
    let index = index_over(&store, &lease, vec![child.clone()]);
    let outcome = store.publish(&lease, &index, &[name("odd")], None);
    assert!(matches!(outcome, Err(StoreError::Document { digest, .. }) if digest == child.digest), "{outcome:?}");
    // The type in an index and the type in the document have to be one.
    let lying = Descriptor { media_type: media_type::DOCKER_MANIFEST.into(), ..plain.descriptor.clone() };
    let index = index_over(&store, &lease, vec![lying]);
    let outcome = store.publish(&lease, &index, &[name("odd")], None);
    assert!(matches!(outcome, Err(StoreError::Document { digest, .. }) if digest == plain.digest()), "{outcome:?}");
    // Indexes nest four deep, as everywhere.
    let mut nested = plain.descriptor.clone();
    for depth in 1..=5 {
        let index = index_over(&store, &lease, vec![nested]);
        let outcome = store.check_documents([&index]);
        assert_eq!(matches!(outcome, Err(StoreError::Nesting(_))), depth == 5, "{depth}: {outcome:?}");
        nested = index.descriptor;
    }
    assert!(names(&store).is_empty());
}

#[test]
fn only_a_stored_image_gets_a_name() {
    let (_dir, store) = open();
    let one = image(&store, b"one", &["app"]);
    let lease = store.lease().expect("a lease");
    let absent = Descriptor::of(media_type::IMAGE_MANIFEST, b"absent");
    let refused = store.tag(&lease, &absent, &[name("more")], None);
    assert!(matches!(refused, Err(StoreError::MissingBlob(digest)) if digest == absent.digest), "{refused:?}");
    let shorter = Descriptor { size: one.descriptor.size - 1, ..one.descriptor.clone() };
    assert!(matches!(store.tag(&lease, &shorter, &[name("more")], None), Err(StoreError::BlobSize { .. })));
    assert_eq!(names(&store), ["app:latest"]);
}
