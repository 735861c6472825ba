//! Imports the tar stream of another program as a layer: each entry is rewritten by this program's rules while it is
//! read.
//!
//! Nothing is unpacked. Entries that readers interpret differently are refused: names that lead out of the root,
//! repeated names, links to missing entries, files below files.

mod error;
mod names;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, BufReader, Cursor, Read, Write};
use std::sync::Arc;

pub use error::{ForeignError, NameError};
use names::{Names, clean};

use super::overlay::lower_tree::{ends_beyond, parted};
use super::overlay::path_lookup::{PathCache, shared};
use super::overlay::placement::PARENT_MODE;
use super::source::{CopyError, copy_exactly};
use super::tar::entry::TarWriter;
use super::tar::read::{EntryKind, TarEntry, TarReader};
use super::{
    Attributes, Compressors, Decoder, Destination, Format, LayerWriter, LowerEntry, LowerTree, MARK_BYTES, Monitor,
    Owner, Packed, Placement, Style, detect,
};
use crate::context::{
    DOCKERFILES, IGNORE_FILES, IgnoreRules, RuleCache, SECRET_HEAD_BYTES, SecretFiles, Suspicion, read_head,
    reads_like_dockerfile, suspicion,
};
use crate::image::Digest;

/// Bytes that are read from a stream or a file at a time.
const READ_BYTES: usize = 256 << 10;

/// The most bytes that the files of an archive may have together.
const MAX_CONTENT_BYTES: u64 = 1 << 40;

/// The most bytes of names that are kept of directories which may come at the archive's end, or never.
const MAX_HELD_BYTES: usize = 64 << 20;

/// How a stream becomes a layer.
#[derive(Debug, Clone, Copy)]
pub struct ForeignPlan<'a> {
    /// Where in the image the entries land.
    pub destination: &'a Destination,
    /// What all have in common.
    pub style: Style,
    /// Whether entries keep the owners and times of the stream.
    pub keep: bool,
    /// Whether the stream may have a Dockerfile at its root.
    pub takes_dockerfile: bool,
    /// What stays out.
    pub rules: &'a IgnoreRules,
}

/// What a stream held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    /// The key of the first attribute that an entry of the layer lost.
    pub dropped: Option<String>,
    /// Files in the layer that look like secrets, by their names in the stream.
    pub secrets: SecretFiles,
}

/// Makes a layer in `sink` of a tar stream that is plain or compressed with gzip or zstd, in one pass.
///
/// The layer's bytes depend on the stream's entries and the plan alone. What it has is put over `below`.
pub fn import<R: Read, W: Write + Send + 'static>(
    source: R,
    plan: &ForeignPlan<'_>,
    compressors: &Arc<Compressors>,
    sink: W,
    monitor: &mut Monitor<'_>,
    below: &mut LowerTree,
) -> Result<(Packed<W>, Imported), ForeignError> {
    let placement = Placement::new(plan.destination, plan.style, below)?;
    let writer = LayerWriter::new(sink, compressors);
    let importer = Importer {
        reader: TarReader::new(decoded(source)?),
        tar: TarWriter::new(writer, plan.style),
        plan,
        placement,
        names: Names::default(),
        implied: BTreeMap::new(),
        last: Default::default(),
        trail: PathCache::default(),
        rule_trail: RuleCache::default(),
        waiting: HashMap::new(),
        head: None,
        made: HashSet::new(),
        left_out: HashSet::new(),
        held: 0,
        imported: Imported::default(),
        below,
    };
    importer.run(monitor)
}

type Decoded<R> = Decoder<std::io::Chain<Cursor<Vec<u8>>, BufReader<R>>>;

fn decoded<R: Read>(source: R) -> Result<Decoded<R>, ForeignError> {
    let mut source = BufReader::with_capacity(READ_BYTES, source);
    let mut start = Vec::new();
    (&mut source).take(MARK_BYTES as u64).read_to_end(&mut start).map_err(ForeignError::reading)?;
    let format = detect(&start).map_err(ForeignError::Compression)?;
    if format == Format::None {
        read_head(&mut source, &mut start).map_err(ForeignError::reading)?;
        if reads_like_dockerfile(&start) {
            return Err(ForeignError::IsDockerfile);
        }
    }
    Decoder::new(format, Cursor::new(start).chain(source)).map_err(ForeignError::reading)
}

