//! Limits how fast bytes and requests may go: token buckets, with the caller's clock.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The most that is moved at a time, as a part of what may be moved in a second.
const PARTS: u64 = 10;
/// Less is not worth a turn.
const MIN_PIECE_BYTES: u64 = 256;

/// Limits that the person chose for a registry; by default there are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Bytes of bodies in a second, in either direction.
    pub bytes: Option<u64>,
    /// Requests in a second.
    pub requests: Option<u32>,
}

/// The limits of one client.
#[derive(Debug, Default)]
pub(in crate::registry) struct Throttle {
    bytes: Option<Bucket>,
    requests: Option<Bucket>,
    /// Bytes to move at a time.
    piece: Option<u64>,
}

impl Throttle {
    pub(in crate::registry) fn new(limits: RateLimits, now: Instant) -> Self {
        let piece = limits.bytes.map(|rate| (rate / PARTS).max(MIN_PIECE_BYTES));
        Self {
            bytes: limits.bytes.zip(piece).map(|(rate, piece)| Bucket::new(rate, piece, now)),
            requests: limits.requests.map(|rate| Bucket::new(u64::from(rate), 1, now)),
            piece,
        }
    }

    /// Returns how long to wait before one more request.
    pub(in crate::registry) fn request(&self, now: Instant) -> Duration {
        self.requests.as_ref().map_or(Duration::ZERO, |bucket| bucket.take(1, now))
    }

    /// Returns how long to wait before, or after, moving so many bytes.
    pub(in crate::registry) fn bytes(&self, count: usize, now: Instant) -> Duration {
        self.bytes.as_ref().map_or(Duration::ZERO, |bucket| bucket.take(count as u64, now))
    }

    /// Returns the most bytes to move at a time, so that a slow transfer is an even one and not a stalled one.
    pub(in crate::registry) fn piece(&self, wish: usize) -> usize {
        self.piece.and_then(|piece| usize::try_from(piece).ok()).map_or(wish, |piece| piece.min(wish))
    }
}

/// Fills by `rate` a second up to `burst`. A caller that takes more than the bucket holds goes into debt and waits
/// until it is paid, so later callers wait longer and none overtakes another.
#[derive(Debug)]
struct Bucket {
    rate: f64,
    burst: f64,
    state: Mutex<(f64, Instant)>,
}

impl Bucket {
    #[expect(clippy::cast_precision_loss, reason = "rates beyond 2^53 are no limits")]
    fn new(rate: u64, burst: u64, now: Instant) -> Self {
        let burst = burst.max(1) as f64;
        Self { rate: rate.max(1) as f64, burst, state: Mutex::new((burst, now)) }
    }

    #[expect(clippy::cast_precision_loss, reason = "amounts beyond 2^53 are not taken at once")]
    fn take(&self, amount: u64, now: Instant) -> Duration {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (level, then) = *state;
        let filled = now.saturating_duration_since(then).as_secs_f64().mul_add(self.rate, level);
        let level = filled.min(self.burst) - amount as f64;
        *state = (level, now.max(then));
        if level < 0.0 {
            Duration::try_from_secs_f64(-level / self.rate).unwrap_or(Duration::MAX)
        } else {
            Duration::ZERO
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_taken_early_is_waited_for() {
        let now = Instant::now();
        let bucket = Bucket::new(100, 10, now);
        assert_eq!(bucket.take(10, now), Duration::ZERO);
        assert_eq!(bucket.take(10, now), Duration::from_millis(100));
        assert_eq!(bucket.take(10, now), Duration::from_millis(200), "behind the one before");
        let later = now + Duration::from_millis(200);
        assert_eq!(bucket.take(10, later), Duration::from_millis(100));
        let much_later = now + Duration::from_hours(1);
        assert_eq!(bucket.take(10, much_later), Duration::ZERO);
        assert_eq!(bucket.take(10, much_later), Duration::from_millis(100), "no more than the burst was saved up");
    }

    #[test]
    fn without_limits_nobody_waits() {
        let throttle = Throttle::default();
        assert_eq!(throttle.bytes(usize::MAX, Instant::now()), Duration::ZERO);
        assert_eq!(throttle.request(Instant::now()), Duration::ZERO);
        assert_eq!(throttle.piece(77), 77);
    }

    #[test]
    fn pieces_are_a_fraction_of_a_second() {
        let of = |bytes| Throttle::new(RateLimits { bytes: Some(bytes), requests: None }, Instant::now());
        assert_eq!(of(1_000_000).piece(256 << 10), 100_000);
        assert_eq!(of(1 << 40).piece(256 << 10), 256 << 10);
        assert_eq!(of(1).piece(256 << 10), 256);
    }

    proptest! {
        /// Checks that no more goes than the rate and one burst, whatever is asked for and when.
        #[test]
        fn no_more_than_the_rate(rate in 1u64..5000, takes in prop::collection::vec((1u64..3000, 0u64..2000), 1..60)) {
            let start = Instant::now();
            let bucket = Bucket::new(rate, 50, start);
            let (mut now, mut total, mut end) = (start, 0, start);
            for (amount, pause) in takes {
                now += Duration::from_millis(pause);
                let wait = bucket.take(amount, now);
                total += amount;
                end = end.max(now + wait);
            }
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let allowed = (end - start).as_secs_f64().mul_add(rate as f64, 50.0) + 1.0;
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let total = total as f64;
            prop_assert!(total <= allowed, "{} of {}", total, allowed);
        }
    }
}
