//! A look inside a stored image: what it is, its exact documents, how it came to be, its layers and
//! the files in them. Reads only, and streams what may be large.

mod diff;
mod files;
mod first;

use serde::Serialize;

use crate::image::{ContainerConfig, Content, Digest, Document, ImageConfig, Manifest, Platform, is_attestation};
use crate::layer::Format;
use crate::layer::tar::read::TarError;
use crate::progress::Interrupt;
use crate::store::{Entry, Image, ImageStore, Selection, StoreError};

pub use diff::{About, Aspect, Change, Difference, diff};
pub use files::{LayerFiles, files};
pub use first::{Place, first_difference};

/// Why an image could not be looked into.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The store's reason.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The work was asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// A layer of a media type whose content we cannot read.
    #[error("layer {digest} has media type `{media_type}`, whose content cannot be read here")]
    MediaType {
        /// The layer.
        digest: Digest,
        /// Its media type.
        media_type: String,
    },
    /// A layer's compressed stream is broken.
    #[error("layer {digest} cannot be decompressed")]
    Decompress {
        /// The layer.
        digest: Digest,
        /// The decoder's reason.
        #[source]
        source: std::io::Error,
    },
    /// A layer is not the one its image's configuration means.
    #[error(
        "layer {layer} is not what its image's configuration says: uncompressed it hashes to {found}, not {expected}"
    )]
    Differs {
        /// The layer.
        layer: Digest,
        /// The configuration's digest of its tar.
        expected: Digest,
        /// The digest of its tar.
        found: Digest,
    },
    /// A layer is no tar archive we accept.
    #[error("layer {digest} cannot be read")]
    Tar {
        /// The layer.
        digest: Digest,
        /// Why.
        #[source]
        source: TarError,
    },
    /// A layer unpacks to more files or bytes than any image needs.
    #[error("layer {0} unpacks to more than is listed here")]
    TooLarge(Digest),
    /// No layer of that number or digest.
    #[error("no layer `{wanted}` (the image has {count})")]
    NoLayer {
        /// What was asked for.
        wanted: String,
        /// How many layers there are.
        count: usize,
    },
}

/// What an image is, at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// All names of what was asked for.
    pub names: Vec<String>,
    /// Digest of the image's manifest.
    pub digest: Digest,
    /// Media type of the manifest.
    pub media_type: String,
    /// Type of the artifact, where it is no image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Digest of the index the image was picked out of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<Digest>,
    /// Platforms of that index, attestations left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// Digest of the configuration: the image id.
    pub id: Digest,
    /// RFC 3339 creation time the image gives itself.
    pub created: Option<String>,
    /// RFC 3339 time at which the name was last given here.
    pub tagged: Option<String>,
    /// Who made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// `os/architecture[/variant]`.
    pub platform: String,
    /// Bytes a registry is sent: manifest, configuration and layers, each blob once.
    pub size: u64,
    /// Number of layers.
    pub layers: usize,
    /// Defaults for running a container.
    pub config: ContainerConfig,
    /// Annotations of the manifest.
    pub annotations: std::collections::BTreeMap<String, String>,
}

/// A step of an image's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// RFC 3339 time.
    pub created: Option<String>,
    /// The command.
    pub created_by: Option<String>,
    /// Who ran it.
    pub author: Option<String>,
    /// Anything else.
    pub comment: Option<String>,
    /// The layer the step made; none for one that changed the configuration only.
    pub layer: Option<Digest>,
    /// Bytes of that layer as stored; 0 without one.
    pub size: u64,
}

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerInfo {
    /// Its place, base first, counted from 1.
    pub number: usize,
    /// Digest of the blob.
    pub digest: Digest,
    /// Media type of the blob.
    pub media_type: String,
    /// Bytes of the blob.
    pub size: u64,
    /// Digest of the uncompressed tar, as the configuration has it.
    pub diff_id: Option<Digest>,
    /// Bytes of the uncompressed tar, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uncompressed_size: Option<u64>,
}

/// Whether a layer's uncompressed size is worth reading it for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uncompressed {
    /// It is not.
    Skip,
    /// Read and decompress every layer.
    Measure,
}

