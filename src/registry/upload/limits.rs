//! How much one request may carry: what the caller wishes, what the registry and the way to it showed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ceiling::Ceiling;

/// A request that takes longer is likelier than others to meet a proxy's time limit, often a minute.
const LONGEST_REQUEST: Duration = Duration::from_secs(20);
/// Chunks do not become smaller than this because of a bad link.
const SMALLEST_TORN: u64 = 1 << 20;
/// Chunks that have to arrive before larger ones are tried.
const PROOF: u32 = 4;
/// A chunk's share of what a link carries between two breaks: what is lost with it costs that much.
const SHARE: u64 = 16;
/// The largest chunk of registries that refuse larger ones with 416.
const KNOWN_CHUNK_CEILING: u64 = 4 << 20;

/// How much a request may carry, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Blobs up to this size are sent with the commit, in one request.
    pub monolithic: u64,
    /// Larger ones in chunks of this size.
    pub chunk: u64,
}

impl Default for Limits {
    /// Half of what idpbuilder's ingress lets through in one request.
    fn default() -> Self {
        Self { monolithic: 512 << 20, chunk: 64 << 20 }
    }
}

impl Limits {
    /// Chunks below this size are not worth a request; a registry that refuses them takes no blobs.
    pub const MIN_CHUNK: u64 = 64 << 10;

    /// Everything larger than `bytes` in chunks of that size.
    pub fn chunks_of(bytes: u64) -> Self {
        let bytes = bytes.max(Self::MIN_CHUNK);
        Self { monolithic: bytes, chunk: bytes }
    }
}

/// What a registry showed of itself; worth keeping for some days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::registry) struct Learned {
    /// Larger bodies were too large (413), and this was not.
    pub(in crate::registry) body: Option<u64>,
    /// Larger chunks were too large (416), though larger bodies may not be.
    pub(in crate::registry) chunk: Option<u64>,
    /// Smaller chunks are not wanted, except the last (`OCI-Chunk-Min-Length`).
    pub(in crate::registry) least: Option<u64>,
    /// What could be sent before a time limit passed.
    pub(in crate::registry) timely: Option<u64>,
    /// Chunks were taken but not put together.
    pub(in crate::registry) whole: bool,
    /// Whether a blob can be sent with the POST.
    pub(in crate::registry) single: Option<bool>,
    /// Whether a request to mount is understood.
    pub(in crate::registry) mounts: Option<bool>,
    /// Whether it finds blobs to mount by itself.
    pub(in crate::registry) finds: bool,
    /// Whether commits at the same time were too much for it.
    pub(in crate::registry) serial: bool,
}

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
pub(in crate::registry) struct Pace {
    wish: Limits,
    learned: Learned,
    /// The largest body, and the largest chunk.
    body: Ceiling,
    chunk: Ceiling,
    /// The chunk that a bad link is worth.
    torn: Option<u64>,
    /// Chunks that arrived since that was set.
    proven: u32,
    /// Bytes in a second.
    rate: Option<u64>,
}

impl Pace {
    pub(in crate::registry) fn new(wish: Limits, learned: Learned) -> Self {
        let mut pace = Self {
            wish,
            learned,
            body: Ceiling::of(learned.body, Limits::MIN_CHUNK),
            chunk: Ceiling::of(learned.chunk, Limits::MIN_CHUNK),
            torn: None,
            proven: 0,
            rate: None,
        };
        pace.keep();
        pace
    }

    /// The same wish, with what an earlier run learned.
    pub(in crate::registry) fn knowing(&self, learned: Learned) -> Self {
        Self::new(self.wish, learned)
    }

    pub(in crate::registry) fn learned(&self) -> &Learned {
        &self.learned
    }

    pub(in crate::registry) fn learned_mut(&mut self) -> &mut Learned {
        &mut self.learned
    }

    /// How to send a blob of `size` bytes.
    pub(super) fn requests(&self, size: u64) -> Requests {
        let Learned { least, timely, whole, .. } = self.learned;
        let (body, ceiling) = (self.body.limit().unwrap_or(u64::MAX), self.chunk.limit());
        if whole && size <= body {
            return Requests { whole: u64::MAX, chunk: None };
        }
        let slow = [timely, self.torn].into_iter().flatten().min();
        let in_time = self.rate.map(|rate| rate.saturating_mul(LONGEST_REQUEST.as_secs()).max(SMALLEST_TORN));
        let chunk = [Some(self.wish.chunk), Some(body), ceiling, slow, in_time].into_iter().flatten().min();
        let chunk = chunk.unwrap_or_default().max(least.unwrap_or_default()).max(1);
        let whole = match (ceiling, slow) {
            // Where chunks have to be tiny, one large request is better for both.
            (Some(_), None) => body,
            (_, slow) => self.wish.monolithic.min(body).min(slow.unwrap_or(u64::MAX)),
        };
        Requests { whole, chunk: Some(chunk) }
    }

