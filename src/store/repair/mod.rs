//! Repair of a store that other commands refuse: readable files stay, unreadable ones are put aside.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

use rustix::fs::FileType;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::names::{INDEX, INDEX_LOCK, LAYOUT_MARKER, LEASE_LOCK, MARKER, MAX_INDEX_BYTES, TEMPORARY};
use super::{Entry, ImageStore, StoreError, check_marker};
use crate::fs::{Directory, Hold, Unreadable};
use crate::image::{Content, Descriptor, Digest, Document, Index, MAX_DOCUMENT_BYTES, media_type};
use crate::progress::Interrupt;

/// Bytes of a damaged `index.json` that are searched for entries.
const MAX_SALVAGE_BYTES: u64 = 1 << 30;
/// Entries of a damaged `index.json` are kept up to this many bytes, so that others fit in later.
const MAX_KEPT_BYTES: u64 = MAX_INDEX_BYTES / 2;
/// How many names are tried for a file that is put aside.
const MAX_ASIDE: usize = 1000;

/// One thing that a repair did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// A file was renamed, because it cannot be used.
    Aside {
        /// Its name in the store.
        name: String,
        /// Its new name there.
        to: String,
        /// Why.
        reason: String,
    },
    /// The `oci-layout` file was written.
    Marker,
    /// `index.json` was written anew.
    Index {
        /// Entries that were kept.
        kept: usize,
        /// Entries that did not fit, or were not valid.
        lost: usize,
    },
    /// An entry was removed, because its manifest or index cannot be read.
    Removed {
        /// Its name, if it had one.
        name: Option<String>,
        /// The digest of its manifest or index.
        digest: Digest,
        /// Why.
        reason: String,
    },
    /// An image without an entry got one without a name.
    Recovered(Digest),
}

impl ImageStore {
    /// Repairs the store at `root` as far as possible without lost content. Readable files stay, and damaged files are
    /// renamed.
    ///
    /// Waits until no other command uses the store.
    ///
    /// # Errors
    /// Refuses a directory without `oci-layout` and without blobs, a layout of another version, and links in place of
    /// the directories of the blobs.
    pub fn repair(root: &Path, interrupt: &Interrupt) -> Result<Vec<Repair>, StoreError> {
        let directory = Directory::open(root).map_err(|source| StoreError::io("open", root, source))?;
        let store = Self::at(directory).with_interrupt(interrupt.clone());
        if !store.layout.root.has(MARKER) && store.blobs().is_err() && !store.is_unfinished()? {
            return Err(StoreError::NotALayout(root.to_owned()));
        }
        let mut done = Vec::new();
        for lock in [INDEX_LOCK, LEASE_LOCK] {
            store.put_aside_unless(lock, FileType::RegularFile, &mut done)?;
        }
        let _alone = store.lock(LEASE_LOCK, Hold::Exclusive)?;
        let lock = store.lock_index()?;
        store.repair_marker(&mut done)?;
        store.put_aside_unless(TEMPORARY, FileType::Directory, &mut done)?;
        store.make_temporary()?;
        store.make_blobs()?;
        let before = match store.read_index() {
            Ok(index) => Some(index),
            Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => None,
            Err(error) if !is_damage(&error) => return Err(error),
            Err(error) => {
                let (index, kept, lost) = store.salvage();
                store.put_aside(INDEX, &reason(&error), &mut done)?;
                done.push(Repair::Index { kept, lost });
                store.write_index(&lock, &index)?;
                None
            }
        };
        let is_whole = before.is_some();
        let mut index = before.unwrap_or_else(|| store.read_index().unwrap_or_default());
        let count = index.manifests.len();
        let entries = std::mem::take(&mut index.manifests);
        // Several names may point at one image, which is examined once.
        let mut looked = BTreeMap::new();
        for descriptor in entries {
            let key = (descriptor.digest, descriptor.size, descriptor.media_type.clone());
            let trouble = if let Some(known) = looked.get(&key) {
                Option::clone(known)
            } else {
                let trouble = store.trouble(&descriptor, &mut done)?;
                looked.insert(key, trouble.clone());
                trouble
            };
            match trouble {
                None => index.manifests.push(descriptor),
                Some(reason) => {
                    let Entry { name, .. } = Entry::from_descriptor(&descriptor);
                    done.push(Repair::Removed { name, digest: descriptor.digest, reason });
                }
            }
        }
        if !is_whole {
            for descriptor in store.unnamed(&index)? {
                done.push(Repair::Recovered(descriptor.digest));
                index.manifests.push(descriptor);
            }
        }
        if !is_whole || index.manifests.len() != count {
            store.write_index(&lock, &index)?;
        }
        Ok(done)
    }

