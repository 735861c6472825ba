//! The call that builds, and its result.

use super::verify;
use crate::cli::failure::Failure;
use crate::image::Document;
use crate::ops::build::{BuildConfig, BuildOutcome, IndexOutcome, build, build_index};
use crate::progress::{Interrupt, Progress};
use crate::store::ImageStore;

/// The result of a build: an image, or an index of several.
pub(crate) enum Built {
    Image(BuildOutcome),
    Index(IndexOutcome),
}

impl Built {
    /// Returns the document that gets the names.
    pub(crate) fn document(&self) -> &Document {
        match self {
            Self::Image(image) => &image.document,
            Self::Index(index) => &index.document,
        }
    }

    /// Returns the images alone, in the order of their configurations.
    pub(crate) fn images(&self) -> Vec<&Document> {
        match self {
            Self::Image(image) => vec![&image.document],
            Self::Index(index) => index.images.iter().map(|(_, image)| &image.document).collect(),
        }
    }
}

/// Builds one image for one configuration, or an index for several. With `verify`, builds twice and fails if the images
/// differ.
pub(crate) fn make(
    configs: &[BuildConfig],
    verify: bool,
    store: &ImageStore,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Built, Failure> {
    let built = match configs {
        [config] => Built::Image(build(config, store, progress, interrupt)?),
        configs => Built::Index(build_index(configs, store, progress, interrupt)?),
    };
    if verify {
        verify::verify(configs, &built.images(), store, progress, interrupt)?;
    }
    Ok(built)
}
