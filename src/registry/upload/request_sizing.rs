//! Sizes requests by what the caller wishes and what the registry and the way to it showed.
//!
//! What a break can lose is bounded by time, because a proxy that buffers requests passes a request on whole or not at
//! all. The rate is measured by what the registry acknowledged, so a proxy that takes bytes faster than it passes them
//! on does not mislead it. As long as the rate is unknown, a large blob begins with a small chunk. A blob that takes less
//! than [`AT_RISK`] goes in one request; of any other a request carries a ninth, between [`SHORTEST`] and [`AT_RISK`].

use std::time::Duration;

use super::limits::{Capabilities, KNOWN_CHUNK_CEILING, Limits};
use super::size_limit::SizeLimit;

/// A request that takes longer is likelier than others to meet a proxy's time limit, often a minute.
const LONGEST_REQUEST: Duration = Duration::from_secs(20);
/// The longest that a request should take: a break loses what it carried.
const AT_RISK: Duration = Duration::from_secs(5);
/// A request that carries a part of a blob takes at least so long: what comes between two of them should cost little.
const SHORTEST: Duration = Duration::from_secs(1);
/// The share of a blob that a request carries, where all of it would take longer than [`AT_RISK`].
const PARTS: u64 = 9;
/// The chunk by which the rate is measured. No registry that takes chunks is known to refuse this size.
const PROBE: u64 = 4 << 20;
/// Blobs up to this size are sent whole while the rate is unknown.
const UNPROBED: u64 = 2 * PROBE;
/// How much larger than everything acknowledged so far a request may be: the first bytes may have met a burst allowance.
const GROWTH: u64 = 16;
/// Smaller requests say more about the latency than about the rate.
const MEASURABLE: u64 = 1 << 20;
/// Chunks do not become smaller than this because of a bad link.
const SMALLEST_TORN: u64 = 1 << 20;
/// Chunks that have to arrive before larger ones are tried.
const PROOF: u32 = 4;
/// A chunk's share of what a link carries between two breaks: what is lost with it costs that much.
const SHARE: u64 = 16;

/// How the next request of a session is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Requests {
    /// A blob up to this size goes with the commit.
    pub(super) whole: u64,
    /// Chunks of this size; `None` where everything has to go at once.
    pub(super) chunk: Option<u64>,
}

/// Bytes that the registry took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// A chunk.
    Chunk(u64),
    /// All that was left, with the commit.
    Rest(u64),
}

/// The sizes of requests to one registry, adapted to what happens to them.
#[derive(Debug, Clone)]
pub(in crate::registry) struct RequestSizing {
    wish: Limits,
    learned: Capabilities,
    /// The largest body, and the largest chunk.
    body: SizeLimit,
    chunk: SizeLimit,
    /// The chunk that a bad link is worth.
    torn: Option<u64>,
    /// Chunks that arrived since that was set.
    proven: u32,
    /// Bytes a second, once a request of a [`MEASURABLE`] size was acknowledged.
    rate: Option<u64>,
    /// Bytes of such requests.
    measured: u64,
}

impl RequestSizing {
    pub(in crate::registry) fn new(wish: Limits, learned: Capabilities) -> Self {
        let mut sizing = Self {
            wish,
            learned,
            body: SizeLimit::of(learned.body, Limits::MIN_CHUNK),
            chunk: SizeLimit::of(learned.chunk, Limits::MIN_CHUNK),
            torn: None,
            proven: 0,
            rate: None,
            measured: 0,
        };
        sizing.keep();
        sizing
    }

    pub(in crate::registry) fn capabilities(&self) -> &Capabilities {
        &self.learned
    }

    pub(in crate::registry) fn capabilities_mut(&mut self) -> &mut Capabilities {
        &mut self.learned
    }

