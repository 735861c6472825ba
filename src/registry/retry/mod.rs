//! Continues after faults: what is sent again, when, and with which report.

pub(super) mod circuit_breaker;
pub(super) mod classification;
pub(super) mod clock;
pub(super) mod context;
pub(super) mod outage;
pub(super) mod policy;
pub(super) mod rates;

use std::sync::atomic::Ordering;
use std::time::Duration;

use ::http::Method;
use ::http::header::SERVER;

use super::error::{Absence, NetworkFault, RequestFacts, Wait, is_gateway_fault};
use super::http::body::Part;
use super::http::{Call, Reply, rest};
use super::request::{MAX_AUTHORIZATIONS, empty};
use super::{Registry, RegistryError};
use crate::progress::Event;
use crate::text::{self, tidy};
use circuit_breaker::{GivenUp, Passage, Probe, Role};
use classification::{FailureClass, Operation, Recovery, recovery};
use outage::absence;
use policy::{Budget, Outage};

/// How often a wait looks at the interrupt.
const TICK: Duration = Duration::from_millis(100);

impl Registry {
    /// Runs idempotent work, again after each fault that may pass.
    pub(super) async fn retry<T>(
        &self,
        operation: Operation,
        work: impl AsyncFn() -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        self.retry_transfer(None, operation, work).await
    }

    /// Runs idempotent work that belongs to the transfer `key`, if any, again after each fault that may pass.
    pub(super) async fn retry_transfer<T>(
        &self,
        key: Option<&str>,
        operation: Operation,
        work: impl AsyncFn() -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let mut budget = Budget::new(self.retry_context.policy);
        loop {
            let error = match work().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if self.recovery(operation, &error) != Recovery::Retry
                || !Box::pin(self.pause(&mut budget, key, &error)).await?
            {
                return Err(error);
            }
        }
    }

    /// Returns what to do about an error.
    pub(super) fn recovery(&self, operation: Operation, error: &RegistryError) -> Recovery {
        recovery(operation, FailureClass::of(error), self.has_met() || self.outage_limit().is_some())
    }

    fn has_met(&self) -> bool {
        self.met.load(Ordering::Relaxed)
    }

    /// Returns how long an outage may last; `None` if outages are not waited for.
    fn outage_limit(&self) -> Option<Duration> {
        self.retry_context.policy.outage_limit(self.has_met())
    }

    /// Waits before the next attempt and reports why; false when there is none. `key` is the transfer that failed.
    pub(super) async fn pause(
        &self,
        budget: &mut Budget,
        key: Option<&str>,
        error: &RegistryError,
    ) -> Result<bool, RegistryError> {
        self.recover(budget, key, error).await.map(|next| next != Next::Stop)
    }

    /// Waits before the next attempt, and reports why.
    ///
    /// A registry that is away is away for all tasks: one of them probes, all wait for what the probe finds, each wait
    /// is reported once, and none of it counts against the attempts of a blob.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Away`] when the registry did not come back in time, [`RegistryError::Interrupted`].
    pub(super) async fn recover(
        &self,
        budget: &mut Budget,
        key: Option<&str>,
        error: &RegistryError,
    ) -> Result<Next, RegistryError> {
        if matches!(error, RegistryError::Away { .. }) {
            return Ok(Next::Stop);
        }
        if error.is_stale() && budget.forgive() {
            return Ok(Next::Again);
        }
        let limit = self.outage_limit();
        let why = absence(error).filter(|why| limit.is_some() || matches!(why, Absence::Network(_)));
        if let Some(why) = why {
            let outage = match self.breaker.role(limit.is_some()) {
                Role::Alone => false,
                Role::Probe(probe) => {
                    let Some(limit) = limit else {
                        let found = Box::pin(self.seek(probe, cause(error), why)).await?;
                        return Ok(if found { Next::Again } else { Next::Stop });
                    };
                    Box::pin(self.sit_out(probe, error.retry_after(), limit)).await?
                }
                Role::Follow(round) => match self.follow().await? {
                    Some(GivenUp { why, waited: Some(waited) }) => {
                        return Err(RegistryError::Away { why: Box::new(why), waited });
                    }
                    Some(_) => return Ok(Next::Stop),
                    None if limit.is_none() => return Ok(Next::Again),
                    None => self.breaker.was_outage(round),
                },
            };
            if outage {
                return Ok(if budget.outlast() { Next::AfterOutage } else { Next::Stop });
            }
        }
        let now = self.retry_context.clock.now();
        let Some(pause) = budget.spend(error.retry_after(), now, fastrand::f64()) else {
            return Ok(Next::Stop);
        };
        let cause = cause(error);
        let (wait, attempt, of) = (pause.wait, pause.attempt, pause.of);
        self.retry_context.progress.emit(Event::Retry { key, cause: &cause, wait, attempt, of });
        self.sleep(pause.wait).await.map(|()| Next::Again)
    }

