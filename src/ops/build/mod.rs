//! Use case: a directory becomes an image in the store.
//!
//! Sources, rules, walk, layers, configuration, manifest, index, in this order; what is named in
//! the index is whole. The image's bytes depend on the sources, the base and the configuration alone.

mod archives;
mod base;
mod defaults;
mod layers;
mod lower_tree;
mod platforms;
mod rebase;
mod reproduce;
mod sources;
mod stored_layers;
mod warnings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::context::{ContextError, Counts};
use crate::image::{
    ContainerConfig, Descriptor, Digest, Document, History, ImageConfig, Manifest, Platform, Reference, RootFs,
    media_type,
};
pub use archives::{ArchiveInput, ArchiveSource, Stream};
pub use base::{Base, BaseError, Resets};
pub use platforms::{IndexOutcome, build_index};
pub use rebase::{OldBase, Part, RebaseConfig, RebaseError, RebaseOutcome, Rebased, rebase};
pub use reproduce::{Conditions, build_again};
pub use sources::{ContextSource, CopySource, Sources};
pub use stored_layers::StoredLayers;

pub use crate::layer::ForeignError;
pub use crate::layer::PlacementError;
pub use crate::layer::{Compression, Format, LevelError, Owner};
use crate::layer::{Destination, DestinationError, LayerError, Style, TocError};
pub use crate::layer::{Layers, MAX_LAYERS, RacyWindow};
use crate::progress::{Interrupt, Progress};
use crate::store::{ImageStore, Lease, StoreError};

use sources::Gathered;

/// 1980-01-01T00:00:01Z in Unix seconds: the earliest time that zip-based tools accept.
pub const DEFAULT_TIMESTAMP: i64 = 315_532_801;

/// Where layers are kept from one build to the next, and whether they are used.
#[derive(Debug, Clone)]
pub struct CacheConfig {
    /// The program's directory.
    pub state: PathBuf,
    /// Whether layers of earlier builds are used. What this one packs is kept in any case.
    pub reuse: bool,
    /// How long a file must have been left alone.
    pub settling: RacyWindow,
}

/// What to build.
#[derive(Debug, Clone)]
pub struct BuildConfig {
    /// The directory whose content goes into the image, unless `sources` says that there is none.
    pub context: PathBuf,
    /// What else goes into it.
    pub sources: Sources,
    /// Whether a context with a Dockerfile in its root is packed without building the Dockerfile. Otherwise such a
    /// context is refused.
    pub packs_dockerfile: bool,
    /// Names of the image, at least one; `latest` is meant where no tag is written.
    pub names: Vec<Reference>,
    /// The image that the context's layer goes on; none for an image of its own.
    pub base: Option<Base>,
    /// What the image runs on; of an image on a base, the base says it.
    pub platform: Platform,
    /// Labels of the configuration, over those of `runtime`.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// The ignore file; without one, the context's own.
    pub ignore_file: Option<PathBuf>,
    /// Further ignore patterns, after those of the file.
    pub exclude: Vec<String>,
    /// Directories that never go into an image besides the store: where credentials are kept.
    pub private: Vec<PathBuf>,
    /// How the image is run.
    pub runtime: ContainerConfig,
    /// What of the base's does not hold.
    pub resets: Resets,
    /// Where in the image the context lands; `/` is its root.
    pub copy_to: String,
    /// Who owns everything in the layers.
    pub owner: Owner,
    /// Permission bits of the files and directories of sources that say none; without them each keeps its own.
    pub mode: Option<u32>,
    /// Unix seconds: every modification time in the layers and the image's `created`.
    pub timestamp: i64,
    /// How the layers are compressed.
    pub compression: Compression,
    /// Into how many layers the context is cut, and each other directory.
    pub layers: Layers,
    /// The layers of earlier builds; without it each is packed from its files.
    pub cache: Option<CacheConfig>,
    /// RFC 3339 wall-clock time; an annotation of the store's index only.
    pub built_at: String,
    /// Under which conditions; none for those that are best.
    pub conditions: Option<Conditions>,
    /// Gets each layer once it is whole in the store, long before the image is.
    pub stored: StoredLayers,
}

