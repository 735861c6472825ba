//! A layer out of a tar stream that somebody else wrote: each entry is written anew by our rules while it is read.
//!
//! Nothing is unpacked. What another reader could take for something else is refused: names that lead out, names
//! twice, links to what the archive has not, files in files.

mod error;
mod names;

use std::collections::HashMap;
use std::io::{BufReader, Cursor, Read, Write};
use std::sync::Arc;

pub use error::{ForeignError, NameError};
use names::{Names, clean};

use super::read::{EntryKind, TarEntry, TarReader};
use super::source::{CopyError, copy_exactly};
use super::tar::TarWriter;
use super::{
    Compressors, Decoder, Destination, Directories, LayerWriter, MARK_BYTES, Monitor, Owner, Packed, Style, detect,
};
use crate::context::{IGNORE_FILES, IgnoreRules};

/// Bytes that are read from a stream or a file at a time.
const READ_BYTES: usize = 256 << 10;

/// The most bytes that the files of an archive may have together.
const MAX_CONTENT_BYTES: u64 = 1 << 40;

/// Permissions of directories that the archive does not have.
const PARENT_MODE: u32 = 0o755;

/// How a stream becomes a layer.
#[derive(Debug, Clone, Copy)]
pub struct ForeignPlan<'a> {
    /// Where in the image the entries land.
    pub destination: &'a Destination,
    /// What all have in common.
    pub style: Style,
    /// Whether they keep the owners and times that they have in the stream.
    pub keep: bool,
    /// What stays out.
    pub rules: &'a IgnoreRules,
}

/// What a stream held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    /// Files and links that are in the layer.
    pub files: u64,
    /// Directories that are in the layer.
    pub directories: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Entries that the rules excluded.
    pub excluded: u64,
    /// Whether there is an ignore file at the root.
    pub ignore_file: bool,
}

/// Makes a layer in `sink` of a tar stream that is plain or compressed with gzip or zstd, in one pass.
///
/// The layer's bytes depend on the stream's entries and the plan alone. `below` gets the layer's directories.
pub fn import<R: Read, W: Write + Send + 'static>(
    source: R,
    plan: &ForeignPlan<'_>,
    compressors: &Arc<Compressors>,
    sink: W,
    monitor: &mut Monitor<'_>,
    below: &mut Directories,
) -> Result<(Packed<W>, Imported), ForeignError> {
    let writer = LayerWriter::new(sink, compressors).map_err(ForeignError::Write)?;
    let importer = Importer {
        reader: TarReader::new(decoded(source)?),
        tar: TarWriter::new(writer, plan.style),
        plan,
        names: Names::default(),
        waiting: HashMap::new(),
        imported: Imported::default(),
        below,
        buffer: vec![0; READ_BYTES],
    };
    importer.run(monitor)
}

type Decoded<R> = Decoder<std::io::Chain<Cursor<Vec<u8>>, BufReader<R>>>;

fn decoded<R: Read>(source: R) -> Result<Decoded<R>, ForeignError> {
    let mut source = BufReader::with_capacity(READ_BYTES, source);
    let mut start = Vec::new();
    (&mut source).take(MARK_BYTES as u64).read_to_end(&mut start).map_err(ForeignError::reading)?;
    let format = detect(&start).map_err(ForeignError::Compression)?;
    Decoder::new(format, Cursor::new(start).chain(source)).map_err(ForeignError::reading)
}

struct Importer<'a, R: Read, W: Write + Send + 'static> {
    reader: TarReader<Decoded<R>>,
    tar: TarWriter<LayerWriter<W>>,
    plan: &'a ForeignPlan<'a>,
    names: Names,
    /// Directories that are left out unless something below them is not.
    waiting: HashMap<Vec<u8>, TarEntry>,
    imported: Imported,
    below: &'a mut Directories,
    buffer: Vec<u8>,
}

impl<R: Read, W: Write + Send + 'static> Importer<'_, R, W> {
    fn run(mut self, monitor: &mut Monitor<'_>) -> Result<(Packed<W>, Imported), ForeignError> {
        for directory in self.plan.destination.directories() {
            self.tar.directory(directory.as_bytes(), PARENT_MODE).map_err(ForeignError::Write)?;
            self.below.add(directory.as_bytes());
        }
        let may_return = self.plan.rules.rules().iter().any(|rule| rule.exception);
        while let Some(entry) = self.reader.next_entry()? {
            if monitor.stopped() {
                return Err(ForeignError::Interrupted);
            }
            let path = clean(&entry.path).map_err(|why| ForeignError::name(&entry.path, why))?;
            if path.is_empty() {
                // Where the archive lands is there already.
                if entry.kind == EntryKind::Directory {
                    continue;
                }
                return Err(ForeignError::name(&entry.path, NameError::Empty));
            }
            self.imported.ignore_file |= IGNORE_FILES.iter().any(|name| name.as_bytes() == path);
            if self.plan.rules.decide(&path).excluded {
                self.names.count()?;
                let is_directory = entry.kind == EntryKind::Directory;
                let again = may_return && is_directory && self.waiting.insert(path, entry).is_some();
                self.imported.excluded += u64::from(!again);
                continue;
            }
            self.return_directories(&path)?;
            self.put(&path, &entry, monitor)?;
        }
        if !self.reader.has_ended() {
            return Err(ForeignError::NoEnd(self.reader.offset()));
        }
        self.reader.finish()?;
        monitor.report();
        let packed = self.tar.finish().and_then(LayerWriter::finish).map_err(ForeignError::Write)?;
        Ok((packed, self.imported))
    }

