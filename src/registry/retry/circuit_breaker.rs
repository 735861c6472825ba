//! A circuit breaker for one registry: when requests do not reach it, one task probes whether that has changed, and all
//! other tasks wait for what the probe finds instead of failing one after the other.
//!
//! Two ways lead to a probe. Where an outage is waited for, the first request that may have met one is enough: the probe
//! itself shows whether the registry is away or the request met a fault of its own. Otherwise [`LIMIT`] failures with no
//! answer between them open the circuit.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::registry::error::Absence;

/// Failures with no answer between them that open the circuit.
const LIMIT: u32 = 3;
/// How long requests fail at once after a probe gave up.
const REST: Duration = Duration::from_secs(30);

/// The state machine, without a clock.
#[derive(Debug)]
struct Breaker {
    state: State,
    /// How often the circuit was opened: distinguishes one probe from another.
    round: u64,
    /// The last round in which the probe did not reach the registry either.
    outage: u64,
}

#[derive(Debug)]
enum State {
    /// Every request may go.
    Closed { failures: u32 },
    /// No request may go: one task probes, and all others wait for what it finds.
    Open,
    /// The probe gave up.
    Spent { until: Instant, why: GivenUp },
}

/// What the probe met last, and how long it waited for the registry where it waited by the clock.
#[derive(Debug, Clone)]
pub(in crate::registry) struct GivenUp {
    pub(in crate::registry) why: Absence,
    pub(in crate::registry) waited: Option<Duration>,
}

/// Whether a request may go.
#[derive(Debug)]
pub(in crate::registry) enum Passage {
    /// It may.
    Free,
    /// It has to wait; look again.
    Wait,
    /// It would be in vain.
    Shut(GivenUp),
}

/// What a task does whose request did not reach the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Alone,
    Probe(u64),
    Follow(u64),
}

/// What a task does whose request did not reach the registry.
#[derive(Debug)]
pub(in crate::registry) enum Role<'a> {
    /// It waits by itself: others may get through.
    Alone,
    /// It probes for all tasks.
    Probe(Probe<'a>),
    /// It waits for the probe of this round.
    Follow(u64),
}

impl Breaker {
    fn passage(&mut self, now: Instant) -> Passage {
        match &self.state {
            State::Closed { .. } => Passage::Free,
            State::Open => Passage::Wait,
            State::Spent { until, why } if now < *until => Passage::Shut(why.clone()),
            State::Spent { .. } => {
                // The next request finds out, and one failure is enough to open the circuit again.
                self.state = State::Closed { failures: LIMIT - 1 };
                Passage::Free
            }
        }
    }

    fn succeeded(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    /// Takes in an answer to a request. Every request that is answered while the circuit is open was sent before it
    /// opened, so `probe_decides` where the registry may have gone since.
    fn answered(&mut self, probe_decides: bool) {
        if !(probe_decides && matches!(self.state, State::Open)) {
            self.succeeded();
        }
    }

    fn failed(&mut self) {
        if let State::Closed { failures } = &mut self.state {
            *failures += 1;
        }
    }

    /// Decides for a task that failed; `at_once` where one failure is enough to probe.
    fn part(&mut self, at_once: bool) -> Part {
        match self.state {
            State::Closed { failures } if !at_once && failures < LIMIT => Part::Alone,
            State::Closed { .. } => {
                self.state = State::Open;
                self.round += 1;
                Part::Probe(self.round)
            }
            State::Open | State::Spent { .. } => Part::Follow(self.round),
        }
    }

    /// Notes that the probe of `round` did not reach the registry.
    fn confirm(&mut self, round: u64) {
        self.outage = self.outage.max(round);
    }

    /// Ends a round that no answer has ended yet.
    fn end(&mut self, round: u64, state: State) {
        if matches!(self.state, State::Open) && self.round == round {
            self.state = state;
        }
    }
}

/// A breaker that requests go through.
#[derive(Debug)]
pub(in crate::registry) struct CircuitBreaker(Mutex<Breaker>);

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self(Mutex::new(Breaker { state: State::Closed { failures: 0 }, round: 0, outage: 0 }))
    }
}

impl CircuitBreaker {
    /// Returns whether a request may go.
    pub(in crate::registry) fn passage(&self) -> Passage {
        self.with(|breaker| breaker.passage(Instant::now()))
    }

    /// Notes that the registry answered a request, whatever it said. With `probe_decides`, that does not end a probe.
    pub(in crate::registry) fn answered(&self, probe_decides: bool) {
        self.with(|breaker| breaker.answered(probe_decides));
    }

    /// Notes that a request or its answer did not get through.
    pub(in crate::registry) fn failed(&self) {
        self.with(Breaker::failed);
    }

    /// Returns what the task does whose request failed; `at_once` where one failure is enough to probe.
    pub(in crate::registry) fn role(&self, at_once: bool) -> Role<'_> {
        match self.with(|breaker| breaker.part(at_once)) {
            Part::Alone => Role::Alone,
            Part::Probe(round) => Role::Probe(Probe { breaker: self, round }),
            Part::Follow(round) => Role::Follow(round),
        }
    }

    /// Returns whether the registry was away in `round`.
    pub(in crate::registry) fn was_outage(&self, round: u64) -> bool {
        self.with(|breaker| breaker.outage >= round)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Breaker) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The duty to probe for all tasks. Dropped without a result, it passes to the next task that fails.
