//! Compression of a layer: which bytes come out is part of the image, so nothing here may depend on
//! the machine.
//!
//! A layer is cut into blocks of a fixed size, each compressed by itself: a gzip member (RFC 1952,
//! section 2.2: a file is a sequence of them) or a zstd frame (RFC 8878, section 3). Blocks can so be
//! compressed in any order, by any number of threads, to the same bytes.

pub(super) mod decompress;
pub(super) mod fast_deflate;
pub(super) mod parallel;
pub(super) mod repetition;
pub(super) mod stage;

use std::io;

use libdeflater::{CompressionLvl, Compressor};
use zstd::zstd_safe::CParameter;

use crate::image::media_type;
use fast_deflate::FastDeflate;
use repetition::SeenSequences;

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
    /// Returns the default level, then the lowest and the highest.
    const fn levels(self) -> (u8, u8, u8) {
        match self {
            Self::Gzip => (1, 1, 12),
            Self::Zstd => (3, 1, 19),
            Self::None => (0, 0, 0),
        }
    }

    /// Returns the size of a block in bytes: matches cannot cross blocks, so larger blocks compress better and take
    /// more memory.
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
    /// The requested level.
    pub level: u8,
    /// The lowest level there is.
    pub lowest: u8,
    /// The highest level there is.
    pub highest: u8,
}

impl Compression {
    /// Returns the format at a level of its own scale, or at its default.
    pub fn new(format: Format, level: Option<u8>) -> Result<Self, LevelError> {
        let (default, lowest, highest) = format.levels();
        let level = level.unwrap_or(default);
        if (lowest..=highest).contains(&level) {
            return Ok(Self { format, level });
        }
        Err(LevelError { level, lowest, highest })
    }

    /// Returns the format.
    pub fn format(self) -> Format {
        self.format
    }

    /// Returns the level on the format's own scale; 0 where it has none.
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
            Format::Gzip => Encoder::Gzip(Box::new(Gzip::new(self.level))),
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

/// Returns a compressor at the level. From level 10 on its tables are held to some 10 MiB, where they would take up to
/// 80: they would be larger than the block and all others together.
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
    Gzip(Box<Gzip>),
    Zstd(zstd::bulk::Compressor<'static>),
    None,
}

impl Encoder {
    /// Compresses the first `filled` bytes of `block` into `output`; returns the compressed length. Both are reusable
    /// buffers and may be swapped.
    pub(super) fn encode(&mut self, block: &mut Vec<u8>, filled: usize, output: &mut Vec<u8>) -> io::Result<usize> {
        let bytes = &block[..filled];
        match self {
            Self::Gzip(gzip) => gzip.encode(bytes, output),
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

/// Chooses a compressor for each block by how much of the block repeats. The choice depends on the block alone.
pub(super) struct Gzip {
    seen: SeenSequences,
    /// For blocks in which little repeats.
    quick: FastDeflate,
    /// Less repetitions than these are little.
    little_percent: usize,
    /// At the level asked for.
    usual: Compressor,
    /// For blocks in which much repeats.
    harder: Option<Compressor>,
}

/// Where less repeats, the fastest level takes twice as long as [`FastDeflate`] or more, for two percent at most.
const LITTLE_PERCENT: usize = 25;

/// From this many repetitions on, the fastest level loses most beside others, and the others take the least time.
const MUCH_PERCENT: usize = 80;

/// The level for those.
const MUCH_LEVEL: u8 = 4;

impl Gzip {
    fn new(level: u8) -> Self {
        let is_fastest = level == 1;
        Self {
            seen: SeenSequences::default(),
            quick: FastDeflate::default(),
            // Who asks for more has it wherever there is something to find.
            little_percent: if is_fastest { LITTLE_PERCENT } else { 1 },
            usual: deflate(level),
            harder: is_fastest.then(|| deflate(MUCH_LEVEL)),
        }
    }

    fn encode(&mut self, block: &[u8], output: &mut Vec<u8>) -> io::Result<usize> {
        let percent = self.seen.percent(block);
        if percent < self.little_percent {
            make_room(output, FastDeflate::bound(block.len()));
            return Ok(self.quick.gzip(block, output));
        }
        let compressor = match &mut self.harder {
            Some(harder) if percent >= MUCH_PERCENT => harder,
            _ => &mut self.usual,
        };
        // A gzip member without name and time.
        make_room(output, compressor.gzip_compress_bound(block.len()));
        compressor.gzip_compress(block, output).map_err(|_| io::ErrorKind::OutOfMemory.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

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

    fn gzip_size(level: u8, block: &[u8]) -> usize {
        let mut encoder = Compression::new(Format::Gzip, Some(level)).expect("a level").encoder().expect("memory");
        let mut output = Vec::new();
        let size = encoder.encode(&mut block.to_vec(), block.len(), &mut output).expect("encoded");
        let mut read = Vec::new();
        flate2::read::GzDecoder::new(&output[..size]).read_to_end(&mut read).expect("gzip");
        assert!(read == block, "level {level}");
        size
    }

    #[test]
    fn a_block_has_what_gains_most_there() {
        let numbers: Vec<u8> = (0..100_000_u32).flat_map(|number| (number * 7919).to_string().into_bytes()).collect();
        let lines: Vec<u8> =
            (0..20_000_u32).flat_map(|line| format!("    let n = {};\n", line % 977).into_bytes()).collect();
        let libdeflate = |level, block: &[u8]| {
            let mut output = vec![0; block.len() * 2];
            deflate(level).gzip_compress(block, &mut output).expect("room")
        };
        // In the middle.
        assert_eq!(gzip_size(1, &numbers), libdeflate(1, &numbers));
        // Much repeats.
        assert_eq!(gzip_size(1, &lines), libdeflate(MUCH_LEVEL, &lines));
        assert_eq!(gzip_size(2, &lines), libdeflate(2, &lines));
        // Nothing does.
        for level in [1, 6, 12] {
            assert!(gzip_size(level, &noise(1 << 20)) < (1 << 20) + 200, "level {level}");
        }
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
}
