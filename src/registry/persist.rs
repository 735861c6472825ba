//! Going on in spite of faults: what a registry is asked again, when, and who is told.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::body::Part;
use super::http::{Call, Reply, rest};
use super::reaction::{Fault, Operation, Reaction, reaction};
use super::retry::{Budget, RetryPolicy};
use super::{MAX_AUTHORIZATIONS, Registry, RegistryError};
use crate::progress::{Event, Progress, Silent};

/// How often a wait looks at the interrupt.
const TICK: Duration = Duration::from_millis(100);
/// The circuit breaker's first pause, in first waits between two attempts.
const PAUSES: u32 = 4;

/// How to go on after faults.
#[derive(Clone)]
pub struct Persistence {
    /// When to try again.
    pub retry: RetryPolicy,
    /// The directory for what outlives the process; none, and everything is forgotten at its end.
    pub state: Option<PathBuf>,
    /// Who is told.
    pub progress: Arc<dyn Progress>,
}

impl Default for Persistence {
    /// Nothing is tried again, nothing is kept, nobody is told.
    fn default() -> Self {
        Self { retry: RetryPolicy::NEVER, state: None, progress: Arc::new(Silent) }
    }
}

impl Persistence {
    pub(super) fn first_pause(&self) -> Duration {
        self.retry.delay.saturating_mul(PAUSES)
    }
}

impl Registry {
    /// Does what changes nothing or nothing more the second time, again while that makes sense.
    pub(super) async fn persist<T>(
        &self,
        operation: Operation,
        work: impl AsyncFn() -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        self.persist_about(None, operation, work).await
    }

    /// The same for the transfer `key`.
    pub(super) async fn persist_about<T>(
        &self,
        key: Option<&str>,
        operation: Operation,
        work: impl AsyncFn() -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let mut budget = Budget::new(self.persistence.retry);
        loop {
            let error = match work().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if self.reaction(operation, &error) != Reaction::Again || !self.pause(&mut budget, key, &error).await? {
                return Err(error);
            }
        }
    }

    /// What to do about an error.
    pub(super) fn reaction(&self, operation: Operation, error: &RegistryError) -> Reaction {
        reaction(operation, Fault::of(error), self.met.load(std::sync::atomic::Ordering::Relaxed))
    }

    /// Waits before the next attempt and tells why; false when there is none.
    /// `key` is the transfer it is about.
    pub(super) async fn pause(
        &self,
        budget: &mut Budget,
        key: Option<&str>,
        error: &RegistryError,
    ) -> Result<bool, RegistryError> {
        let Some(pause) = budget.spend(error.retry_after(), Instant::now(), fastrand::f64()) else {
            return Ok(false);
        };
        let cause = error.to_string();
        let (wait, attempt, of) = (pause.wait, pause.attempt, pause.of);
        self.persistence.progress.emit(Event::Retry { key, cause: &cause, wait, attempt, of });
        self.rest(pause.wait).await.map(|()| true)
    }

    /// Tells that a part of a blob is sent again for a new token.
    pub(super) fn sent_for_nothing(&self, part: &Part, error: &RegistryError, attempt: usize) {
        let Some(key) = part.meter.key() else { return };
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let (attempt, of) = (count(attempt), count(MAX_AUTHORIZATIONS - 1));
        let cause = error.to_string();
        let progress = &self.persistence.progress;
        progress.emit(Event::Retry { key: Some(key), cause: &cause, wait: Duration::ZERO, attempt, of });
        part.meter.set(part.start);
    }

    /// Waits, unless somebody asks to stop.
    pub async fn rest(&self, time: Duration) -> Result<(), RegistryError> {
        rest(time, || self.transport.is_stopped()).await
    }

    /// Sends a request once the circuit breaker lets it go.
    pub(super) async fn reach(&self, call: Call) -> Result<Reply, RegistryError> {
        let pass = loop {
            match self.gate.enter() {
                Ok(pass) => break pass,
                Err(wait) => self.rest(wait.min(TICK)).await?,
            }
        };
        let result = self.transport.send(call).await;
        match &result {
            Err(RegistryError::Network { .. }) => pass.failed(),
            Err(RegistryError::Interrupted | RegistryError::Source { .. } | RegistryError::SourceDigest { .. }) => {}
            _ => {
                self.met.store(true, std::sync::atomic::Ordering::Relaxed);
                pass.succeeded();
            }
        }
        result
    }
}
