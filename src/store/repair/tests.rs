//! Every state that commands refuse, and that a repaired store is read, written and pruned again.

use std::os::unix::fs::symlink;

use rustix::fs::{CWD, mknodat};

use super::super::Pruned;
use super::super::names::BLOBS;
use super::*;
use crate::image::{Manifest, Reference, annotation};

fn open() -> (tempfile::TempDir, ImageStore) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = ImageStore::open(&directory.path().join("images")).expect("a store");
    (directory, store)
}

fn name(text: &str) -> Reference {
    text.parse::<Reference>().expect("a name").with_default_tag()
}

fn image(store: &ImageStore, content: &[u8], named: &str) -> Document {
    let lease = store.lease().expect("a lease");
    let layer = store.put(&lease, media_type::IMAGE_LAYER, content).expect("stored");
    let config = store.put(&lease, media_type::IMAGE_CONFIG, b"{}").expect("stored");
    let document = Document::from_manifest(Manifest::new(config, vec![layer], BTreeMap::new()));
    store.put(&lease, media_type::IMAGE_MANIFEST, &document.bytes).expect("stored");
    store.publish(&lease, &document, &[name(named)], None).expect("published");
    document
}

fn index_of(store: &ImageStore, children: &[&Document], named: &str) -> Document {
    let lease = store.lease().expect("a lease");
    let manifests = children.iter().map(|child| child.descriptor.clone()).collect();
    let document = Document::from_index(Index { manifests, ..Index::default() });
    store.put(&lease, media_type::IMAGE_INDEX, &document.bytes).expect("stored");
    store.publish(&lease, &document, &[name(named)], None).expect("published");
    document
}

/// Repairs, and checks that the store can be used and that a second repair has nothing to do.
fn repair(store: &ImageStore) -> Vec<Repair> {
    let again = || ImageStore::repair(store.root(), &Interrupt::default()).expect("repaired");
    let done = again();
    assert_eq!(again(), []);
    let store = ImageStore::open(store.root()).expect("a store");
    store.prune().expect("can be pruned");
    image(&store, b"later", "later");
    done
}

/// Names of the entries, empty for those without; the one that [`repair`] has made is left out.
fn names(store: &ImageStore) -> Vec<String> {
    let entries = store.entries().expect("entries").into_iter();
    entries.map(|entry| entry.name.unwrap_or_default()).filter(|name| name != "later:latest").collect()
}

#[test]
fn a_whole_store_is_left_as_it_is() {
    let (_directory, store) = open();
    let one = image(&store, b"one", "app");
    index_of(&store, &[&one], "all");
    let before = std::fs::read(store.path(INDEX)).expect("read");
    assert_eq!(ImageStore::repair(store.root(), &Interrupt::default()).expect("looked at"), []);
    assert_eq!(std::fs::read(store.path(INDEX)).expect("read"), before);
}

#[test]
fn what_can_be_read_of_an_index_is_kept_and_images_stay_without_names() {
    let (_directory, store) = open();
    let one = image(&store, b"one", "one");
    let two = image(&store, b"two", "two");
    let all = index_of(&store, &[&one, &two], "all");
    let text = std::fs::read_to_string(store.path(INDEX)).expect("read");
    let cut = text.find("two:latest").expect("named");
    std::fs::write(store.path(INDEX), &text[..cut]).expect("damaged");
    let done = repair(&store);
    assert!(
        matches!(&done[..], [
        Repair::Aside { name, to, .. },
        Repair::Index { kept: 1, lost: 0 },
        Repair::Recovered(digest),
    ] if name == INDEX && to == "index.json.damaged-1" && *digest == all.digest()),
        "{done:?}"
    );
    assert_eq!(names(&store), ["one:latest", ""]);
    store.tree(&all.descriptor).expect("whole");
    for text in ["", "[]", "{\"manifests\":[{}, 7]}", "\u{0}", "{\"manifests\":7}"] {
        std::fs::write(store.path(INDEX), text).expect("damaged");
        repair(&store);
        assert!(names(&store).iter().all(String::is_empty), "{text}");
        store.tree(&all.descriptor).expect("whole");
    }
}

#[test]
fn an_index_beyond_the_limit_is_cut_to_what_fits() {
    let (_directory, store) = open();
    let one = image(&store, b"one", "one");
    let mut index = store.read_index().expect("read");
    let long = "x".repeat(1 << 20);
    for number in 0..80 {
        let name = (annotation::REF_NAME.to_owned(), format!("app:v{number}"));
        let annotations = Some(BTreeMap::from([name, ("x".to_owned(), long.clone())]));
        index.manifests.push(Descriptor { annotations, ..one.descriptor.clone() });
    }
    std::fs::write(store.path(INDEX), serde_json::to_vec(&index).expect("serialises")).expect("written");
    assert!(matches!(store.entries(), Err(StoreError::Io { .. })));
    let done = repair(&store);
    assert!(matches!(done[1], Repair::Index { kept: 32, lost: 49 }), "{done:?}");
    assert_eq!(names(&store)[..2], ["one:latest", "app:v0"]);
}

