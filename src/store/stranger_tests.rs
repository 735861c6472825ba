//! Layouts made by a stranger: nothing outside of them is reached, and nothing in them is waited for.

use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use super::names::INDEX;
use super::*;
use crate::fs::Unreadable;
use crate::image::{Descriptor, Digest, Document, Manifest, Reference, media_type};

/// Longer than any operation here takes.
const DEADLINE: Duration = Duration::from_mins(1);

/// A layout with the image `app`, and a directory beside it that no operation may reach.
struct World {
    directory: tempfile::TempDir,
    image: Document,
    layer: Descriptor,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = ImageStore::open(&directory.path().join("layout")).expect("a store");
        let lease = store.lease().expect("a lease");
        let config = store.put(&lease, media_type::IMAGE_CONFIG, b"{}").expect("stored");
        let layer = store.put(&lease, media_type::IMAGE_LAYER, &vec![7; 2 << 20]).expect("stored");
        let image =
            Document::from_manifest(Manifest::new(config, vec![layer.clone()], std::collections::BTreeMap::new()));
        store.put(&lease, media_type::IMAGE_MANIFEST, &image.bytes).expect("stored");
        store.publish(&lease, &image, &[name("app")], None).expect("published");
        let precious = directory.path().join("precious");
        for inner in ["sha256", "blobs/sha256"] {
            std::fs::create_dir_all(precious.join(inner)).expect("made");
        }
        for file in ["file", "blob-file", "download-file", ".tmp-file", "sha256/file"] {
            std::fs::write(precious.join(file), "precious").expect("written");
        }
        Self { directory, image, layer }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join("layout").join(name)
    }

    /// Puts `name` of the layout aside, for something else to take its place.
    fn clear(&self, name: &str) -> PathBuf {
        let path = self.at(name);
        if path.is_dir() {
            std::fs::remove_dir_all(&path).expect("removed");
        } else if path.exists() {
            std::fs::remove_file(&path).expect("removed");
        }
        path
    }

    /// Everything that a command does with a layout, as far as it comes; the errors of it.
    fn work(&self) -> Vec<StoreError> {
        let root = self.directory.path().join("layout");
        let (image, layer) = (self.image.clone(), self.layer.clone());
        let (done, outcome) = mpsc::channel();
        std::thread::spawn(move || done.send(work(&root, &image, &layer)));
        outcome.recv_timeout(DEADLINE).expect("nothing is waited for")
    }

    /// Paths and contents of what is outside.
    fn outside(&self) -> Vec<(PathBuf, Option<Vec<u8>>)> {
        let mut found = Vec::new();
        collect(&self.directory.path().join("precious"), &mut found);
        found.sort();
        found
    }
}

fn collect(directory: &Path, found: &mut Vec<(PathBuf, Option<Vec<u8>>)>) {
    for entry in std::fs::read_dir(directory).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.push((path.clone(), None));
            collect(&path, found);
        } else {
            found.push((path.clone(), Some(std::fs::read(&path).expect("read"))));
        }
    }
}

fn name(text: &str) -> Reference {
    text.parse::<Reference>().expect("a name").with_default_tag()
}

fn work(root: &Path, image: &Document, layer: &Descriptor) -> Vec<StoreError> {
    let store = match ImageStore::open(root) {
        Ok(store) => store.with_patience(Duration::ZERO),
        Err(error) => return vec![error],
    };
    let mut errors = Vec::new();
    let mut note = |result: Result<(), StoreError>| errors.extend(result.err());
    note(store.entries().map(drop));
    note(store.tree(&image.descriptor).map(drop));
    note(
        store.read_blob(layer).and_then(|mut reader| {
            reader.read_to_end(&mut Vec::new()).map(drop).map_err(|source| reader.explain(source))
        }),
    );
    match store.lease() {
        Ok(lease) => {
            note(store.put(&lease, "text/plain", b"other").map(drop));
            note(store.resume_blob(&lease, layer).and_then(|mut writer| {
                writer
                    .restart()
                    .and_then(|()| writer.write_all(&[7; 9]))
                    .map_err(|source| StoreError::io("write", root, source))
            }));
            note(store.publish(&lease, image, &[name("more")], None).map(drop));
            note(store.tag(&lease, &image.descriptor, &[name("again")], None).map(drop));
        }
        Err(error) => note(Err(error)),
    }
    note(store.scratch().map(drop));
    note(store.entries().and_then(|entries| store.remove(&entries)).map(drop));
    note(store.prune().map(drop));
    errors
}

