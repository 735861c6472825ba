//! Compression of a layer: which bytes come out is part of the image, so nothing here may depend on
//! the machine.

use std::io::{self, Write};

use flate2::GzBuilder;
use flate2::write::GzEncoder;

use crate::image::media_type;

/// gzip's usual trade of time for size.
const GZIP_LEVEL: u32 = 6;

/// RFC 1952 "OS" of a file system that is not told.
const GZIP_OS_UNKNOWN: u8 = 255;

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// One gzip member at a fixed level, without name and time.
    #[default]
    Gzip,
}

impl Compression {
    /// Media type of a layer so compressed.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Gzip => media_type::IMAGE_LAYER_GZIP,
        }
    }

    pub(super) fn encoder<W: Write>(self, inner: W) -> Encoder<W> {
        match self {
            Self::Gzip => Encoder::Gzip(
                GzBuilder::new()
                    .mtime(0)
                    .operating_system(GZIP_OS_UNKNOWN)
                    .write(inner, flate2::Compression::new(GZIP_LEVEL)),
            ),
        }
    }
}

/// A compressor over the writer that takes its output.
pub(super) enum Encoder<W: Write> {
    Gzip(GzEncoder<W>),
}

impl<W: Write> Encoder<W> {
    /// Writes the trailer and gives the writer back.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.flush(),
        }
    }
}
