//! A part of the data with codes of its own: a block in the terms of RFC 1951, section 3.2.3.

use super::bits::Bits;
use super::code::{Code, Codeword};
use super::matches::Sequence;
use super::symbols::{DISTANCES, END, LITERALS, distance, length};

/// The most that a part becomes longer by: three bits, up to a whole byte, and the size twice.
pub(super) const MOST_OVERHEAD_BYTES: usize = 6;

/// Codewords of bytes and lengths are no longer, so that four go together; longer ones would save nothing in a part.
const LITERAL_LIMIT: usize = 12;
const DISTANCE_LIMIT: usize = 15;
const LENGTHS_LIMIT: usize = 7;

/// Symbols that the lengths of codewords are written with (section 3.2.7), and the order in which theirs are.
const LENGTHS: usize = 19;
const LENGTHS_ORDER: [usize; LENGTHS] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Every so many bytes are looked at to find out whether any is more frequent than others: not always the same column of a
/// table.
const SAMPLE_STEP: usize = 17;

/// Writes a part of which `sequences` say what is copied.
pub(super) fn write(part: &[u8], sequences: &[Sequence], is_last: bool, bits: &mut Bits<'_>) {
    if sequences.is_empty() && is_even(part) {
        return store(part, is_last, bits);
    }
    let mut literals = count_bytes(part, sequences);
    let mut distances = [0; DISTANCES];
    literals[END] = 1;
    let mut extra_bits = 0;
    for sequence in sequences {
        for (symbol, counts) in
            [(length(sequence.length), &mut literals[..]), (distance(sequence.distance), &mut distances)]
        {
            counts[symbol.number] += 1;
            extra_bits += u64::from(symbol.extra_bits);
        }
    }
    let codes =
        Codes { literals: Code::new(&literals, LITERAL_LIMIT), distances: Code::new(&distances, DISTANCE_LIMIT) };
    let header = Header::of(&codes);
    let cost = 3 + header.bits() + cost(&literals, &codes.literals) + cost(&distances, &codes.distances) + extra_bits;
    if cost >= 8 * part.len() as u64 {
        return store(part, is_last, bits);
    }
    bits.put(u8::from(is_last), 1_u32);
    bits.put(2_u8, 2_u32);
    header.write(bits);
    codes.write(part, sequences, bits);
}

/// Writes a stored block (section 3.2.4).
fn store(part: &[u8], is_last: bool, bits: &mut Bits<'_>) {
    let size = u16::try_from(part.len()).expect("a part is that short");
    bits.put(u8::from(is_last), 3_u32);
    bits.align_and_put(&[&size.to_le_bytes(), &(!size).to_le_bytes(), part]);
}

/// Returns whether a sample of the bytes is evenly distributed, so that Huffman codes would save less than 0.5 %.
fn is_even(part: &[u8]) -> bool {
    let mut counts = [0_u32; 256];
    for byte in part.iter().step_by(SAMPLE_STEP) {
        counts[usize::from(*byte)] += 1;
    }
    let total = part.len().div_ceil(SAMPLE_STEP) as u64;
    let squares: u64 = counts.iter().map(|count| u64::from(*count).pow(2)).sum();
    // Chi squared, which is 255 on average, with a standard deviation of 23.
    (squares * 256).saturating_sub(total * total) <= 340 * total
}

/// Counts each literal byte. Four counters a value avoid waits when neighbouring bytes are equal.
fn count_bytes(part: &[u8], sequences: &[Sequence]) -> [u32; LITERALS] {
    let mut counts = [[0_u32; 256]; 4];
    each_run(part, sequences, |run, _| {
        let (fours, rest) = run.as_chunks::<4>();
        for four in fours {
            for (counts, byte) in counts.iter_mut().zip(four) {
                counts[usize::from(*byte)] += 1;
            }
        }
        for byte in rest {
            counts[0][usize::from(*byte)] += 1;
        }
    });
    let mut sums = [0; LITERALS];
    for (byte, sum) in sums[..256].iter_mut().enumerate() {
        *sum = counts.iter().map(|counts| counts[byte]).sum();
    }
    sums
}

/// The literals before each sequence, and those behind the last.
#[inline]
fn each_run<'a>(part: &'a [u8], sequences: &[Sequence], mut then: impl FnMut(&'a [u8], Option<&Sequence>)) {
    let mut rest = part;
    for sequence in sequences {
        let (run, behind) = rest.split_at(sequence.literals as usize);
        then(run, Some(sequence));
        rest = &behind[usize::from(sequence.length)..];
    }
    then(rest, None);
}

