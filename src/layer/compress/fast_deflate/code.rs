//! Huffman codes of a limited length (RFC 1951, section 3.2.2).

/// The codeword of a symbol.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Codeword {
    /// The first bit is the lowest.
    pub(super) bits: u16,
    /// How many bits; 0 for a symbol that does not occur.
    pub(super) length: u16,
}

/// The longest a codeword may be in deflate.
const MOST_BITS: usize = 15;

/// The code of an alphabet of N symbols.
#[derive(Debug)]
pub(super) struct Code<const N: usize> {
    pub(super) words: [Codeword; N],
}

impl<const N: usize> Code<N> {
    /// Returns a code for symbols of these frequencies with codewords of at most `limit` bits. It is optimal, or nearly
    /// so where the limit applies. It is complete, as some decoders insist on, so at least two symbols have a codeword.
    pub(super) fn new(counts: &[u32; N], limit: usize) -> Self {
        let mut symbols: Vec<(u32, usize)> = counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .map(|(symbol, count)| (*count, symbol))
            .collect();
        let absent = counts.iter().enumerate().filter(|(_, count)| **count == 0).map(|(symbol, _)| (1, symbol));
        symbols.extend(absent.take(2_usize.saturating_sub(symbols.len())));
        symbols.sort_unstable();
        let mut lengths = [0; N];
        // The rarest have the longest.
        let mut rarest = symbols.iter();
        for (length, count) in lengths_of(&symbols, limit).into_iter().enumerate().rev() {
            for (_, symbol) in rarest.by_ref().take(count) {
                lengths[*symbol] = length;
            }
        }
        Self { words: words(&lengths) }
    }
}

/// Returns how many codewords of each length there are.
fn lengths_of(symbols: &[(u32, usize)], limit: usize) -> [usize; MOST_BITS + 1] {
    let depths = depths(symbols);
    let mut numbers = [0; MOST_BITS + 1];
    for depth in depths {
        numbers[depth.min(limit)] += 1;
    }
    // Each codeword takes a part of all there can be, in units of the shortest part (Kraft's inequality).
    let mut taken: usize = (1..=limit).map(|length| numbers[length] << (limit - length)).sum();
    while taken > 1 << limit {
        // One that is as long as the limit moves below one that is shorter, and both become a bit longer than that.
        let shorter = (1..limit).rev().find(|length| numbers[*length] > 0).expect("2^limit symbols fit");
        numbers[shorter] -= 1;
        numbers[shorter + 1] += 2;
        numbers[limit] -= 1;
        taken -= 1;
    }
    numbers
}

/// Returns each symbol's depth in the Huffman tree. The symbols are sorted by frequency; there are at least two.
fn depths(symbols: &[(u32, usize)]) -> Vec<usize> {
    let count = symbols.len();
    let mut weights: Vec<u64> = symbols.iter().map(|(count, _)| u64::from(*count)).collect();
    let mut parents = vec![0; 2 * count - 1];
    // Symbols and inner nodes are in the order of their weights both, so the lightest is at the head of one of them.
    let (mut symbol, mut inner) = (0, count);
    for node in count..2 * count - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            let lightest = if symbol < count && (inner == node || weights[symbol] <= weights[inner]) {
                &mut symbol
            } else {
                &mut inner
            };
            weight += weights[*lightest];
            parents[*lightest] = node;
            *lightest += 1;
        }
        weights.push(weight);
    }
    let mut depths = vec![0; 2 * count - 1];
    for node in (0..2 * count - 2).rev() {
        depths[node] = depths[parents[node]] + 1;
    }
    depths.truncate(count);
    depths
}

/// Returns the canonical codewords for these lengths.
fn words<const N: usize>(lengths: &[usize; N]) -> [Codeword; N] {
    let mut next = [0_u16; MOST_BITS + 2];
    for length in lengths.iter().filter(|length| **length > 0) {
        next[length + 1] += 1;
    }
    for length in 1..next.len() {
        // Those that are one shorter come before, and there is room for two below each of them.
        next[length] = (next[length] + next[length - 1]) << 1;
    }
    let mut words = [Codeword::default(); N];
    for (word, length) in words.iter_mut().zip(lengths).filter(|(_, length)| **length > 0) {
        #[expect(clippy::cast_possible_truncation, reason = "15 at most")]
        let bits = *length as u16;
        *word = Codeword { bits: next[*length].reverse_bits() >> (16 - bits), length: bits };
        next[*length] += 1;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths<const N: usize>(counts: &[u32; N], limit: usize) -> [u16; N] {
        Code::new(counts, limit).words.map(|word| word.length)
    }

    /// Returns the Kraft sum of the code; 1 for a complete prefix code.
    fn kraft<const N: usize>(lengths: &[u16; N]) -> f64 {
        lengths.iter().filter(|length| **length > 0).map(|length| 0.5_f64.powi(i32::from(*length))).sum()
    }

    #[test]
    fn what_is_frequent_is_short() {
        assert_eq!(lengths(&[8, 4, 2, 1, 1], 15), [1, 2, 3, 4, 4]);
        assert_eq!(lengths(&[0, 5, 0, 5, 5, 5], 15), [0, 2, 0, 2, 2, 2]);
    }

    #[test]
    fn two_symbols_have_a_codeword_at_least() {
        assert_eq!(lengths(&[0, 0, 0], 7), [1, 1, 0]);
        assert_eq!(lengths(&[0, 0, 9], 7), [1, 0, 1]);
        assert_eq!(lengths(&[3, 0, 0], 7), [1, 1, 0]);
    }

    #[test]
    fn no_codeword_is_longer_than_the_limit() {
        let mut fibonacci = [1_u32; 40];
        for at in 2..40 {
            fibonacci[at] = fibonacci[at - 1] + fibonacci[at - 2];
        }
        for limit in [6, 7, 12, 15] {
            let lengths = lengths(&fibonacci, limit);
            assert_eq!(usize::from(*lengths.iter().max().expect("some")), limit);
            assert!((kraft(&lengths) - 1.0).abs() < f64::EPSILON, "{limit}: {lengths:?}");
            assert!(lengths.is_sorted_by(|rare, frequent| rare >= frequent), "{limit}: {lengths:?}");
        }
        // As many as there can be.
        assert_eq!(lengths(&[1; 128], 7), [7; 128]);
    }

    #[test]
    fn codewords_are_those_of_the_specification() {
        // RFC 1951, section 3.2.2: the example of A to H.
        let words = words(&[3, 3, 3, 3, 3, 2, 4, 4]);
        let read: Vec<u16> = words.iter().map(|word| word.bits.reverse_bits() >> (16 - word.length)).collect();
        assert_eq!(read, [0b010, 0b011, 0b100, 0b101, 0b110, 0b00, 0b1110, 0b1111]);
    }
}
