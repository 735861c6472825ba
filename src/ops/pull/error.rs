//! Reasons for which an image is not pulled.

use crate::image::{Descriptor, Digest, NoChoice, Platform, Reference};
use crate::registry::RegistryError;
use crate::store::StoreError;
use crate::text;

/// Addresses of a foreign layer that are shown, and characters of each.
const MAX_URLS: usize = 3;
const MAX_URL: usize = 200;

/// Why an image was not pulled.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The image cannot be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The reference was given without a registry.
    #[error("`{0}` names no registry")]
    NoRegistry(Reference),
    /// The registry did not do its part.
    #[error("cannot pull `{reference}`")]
    Registry {
        /// The reference.
        reference: Box<Reference>,
        /// Why.
        #[source]
        source: RegistryError,
    },
    /// The index has no image for the platform.
    #[error(
        "`{reference}` has no image for {wanted} (it has {})",
        crate::text::listed(available, "no image of a container")
    )]
    Platform {
        /// The reference.
        reference: Box<Reference>,
        /// The platform asked for.
        wanted: String,
        /// The available platforms.
        available: Vec<String>,
    },
    /// A layer that registries need not keep is to be had elsewhere only (image-spec, "Non-distributable layers").
    #[error(
        "layer {digest} of `{reference}` is a foreign layer: the registry does not keep it, and leads to {}",
        urls.join(", ")
    )]
    ForeignLayer {
        /// The reference.
        reference: Box<Reference>,
        /// The layer.
        digest: Digest,
        /// Where its manifest says that it is, fit to be shown.
        urls: Vec<String>,
    },
    /// More manifests, or deeper, than any image has.
    #[error("`{0}` is an index of too many manifests")]
    TooManyManifests(Reference),
    /// The work was asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// Returns the error for a request about `reference` that failed.
pub(super) fn failure(reference: &Reference, source: RegistryError) -> PullError {
    match source {
        RegistryError::Interrupted => PullError::Interrupted,
        source => PullError::Registry { reference: Box::new(reference.clone()), source },
    }
}

/// Returns the error for a blob that the registry lacks and whose descriptor has other addresses.
pub(super) fn foreign(reference: &Reference, blob: &Descriptor, error: &RegistryError) -> Option<PullError> {
    let urls = blob.urls.as_deref().filter(|urls| !urls.is_empty())?;
    let is_absent = matches!(error, RegistryError::NotFound(_));
    is_absent.then(|| PullError::ForeignLayer {
        reference: Box::new(reference.clone()),
        digest: blob.digest,
        urls: urls.iter().take(MAX_URLS).map(|url| text::plain(&text::without_user_info(url), MAX_URL)).collect(),
    })
}

/// Returns the error for an index without a suitable image.
pub(super) fn not_chosen(reference: &Reference, wanted: &Platform, reason: NoChoice) -> PullError {
    match reason {
        NoChoice::Nesting(_) => PullError::TooManyManifests(reference.clone()),
        NoChoice::Platform(available) => no_platform(reference, wanted, &available),
    }
}

/// Returns the error for a reference without an image for the platform.
pub(super) fn no_platform(reference: &Reference, wanted: &Platform, available: &[Platform]) -> PullError {
    PullError::Platform {
        reference: Box::new(reference.clone()),
        wanted: wanted.full(),
        available: available.iter().map(Platform::full).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_index_has_is_told() {
        let reference: Reference = "r.io/a:1".parse().expect("a reference");
        let platform = |text: &str| text.parse::<Platform>().expect("a platform");
        let told = |available: &[Platform]| {
            not_chosen(&reference, &platform("linux/riscv64"), NoChoice::Platform(available.to_vec())).to_string()
        };
        assert_eq!(
            told(&[platform("linux/amd64"), platform("windows(10.0.17763)/amd64")]),
            "`r.io/a:1` has no image for linux/riscv64 (it has linux/amd64, windows(10.0.17763)/amd64)"
        );
        assert_eq!(told(&[]), "`r.io/a:1` has no image for linux/riscv64 (it has no image of a container)");
    }
}
