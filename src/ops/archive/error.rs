//! Errors of reading and writing archives.

use std::io;

use super::blob_path;
use crate::image::{Digest, DocumentError, MAX_DOCUMENT_BYTES};
use crate::layer::tar::read::TarError;
use crate::store::StoreError;
use crate::text;

/// Why an archive was not written or not read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The store's reason.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The archive could not be written to where it should go.
    #[error("cannot write the image archive")]
    Write(#[source] io::Error),
    /// The work was asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// No image was named.
    #[error("no image was named")]
    NoImages,
    /// Not a tar archive, or one that ends too early.
    #[error("the image archive cannot be read")]
    Tar(#[from] TarError),
    /// Neither `manifest.json` nor `index.json`.
    #[error("this is not an image archive (it has neither a manifest.json nor an index.json)")]
    NotAnImageArchive,
    /// Compressed by something we cannot undo.
    #[error("{what} is compressed with {compression}, which is not supported here (gzip and zstd are)")]
    Compression {
        /// `the archive`, or a layer's path in it.
        what: String,
        /// The compressor.
        compression: &'static str,
    },
    /// A path that leaves the archive or is not plain text.
    #[error("the archive has an entry with an unsafe path `{0}`")]
    Path(String),
    /// A link to somewhere outside the archive.
    #[error("`{path}` in the archive links to `{target}`, outside of it")]
    Link {
        /// The link.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// A hard link to something that is not in the archive before it.
    #[error("`{path}` in the archive is a hard link to `{target}`, which is not in front of it")]
    HardLink {
        /// The link.
        path: String,
        /// What it leads to.
        target: String,
    },
    /// An entry that no image archive has: a device, a pipe.
    #[error("`{path}` in the archive is {kind}, which has no place there")]
    Kind {
        /// The entry.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// Two entries of the same path, with different content.
    #[error("the archive has two entries `{0}` that differ")]
    Duplicate(String),
    /// More entries or images than any archive has.
    #[error("the archive has more than {limit} {what}")]
    TooMany {
        /// `entries` or `images`.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// An entry, or everything together, is too large.
    #[error("`{path}` in the archive has {size} bytes, more than the {limit} allowed")]
    TooLarge {
        /// The entry.
        path: String,
        /// Its size in bytes.
        size: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// A JSON document does not parse.
    #[error("`{path}` in the archive is not valid")]
    Json {
        /// The document.
        path: String,
        /// The parser's reason.
        #[source]
        source: serde_json::Error,
    },
    /// A manifest, index or configuration is not valid.
    #[error("`{path}` in the archive is not valid")]
    Document {
        /// The document.
        path: String,
        /// Why.
        #[source]
        source: DocumentError,
    },
    /// A blob has another size than a document says.
    #[error("`{path}` in the archive has {}, its descriptor says {expected}", text::counted(*found, "byte"))]
    Size {
        /// The blob.
        path: String,
        /// Bytes according to the descriptor.
        expected: u64,
        /// Bytes in the archive.
        found: u64,
    },
    /// An archive of Docker's format has no place for it.
    #[error("`{name}` is an artifact of type `{kind}`, and a docker-archive holds images of containers")]
    Artifact {
        /// What was asked for.
        name: String,
        /// The type of the artifact.
        kind: String,
    },
    /// A layout version we do not know.
    #[error("the archive has image layout version {0} (only 1.0.0 is supported)")]
    LayoutVersion(String),
    /// A blob whose content is not what its path says.
    #[error("`{path}` in the archive is damaged: it hashes to {found}")]
    Damaged {
        /// The blob.
        path: String,
        /// What it hashes to.
        found: Digest,
    },
    /// A document refers to an entry that is not there.
    #[error("`{0}` is missing from the archive")]
    Missing(String),
    /// The number of layers differs between `manifest.json` and the configuration.
    #[error("`{config}` describes {}, the archive's manifest.json lists {layers} for it", text::counted(*diff_ids, "layer"))]
    LayerCount {
        /// Path of the configuration.
        config: String,
        /// Layers of the configuration.
        diff_ids: usize,
        /// Layers of `manifest.json`.
        layers: usize,
    },
    /// A layer is not the one its configuration means.
    #[error("layer `{path}` in the archive is damaged: uncompressed it hashes to {found}, not {expected}")]
    DiffId {
        /// The layer.
        path: String,
        /// The configuration's digest of its tar.
        expected: Digest,
        /// The digest of its tar.
        found: Digest,
    },
    /// A layer's gzip stream is broken.
    #[error("layer `{path}` in the archive cannot be decompressed")]
    Decompress {
        /// The layer.
        path: String,
        /// The decoder's reason.
        #[source]
        source: io::Error,
    },
    /// A layer to be saved cannot be decompressed.
    #[error("layer {layer} cannot be decompressed")]
    TornLayer {
        /// The layer.
        layer: Digest,
        /// The decoder's reason.
        #[source]
        source: io::Error,
    },
    /// A layer to be saved is not the one its configuration means.
    #[error(
        "layer {layer} is not what its image's configuration says: uncompressed it hashes to {found}, not {expected}"
    )]
    LayerDiffers {
        /// The layer.
        layer: Digest,
        /// The configuration's digest of its tar.
        expected: Digest,
        /// The digest of its tar.
        found: Digest,
    },
    /// The number of layers differs between a manifest to be saved and its configuration.
    #[error("the configuration of {image} describes {}, its manifest has {layers}", text::counted(*diff_ids, "layer"))]
    LayersDiffer {
        /// The image.
        image: Digest,
        /// Layers of the configuration.
        diff_ids: usize,
        /// Layers of the manifest.
        layers: usize,
    },
    /// Engines that read one document would take another image than engines that read the other.
    #[error("the archive's manifest.json and index.json give the name `{0}` to different images")]
    NameDiffers(String),
    /// Two images in the archive have the same name.
    #[error("the archive has two images named `{0}`")]
    NameTwice(String),
}

impl ArchiveError {
    /// Says of the archive what the store said of its blobs while it was read.
    pub(super) fn of_archive(self) -> Self {
        match self {
            Self::Store(StoreError::Document { digest, source }) => Self::Document { path: blob_path(digest), source },
            Self::Store(StoreError::MissingBlob(digest)) => Self::Missing(blob_path(digest)),
            Self::Store(StoreError::BlobSize { digest, expected, found }) => {
                Self::Size { path: blob_path(digest), expected, found }
            }
            Self::Store(StoreError::DocumentSize { digest, size }) => Self::document_size(&blob_path(digest), size),
            other => other,
        }
    }

    pub(super) fn artifact(name: String, kind: &str) -> Self {
        Self::Artifact { name, kind: crate::text::plain(kind, 120) }
    }

    /// Returns the error for a document that is too large.
    pub(super) fn document_size(path: &str, size: u64) -> Self {
        Self::TooLarge { path: path.to_owned(), size, limit: MAX_DOCUMENT_BYTES }
    }
}
