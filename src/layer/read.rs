//! Reading tar streams that others wrote: sequential, bounded, without touching a file system.
//!
//! The `tar` crate writes our archives, but reads a long name of any declared length into memory and
//! splits pax records at line feeds, which binary attributes contain. Both matter for input that
//! nobody vouches for, so headers are walked here; the crate supplies their layout.

mod pax;
mod sparse;

use std::io::{self, Read};

use pax::Overrides;
use tar::{EntryType, Header};

/// Length of a header and unit of padding, in bytes.
const BLOCK: usize = 512;

/// The longest name or link target accepted, in bytes: sixteen times what Linux can open.
const MAX_NAME_BYTES: u64 = 64 << 10;

/// The longest set of pax records accepted for one entry, in bytes.
const MAX_PAX_BYTES: u64 = 1 << 20;

/// How many extension blocks the map of an old GNU sparse file may have.
const MAX_SPARSE_BLOCKS: usize = 64 << 10;

/// What may follow the end of an archive, in bytes: writers fill up records of up to 1 MiB.
const MAX_TRAILER_BYTES: u64 = 4 << 20;

/// What a tar entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// Another name for the content of an earlier entry.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A directory.
    Directory,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// Anything else, with its type flag.
    Other(u8),
}

/// One entry of a tar stream; its content is read from the [`TarReader`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TarEntry {
    /// The name's bytes as written, without a directory's trailing slash.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Target of a link.
    pub link: Option<Vec<u8>>,
    /// Permission bits with set-uid, set-gid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Seconds since 1970; fractions are dropped.
    pub mtime: i64,
    /// Size in bytes of the file once unpacked.
    pub size: u64,
    /// Bytes of content in the stream; less than `size` for a file with holes.
    pub stored: u64,
    /// Of a file with holes, where in it each piece of the content begins and how long the piece is, as its writer says.
    pub pieces: Option<Vec<(u64, u64)>>,
    /// The file's capabilities as Linux keeps them.
    pub capability: Option<Vec<u8>>,
}