    /// Puts the directories that `path` is in back in, outermost first.
    fn return_directories(&mut self, path: &[u8]) -> Result<(), ForeignError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        for (end, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            if let Some(entry) = self.waiting.remove(&path[..end]) {
                self.imported.excluded -= 1;
                self.put_header(&path[..end], &entry)?;
            }
        }
        Ok(())
    }

    fn put(&mut self, path: &[u8], entry: &TarEntry, monitor: &mut Monitor<'_>) -> Result<(), ForeignError> {
        if entry.kind != EntryKind::File {
            return self.put_header(path, entry);
        }
        self.names.add(path, false).map_err(|why| why.of(path))?;
        let total = self.imported.bytes.checked_add(entry.size).filter(|total| *total <= MAX_CONTENT_BYTES);
        self.imported.bytes = total.ok_or(ForeignError::TooLarge { limit: MAX_CONTENT_BYTES })?;
        self.imported.files += 1;
        let name = self.begin(path, entry);
        self.below.remove(&name);
        self.tar
            .begin_file(&name, self.mode(entry), entry.size, entry.capability.as_deref())
            .map_err(ForeignError::Write)?;
        self.content(path, entry, monitor)?;
        self.tar.end_file(entry.size).map_err(ForeignError::Write)
    }

    /// Puts something in that has no content.
    fn put_header(&mut self, path: &[u8], entry: &TarEntry) -> Result<(), ForeignError> {
        let is_directory = entry.kind == EntryKind::Directory;
        let original = match entry.kind {
            EntryKind::Directory => Vec::new(),
            EntryKind::Symlink => match entry.link.as_deref() {
                Some(target) if !target.is_empty() => target.to_vec(),
                _ => return Err(ForeignError::link(path, entry)),
            },
            EntryKind::HardLink => {
                let original = entry.link.as_deref().and_then(|link| clean(link).ok());
                let original = original.filter(|original| self.names.has_file(original));
                self.plan.destination.name(&original.ok_or_else(|| ForeignError::link(path, entry))?)
            }
            kind => return Err(ForeignError::special(path, kind)),
        };
        if !self.names.add(path, is_directory).map_err(|why| why.of(path))? {
            // Said before, and that counts.
            return Ok(());
        }
        let name = self.begin(path, entry);
        let mode = self.mode(entry);
        let written = if is_directory {
            self.imported.directories += 1;
            self.below.add(&name);
            self.tar.directory(&name, mode)
        } else {
            self.imported.files += 1;
            self.below.remove(&name);
            match entry.kind {
                EntryKind::HardLink => self.tar.hard_link(&name, mode, &original, entry.capability.as_deref()),
                _ => self.tar.symlink(&name, &original),
            }
        };
        written.map_err(ForeignError::Write)
    }

    /// Sets whose the entry is; answers its name in the layer.
    fn begin(&mut self, path: &[u8], entry: &TarEntry) -> Vec<u8> {
        if self.plan.keep {
            let owner = Owner { uid: entry.uid, gid: entry.gid };
            // Tar's times are unsigned here: what is older than 1970 is of 1970.
            let modified = u64::try_from(entry.mtime).unwrap_or_default();
            self.tar.restyle(Style { owner, modified, ..self.plan.style });
        }
        self.plan.destination.name(path)
    }

    fn mode(&self, entry: &TarEntry) -> u32 {
        self.plan.style.mode.unwrap_or(entry.mode)
    }

    /// Copies a file's content, its holes as zeros.
    fn content(&mut self, path: &[u8], entry: &TarEntry, monitor: &mut Monitor<'_>) -> Result<(), ForeignError> {
        let holes = || ForeignError::Holes { path: names::shown(path) };
        let whole = [(0, entry.stored)];
        let pieces = entry.pieces.as_deref().unwrap_or(&whole);
        let mut at = 0_u64;
        for (begin, length) in pieces {
            let gap = begin.checked_sub(at).ok_or_else(holes)?;
            let end = begin.checked_add(*length).filter(|end| *end <= entry.size).ok_or_else(holes)?;
            self.copy(&mut std::io::repeat(0).take(gap), gap, monitor)?;
            self.copy_content(*length, monitor)?;
            at = end;
        }
        let rest = entry.size.checked_sub(at).ok_or_else(holes)?;
        if entry.pieces.is_none() && rest > 0 {
            return Err(holes());
        }
        self.copy(&mut std::io::repeat(0).take(rest), rest, monitor)?;
        // Content that no piece is about.
        match self.reader.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(holes()),
            Err(error) => Err(self.reader.explain(error).into()),
        }
    }

    fn copy_content(&mut self, length: u64, monitor: &mut Monitor<'_>) -> Result<(), ForeignError> {
        let Self { reader, tar, buffer, .. } = self;
        let copied = copy_exactly(&mut reader.by_ref().take(length), length, tar.content(), buffer, monitor);
        copied.map_err(|error| match error {
            CopyError::Changed => ForeignError::NoEnd(reader.offset()),
            CopyError::Read(error) => reader.explain(error).into(),
            CopyError::Write(error) => ForeignError::Write(error),
            CopyError::Interrupted => ForeignError::Interrupted,
        })
    }

    fn copy(&mut self, from: &mut impl Read, length: u64, monitor: &mut Monitor<'_>) -> Result<(), ForeignError> {
        copy_exactly(from, length, self.tar.content(), &mut self.buffer, monitor).map_err(|error| match error {
            CopyError::Interrupted => ForeignError::Interrupted,
            CopyError::Write(error) => ForeignError::Write(error),
            CopyError::Read(error) => ForeignError::reading(error),
            CopyError::Changed => ForeignError::reading(std::io::ErrorKind::UnexpectedEof.into()),
        })
    }
}

#[cfg(test)]
mod tests;