fn cost<const N: usize>(counts: &[u32; N], code: &Code<N>) -> u64 {
    counts.iter().zip(&code.words).map(|(count, word)| u64::from(*count) * u64::from(word.length)).sum()
}

/// The codes of a part.
struct Codes {
    literals: Code<LITERALS>,
    distances: Code<DISTANCES>,
}

impl Codes {
    fn write(&self, part: &[u8], sequences: &[Sequence], bits: &mut Bits<'_>) {
        let put = |bits: &mut Bits<'_>, word: Codeword| bits.put(word.bits, word.length);
        each_run(part, sequences, |run, sequence| {
            let (fours, rest) = run.as_chunks::<4>();
            for four in fours {
                for byte in four {
                    put(bits, self.literals.words[usize::from(*byte)]);
                }
                bits.settle();
            }
            for byte in rest {
                put(bits, self.literals.words[usize::from(*byte)]);
            }
            bits.settle();
            if let Some(sequence) = sequence {
                let length = length(sequence.length);
                put(bits, self.literals.words[length.number]);
                bits.put(length.extra, length.extra_bits);
                let distance = distance(sequence.distance);
                put(bits, self.distances.words[distance.number]);
                bits.put(distance.extra, distance.extra_bits);
                bits.settle();
            }
        });
        put(bits, self.literals.words[END]);
        bits.settle();
    }
}

/// A symbol of the header, and what follows it in so many bits.
struct Item {
    symbol: usize,
    extra: u8,
    extra_bits: u8,
}

/// The lengths of the codewords, as they are written before the data (section 3.2.7).
struct Header {
    literals: u8,
    distances: u8,
    items: Vec<Item>,
    code: Code<LENGTHS>,
    lengths: u8,
}

impl Header {
    fn of(codes: &Codes) -> Self {
        let (literals, distances) = (used(&codes.literals.words, END + 1), used(&codes.distances.words, 1));
        let words = codes.literals.words[..literals].iter().chain(&codes.distances.words[..distances]);
        let items = items(&words.map(|word| word.length).collect::<Vec<_>>());
        let mut counts = [0; LENGTHS];
        for item in &items {
            counts[item.symbol] += 1;
        }
        let code = Code::new(&counts, LENGTHS_LIMIT);
        let lengths = used(&LENGTHS_ORDER.map(|symbol| code.words[symbol]), 4);
        let short = |number: usize| u8::try_from(number).expect("less than 32");
        Self {
            literals: short(literals - (END + 1)),
            distances: short(distances - 1),
            items,
            code,
            lengths: short(lengths - 4),
        }
    }

    /// Its size.
    fn bits(&self) -> u64 {
        let item = |item: &Item| u64::from(self.code.words[item.symbol].length) + u64::from(item.extra_bits);
        14 + 3 * (u64::from(self.lengths) + 4) + self.items.iter().map(item).sum::<u64>()
    }

    fn write(&self, bits: &mut Bits<'_>) {
        bits.put(self.literals, 5_u32);
        bits.put(self.distances, 5_u32);
        bits.put(self.lengths, 4_u32);
        bits.settle();
        for symbol in &LENGTHS_ORDER[..usize::from(self.lengths) + 4] {
            bits.put(self.code.words[*symbol].length, 3_u32);
            bits.settle();
        }
        for Item { symbol, extra, extra_bits } in &self.items {
            let word = self.code.words[*symbol];
            bits.put(word.bits, word.length);
            bits.put(*extra, *extra_bits);
            bits.settle();
        }
    }
}

/// Returns the number of codewords up to the last used one, and at least the given minimum.
fn used(words: &[Codeword], least: usize) -> usize {
    words.iter().rposition(|word| word.length > 0).map_or(least, |last| least.max(last + 1))
}

/// Encodes runs of lengths with the symbols of section 3.2.7.
fn items(lengths: &[u16]) -> Vec<Item> {
    let mut items = Vec::new();
    for run in lengths.chunk_by(PartialEq::eq) {
        let length = usize::from(run[0]);
        let plain = Item { symbol: length, extra: 0, extra_bits: 0 };
        let mut left = run.len();
        if length > 0 {
            items.push(plain);
            left -= 1;
        }
        while left > 0 {
            let (symbol, least, most, extra_bits) = match (length, left) {
                (_, ..3) => (length, 1, 1, 0),
                (0, ..11) => (17, 3, 10, 3),
                (0, _) => (18, 11, 138, 7),
                _ => (16, 3, 6, 2),
            };
            let taken = left.min(most);
            let extra = u8::try_from(taken - least).expect("127 at most");
            items.push(Item { symbol, extra, extra_bits });
            left -= taken;
        }
    }
    items
}