/// Why a stream is not a tar archive we accept.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The source failed.
    #[error("cannot read the tar stream")]
    Read(#[source] io::Error),
    /// The stream ends inside an entry.
    #[error("the tar stream is truncated after {0} bytes")]
    Truncated(u64),
    /// A block that should be a header is none.
    #[error("no tar header at byte {0}")]
    Header(u64),
    /// A field of a header is not a number, or pax records do not parse.
    #[error("the tar header at byte {offset} has an invalid {field}")]
    Field {
        /// Where the header starts.
        offset: u64,
        /// Which field.
        field: &'static str,
    },
    /// A name or a set of attributes is longer than anybody needs.
    #[error("the tar header at byte {offset} announces {size} bytes of {field}, more than the {limit} allowed")]
    TooLong {
        /// Where the header starts.
        offset: u64,
        /// Which field.
        field: &'static str,
        /// Bytes announced.
        size: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Data after the end of the archive.
    #[error("more than {MAX_TRAILER_BYTES} bytes follow the end of the tar archive")]
    Trailer,
}

/// Walks the entries of a tar stream. Between two entries, reading yields the content of the first.
#[derive(Debug)]
pub struct TarReader<R> {
    inner: R,
    offset: u64,
    content: u64,
    padding: u64,
    ended: bool,
}

impl<R: Read> TarReader<R> {
    /// Starts at the first header.
    pub fn new(inner: R) -> Self {
        Self { inner, offset: 0, content: 0, padding: 0, ended: false }
    }

    /// Bytes taken from the source.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the mark of the archive's end was read, and not only the stream's end.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The source, wherever reading stopped.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// Goes to the next entry, passing over what was not read of the current one; `None` at the end.
    ///
    /// A stream that ends between two entries is accepted, as Go's reader has it: whoever needs an
    /// entry that is not there finds out by its name.
    pub fn next_entry(&mut self) -> Result<Option<TarEntry>, TarError> {
        let mut overrides = Overrides::default();
        loop {
            self.skip()?;
            let offset = self.offset;
            let Some(header) = self.header()? else { return Ok(None) };
            let field = |field| TarError::Field { offset, field };
            let declared = count(&header.as_old().size).ok_or_else(|| field("size"))?;
            let kind = header.entry_type();
            match kind {
                EntryType::GNULongName => {
                    overrides.path = Some(until_nul(self.small("name", declared, MAX_NAME_BYTES, offset)?));
                }
                EntryType::GNULongLink => {
                    overrides.link = Some(until_nul(self.small("link target", declared, MAX_NAME_BYTES, offset)?));
                }
                EntryType::XHeader => {
                    let records = self.small("attributes", declared, MAX_PAX_BYTES, offset)?;
                    overrides.read_pax(&records, offset)?;
                }
                EntryType::XGlobalHeader => {
                    // Comments of archivers; nothing that any writer of images relies on.
                    self.small("attributes", declared, MAX_PAX_BYTES, offset)?;
                }
                _ => return self.entry(&header, overrides, declared, offset).map(Some),
            }
        }
    }

    fn entry(
        &mut self,
        header: &Header,
        overrides: Overrides,
        declared: u64,
        offset: u64,
    ) -> Result<TarEntry, TarError> {
        let field = |field| TarError::Field { offset, field };
        let mut sparse = overrides.sparse;
        let mut path = overrides.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let kind = match header.entry_type() {
            // Archives older than POSIX mark directories by their name only.
            EntryType::Regular if path.ends_with(b"/") => EntryKind::Directory,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => EntryKind::File,
            EntryType::Link => EntryKind::HardLink,
            EntryType::Symlink => EntryKind::Symlink,
            EntryType::Directory => EntryKind::Directory,
            EntryType::Char => EntryKind::CharDevice,
            EntryType::Block => EntryKind::BlockDevice,
            EntryType::Fifo => EntryKind::Fifo,
            other => EntryKind::Other(other.as_byte()),
        };
        while path.len() > 1 && path.ends_with(b"/") {
            path.pop();
        }
        let mut stored = overrides.stored.unwrap_or(declared);
        if !matches!(kind, EntryKind::File | EntryKind::Other(_)) {
            // Some writers repeat the target's size; no content follows such an entry.
            stored = 0;
        }
        let mut size = overrides.size.unwrap_or(stored);
        if header.entry_type() == EntryType::GNUSparse {
            let gnu = header.as_gnu().ok_or_else(|| field("magic"))?;
            size = count(&gnu.realsize).ok_or_else(|| field("size"))?;
            sparse.read_gnu(&gnu.sparse).ok_or_else(|| sparse::malformed(offset))?;
            if gnu.is_extended() {
                self.read_sparse_map(&mut sparse, offset)?;
            }
        }
        self.content = stored;
        self.padding = padding(stored);
        if kind == EntryKind::File {
            let ahead = sparse.read_ahead(self).map_err(|error| self.explain(error))?;
            stored -= ahead.ok_or_else(|| sparse::malformed(offset))?;
        }
        let entry = TarEntry {
            path,
            kind,
            link: matches!(kind, EntryKind::HardLink | EntryKind::Symlink)
                .then(|| overrides.link.unwrap_or_else(|| header.link_name_bytes().unwrap_or_default().into_owned())),
            mode: u32::try_from(number(&header.as_old().mode).ok_or_else(|| field("mode"))? & 0o7777)
                .expect("twelve bits fit"),
            uid: overrides.uid.or_else(|| count(&header.as_old().uid)).ok_or_else(|| field("uid"))?,
            gid: overrides.gid.or_else(|| count(&header.as_old().gid)).ok_or_else(|| field("gid"))?,
            mtime: overrides.mtime.or_else(|| number(&header.as_old().mtime)).ok_or_else(|| field("mtime"))?,
            size,
            stored,
            pieces: (kind == EntryKind::File).then(|| sparse.pieces()).flatten(),
            capability: overrides.capability,
        };
        Ok(entry)
    }

    /// Reads to the end of the source, so that checks made there (gzip's, a blob's digest) happen.
    pub fn finish(&mut self) -> Result<(), TarError> {
        self.skip()?;
        let mut buffer = [0; 16 << 10];
        let mut rest = 0;
        loop {
            let count = self.read_some(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            rest += count as u64;
            if rest > MAX_TRAILER_BYTES {
                return Err(TarError::Trailer);
            }
        }
    }

    /// Passes over the rest of the current entry.
    fn skip(&mut self) -> Result<(), TarError> {
        for rest in [std::mem::take(&mut self.content), std::mem::take(&mut self.padding)] {
            let passed = io::copy(&mut (&mut self.inner).take(rest), &mut io::sink());
            let passed = passed.map_err(|error| self.explain(error))?;
            self.offset += passed;
            if passed < rest {
                return Err(TarError::Truncated(self.offset));
            }
        }
        Ok(())
    }

    /// The next header block; `None` at the end of the archive.
    fn header(&mut self) -> Result<Option<Header>, TarError> {
        let offset = self.offset;
        let Some(block) = self.block()? else { return Ok(None) };
        if block.iter().all(|byte| *byte == 0) {
            self.ended = true;
            return Ok(None);
        }
        let header = Header::from_byte_slice(&block).clone();
        let sum: u64 = block
            .iter()
            .enumerate()
            .map(|(at, byte)| u64::from(if (148..156).contains(&at) { b' ' } else { *byte }))
            .sum();
        if count(&header.as_old().cksum) != Some(sum) {
            return Err(TarError::Header(offset));
        }
        Ok(Some(header))
    }

    /// Reads from the source what it gives at once; 0 at its end.
    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        loop {
            match self.inner.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.explain(error)),
                Ok(count) => {
                    self.offset += count as u64;
                    return Ok(count);
                }
            }
        }
    }

    /// The error behind one that reading content returned.
    pub fn explain(&self, error: io::Error) -> TarError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => TarError::Truncated(self.offset),
            _ => TarError::Read(error),
        }
    }

    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.read_some(&mut block[filled..])? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(TarError::Truncated(self.offset)),
                count => filled += count,
            }
        }
        Ok(Some(block))
    }

    /// The whole content of an extension header.
    fn small(&mut self, field: &'static str, size: u64, limit: u64, offset: u64) -> Result<Vec<u8>, TarError> {
        if size > limit {
            return Err(TarError::TooLong { offset, field, size, limit });
        }
        self.content = size;
        self.padding = padding(size);
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes).map_err(|error| self.explain(error))?;
        Ok(bytes)
    }

    fn read_sparse_map(&mut self, sparse: &mut sparse::Map, offset: u64) -> Result<(), TarError> {
        for _ in 0..MAX_SPARSE_BLOCKS {
            let Some(block) = self.block()? else { return Err(TarError::Truncated(self.offset)) };
            let mut map = tar::GnuExtSparseHeader::new();
            map.as_mut_bytes().copy_from_slice(&block);
            sparse.read_gnu(&map.sparse).ok_or_else(|| sparse::malformed(offset))?;
            if !map.is_extended() {
                return Ok(());
            }
        }
        Err(sparse::malformed(offset))
    }
}

/// The content of the current entry; a stream cut off inside it is an `UnexpectedEof`.
impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (&mut self.inner).take(self.content).read(buffer)?;
        if count == 0 && self.content > 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.content -= count as u64;
        self.offset += count as u64;
        Ok(count)
    }
}

fn padding(size: u64) -> u64 {
    (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    bytes
}

/// A numeric field: octal text, blank for zero, or GNU's base 256 where the top bit is set.
fn number(field: &[u8]) -> Option<i64> {
    let (first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        // Two's complement below the mark; fields have at most twelve bytes.
        let top = i128::from((first << 1).cast_signed() >> 1);
        return i64::try_from(rest.iter().fold(top, |value, byte| value << 8 | i128::from(*byte))).ok();
    }
    let text = field.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = std::str::from_utf8(text).ok()?.trim_matches(' ');
    if text.is_empty() { Some(0) } else { i64::from_str_radix(text, 8).ok() }
}

/// A numeric field that cannot be negative.
fn count(field: &[u8]) -> Option<u64> {
    number(field).and_then(|value| u64::try_from(value).ok())
}

#[cfg(test)]
mod tests;