#[test]
fn entries_without_their_document_go_and_others_stay() {
    let (_directory, store) = open();
    let [whole, missing, damaged, short] =
        ["whole", "missing", "damaged", "short"].map(|name| image(&store, name.as_bytes(), name));
    std::fs::remove_file(store.blob_path(missing.digest())).expect("removed");
    let other = damaged.bytes.iter().map(|byte| byte ^ 1).collect::<Vec<u8>>();
    std::fs::write(store.blob_path(damaged.digest()), other).expect("damaged");
    std::fs::write(store.blob_path(short.digest()), "{").expect("damaged");
    let piped = image(&store, b"piped", "piped");
    std::fs::remove_file(store.blob_path(piped.digest())).expect("removed");
    mknodat(CWD, store.blob_path(piped.digest()), FileType::Fifo, 0o600.into(), 0).expect("made");
    // A layer that is missing comes back by pulling or building; so does the child of an index.
    let layer = image(&store, b"layer", "layer");
    std::fs::remove_file(store.blob_path(layer.manifest().expect("a manifest").layers[0].digest)).expect("removed");
    let child = image(&store, b"child", "child");
    index_of(&store, &[&child], "parent");
    std::fs::write(store.blob_path(child.digest()), "{").expect("damaged");
    let done = repair(&store);
    let removed: Vec<_> = done
        .iter()
        .filter_map(|repair| match repair {
            Repair::Removed { name, .. } => name.as_deref(),
            _ => None,
        })
        .collect();
    assert_eq!(removed, ["missing:latest", "damaged:latest", "short:latest", "piped:latest", "child:latest"]);
    assert_eq!(names(&store), ["whole:latest", "layer:latest", "parent:latest"]);
    store.tree(&whole.descriptor).expect("whole");
}

#[test]
fn entries_of_types_that_are_not_known_stay() {
    let (_directory, store) = open();
    let lease = store.lease().expect("a lease");
    let mut index = store.read_index().expect("read");
    index.manifests.push(store.put(&lease, "application/x", b"{\"x\":1}").expect("stored"));
    index.manifests.push(store.put(&lease, media_type::IMAGE_MANIFEST, b"{\"x\":1}").expect("stored"));
    store.write_index(&store.lock_index().expect("a lock"), &index).expect("written");
    drop(lease);
    let done = ImageStore::repair(store.root(), &Interrupt::default()).expect("repaired");
    assert!(matches!(&done[..], [Repair::Removed { .. }]), "{done:?}");
    assert_eq!(store.entries().expect("entries").len(), 1);
}

#[test]
fn the_files_of_a_layout_are_made_again() {
    for name in [MARKER, INDEX, INDEX_LOCK, LEASE_LOCK, TEMPORARY] {
        for kind in ["absent", "link", "pipe", "directory", "file"] {
            let (directory, store) = open();
            let one = image(&store, b"one", "app");
            let path = store.path(name);
            if path.is_dir() {
                std::fs::remove_dir_all(&path).expect("removed");
            } else {
                std::fs::remove_file(&path).expect("removed");
            }
            std::fs::write(directory.path().join("precious"), "precious").expect("written");
            match kind {
                "link" => symlink(directory.path().join("precious"), &path).expect("linked"),
                "pipe" => mknodat(CWD, &path, FileType::Fifo, 0o600.into(), 0).expect("made"),
                "directory" => std::fs::create_dir(&path).expect("made"),
                "file" => std::fs::write(&path, "x").expect("written"),
                _ => {}
            }
            repair(&store);
            store.tree(&one.descriptor).unwrap_or_else(|error| panic!("{name} as {kind}: {error}"));
            assert_eq!(names(&store), [if name == INDEX { "" } else { "app:latest" }], "{name} as {kind}");
            assert_eq!(std::fs::read(directory.path().join("precious")).expect("read"), b"precious");
        }
    }
}

#[test]
fn what_is_no_store_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let thesis = directory.path().join("thesis");
    std::fs::create_dir(&thesis).expect("made");
    std::fs::write(thesis.join("thesis.txt"), "text").expect("written");
    let repair = |path: &Path| ImageStore::repair(path, &Interrupt::default());
    assert!(matches!(repair(&thesis), Err(StoreError::NotALayout(_))));
    assert_eq!(std::fs::read_dir(&thesis).expect("listed").count(), 1);
    let (_directory, store) = open();
    std::fs::write(store.path(MARKER), r#"{"imageLayoutVersion":"2.0.0"}"#).expect("written");
    assert!(matches!(repair(store.root()), Err(StoreError::LayoutVersion(_))));
    // Blobs behind a link would look as if they were gone.
    let (directory, store) = open();
    image(&store, b"one", "app");
    std::fs::rename(store.path(BLOBS), directory.path().join("shared")).expect("moved");
    symlink(directory.path().join("shared"), store.path(BLOBS)).expect("linked");
    assert!(matches!(repair(store.root()), Err(StoreError::Io { .. })));
    assert_eq!(names(&store), ["app:latest"]);
}

#[test]
fn a_directory_named_as_a_blob_is_not_in_the_way_of_pruning() {
    let (_directory, store) = open();
    std::fs::create_dir(store.blob_path(Digest::of(b"x"))).expect("made");
    assert_eq!(store.prune().expect("pruned"), Pruned::default());
}