    /// Returns how to send a blob of `size` bytes.
    pub(super) fn requests(&self, size: u64) -> Requests {
        let Capabilities { least, timely, whole, .. } = self.learned;
        let (body, ceiling) = (self.body.limit().unwrap_or(u64::MAX), self.chunk.limit());
        if whole && size <= body {
            return Requests { whole: u64::MAX, chunk: None };
        }
        let slow = [timely, self.torn].into_iter().flatten().min();
        let in_time = self.in_time(size);
        let wish = if self.rate.is_some() { self.wish.monolithic } else { self.wish.chunk };
        let chunk = [Some(wish), Some(body), ceiling, slow, in_time].into_iter().flatten().min();
        let chunk = chunk.unwrap_or_default().max(least.unwrap_or_default()).max(1);
        let whole = match (ceiling, slow) {
            // Where chunks have to be tiny, one large request is better for both.
            (Some(_), None) => body,
            (_, slow) => [Some(body), slow, in_time].into_iter().flatten().fold(self.wish.monolithic, u64::min),
        };
        Requests { whole, chunk: Some(chunk) }
    }

    /// Returns the most bytes of a blob of `size` bytes that a break may lose; `None` where that may be all of them.
    fn in_time(&self, size: u64) -> Option<u64> {
        let Some(rate) = self.rate else { return (size > UNPROBED).then_some(PROBE) };
        let (shortest, longest) = (rate, rate.saturating_mul(AT_RISK.as_secs() / SHORTEST.as_secs()));
        let part = if size <= longest { size } else { (size / PARTS).clamp(shortest, longest) };
        let most = part.min(self.measured.saturating_mul(GROWTH)).max(SMALLEST_TORN);
        (most < size).then_some(most)
    }

    /// Notes that a request with `bytes` was too large. Returns false when no smaller one makes sense.
    pub(super) fn too_large(&mut self, bytes: u64) -> bool {
        self.body.refused(bytes / 2, self.least())
    }

    /// Notes that a chunk of `bytes` was refused although it began at the right offset. Returns false when no smaller
    /// one makes sense.
    pub(super) fn chunk_too_large(&mut self, bytes: u64) -> bool {
        let known = KNOWN_CHUNK_CEILING.max(self.least());
        self.chunk.refused(if bytes > known { known } else { bytes / 2 }, self.least())
    }

    /// Returns the smallest chunk that is worth a request and wanted.
    fn least(&self) -> u64 {
        self.learned.least.unwrap_or_default().max(Limits::MIN_CHUNK)
    }

    fn keep(&mut self) {
        (self.learned.body, self.learned.chunk) = (self.body.known(), self.chunk.known());
    }

    /// Notes that the registry accepted chunks but did not append them.
    pub(super) fn not_put_together(&mut self) {
        self.learned.whole = true;
    }

    /// Notes that the registry does not want chunks smaller than `bytes`.
    pub(super) fn at_least(&mut self, bytes: u64) {
        self.learned.least = Some(bytes.min(Limits::default().chunk));
    }

    /// Notes that a request of which `bytes` went out in `time` got no answer, after `between` bytes without such a
    /// fault.
    pub(super) fn broke(&mut self, bytes: u64, time: Duration, between: u64) {
        let chunk = if time >= LONGEST_REQUEST {
            let timely = per_second(bytes, time).saturating_mul(LONGEST_REQUEST.as_secs() * 3 / 4).max(SMALLEST_TORN);
            self.learned.timely = Some(timely.min(self.wish.chunk));
            timely
        } else {
            (between / SHARE).max(SMALLEST_TORN)
        };
        self.torn = Some(chunk.min(self.wish.chunk));
        self.proven = 0;
    }

    /// Notes that the registry accepted what was `sent`, `time` after the request began.
    pub(super) fn arrived(&mut self, sent: Sent, time: Duration) {
        let (Sent::Chunk(bytes) | Sent::Rest(bytes)) = sent;
        self.body.accepted(bytes, self.wish.monolithic.max(self.wish.chunk));
        match sent {
            Sent::Chunk(bytes) => self.chunk.accepted(bytes, self.wish.chunk),
            // Only chunks have to be small.
            Sent::Rest(bytes) if self.chunk.limit().is_some_and(|limit| bytes > limit) => self.chunk.avoided(),
            Sent::Rest(_) => {}
        }
        self.keep();
        if bytes >= MEASURABLE {
            let now = per_second(bytes, time);
            // Overrating a link for too long risks more than underrating it.
            self.rate = Some(self.rate.filter(|rate| *rate < now).map_or(now, |rate| rate / 2 + now / 2));
            self.measured = self.measured.saturating_add(bytes);
        }
        self.proven += 1;
        if let (Some(torn), true) = (self.torn, self.proven >= PROOF) {
            self.proven = 0;
            let larger = torn.saturating_mul(2);
            self.torn = (larger < self.wish.chunk).then_some(larger);
            self.learned.timely = self.learned.timely.filter(|_| self.torn.is_some());
        }
    }
}

