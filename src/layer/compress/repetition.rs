//! Estimates how much of a block repeats, to choose its compressor.

/// Bytes in the middle of a block that are looked at: twice the distance that deflate looks back.
const PROBE_BYTES: usize = 64 << 10;

/// Bits of the hash of four bytes.
const HASH_BITS: u32 = 14;

/// Returns the index of four bytes in a table of 2^`bits` entries (Knuth's multiplicative hash).
#[inline]
pub(in crate::layer) fn place(four: u32, bits: u32) -> usize {
    (four.wrapping_mul(0x9e37_79b1) >> (u32::BITS - bits)) as usize
}

/// The four-byte sequences seen so far, by their hash.
pub(in crate::layer) struct SeenSequences(Vec<u32>);

impl Default for SeenSequences {
    fn default() -> Self {
        Self(vec![0; 1 << HASH_BITS])
    }
}

impl SeenSequences {
    /// Returns the percentage of positions in the middle of `block` whose four bytes occurred before. It is an
    /// estimate, and depends on the block alone.
    pub(in crate::layer) fn percent(&mut self, block: &[u8]) -> usize {
        let start = (block.len() / 2).saturating_sub(PROBE_BYTES / 2);
        let part = &block[start..block.len().min(start + PROBE_BYTES)];
        // What the last block has left would show in the result.
        self.0.fill(0);
        let mut found = 0;
        for four in part.windows(4) {
            let number = u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
            let last = std::mem::replace(&mut self.0[place(number, HASH_BITS)], number);
            found += usize::from(last == number);
        }
        100 * found / part.len().max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_of_what_is_looked_at() {
        let mut seen = SeenSequences::default();
        let text: Vec<u8> =
            (0..200_000_u32).flat_map(|number| number.wrapping_mul(0x9e37_79b1).to_le_bytes()).collect();
        let mut half = text.clone();
        half[..400_000].fill(b' ');
        for (what, block, expected) in [
            ("nothing", &[][..], 0..=0),
            ("three bytes", b"aaa", 0..=0),
            ("nothing that is there twice", &text, 0..=1),
            ("one byte all the time", &vec![7; 100_000], 99..=99),
            ("the first half", &half, 45..=55),
            ("nothing again", &text, 0..=1),
        ] {
            let percent = seen.percent(block);
            assert!(expected.contains(&percent), "{what}: {percent}");
        }
    }
}
