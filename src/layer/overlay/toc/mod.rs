//! A layer without its content: what it says of directories, where its links lead, which names it has and which it
//! takes away. Read once from the layer's tar stream, kept in a few bytes a name, and laid over what is below.

use std::io::Read;

use super::lower_tree::{MAX_DEPTH, MAX_PATH_BYTES};
use crate::layer::tar::read::{EntryKind, TarEntry, TarError, TarReader};
use crate::layer::{Attributes, LowerEntry, LowerTree, OPAQUE, Owner, WHITEOUT};
use crate::progress::Interrupt;

/// The most names that layers may have together, directories on the way to them included.
pub const MAX_NAMES: usize = 1 << 21;

/// The most bytes of a table of contents: [`MAX_NAMES`] names of a usual length.
pub(in crate::layer) const MAX_TOC_BYTES: usize = 64 << 20;

/// Why a layer has no table of contents.
#[derive(Debug, thiserror::Error)]
pub enum TocError {
    /// The layer is no tar archive we accept.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// It has an entry that engines do not unpack and other programs take for a file.
    #[error("it has an entry of the unknown type {0:#04x}")]
    Kind(u8),
    /// It has more names than are kept in mind.
    #[error("it has more than the {MAX_NAMES} names allowed, or longer or deeper ones than any image needs")]
    TooLarge,
    /// The work was asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// What a layer does to the tree below it.
///
/// A record for each name, in the layer's order: its kind, how many bytes it shares with the name before, the others,
/// and what there is to say of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LayerToc {
    bytes: Vec<u8>,
    names: usize,
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Record<'a> {
    LowerEntry(LowerEntry<'a>),
    /// The name is taken away from the layers below.
    Removed,
    /// Everything in the directory is.
    Emptied,
}

impl LayerToc {
    /// Reads the tar stream of a layer to its end.
    ///
    /// What no system could unpack is passed over: names that lead out, or are longer than a path can be.
    ///
    /// # Errors
    ///
    /// Fails for what tar readers read differently, and for more or deeper names than any image has.
    pub fn read(layer: impl Read, interrupt: &Interrupt) -> Result<Self, TocError> {
        let mut reader = TarReader::new(layer);
        let mut toc = Self::default();
        let mut last = Vec::new();
        loop {
            let entry = match reader.next_entry() {
                Ok(Some(entry)) => entry,
                // Every engine takes a layer without a byte for one without entries.
                Ok(None) | Err(TarError::Empty) => break,
                Err(error) => return Err(error.into()),
            };
            if interrupt.requested() {
                return Err(TocError::Interrupted);
            }
            if let EntryKind::Other(flag) = entry.kind {
                return Err(TocError::Kind(flag));
            }
            let Some(path) = clean(&entry.path) else { continue };
            if components(&path) > MAX_DEPTH {
                return Err(TocError::TooLarge);
            }
            let (parent, name) = super::lower_tree::parted(&path);
            let (path, record) = if name == OPAQUE {
                (parent, Record::Emptied)
            } else if let Some(hidden) = name.strip_prefix(WHITEOUT) {
                // The others are some storage driver's own.
                if hidden.is_empty() || hidden.starts_with(WHITEOUT) {
                    continue;
                }
                let hidden = [parent, hidden].join(&b'/');
                toc.push(&mut last, hidden.strip_prefix(b"/").unwrap_or(&hidden), Record::Removed);
                continue;
            } else {
                (&path[..], Record::LowerEntry(thing(&entry)))
            };
            toc.push(&mut last, path, record);
            if toc.names > MAX_NAMES || toc.bytes.len() > MAX_TOC_BYTES {
                return Err(TocError::TooLarge);
            }
        }
        reader.finish()?;
        Ok(toc)
    }

    /// Returns the table of contents in these cached bytes, if they hold one.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        let mut records = Records::new(&bytes);
        while records.next().is_some() {}
        let names = records.names;
        (records.rest.is_empty() && names <= MAX_NAMES).then_some(Self { bytes, names })
    }

    /// Returns how many names there are, directories on the way to them included, if none of them are there.
    pub fn names(&self) -> usize {
        self.names
    }

    /// Returns the bytes to cache.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Puts the layer over `below`. Its whiteouts apply to the layers below, wherever in the layer they stand.
    pub fn lay_over(&self, below: &mut LowerTree) {
        let mut records = Records::new(&self.bytes);
        while let Some(record) = records.next() {
            match record {
                Record::Removed => below.remove(&records.path),
                Record::Emptied => below.empty(&records.path),
                Record::LowerEntry(_) => {}
            }
        }
        let mut records = Records::new(&self.bytes);
        while let Some(record) = records.next() {
            if let Record::LowerEntry(thing) = record {
                below.put(&records.path, thing);
            }
        }
    }

