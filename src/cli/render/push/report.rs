//! The result of a push: each destination that was reached, and one error for all that failed.

use std::fmt;

use crate::app::StopSignal;
use crate::cli::failure::{Failure, Kind, Outcome};
use crate::image::Reference;
use crate::ops::push::{FailedDestination, PartialPush, PushError, PushOutcome};

/// What became of all destinations.
type Answer<T> = Result<Vec<T>, PartialPush<T>>;

/// A push that has ended, or a preview of one.
pub(crate) struct Report<T = PushOutcome> {
    /// What stands, or what would be done.
    pub(crate) done: Vec<T>,
    /// The other destinations, each with what kept it from standing.
    pub(crate) undone: Vec<(Reference, String)>,
    failure: Option<Failure>,
}

impl<T> Report<T> {
    /// A push that came to nothing.
    pub(crate) fn failed(failure: Failure) -> Self {
        Self { done: Vec::new(), undone: Vec::new(), failure: Some(failure) }
    }

    /// What the work came to, unless it did not stop in time, and the signal that asked it to.
    pub(crate) fn of((ended, signal): (Option<Answer<T>>, Option<StopSignal>)) -> Self {
        match (ended, signal) {
            (None, Some(signal)) => Self::failed(Failure::stopped_by(signal)),
            (ended, signal) => Self::from(ended.expect("nothing else stops it")).stopped_by(signal),
        }
    }

    /// Returns the report of a push that a signal stopped: destinations that were reached are listed all the same.
    #[must_use]
    pub(crate) fn stopped_by(self, signal: Option<StopSignal>) -> Self {
        match signal {
            Some(signal) => Self { failure: Some(Failure::stopped_by(signal)), ..self },
            None => self,
        }
    }

    /// Returns the same report; where a signal stopped the push, it says what the next one can go on with.
    #[must_use]
    pub(crate) fn continued(self, how: Option<String>) -> Self {
        let failure = match (self.failure, how) {
            (Some(failure), Some(how)) if failure.kind() == Kind::Interrupted => Some(failure.continued(&how)),
            (failure, _) => failure,
        };
        Self { failure, ..self }
    }

    /// How the command ends.
    pub(crate) fn end(self) -> Outcome {
        self.failure.map_or(Ok(()), Err)
    }
}

impl Report {
    /// `REPOSITORY@DIGEST` a line of what stands.
    pub(crate) fn pinned(&self) -> String {
        self.done.iter().map(|outcome| outcome.reference.pinned(outcome.digest)).collect::<Vec<_>>().join("\n")
    }
}

impl<T> From<Answer<T>> for Report<T> {
    fn from(result: Answer<T>) -> Self {
        let PartialPush { done, failed } = match result {
            Ok(done) => return Self { done, undone: Vec::new(), failure: None },
            Err(incomplete) => incomplete,
        };
        let destinations = done.len() + failed.iter().map(|undone| undone.references.len()).sum::<usize>();
        // What is wrong with the image here is no destination's fault.
        let is_plain = match &failed[..] {
            [FailedDestination { references, error }] => references.len() == 1 || !is_of_a_destination(error),
            _ => false,
        };
        let mut undone = Vec::new();
        let mut failures = Vec::new();
        let mut lines = Vec::new();
        for FailedDestination { references, error } in failed {
            let failure = Failure::from(error);
            lines.push(line(&failure.summary(), &references));
            undone.extend(references.into_iter().map(|reference| (reference, failure.summary())));
            failures.push(failure);
        }
        let first = failures.swap_remove(0);
        let failure = if is_plain {
            first
        } else {
            let several = Failure::new(first.kind(), Several { destinations, failed: undone.len() }).of(lines);
            first.hints().iter().cloned().fold(several, Failure::hint)
        };
        Self { done, undone, failure: Some(failure) }
    }
}

fn is_of_a_destination(error: &PushError) -> bool {
    match error {
        PushError::Registry { .. }
        | PushError::NotVerified { .. }
        | PushError::HalfPulled { .. }
        | PushError::NotPullable { .. } => true,
        PushError::Store(_) | PushError::NoRegistry(_) | PushError::DigestDiffers { .. } | PushError::Interrupted => {
            false
        }
    }
}

