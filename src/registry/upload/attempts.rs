//! How often an upload may go on after a fault.
//!
//! Three kinds of attempts are counted apart. Each kind is available again after progress, which is getting further
//! than ever before. Faults that may pass are tried again as the caller's policy says. Requests that were wrong in
//! their form are changed and sent at once. A session that cannot go on is replaced once by a new one from the first
//! byte; this attempt comes back only while less than the blob's size has been given up with sessions, which bounds the
//! bytes sent in all.

use std::time::Duration;

use crate::registry::error::RegistryError;
use crate::registry::retry::policy::{Budget, RetryPolicy};

/// Requests that are changed without progress between them: a size halves no more often.
const MOST_ADJUSTMENTS: u32 = 16;
/// The shortest patience with them: each may carry a lot of bytes.
const ADJUSTING: Duration = Duration::from_hours(1);

/// Why an upload is not where it should be.
pub(super) struct Cause {
    pub(super) error: RegistryError,
    /// Whether the fault was reported and counted.
    pub(super) already_counted: bool,
}

/// What an upload may still try.
pub(super) struct Attempts {
    /// Repetitions after a fault that may pass.
    pub(super) retries: Budget,
    /// Requests for the same bytes in another size or from another offset.
    pub(super) adjustments: Budget,
    /// A new session, where the old one is no good any more.
    pub(super) restarts: Budget,
    /// The last fault of a transfer.
    pub(super) cause: Option<Cause>,
    /// Whether the session met a fault that is not its own since the last progress.
    pub(super) torn: bool,
    /// Whether the registry was asked for its count since then, because ours was not its own.
    pub(super) realigned: bool,
    /// The blob's size, the farthest that any session came, and bytes that were given up with sessions.
    pub(super) size: u64,
    best: u64,
    pub(super) given_up: u64,
}

impl Attempts {
    /// Returns the attempts of a blob with `size` bytes.
    pub(super) fn new(policy: RetryPolicy, size: u64) -> Self {
        let patience = policy.patience.max(ADJUSTING);
        let adjusting = RetryPolicy { attempts: MOST_ADJUSTMENTS, delay: Duration::ZERO, patience, ..policy };
        Self {
            retries: Budget::new(policy),
            adjustments: Budget::new(adjusting),
            restarts: Budget::new(RetryPolicy { attempts: 1, ..policy }),
            cause: None,
            torn: false,
            realigned: false,
            size,
            best: 0,
            given_up: 0,
        }
    }

    /// Notes that the registry has `offset` bytes: more than ever is progress.
    pub(super) fn got_to(&mut self, offset: u64) {
        if offset <= self.best {
            return;
        }
        self.best = offset;
        (self.cause, self.torn, self.realigned) = (None, false, false);
        self.retries.recover();
        self.adjustments.recover();
        if self.given_up < self.size {
            self.restarts.recover();
        }
    }

    /// Notes that a session ends in which `bytes` were sent.
    pub(super) fn gave_up(&mut self, bytes: u64) {
        self.given_up = self.given_up.saturating_add(bytes);
        (self.torn, self.realigned) = (false, false);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const POLICY: RetryPolicy =
        RetryPolicy { attempts: 3, delay: Duration::ZERO, patience: Duration::from_mins(1), away: None };

    fn spends(budget: &mut Budget) -> bool {
        budget.spend(None, Instant::now(), 0.5).is_some()
    }

    #[test]
    fn one_restart_is_apart_from_the_retries() {
        for policy in [POLICY, RetryPolicy::NEVER] {
            let mut attempts = Attempts::new(policy, 100);
            assert!(spends(&mut attempts.restarts));
            assert!(!spends(&mut attempts.restarts));
            assert_eq!(spends(&mut attempts.retries), policy.attempts > 0);
            assert!(spends(&mut attempts.adjustments));
        }
    }

    #[test]
    fn progress_brings_a_restart_back_until_a_blob_has_been_given_up() {
        let mut attempts = Attempts::new(POLICY, 100);
        let mut restarts = 0;
        for offset in 40..200 {
            attempts.got_to(offset);
            if spends(&mut attempts.restarts) {
                restarts += 1;
                attempts.gave_up(offset);
            }
        }
        // 40, 41 and 42 bytes; nothing comes back after them.
        assert_eq!((restarts, attempts.given_up), (3, 123));
    }

    #[test]
    fn only_what_was_never_reached_is_progress() {
        let mut attempts = Attempts::new(POLICY, 100);
        attempts.got_to(40);
        assert!(spends(&mut attempts.restarts));
        attempts.gave_up(40);
        attempts.got_to(40);
        assert!(!spends(&mut attempts.restarts));
    }
}