/// What was built.
#[derive(Debug, Clone)]
pub struct BuildOutcome {
    /// The image's names, tags complete.
    pub names: Vec<Reference>,
    /// Digest of the configuration.
    pub image_id: Digest,
    /// The manifest.
    pub document: Document,
    /// Bytes of all layers (compressed), the configuration and the manifest.
    pub size: u64,
    /// The layers that were made, first one first; those of the base are below them.
    pub layers: Vec<LayerOutcome>,
    /// Files and links from all sources.
    pub files: u64,
    /// Directories from all sources.
    pub directories: u64,
    /// Bytes of the sources' files.
    pub context_bytes: u64,
    /// Things that the context's rules excluded; a directory not looked into counts once.
    pub excluded: u64,
    /// The context's ignore file that was used.
    pub ignore_file: Option<PathBuf>,
    /// Images that lost their last name to this one.
    pub replaced: Vec<Digest>,
}

/// One layer of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerOutcome {
    /// The compressed blob.
    pub descriptor: Descriptor,
    /// Digest of the uncompressed tar.
    pub diff_id: Digest,
    /// Bytes of the uncompressed tar.
    pub uncompressed: u64,
    /// Whether an earlier build packed it, and no file was read for it now.
    pub reused: bool,
}

/// Why no image was built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No name was given.
    #[error("the image needs a name")]
    NoName,
    /// A name says which content it wants.
    #[error("`{0}` has a digest, which is not known before the image is built")]
    DigestInName(Reference),
    /// A label without a name.
    #[error("a label has no name (its value is `{0}`)")]
    EmptyLabel(String),
    /// An annotation without a name.
    #[error("an annotation has no name (its value is `{0}`)")]
    EmptyAnnotation(String),
    /// The destination in the image is no path.
    #[error("`{path}` cannot be a directory of the image")]
    Destination {
        /// What was given.
        path: String,
        /// Why not.
        #[source]
        source: DestinationError,
    },
    /// A source cannot land there on the layers below.
    #[error("cannot put `{label}` at `{destination}` of the image")]
    Placement {
        /// The source.
        label: String,
        /// Where it should land.
        destination: String,
        /// Why not.
        #[source]
        source: PlacementError,
    },
    /// A layer of the base is damaged.
    #[error("layer {digest} of the base cannot be read")]
    BaseLayer {
        /// The layer.
        digest: Digest,
        /// Why.
        #[source]
        source: TocError,
    },
    /// A layer of the base is not the one that the base's configuration has.
    #[error(
        "layer {digest} of the base is damaged: its content has diff_id {found}, its configuration says {expected}"
    )]
    BaseDiffId {
        /// The layer.
        digest: Digest,
        /// What it should be.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// A time before 1970 or after the year 9999.
    #[error("timestamp {0} is not between the years 1970 and 9999")]
    Timestamp(i64),
    /// Two of the platforms that were asked for are one on the base.
    #[error("two of the platforms mean the same image of the base: {0}")]
    PlatformTwice(Platform),
    /// The context is the store that the image would be written to.
    #[error("the build context `{}` is the image store itself", .0.display())]
    ContextIsStore(PathBuf),
    /// A source is where credentials are kept.
    #[error("`{}` is where credentials and certificates are kept", .0.display())]
    ContextIsPrivate(PathBuf),
    /// The context has a Dockerfile in its root.
    #[error("`{}` would be ignored: a build packs files, and builds no Dockerfile", .0.display())]
    Dockerfile(PathBuf),
    /// There is nothing at the path of a further source.
    #[error("`{}` does not exist", .0.display())]
    NoSource(PathBuf),
    /// A stream was read already, for another image.
    #[error("a stream can be read only once")]
    StreamTwice,
    /// An archive could not be taken in; `-` stands for a stream.
    #[error("cannot make a layer of `{}`", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<ForeignError>,
    },
    /// The context could not be listed.
    #[error(transparent)]
    Context(ContextError),
    /// The layer could not be packed.
    #[error(transparent)]
    Layer(LayerError),
    /// The image could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The work was asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl From<ContextError> for BuildError {
    fn from(error: ContextError) -> Self {
        match error {
            ContextError::Interrupted => Self::Interrupted,
            error => Self::Context(error),
        }
    }
}

impl From<LayerError> for BuildError {
    fn from(error: LayerError) -> Self {
        match error {
            LayerError::Interrupted => Self::Interrupted,
            error => Self::Layer(error),
        }
    }
}

