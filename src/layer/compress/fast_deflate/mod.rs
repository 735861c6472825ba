//! Deflate (RFC 1951) for data in which little repeats: archives, images, programs packed by others, keys and text that
//! encodes such. A compressor that tries every position is slowest on such data. This one skips ahead in growing steps
//! while it finds no match, which is three to five times as fast for about 1 % more bytes.
//!
//! Every input is compressed correctly, and repetitions are found reasonably well. The bytes depend on the input alone.

mod bits;
mod code;
mod matches;
mod part;
mod symbols;

use bits::Bits;
use matches::Finder;

/// Bytes that have codes of their own. Less than the 65,535 that may be stored in one piece (RFC 1951, section 3.2.4).
const PART_BYTES: usize = 32 << 10;

/// A member's header without name and time (RFC 1952, section 2.3.1): deflate, the fastest, on an unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];

/// The checksum and the size that end a member.
const TRAILER_BYTES: usize = 8;

/// Memory for one block after the other.
#[derive(Debug, Default)]
pub(in crate::layer) struct FastDeflate {
    finder: Finder,
}

impl FastDeflate {
    /// Returns the most that `bytes` bytes can become, with the room that is written to and taken back.
    pub(in crate::layer) const fn bound(bytes: usize) -> usize {
        let parts = bytes / PART_BYTES + 1;
        HEADER.len() + bytes + parts * part::MOST_OVERHEAD_BYTES + bits::SPARE_BYTES + TRAILER_BYTES
    }

    /// Writes `block` as a gzip member to the beginning of `output`; returns how long it is.
    ///
    /// `output` has room for [`Self::bound`].
    pub(in crate::layer) fn gzip(&mut self, block: &[u8], output: &mut [u8]) -> usize {
        output[..HEADER.len()].copy_from_slice(&HEADER);
        let mut bits = Bits::new(output, HEADER.len());
        self.finder.forget();
        let mut start = 0;
        loop {
            let end = block.len().min(start + PART_BYTES);
            let sequences = self.finder.find(block, start..end);
            part::write(&block[start..end], sequences, end == block.len(), &mut bits);
            start = end;
            if start == block.len() {
                break;
            }
        }
        let end = bits.finish();
        output[end..end + 4].copy_from_slice(&libdeflater::crc32(block).to_le_bytes());
        // Modulo 2^32 (RFC 1952, section 2.3.1).
        #[expect(clippy::cast_possible_truncation, reason = "what the format wants")]
        let size = block.len() as u32;
        output[end + 4..end + TRAILER_BYTES].copy_from_slice(&size.to_le_bytes());
        end + TRAILER_BYTES
    }
}

#[cfg(test)]
mod tests;
