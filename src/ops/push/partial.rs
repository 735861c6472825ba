//! The result of a push that did not reach all of its destinations: which it reached, which it did not reach, and why.

use super::{Destination, PushError, PushOutcome};
use crate::image::Reference;

/// What became of a push, or of another question to all destinations, that failed somewhere.
#[derive(Debug)]
pub struct PartialPush<T = PushOutcome> {
    /// The destinations that stand, or answered.
    pub done: Vec<T>,
    /// The others, in the order in which they failed: at least one.
    pub failed: Vec<FailedDestination>,
}

/// Destinations that failed for one reason.
#[derive(Debug)]
pub struct FailedDestination {
    /// The destinations, with the tags that they would have got.
    pub references: Vec<Reference>,
    /// The reason.
    pub error: PushError,
}

impl FailedDestination {
    pub(super) fn new(references: Vec<Reference>, error: PushError) -> Self {
        Self { references, error }
    }
}

impl<T> PartialPush<T> {
    /// Returns the result of a push that reached none of `destinations`.
    pub(super) fn nothing(destinations: &[Destination], error: PushError) -> Self {
        let references = destinations.iter().map(Destination::name).collect();
        Self { done: Vec::new(), failed: vec![FailedDestination::new(references, error)] }
    }

    /// Returns why the first destination failed.
    pub fn into_first(self) -> PushError {
        let first = self.failed.into_iter().next();
        first.expect("something failed").error
    }
}

/// What became of the destinations so far.
pub(super) struct Outcomes<T = PushOutcome> {
    pub(super) done: Vec<T>,
    pub(super) failed: Vec<FailedDestination>,
}

impl<T> Default for Outcomes<T> {
    fn default() -> Self {
        Self { done: Vec::new(), failed: Vec::new() }
    }
}

impl<T> Outcomes<T> {
    /// Returns whether nothing is worth trying any more.
    pub(super) fn is_over(&self) -> bool {
        self.failed.iter().any(|undone| matches!(undone.error, PushError::Interrupted))
    }

    /// Returns the result for all destinations, including those that were never tried.
    pub(super) fn result(self, untried: impl Iterator<Item = Reference>) -> Result<Vec<T>, PartialPush<T>> {
        let Self { done, mut failed } = self;
        if let Some(last) = failed.last_mut() {
            last.references.extend(untried);
        }
        if failed.is_empty() { Ok(done) } else { Err(PartialPush { done, failed }) }
    }
}
