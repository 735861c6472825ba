//! Images as single files: `docker save` archives and OCI archives, written and read as streams.
//!
//! Neither direction seeks or recompresses. Writing copies blobs as they are stored and checks each
//! while it passes; for Docker's format, whose readers need not know zstd, layers of zstd become the tars they are.
//! Reading stores blobs as they come and changes the index last, after everything
//! the archive promises has been found: what is refused leaves unreferenced blobs at most, which
//! pruning removes.

mod archived;
mod contents;
mod directory;
mod docker;
mod error;
mod holes;
mod load;
mod names;
mod oci;
mod save;
mod unpacked;

pub use archived::{Archived, Found, Leaf, LoadNote};
pub use directory::LayoutStream;
pub use error::ArchiveError;
pub use load::{LoadOutcome, load, unpack};
pub use save::{SaveOutcome, save};

use serde::{Deserialize, Serialize};

use crate::image::strict::{Field, Shape, StrictDocument};

/// How an archive is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveFormat {
    /// What `docker save` writes: `manifest.json`, configurations and layers.
    Docker,
    /// An OCI image layout in a tar (image-spec, "Image Layout").
    Oci,
}

/// One image of Docker's `manifest.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    /// Path of the configuration in the archive.
    config: String,
    /// Full names with tags; `null` for an image saved by its id.
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    /// Paths of the layers in the archive, base first.
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// The images of Docker's `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct DockerImages(Vec<DockerImage>);

impl StrictDocument for DockerImages {
    const SHAPE: Shape = Shape::List(&Shape::Object(&[
        Field::new("Config", Shape::Text),
        Field::new("RepoTags", Shape::OrNull(&Shape::List(&Shape::Text))),
        Field::new("Layers", Shape::OrNull(&Shape::List(&Shape::Text))),
        Field::new("Parent", Shape::OrNull(&Shape::Text)),
        Field::new("LayerSources", Shape::Any),
    ]));
}

/// Returns where a blob is in both formats.
fn blob_path(digest: crate::image::Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

#[cfg(test)]
mod tests;
