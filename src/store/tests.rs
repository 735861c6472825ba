use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::time::Duration;

use super::*;
use crate::image::{Document, Manifest, Reference, media_type};

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
fn removing_leaves_shared_blobs_and_pruning_takes_the_rest() {
    let (_dir, store) = open();
    let one = image(&store, b"shared", &["app:v1", "app:v2"]);
    let two = image(&store, b"other", &["other"]);
    let selection = store.resolve("app:v1").expect("there");
    assert_eq!(store.remove(&selection.entries).expect("removed").len(), 1);
    assert_eq!(store.prune().expect("pruned"), Pruned::default());
    store.tree(&one.descriptor).expect("still whole");
    store.remove(&store.resolve("app:v2").expect("there").entries).expect("removed");
    std::fs::write(store.path(TEMPORARY).join("blob-left"), "x").expect("a left-over");
    let pruned = store.prune().expect("pruned");
    assert_eq!(pruned.blobs, 3);
    assert!(pruned.bytes > 6);
    assert!(store.blob_size(one.digest()).expect("asked").is_none());
    store.tree(&two.descriptor).expect("untouched");
    assert!(!store.path(TEMPORARY).join("blob-left").exists());
}

#[test]
fn pruning_waits_for_those_who_write() {
    let (_dir, store) = open();
    let store = store.with_patience(Duration::from_millis(10));
    let lease = store.lease().expect("a lease");
    assert!(matches!(store.prune(), Err(StoreError::Lock(_))));
    drop(lease);
    store.prune().expect("nobody is in the way");
}

#[test]
fn pruning_stops_at_what_it_cannot_read() {
    let (_dir, store) = open();
    let one = image(&store, b"one", &["app"]);
    image(&store, b"two", &["other"]);
    store.remove(&store.resolve("other").expect("there").entries).expect("removed");
    let path = store.blob_path(one.digest());
    let size = std::fs::metadata(&path).expect("there").len();
    std::fs::write(&path, vec![b'x'; usize::try_from(size).expect("small")]).expect("damaged");
    let blobs = || std::fs::read_dir(store.blob_directory()).expect("listed").count();
    let before = blobs();
    assert!(matches!(store.prune(), Err(StoreError::BlobDigest { .. })));
    assert_eq!(blobs(), before);
}

#[test]
fn left_overs_of_killed_writers_are_swept() {
    let (_dir, store) = open();
    let left = store.path(TEMPORARY).join("blob-left");
    std::fs::write(&left, "x").expect("a left-over");
    let first = store.lease().expect("a lease");
    assert!(!left.exists());
    std::fs::write(&left, "x").expect("somebody's");
    let _second = store.lease().expect("shared");
    assert!(left.exists(), "the first holder may be writing it");
    drop(first);
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
fn an_empty_blob_that_is_needed_is_not_pruned() {
    let (_dir, store) = open();
    let one = image(&store, b"", &["app"]);
    assert_eq!(store.prune().expect("pruned"), Pruned::default());
    store.tree(&one.descriptor).expect("whole");
    store.remove(&store.entries().expect("entries")).expect("removed");
    assert_eq!(store.unreferenced().expect("counted").blobs, 3);
    assert_eq!(store.prune().expect("pruned").blobs, 3);
}

#[test]
fn what_would_be_pruned_is_counted() {
    let (_dir, store) = open();
    let one = image(&store, b"one", &["app"]);
    image(&store, b"other", &["other"]);
    assert_eq!(store.unreferenced().expect("counted"), Pruned::default());
    store.remove(&store.resolve("other").expect("there").entries).expect("removed");
    let counted = store.unreferenced().expect("counted");
    assert_eq!((counted.blobs, counted), (3, store.prune().expect("pruned")));
    store.tree(&one.descriptor).expect("untouched");
}

#[test]
fn a_full_disk_is_given_room_by_what_no_entry_needs_and_then_by_what_goes() {
    let (_dir, store) = open();
    let blobs = || store.blobs().and_then(Directory::names).expect("listed").len();
    let keep = image(&store, b"keep", &["keep"]);
    image(&store, b"goes", &["goes"]);
    image(&store, b"gone", &["gone"]);
    store.remove(&store.resolve("gone").expect("there").entries).expect("removed");
    std::fs::write(store.path(TEMPORARY).join("download-left"), "x").expect("a left-over");
    let doomed = store.resolve("goes").expect("there").entries;
    let mut seen = Vec::new();
    let mut attempt = |_: &[Entry]| {
        seen.push(blobs());
        match seen.len() {
            3 => store.remove_entries(&doomed),
            _ => Err(StoreError::io("write", store.root(), ErrorKind::StorageFull.into())),
        }
    };
    let removed = store.remove_making_room(&doomed, &mut attempt).expect("removed at last");
    assert_eq!((removed.len(), seen), (1, vec![9, 6, 3]));
    assert_eq!(std::fs::read_dir(store.path(TEMPORARY)).expect("listed").count(), 0);
    assert_eq!(names(&store), ["keep:latest"]);
    store.tree(&keep.descriptor).expect("untouched");
}

#[test]
fn room_is_made_for_a_full_disk_alone_and_never_beside_others() {
    let (_dir, store) = open();
    let store = store.with_patience(Duration::ZERO);
    image(&store, b"one", &["app"]);
    let doomed = store.entries().expect("entries");
    for (kind, others, tries) in [
        (ErrorKind::StorageFull, false, 3),
        (ErrorKind::QuotaExceeded, false, 3),
        (ErrorKind::FileTooLarge, false, 1),
        (ErrorKind::PermissionDenied, false, 1),
        (ErrorKind::StorageFull, true, 1),
    ] {
        image(&store, b"one", &["app"]);
        let lease = others.then(|| store.lease().expect("a lease"));
        let mut count = 0;
        let mut attempt = |_: &[Entry]| {
            count += 1;
            Err(StoreError::io("write", store.root(), kind.into()))
        };
        let error = store.remove_making_room(&doomed, &mut attempt).expect_err("no room");
        assert!(matches!(error, StoreError::Io { source, .. } if source.kind() == kind));
        assert_eq!(count, tries, "{kind:?}, others at work: {others}");
        assert_eq!(names(&store), ["app:latest"]);
        drop(lease);
    }
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

#[test]
fn pruning_forgets_nothing_where_it_cannot_know_what_is_needed() {
    let (_dir, store) = open();
    let kept = image(&store, b"kept", &["kept:v1"]);
    let lease = store.lease().expect("a lease");
    store.publish_in(&lease, &kept, "team/app", None, None).expect("kept by its digest");
    drop(lease);
    let damaged = image(&store, b"damaged", &["damaged:v1"]);
    std::fs::write(store.blob_path(damaged.digest()), "{}").expect("written");
    let before = store.entries().expect("entries");
    assert!(before.iter().any(|entry| entry.repository.as_deref() == Some("team/app")), "{before:?}");
    store.prune().expect_err("a manifest is damaged");
    assert_eq!(store.entries().expect("entries"), before);
}
