//! The archive's format (GNU tar with pax records for attributes): one way to write each entry.
//!
//! Headers are filled here field by field, because every helper that fills them for us takes something
//! from the machine or alters names.

use std::io::{self, Write};

use tar::{Builder, EntryType, Header};

/// Numeric owner of everything in a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owner {
    /// User id.
    pub uid: u64,
    /// Group id.
    pub gid: u64,
}

/// The attributes of a directory that an entry sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits with set-uid, set-gid and sticky.
    pub mode: u32,
    /// Numeric user and group.
    pub owner: Owner,
    /// Modification time, in Unix seconds.
    pub modified: u64,
}

/// The owner, time and mode of all entries of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// The owner.
    pub owner: Owner,
    /// Modification time, in Unix seconds.
    pub modified: u64,
    /// The owner of the parent directories of the destination, if it differs.
    pub above: Option<Owner>,
    /// Permission bits of files and directories; without them each has its own.
    pub mode: Option<u32>,
}

/// The attribute that holds a file's capabilities.
pub(in crate::layer) const CAPABILITY: &str = "security.capability";

/// Archives are sequences of blocks of this size.
const BLOCK_BYTES: u64 = 512;

pub(in crate::layer) struct TarWriter<W: Write> {
    builder: Builder<W>,
    style: Style,
}

impl<W: Write> TarWriter<W> {
    pub(in crate::layer) fn new(inner: W, style: Style) -> Self {
        Self { builder: Builder::new(inner), style }
    }

    /// What the entries from here on have in common.
    pub(in crate::layer) fn restyle(&mut self, style: Style) {
        self.style = style;
    }

    /// Writes a directory; `name` has no slash at its end.
    pub(in crate::layer) fn directory(&mut self, name: &[u8], mode: u32) -> io::Result<()> {
        let name = [name, b"/"].concat();
        self.entry(EntryType::Directory, &name, mode, b"", 0)
    }

    /// Writes a directory that has attributes of its own.
    pub(in crate::layer) fn directory_as(&mut self, name: &[u8], attributes: Attributes) -> io::Result<()> {
        let Attributes { mode, owner, modified } = attributes;
        let style = self.style;
        self.restyle(Style { owner, modified, ..style });
        let written = self.directory(name, mode);
        self.restyle(style);
        written
    }

    /// Writes a symbolic link with its target verbatim.
    pub(in crate::layer) fn symlink(&mut self, name: &[u8], target: &[u8]) -> io::Result<()> {
        self.entry(EntryType::Symlink, name, 0o777, target, 0)
    }

    /// Writes another name of the file that is in the archive as `original`.
    ///
    /// The file's capabilities are said again: engines set the owner at every name, and the system takes the
    /// capabilities away when that is done.
    pub(in crate::layer) fn hard_link(
        &mut self,
        name: &[u8],
        mode: u32,
        original: &[u8],
        capability: Option<&[u8]>,
    ) -> io::Result<()> {
        self.capability(capability)?;
        self.entry(EntryType::Link, name, mode, original, 0)
    }

    /// Begins a file; exactly `size` bytes of content and [`Self::end_file`] must follow.
    pub(in crate::layer) fn begin_file(
        &mut self,
        name: &[u8],
        mode: u32,
        size: u64,
        capability: Option<&[u8]>,
    ) -> io::Result<()> {
        self.capability(capability)?;
        self.entry(EntryType::Regular, name, mode, b"", size)
    }

    /// Returns where a file's content is written.
    pub(in crate::layer) fn content(&mut self) -> &mut W {
        self.builder.get_mut()
    }

    /// Fills a file's last block.
    pub(in crate::layer) fn end_file(&mut self, size: u64) -> io::Result<()> {
        let beyond = usize::try_from(size % BLOCK_BYTES).expect("below a block");
        let padding = [0; 512];
        if beyond > 0 { self.content().write_all(&padding[beyond..]) } else { Ok(()) }
    }

    /// Ends the archive and gives the writer back.
    pub(in crate::layer) fn finish(self) -> io::Result<W> {
        self.builder.into_inner()
    }

    /// Says which capabilities the next entry has.
    fn capability(&mut self, capability: Option<&[u8]>) -> io::Result<()> {
        let Some(capability) = capability else { return Ok(()) };
        let key = format!("SCHILY.xattr.{CAPABILITY}");
        self.builder.append_pax_extensions([(key.as_str(), capability)])
    }

    fn entry(&mut self, kind: EntryType, name: &[u8], mode: u32, link: &[u8], size: u64) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(self.style.owner.uid);
        header.set_gid(self.style.owner.gid);
        header.set_mtime(self.style.modified);
        header.set_size(size);
        self.long_name(EntryType::GNULongLink, link, &mut header.as_old_mut().linkname)?;
        self.long_name(EntryType::GNULongName, name, &mut header.as_old_mut().name)?;
        header.set_cksum();
        self.builder.append(&header, io::empty())
    }

    /// Puts a name into its field; one that does not fit goes ahead of the entry in a record of its own.
    fn long_name(&mut self, kind: EntryType, name: &[u8], field: &mut [u8; 100]) -> io::Result<()> {
        let fitting = name.len().min(field.len());
        field[..fitting].copy_from_slice(&name[..fitting]);
        if name.len() <= field.len() {
            return Ok(());
        }
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..13].copy_from_slice(b"././@LongLink");
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        // The record's content ends with a NUL.
        header.set_size(name.len() as u64 + 1);
        header.set_cksum();
        self.builder.append(&header, &[name, b"\0"].concat()[..])
    }
}