    fn push(&mut self, last: &mut Vec<u8>, path: &[u8], record: Record<'_>) {
        let shared = last.iter().zip(path).take_while(|(one, other)| one == other).count();
        let length = |bytes: usize| u16::try_from(bytes).expect("no longer than a path").to_le_bytes();
        self.bytes.push(match record {
            Record::LowerEntry(LowerEntry::Directory(_)) => b'd',
            Record::LowerEntry(LowerEntry::Link(_)) => b'l',
            Record::LowerEntry(LowerEntry::Other) => b'o',
            Record::Removed => b'r',
            Record::Emptied => b'e',
        });
        self.bytes.extend(length(shared));
        self.bytes.extend(length(path.len() - shared));
        self.bytes.extend(&path[shared..]);
        match record {
            Record::LowerEntry(LowerEntry::Directory(Attributes { mode, owner, modified })) => {
                self.bytes.extend(mode.to_le_bytes());
                for number in [owner.uid, owner.gid, modified] {
                    self.bytes.extend(number.to_le_bytes());
                }
            }
            Record::LowerEntry(LowerEntry::Link(target)) => {
                self.bytes.extend(length(target.len()));
                self.bytes.extend(target);
            }
            _ => {}
        }
        self.names += components(&path[shared..]);
        last.truncate(shared);
        last.extend(&path[shared..]);
    }
}

/// Walks the records; `path` is the name of the one that was read last. Ends before what is none.
struct Records<'a> {
    rest: &'a [u8],
    path: Vec<u8>,
    names: usize,
}

impl<'a> Records<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, path: Vec::new(), names: 0 }
    }

    fn next(&mut self) -> Option<Record<'a>> {
        let (kind, rest) = self.rest.split_first()?;
        let (shared, rest) = length(rest)?;
        let (own, rest) = length(rest)?;
        let (own, rest) = rest.split_at_checked(own)?;
        let (record, rest) = match kind {
            b'd' => {
                let (mode, rest) = rest.split_first_chunk()?;
                let (uid, rest) = rest.split_first_chunk()?;
                let (gid, rest) = rest.split_first_chunk()?;
                let (modified, rest) = rest.split_first_chunk()?;
                let owner = Owner { uid: u64::from_le_bytes(*uid), gid: u64::from_le_bytes(*gid) };
                let modified = u64::from_le_bytes(*modified);
                let attributes = Attributes { mode: u32::from_le_bytes(*mode), owner, modified };
                (Record::LowerEntry(LowerEntry::Directory(attributes)), rest)
            }
            b'l' => {
                let (target, rest) = length(rest)?;
                let (target, rest) = rest.split_at_checked(target)?;
                (Record::LowerEntry(LowerEntry::Link(target)), rest)
            }
            b'o' => (Record::LowerEntry(LowerEntry::Other), rest),
            b'r' => (Record::Removed, rest),
            b'e' => (Record::Emptied, rest),
            _ => return None,
        };
        if shared > self.path.len() || shared + own.len() > MAX_PATH_BYTES {
            return None;
        }
        self.path.truncate(shared);
        self.path.extend(own);
        self.names += components(own);
        self.rest = rest;
        Some(record)
    }
}

/// Returns how many names begin or go on in the end of a path.
fn components(end: &[u8]) -> usize {
    end.split(|byte| *byte == b'/').count()
}

fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    Some((usize::from(u16::from_le_bytes(*length)), rest))
}

/// Returns the normalised name; none for a name that no engine can unpack, and for the root.
fn clean(path: &[u8]) -> Option<Vec<u8>> {
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    let (_, parents) = parts.split_last()?;
    let cleaned = parts.join(&b'/');
    let odd = parts.contains(&&b".."[..]) || parents.iter().any(|part| part.starts_with(WHITEOUT));
    (!odd && cleaned.len() <= MAX_PATH_BYTES).then_some(cleaned)
}

fn thing(entry: &TarEntry) -> LowerEntry<'_> {
    match (entry.kind, entry.link.as_deref()) {
        (EntryKind::Directory, _) => LowerEntry::Directory(Attributes {
            mode: entry.mode,
            owner: Owner { uid: entry.uid, gid: entry.gid },
            // Tar's times are unsigned where we write them: what is older than 1970 is of 1970.
            modified: u64::try_from(entry.mtime).unwrap_or_default(),
        }),
        (EntryKind::Symlink, Some(target)) if (1..=MAX_PATH_BYTES).contains(&target.len()) => LowerEntry::Link(target),
        _ => LowerEntry::Other,
    }
}

#[cfg(test)]
mod tests;