    /// Reports that a part of a blob is sent again with a new token.
    pub(super) fn sent_for_nothing(&self, part: &Part, error: &RegistryError, attempt: usize) {
        let Some(key) = part.meter.key() else { return };
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let (attempt, of) = (count(attempt), count(MAX_AUTHORIZATIONS - 1));
        let cause = error.to_string();
        let progress = &self.retry_context.progress;
        progress.emit(Event::Retry { key: Some(key), cause: &cause, wait: Duration::ZERO, attempt, of });
        part.meter.set(part.start);
    }

    /// Waits, unless an interrupt asks to stop.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Interrupted`].
    pub async fn rest(&self, time: Duration) -> Result<(), RegistryError> {
        rest(time, || self.transport.is_stopped()).await
    }

    /// Waits by the clock of the retries, unless an interrupt asks to stop.
    async fn sleep(&self, time: Duration) -> Result<(), RegistryError> {
        let clock = &self.retry_context.clock;
        let end = clock.now() + time;
        loop {
            if self.transport.is_stopped() {
                return Err(RegistryError::Interrupted);
            }
            let left = end.saturating_duration_since(clock.now());
            if left.is_zero() {
                return Ok(());
            }
            clock.sleep(left.min(TICK)).await;
        }
    }

    /// Sends a request once the circuit breaker lets it go.
    pub(super) async fn reach(&self, call: Call) -> Result<Reply, RegistryError> {
        if let Some(GivenUp { why, waited }) = self.follow().await? {
            let request = RequestFacts::of(&call.method, &call.uri);
            return Err(match (why, waited) {
                (Absence::Network(fault), None) => RegistryError::Network { request, fault, source: None },
                (why, waited) => RegistryError::Away { why: Box::new(why), waited: waited.unwrap_or_default() },
            });
        }
        let result = self.transport.send(call).await;
        match &result {
            Ok(reply) if is_gateway_fault(reply.status) => {
                if self.outage_limit().is_none() {
                    self.breaker.answered(false);
                }
            }
            Err(error) if error.is_stale() => {}
            Err(error) if absence(error).is_some() => {
                // Without further attempts each request reports its own fault.
                if self.retry_context.policy.attempts > 0 {
                    self.breaker.failed();
                }
            }
            Err(
                RegistryError::Network { .. }
                | RegistryError::Interrupted
                | RegistryError::Source { .. }
                | RegistryError::SourceDigest { .. },
            ) => {}
            _ => {
                self.met.store(true, Ordering::Relaxed);
                self.breaker.answered(self.outage_limit().is_some());
            }
        }
        result
    }

    /// Waits for the task that probes. Returns why the registry cannot be reached, if the probe gave up.
    async fn follow(&self) -> Result<Option<GivenUp>, RegistryError> {
        loop {
            match self.breaker.passage() {
                Passage::Free => return Ok(None),
                Passage::Shut(why) => return Ok(Some(why)),
                Passage::Wait => self.rest(TICK).await?,
            }
        }
    }

