//! One header block: its fields, and whether every reader takes them alike.

use super::number::{count, id, is_number_or_blank, number, octal};
use super::{BLOCK, EntryKind, TarError};

/// GNU tar's type flags for what is about the next entry, or about a file with holes.
pub(super) const LONG_NAME: u8 = b'L';
pub(super) const LONG_LINK: u8 = b'K';
pub(super) const SPARSE: u8 = b'S';

/// POSIX's, for the next entry and for all that follow.
pub(super) const PAX: u8 = b'x';
pub(super) const GLOBAL_PAX: u8 = b'g';

/// How long a prefix can be where star keeps two times behind it.
const STAR_PREFIX: usize = 131;

/// Which rules a header follows, by its magic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Ustar,
    Star,
    Gnu,
    /// From before POSIX, and everything else.
    Old,
}

/// The fields of a header.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) block: [u8; BLOCK],
    pub(super) dialect: Dialect,
    pub(super) flag: u8,
    /// The name with its prefix.
    pub(super) path: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) mtime: i64,
    pub(super) size: u64,
}

impl Header {
    /// Returns the fields of a block that is not all zeros.
    pub(super) fn parse(block: &[u8; BLOCK], offset: u64) -> Result<Self, TarError> {
        let is_header = octal(&block[148..156]).is_some_and(|sum| is_sum(block, sum));
        // GNU tar takes a block with nothing but a checksum for the end of the archive.
        if !is_header || block.iter().enumerate().all(|(at, byte)| *byte == 0 || (148..156).contains(&at)) {
            return Err(TarError::Header(offset));
        }
        let field = |field| TarError::Field { offset, field };
        let dialect = Dialect::of(block);
        let flag = block[156];
        let is_device = matches!(flag, b'3' | b'4');
        if ![&block[329..337], &block[337..345]].into_iter().all(|number| is_device_number(number, is_device)) {
            return Err(field("device number"));
        }
        if dialect == Dialect::Star && !(is_number_or_blank(&block[476..488]) && is_number_or_blank(&block[488..500])) {
            return Err(field("time"));
        }
        let mut path = text(&block[..100]).to_vec();
        if !matches!(flag, LONG_NAME | LONG_LINK | PAX | GLOBAL_PAX) {
            let prefix = prefix(block, dialect).map_err(|what| TarError::Ambiguous { offset, what })?;
            if !prefix.is_empty() {
                path = [prefix, &path].join(&b'/');
            }
        }
        let mode = number(&block[100..108]).ok_or_else(|| field("mode"))?;
        Ok(Self {
            dialect,
            flag,
            path,
            link: text(&block[157..257]).to_vec(),
            mode: u32::try_from(mode & 0o7777).expect("twelve bits fit"),
            uid: id(&block[108..116]).ok_or_else(|| field("uid"))?,
            gid: id(&block[116..124]).ok_or_else(|| field("gid"))?,
            size: count(&block[124..136]).ok_or_else(|| field("size"))?,
            mtime: number(&block[136..148]).ok_or_else(|| field("mtime"))?,
            block: *block,
        })
    }

    /// Returns whether the name ends in a slash to readers that have seen nothing but the name field.
    pub(super) fn is_slashed(&self) -> bool {
        text(&self.block[..100]).ends_with(b"/")
    }
}

impl Dialect {
    fn of(block: &[u8; BLOCK]) -> Self {
        match (&block[257..263], &block[263..265], &block[508..512]) {
            (b"ustar\0", _, b"tar\0") => Self::Star,
            (b"ustar\0", _, _) => Self::Ustar,
            (b"ustar ", b" \0", _) => Self::Gnu,
            _ => Self::Old,
        }
    }
}

/// Returns what comes before the name, or why readers disagree about it.
fn prefix(block: &[u8; BLOCK], dialect: Dialect) -> Result<&[u8], &'static str> {
    let prefix = text(&block[345..500]);
    match dialect {
        Dialect::Ustar => Ok(prefix),
        Dialect::Star if prefix.len() < STAR_PREFIX => Ok(prefix),
        Dialect::Star => Err("a prefix that reaches into star's times"),
        // Python does not look for a prefix here; Go does where there is no time.
        Dialect::Gnu if block[156] == SPARSE => {
            let are_times = is_number_or_blank(&block[345..357]) && is_number_or_blank(&block[357..369]);
            if are_times { Ok(b"") } else { Err("something else where GNU tar keeps times") }
        }
        Dialect::Gnu | Dialect::Old if prefix.is_empty() => Ok(b""),
        Dialect::Gnu | Dialect::Old => Err("a prefix of the name in a format without one"),
    }
}

/// Returns what an entry is: its type flag decides. `in_header` is whether the header's own name ends in a slash,
/// `slash` whether the name that counts does, and `content` whether a size above zero is announced.
///
/// Otherwise the reason why readers disagree, which is to be refused: Go never reads content of a directory or link,
/// GNU tar passes over some of it and POSIX lets hard links have it; GNU tar unpacks a file whose name ends in a slash
/// as a directory.
pub(super) fn kind(flag: u8, in_header: bool, slash: bool, content: bool) -> Result<EntryKind, &'static str> {
    let kind = match flag {
        // Archives older than POSIX mark directories by their name only, and Python looks at the header's own name.
        0 if in_header != slash => return Err("a name in an extension that makes a directory of it, or none"),
        0 if slash => EntryKind::Directory,
        0 | b'0' | b'7' | SPARSE => EntryKind::File,
        b'1' => EntryKind::HardLink,
        b'2' => EntryKind::Symlink,
        b'3' => EntryKind::CharDevice,
        b'4' => EntryKind::BlockDevice,
        b'5' => EntryKind::Directory,
        b'6' => EntryKind::Fifo,
        // Python and GNU tar take these for pax records, Go does not.
        b'X' => return Err("attributes in the format of Solaris"),
        other => EntryKind::Other(other),
    };
    if kind != EntryKind::File && content {
        Err("a size, but is not of a type with content")
    } else if kind == EntryKind::File && slash {
        Err("a name that ends in a slash, but the type of a file")
    } else if slash && !matches!(kind, EntryKind::Directory | EntryKind::Other(_)) {
        Err("a name that ends in a slash, but is not a directory")
    } else {
        Ok(kind)
    }
}

/// Returns whether half a device's number is one to all readers. GNU tar looks at it for devices only, and more
/// closely.
fn is_device_number(field: &[u8], is_device: bool) -> bool {
    if is_device {
        number(field).is_some_and(|number| i32::try_from(number).is_ok())
    } else {
        is_number_or_blank(field)
    }
}

/// Returns whether the bytes add up to the sum, the checksum's own counted as spaces. Old writers took bytes for
/// signed.
fn is_sum(block: &[u8; BLOCK], sum: u64) -> bool {
    let bytes = || block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { b' ' } else { *byte });
    let unsigned: u64 = bytes().map(u64::from).sum();
    let signed: i64 = bytes().map(|byte| i64::from(byte.cast_signed())).sum();
    sum == unsigned || i64::try_from(sum) == Ok(signed)
}

/// Returns a field's text, which a NUL ends.
pub(super) fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}