#[derive(Debug)]
pub(in crate::registry) struct Probe<'a> {
    breaker: &'a CircuitBreaker,
    round: u64,
}

impl Probe<'_> {
    /// Returns whether no request has had an answer so far.
    pub(in crate::registry) fn is_needed(&self) -> bool {
        matches!(self.breaker.passage(), Passage::Wait)
    }

    /// Notes that the registry is away.
    pub(in crate::registry) fn confirm(&self) {
        self.breaker.with(|breaker| breaker.confirm(self.round));
    }

    /// Ends the round: the registry answered.
    pub(in crate::registry) fn succeeded(self) {
        self.breaker.with(Breaker::succeeded);
    }

    /// Ends the round: there is nothing left to try.
    pub(in crate::registry) fn spent(self, why: GivenUp) {
        self.end(State::Spent { until: Instant::now() + REST, why });
    }

    fn end(&self, state: State) {
        self.breaker.with(|breaker| breaker.end(self.round, state));
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        self.end(State::Closed { failures: LIMIT - 1 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::error::NetworkFault;

    fn closed() -> Breaker {
        Breaker { state: State::Closed { failures: 0 }, round: 0, outage: 0 }
    }

    fn opened() -> Breaker {
        let mut breaker = closed();
        for _ in 0..LIMIT {
            breaker.failed();
        }
        assert_eq!(breaker.part(false), Part::Probe(1));
        breaker
    }

    fn spent(now: Instant) -> State {
        let why = GivenUp { why: Absence::Network(NetworkFault::Refused), waited: None };
        State::Spent { until: now + REST, why }
    }

    #[test]
    fn only_consecutive_failures_open_it() {
        let mut breaker = closed();
        for _ in 0..3 {
            for _ in 1..LIMIT {
                breaker.failed();
                assert_eq!(breaker.part(false), Part::Alone);
            }
            assert!(matches!(breaker.passage(Instant::now()), Passage::Free));
            breaker.succeeded();
        }
        assert!(matches!(opened().passage(Instant::now()), Passage::Wait));
    }

    #[test]
    fn one_failure_is_enough_where_an_outage_is_waited_for() {
        let mut breaker = closed();
        breaker.failed();
        assert_eq!([breaker.part(true), breaker.part(true)], [Part::Probe(1), Part::Follow(1)]);
        assert!(matches!(breaker.passage(Instant::now()), Passage::Wait));
        // The probe got through: the request met a fault of its own.
        breaker.succeeded();
        assert_eq!(breaker.outage, 0);
        breaker.failed();
        assert_eq!(breaker.part(true), Part::Probe(2));
        breaker.confirm(2);
        breaker.succeeded();
        assert!(breaker.outage >= 2 && matches!(breaker.passage(Instant::now()), Passage::Free));
    }

    #[test]
    fn an_answer_from_before_an_outage_does_not_end_it() {
        let mut breaker = closed();
        assert_eq!(breaker.part(true), Part::Probe(1));
        breaker.answered(true);
        assert!(matches!(breaker.passage(Instant::now()), Passage::Wait));
        breaker.answered(false);
        assert!(matches!(breaker.passage(Instant::now()), Passage::Free));
    }

    #[test]
    fn one_probes_and_its_answer_decides_for_all() {
        let mut breaker = opened();
        // A request that went before the circuit opened.
        breaker.failed();
        assert_eq!(breaker.part(false), Part::Follow(1));
        breaker.succeeded();
        assert!(matches!(breaker.passage(Instant::now()), Passage::Free));
        breaker.failed();
        assert_eq!(breaker.part(false), Part::Alone, "counted afresh");
    }

    #[test]
    fn a_registry_that_was_given_up_is_tried_again_later_and_by_one() {
        let now = Instant::now();
        let mut breaker = opened();
        breaker.end(1, spent(now));
        assert_eq!(breaker.part(false), Part::Follow(1));
        assert!(matches!(breaker.passage(now + REST / 2), Passage::Shut(_)));
        assert!(matches!(breaker.passage(now + REST), Passage::Free));
        breaker.failed();
        assert_eq!(breaker.part(false), Part::Probe(2));
    }

    #[test]
    fn an_answer_to_another_request_is_not_taken_back() {
        let mut breaker = opened();
        breaker.succeeded();
        breaker.end(1, spent(Instant::now()));
        assert!(matches!(breaker.passage(Instant::now()), Passage::Free));
        (0..LIMIT).for_each(|_| breaker.failed());
        assert_eq!(breaker.part(false), Part::Probe(2));
        breaker.end(1, spent(Instant::now()));
        assert!(matches!(breaker.passage(Instant::now()), Passage::Wait), "the second probe goes on");
    }

    #[test]
    fn a_probe_that_is_dropped_passes_to_another_task() {
        let breaker = CircuitBreaker(Mutex::new(opened()));
        drop(Probe { breaker: &breaker, round: 1 });
        assert!(matches!(breaker.passage(), Passage::Free));
        breaker.failed();
        let Role::Probe(probe) = breaker.role(false) else { panic!("no task probes") };
        assert!(probe.is_needed() && matches!(breaker.role(false), Role::Follow(2)));
        probe.succeeded();
        assert!(matches!(breaker.passage(), Passage::Free));
    }
}
