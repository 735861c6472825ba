//! The entries of an archive that is being read: documents in memory, everything else in the store.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};

use super::ArchiveError;
use crate::image::strict::{self, StrictDocument};
use crate::image::{Descriptor, Digest, MAX_DOCUMENT_BYTES};
use crate::layer::read::{EntryKind, TarEntry, TarError, TarReader};
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
        let mut spool = Spool { store, lease, progress, interrupt };
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
            EntryKind::File if entry.size != entry.stored => "a file with holes",
            EntryKind::File | EntryKind::Symlink => "",
            EntryKind::HardLink => "a hard link",
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
        if self.items.contains_key(&path) || self.documents.contains_key(&path) {
            return Err(ArchiveError::Duplicate(path));
        }
        if entry.kind == EntryKind::Symlink {
            let target = entry.link.as_deref().unwrap_or_default();
            let target = follow(&path, target)
                .ok_or_else(|| ArchiveError::Link { path: path.clone(), target: shown(target) })?;
            self.items.insert(path, Item::Link(target));
            return Ok(());
        }
        if matches!(path.as_str(), "manifest.json" | "index.json" | "oci-layout") {
            if entry.stored > MAX_DOCUMENT_BYTES {
                return Err(ArchiveError::document_size(&path, entry.stored));
            }
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).map_err(|error| reader.explain(error))?;
            self.documents.insert(path, bytes);
            return Ok(());
        }
        if is_legacy(&path) {
            return Ok(());
        }
        let stored = spool.store(&path, entry.stored, reader)?;
        self.items.insert(path, Item::Stored(stored));
        Ok(())
    }

    /// Parses one of the documents at the archive's root; `None` when it is not there.
    pub(super) fn document<T: StrictDocument>(&self, path: &str) -> Result<Option<T>, ArchiveError> {
        self.documents
            .get(path)
            .map(|bytes| strict::from_slice(bytes))
            .transpose()
            .map_err(|source| ArchiveError::Json { path: path.to_owned(), source })
    }

    /// The file that `path`, as a document writes it, stands for.
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
}

impl Spool<'_> {
    fn store<R: Read>(&mut self, path: &str, size: u64, reader: &mut TarReader<R>) -> Result<Stored, ArchiveError> {
        if size > MAX_BLOB_BYTES {
            return Err(ArchiveError::TooLarge { path: path.to_owned(), size, limit: MAX_BLOB_BYTES });
        }
        if reader.offset().saturating_add(size) > MAX_ARCHIVE_BYTES {
            return Err(ArchiveError::TooLarge { path: path.to_owned(), size, limit: MAX_ARCHIVE_BYTES });
        }
        let label: String = path.strip_prefix("blobs/sha256/").unwrap_or(path).chars().take(12).collect();
        self.progress.emit(Event::Begin { key: path, label: &label, phase: Phase::Load, total: Some(size) });
        let stored = self.copy(path, reader);
        let outcome = if stored.is_ok() { Outcome::Done } else { Outcome::Failed };
        self.progress.emit(Event::End { key: path, outcome });
        stored
    }

    fn copy<R: Read>(&self, path: &str, reader: &mut TarReader<R>) -> Result<Stored, ArchiveError> {
        let mut writer = self.store.write_blob(self.lease)?;
        let mut buffer = vec![0; 128 << 10];
        let mut start = Vec::new();
        loop {
            if self.interrupt.requested() {
                return Err(ArchiveError::Interrupted);
            }
            let count = match reader.read(&mut buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(reader.explain(error).into()),
                Ok(0) => break,
                Ok(count) => count,
            };
            start.extend(buffer[..count].iter().take(MARK_BYTES - start.len()));
            writer
                .write_all(&buffer[..count])
                .map_err(|source| StoreError::io("write a blob in", self.store.root(), source))?;
            self.progress.emit(Event::Advance { key: path, bytes: count as u64 });
        }
        let compression = Compression::detect(&start);
        let size = writer.written();
        let named = path.strip_prefix("blobs/sha256/").and_then(|hex| Digest::from_hex(hex).ok());
        let digest = match named {
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

/// A path without `.` and empty components; fails for one that leads out of the archive.
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

/// Where a link leads, from the archive's root; `None` when that is outside.
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

/// A path fit for a message.
fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).chars().take(200).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
