//! Compression of a layer: which bytes come out is part of the image, so nothing here may depend on
//! the machine.
//!
//! A layer is cut into blocks of a fixed size, each compressed by itself: a gzip member (RFC 1952,
//! section 2.2: a file is a sequence of them) or a zstd frame (RFC 8878, section 3). Blocks can so be
//! compressed in any order, by any number of threads, to the same bytes.

use std::io;

use libdeflater::{CompressionLvl, Compressor};
use zstd::zstd_safe::CParameter;

use crate::image::media_type;

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression {
    format: Format,
    level: u8,
}

/// The formats a layer may have (image-spec, layer, "+gzip" and "+zstd" media types).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Read by every client there is.
    Gzip,
    /// Smaller and several times faster; read by containerd 1.5, Docker 23, Podman and newer.
    Zstd,
    /// A plain tar stream.
    None,
}

impl Format {
    /// The default level, then the lowest and the highest.
    const fn levels(self) -> (u8, u8, u8) {
        match self {
            Self::Gzip => (1, 1, 12),
            Self::Zstd => (3, 1, 19),
            Self::None => (0, 0, 0),
        }
    }

    /// Bytes compressed by themselves: what follows cannot refer to what was before, so larger blocks
    /// come out smaller, and take more memory.
    pub(super) const fn block_bytes(self) -> usize {
        match self {
            Self::Gzip | Self::None => 1 << 20,
            Self::Zstd => 4 << 20,
        }
    }

    /// Blocks have to be compressed, or can be handed on.
    pub(super) const fn is_compressed(self) -> bool {
        !matches!(self, Self::None)
    }
}

/// A level that the format does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("compression level {level} is not between {lowest} and {highest}")]
pub struct LevelError {
    /// What was asked for.
    pub level: u8,
    /// The lowest level there is.
    pub lowest: u8,
    /// The highest level there is.
    pub highest: u8,
}

impl Compression {
    /// The format at a level of its own scale, or at its default.
    pub fn new(format: Format, level: Option<u8>) -> Result<Self, LevelError> {
        let (default, lowest, highest) = format.levels();
        let level = level.unwrap_or(default);
        if (lowest..=highest).contains(&level) {
            return Ok(Self { format, level });
        }
        Err(LevelError { level, lowest, highest })
    }

    /// The format.
    pub fn format(self) -> Format {
        self.format
    }

    /// The level on the format's own scale; 0 where it has none.
    pub fn level(self) -> u8 {
        self.level
    }

    /// Media type of a layer so compressed.
    pub fn media_type(self) -> &'static str {
        match self.format {
            Format::Gzip => media_type::IMAGE_LAYER_GZIP,
            Format::Zstd => media_type::IMAGE_LAYER_ZSTD,
            Format::None => media_type::IMAGE_LAYER,
        }
    }

    pub(super) fn encoder(self) -> io::Result<Encoder> {
        Ok(match self.format {
            Format::Gzip => Encoder::Gzip { compress: deflate(self.level), store: deflate(0), seen: Seen::default() },
            Format::Zstd => Encoder::Zstd(zstd_compressor(self.level)?),
            Format::None => Encoder::None,
        })
    }
}

impl Default for Compression {
    fn default() -> Self {
        let (level, _, _) = Format::Gzip.levels();
        Self { format: Format::Gzip, level }
    }
}

fn deflate(level: u8) -> Compressor {
    Compressor::new(CompressionLvl::new(i32::from(level)).expect("the levels above are libdeflate's"))
}

/// A compressor at the level. From level 10 on its tables are held to some 10 MiB, where they would take up to 80: they would
/// be larger than the block and all others together.
fn zstd_compressor(level: u8) -> io::Result<zstd::bulk::Compressor<'static>> {
    let mut compressor = zstd::bulk::Compressor::new(i32::from(level))?;
    match level {
        // These remember places by their hash alone.
        10..=12 => compressor.set_parameter(CParameter::HashLog(21))?,
        // These in a tree besides.
        13.. => {
            compressor.set_parameter(CParameter::HashLog(20))?;
            compressor.set_parameter(CParameter::ChainLog(20))?;
        }
        _ => {}
    }
    Ok(compressor)
}

