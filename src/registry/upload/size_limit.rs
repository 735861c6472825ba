//! A size above which requests are refused: found by halving, kept when it has proven right, tried anew by doubling.

/// Requests of about the size that have to be taken before a larger one is tried: of a size that an earlier run found.
const PROOF: u32 = 4;
/// Requests that prove a size that this run found.
const FRESH_PROOF: u32 = 16;
/// The most of them, however often a larger one was refused since.
const MOST_PROOF: u32 = 1 << 10;

/// What is known of the largest request that is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct SizeLimit {
    /// Returns the limit: nothing larger is worth a try.
    limit: Option<u64>,
    /// What has proven right, with a refusal above it: worth keeping.
    known: Option<u64>,
    /// Whether the limit is a larger one that is being tried.
    raised: bool,
    /// Requests of about its size that were taken since it was set.
    taken: u32,
    /// How many make a larger one worth a try.
    enough: u32,
}

impl SizeLimit {
    /// Returns what an earlier run knew, unless it is too small to be anything but an error.
    pub(super) fn of(known: Option<u64>, least: u64) -> Self {
        let known = known.filter(|known| *known >= least);
        Self { limit: known, known, raised: false, taken: 0, enough: PROOF }
    }

    /// Returns the limit: nothing larger is worth a try.
    pub(super) fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// Returns what is worth being kept.
    pub(super) fn known(&self) -> Option<u64> {
        self.known
    }

    /// Notes that a request was refused for its size, and that `smaller` would come next. Returns false when that is
    /// less than the `least` that makes sense: then the size was not the reason, and nothing is learned.
    pub(super) fn refused(&mut self, smaller: u64, least: u64) -> bool {
        if smaller < least {
            self.limit = self.known;
            self.raised = false;
            return false;
        }
        self.limit = Some(self.limit.map_or(smaller, |limit| limit.min(smaller)));
        self.enough = if self.raised { self.enough.saturating_mul(2) } else { self.enough };
        self.enough = self.enough.clamp(FRESH_PROOF, MOST_PROOF);
        (self.raised, self.taken) = (false, 0);
        true
    }

    /// Notes that a request with `bytes` was accepted. At `most` and above there is nothing to be limited.
    pub(super) fn accepted(&mut self, bytes: u64, most: u64) {
        let Some(limit) = self.limit.filter(|limit| (limit / 2 + 1..=*limit).contains(&bytes)) else { return };
        self.known = Some(limit);
        if std::mem::take(&mut self.raised) {
            self.enough = PROOF;
        }
        self.taken += 1;
        if self.taken < self.enough {
            return;
        }
        (self.raised, self.taken) = (true, 0);
        self.limit = Some(limit.saturating_mul(2)).filter(|larger| *larger < most);
        if self.limit.is_none() {
            self.known = None;
        }
    }

    /// Notes that something else than a smaller request got through where this limit came from.
    pub(super) fn avoided(&mut self) {
        if !self.raised {
            self.known = self.limit;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LEAST: u64 = 64;
    const MOST: u64 = 1 << 16;

    fn fresh() -> SizeLimit {
        SizeLimit::of(None, LEAST)
    }

    fn taken(ceiling: &mut SizeLimit, bytes: u64, times: u32) {
        for _ in 0..times {
            ceiling.accepted(bytes, MOST);
        }
    }

    #[test]
    fn only_what_got_through_below_a_refusal_is_kept() {
        let mut ceiling = fresh();
        for smaller in [1024, 512, 256] {
            assert!(ceiling.refused(smaller, LEAST));
            assert_eq!((ceiling.limit(), ceiling.known()), (Some(smaller), None));
        }
        // The request was smaller than the size, so it proves nothing.
        taken(&mut ceiling, 100, 9);
        assert_eq!(ceiling.known(), None);
        taken(&mut ceiling, 200, 1);
        assert_eq!(ceiling.known(), Some(256));
    }

    #[test]
    fn refusals_down_to_the_least_teach_nothing() {
        let mut ceiling = fresh();
        for smaller in [1024, 512, 256, 128, 64] {
            assert!(ceiling.refused(smaller, LEAST));
        }
        assert!(!ceiling.refused(32, LEAST));
        assert_eq!((ceiling.limit(), ceiling.known()), (None, None));
        let mut known = SizeLimit::of(Some(4096), LEAST);
        assert!(!known.refused(20, LEAST));
        assert_eq!((known.limit(), known.known()), (Some(4096), Some(4096)));
    }

    #[test]
    fn what_an_earlier_run_kept_is_at_least_the_least() {
        assert_eq!(SizeLimit::of(Some(41), LEAST).limit(), None);
        assert_eq!(SizeLimit::of(Some(LEAST), LEAST).limit(), Some(LEAST));
    }

    #[test]
    fn it_doubles_when_it_proves_good_and_is_forgotten_in_the_end() {
        let mut ceiling = SizeLimit::of(Some(16_384), LEAST);
        taken(&mut ceiling, 16_384, PROOF);
        assert_eq!((ceiling.limit(), ceiling.known()), (Some(32_768), Some(16_384)));
        taken(&mut ceiling, 32_768, 1);
        assert_eq!(ceiling.known(), Some(32_768));
        taken(&mut ceiling, 32_768, PROOF - 1);
        assert_eq!((ceiling.limit(), ceiling.known()), (None, None));
    }

    #[test]
    fn one_that_holds_is_tried_ever_more_rarely() {
        let mut ceiling = SizeLimit::of(Some(1024), LEAST);
        let mut tries = 0;
        for _ in 0..2000 {
            let limit = ceiling.limit().expect("it holds");
            if limit > 1024 {
                tries += 1;
                assert!(ceiling.refused(limit / 2, LEAST));
            } else {
                ceiling.accepted(limit, MOST);
            }
            assert_eq!(ceiling.known(), Some(1024));
        }
        assert_eq!(tries, 7);
    }

    proptest! {
        #[test]
        fn nothing_below_the_least_is_ever_asked_for_or_kept(events in proptest::collection::vec((any::<bool>(), any::<u64>()), 0..60)) {
            let mut ceiling = fresh();
            for (refused, bytes) in events {
                if refused { ceiling.refused(bytes / 2, LEAST); } else { ceiling.accepted(bytes, MOST); }
                prop_assert!(ceiling.limit().is_none_or(|limit| limit >= LEAST));
                prop_assert!(ceiling.known().is_none_or(|known| known >= LEAST));
            }
        }
    }
}
