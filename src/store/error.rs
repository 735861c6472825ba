//! The store's errors.

use std::io;
use std::path::{Path, PathBuf};

use super::names::MAX_INDEX_BYTES;
use crate::fs::LockError;
use crate::image::{Descriptor, Digest, DocumentError, MAX_DOCUMENT_BYTES};
use crate::text;

/// Why an operation of the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A system call failed.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// The action that failed: `read`, `create`, ...
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The directory is neither empty nor an OCI layout.
    #[error("`{}` holds files but is not an OCI image layout (it has no oci-layout file)", .0.display())]
    NotALayout(PathBuf),
    /// The layout has an unknown version.
    #[error("the store has image layout version {0} (only 1.0.0 is supported)")]
    LayoutVersion(String),
    /// A JSON file of the layout does not parse.
    #[error("`{}` is damaged", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The parser's reason.
        #[source]
        source: serde_json::Error,
    },
    /// `index.json` would become larger than the limit on reading it.
    #[error("`{}` would have {size} bytes, more than the {MAX_INDEX_BYTES} allowed", path.display())]
    IndexSize {
        /// The file.
        path: PathBuf,
        /// The size in bytes it would have.
        size: u64,
    },
    /// A lock could not be acquired.
    #[error("the image store is in use")]
    Lock(#[from] LockError),
    /// A blob is not stored.
    #[error("blob {0} is missing from the store")]
    MissingBlob(Digest),
    /// A stored blob has another size than its descriptor.
    #[error("blob {digest} has {} in the store, its descriptor says {expected}", text::counted(*found, "byte"))]
    BlobSize {
        /// The blob.
        digest: Digest,
        /// Bytes according to the descriptor.
        expected: u64,
        /// Bytes on disk.
        found: u64,
    },
    /// A blob's content does not have the expected digest.
    #[error("content of blob {expected} is damaged: it hashes to {found}")]
    BlobDigest {
        /// The expected digest.
        expected: Digest,
        /// The digest of the content.
        found: Digest,
    },
    /// A manifest, index or configuration is larger than the limit for documents.
    #[error("document {digest} has {size} bytes, more than the {MAX_DOCUMENT_BYTES} allowed")]
    DocumentSize {
        /// The document.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
    },
    /// A stored manifest, index or configuration does not parse.
    #[error("document {digest} in the store is not valid")]
    Document {
        /// The document.
        digest: Digest,
        /// Why.
        #[source]
        source: DocumentError,
    },
    /// An entry of another tool that is not an image.
    #[error("{digest} is of type `{media_type}`, which is neither an image nor an index")]
    NotADocument {
        /// The entry.
        digest: Digest,
        /// Its media type.
        media_type: String,
    },
    /// The store has no image of this name.
    #[error("no image `{name}` in the local store")]
    NotFound {
        /// The text that was resolved.
        name: String,
        /// Similar names, or some existing names if none is similar.
        known: Vec<String>,
    },
    /// An id prefix fits several images.
    #[error("`{prefix}` fits {count} images")]
    Ambiguous {
        /// The text that was resolved.
        prefix: String,
        /// The number of images that it matches.
        count: usize,
    },
    /// An index has no image for the platform.
    #[error(
        "`{name}` has no image for {wanted} (it has {})",
        crate::text::listed(available, "no image of a container")
    )]
    Platform {
        /// The image.
        name: String,
        /// The platform asked for.
        wanted: String,
        /// The platforms of the index.
        available: Vec<String>,
    },
    /// Indexes are nested more deeply than the limit.
    #[error("index {0} nests too deep")]
    Nesting(Digest),
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    /// Returns the error for a configuration that does not parse.
    pub(crate) fn config(config: &Descriptor, source: serde_json::Error) -> Self {
        let media_type = crate::text::plain(&config.media_type, 120);
        Self::Document { digest: config.digest, source: DocumentError::Json { media_type, source } }
    }

    /// Returns whether the disk is full or the user's quota is used up.
    pub(crate) fn is_out_of_space(&self) -> bool {
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        matches!(self, Self::Io { source, .. } if full.contains(&source.kind()))
    }

    /// Returns the system's reason alone, or this error inside one of `std::io`.
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Self::Io { source, .. } => source,
            error => io::Error::other(error),
        }
    }
}