/// Compresses one block after the other, each without a memory of those before.
pub(super) enum Encoder {
    Gzip {
        /// At the level asked for.
        compress: Compressor,
        /// Without compression.
        store: Compressor,
        /// For finding out which of both it should be.
        seen: Seen,
    },
    Zstd(zstd::bulk::Compressor<'static>),
    None,
}

impl Encoder {
    /// Compresses the first `filled` bytes of `block` into `output`; answers how many they become. Both are room, which
    /// is kept for the next block, and may be exchanged.
    pub(super) fn encode(&mut self, block: &mut Vec<u8>, filled: usize, output: &mut Vec<u8>) -> io::Result<usize> {
        let bytes = &block[..filled];
        match self {
            Self::Gzip { compress, store, seen } => {
                // zstd finds out by itself; deflate would try as hard as it can.
                let compressor = if is_incompressible(bytes, seen) { store } else { compress };
                // A gzip member without name and time.
                make_room(output, compressor.gzip_compress_bound(filled));
                compressor.gzip_compress(bytes, output).map_err(|_| io::ErrorKind::OutOfMemory.into())
            }
            Self::Zstd(compressor) => {
                make_room(output, zstd::zstd_safe::compress_bound(filled));
                compressor.compress_to_buffer(bytes, &mut output[..])
            }
            Self::None => {
                std::mem::swap(block, output);
                Ok(filled)
            }
        }
    }
}

fn make_room(output: &mut Vec<u8>, bytes: usize) {
    if output.len() < bytes {
        *output = vec![0; bytes];
    }
}

/// Bytes of a block in which repetitions are looked for: twice the distance that deflate looks back.
const PROBE_BYTES: usize = 64 << 10;

/// Bits of the hash of four bytes.
const HASH_BITS: u32 = 14;

/// Archives, images, films and keys: deflate makes them larger, twenty times slower than copying.
///
/// Looks at the block alone. Bytes that are not about equally frequent compress; those that are, only if they repeat
/// themselves, which is looked for in a part.
fn is_incompressible(block: &[u8], seen: &mut Seen) -> bool {
    let start = (block.len() / 2).saturating_sub(PROBE_BYTES / 2);
    let part = &block[start..block.len().min(start + PROBE_BYTES)];
    if part.len() < PROBE_BYTES {
        return false;
    }
    let mut counts = [0_u64; 256];
    // From all of the block, and not always the same column of a table.
    for byte in block.iter().step_by(61) {
        counts[usize::from(*byte)] += 1;
    }
    let total: u64 = counts.iter().sum();
    let squares: u64 = counts.iter().map(|count| count * count).sum();
    // Random bytes have total²/256 + total; a twentieth more is far from what anything else has.
    let even = total * total / 256 + total;
    // Each place is a byte that a repetition could save, so fewer than a hundredth save less than that.
    squares <= even + even / 20 && seen.repetitions(part) < part.len() / 100
}

/// Four bytes in a row that were there before, by their hash.
pub(super) struct Seen(Vec<u32>);

impl Default for Seen {
    fn default() -> Self {
        Self(vec![0; 1 << HASH_BITS])
    }
}

impl Seen {
    /// At how many places of `part` there are four bytes that were there before; of a few that is not remembered.
    fn repetitions(&mut self, part: &[u8]) -> usize {
        // What the last part has left would show in the result.
        self.0.fill(0);
        let mut found = 0;
        for four in part.windows(4) {
            let number = u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
            let place = number.wrapping_mul(0x9e37_79b1) >> (u32::BITS - HASH_BITS);
            let last = std::mem::replace(&mut self.0[place as usize], number);
            found += usize::from(last == number);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(size: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut bytes = Vec::with_capacity(size + 8);
        while bytes.len() < size {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend(state.to_le_bytes());
        }
        bytes.truncate(size);
        bytes
    }

    #[test]
    fn levels_have_limits() {
        for (format, lowest, highest) in [(Format::Gzip, 1, 12), (Format::Zstd, 1, 19), (Format::None, 0, 0)] {
            for level in [lowest, highest] {
                Compression::new(format, Some(level)).expect("in range");
            }
            let refused = Compression::new(format, Some(highest + 1)).expect_err("too high");
            assert_eq!(refused, LevelError { level: highest + 1, lowest, highest });
        }
        assert_eq!(Compression::new(Format::Gzip, None), Ok(Compression::default()));
    }

    #[test]
    fn noise_is_stored_and_nothing_else_is() {
        let mut seen = Seen::default();
        let mut incompressible = |block: &[u8]| is_incompressible(block, &mut seen);
        assert!(incompressible(&noise(1 << 20)));
        // Too little to tell.
        assert!(!incompressible(&noise(PROBE_BYTES - 1)));
        assert!(!incompressible(&[]));
        let text: Vec<u8> = (0..200_000u32).flat_map(|i| i.to_string().into_bytes()).collect();
        assert!(!incompressible(&text));
        // Even frequencies, and yet the same again and again.
        let ramp: Vec<u8> = (0..=u8::MAX).cycle().take(1 << 20).collect();
        assert!(!incompressible(&ramp));
        let repeated = noise(16 << 10).repeat(64);
        assert!(!incompressible(&repeated));
        // Half of it is worth the trouble.
        let mut half = noise(1 << 20);
        half[..1 << 19].fill(b' ');
        assert!(!incompressible(&half));
    }

    #[test]
    fn tables_that_are_held_small_lose_no_byte() {
        let text: Vec<u8> = (0..30_000u32).flat_map(|i| (i * i % 9973).to_string().into_bytes()).collect();
        for level in 9..=19 {
            let compression = Compression::new(Format::Zstd, Some(level)).expect("a level there is");
            let (mut block, mut output) = (text.clone(), Vec::new());
            let mut encoder = compression.encoder().expect("tables of this size");
            let size = encoder.encode(&mut block, text.len(), &mut output).expect("encoded");
            assert!(zstd::decode_all(&output[..size]).expect("a frame") == text, "{level}");
        }
    }

    #[test]
    fn stored_blocks_grow_by_next_to_nothing() {
        let mut encoder = Compression::default().encoder().expect("gzip");
        let (mut block, mut output) = (noise(1 << 20), Vec::new());
        let size = encoder.encode(&mut block, 1 << 20, &mut output).expect("encoded");
        assert!(size < (1 << 20) + 200, "{size}");
    }
}
