//! Going on in spite of faults: what a registry is asked again, when, and who is told.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::http::Method;

use super::body::Part;
use super::breaker::{Lead, Retreat, Way};
use super::error::{NetworkFault, RequestFacts, Wait};
use super::http::{Call, Reply, rest};
use super::reaction::{Fault, Operation, Reaction, reaction};
use super::retry::{Budget, RetryPolicy};
use super::{MAX_AUTHORIZATIONS, Registry, RegistryError, empty};
use crate::progress::{Event, Progress, Silent};

/// How often a wait looks at the interrupt.
const TICK: Duration = Duration::from_millis(100);

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
            if self.reaction(operation, &error) != Reaction::Again
                || !Box::pin(self.pause(&mut budget, key, &error)).await?
            {
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
    ///
    /// Where nobody gets through to the registry, that is nobody's own matter: one budget is spent for all, and each
    /// wait is told once.
    pub(super) async fn pause(
        &self,
        budget: &mut Budget,
        key: Option<&str>,
        error: &RegistryError,
    ) -> Result<bool, RegistryError> {
        if error.is_stale() && budget.forgive() {
            return Ok(true);
        }
        if let Some(fault) = silence(error) {
            match self.gate.retreat() {
                Retreat::Alone => {}
                Retreat::Lead(lead) => return Box::pin(self.seek(lead, cause(error), fault)).await,
                Retreat::Follow => return Ok(self.follow().await?.is_none()),
            }
        }
        let Some(pause) = budget.spend(error.retry_after(), Instant::now(), fastrand::f64()) else {
            return Ok(false);
        };
        let cause = cause(error);
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
        if let Some(fault) = self.follow().await? {
            let request = RequestFacts::of(&call.method, &call.uri);
            return Err(RegistryError::Network { request, fault, source: None });
        }
        let result = self.transport.send(call).await;
        match &result {
            Err(error) if error.is_stale() => {}
            Err(error) if silence(error).is_some() => {
                // Who does not try again is told each time what happened.
                if self.persistence.retry.attempts > 0 {
                    self.gate.failed();
                }
            }
            Err(
                RegistryError::Network { .. }
                | RegistryError::Interrupted
                | RegistryError::Source { .. }
                | RegistryError::SourceDigest { .. },
            ) => {}
            _ => {
                self.met.store(true, std::sync::atomic::Ordering::Relaxed);
                self.gate.succeeded();
            }
        }
        result
    }

    /// Waits for whoever asks for everybody; answers why there is nothing to be had.
    async fn follow(&self) -> Result<Option<NetworkFault>, RegistryError> {
        loop {
            match self.gate.way() {
                Way::Free => return Ok(None),
                Way::Shut(fault) => return Ok(Some(fault)),
                Way::Wait => self.rest(TICK).await?,
            }
        }
    }

    /// Asks for everybody, again and again, until the registry answers or the attempts are used up.
    async fn seek(&self, lead: Lead<'_>, mut why: String, mut fault: NetworkFault) -> Result<bool, RegistryError> {
        let mut budget = Budget::new(self.persistence.retry);
        // Nobody else is there whose way has to be kept out of: no wait is next to nothing.
        while let Some(pause) = budget.spend(None, Instant::now(), 0.5 + fastrand::f64() / 2.0) {
            let (wait, attempt, of) = (pause.wait, pause.attempt, pause.of);
            self.persistence.progress.emit(Event::Retry { key: None, cause: &why, wait, attempt, of });
            let end = Instant::now() + wait;
            while lead.is_needed() && Instant::now() < end {
                self.rest(end.saturating_duration_since(Instant::now()).min(TICK)).await?;
            }
            if !lead.is_needed() {
                return Ok(true);
            }
            match self.knock().await {
                Err(RegistryError::Interrupted) => return Err(RegistryError::Interrupted),
                Err(error) if let Some(found) = silence(&error) => {
                    (why, fault) = (cause(&error), found);
                }
                // What else may be wrong is told to whoever meets it.
                Ok(()) | Err(_) => {
                    lead.succeeded();
                    return Ok(true);
                }
            }
        }
        lead.spent(fault);
        Ok(false)
    }

    /// Whether the registry answers the smallest question, whatever it says, as soon as it would connect.
    async fn knock(&self) -> Result<(), RegistryError> {
        let call = empty(Method::GET, self.uri("")?);
        let (request, limit) = (RequestFacts::of(&call.method, &call.uri), self.transport.connect_limit());
        let Ok(reply) = tokio::time::timeout(limit, self.transport.send(call)).await else {
            let fault = NetworkFault::Timeout { wait: Wait::Answer, limit };
            return Err(RegistryError::Network { request, fault, source: None });
        };
        reply?.discard().await;
        Ok(())
    }
}

/// What people are told of an error that is not the end: one line, and what is wrong with an answer.
fn cause(error: &RegistryError) -> String {
    match error {
        RegistryError::Protocol { request, violation } => format!("{request}: {violation}"),
        error => error.to_string(),
    }
}

/// Why there was no answer, where that may be so for everybody and may pass.
fn silence(error: &RegistryError) -> Option<NetworkFault> {
    let RegistryError::Network { fault, .. } = error else { return None };
    matches!(Fault::of(error), Fault::Unreachable | Fault::Late | Fault::Cut).then(|| fault.clone())
}

#[cfg(test)]
mod tests {
    use super::super::error::Violation;
    use super::*;

    #[test]
    fn people_are_told_what_is_wrong_with_an_answer() {
        let uri = "http://h/v2/a/blobs/uploads/1".parse().expect("a URI");
        let violation = Violation::Offset { expected: 200, found: 100 };
        let error = RegistryError::protocol(&Method::PATCH, &uri, violation);
        let expected = "PATCH h/v2/a/blobs/uploads/1: it counts 100 bytes of the upload where 200 were taken";
        assert_eq!(cause(&error), expected);
    }
}
