//! Reading tar streams that others wrote: sequential, bounded, without touching a file system.
//!
//! Every reader of the program reads through this one. What Go, Python and GNU tar do not read alike is refused: an
//! archive that one program looks at and another unpacks has the same entries for both.
//!
//! The `tar` crate writes our archives, but reads a long name of any declared length into memory and splits pax records
//! at line feeds, which binary attributes contain, so headers are walked here.

mod error;
mod header;
mod number;
mod pax;
mod sparse;

use std::io::{self, Read};

pub use error::TarError;
use header::{Dialect, GLOBAL_PAX, Header, LONG_LINK, LONG_NAME, PAX, SPARSE};
use pax::Overrides;
use sparse::Layout;

/// Length of a header and unit of padding, in bytes.
const BLOCK: usize = 512;

/// The longest name or link target accepted, in bytes: sixteen times what Linux can open.
const MAX_NAME_BYTES: u64 = 64 << 10;

/// The longest set of pax records accepted for one entry, in bytes.
const MAX_PAX_BYTES: u64 = 1 << 20;

/// What is wrong with extensions at the end of an archive.
const NO_ENTRY: &str = "no entry for the extension before it";

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
    /// Of a file with holes, where in it each piece of the content begins and how long the piece is: in order, inside the
    /// file, `stored` bytes together.
    pub pieces: Option<Vec<(u64, u64)>>,
    /// The file's capabilities as Linux keeps them.
    pub capability: Option<Vec<u8>>,
    /// The key of an extended attribute or access list that is not read: one of its own, or one about all entries.
    pub dropped: Option<Vec<u8>>,
}

/// Walks the entries of a tar stream. Between two entries, reading yields the content of the first.
#[derive(Debug)]
pub struct TarReader<R> {
    inner: R,
    offset: u64,
    content: u64,
    padding: u64,
    ended: bool,
    /// An attribute about all entries that is not read.
    dropped: Option<Vec<u8>>,
}

/// What headers before an entry say about it.
#[derive(Debug, Default)]
struct Extensions {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pax: Option<Overrides>,
    /// Whether what is about all entries came directly before.
    is_after_global: bool,
}

impl Extensions {
    /// Returns whether there is nothing about the next entry alone.
    fn is_empty(&self) -> bool {
        self.name.is_none() && self.link.is_none() && self.pax.is_none()
    }
}

impl<R: Read> TarReader<R> {
    /// Starts at the first header.
    pub fn new(inner: R) -> Self {
        Self { inner, offset: 0, content: 0, padding: 0, ended: false, dropped: None }
    }

    /// Returns the number of bytes taken from the source.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns whether the mark of the archive's end was read, and not only the stream's end.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Returns the source, wherever reading stopped.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// Goes to the next entry, passing over what was not read of the current one; `None` at the end.
    ///
    /// A stream that ends between two entries is accepted, as other readers have it. A caller that
    /// needs an entry finds by its name that it is missing.
    pub fn next_entry(&mut self) -> Result<Option<TarEntry>, TarError> {
        let mut ahead = Extensions::default();
        loop {
            self.skip()?;
            let offset = self.offset;
            let ambiguous = |what| TarError::Ambiguous { offset, what };
            let Some(header) = self.header()? else {
                // Python asks for the entry that extensions are about.
                return if ahead.is_empty() && !ahead.is_after_global { Ok(None) } else { Err(ambiguous(NO_ENTRY)) };
            };
            match header.flag {
                LONG_NAME => {
                    let name = self.extension("name", header.size, MAX_NAME_BYTES, offset)?;
                    let name = header::text(&name).to_vec();
                    if name.is_empty() || ahead.name.replace(name).is_some() {
                        return Err(ambiguous("an empty long name, or another one before it"));
                    }
                }
                LONG_LINK => {
                    let target = self.extension("link target", header.size, MAX_NAME_BYTES, offset)?;
                    if ahead.link.replace(header::text(&target).to_vec()).is_some() {
                        return Err(ambiguous("another long link target before it"));
                    }
                }
                PAX => {
                    let records = self.extension("attributes", header.size, MAX_PAX_BYTES, offset)?;
                    if ahead.pax.replace(Overrides::read(&records, offset)?).is_some() {
                        return Err(ambiguous("other pax records before it"));
                    }
                }
                GLOBAL_PAX => {
                    let records = self.extension("attributes", header.size, MAX_PAX_BYTES, offset)?;
                    if let Some(dropped) = pax::check_global(&records, offset)? {
                        self.dropped.get_or_insert(dropped);
                    }
                    if !ahead.is_empty() {
                        return Err(ambiguous("pax records for all entries between an entry and what is about it"));
                    }
                    ahead.is_after_global = true;
                }
                _ => return self.entry(&header, ahead, offset).map(Some),
            }
        }
    }

