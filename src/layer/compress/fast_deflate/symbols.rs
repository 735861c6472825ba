//! Symbols for lengths and distances (RFC 1951, section 3.2.5).

/// Symbols of the first alphabet: bytes, the end, and lengths.
pub(super) const LITERALS: usize = 286;
/// The symbol that ends a part.
pub(super) const END: usize = 256;
/// Symbols of the second: distances.
pub(super) const DISTANCES: usize = 30;

/// The shortest match.
const LEAST_LENGTH: u16 = 3;
/// The longest match.
pub(super) const MOST_LENGTH: u16 = 258;
/// The longest distance.
pub(super) const MOST_DISTANCE: usize = 32 << 10;

/// A symbol and the bits that follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Symbol {
    pub(super) number: usize,
    /// What follows.
    pub(super) extra: u16,
    /// How many bits that is.
    pub(super) extra_bits: u16,
}

/// Returns the symbol for a length from 3 to 258.
pub(super) fn length(length: u16) -> Symbol {
    if length == MOST_LENGTH {
        return Symbol { number: 285, extra: 0, extra_bits: 0 };
    }
    // Four symbols for each power of two.
    interval(length - LEAST_LENGTH, 2, END + 1)
}

/// Returns the symbol for a distance from 1 to 32768.
pub(super) fn distance(distance: u16) -> Symbol {
    interval(distance - 1, 1, 0)
}

/// Returns the symbol of `number`, where each power of two has 2^`bits` symbols and small numbers one each.
fn interval(number: u16, bits: u16, first: usize) -> Symbol {
    if number < 2 << bits {
        return Symbol { number: first + usize::from(number), extra: 0, extra_bits: 0 };
    }
    #[expect(clippy::cast_possible_truncation, reason = "15 at most")]
    let extra_bits = number.ilog2() as u16 - bits;
    // The highest bit is there, so it counts as a whole power.
    let symbol = (extra_bits << bits) + (number >> extra_bits);
    Symbol { number: first + usize::from(symbol), extra: number & ((1 << extra_bits) - 1), extra_bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_those_of_the_tables() {
        let symbol = |number, extra, extra_bits| Symbol { number, extra, extra_bits };
        for (number, expected) in [
            (3, symbol(257, 0, 0)),
            (10, symbol(264, 0, 0)),
            (11, symbol(265, 0, 1)),
            (12, symbol(265, 1, 1)),
            (18, symbol(268, 1, 1)),
            (19, symbol(269, 0, 2)),
            (130, symbol(280, 15, 4)),
            (131, symbol(281, 0, 5)),
            (257, symbol(284, 30, 5)),
            (258, symbol(285, 0, 0)),
        ] {
            assert_eq!(length(number), expected, "length {number}");
        }
        for (number, expected) in [
            (1, symbol(0, 0, 0)),
            (4, symbol(3, 0, 0)),
            (5, symbol(4, 0, 1)),
            (8, symbol(5, 1, 1)),
            (9, symbol(6, 0, 2)),
            (256, symbol(15, 63, 6)),
            (257, symbol(16, 0, 7)),
            (24_577, symbol(29, 0, 13)),
            (32_768, symbol(29, 8191, 13)),
        ] {
            assert_eq!(distance(number), expected, "distance {number}");
        }
    }
}
