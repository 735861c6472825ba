//! Builds the image a second time under other conditions, to find dependencies on more than its input.

use super::{BuildConfig, BuildError, BuildOutcome, StoredLayers, make};
use crate::progress::{Event, Interrupt, Progress};
use crate::store::ImageStore;

/// What a build happens in. None of it shows in the image.
#[derive(Debug, Clone)]
pub struct Conditions {
    /// How many threads compress, and how many layers are packed at a time, at least one.
    pub threads: usize,
    /// The store that has the base's layers and stays out of the image, in place of the one that is written to.
    pub store: ImageStore,
}

/// Leaves out the warnings, which the first build gave.
struct Aside<'a>(&'a dyn Progress);

impl Progress for Aside<'_> {
    fn emit(&self, event: Event<'_>) {
        if !matches!(event, Event::Warning(_)) {
            self.0.emit(event);
        }
    }
}

/// Builds what was built into `store` again, into `scratch`: every file is read, by one thread, and nothing of an
/// earlier build is taken. The image gets no name. Warnings are those of the first build and not repeated, and no layer
/// is passed on as stored.
pub fn build_again(
    config: &BuildConfig,
    store: &ImageStore,
    scratch: &ImageStore,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<BuildOutcome, BuildError> {
    let conditions = Conditions { threads: 1, store: store.clone() };
    let stored = StoredLayers::default();
    let config = BuildConfig { cache: None, conditions: Some(conditions), stored, ..config.clone() };
    make(&config, scratch, &scratch.lease()?, &Aside(progress), interrupt)
}
