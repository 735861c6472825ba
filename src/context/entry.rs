//! An entry of a context, as the walk found it.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The most components of a path. Readers of images, this program included, refuse deeper paths.
pub const MAX_DEPTH: usize = 256;

/// A file, directory or link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path relative to the context's root, any bytes but NUL, components separated by `/`.
    pub path: Box<[u8]>,
    /// Permission bits with setuid, setgid and sticky: the lower twelve of the mode.
    pub mode: u32,
    /// What it is.
    pub kind: Kind,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// How to recognise the file and its content when it is opened.
        stamp: Stamp,
        /// How many names the file has, in the context or elsewhere.
        links: u64,
    },
    /// A symbolic link, never followed.
    Symlink {
        /// Where it points, verbatim.
        target: Box<[u8]>,
    },
}

/// The identity and state of a file, to notice later changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Device and inode: the file's identity, shared by all its names.
    pub identity: (u64, u64),
    /// Size in bytes.
    pub size: u64,
    /// Modification time in seconds and nanoseconds since 1970, which anybody can set.
    pub modified: (i64, i64),
    /// When content or attributes last changed, likewise, which only the system sets.
    pub changed: (i64, i64),
}

impl Stamp {
    /// Returns the stamp in a file's attributes.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            identity: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Entry {
    /// Returns the path for the system's calls.
    pub fn relative(&self) -> &Path {
        relative(&self.path)
    }

    /// Returns the size of the content in bytes; 0 for what is not a file.
    pub fn size(&self) -> u64 {
        match &self.kind {
            Kind::File { stamp, .. } => stamp.size,
            Kind::Directory | Kind::Symlink { .. } => 0,
        }
    }
}

/// Returns a path's bytes, for the system's calls.
pub(super) fn relative(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}
