//! The minimum rate of a client: without one, a client that sends single bytes would hold its connection forever.

use std::time::Duration;

/// The minimum rate of a body: `least` bytes within each `idle` of waiting.
///
/// Only time spent waiting for the client counts, not time spent on the disk or on a busy machine.
#[derive(Debug, Clone)]
pub(super) struct MinimumRate {
    idle: Duration,
    least: u64,
    waited: Duration,
    came: u64,
}

impl MinimumRate {
    pub(super) fn new(idle: Duration, least: u64) -> Self {
        Self { idle, least, waited: Duration::ZERO, came: 0 }
    }

    /// Returns how long the next bytes may take.
    pub(super) fn left(&self) -> Duration {
        self.idle.saturating_sub(self.waited)
    }

    /// Records that `count` bytes arrived after a wait.
    pub(super) fn note(&mut self, count: u64, waited: Duration) {
        self.waited += waited;
        self.came += count;
        if self.came >= self.least {
            (self.waited, self.came) = (Duration::ZERO, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_for_a_number_of_bytes_and_not_for_each() {
        let second = Duration::from_secs(1);
        let mut pace = MinimumRate::new(30 * second, 1000);
        assert_eq!(pace.left(), 30 * second);
        pace.note(1, 20 * second);
        pace.note(998, 9 * second);
        assert_eq!(pace.left(), second, "999 bytes are too few");
        pace.note(1, second / 2);
        assert_eq!(pace.left(), 30 * second, "enough came in time");
        // A quick beginning does not count for later.
        pace.note(1 << 40, second);
        pace.note(1, 29 * second);
        assert_eq!(pace.left(), second);
        pace.note(1, 60 * second);
        assert_eq!(pace.left(), Duration::ZERO);
    }
}