struct Importer<'a, R: Read, W: Write + Send + 'static> {
    reader: TarReader<Decoded<R>>,
    tar: TarWriter<LayerWriter<W>>,
    plan: &'a ForeignPlan<'a>,
    placement: Placement,
    names: Names,
    /// Directories that are below and that the archive has something in, without having had them so far.
    implied: BTreeMap<Vec<u8>, Attributes>,
    /// The directory of the archive that something was in last, and where that is in the layer.
    last: (Vec<u8>, Vec<u8>),
    /// Which of the archive's directories are links below, for the last name.
    trail: PathCache,
    /// Which rules match the directories of the last name.
    rule_trail: RuleCache,
    /// Directories that are left out unless something below them is not.
    waiting: HashMap<Vec<u8>, TarEntry>,
    /// The first bytes of the file that is read, where they decide whether it is a secret.
    head: Option<Vec<u8>>,
    /// Directories that neither the archive, so far, nor the layers below have, and that are in the layer nevertheless.
    made: HashSet<Vec<u8>>,
    /// Files that are left out, each by half a SHA-256 of its name: further names of one have nothing to be links to.
    left_out: HashSet<[u8; 16]>,
    /// Bytes of the names of those that wait, are implied or were made.
    held: usize,
    imported: Imported,
    below: &'a mut LowerTree,
}

impl<R: Read, W: Write + Send + 'static> Importer<'_, R, W> {
    fn run(mut self, monitor: &mut Monitor<'_>) -> Result<(Packed<W>, Imported), ForeignError> {
        for (name, attributes) in self.placement.parents() {
            self.tar.directory_as(name, attributes).map_err(ForeignError::Write)?;
            self.below.put(name, LowerEntry::Directory(attributes));
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
            if !self.plan.takes_dockerfile
                && entry.kind != EntryKind::Directory
                && let Some(name) = DOCKERFILES.iter().find(|name| name.as_bytes() == path)
            {
                return Err(ForeignError::Dockerfile(name));
            }
            self.imported.ignore_file |= IGNORE_FILES.iter().any(|name| name.as_bytes() == path);
            if self.plan.rules.decide_along(&path, &mut self.rule_trail).excluded {
                self.names.count()?;
                let is_directory = entry.kind == EntryKind::Directory;
                if matches!(entry.kind, EntryKind::File | EntryKind::HardLink) {
                    self.left_out.insert(half_digest(&path));
                }
                let mut again = false;
                if may_return && is_directory {
                    self.hold(2 * path.len())?;
                    again = self.waiting.insert(path, entry).is_some();
                }
                self.imported.excluded += u64::from(!again);
                continue;
            }
            if self.plan.keep && entry.uid.max(entry.gid) >= u64::from(u32::MAX) {
                return Err(ForeignError::owner(&entry.path, entry.uid.max(entry.gid)));
            }
            if self.imported.dropped.is_none() {
                self.imported.dropped = entry.dropped.as_deref().map(error::shown);
            }
            self.return_directories(&path, monitor)?;
            self.put(&path, &entry, monitor)?;
        }
        if !self.reader.has_ended() {
            return Err(ForeignError::NoEnd(self.reader.offset()));
        }
        self.reader.finish()?;
        for (name, attributes) in &self.implied {
            self.tar.directory_as(name, *attributes).map_err(ForeignError::Write)?;
        }
        monitor.report();
        let packed = self.tar.finish().and_then(LayerWriter::finish).map_err(ForeignError::Write)?;
        Ok((packed, self.imported))
    }