/// One reason, which names one destination, and the other destinations that have it.
fn line(reason: &str, references: &[Reference]) -> String {
    let is_named = |reference: &&Reference| reason.contains(&format!("`{reference}`"));
    let others: Vec<String> =
        references.iter().filter(|reference| !is_named(reference)).map(|reference| format!("`{reference}`")).collect();
    if others.is_empty() { reason.to_owned() } else { format!("{reason}; the same for {}", others.join(", ")) }
}

/// Several destinations that failed.
#[derive(Debug)]
struct Several {
    destinations: usize,
    failed: usize,
}

impl fmt::Display for Several {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} destinations failed", self.failed, self.destinations)
    }
}

impl std::error::Error for Several {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::failure::Paint;
    use crate::image::Digest;

    fn undone(names: &[&str], error: impl FnOnce(Box<Reference>) -> PushError) -> FailedDestination {
        let references: Vec<Reference> = names.iter().map(|name| name.parse().expect("a reference")).collect();
        FailedDestination { error: error(Box::new(references[0].clone())), references }
    }

    fn lost(destination: Box<Reference>) -> PushError {
        PushError::NotVerified { destination, expected: Digest::of(b"pushed"), found: None }
    }

    fn rendered(failed: Vec<FailedDestination>) -> (u8, String) {
        let report: Report = Report::from(Err(PartialPush { done: Vec::new(), failed }));
        let failure = report.end().expect_err("it failed");
        (failure.code(), failure.render(Paint(false)))
    }

    #[test]
    fn one_failure_is_told_as_it_is() {
        let (code, text) = rendered(vec![undone(&["r.io/a:1"], lost)]);
        assert_eq!(code, Kind::Registry.code());
        assert!(text.starts_with("error: `r.io/a:1` stands for nothing after the push"), "{text}");
        let (code, text) = rendered(vec![undone(&["r.io/a:1", "r.io/b:1"], |_| PushError::Interrupted)]);
        assert_eq!((code, text.as_str()), (Kind::Interrupted.code(), "error: interrupted\n"));
    }

    #[test]
    fn an_interrupted_push_says_how_it_goes_on() {
        let interrupted = |how: Option<&str>| {
            let failed = vec![undone(&["r.io/a:1"], |_| PushError::Interrupted)];
            let report: Report = Report::from(Err(PartialPush { done: Vec::new(), failed }));
            let report = report.stopped_by(Some(StopSignal::Interrupt)).continued(how.map(str::to_owned));
            let failure = report.end().expect_err("it was stopped");
            (failure.code(), failure.render(Paint(false)))
        };
        assert_eq!(interrupted(None), (130, "error: interrupted\n".to_owned()));
        assert_eq!(interrupted(Some("run it")), (130, "error: interrupted; run it\n".to_owned()));
        let lost: Report =
            Report::from(Err(PartialPush { done: Vec::new(), failed: vec![undone(&["r.io/a:1"], lost)] }));
        let lost = lost.continued(Some("run it".to_owned())).end().expect_err("it failed").render(Paint(false));
        assert!(!lost.contains("run it"), "{lost}");
    }

    #[test]
    fn several_are_one_error_with_the_code_of_the_first() {
        let source = || crate::registry::RegistryError::Address("x".to_owned());
        let (code, text) = rendered(vec![
            undone(&["r.io/a:1", "r.io/a:2"], lost),
            undone(&["s.io/b:1"], |destination| PushError::Registry { destination, source: source() }),
        ]);
        assert_eq!(code, Kind::Registry.code());
        insta::assert_snapshot!(text, @"
        error: 3 of 3 destinations failed
          `r.io/a:1` stands for nothing after the push, not for sha256:b77f399d988cdaefde8935e45fe96dc70fdd914b6b18d13bb87a84030b46fa5a; the same for `r.io/a:2`
          cannot push to `s.io/b:1`: `x` is not a registry address
        hint: push again; if it happens again, another client pushes the same tag or the registry loses data
        ");
    }
}
