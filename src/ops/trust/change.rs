//! The steps that hand certificates to other programs, and the errors that stop them.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One step, carried out or, in a dry run, planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A file of ours was written.
    Write(PathBuf),
    /// A file of ours was removed.
    Remove(PathBuf),
    /// The file already had this content.
    Keep(PathBuf),
    /// A file of another program was left alone.
    Leave(PathBuf),
    /// A program was run.
    Run(PathBuf, Vec<String>),
}

/// Why certificates were not installed, or only some of them.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// Files of other programs are in the way; nothing was changed.
    #[error("left alone what was there: {}", .0.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "))]
    Foreign(Vec<PathBuf>),
    /// A file or directory cannot be changed.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried: `write`, `remove`, `read`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The system has no store of a known kind.
    #[error("found none of {programs}")]
    NoSystemStore {
        /// The programs that make the known kinds, separated by commas.
        programs: String,
    },
    /// The program that rebuilds the system's store did not end; the files for it were removed.
    #[error("`{}` did not end within {limit:?}", program.display())]
    Endless {
        /// The program.
        program: PathBuf,
        /// The limit.
        limit: Duration,
    },
    /// The program that rebuilds the system's store failed; the files for it were removed.
    #[error("`{}` failed: {said}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// Its exit status and the end of its standard error.
        said: String,
    },
}

impl Change {
    /// Returns the file to write, if this is a step that writes one.
    pub(super) fn written(&self) -> Option<&Path> {
        match self {
            Self::Write(path) => Some(path),
            _ => None,
        }
    }
}