    fn repair_marker(&self, done: &mut Vec<Repair>) -> Result<(), StoreError> {
        let damage = match self.read_marker() {
            Ok(Some(bytes)) => match check_marker(&self.path(MARKER), &bytes) {
                Err(StoreError::Json { source, .. }) => Some(source.to_string()),
                // Another version is not damage.
                checked => return checked,
            },
            Ok(None) => None,
            Err(error) if !is_damage(&error) => return Err(error),
            Err(error) => Some(reason(&error)),
        };
        if let Some(reason) = damage {
            self.put_aside(MARKER, &reason, done)?;
        }
        let written = self.layout.root.replace_file(MARKER, LAYOUT_MARKER);
        written.map_err(|source| StoreError::io("write", &self.path(MARKER), source))?;
        done.push(Repair::Marker);
        Ok(())
    }

    fn put_aside_unless(&self, name: &str, wanted: FileType, done: &mut Vec<Repair>) -> Result<(), StoreError> {
        let Ok(stat) = self.layout.root.stat(name) else { return Ok(()) };
        if FileType::from_raw_mode(stat.st_mode) == wanted {
            return Ok(());
        }
        let kind = if wanted == FileType::Directory { "directory" } else { "regular file" };
        self.put_aside(name, &format!("it is not a {kind}"), done)
    }

    /// Renames the file `name`; a link is renamed and not followed.
    fn put_aside(&self, name: &str, reason: &str, done: &mut Vec<Repair>) -> Result<(), StoreError> {
        let root = &self.layout.root;
        self.move_aside(root, name, reason, done)
    }

    fn move_aside(
        &self,
        directory: &Directory,
        name: &str,
        reason: &str,
        done: &mut Vec<Repair>,
    ) -> Result<(), StoreError> {
        let root = &self.layout.root;
        let free = (1..=MAX_ASIDE).map(|number| format!("{name}.damaged-{number}")).find(|name| !root.has(name));
        let to = free.ok_or_else(|| StoreError::io("rename", &self.path(name), ErrorKind::AlreadyExists.into()))?;
        directory.rename(name, root, &to).map_err(|source| StoreError::io("rename", &self.path(name), source))?;
        done.push(Repair::Aside { name: name.to_owned(), to, reason: reason.to_owned() });
        Ok(())
    }

    /// Reads the entries of an `index.json` as far as it goes: the index, and how many entries were kept and lost.
    fn salvage(&self) -> (Index, usize, usize) {
        let mut index = Index { schema_version: 2, ..Index::default() };
        // Only a regular file has entries.
        let Ok(file) = self.layout.root.open_regular(INDEX) else { return (index, 0, 0) };
        let (entries, mut lost) = entries(file);
        let mut bytes = 0;
        for entry in entries {
            bytes += serde_json::to_vec(&entry).map_or(0, |text| text.len() as u64 + 1);
            if bytes > MAX_KEPT_BYTES {
                lost += 1;
            } else {
                index.manifests.push(entry);
            }
        }
        let kept = index.manifests.len();
        (index, kept, lost)
    }

    /// Returns why an entry cannot stay; `None` for one that can. Damaged documents below it are put aside: they are in
    /// the way of pruning.
    fn trouble(&self, root: &Descriptor, done: &mut Vec<Repair>) -> Result<Option<String>, StoreError> {
        let mut seen = BTreeSet::new();
        let mut pending = vec![root.clone()];
        let mut trouble = None;
        while let Some(descriptor) = pending.pop() {
            if !seen.insert(descriptor.digest) {
                continue;
            }
            let is_root = descriptor.digest == root.digest;
            let error = match self.document(&descriptor) {
                Ok(document) => {
                    if let Content::Index(index) = document.content {
                        let is_document = |child: &Descriptor| media_type::is_document(&child.media_type);
                        pending.extend(index.manifests.into_iter().filter(is_document));
                    }
                    continue;
                }
                Err(error) => error,
            };
            let known = media_type::is_document(&descriptor.media_type);
            let goes = match &error {
                StoreError::MissingBlob(_) => is_root,
                StoreError::BlobDigest { .. } => {
                    self.put_blob_aside(descriptor.digest, &error, done)?;
                    is_root
                }
                StoreError::Io { source, .. } if Unreadable::of(source).is_some() => {
                    self.put_blob_aside(descriptor.digest, &error, done)?;
                    is_root
                }
                StoreError::BlobSize { .. } if self.is_damaged(descriptor.digest) => {
                    self.put_blob_aside(descriptor.digest, &error, done)?;
                    is_root
                }
                // The blob is intact, so the entry is wrong.
                StoreError::BlobSize { .. } => true,
                // Other tools may have entries of types that are not known here.
                StoreError::Document { .. } | StoreError::DocumentSize { .. } => known || !is_root,
                _ => return Err(error),
            };
            if goes && trouble.is_none() {
                trouble = Some(reason(&error));
            }
        }
        Ok(trouble)
    }

