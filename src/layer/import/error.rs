//! Errors of importing a tar stream.

use std::io;

use crate::layer::overlay::lower_tree::MAX_DEPTH;
use crate::layer::tar::read::{EntryKind, TarEntry, TarError};
use crate::layer::{PlacementError, REMOVES};
use crate::text::{self, plain};

/// Why a tar stream did not become a layer. Names are as in the stream, what cannot be printed replaced, cut to a length
/// fit for a message.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    /// The stream is damaged, or could not be read.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// The stream ends without the mark that ends an archive.
    #[error("the tar stream stops after {} without the end of an archive", text::counted(*.0, "byte"))]
    NoEnd(u64),
    /// The stream is compressed in a way that we do not undo.
    #[error("the tar stream is compressed with {0}")]
    Compression(&'static str),
    /// The stream is no archive, but reads like a Dockerfile.
    #[error("it reads like a Dockerfile")]
    IsDockerfile,
    /// A name that nothing in an image can have.
    #[error("the archive's entry `{path}` {why}")]
    Name {
        /// The name.
        path: String,
        /// What is wrong with it.
        why: NameError,
    },
    /// A Dockerfile at the root, where none is taken.
    #[error("the archive has a `{0}` at its root")]
    Dockerfile(&'static str),
    /// It cannot land where it should.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// A link to nothing, or to something that is not before it in the archive.
    #[error("the archive's entry `{path}` is a link to `{target}`, which is not a file before it in the archive")]
    Link {
        /// The link.
        path: String,
        /// What it is a link to.
        target: String,
    },
    /// A link to a file that the rules leave out.
    #[error("the archive's entry `{path}` is a further name of `{target}`, which the ignore patterns leave out")]
    ExcludedLink {
        /// The link.
        path: String,
        /// The file.
        target: String,
    },
    /// An owner that nothing can have, where owners are kept.
    #[error("the archive's entry `{path}` belongs to {id}, which no file can")]
    Owner {
        /// Its name.
        path: String,
        /// The user or group.
        id: u64,
    },
    /// Something that an image cannot hold.
    #[error("the archive's entry `{path}` is a {kind}, which an image cannot hold")]
    Special {
        /// Its name.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// More entries than are kept in mind.
    #[error("the archive has more than the {limit} entries allowed")]
    TooMany {
        /// Entries allowed.
        limit: u64,
    },
    /// Directories that are below or left out, with longer names than are kept in mind.
    #[error(
        "directories that the archive leaves out or has something in have more than the {} of names allowed",
        text::size(*limit as u64)
    )]
    TooMuchHeld {
        /// Bytes allowed.
        limit: usize,
    },
    /// More content than allowed.
    #[error("the archive's files have more than the {} allowed", text::size(*limit))]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// The layer could not be written.
    #[error("cannot write the layer")]
    Write(#[source] io::Error),
    /// The work was asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// What is wrong with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing is left of it.
    #[error("has no name")]
    Empty,
    /// It begins with a slash.
    #[error("has an absolute name")]
    Absolute,
    /// It leads upward.
    #[error("has `..` in its name")]
    Upward,
    /// It is longer than a path can be.
    #[error("has a name that is longer than a path can be")]
    TooLong,
    /// It is in more directories than any program needs.
    #[error("is in more than the {MAX_DEPTH} directories allowed")]
    TooDeep,
    /// In a layer, it would remove what is below.
    #[error("{REMOVES}")]
    Whiteout,
    /// Another entry has the name.
    #[error("is there twice")]
    Twice,
    /// Something on the way is not a directory.
    #[error("is below something that is not a directory")]
    BelowFile,
}

impl ForeignError {
    pub(super) fn reading(source: io::Error) -> Self {
        Self::Tar(TarError::Read(source))
    }

    pub(super) fn name(path: &[u8], why: NameError) -> Self {
        Self::Name { path: shown(path), why }
    }

    pub(super) fn link(path: &[u8], entry: &TarEntry) -> Self {
        Self::Link { path: shown(path), target: shown(entry.link.as_deref().unwrap_or_default()) }
    }

    pub(super) fn excluded_link(path: &[u8], entry: &TarEntry) -> Self {
        Self::ExcludedLink { path: shown(path), target: shown(entry.link.as_deref().unwrap_or_default()) }
    }

    pub(super) fn owner(path: &[u8], id: u64) -> Self {
        Self::Owner { path: shown(path), id }
    }

    pub(super) fn special(path: &[u8], kind: EntryKind) -> Self {
        let kind = match kind {
            EntryKind::CharDevice | EntryKind::BlockDevice => "device",
            EntryKind::Fifo => "named pipe",
            _ => "special file",
        };
        Self::Special { path: shown(path), kind }
    }
}

/// Returns a name as messages show it: printable, and at most 200 characters long.
pub(super) fn shown(name: &[u8]) -> String {
    plain(&String::from_utf8_lossy(name), 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_show_names_that_can_be_shown() {
        assert_eq!(shown(b"a\x1b[31m\xff"), "a\u{fffd}[31m\u{fffd}");
        assert_eq!(shown(&[b'a'; 300]).len(), 200);
    }
}