    /// A request with `bytes` was too large; false when no smaller one makes sense.
    pub(super) fn too_large(&mut self, bytes: u64) -> bool {
        self.body.refused(bytes / 2, self.least())
    }

    /// A chunk of `bytes` was refused although it began where it should; false when no smaller one makes sense.
    pub(super) fn chunk_too_large(&mut self, bytes: u64) -> bool {
        let known = KNOWN_CHUNK_CEILING.max(self.least());
        self.chunk.refused(if bytes > known { known } else { bytes / 2 }, self.least())
    }

    /// The smallest chunk that is worth a request and wanted.
    fn least(&self) -> u64 {
        self.learned.least.unwrap_or_default().max(Limits::MIN_CHUNK)
    }

    fn keep(&mut self) {
        (self.learned.body, self.learned.chunk) = (self.body.known(), self.chunk.known());
    }

    /// Chunks were taken and are not there.
    pub(super) fn not_put_together(&mut self) {
        self.learned.whole = true;
    }

    /// Chunks smaller than `bytes` are not wanted.
    pub(super) fn at_least(&mut self, bytes: u64) {
        self.learned.least = Some(bytes.min(Limits::default().chunk));
    }

    /// A request of which `bytes` went out in `time` got no answer, after `between` bytes without such a fault.
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