/// An image, or an artifact, whose configuration may be anything.
struct Inspected {
    document: Document,
    manifest: Manifest,
    config_bytes: Vec<u8>,
    config: Option<ImageConfig>,
}

impl From<Image> for Inspected {
    fn from(image: Image) -> Self {
        let Image { document, manifest, config_bytes, config } = image;
        Self { document, manifest, config_bytes, config: Some(config) }
    }
}

fn image(store: &ImageStore, name: &str, platform: Option<&Platform>) -> Result<(Selection, Inspected), StoreError> {
    let selection = store.resolve(name)?;
    store.check_document(&selection.descriptor)?;
    let root = store.document(&selection.descriptor);
    let artifact = root.ok().and_then(|document| {
        let manifest = document.manifest().filter(|manifest| manifest.artifact_kind().is_some())?.clone();
        Some((document, manifest))
    });
    let seen = match artifact {
        Some((document, manifest)) => {
            let config_bytes = store.read_document(&manifest.config)?;
            Inspected { document, manifest, config_bytes, config: None }
        }
        None => store.image(name, &selection.descriptor, platform)?.into(),
    };
    Ok((selection, seen))
}

/// Returns what the image is; of an index, the image for `platform` or the first.
pub fn overview(store: &ImageStore, name: &str, platform: Option<&Platform>) -> Result<Overview, InspectError> {
    let selection = store.resolve(name)?;
    let entries: Vec<_> =
        store.entries()?.into_iter().filter(|entry| entry.descriptor.digest == selection.descriptor.digest).collect();
    if store.is_leaf(&selection.descriptor) {
        return Ok(leaf(&selection, &entries));
    }
    let (selection, image) = image(store, name, platform)?;
    let root = store.document(&selection.descriptor)?;
    let platforms = match &root.content {
        Content::Index(index) => index
            .manifests
            .iter()
            .filter(|entry| !is_attestation(entry))
            // What cannot be read is not told here: the index is, and it does not say it.
            .filter_map(|entry| store.platform_of(entry).ok().flatten())
            .filter(|platform| platform.os != "unknown")
            .map(|platform| platform.full())
            .collect(),
        Content::Manifest(_) => Vec::new(),
    };
    let artifact_type = image.manifest.artifact_kind().map(str::to_owned);
    let mut blobs: Vec<(Digest, u64)> = image.manifest.blobs().map(|blob| (blob.digest, blob.size)).collect();
    blobs.sort_unstable();
    blobs.dedup();
    let platform = image.config.as_ref().map(ImageConfig::shown_platform).unwrap_or_default();
    let (created, author, config) =
        image.config.map_or_else(Default::default, |config| (config.created, config.author, config.config));
    Ok(Overview {
        digest: image.document.digest(),
        media_type: image.document.descriptor.media_type.clone(),
        index: (root.digest() != image.document.digest()).then(|| root.digest()),
        platforms,
        id: image.manifest.config.digest,
        artifact_type,
        created,
        tagged: selection.entries.iter().find_map(|entry| entry.created.clone()),
        names: names(&entries),
        author,
        platform,
        size: blobs.iter().fold(image.document.descriptor.size, |sum, (_, size)| sum.saturating_add(*size)),
        layers: image.manifest.layers.len(),
        config,
        annotations: image.manifest.annotations.unwrap_or_default(),
    })
}

fn names(entries: &[Entry]) -> Vec<String> {
    entries.iter().filter_map(|entry| entry.usable_name().map(str::to_owned)).collect()
}

/// Returns the overview of an entry that is neither a manifest nor an index.
fn leaf(selection: &Selection, entries: &[Entry]) -> Overview {
    let descriptor = &selection.descriptor;
    Overview {
        names: names(entries),
        digest: descriptor.digest,
        media_type: descriptor.media_type.clone(),
        artifact_type: Some(descriptor.media_type.clone()),
        index: None,
        platforms: Vec::new(),
        id: descriptor.digest,
        created: None,
        tagged: selection.entries.iter().find_map(|entry| entry.created.clone()),
        author: None,
        platform: String::new(),
        size: descriptor.size,
        layers: 0,
        config: ContainerConfig::default(),
        annotations: std::collections::BTreeMap::new(),
    }
}