    /// Returns whether the stored bytes are not those that the name promises.
    fn is_damaged(&self, digest: Digest) -> bool {
        let read = self.blobs().and_then(|blobs| blobs.read_regular(&digest.hex(), MAX_DOCUMENT_BYTES));
        read.map_or(true, |bytes| Digest::of(&bytes) != digest)
    }

    fn put_blob_aside(&self, digest: Digest, error: &StoreError, done: &mut Vec<Repair>) -> Result<(), StoreError> {
        let blobs = self.make_blobs()?;
        if blobs.has(&digest.hex()) { self.move_aside(blobs, &digest.hex(), &reason(error), done) } else { Ok(()) }
    }

    /// Returns the stored images that no entry leads to and that lack nothing, as entries without a name.
    fn unnamed(&self, index: &Index) -> Result<Vec<Descriptor>, StoreError> {
        // An entry of another tool's type may need any blob.
        let Ok(reachable) = self.reachable_from(index.manifests.clone()) else { return Ok(Vec::new()) };
        let mut found: Vec<Document> = Vec::new();
        for (digest, size) in self.unreached(&reachable)? {
            if size > MAX_DOCUMENT_BYTES || self.interrupt.requested() {
                continue;
            }
            let Ok(bytes) = self.blobs().and_then(|blobs| blobs.read_regular(&digest.hex(), size)) else { continue };
            if bytes.first() != Some(&b'{') || Digest::of(&bytes) != digest {
                continue;
            }
            let Ok(document) = Document::parse(None, bytes) else { continue };
            let known = media_type::is_document(&document.descriptor.media_type);
            let needed = document.references();
            if known && !needed.is_empty() && needed.iter().all(|needed| self.check_blob(needed).is_ok()) {
                found.push(document);
            }
        }
        let inner: BTreeSet<Digest> = found.iter().flat_map(Document::references).map(|needed| needed.digest).collect();
        Ok(found.into_iter().map(|document| document.descriptor).filter(|root| !inner.contains(&root.digest)).collect())
    }
}

/// Returns whether the file itself is damaged. A file that may not be read for lack of permission may be intact.
fn is_damage(error: &StoreError) -> bool {
    match error {
        StoreError::Io { source, .. } => Unreadable::of(source).is_some(),
        _ => true,
    }
}

/// Returns an error's text with its causes.
fn reason(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Returns the entries that a damaged `index.json` has before its damage, and how many elements were none.
fn entries(file: File) -> (Vec<Descriptor>, usize) {
    let found = RefCell::new((Vec::new(), 0));
    let reader = BufReader::with_capacity(1 << 16, file.take(MAX_SALVAGE_BYTES));
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    // An error ends the search; what was found before it counts.
    let _ = deserializer.deserialize_map(IndexVisitor(&found));
    found.into_inner()
}

type Found = RefCell<(Vec<Descriptor>, usize)>;

/// Visits the object of an index.
struct IndexVisitor<'a>(&'a Found);

impl<'de> Visitor<'de> for IndexVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an index")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "manifests" {
                map.next_value_seed(Entries(self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// Visits the entries of an index one by one.
struct Entries<'a>(&'a Found);

impl<'de> DeserializeSeed<'de> for Entries<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let mut bytes = 0;
        while let Some(element) = elements.next_element::<serde_json::Value>()? {
            let mut found = self.0.borrow_mut();
            match serde_json::from_value::<Descriptor>(element) {
                // Entries beyond the limit are counted and not kept in memory.
                Ok(entry) if bytes <= MAX_KEPT_BYTES => {
                    bytes += serde_json::to_vec(&entry).map_or(0, |text| text.len() as u64);
                    found.0.push(entry);
                }
                Ok(_) | Err(_) => found.1 += 1,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