    /// Probes the registry; while it is away, waits for it up to `limit`. Returns whether it was away.
    async fn sit_out(&self, probe: Probe<'_>, asked: Option<Duration>, limit: Duration) -> Result<bool, RegistryError> {
        let (clock, progress) = (&self.retry_context.clock, &self.retry_context.progress);
        let began = clock.now();
        let Some(mut why) = self.knock().await? else {
            probe.succeeded();
            return Ok(false);
        };
        probe.confirm();
        progress.emit(Event::Away { cause: &why.to_string(), limit });
        let mut outage = Outage::new(limit, asked);
        while let Some(wait) = outage.wait(clock.now().saturating_duration_since(began), fastrand::f64()) {
            let end = clock.now() + wait;
            while probe.is_needed() && clock.now() < end {
                self.sleep(end.saturating_duration_since(clock.now()).min(TICK)).await?;
            }
            let found = if probe.is_needed() { self.knock().await? } else { None };
            let Some(found) = found else {
                probe.succeeded();
                let away = clock.now().saturating_duration_since(began);
                progress.emit(Event::Detail(&format!("the registry answers again after {}", text::duration(away))));
                return Ok(true);
            };
            why = found;
        }
        probe.spent(GivenUp { why: why.clone(), waited: Some(limit) });
        Err(RegistryError::Away { why: Box::new(why), waited: limit })
    }

    /// Probes the registry, again and again, until it answers or the attempts are used up.
    async fn seek(&self, probe: Probe<'_>, mut cause: String, mut why: Absence) -> Result<bool, RegistryError> {
        let clock = &self.retry_context.clock;
        let mut budget = Budget::new(self.retry_context.policy);
        // No other task waits, so none has to be kept apart from others by a random wait near zero.
        while let Some(pause) = budget.spend(None, clock.now(), 0.5 + fastrand::f64() / 2.0) {
            let (wait, attempt, of) = (pause.wait, pause.attempt, pause.of);
            self.retry_context.progress.emit(Event::Retry { key: None, cause: &cause, wait, attempt, of });
            let end = clock.now() + wait;
            while probe.is_needed() && clock.now() < end {
                self.sleep(end.saturating_duration_since(clock.now()).min(TICK)).await?;
            }
            if !probe.is_needed() {
                return Ok(true);
            }
            match self.knock().await? {
                Some(Absence::Network(fault)) => {
                    cause = format!("GET {}/v2/: {fault}", self.host);
                    why = Absence::Network(fault);
                }
                Some(Absence::Answer { .. }) | None => {
                    probe.succeeded();
                    return Ok(true);
                }
            }
        }
        probe.spent(GivenUp { why, waited: None });
        Ok(false)
    }

    /// Sends the smallest request, and returns why the registry seems to be away. Any other fault is left to the
    /// request that meets it.
    async fn knock(&self) -> Result<Option<Absence>, RegistryError> {
        let call = empty(Method::GET, self.uri("")?);
        let limit = self.transport.connect_limit();
        match tokio::time::timeout(limit, self.transport.send(call)).await {
            Err(_) => Ok(Some(Absence::Network(NetworkFault::Timeout { wait: Wait::Answer, limit }))),
            Ok(Err(RegistryError::Interrupted)) => Err(RegistryError::Interrupted),
            Ok(Err(error)) => Ok(absence(&error)),
            Ok(Ok(reply)) => {
                let server = reply.headers.get(SERVER).and_then(|server| server.to_str().ok()).and_then(tidy);
                let found = Absence::answered(reply.status, server.as_deref());
                reply.discard().await;
                Ok(found)
            }
        }
    }
}

/// What comes after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: the error is final.
    Stop,
    /// Another attempt.
    Again,
    /// Another attempt, because the registry was away and answers again.
    AfterOutage,
}

/// Returns the one line that reports an error after which the work goes on: the error, and how the answer breaks the
/// specification.
fn cause(error: &RegistryError) -> String {
    match error {
        RegistryError::Protocol { request, violation } => format!("{request}: {violation}"),
        error => error.to_string(),
    }
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
