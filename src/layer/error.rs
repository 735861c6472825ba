//! Errors of packing a layer.

use std::io;
use std::path::PathBuf;

/// Why a layer was not made.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// A file could not be opened or read.
    #[error("cannot read `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A file that the walk saw is gone.
    #[error("`{}` vanished while the layer was packed", path.display())]
    Vanished {
        /// The file.
        path: PathBuf,
    },
    /// A file is not, or did not stay, what the walk saw.
    #[error("`{}` changed while the layer was packed", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The layer could not be written.
    #[error("cannot write the layer")]
    Write(#[source] io::Error),
    /// The work was asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl LayerError {
    /// Returns the error for a file of the walk that the system does not open.
    pub(super) fn opening(path: PathBuf, source: io::Error) -> Self {
        // A link, or a file where a directory was, now stands in the way.
        let replaced = source.kind() == io::ErrorKind::NotADirectory
            || source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
        match source.kind() {
            io::ErrorKind::NotFound => Self::Vanished { path },
            _ if replaced => Self::Changed { path },
            _ => Self::Unreadable { path, source },
        }
    }
}