/// Returns the document the name stands for, with its exact bytes: an index where it is one and no platform was asked
/// for.
pub fn manifest(store: &ImageStore, name: &str, platform: Option<&Platform>) -> Result<Document, InspectError> {
    if platform.is_some() {
        return Ok(image(store, name, platform)?.1.document);
    }
    let selection = store.resolve(name)?;
    store.check_document(&selection.descriptor)?;
    Ok(store.document(&selection.descriptor)?)
}

/// Returns the configuration's exact bytes.
pub fn config(store: &ImageStore, name: &str, platform: Option<&Platform>) -> Result<Vec<u8>, InspectError> {
    Ok(image(store, name, platform)?.1.config_bytes)
}

/// Returns the steps that made the image, first to last; a layer that no step claims is a step of its own.
pub fn history(store: &ImageStore, name: &str, platform: Option<&Platform>) -> Result<Vec<Step>, InspectError> {
    let (_, image) = image(store, name, platform)?;
    let mut layers = image.manifest.layers.iter();
    let mut steps: Vec<Step> = image
        .config
        .map(|config| config.history)
        .unwrap_or_default()
        .into_iter()
        .map(|entry| {
            let layer = if entry.empty_layer == Some(true) { None } else { layers.next() };
            Step {
                created: entry.created,
                created_by: entry.created_by,
                author: entry.author,
                comment: entry.comment,
                layer: layer.map(|layer| layer.digest),
                size: layer.map_or(0, |layer| layer.size),
            }
        })
        .collect();
    steps.extend(layers.map(|layer| Step {
        created: None,
        created_by: None,
        author: None,
        comment: None,
        layer: Some(layer.digest),
        size: layer.size,
    }));
    Ok(steps)
}

/// Returns the image's layers, base first.
pub fn layers(
    store: &ImageStore,
    name: &str,
    platform: Option<&Platform>,
    uncompressed: Uncompressed,
    interrupt: &Interrupt,
) -> Result<Vec<LayerInfo>, InspectError> {
    let (_, image) = image(store, name, platform)?;
    let mut layers = layer_infos(&image);
    if uncompressed == Uncompressed::Measure {
        for (layer, descriptor) in layers.iter_mut().zip(&image.manifest.layers) {
            // What an artifact has for layers need not be layers.
            if Format::of(&layer.media_type).is_some() {
                layer.uncompressed_size = Some(files::measure(store, descriptor, layer.diff_id, interrupt)?);
            }
        }
    }
    Ok(layers)
}

fn layer_infos(image: &Inspected) -> Vec<LayerInfo> {
    let mut diff_ids = image.config.iter().flat_map(|config| &config.rootfs.diff_ids).copied();
    let layers = image.manifest.layers.iter().enumerate().map(|(at, descriptor)| LayerInfo {
        number: at + 1,
        digest: descriptor.digest,
        media_type: descriptor.media_type.clone(),
        size: descriptor.size,
        diff_id: diff_ids.next(),
        uncompressed_size: None,
    });
    layers.collect()
}

/// Returns the layer that `wanted` means: its number, or the start of its digest or diff id.
pub fn find_layer<'a>(layers: &'a [LayerInfo], wanted: &str) -> Result<&'a LayerInfo, InspectError> {
    let number = wanted.parse::<usize>().ok().filter(|_| wanted.len() <= 4);
    let prefix = wanted.strip_prefix("sha256:").unwrap_or(wanted);
    let fits = |digest: Digest| prefix.len() >= 4 && digest.hex().starts_with(prefix);
    layers
        .iter()
        .find(|layer| number == Some(layer.number))
        .or_else(|| layers.iter().find(|layer| fits(layer.digest)))
        .or_else(|| layers.iter().find(|layer| layer.diff_id.is_some_and(fits)))
        .ok_or_else(|| InspectError::NoLayer { wanted: wanted.chars().take(80).collect(), count: layers.len() })
}

#[cfg(test)]
mod tests;
