//! Decides when to try again, as values: without a clock or random numbers of its own.

use std::time::{Duration, Instant};

/// The longest wait between two attempts where the registry did not ask for one.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How often and how long to try again what failed for a reason that may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Further attempts without any progress between them.
    pub attempts: u32,
    /// The longest wait between two attempts where the registry did not ask for one.
    pub delay: Duration,
    /// The longest time without progress, waits included.
    pub patience: Duration,
    /// How long to wait for a registry that is away; zero is not at all. Without a value, [`DEFAULT_OUTAGE`] once the
    /// registry has answered, and before that not at all: a wrong address is likelier than a bad moment.
    pub away: Option<Duration>,
}

/// How long a registry that has answered is waited for when it is away. A Pod that restarts takes 30 to 60 s.
pub const DEFAULT_OUTAGE: Duration = Duration::from_mins(2);
/// The longest wait between two attempts where the registry did not ask for one.
const LONGEST_PROBE_WAIT: Duration = Duration::from_secs(8);
/// The first wait, which doubles with each probe.
const FIRST_PROBE_WAIT: Duration = Duration::from_millis(500);
/// Outages that one piece of work survives without progress between them.
const MOST_OUTAGES: u32 = 5;

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 5, delay: Duration::from_millis(500), patience: Duration::from_mins(10), away: None }
    }
}

impl RetryPolicy {
    /// One attempt and no more.
    pub const NEVER: Self =
        Self { attempts: 0, delay: Duration::ZERO, patience: Duration::ZERO, away: Some(Duration::ZERO) };

    /// Returns how long an outage is waited for, if at all; `met` says whether the registry has answered in this run.
    pub(in crate::registry) fn outage_limit(&self, met: bool) -> Option<Duration> {
        match self.away {
            Some(time) => Some(time).filter(|time| !time.is_zero()),
            None => (met && self.attempts > 0).then_some(DEFAULT_OUTAGE),
        }
    }
}

/// The waits between the probes of one outage.
#[derive(Debug)]
pub(in crate::registry) struct Outage {
    limit: Duration,
    next: Duration,
    /// What the registry asked for, the first time.
    asked: Option<Duration>,
}

impl Outage {
    pub(in crate::registry) fn new(limit: Duration, asked: Option<Duration>) -> Self {
        Self { limit, next: FIRST_PROBE_WAIT, asked }
    }

    /// Returns the wait before the next probe, `elapsed` after the beginning; `None` when the limit has passed. The last
    /// probe comes at the limit. `dice` is in `0.0..1.0`.
    pub(in crate::registry) fn wait(&mut self, elapsed: Duration, dice: f64) -> Option<Duration> {
        let left = self.limit.saturating_sub(elapsed);
        if left.is_zero() {
            return None;
        }
        let wait = self.next.mul_f64(0.5 + dice.clamp(0.0, 1.0) / 2.0);
        self.next = (self.next * 2).min(LONGEST_PROBE_WAIT);
        Some(wait.max(self.asked.take().unwrap_or_default()).min(left))
    }
}

/// A wait before another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) struct Pause {
    pub(in crate::registry) wait: Duration,
    /// Which attempt comes after it, from 1.
    pub(in crate::registry) attempt: u32,
    /// How many there are.
    pub(in crate::registry) of: u32,
}

/// What is left of a policy for one piece of work.
#[derive(Debug)]
pub(in crate::registry) struct Budget {
    policy: RetryPolicy,
    used: u32,
    /// The first failure since the last progress.
    since: Option<Instant>,
    /// Whether one was forgiven since then.
    forgiven: bool,
    /// Outages since then.
    outages: u32,
}

impl Budget {
    pub(in crate::registry) fn new(policy: RetryPolicy) -> Self {
        Self { policy, used: 0, since: None, forgiven: false, outages: 0 }
    }

    /// Notes that the work got further than ever before: all attempts are available again.
    pub(in crate::registry) fn recover(&mut self) {
        (self.used, self.since, self.forgiven, self.outages) = (0, None, false, 0);
    }

    /// Returns whether an attempt is free because neither side is at fault: one without progress, where there are
    /// attempts at all.
    pub(in crate::registry) fn forgive(&mut self) -> bool {
        self.policy.attempts > 0 && !std::mem::replace(&mut self.forgiven, true)
    }

    /// Returns whether another attempt is free because the registry was away. The patience begins anew.
    pub(in crate::registry) fn outlast(&mut self) -> bool {
        self.since = None;
        self.outages += 1;
        self.outages <= MOST_OUTAGES
    }

