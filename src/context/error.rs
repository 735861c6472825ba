//! Errors of reading a context.

use std::fmt;
use std::io;
use std::path::PathBuf;

use rustix::fs::FileType;

use super::{MAX_DEPTH, MAX_IGNORE_FILE_BYTES, RuleError};
use crate::text;

/// Why a context could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// There is no such directory.
    #[error("build context `{}` does not exist", path.display())]
    NotFound {
        /// The context.
        path: PathBuf,
    },
    /// The context is something else.
    #[error("build context `{}` is not a directory", path.display())]
    NotADirectory {
        /// The context.
        path: PathBuf,
    },
    /// The context is a file, and reads like a Dockerfile.
    #[error("`{}` reads like a Dockerfile, and Dockerfiles are not built", path.display())]
    IsDockerfile {
        /// The file.
        path: PathBuf,
    },
    /// A directory, or the attributes of something in one, could not be read.
    #[error("cannot read `{}`", path.display())]
    Unreadable {
        /// What.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Something was there when its directory was read, and gone a moment later.
    #[error("`{}` vanished while the build context was read", path.display())]
    Vanished {
        /// What.
        path: PathBuf,
    },
    /// Something was a directory or a link when its directory was read, and another thing a moment later.
    #[error("`{}` changed while the build context was read", path.display())]
    Changed {
        /// What.
        path: PathBuf,
    },
    /// A path has more components than layers may have.
    #[error("`{}` is more than {MAX_DEPTH} levels deep", path.display())]
    TooDeep {
        /// What.
        path: PathBuf,
    },
    /// Something that an image cannot hold.
    #[error("`{}` is a {kind}, which an image cannot hold", path.display())]
    Special {
        /// What.
        path: PathBuf,
        /// Its kind.
        kind: SpecialKind,
    },
    /// The ignore file could not be read.
    #[error("cannot read ignore file `{}`", path.display())]
    IgnoreFile {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Something has the name of an ignore file and is none.
    #[error("ignore file `{}` is not a regular file", path.display())]
    IgnoreFileKind {
        /// What.
        path: PathBuf,
    },
    /// The ignore file is a link, and nothing is where it leads.
    #[error("ignore file `{}` is a link that leads nowhere", path.display())]
    IgnoreFileDangling {
        /// The link.
        path: PathBuf,
    },
    /// The ignore file is too large to be one.
    #[error("ignore file `{}` has more than the {} allowed", path.display(), text::size(MAX_IGNORE_FILE_BYTES))]
    IgnoreFileSize {
        /// The file.
        path: PathBuf,
    },
    /// A rule is not valid.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The work was asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// Kinds of things that exist only on a running system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpecialKind {
    /// A Unix domain socket.
    Socket,
    /// A named pipe.
    Fifo,
    /// A character or block device.
    Device,
    /// Something newer than this program.
    Unknown,
}

impl SpecialKind {
    pub(super) fn of(kind: FileType) -> Self {
        match kind {
            FileType::Socket => Self::Socket,
            FileType::Fifo => Self::Fifo,
            FileType::CharacterDevice | FileType::BlockDevice => Self::Device,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for SpecialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Socket => "socket",
            Self::Fifo => "named pipe",
            Self::Device => "device",
            Self::Unknown => "special file",
        })
    }
}