    fn entry(&mut self, header: &Header, ahead: Extensions, offset: u64) -> Result<TarEntry, TarError> {
        let ambiguous = |what| TarError::Ambiguous { offset, what };
        let malformed = || sparse::malformed(offset);
        let is_link = matches!(header.flag, b'1' | b'2');
        let Extensions { name, link, pax, .. } = ahead;
        let pax = pax.unwrap_or_default();
        if name.is_some() && (pax.path.is_some() || pax.sparse.name.is_some()) || link.is_some() && pax.link.is_some() {
            return Err(ambiguous("a long name of GNU tar and another one in pax records"));
        }
        if pax.path.is_some() && pax.sparse.name.is_some() {
            return Err(ambiguous("two names in its pax records"));
        }
        if is_link && link.as_ref().is_some_and(Vec::is_empty) {
            return Err(ambiguous("an empty long link target"));
        }
        let has_holes = pax.sparse.has_any();
        let announced = pax.size;
        if announced.is_some() && (has_holes || header.flag == SPARSE) {
            return Err(ambiguous("a size in its pax records, and holes"));
        }
        let mut path = name.or(pax.path).or_else(|| pax.sparse.name.clone()).unwrap_or_else(|| header.path.clone());
        let mut stored = announced.unwrap_or(header.size);
        let has_content = header.size > 0 || stored > 0;
        let kind = header::kind(header.flag, header.is_slashed(), path.ends_with(b"/"), has_content);
        let kind = kind.map_err(ambiguous)?;
        while path.len() > 1 && path.ends_with(b"/") {
            path.pop();
        }
        // GNU tar looks for records about holes where a header is of POSIX's own format.
        if has_holes && (kind != EntryKind::File || header.flag == SPARSE || header.dialect != Dialect::Ustar) {
            return Err(malformed());
        }
        let (size, pieces) = if header.flag == SPARSE {
            let (size, pieces) = self.old_sparse(header, offset)?;
            self.begin(stored);
            (size, Some(pieces))
        } else {
            self.begin(stored);
            match pax.sparse.layout().ok_or_else(malformed)? {
                Layout::Whole => (stored, None),
                Layout::Pieces(size, pieces) => (size, Some(pieces)),
                Layout::Ahead(size) => {
                    let read = sparse::read_ahead(self).map_err(|error| self.explain(error))?;
                    let (pieces, taken) = read.ok_or_else(malformed)?;
                    stored -= taken;
                    (size, Some(pieces))
                }
            }
        };
        if pieces.as_ref().is_some_and(|pieces| !sparse::fits(pieces, size, stored)) {
            return Err(malformed());
        }
        Ok(TarEntry {
            path,
            kind,
            link: is_link.then(|| link.or(pax.link).unwrap_or_else(|| header.link.clone())),
            mode: header.mode,
            uid: pax.uid.unwrap_or(header.uid),
            gid: pax.gid.unwrap_or(header.gid),
            mtime: pax.mtime.unwrap_or(header.mtime),
            size,
            stored,
            pieces,
            capability: pax.capability,
            dropped: pax.dropped.or_else(|| self.dropped.clone()),
        })
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

    /// Reads the next header; `None` at the end of the archive.
    ///
    /// A block of zeros and the stream's end, or another such block, end the archive.
    fn header(&mut self) -> Result<Option<Header>, TarError> {
        let offset = self.offset;
        let is_zero = |block: &[u8; BLOCK]| block.iter().all(|byte| *byte == 0);
        match self.block()? {
            None if offset == 0 => Err(TarError::Empty),
            None => Ok(None),
            Some(block) if is_zero(&block) => {
                if self.block()?.is_some_and(|next| !is_zero(&next)) {
                    return Err(TarError::Ambiguous { offset, what: "nothing but zeros, and more entries behind it" });
                }
                self.ended = true;
                Ok(None)
            }
            Some(block) => Header::parse(&block, offset).map(Some),
        }
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

    /// Returns the error behind one that reading content returned.
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

    /// Reads the whole content of an extension header.
    ///
    /// Python reads on to the end of the block, so there has to be nothing.
    fn extension(&mut self, field: &'static str, size: u64, limit: u64, offset: u64) -> Result<Vec<u8>, TarError> {
        if size > limit {
            return Err(TarError::TooLong { offset, field, size, limit });
        }
        let mut bytes = Vec::new();
        self.content = size + padding(size);
        self.read_to_end(&mut bytes).map_err(|error| self.explain(error))?;
        let padding = bytes.split_off(usize::try_from(size).expect("no more than the limit"));
        if padding.iter().any(|byte| *byte != 0) {
            return Err(TarError::Ambiguous { offset, what: "something behind the content of an extension" });
        }
        Ok(bytes)
    }

    /// Returns the size and the pieces of a file with holes in GNU tar's old format.
    fn old_sparse(&mut self, header: &Header, offset: u64) -> Result<(u64, Vec<(u64, u64)>), TarError> {
        let malformed = || sparse::malformed(offset);
        if header.dialect != Dialect::Gnu {
            return Err(TarError::Field { offset, field: "magic" });
        }
        let size = number::count(&header.block[483..495]).ok_or(TarError::Field { offset, field: "size" })?;
        let mut pieces = Vec::new();
        sparse::read_gnu(&header.block[386..482], true, &mut pieces).ok_or_else(malformed)?;
        let mut is_extended = header.block[482] != 0;
        let begun = self.offset;
        while is_extended {
            if self.offset - begun == sparse::MAX_MAP_BYTES {
                return Err(malformed());
            }
            let Some(block) = self.block()? else { return Err(TarError::Truncated(self.offset)) };
            sparse::read_gnu(&block[..504], false, &mut pieces).ok_or_else(malformed)?;
            is_extended = block[504] != 0;
        }
        Ok((size, pieces))
    }

    /// Lets an entry's content be read.
    fn begin(&mut self, stored: u64) {
        self.content = stored;
        self.padding = padding(stored);
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

#[cfg(test)]
pub(crate) use tests::table::archives;

#[cfg(test)]
mod tests;
