//! What can go wrong with an archive, as facts.

use std::io;

use crate::image::{Digest, MAX_DOCUMENT_BYTES, ReferenceError};
use crate::layer::read::TarError;
use crate::store::StoreError;

/// Why an archive was not written or not read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The store's reason.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The archive could not be written to where it should go.
    #[error("cannot write the image archive")]
    Write(#[source] io::Error),
    /// Somebody asked to stop.
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
    /// An entry that no image archive has: a hard link, a device, a pipe.
    #[error("`{path}` in the archive is {kind}, which has no place there")]
    Kind {
        /// The entry.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// Two entries of the same path.
    #[error("the archive has two entries `{0}`")]
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
    #[error("`{config}` describes {diff_ids} layers, the archive's manifest.json lists {layers} for it")]
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
    #[error("the configuration of {image} describes {diff_ids} layers, its manifest has {layers}")]
    LayersDiffer {
        /// The image.
        image: Digest,
        /// Layers of the configuration.
        diff_ids: usize,
        /// Layers of the manifest.
        layers: usize,
    },
    /// An image in the archive has a name that is not a reference.
    #[error("the archive has an image with an invalid name `{name}`")]
    Name {
        /// The name, shortened.
        name: String,
        /// What is wrong with it.
        #[source]
        source: ReferenceError,
    },
    /// Engines that read one document would take another image than engines that read the other.
    #[error("the archive's manifest.json and index.json give the name `{0}` to different images")]
    NameDiffers(String),
    /// Two images in the archive have the same name.
    #[error("the archive has two images named `{0}`")]
    NameTwice(String),
}

impl ArchiveError {
    /// A document that is too large to be one.
    pub(super) fn document_size(path: &str, size: u64) -> Self {
        Self::TooLarge { path: path.to_owned(), size, limit: MAX_DOCUMENT_BYTES }
    }
}