    /// A request with `bytes` was answered well after `time`.
    pub(super) fn arrived(&mut self, sent: Sent, time: Duration) {
        let (Sent::Chunk(bytes) | Sent::Rest(bytes)) = sent;
        self.body.accepted(bytes, self.wish.monolithic.max(self.wish.chunk));
        match sent {
            Sent::Chunk(bytes) => self.chunk.accepted(bytes, self.wish.chunk),
            // So it is chunks that have to be small.
            Sent::Rest(bytes) if self.chunk.limit().is_some_and(|limit| bytes > limit) => self.chunk.avoided(),
            Sent::Rest(_) => {}
        }
        self.keep();
        if bytes >= Limits::MIN_CHUNK {
            let now = per_second(bytes, time);
            self.rate = Some(self.rate.map_or(now, |rate| rate / 2 + now / 2));
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

    fn pace() -> Pace {
        Pace::new(Limits::default(), Learned::default())
    }

    fn chunk(pace: &Pace) -> u64 {
        pace.requests(u64::MAX).chunk.expect("chunks")
    }

    #[test]
    fn wishes_count_until_something_else_is_known() {
        let expected = Requests { whole: 512 * MEBI, chunk: Some(64 * MEBI) };
        assert_eq!(pace().requests(3), expected);
        assert_eq!(Limits::chunks_of(1).chunk, Limits::MIN_CHUNK);
    }

    #[test]
    fn a_refused_size_halves() {
        let mut pace = pace();
        assert!(pace.too_large(40 * MEBI));
        let halved = Requests { whole: 20 * MEBI, chunk: Some(20 * MEBI) };
        assert_eq!(pace.requests(1), halved);
        assert!(pace.too_large(100 * MEBI));
        assert_eq!(pace.requests(1), halved);
    }

    #[test]
    fn a_refused_size_is_kept_only_when_half_of_it_is_taken() {
        let mut pace = pace();
        assert!(pace.too_large(40 * MEBI));
        assert_eq!(pace.learned().body, None);
        pace.arrived(Sent::Chunk(20 * MEBI), SECOND);
        assert_eq!(pace.learned().body, Some(20 * MEBI));
        // Whatever was refused for another reason than its size teaches nothing.
        for bytes in [0, 284, Limits::MIN_CHUNK] {
            assert!(!pace.too_large(bytes) && !pace.chunk_too_large(bytes), "{bytes}");
            assert_eq!(pace.requests(1).chunk, Some(20 * MEBI));
        }
        assert_eq!(*pace.knowing(*pace.learned()).learned(), *pace.learned());
        let poisoned = Learned { body: Some(41), chunk: Some(142), ..Learned::default() };
        assert_eq!(*pace.knowing(poisoned).learned(), Learned::default());
    }

    #[test]
    fn a_small_ceiling_is_left_behind_when_larger_requests_are_taken() {
        let mut pace = Pace::new(Limits::default(), Learned { body: Some(Limits::MIN_CHUNK), ..Learned::default() });
        let mut sent = 0;
        for _ in 0..44 {
            let chunk = chunk(&pace);
            pace.arrived(Sent::Chunk(chunk), Duration::from_millis(1));
            sent += chunk;
        }
        assert_eq!(chunk(&pace), Limits::default().chunk);
        assert!(sent < 600 * MEBI, "{sent}");
    }

    #[test]
    fn chunks_above_the_least_that_is_wanted_are_not_made_smaller_than_that() {
        let mut pace = pace();
        pace.at_least(10 * MEBI);
        assert!(pace.chunk_too_large(64 * MEBI));
        assert_eq!(chunk(&pace), 10 * MEBI);
        assert!(!pace.chunk_too_large(10 * MEBI), "the registry contradicts itself");
    }

    #[test]
    fn one_request_with_everything_proves_that_only_chunks_have_to_be_small() {
        let mut pace = pace();
        assert!(pace.chunk_too_large(64 * MEBI));
        assert_eq!(pace.learned().chunk, None);
        pace.arrived(Sent::Rest(284), SECOND);
        assert_eq!(pace.learned().chunk, None);
        pace.arrived(Sent::Rest(900 * MEBI), SECOND);
        assert_eq!(pace.learned().chunk, Some(4 * MEBI));
    }

    #[test]
    fn a_small_ceiling_for_chunks_asks_for_one_large_request() {
        let mut pace = pace();
        assert!(pace.chunk_too_large(64 * MEBI));
        assert_eq!(pace.requests(9000 * MEBI), Requests { whole: u64::MAX, chunk: Some(4 * MEBI) });
        pace.broke(100 * MEBI, SECOND, 100 * MEBI);
        assert_eq!(pace.requests(9000 * MEBI).chunk, Some(4 * MEBI));
        assert!(pace.requests(9000 * MEBI).whole < 64 * MEBI);
        assert!(pace.chunk_too_large(4 * MEBI));
        assert_eq!(chunk(&pace), 2 * MEBI);
    }

    #[test]
    fn chunks_that_are_not_put_together_are_not_sent() {
        let mut pace = pace();
        pace.not_put_together();
        assert_eq!(pace.requests(9000 * MEBI).chunk, None);
        // Unless there is no other way.
        pace.too_large(100 * MEBI);
        assert_eq!(pace.requests(9000 * MEBI).chunk, Some(50 * MEBI));
    }

    #[test]
    fn a_bad_link_gets_chunks_by_how_far_it_carries_and_large_ones_when_it_proves_good() {
        let mut pace = pace();
        pace.broke(200 * MEBI, SECOND, 200 * MEBI);
        assert_eq!(chunk(&pace), 200 * MEBI / 16);
        for _ in 0..4 {
            pace.arrived(Sent::Chunk(100 * MEBI), SECOND);
        }
        assert_eq!(chunk(&pace), 200 * MEBI / 8);
        for _ in 0..12 {
            pace.arrived(Sent::Chunk(100 * MEBI), SECOND);
        }
        assert_eq!(pace.requests(1), Requests { whole: 512 * MEBI, chunk: Some(64 * MEBI) });
        pace.broke(0, SECOND, 0);
        assert_eq!(chunk(&pace), SMALLEST_TORN);
    }

    #[test]
    fn a_time_limit_on_the_way_asks_for_what_fits() {
        let mut pace = pace();
        pace.broke(120 * MEBI, Duration::from_mins(1), 120 * MEBI);
        assert_eq!(chunk(&pace), 30 * MEBI);
        assert_eq!(pace.learned().timely, Some(30 * MEBI));
        let known = Pace::new(Limits::default(), *pace.learned());
        assert_eq!(known.requests(1).whole, 30 * MEBI);
    }

    #[test]
    fn chunks_take_seconds_not_minutes() {
        let mut pace = pace();
        pace.arrived(Sent::Chunk(MEBI), SECOND);
        assert_eq!(chunk(&pace), 20 * MEBI);
        pace.at_least(30 * MEBI);
        assert_eq!(chunk(&pace), 30 * MEBI);
    }

    proptest! {
        #[test]
        fn there_is_always_a_next_request(faults in proptest::collection::vec((0u8..7, any::<u64>(), 0u64..100), 0..20), size: u64) {
            let mut pace = pace();
            for (fault, bytes, seconds) in faults {
                let time = Duration::from_secs(seconds);
                match fault {
                    0 => drop(pace.too_large(bytes)),
                    1 => drop(pace.chunk_too_large(bytes)),
                    2 => pace.broke(bytes, time, bytes),
                    3 => pace.at_least(bytes),
                    4 => pace.not_put_together(),
                    5 => pace.arrived(Sent::Rest(bytes), time),
                    _ => pace.arrived(Sent::Chunk(bytes), time),
                }
            }
            let requests = pace.requests(size);
            prop_assert!(requests.chunk.is_none_or(|chunk| chunk >= Limits::MIN_CHUNK), "{requests:?}");
        }
    }
}
