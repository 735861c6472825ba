//! A circuit breaker for one registry: when nothing gets through, one task finds out by a small question whether
//! that has changed, and all others wait for it instead of failing one after the other.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::NetworkFault;

/// Failures with no answer to anybody between them that open the circuit.
const LIMIT: u32 = 3;
/// How long nobody asks again after all attempts were in vain.
const REST: Duration = Duration::from_secs(30);

/// Pure: told the time, tells what may go.
#[derive(Debug)]
struct Breaker {
    state: State,
    /// How often it was opened: tells who asks from who asked before.
    opened: u64,
}

#[derive(Debug)]
enum State {
    /// Everything may go.
    Closed { failures: u32 },
    /// Nothing may go: one task asks, and all others wait for what it finds.
    Open,
    /// It asked in vain, the last time for this reason.
    Spent { until: Instant, fault: NetworkFault },
}

/// What somebody who wants to reach the registry is to do.
#[derive(Debug)]
pub(super) enum Way {
    /// Go.
    Free,
    /// Wait, and look again.
    Wait,
    /// Give up.
    Shut(NetworkFault),
}

/// What a failure means for whoever met it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Duty {
    Own,
    Lead(u64),
    Follow,
}

/// What somebody who did not reach the registry is to do.
#[derive(Debug)]
pub(super) enum Retreat<'a> {
    /// Wait by yourself: others may get through.
    Alone,
    /// Wait for everybody, ask, and say what you found.
    Lead(Lead<'a>),
    /// Wait for whoever asks.
    Follow,
}

impl Breaker {
    fn way(&mut self, now: Instant) -> Way {
        match &self.state {
            State::Closed { .. } => Way::Free,
            State::Open => Way::Wait,
            State::Spent { until, fault } if now < *until => Way::Shut(fault.clone()),
            State::Spent { .. } => {
                // Whoever comes next finds out, and needs to fail only once to be believed.
                self.state = State::Closed { failures: LIMIT - 1 };
                Way::Free
            }
        }
    }

    fn succeeded(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    fn failed(&mut self) {
        if let State::Closed { failures } = &mut self.state {
            *failures += 1;
        }
    }

    fn retreat(&mut self) -> Duty {
        match self.state {
            State::Closed { failures } if failures < LIMIT => Duty::Own,
            State::Closed { .. } => {
                self.state = State::Open;
                self.opened += 1;
                Duty::Lead(self.opened)
            }
            State::Open | State::Spent { .. } => Duty::Follow,
        }
    }

    /// Ends an opening that nobody has ended yet.
    fn end(&mut self, opening: u64, state: State) {
        if matches!(self.state, State::Open) && self.opened == opening {
            self.state = state;
        }
    }
}

/// A breaker that requests go through.
#[derive(Debug)]
pub(super) struct Gate(Mutex<Breaker>);

impl Default for Gate {
    fn default() -> Self {
        Self(Mutex::new(Breaker { state: State::Closed { failures: 0 }, opened: 0 }))
    }
}

impl Gate {
    /// Whether a request may go.
    pub(super) fn way(&self) -> Way {
        self.with(|breaker| breaker.way(Instant::now()))
    }

    /// The registry answered somebody, whatever.
    pub(super) fn succeeded(&self) {
        self.with(Breaker::succeeded);
    }

    /// A request or its answer did not get through.
    pub(super) fn failed(&self) {
        self.with(Breaker::failed);
    }

    /// What to do about that.
    pub(super) fn retreat(&self) -> Retreat<'_> {
        match self.with(Breaker::retreat) {
            Duty::Own => Retreat::Alone,
            Duty::Lead(opening) => Retreat::Lead(Lead { gate: self, opening }),
            Duty::Follow => Retreat::Follow,
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Breaker) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The duty to ask for everybody. Dropped without a word, it passes to the next that fails.
#[derive(Debug)]
pub(super) struct Lead<'a> {
    gate: &'a Gate,
    opening: u64,
}

impl Lead<'_> {
    /// Whether nobody has had an answer so far.
    pub(super) fn is_needed(&self) -> bool {
        matches!(self.gate.way(), Way::Wait)
    }

    /// The registry answered.
    pub(super) fn succeeded(self) {
        self.gate.succeeded();
    }

    /// There is nothing left to try, and this is why.
    pub(super) fn spent(self, fault: NetworkFault) {
        self.end(State::Spent { until: Instant::now() + REST, fault });
    }

    fn end(&self, state: State) {
        self.gate.with(|breaker| breaker.end(self.opening, state));
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        self.end(State::Closed { failures: LIMIT - 1 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed() -> Breaker {
        Breaker { state: State::Closed { failures: 0 }, opened: 0 }
    }

    fn opened() -> Breaker {
        let mut breaker = closed();
        for _ in 0..LIMIT {
            breaker.failed();
        }
        assert_eq!(breaker.retreat(), Duty::Lead(1));
        breaker
    }

    fn spent(now: Instant) -> State {
        State::Spent { until: now + REST, fault: NetworkFault::Refused }
    }

    #[test]
    fn only_consecutive_failures_open_it() {
        let mut breaker = closed();
        for _ in 0..3 {
            for _ in 1..LIMIT {
                breaker.failed();
                assert_eq!(breaker.retreat(), Duty::Own);
            }
            assert!(matches!(breaker.way(Instant::now()), Way::Free));
            breaker.succeeded();
        }
        assert!(matches!(opened().way(Instant::now()), Way::Wait));
    }

    #[test]
    fn one_asks_and_its_answer_decides_for_all() {
        let mut breaker = opened();
        // One that went before the circuit opened.
        breaker.failed();
        assert_eq!(breaker.retreat(), Duty::Follow);
        breaker.succeeded();
        assert!(matches!(breaker.way(Instant::now()), Way::Free));
        breaker.failed();
        assert_eq!(breaker.retreat(), Duty::Own, "counted afresh");
    }

    #[test]
    fn what_was_asked_in_vain_is_asked_again_later_and_by_one() {
        let now = Instant::now();
        let mut breaker = opened();
        breaker.end(1, spent(now));
        assert_eq!(breaker.retreat(), Duty::Follow);
        assert!(matches!(breaker.way(now + REST / 2), Way::Shut(NetworkFault::Refused)));
        assert!(matches!(breaker.way(now + REST), Way::Free));
        breaker.failed();
        assert_eq!(breaker.retreat(), Duty::Lead(2));
    }

    #[test]
    fn an_answer_to_somebody_else_is_not_taken_back() {
        let mut breaker = opened();
        breaker.succeeded();
        breaker.end(1, spent(Instant::now()));
        assert!(matches!(breaker.way(Instant::now()), Way::Free));
        (0..LIMIT).for_each(|_| breaker.failed());
        assert_eq!(breaker.retreat(), Duty::Lead(2));
        breaker.end(1, spent(Instant::now()));
        assert!(matches!(breaker.way(Instant::now()), Way::Wait), "somebody else asks now");
    }

    #[test]
    fn a_duty_that_is_given_up_passes_to_another() {
        let gate = Gate(Mutex::new(opened()));
        drop(Lead { gate: &gate, opening: 1 });
        assert!(matches!(gate.way(), Way::Free));
        gate.failed();
        let Retreat::Lead(lead) = gate.retreat() else { panic!("nobody asks") };
        assert!(lead.is_needed() && matches!(gate.retreat(), Retreat::Follow));
        lead.succeeded();
        assert!(matches!(gate.way(), Way::Free));
    }
}
