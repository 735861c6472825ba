//! When to try again, as values: no clock and no dice of its own.

use std::time::{Duration, Instant};

/// The longest wait between two attempts that nobody asked for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How often and how long to try again what failed for a reason that may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Further attempts without any progress between them.
    pub attempts: u32,
    /// The longest wait before the first of them; it doubles with each, up to half a minute.
    pub delay: Duration,
    /// The longest time without progress, waits included.
    pub patience: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 5, delay: Duration::from_millis(500), patience: Duration::from_mins(10) }
    }
}

impl RetryPolicy {
    /// One attempt and no more.
    pub const NEVER: Self = Self { attempts: 0, delay: Duration::ZERO, patience: Duration::ZERO };
}

/// A wait before another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pause {
    pub(super) wait: Duration,
    /// Which attempt comes after it, from 1.
    pub(super) attempt: u32,
    /// How many there are.
    pub(super) of: u32,
}

/// What is left of a policy for one piece of work.
#[derive(Debug)]
pub(super) struct Budget {
    policy: RetryPolicy,
    used: u32,
    /// The first failure since the last progress.
    since: Option<Instant>,
    /// Whether one was forgiven since then.
    forgiven: bool,
}

impl Budget {
    pub(super) fn new(policy: RetryPolicy) -> Self {
        Self { policy, used: 0, since: None, forgiven: false }
    }

    /// The work got further than ever before: everything is there again.
    pub(super) fn recover(&mut self) {
        (self.used, self.since, self.forgiven) = (0, None, false);
    }

    /// Whether another attempt is free that is nobody's fault: one without progress, where there are attempts at all.
    pub(super) fn forgive(&mut self) -> bool {
        self.policy.attempts > 0 && !std::mem::replace(&mut self.forgiven, true)
    }

    /// The wait before the next attempt; `None` when there is none.
    ///
    /// Exponential back-off with full jitter: anything from nothing to twice the last limit, by `dice`
    /// in `0.0..1.0`; never less than the registry `asked` for, and none at all if that is too long.
    pub(super) fn spend(&mut self, asked: Option<Duration>, now: Instant, dice: f64) -> Option<Pause> {
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
        RetryPolicy { attempts: 4, delay: Duration::from_secs(1), patience: Duration::from_mins(1) };

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
            let mut budget = Budget::new(RetryPolicy { attempts, delay, patience: Duration::MAX });
            let mut count = 0;
            while budget.spend(Some(Duration::from_secs(u64::from(asked))), Instant::now(), dice).is_some() {
                count += 1;
            }
            prop_assert_eq!(count, attempts);
        }
    }
}
