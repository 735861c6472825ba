//! Whatever goes in comes out again, as three decoders that share no code read it.

use std::io::Read;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn packed(block: &[u8]) -> Vec<u8> {
    let mut quick = FastDeflate::default();
    // What another block has left must not show.
    let mut output = vec![0xa5; FastDeflate::bound(block.len()).max(FastDeflate::bound(4096))];
    quick.gzip(&b"what another block has left ".repeat(99), &mut output);
    let size = quick.gzip(block, &mut output);
    assert!(size <= FastDeflate::bound(block.len()) - bits::SPARE_BYTES, "{size} of {}", block.len());
    output.truncate(size);
    output
}

fn assert_same(block: &[u8]) -> usize {
    let packed = packed(block);
    let mut read = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut read).expect("zlib-rs reads it");
    assert!(read == block, "zlib-rs reads something else");
    let mut read = vec![0; block.len()];
    let size = libdeflater::Decompressor::new().gzip_decompress(&packed, &mut read).expect("libdeflate reads it");
    assert!(size == block.len() && read == block, "libdeflate reads something else");
    packed.len()
}

fn noise(size: usize) -> impl Iterator<Item = u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .flatten()
    .take(size)
}

#[test]
fn the_bytes_depend_on_the_block_alone() {
    let mut text: Vec<u8> = noise(2 * PART_BYTES).collect();
    text.extend_from_within(PART_BYTES..PART_BYTES + 20_000);
    let mut fresh = vec![0; FastDeflate::bound(text.len())];
    let size = FastDeflate::default().gzip(&text, &mut fresh);
    for before in [vec![], b"repeats ".repeat(9_000), noise(1 << 20).collect(), text.clone()] {
        let mut quick = FastDeflate::default();
        let mut output = vec![0x5a; FastDeflate::bound(1 << 20)];
        quick.gzip(&before, &mut output);
        let again = quick.gzip(&text, &mut output);
        assert!(output[..again] == fresh[..size], "after {} bytes", before.len());
    }
    assert!(size < 2 * PART_BYTES + 20_000 / 4, "what repeats behind noise was not found: {size}");
}

#[test]
fn sizes_at_which_parts_end() {
    for size in [0, 1, 2, 7, 8, 9, 12, 100, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES, 1 << 20] {
        let noise: Vec<u8> = noise(size).collect();
        let packed = assert_same(&noise);
        assert!(packed <= size + 18 + 5 * (size / PART_BYTES + 1), "{packed} of {size}");
        assert_same(&vec![b'a'; size]);
        let text: Vec<u8> = (0..).flat_map(|number: u32| number.to_string().into_bytes()).take(size).collect();
        assert_same(&text);
    }
}

#[test]
fn noise_in_few_symbols_becomes_nearly_as_small_as_it_can() {
    let size = 1 << 20;
    // Six bits of eight, and four.
    for (alphabet, bits) in [(64, 6), (16, 4)] {
        let text: Vec<u8> = noise(size).map(|byte| b'0' + byte % alphabet).collect();
        let packed = assert_same(&text);
        let least = size * bits / 8;
        assert!(packed < least + least / 20, "{packed} of {least}");
    }
}

#[test]
fn what_repeats_is_found_as_far_back_as_deflate_reaches() {
    let once: Vec<u8> = noise(32 << 10).collect();
    let packed = assert_same(&once.repeat(32));
    assert!(packed < (32 << 10) + 32 * 1024, "{packed}");
}

#[test]
fn codewords_that_would_be_longer_than_the_limit() {
    // Each byte twice as often as the one before it, so that a tree has the depth of the alphabet.
    let skewed: Vec<u8> = (0..15_u8).flat_map(|byte| vec![byte; 1 << byte]).collect();
    let mut order: Vec<(u64, u8)> =
        skewed.iter().enumerate().map(|(at, byte)| ((at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15), *byte)).collect();
    order.sort_unstable();
    assert_same(&order.iter().map(|(_, byte)| *byte).collect::<Vec<_>>());
}

#[test]
fn the_program_of_every_system_reads_it() {
    let mut mixed: Vec<u8> = noise(50_000).collect();
    mixed.extend(b"a line of text that is there again and again\n".repeat(4_000));
    mixed.extend(noise(300_000).map(|byte| b'0' + byte % 64));
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    std::io::Write::write_all(&mut file, &packed(&mixed)).expect("written");
    let output = std::process::Command::new("gzip").arg("-dc").stdin(file.reopen().expect("a file")).output();
    let output = output.expect("gzip runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout == mixed, "gzip reads something else");
}

/// Pieces of different kinds, some of which were there before.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        vec(any::<u8>(), 0..2000),
        vec(0..4_u8, 0..2000),
        vec(b'a'..=b'z', 0..40).prop_map(|word| word.repeat(60)),
        (any::<u8>(), 0..40_000_usize).prop_map(|(byte, count)| vec![byte; count]),
    ];
    (vec(piece, 1..12), vec((any::<prop::sample::Index>(), 0..70_000_usize), 0..12)).prop_map(|(pieces, again)| {
        let mut all = Vec::new();
        for (piece, again) in pieces.iter().zip(again.iter().map(Some).chain(std::iter::repeat(None))) {
            all.extend(piece);
            if let (Some((at, count)), false) = (again, all.is_empty()) {
                let start = at.index(all.len());
                all.extend_from_within(start..all.len().min(start + count));
            }
        }
        all
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn anything_comes_out_as_it_went_in(block in pieces()) {
        assert_same(&block);
    }
}
