//! Finds repeated byte sequences (the LZ77 step of deflate).

use std::ops::Range;

use super::super::repetition::place;
use super::symbols::{MOST_DISTANCE, MOST_LENGTH};

/// Bits of the hash of four bytes.
const HASH_BITS: u32 = 15;

/// After 2^5 places without a match, steps become one longer.
const PATIENCE_BITS: u32 = 5;
const NO_MISSES: usize = 1 << PATIENCE_BITS;
/// Steps are 64 at most, so that what repeats behind noise is found soon.
const MOST_MISSES: usize = 64 << PATIENCE_BITS;

/// Bytes that are compared at a time, and before the end of a part that no match begins in.
const WORD: usize = 8;

/// A match of four bytes from farther away costs about as much as the bytes.
const FAR: usize = 4 << 10;

/// Positions inside a long match are remembered at this interval.
const LONG_STEP: usize = 4;

/// Literal bytes, followed by a copy of earlier bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sequence {
    pub(super) literals: u32,
    pub(super) length: u16,
    /// From 1 on.
    pub(super) distance: u16,
}

/// Remembers where four bytes were last, by their hash.
#[derive(Debug)]
pub(super) struct Finder {
    last: Vec<u32>,
    found: Vec<Sequence>,
    /// Places without a match since the last one, also over parts: the quotient by 2^[`PATIENCE_BITS`] is the step.
    misses: usize,
}

impl Default for Finder {
    fn default() -> Self {
        Self { last: vec![u32::MAX; 1 << HASH_BITS], found: Vec::new(), misses: NO_MISSES }
    }
}

impl Finder {
    /// Forgets the last block.
    pub(super) fn forget(&mut self) {
        self.last.fill(u32::MAX);
        self.misses = NO_MISSES;
    }

    /// Returns the sequences of a part of `block`, which begins where the last part ended. What remains behind them is
    /// literal.
    pub(super) fn find(&mut self, block: &[u8], part: Range<usize>) -> &[Sequence] {
        self.found.clear();
        let (mut at, mut literals_from) = (part.start, part.start);
        let mut misses = self.misses;
        while at + WORD < part.end {
            if let Some((before, length)) = self.matching(block, at, part.end) {
                let back = backwards(block, at, before, literals_from, length);
                self.found.push(Sequence {
                    literals: number(at - back - literals_from),
                    length: short(length + back),
                    distance: short(at - before),
                });
                self.remember(block, at + 1..(at + length).min(part.end - WORD));
                at += length;
                literals_from = at;
                misses = NO_MISSES;
            } else {
                at += misses >> PATIENCE_BITS;
                misses = MOST_MISSES.min(misses + 1);
            }
        }
        self.misses = misses;
        &self.found
    }

    /// Returns the earlier position and the length of the match at `at`, if a match pays off.
    #[inline]
    fn matching(&mut self, block: &[u8], at: usize, end: usize) -> Option<(usize, usize)> {
        let four = four(block, at);
        let before = std::mem::replace(&mut self.last[place(four, HASH_BITS)], number(at)) as usize;
        if before >= at || at - before > MOST_DISTANCE || self::four(block, before) != four {
            return None;
        }
        let length = equal(&block[before..], &block[at..end.min(at + usize::from(MOST_LENGTH))]);
        (length > 4 || at - before <= FAR).then_some((before, length))
    }

    fn remember(&mut self, block: &[u8], places: Range<usize>) {
        let step = if places.len() > 8 * LONG_STEP { LONG_STEP } else { 1 };
        for at in places.step_by(step) {
            self.last[place(four(block, at), HASH_BITS)] = number(at);
        }
    }
}

#[inline]
fn four(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(block[at..at + 4].try_into().expect("four bytes"))
}

/// Returns the length of the common prefix. `before` is the longer one.
#[inline]
fn equal(before: &[u8], here: &[u8]) -> usize {
    let mut length = 0;
    while let (Some(one), Some(other)) = (before[length..].first_chunk(), here[length..].first_chunk::<WORD>()) {
        let difference = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if difference != 0 {
            return length + difference.trailing_zeros() as usize / 8;
        }
        length += WORD;
    }
    length + before[length..].iter().zip(&here[length..]).take_while(|(one, other)| one == other).count()
}

/// Returns by how many bytes the match can be extended backward into the literals.
#[inline]
fn backwards(block: &[u8], at: usize, before: usize, literals_from: usize, length: usize) -> usize {
    let most = (usize::from(MOST_LENGTH) - length).min(at - literals_from).min(before);
    let (here, there) = (&block[at - most..at], &block[before - most..before]);
    here.iter().rev().zip(there.iter().rev()).take_while(|(one, other)| one == other).count()
}

#[expect(clippy::cast_possible_truncation, reason = "blocks are shorter than 4 GiB")]
fn number(place: usize) -> u32 {
    debug_assert!(u32::try_from(place).is_ok(), "{place}");
    place as u32
}

#[expect(clippy::cast_possible_truncation, reason = "deflate's lengths and distances")]
fn short(number: usize) -> u16 {
    debug_assert!(u16::try_from(number).is_ok(), "{number}");
    number as u16
}
