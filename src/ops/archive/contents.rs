//! The entries of an archive that is being read: documents in memory, everything else in the store.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{Cursor, Read, Write};

use super::ArchiveError;
use super::holes::Filled;
use crate::image::strict::{self, StrictDocument};
use crate::image::{Descriptor, Digest, Hasher, MAX_DOCUMENT_BYTES};
use crate::layer::tar::read::{EntryKind, TarEntry, TarError, TarReader};
use crate::layer::{Decoder, Format, MARK_BYTES, detect};
use crate::progress::{Event, Interrupt, Outcome, Phase, Progress};
use crate::store::{ImageStore, Lease, StoreError};

/// The most entries an archive may have: some thousand layers make three each.
const MAX_ENTRIES: usize = 16 << 10;

/// The longest path, in bytes.
const MAX_PATH_BYTES: usize = 1024;

/// The largest blob, in bytes.
const MAX_BLOB_BYTES: u64 = 1 << 38;

/// The largest archive once decompressed, in bytes.
const MAX_ARCHIVE_BYTES: u64 = 1 << 40;

/// The most bytes that holes in files may have together: they take no room in the archive.
const MAX_HOLE_BYTES: u64 = 1 << 32;

/// Documents at the root of an archive.
pub(super) const DOCUMENTS: &[&str] = &["manifest.json", "index.json", "oci-layout"];

/// Where blobs have their digests as names.
const BLOBS: &str = "blobs/sha256/";

/// How many links may lead to one another.
const MAX_LINKS: usize = 8;

/// How a file is compressed, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    /// One that a layer may have.
    Layer(Format),
    /// One that we do not undo.
    Other(&'static str),
}

impl Compression {
    fn detect(start: &[u8]) -> Self {
        detect(start).map_or_else(Self::Other, Self::Layer)
    }
}

/// A file of the archive, stored as a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) compression: Compression,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Stored(Stored),
    /// Normalised path of what the link stands for.
    Link(String),
}

/// What was found in an archive.
pub(super) struct Contents {
    documents: BTreeMap<String, Vec<u8>>,
    items: BTreeMap<String, Item>,
}