    /// Returns the wait before the next attempt; `None` when there is none.
    ///
    /// Exponential back-off with full jitter: anything from nothing to twice the last limit, by `dice`
    /// in `0.0..1.0`; never less than the registry `asked` for, and none at all if that is too long.
    pub(in crate::registry) fn spend(&mut self, asked: Option<Duration>, now: Instant, dice: f64) -> Option<Pause> {
        let since = *self.since.get_or_insert(now);
        if self.used >= self.policy.attempts {
            return None;
        }
        let doubled = self.policy.delay.saturating_mul(1u32.checked_shl(self.used).unwrap_or(u32::MAX));
        let wait = doubled.min(LONGEST_WAIT.max(self.policy.delay)).mul_f64(dice.clamp(0.0, 1.0));
        let wait = wait.max(asked.unwrap_or_default());
        let waited = now.saturating_duration_since(since);
        if waited.saturating_add(wait) > self.policy.patience {
            return None;
        }
        self.used += 1;
        Some(Pause { wait, attempt: self.used, of: self.policy.attempts })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: RetryPolicy =
        RetryPolicy { attempts: 4, delay: Duration::from_secs(1), patience: Duration::from_mins(1), away: None };

    fn waits(budget: &mut Budget, now: Instant, dice: f64) -> Vec<u64> {
        std::iter::from_fn(|| budget.spend(None, now, dice)).map(|pause| pause.wait.as_secs()).collect()
    }

    #[test]
    fn waits_double_and_end() {
        let now = Instant::now();
        assert_eq!(waits(&mut Budget::new(POLICY), now, 1.0), [1, 2, 4, 8]);
        assert_eq!(waits(&mut Budget::new(POLICY), now, 0.5), [0, 1, 2, 4]);
        assert_eq!(waits(&mut Budget::new(POLICY), now, 0.0), [0; 4]);
        assert!(Budget::new(RetryPolicy::NEVER).spend(None, now, 0.5).is_none());
        let many = RetryPolicy { attempts: 200, patience: Duration::from_hours(9), ..POLICY };
        assert_eq!(waits(&mut Budget::new(many), now, 1.0).into_iter().max(), Some(30));
    }

    #[test]
    fn progress_gives_everything_back() {
        let now = Instant::now();
        let mut budget = Budget::new(POLICY);
        assert_eq!(waits(&mut budget, now, 1.0).len(), 4);
        budget.recover();
        let later = now + Duration::from_secs(100);
        let pause = budget.spend(None, later, 1.0).expect("afresh");
        assert_eq!(pause, Pause { wait: Duration::from_secs(1), attempt: 1, of: 4 });
    }

    #[test]
    fn one_failure_is_forgiven_until_there_is_progress() {
        let mut budget = Budget::new(POLICY);
        assert!(budget.forgive() && !budget.forgive());
        assert_eq!(waits(&mut budget, Instant::now(), 1.0).len(), 4, "it cost nothing");
        budget.recover();
        assert!(budget.forgive());
        assert!(!Budget::new(RetryPolicy::NEVER).forgive());
    }

    #[test]
    fn how_long_an_outage_is_waited_for() {
        let minute = Duration::from_mins(1);
        let of = |attempts, away| RetryPolicy { attempts, away, ..POLICY };
        for (policy, before, after) in [
            (of(5, None), None, Some(DEFAULT_OUTAGE)),
            (of(0, None), None, None),
            (of(5, Some(Duration::ZERO)), None, None),
            (of(5, Some(minute)), Some(minute), Some(minute)),
            (of(0, Some(minute)), Some(minute), Some(minute)),
            (RetryPolicy::NEVER, None, None),
        ] {
            assert_eq!([policy.outage_limit(false), policy.outage_limit(true)], [before, after], "{policy:?}");
        }
    }

    #[test]
    fn probes_come_at_growing_waits_and_the_last_at_the_limit() {
        let probes = |limit, asked: Option<u64>, dice| {
            let mut outage = Outage::new(Duration::from_secs(limit), asked.map(Duration::from_secs));
            let mut at = Duration::ZERO;
            let mut times = Vec::new();
            while let Some(wait) = outage.wait(at, dice) {
                at += wait;
                times.push(at.as_millis());
            }
            times
        };
        assert_eq!(probes(30, None, 1.0), [500, 1500, 3500, 7500, 15_500, 23_500, 30_000]);
        assert_eq!(probes(3, None, 0.0), [250, 750, 1750, 3000]);
        assert_eq!(probes(30, Some(20), 1.0), [20_000, 21_000, 23_000, 27_000, 30_000]);
        assert_eq!(probes(30, Some(3600), 1.0), [30_000]);
    }

    #[test]
    fn an_outage_costs_no_attempt_and_there_may_be_five_without_progress() {
        let now = Instant::now();
        let mut budget = Budget::new(POLICY);
        budget.spend(None, now, 1.0).expect("the first");
        assert!((0..MOST_OUTAGES).all(|_| budget.outlast()));
        let later = now + Duration::from_hours(1);
        assert_eq!(budget.spend(None, later, 1.0).expect("patience begins anew").attempt, 2);
        assert!(!budget.outlast());
        budget.recover();
        assert!(budget.outlast());
    }

    #[test]
    fn what_the_registry_asks_for_is_a_lower_bound() {
        let now = Instant::now();
        let mut budget = Budget::new(POLICY);
        let asked = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(budget.spend(asked(7), now, 1.0).expect("short").wait, Duration::from_secs(7));
        assert_eq!(budget.spend(asked(1), now, 1.0).expect("shorter").wait, Duration::from_secs(2));
        assert!(budget.spend(asked(61), now, 1.0).is_none());
    }

    #[test]
    fn patience_ends_whatever_is_left() {
        let now = Instant::now();
        let mut budget = Budget::new(POLICY);
        budget.spend(None, now, 1.0).expect("the first");
        budget.spend(None, now + Duration::from_secs(58), 1.0).expect("just in time");
        assert!(budget.spend(None, now + Duration::from_secs(59), 1.0).is_none());
    }

    proptest! {
        #[test]
        fn no_numbers_overflow(attempts in 0u32..80, delay in any::<u32>(), asked in any::<u32>(), dice in -1.0..2.0f64) {
            let delay = Duration::from_secs(u64::from(delay));
            let mut budget = Budget::new(RetryPolicy { attempts, delay, patience: Duration::MAX, away: None });
            let mut count = 0;
            while budget.spend(Some(Duration::from_secs(u64::from(asked))), Instant::now(), dice).is_some() {
                count += 1;
            }
            prop_assert_eq!(count, attempts);
        }
    }
}