    /// Puts the directories that `path` is in back in, outermost first.
    fn return_directories(&mut self, path: &[u8], monitor: &Monitor<'_>) -> Result<(), ForeignError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        for (end, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            if let Some(entry) = self.waiting.remove(&path[..end]) {
                self.imported.excluded -= 1;
                self.put_header(&path[..end], &entry, monitor)?;
            }
        }
        Ok(())
    }

    fn put(&mut self, path: &[u8], entry: &TarEntry, monitor: &mut Monitor<'_>) -> Result<(), ForeignError> {
        if entry.kind != EntryKind::File {
            return self.put_header(path, entry, monitor);
        }
        let Some(name) = self.place(path, false, monitor)? else { return Ok(()) };
        let total = self.imported.bytes.checked_add(entry.size).filter(|total| *total <= MAX_CONTENT_BYTES);
        self.imported.bytes = total.ok_or(ForeignError::TooLarge { limit: MAX_CONTENT_BYTES })?;
        self.imported.files += 1;
        self.begin(entry);
        self.below.put(&name, LowerEntry::Other);
        self.tar
            .begin_file(&name, self.mode(entry), entry.size, entry.capability.as_deref())
            .map_err(ForeignError::Write)?;
        let suspicion = suspicion(&name);
        self.head = suspicion.depends_on_content().then(Vec::new);
        self.content(entry, monitor)?;
        self.judge(path, suspicion);
        self.tar.end_file(entry.size).map_err(ForeignError::Write)
    }

    /// Notes a file that looks like a secret, once its content was read.
    fn judge(&mut self, path: &[u8], suspicion: Suspicion) {
        if suspicion.holds(&self.head.take().unwrap_or_default()) {
            self.imported.secrets.add(path);
        }
    }

    /// Writes an entry without content.
    fn put_header(&mut self, path: &[u8], entry: &TarEntry, monitor: &Monitor<'_>) -> Result<(), ForeignError> {
        let is_directory = entry.kind == EntryKind::Directory;
        let original = match entry.kind {
            EntryKind::Directory => Vec::new(),
            EntryKind::Symlink => match entry.link.as_deref() {
                Some(target) if !target.is_empty() => target.to_vec(),
                _ => return Err(ForeignError::link(path, entry)),
            },
            EntryKind::HardLink => {
                // Hard links in an archive name their targets from the root of the archive.
                let link = entry.link.as_deref().unwrap_or_default();
                let original = clean(from_root(link)).ok();
                if original.as_deref().is_some_and(|original| self.left_out.contains(&half_digest(original))) {
                    return Err(ForeignError::excluded_link(path, entry));
                }
                let original = original.map(|original| self.placement.name(&original, false).into_owned());
                let original = original.filter(|original| self.names.has_file(original));
                original.ok_or_else(|| ForeignError::link(path, entry))?
            }
            kind => return Err(ForeignError::special(path, kind)),
        };
        let Some(name) = self.place(path, is_directory, monitor)? else { return Ok(()) };
        let Style { owner, modified, .. } = self.begin(entry);
        let mode = self.mode(entry);
        if is_directory {
            self.imported.directories += 1;
        } else {
            self.imported.files += 1;
        }
        let (thing, written) = match entry.kind {
            EntryKind::Directory => {
                (LowerEntry::Directory(Attributes { mode, owner, modified }), self.tar.directory(&name, mode))
            }
            EntryKind::HardLink => {
                (LowerEntry::Other, self.tar.hard_link(&name, mode, &original, entry.capability.as_deref()))
            }
            _ => (LowerEntry::Link(&original), self.tar.symlink(&name, &original)),
        };
        self.below.put(&name, thing);
        written.map_err(ForeignError::Write)
    }

    /// Returns the entry's name in the layer; none for a directory that is there already.
    fn place(
        &mut self,
        path: &[u8],
        is_directory: bool,
        monitor: &Monitor<'_>,
    ) -> Result<Option<Vec<u8>>, ForeignError> {
        let own = self.placement.unfollowed(path);
        let is_new = self.names.add(&own, is_directory).map_err(|why| why.of(path))?;
        let directory = if is_directory { path } else { parted(path).0 };
        let known = shared(&self.last.0, directory);
        for end in ends_beyond(directory, known) {
            if let Some(followed) = self.placement.enter(&path[..end], self.below, &mut self.trail) {
                monitor.warn(&followed);
            }
        }
        let name = self.placement.name_along(path, is_directory, &mut self.trail).into_owned();
        let is_followed = is_directory && self.placement.is_followed(path);
        let is_new = if is_followed || name == own {
            is_new && !is_followed
        } else {
            self.names.add(&name, is_directory).map_err(|why| why.of(path))?
        };
        let place = if is_followed { &name[..] } else { parted(&name).0 };
        self.imply(place, shared(&self.last.1, place))?;
        self.last = (directory.to_vec(), place.to_vec());
        if is_new && is_directory {
            self.implied.remove(&name);
        }
        Ok(is_new.then_some(name))
    }

    /// Notes that the archive has an entry in a directory without an entry of its own so far.
    fn imply(&mut self, directory: &[u8], known: usize) -> Result<(), ForeignError> {
        for end in ends_beyond(directory, known) {
            let name = &directory[..end];
            if self.names.is_directory(name) || self.placement.is_on_the_way(name) || self.made.contains(name) {
                continue;
            }
            self.hold(name.len())?;
            if let Some(attributes) = self.below.attributes(name) {
                self.implied.insert(name.to_vec(), attributes);
            } else {
                // As a directory that is packed would have it, and where it would have it.
                let Style { owner, modified, mode, .. } = self.plan.style;
                let made = Attributes { mode: mode.unwrap_or(PARENT_MODE), owner, modified };
                self.tar.directory_as(name, made).map_err(ForeignError::Write)?;
                self.below.put(name, LowerEntry::Directory(made));
                self.imported.directories += 1;
                self.made.insert(name.to_vec());
            }
        }
        Ok(())
    }

    /// Counts bytes of names that are kept until the archive's end.
    fn hold(&mut self, bytes: usize) -> Result<(), ForeignError> {
        self.held += bytes;
        if self.held > MAX_HELD_BYTES { Err(ForeignError::TooMuchHeld { limit: MAX_HELD_BYTES }) } else { Ok(()) }
    }

    /// Sets the owner of the entry.
    fn begin(&mut self, entry: &TarEntry) -> Style {
        let mut style = self.plan.style;
        if self.plan.keep {
            style.owner = Owner { uid: entry.uid, gid: entry.gid };
            // Tar's times are unsigned here: what is older than 1970 is of 1970.
            style.modified = u64::try_from(entry.mtime).unwrap_or_default();
        }
        self.tar.restyle(style);
        style
    }

    fn mode(&self, entry: &TarEntry) -> u32 {
        self.plan.style.mode.unwrap_or(entry.mode)
    }

    /// Copies a file's content, its holes as zeros.
    fn content(&mut self, entry: &TarEntry, monitor: &mut Monitor<'_>) -> Result<(), ForeignError> {
        let whole = [(0, entry.stored)];
        let mut at = 0_u64;
        for (begin, length) in entry.pieces.as_deref().unwrap_or(&whole) {
            self.zeros(begin - at, monitor)?;
            self.copy_content(*length, monitor)?;
            at = begin + length;
        }
        self.zeros(entry.size - at, monitor)
    }

    fn copy_content(&mut self, length: u64, monitor: &mut Monitor<'_>) -> Result<(), ForeignError> {
        let Self { reader, tar, head, .. } = self;
        let mut source = Noted { inner: reader.by_ref().take(length), head: head.as_mut() };
        let copied = copy_exactly(&mut source, length, tar.content(), monitor);
        copied.map_err(|error| match error {
            CopyError::Changed => ForeignError::NoEnd(reader.offset()),
            CopyError::Read(error) => reader.explain(error).into(),
            CopyError::Write(error) => ForeignError::Write(error),
            CopyError::Interrupted => ForeignError::Interrupted,
        })
    }

    fn zeros(&mut self, length: u64, monitor: &mut Monitor<'_>) -> Result<(), ForeignError> {
        copy_exactly(&mut io::repeat(0).take(length), length, self.tar.content(), monitor).map_err(
            |error| match error {
                CopyError::Interrupted => ForeignError::Interrupted,
                CopyError::Write(error) => ForeignError::Write(error),
                CopyError::Read(error) => ForeignError::reading(error),
                CopyError::Changed => ForeignError::reading(io::ErrorKind::UnexpectedEof.into()),
            },
        )
    }
}

/// Returns a name without the slashes that it begins with.
fn from_root(name: &[u8]) -> &[u8] {
    &name[name.iter().take_while(|byte| **byte == b'/').count()..]
}

/// Returns the first half of the SHA-256 of a name, which identifies it.
fn half_digest(name: &[u8]) -> [u8; 16] {
    let digest = Digest::of(name);
    std::array::from_fn(|at| digest.bytes()[at])
}

/// Keeps the first bytes of what passes, where somewhere to keep them is given.
struct Noted<'a, R> {
    inner: R,
    head: Option<&'a mut Vec<u8>>,
}

impl<R: Read> Read for Noted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if let Some(head) = &mut self.head {
            let room = SECRET_HEAD_BYTES.saturating_sub(head.len());
            head.extend_from_slice(&buffer[..count.min(room)]);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
