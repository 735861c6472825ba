//! A circuit breaker for one registry: when nothing gets through, one request at a time finds out whether
//! that has changed, and all others wait for it instead of failing one after the other.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Consecutive failures that open the circuit.
const LIMIT: u32 = 5;
/// The longest time between two probes.
const LONGEST: Duration = Duration::from_secs(30);
/// How often those who wait look again while a probe is under way.
const LOOK: Duration = Duration::from_millis(50);

/// Pure: told the time, tells what may go.
#[derive(Debug)]
pub(super) struct Breaker {
    first: Duration,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Everything may go.
    Closed { failures: u32 },
    /// Nothing may go before `until`, then one request.
    Open { until: Instant, pause: Duration },
    /// That one request is under way.
    HalfOpen { pause: Duration },
}

/// Whether a request may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admission {
    Go,
    Ask(Duration),
}

impl Breaker {
    /// One whose first pause is `first`; it doubles with each probe that fails.
    fn new(first: Duration) -> Self {
        Self { first, state: State::Closed { failures: 0 } }
    }

    fn admit(&mut self, now: Instant) -> Admission {
        match self.state {
            State::Closed { .. } => Admission::Go,
            State::Open { until, .. } if now < until => Admission::Ask(until - now),
            State::Open { pause, .. } => {
                self.state = State::HalfOpen { pause };
                Admission::Go
            }
            State::HalfOpen { .. } => Admission::Ask(LOOK),
        }
    }

    fn succeeded(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    fn failed(&mut self, now: Instant) {
        self.state = match self.state {
            State::Closed { failures } if failures + 1 < LIMIT => State::Closed { failures: failures + 1 },
            State::Closed { .. } => State::Open { until: now + self.first, pause: self.first },
            State::HalfOpen { pause } => {
                let pause = pause.saturating_mul(2).min(LONGEST.max(self.first));
                State::Open { until: now + pause, pause }
            }
            // One that went before the circuit opened.
            open @ State::Open { .. } => open,
        };
    }

    /// A request ended without saying anything about the registry.
    fn released(&mut self, now: Instant) {
        if let State::HalfOpen { pause } = self.state {
            self.state = State::Open { until: now, pause };
        }
    }
}

/// A breaker that requests go through.
#[derive(Debug)]
pub(super) struct Gate(Mutex<Breaker>);

impl Gate {
    pub(super) fn new(first: Duration) -> Self {
        Self(Mutex::new(Breaker::new(first)))
    }

    /// A pass for a request, or how long to wait before asking again.
    pub(super) fn enter(&self) -> Result<Pass<'_>, Duration> {
        match self.with(|breaker| breaker.admit(Instant::now())) {
            Admission::Go => Ok(Pass { gate: self, told: false }),
            Admission::Ask(wait) => Err(wait),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Breaker) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A request's way through the gate; dropped without a word, it says nothing about the registry.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    gate: &'a Gate,
    told: bool,
}

impl Pass<'_> {
    /// The registry answered, whatever.
    pub(super) fn succeeded(mut self) {
        self.told = true;
        self.gate.with(Breaker::succeeded);
    }

    /// The request or its answer did not get through.
    pub(super) fn failed(mut self) {
        self.told = true;
        self.gate.with(|breaker| breaker.failed(Instant::now()));
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if !self.told {
            self.gate.with(|breaker| breaker.released(Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(SECOND);
        for _ in 0..LIMIT {
            assert_eq!(breaker.admit(now), Admission::Go);
            breaker.failed(now);
        }
        breaker
    }

    #[test]
    fn only_consecutive_failures_open_it() {
        let now = Instant::now();
        let mut breaker = Breaker::new(SECOND);
        for _ in 0..3 {
            for _ in 1..LIMIT {
                breaker.failed(now);
            }
            assert_eq!(breaker.admit(now), Admission::Go);
            breaker.succeeded();
        }
        assert_eq!(opened(now).admit(now), Admission::Ask(SECOND));
    }

    #[test]
    fn one_request_probes_and_its_end_decides_for_all() {
        let now = Instant::now();
        let mut breaker = opened(now);
        breaker.failed(now + SECOND / 2);
        assert_eq!(breaker.admit(now + SECOND / 2), Admission::Ask(SECOND / 2));
        let later = now + SECOND;
        assert_eq!(breaker.admit(later), Admission::Go);
        assert_eq!(breaker.admit(later), Admission::Ask(LOOK));
        breaker.failed(later);
        assert_eq!(breaker.admit(later), Admission::Ask(2 * SECOND));
        assert_eq!(breaker.admit(later + 2 * SECOND), Admission::Go);
        breaker.succeeded();
        assert_eq!(breaker.admit(later), Admission::Go);
        assert_eq!(breaker.admit(later), Admission::Go);
    }

    #[test]
    fn pauses_do_not_grow_for_ever() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        for _ in 0..20 {
            now += LONGEST;
            assert_eq!(breaker.admit(now), Admission::Go);
            breaker.failed(now);
        }
        assert_eq!(breaker.admit(now), Admission::Ask(LONGEST));
    }

    #[test]
    fn a_probe_that_is_given_up_leaves_the_place_to_another() {
        let gate = Gate(Mutex::new(opened(Instant::now().checked_sub(2 * SECOND).expect("it runs for longer"))));
        let probe = gate.enter().expect("half open");
        assert_eq!(gate.enter().expect_err("under way"), LOOK);
        drop(probe);
        gate.enter().expect("half open again").succeeded();
        gate.enter().expect("closed").failed();
    }
}
