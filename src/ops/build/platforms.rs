//! Several platforms at once: an image for each, and the index that names them all.

use super::{BuildConfig, BuildError, BuildOutcome, make};
use crate::image::{Descriptor, Digest, Document, Index, Platform, Reference};
use crate::progress::{Interrupt, Progress};
use crate::store::ImageStore;

/// What was built for several platforms.
#[derive(Debug, Clone)]
pub struct IndexOutcome {
    /// The index's names, tags complete.
    pub names: Vec<Reference>,
    /// The index.
    pub document: Document,
    /// The images, in the order they were asked for.
    pub images: Vec<(Platform, BuildOutcome)>,
    /// Images that lost their last name to the index.
    pub replaced: Vec<Digest>,
}

/// Builds an image for each configuration and gives the names of the first to an index of them (image-spec, "Image
/// Index"). Nothing is named unless everything was built.
pub fn build_index(
    configs: &[BuildConfig],
    store: &ImageStore,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<IndexOutcome, BuildError> {
    let lease = store.lease()?;
    let mut images: Vec<(Platform, BuildOutcome)> = Vec::new();
    let mut manifests: Vec<Descriptor> = Vec::new();
    for config in configs {
        let platform = config.base.as_ref().map_or_else(|| config.platform.clone(), |base| base.config.platform());
        if images.iter().any(|(other, _)| other.is_same(&platform)) {
            return Err(BuildError::PlatformTwice(platform));
        }
        let outcome = make(config, store, &lease, progress, interrupt)?;
        manifests.push(Descriptor { platform: Some(platform.clone()), ..outcome.document.descriptor.clone() });
        images.push((platform, outcome));
    }
    let Some((_, first)) = images.first() else { return Err(BuildError::NoName) };
    let (names, built_at) = (first.names.clone(), configs[0].built_at.clone());
    let document = Document::from_index(Index { manifests, ..Index::default() });
    store.put(&lease, &document.descriptor.media_type, &document.bytes)?;
    let replaced = store.publish(&lease, &document, &names, Some(&built_at))?;
    Ok(IndexOutcome { names, document, images, replaced })
}