impl Contents {
    /// Reads a whole archive, gzip-compressed or not.
    pub(super) fn read(
        store: &ImageStore,
        lease: &Lease,
        mut source: impl Read,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<Self, ArchiveError> {
        let mut start = Vec::new();
        (&mut source)
            .take(MARK_BYTES as u64)
            .read_to_end(&mut start)
            .map_err(|error| ArchiveError::Tar(TarError::Read(error)))?;
        let compression = Compression::detect(&start);
        let source = Cursor::new(start).chain(source);
        let format = match compression {
            Compression::Layer(format) => format,
            Compression::Other(compression) => {
                return Err(ArchiveError::Compression { what: "the archive".into(), compression });
            }
        };
        let source = Decoder::new(format, source).map_err(|error| ArchiveError::Tar(TarError::Read(error)))?;
        let mut contents = Self { documents: BTreeMap::new(), items: BTreeMap::new() };
        let mut reader = TarReader::new(source);
        let mut spool = Spool { store, lease, progress, interrupt, bytes: 0, holes: 0 };
        let mut entries = 0;
        while let Some(entry) = reader.next_entry()? {
            entries += 1;
            if entries > MAX_ENTRIES {
                return Err(ArchiveError::TooMany { what: "entries", limit: MAX_ENTRIES });
            }
            contents.take(&entry, &mut reader, &mut spool)?;
        }
        reader.finish()?;
        Ok(contents)
    }

    fn take<R: Read>(
        &mut self,
        entry: &TarEntry,
        reader: &mut TarReader<R>,
        spool: &mut Spool<'_>,
    ) -> Result<(), ArchiveError> {
        let path = clean(&entry.path)?;
        let kind = match entry.kind {
            EntryKind::Directory => return Ok(()),
            EntryKind::File | EntryKind::Symlink | EntryKind::HardLink => "",
            EntryKind::CharDevice | EntryKind::BlockDevice => "a device",
            EntryKind::Fifo => "a named pipe",
            EntryKind::Other(_) => "of an unknown type",
        };
        if !kind.is_empty() {
            return Err(ArchiveError::Kind { path, kind });
        }
        if path.is_empty() {
            return Err(ArchiveError::Path(shown(&entry.path)));
        }
        let target = entry.link.as_deref().unwrap_or_default();
        if entry.kind == EntryKind::Symlink {
            let target = follow(&path, target)
                .ok_or_else(|| ArchiveError::Link { path: path.clone(), target: shown(target) })?;
            return self.put(path, Item::Link(target));
        }
        if is_legacy(&path) {
            return Ok(());
        }
        if entry.kind == EntryKind::HardLink {
            return self.hard_link(path, target, spool);
        }
        let mut content = Filled::new(entry, reader);
        if DOCUMENTS.contains(&path.as_str()) {
            let bytes = read_document(&path, entry.size, &mut content)?;
            return self.put_document(path, bytes);
        }
        let stored = match self.items.get(&path) {
            // Read again only to see that it is the same.
            Some(Item::Stored(before)) => Stored { digest: spool.hash(&path, entry, &mut content)?, ..*before },
            Some(Item::Link(_)) => return Err(ArchiveError::Duplicate(path)),
            None => spool.store(&path, entry, &mut content)?,
        };
        self.put(path, Item::Stored(stored))
    }

    /// Adds a file or a link. A path may come twice where both are the same: images of one archive share layers.
    fn put(&mut self, path: String, item: Item) -> Result<(), ArchiveError> {
        let other = self.documents.contains_key(&path);
        match self.items.entry(path) {
            Entry::Vacant(place) if !other => {
                place.insert(item);
                Ok(())
            }
            Entry::Occupied(place) if *place.get() == item => Ok(()),
            place => Err(ArchiveError::Duplicate(place.key().clone())),
        }
    }

    fn put_document(&mut self, path: String, bytes: Vec<u8>) -> Result<(), ArchiveError> {
        let other = self.items.contains_key(&path);
        match self.documents.entry(path) {
            Entry::Vacant(place) if !other => {
                place.insert(bytes);
                Ok(())
            }
            Entry::Occupied(place) if *place.get() == bytes => Ok(()),
            place => Err(ArchiveError::Duplicate(place.key().clone())),
        }
    }

    /// Adds another name of an entry before, as tar writes a file with two names.
    fn hard_link(&mut self, path: String, target: &[u8], spool: &mut Spool<'_>) -> Result<(), ArchiveError> {
        let from_root = target.iter().position(|byte| *byte != b'/').map_or(&[][..], |at| &target[at..]);
        let target = clean(from_root)?;
        let is_document = DOCUMENTS.contains(&path.as_str());
        if let Some(bytes) = self.documents.get(&target).cloned() {
            if is_document {
                return self.put_document(path, bytes);
            }
            let digest = spool.put(&bytes)?;
            let compression = Compression::detect(&bytes[..bytes.len().min(MARK_BYTES)]);
            check_name(&path, digest)?;
            return self.put(path, Item::Stored(Stored { digest, size: bytes.len() as u64, compression }));
        }
        let Some(item) = self.items.get(&target).cloned() else {
            return Err(ArchiveError::HardLink { path, target });
        };
        match item {
            Item::Stored(stored) if is_document => {
                if stored.size > MAX_DOCUMENT_BYTES {
                    return Err(ArchiveError::document_size(&path, stored.size));
                }
                let bytes = spool.store.read_document(&Descriptor::new("", stored.digest, stored.size))?;
                self.put_document(path, bytes)
            }
            Item::Stored(stored) => {
                check_name(&path, stored.digest)?;
                self.put(path, item)
            }
            Item::Link(_) => self.put(path, item),
        }
    }

    /// Parses one of the documents at the archive's root; `None` when it is not there.
    pub(super) fn document<T: StrictDocument>(&self, path: &str) -> Result<Option<T>, ArchiveError> {
        self.documents
            .get(path)
            .map(|bytes| strict::from_slice(bytes))
            .transpose()
            .map_err(|source| ArchiveError::Json { path: path.to_owned(), source })
    }

    /// Returns the file that `path`, as a document writes it, stands for.
    pub(super) fn file(&self, path: &str) -> Result<Stored, ArchiveError> {
        let mut path = clean(path.as_bytes())?;
        for _ in 0..=MAX_LINKS {
            match self.items.get(&path) {
                Some(Item::Stored(stored)) => return Ok(*stored),
                Some(Item::Link(target)) => path.clone_from(target),
                None => break,
            }
        }
        Err(ArchiveError::Missing(path))
    }
}

/// Files of layouts older than `manifest.json`, which repeat what it says.
fn is_legacy(path: &str) -> bool {
    path == "repositories" || path.split_once('/').is_some_and(|(_, name)| matches!(name, "VERSION" | "json"))
}

/// Writes entries into the store.
struct Spool<'a> {
    store: &'a ImageStore,
    lease: &'a Lease,
    progress: &'a dyn Progress,
    interrupt: &'a Interrupt,
    /// Bytes of files so far.
    bytes: u64,
    /// Bytes of holes so far.
    holes: u64,
}

