//! Numbers that look random and can be had again, and how much of a suite is played.

use std::time::SystemTime;

/// The seed to use instead of the time: `FAULT_SEED=... cargo test --test faults`.
const SEED: &str = "FAULT_SEED";
/// Set to 1, the random parts are played ten times as long: `FAULT_NIGHTLY=1`.
const NIGHTLY: &str = "FAULT_NIGHTLY";

/// SplitMix64.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}

impl Random {
    /// From the environment or the time; the seed is printed, which a failing test shows.
    pub fn new() -> Self {
        let given = std::env::var(SEED).ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
            u64::try_from(now.as_nanos() & u128::from(u64::MAX)).expect("masked")
        });
        println!("{SEED}={seed}");
        Self(seed)
    }

    /// Independent numbers for the round of that number, so that one round can be played alone.
    #[must_use]
    pub fn round(&self, number: u64) -> Self {
        let mut random = Self(self.0 ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `limit`, which is not zero.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// One of them.
    pub fn one_of<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.below(from.len() as u64)).expect("an index")]
    }
}

/// `normal` rounds, or `nightly` ones where the environment asks for them.
pub fn rounds(normal: u64, nightly: u64) -> u64 {
    match std::env::var(NIGHTLY).as_deref() {
        Ok("1") => nightly,
        Ok("0" | "") | Err(_) => normal,
        Ok(other) => panic!("{NIGHTLY} is `{other}`, neither 0 nor 1"),
    }
}