fn per_second(bytes: u64, time: Duration) -> u64 {
    let millis = time.as_millis().max(1);
    u64::try_from(u128::from(bytes) * 1000 / millis).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MEBI: u64 = 1 << 20;
    const SECOND: Duration = Duration::from_secs(1);

    fn sizing() -> RequestSizing {
        RequestSizing::new(Limits::default(), Capabilities::default())
    }

    /// Returns the sizes after requests that took next to no time.
    fn fast() -> RequestSizing {
        RequestSizing { rate: Some(1 << 50), measured: 1 << 50, ..sizing() }
    }

    #[test]
    fn a_registry_known_to_refuse_large_chunks_gets_a_large_blob_whole() {
        for (host, whole) in [("gcr.io", true), ("ghcr.io", true), ("registry.example", false)] {
            let requests = RequestSizing::new(Limits::default(), Capabilities::of_host(host)).requests(300 * MEBI);
            assert_eq!(requests.whole >= 300 * MEBI, whole, "{host}: {requests:?}");
        }
    }

    fn chunk(sizing: &RequestSizing) -> u64 {
        sizing.requests(u64::MAX).chunk.expect("chunks")
    }

    #[test]
    fn wishes_count_until_something_else_is_known() {
        let expected = Requests { whole: 512 * MEBI, chunk: Some(64 * MEBI) };
        assert_eq!(sizing().requests(3), expected);
        assert_eq!(sizing().requests(UNPROBED), expected);
        assert_eq!(Limits::chunks_of(1).chunk, Limits::MIN_CHUNK);
    }

    #[test]
    fn a_refused_size_halves() {
        let mut sizing = sizing();
        assert!(sizing.too_large(40 * MEBI));
        let halved = Requests { whole: 20 * MEBI, chunk: Some(20 * MEBI) };
        assert_eq!(sizing.requests(1), halved);
        assert!(sizing.too_large(100 * MEBI));
        assert_eq!(sizing.requests(1), halved);
    }

    #[test]
    fn a_refused_size_is_kept_only_when_half_of_it_is_taken() {
        let mut sizing = sizing();
        assert!(sizing.too_large(40 * MEBI));
        assert_eq!(sizing.capabilities().body, None);
        sizing.arrived(Sent::Chunk(20 * MEBI), SECOND);
        assert_eq!(sizing.capabilities().body, Some(20 * MEBI));
        // A request that was refused for another reason than its size teaches nothing.
        for bytes in [0, 284, Limits::MIN_CHUNK] {
            assert!(!sizing.too_large(bytes) && !sizing.chunk_too_large(bytes), "{bytes}");
            assert_eq!(sizing.requests(1).chunk, Some(20 * MEBI));
        }
        let knowing = |known| *RequestSizing::new(Limits::default(), known).capabilities();
        assert_eq!(knowing(*sizing.capabilities()), *sizing.capabilities());
        let poisoned = Capabilities { body: Some(41), chunk: Some(142), ..Capabilities::default() };
        assert_eq!(knowing(poisoned), Capabilities::default());
    }

    #[test]
    fn a_small_ceiling_is_left_behind_when_larger_requests_are_taken() {
        let mut sizing = RequestSizing::new(
            Limits::default(),
            Capabilities { body: Some(Limits::MIN_CHUNK), ..Capabilities::default() },
        );
        let mut sent = 0;
        for _ in 0..44 {
            let chunk = chunk(&sizing);
            sizing.arrived(Sent::Chunk(chunk), Duration::from_millis(1));
            sent += chunk;
        }
        assert_eq!(chunk(&sizing), 2 * Limits::default().chunk);
        assert!(sent < 600 * MEBI, "{sent}");
    }

    #[test]
    fn chunks_above_the_least_that_is_wanted_are_not_made_smaller_than_that() {
        let mut sizing = fast();
        sizing.at_least(10 * MEBI);
        assert!(sizing.chunk_too_large(64 * MEBI));
        assert_eq!(chunk(&sizing), 10 * MEBI);
        assert!(!sizing.chunk_too_large(10 * MEBI), "the registry contradicts itself");
    }

    #[test]
    fn one_request_with_everything_proves_that_only_chunks_have_to_be_small() {
        let mut sizing = fast();
        assert!(sizing.chunk_too_large(64 * MEBI));
        assert_eq!(sizing.capabilities().chunk, None);
        sizing.arrived(Sent::Rest(284), SECOND);
        assert_eq!(sizing.capabilities().chunk, None);
        sizing.arrived(Sent::Rest(900 * MEBI), SECOND);
        assert_eq!(sizing.capabilities().chunk, Some(4 * MEBI));
    }

    #[test]
    fn a_small_ceiling_for_chunks_asks_for_one_large_request() {
        let mut sizing = fast();
        assert!(sizing.chunk_too_large(64 * MEBI));
        assert_eq!(sizing.requests(9000 * MEBI), Requests { whole: u64::MAX, chunk: Some(4 * MEBI) });
        sizing.broke(100 * MEBI, SECOND, 100 * MEBI);
        assert_eq!(sizing.requests(9000 * MEBI).chunk, Some(4 * MEBI));
        assert!(sizing.requests(9000 * MEBI).whole < 64 * MEBI);
        assert!(sizing.chunk_too_large(4 * MEBI));
        assert_eq!(chunk(&sizing), 2 * MEBI);
    }

    #[test]
    fn chunks_that_are_not_put_together_are_not_sent() {
        let mut sizing = fast();
        sizing.not_put_together();
        assert_eq!(sizing.requests(9000 * MEBI).chunk, None);
        // Unless there is no other way.
        sizing.too_large(100 * MEBI);
        assert_eq!(sizing.requests(9000 * MEBI).chunk, Some(50 * MEBI));
    }

    #[test]
    fn a_bad_link_gets_chunks_by_how_far_it_carries_and_large_ones_when_it_proves_good() {
        let mut sizing = fast();
        sizing.broke(200 * MEBI, SECOND, 200 * MEBI);
        assert_eq!(chunk(&sizing), 200 * MEBI / 16);
        for _ in 0..4 {
            sizing.arrived(Sent::Chunk(100 * MEBI), SECOND);
        }
        assert_eq!(chunk(&sizing), 200 * MEBI / 8);
        for _ in 0..12 {
            sizing.arrived(Sent::Chunk(100 * MEBI), SECOND);
        }
        assert_eq!(sizing.requests(1), Requests { whole: 512 * MEBI, chunk: Some(512 * MEBI) });
        sizing.broke(0, SECOND, 0);
        assert_eq!(chunk(&sizing), SMALLEST_TORN);
    }

    #[test]
    fn a_time_limit_on_the_way_asks_for_what_fits() {
        let mut sizing = fast();
        sizing.broke(120 * MEBI, Duration::from_mins(1), 120 * MEBI);
        assert_eq!(chunk(&sizing), 30 * MEBI);
        assert_eq!(sizing.capabilities().timely, Some(30 * MEBI));
        let known = RequestSizing::new(Limits::default(), *sizing.capabilities());
        assert_eq!(known.requests(1).whole, 30 * MEBI);
    }

    #[test]
    fn what_a_break_can_lose_takes_seconds_at_the_measured_rate() {
        // Bytes a second, bytes that measured it, the blob's size: what one request carries of the blob.
        for (rate, by, size, expected) in [
            // Less than five seconds: one request, whatever the size.
            (30 * MEBI, 4 * MEBI, 60 * MEBI, 60 * MEBI),
            (400 * MEBI, 100 * MEBI, 500 * MEBI, 500 * MEBI),
            (MEBI, 4 * MEBI, 5 * MEBI, 5 * MEBI),
            // More: a ninth of it, between one and five seconds.
            (30 * MEBI, 40 * MEBI, 360 * MEBI, 40 * MEBI),
            (30 * MEBI, 40 * MEBI, 160 * MEBI, 30 * MEBI),
            (30 * MEBI, 40 * MEBI, 9000 * MEBI, 150 * MEBI),
            (2 * MEBI, 4 * MEBI, 36 * MEBI, 4 * MEBI),
            // One request is no larger than was wished for.
            (400 * MEBI, 100 * MEBI, 2000 * MEBI, 512 * MEBI),
            (900 * MEBI, 100 * MEBI, 4000 * MEBI, 512 * MEBI),
            // The first bytes may have met an allowance: not more than 16 times as much.
            (400 * MEBI, 4 * MEBI, 500 * MEBI, 64 * MEBI),
            // Chunks below a mebibyte are not worth it.
            (64 << 10, 4 * MEBI, 500 * MEBI, MEBI),
        ] {
            let sizing = RequestSizing { rate: Some(rate), measured: by, ..sizing() };
            let Requests { whole, chunk } = sizing.requests(size);
            let carried = if size <= whole { size } else { chunk.expect("chunks").min(size) };
            assert_eq!(carried, expected, "{rate} bytes a second, {size} bytes");
        }
        // Nothing is measured yet.
        for (size, expected) in [(UNPROBED, UNPROBED), (UNPROBED + 1, PROBE), (9000 * MEBI, PROBE)] {
            let Requests { whole, chunk } = sizing().requests(size);
            assert_eq!(if size <= whole { size } else { chunk.expect("chunks") }, expected, "{size}");
        }
    }

    #[test]
    fn a_rate_that_falls_is_believed_at_once() {
        let mut sizing = fast();
        sizing.arrived(Sent::Chunk(MEBI), SECOND);
        assert_eq!(chunk(&sizing), 5 * MEBI);
        sizing.arrived(Sent::Rest(9 * MEBI), SECOND);
        assert_eq!(chunk(&sizing), 25 * MEBI);
        // Latency, not rate.
        sizing.arrived(Sent::Rest(MEASURABLE - 1), SECOND);
        assert_eq!(chunk(&sizing), 25 * MEBI);
        sizing.at_least(30 * MEBI);
        assert_eq!(chunk(&sizing), 30 * MEBI);
    }

    #[test]
    fn of_what_takes_ten_seconds_a_break_loses_a_ninth_at_most() {
        const SIZE: u64 = 300_000_000;
        const RATE: u64 = 30_000_000;
        for killed in (1..60).map(|part| SIZE / 60 * part) {
            let (mut sizing, mut offset) = (sizing(), 0);
            while offset < SIZE {
                let Requests { whole, chunk } = sizing.requests(SIZE);
                assert!(whole < SIZE);
                let next = chunk.expect("chunks").min(SIZE - offset);
                if offset + next > killed {
                    break;
                }
                offset += next;
                sizing.arrived(Sent::Chunk(next), Duration::from_millis(next * 1000 / RATE));
            }
            assert!(killed - offset <= SIZE / 9 + 1, "{} lost at {killed}", killed - offset);
        }
    }

    proptest! {
        #[test]
        fn there_is_always_a_next_request(faults in proptest::collection::vec((0u8..7, any::<u64>(), 0u64..100), 0..20), size: u64) {
            let mut sizing = sizing();
            for (fault, bytes, seconds) in faults {
                let time = Duration::from_secs(seconds);
                match fault {
                    0 => drop(sizing.too_large(bytes)),
                    1 => drop(sizing.chunk_too_large(bytes)),
                    2 => sizing.broke(bytes, time, bytes),
                    3 => sizing.at_least(bytes),
                    4 => sizing.not_put_together(),
                    5 => sizing.arrived(Sent::Rest(bytes), time),
                    _ => sizing.arrived(Sent::Chunk(bytes), time),
                }
            }
            let requests = sizing.requests(size);
            prop_assert!(requests.chunk.is_none_or(|chunk| chunk >= Limits::MIN_CHUNK), "{requests:?}");
        }
    }
}