impl Spool<'_> {
    /// Writes an entry into the store.
    fn store<R: Read>(
        &mut self,
        path: &str,
        entry: &TarEntry,
        content: &mut Filled<'_, R>,
    ) -> Result<Stored, ArchiveError> {
        self.begin(path, entry)?;
        let label: String = path.strip_prefix(BLOBS).unwrap_or(path).chars().take(12).collect();
        let total = Some(entry.size);
        self.progress.emit(Event::Begin { key: path, label: &label, phase: Phase::Load, total });
        let stored = self.copy(path, content);
        let outcome = if stored.is_ok() { Outcome::Done } else { Outcome::Failed };
        self.progress.emit(Event::End { key: path, outcome });
        stored
    }

    /// Reads an entry without keeping it.
    fn hash<R: Read>(
        &mut self,
        path: &str,
        entry: &TarEntry,
        content: &mut Filled<'_, R>,
    ) -> Result<Digest, ArchiveError> {
        self.begin(path, entry)?;
        let mut hasher = Hasher::default();
        content.copy(self.interrupt, |bytes| {
            hasher.update(bytes);
            Ok(())
        })?;
        Ok(hasher.finish().0)
    }

    /// Checks what is still to be read.
    fn begin(&mut self, path: &str, entry: &TarEntry) -> Result<(), ArchiveError> {
        let too_large = |limit| ArchiveError::TooLarge { path: path.to_owned(), size: entry.size, limit };
        self.bytes = self.bytes.saturating_add(entry.size);
        self.holes = self.holes.saturating_add(entry.size - entry.stored);
        if entry.size > MAX_BLOB_BYTES {
            return Err(too_large(MAX_BLOB_BYTES));
        }
        if self.holes > MAX_HOLE_BYTES {
            return Err(too_large(MAX_HOLE_BYTES));
        }
        if self.bytes > MAX_ARCHIVE_BYTES { Err(too_large(MAX_ARCHIVE_BYTES)) } else { Ok(()) }
    }

    fn put(&self, bytes: &[u8]) -> Result<Digest, ArchiveError> {
        Ok(self.store.put(self.lease, "", bytes)?.digest)
    }

    fn copy<R: Read>(&self, path: &str, content: &mut Filled<'_, R>) -> Result<Stored, ArchiveError> {
        let mut writer = self.store.write_blob(self.lease)?;
        let mut start = Vec::new();
        content.copy(self.interrupt, |bytes| {
            start.extend(bytes.iter().take(MARK_BYTES - start.len()));
            writer.write_all(bytes).map_err(|source| StoreError::io("write a blob in", self.store.root(), source))?;
            self.progress.emit(Event::Advance { key: path, bytes: bytes.len() as u64 });
            Ok(())
        })?;
        let compression = Compression::detect(&start);
        let size = writer.written();
        let digest = match named(path) {
            None => writer.commit()?.0,
            Some(digest) => match writer.commit_as(&Descriptor::new("", digest, size)) {
                Ok(()) => digest,
                Err(StoreError::BlobDigest { found, .. }) => {
                    return Err(ArchiveError::Damaged { path: path.to_owned(), found });
                }
                Err(error) => return Err(error.into()),
            },
        };
        Ok(Stored { digest, size, compression })
    }
}

/// Returns the digest that the name of a blob promises.
fn named(path: &str) -> Option<Digest> {
    path.strip_prefix(BLOBS).and_then(|hex| Digest::from_hex(hex).ok())
}

fn check_name(path: &str, found: Digest) -> Result<(), ArchiveError> {
    match named(path) {
        Some(digest) if digest != found => Err(ArchiveError::Damaged { path: path.to_owned(), found }),
        _ => Ok(()),
    }
}

fn read_document<R: Read>(path: &str, size: u64, content: &mut Filled<'_, R>) -> Result<Vec<u8>, ArchiveError> {
    if size > MAX_DOCUMENT_BYTES {
        return Err(ArchiveError::document_size(path, size));
    }
    let mut bytes = Vec::new();
    content.copy(&Interrupt::default(), |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(bytes)
}

/// Returns a path without `.` and empty components; fails for one that leads out of the archive.
fn clean(path: &[u8]) -> Result<String, ArchiveError> {
    let unsafe_path = || ArchiveError::Path(shown(path));
    let text = std::str::from_utf8(path).map_err(|_| unsafe_path())?;
    if text.len() > MAX_PATH_BYTES || text.starts_with('/') || text.chars().any(|c| c.is_control() || c == '\\') {
        return Err(unsafe_path());
    }
    let mut clean: Vec<&str> = Vec::new();
    for component in text.split('/') {
        match component {
            "" | "." => {}
            ".." => return Err(unsafe_path()),
            component => clean.push(component),
        }
    }
    Ok(clean.join("/"))
}

/// Returns where a link leads, from the archive's root; `None` when that is outside.
fn follow(link: &str, target: &[u8]) -> Option<String> {
    let target = std::str::from_utf8(target).ok()?;
    if target.is_empty() || target.len() > MAX_PATH_BYTES || target.starts_with('/') {
        return None;
    }
    let mut path: Vec<&str> = link.split('/').collect();
    path.pop();
    for component in target.split('/') {
        match component {
            "" | "." => {}
            ".." => {
                path.pop()?;
            }
            component => path.push(component),
        }
    }
    Some(path.join("/"))
}

/// Returns a path fit for a message.
fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).chars().take(200).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