/// Builds the image and gives it its names.
pub fn build(
    config: &BuildConfig,
    store: &ImageStore,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<BuildOutcome, BuildError> {
    let lease = store.lease()?;
    let mut outcome = make(config, store, &lease, progress, interrupt)?;
    outcome.replaced = store.publish(&lease, &outcome.document, &outcome.names, Some(&config.built_at))?;
    Ok(outcome)
}

/// Builds the image without giving it a name.
fn make(
    config: &BuildConfig,
    store: &ImageStore,
    lease: &Lease,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<BuildOutcome, BuildError> {
    let request = Request::check(config)?;
    let Gathered { layers, steps, counts, excluded, ignore_file } =
        sources::gather(config, &request, store, lease, progress, interrupt)?;
    if interrupt.requested() {
        return Err(BuildError::Interrupted);
    }

    let image_config = request.image_config(config, &layers, steps);
    let image_config = store.put(lease, media_type::IMAGE_CONFIG, &image_config.to_bytes())?;
    let below = config.base.as_ref();
    let own = layers.iter().map(|layer| layer.descriptor.size).sum::<u64>();
    let size = below.map_or(0, Base::size) + own + image_config.size;
    let image_id = image_config.digest;
    let descriptors = below.map_or_else(Vec::new, |base| base.layers.clone());
    let descriptors = descriptors.into_iter().chain(layers.iter().map(|layer| layer.descriptor.clone())).collect();
    let annotations = match below {
        Some(base) => base.annotate(config.annotations.clone()),
        None => config.annotations.clone(),
    };
    let document = Document::from_manifest(Manifest::new(image_config, descriptors, annotations));
    store.put(lease, media_type::IMAGE_MANIFEST, &document.bytes)?;
    Ok(BuildOutcome {
        names: request.names,
        image_id,
        size: size + document.descriptor.size,
        document,
        layers,
        files: counts.files,
        directories: counts.directories,
        context_bytes: counts.bytes,
        excluded,
        ignore_file,
        replaced: Vec::new(),
    })
}

/// A configuration that makes sense, in the form the work needs.
struct Request {
    names: Vec<Reference>,
    destination: Destination,
    style: Style,
    compression: Compression,
    created: String,
}

impl Request {
    fn check(config: &BuildConfig) -> Result<Self, BuildError> {
        let mut names: Vec<Reference> = Vec::new();
        for name in &config.names {
            if name.digest().is_some() {
                return Err(BuildError::DigestInName(name.clone()));
            }
            let name = name.clone().with_default_tag();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.is_empty() {
            return Err(BuildError::NoName);
        }
        if let Some(value) = config.labels.get("") {
            return Err(BuildError::EmptyLabel(value.clone()));
        }
        if let Some(value) = config.annotations.get("") {
            return Err(BuildError::EmptyAnnotation(value.clone()));
        }
        let destination = Destination::parse(&config.copy_to)
            .map_err(|source| BuildError::Destination { path: config.copy_to.clone(), source })?;
        let timestamp = || BuildError::Timestamp(config.timestamp);
        let modified = u64::try_from(config.timestamp).map_err(|_| timestamp())?;
        let created = rfc3339(config.timestamp).ok_or_else(timestamp)?;
        Ok(Self {
            names,
            destination,
            style: Style { owner: config.owner, modified, above: None, mode: config.mode },
            compression: config.compression,
            created,
        })
    }

    /// `steps` has what made each of the layers.
    fn image_config(&self, config: &BuildConfig, layers: &[LayerOutcome], steps: Vec<String>) -> ImageConfig {
        let mut runtime = config.runtime.clone();
        runtime.labels.extend(config.labels.clone());
        let history =
            |step| History { created: Some(self.created.clone()), created_by: Some(step), ..History::default() };
        let own = ImageConfig {
            created: Some(self.created.clone()),
            author: None,
            architecture: config.platform.architecture.clone(),
            variant: config.platform.variant.clone(),
            os: config.platform.os.clone(),
            config: runtime,
            rootfs: RootFs { kind: "layers".into(), diff_ids: layers.iter().map(|layer| layer.diff_id).collect() },
            history: steps.into_iter().map(history).collect(),
            extra: BTreeMap::new(),
        };
        match &config.base {
            Some(base) => base.under(own, config.resets),
            None => own,
        }
    }
}

/// Writes a time as RFC 3339 has it, to the last second that it can write: 9999-12-31T23:59:59Z.
fn rfc3339(seconds: i64) -> Option<String> {
    // A point in time ends some hours earlier, so that it can be shown anywhere on Earth.
    let elapsed = jiff::Span::new().try_seconds(seconds).ok()?;
    let time = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0).checked_add(elapsed).ok()?;
    Some(format!("{time}Z"))
}

/// Returns where the store really is, to recognise it on the walk.
fn store_root(root: &Path) -> Result<PathBuf, StoreError> {
    std::fs::canonicalize(root).map_err(|source| StoreError::io("read", root, source))
}

#[cfg(test)]
mod tests;