/// Names of a layout and what stands for a blob and a download in them.
fn names(world: &World) -> Vec<String> {
    let blob = |digest: Digest| format!("blobs/sha256/{}", digest.hex());
    let mut names = vec![blob(world.layer.digest), blob(world.image.digest())];
    names.push(format!(".tmp/{}{}", names::PARTIAL_PREFIX, world.layer.digest.hex()));
    let inside = [".tmp/blob-left", ".tmp/store-left", ".tmp/other", ".tmp-left"];
    names.extend([MARKER, INDEX, BLOBS, "blobs/sha256", TEMPORARY, INDEX_LOCK, LEASE_LOCK].map(str::to_owned));
    names.extend(inside.map(str::to_owned));
    names
}

#[test]
fn no_link_in_a_layout_leads_out_of_it() {
    for name in names(&World::new()) {
        for target in ["", "/file", "/blobs", "/absent"] {
            let world = World::new();
            let before = world.outside();
            let precious = world.directory.path().join("precious");
            let target = PathBuf::from(format!("{}{target}", precious.display()));
            symlink(&target, world.clear(&name)).expect("linked");
            let errors = world.work();
            assert_eq!(world.outside(), before, "{name} -> {}: {errors:?}", target.display());
        }
    }
}

#[test]
fn pipes_and_devices_in_a_layout_are_neither_waited_for_nor_read() {
    use rustix::fs::{CWD, FileType, makedev, mknodat};
    for name in names(&World::new()) {
        for kind in [FileType::Fifo, FileType::CharacterDevice] {
            let world = World::new();
            // `/dev/zero`; where devices cannot be made, a pipe stands for it.
            let made = mknodat(CWD, world.clear(&name), kind, 0o600.into(), makedev(1, 5));
            if made.is_err() {
                mknodat(CWD, world.at(&name), FileType::Fifo, 0o600.into(), 0).expect("made");
            }
            let errors = world.work();
            let of_ours = ["blob-left", "store-left", "other", ".tmp-left"];
            let goes_on = of_ours.iter().any(|ours| name.ends_with(ours)) || name.contains("download-");
            assert_eq!(errors.is_empty(), goes_on, "{name}: {errors:?}");
        }
    }
}

#[test]
fn a_link_as_the_layout_itself_is_followed() {
    let world = World::new();
    let link = world.directory.path().join("link");
    symlink("layout", &link).expect("linked");
    assert_eq!(ImageStore::open(&link).and_then(|store| store.entries()).expect("opened").len(), 1);
}

#[test]
fn a_file_with_another_name_is_not_written_to() {
    let world = World::new();
    let other = world.directory.path().join("precious/file");
    let download = world.at(&format!(".tmp/{}{}", names::PARTIAL_PREFIX, world.layer.digest.hex()));
    std::fs::hard_link(&other, &download).expect("linked");
    let before = world.outside();
    assert!(world.work().is_empty());
    assert_eq!(world.outside(), before);
}

#[test]
fn a_blob_is_read_no_further_than_its_size() {
    let world = World::new();
    let store = ImageStore::open(&world.directory.path().join("layout")).expect("a store");
    let mut reader = store.read_blob(&world.layer).expect("opened");
    let path = store.blob_path(world.layer.digest);
    std::fs::OpenOptions::new().append(true).open(path).and_then(|mut file| file.write_all(b"more")).expect("written");
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).expect("the blob");
    assert_eq!(bytes.len() as u64, world.layer.size);
    assert!(matches!(store.read_blob(&world.layer), Err(StoreError::BlobSize { .. })));
}

#[test]
fn an_index_beyond_the_limit_is_neither_read_nor_written() {
    let world = World::new();
    let store = ImageStore::open(&world.directory.path().join("layout")).expect("a store");
    let read = std::fs::read(world.at(INDEX)).expect("read");
    // One name of half the limit fits, and two do not.
    let mut index = store.read_index().expect("read");
    let long = "x".repeat(usize::try_from(names::MAX_INDEX_BYTES / 2).expect("small"));
    for _ in 0..2 {
        let annotations = std::collections::BTreeMap::from([("x".to_owned(), long.clone())]);
        index.manifests.push(Descriptor { annotations: Some(annotations), ..world.image.descriptor.clone() });
    }
    let lock = store.lock_index().expect("a lock");
    assert!(matches!(store.write_index(&lock, &index), Err(StoreError::IndexSize { .. })));
    assert_eq!(std::fs::read(world.at(INDEX)).expect("read"), read);
    index.manifests.pop();
    store.write_index(&lock, &index).expect("within the limit");
    store.read_index().expect("what was written can be read");
    std::fs::OpenOptions::new()
        .write(true)
        .open(world.at(INDEX))
        .and_then(|file| file.set_len(names::MAX_INDEX_BYTES + 1))
        .expect("longer");
    match store.read_index() {
        Err(StoreError::Io { source, .. }) => {
            assert_eq!(Unreadable::of(&source), Some(Unreadable::TooLarge { limit: names::MAX_INDEX_BYTES }));
        }
        other => panic!("{other:?}"),
    }
}
