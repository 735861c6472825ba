//! Decompression of layers, whichever program compressed them.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

use crate::image::media_type;
use crate::layer::Format;

/// Compressed bytes read at a time.
const READ_BYTES: usize = 128 << 10;

/// The most bytes that [`detect`] needs.
pub const MARK_BYTES: usize = 6;

/// Returns how a stream is compressed by its first [`MARK_BYTES`]; the error names a compression that we do not undo.
pub fn detect(start: &[u8]) -> Result<Format, &'static str> {
    match start {
        [0x1f, 0x8b, ..] => Ok(Format::Gzip),
        // Frames that decoders skip (RFC 8878, 3.1.2) may come before the first that has content.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Format::Zstd),
        [b'B', b'Z', b'h', ..] => Err("bzip2"),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Err("xz"),
        _ => Ok(Format::None),
    }
}

impl Format {
    /// Returns the format that a layer's media type names, OCI's or Docker's; none for an unknown type.
    pub fn of(media_type: &str) -> Option<Self> {
        match media_type {
            media_type::IMAGE_LAYER | "application/vnd.docker.image.rootfs.diff.tar" => Some(Self::None),
            media_type::IMAGE_LAYER_GZIP | "application/vnd.docker.image.rootfs.diff.tar.gzip" => Some(Self::Gzip),
            media_type::IMAGE_LAYER_ZSTD | "application/vnd.docker.image.rootfs.diff.tar.zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// Undoes a compression while it is read. Members of gzip and frames of zstd follow one another to the
/// source's end, and zeros may pad a gzip file, as they do on tapes; a zstd window of more than 128 MiB is refused.
pub enum Decoder<R: Read> {
    /// RFC 1952.
    Gzip(Box<Members<BufReader<R>>>),
    /// RFC 8878.
    Zstd(Box<zstd::Decoder<'static, BufReader<R>>>),
    /// Nothing to undo.
    None(R),
}

impl<R: Read> Decoder<R> {
    /// Reads `inner`, which has the format.
    pub fn new(format: Format, inner: R) -> io::Result<Self> {
        let buffered = |inner| BufReader::with_capacity(READ_BYTES, inner);
        Ok(match format {
            Format::Gzip => Self::Gzip(Box::new(Members(Some(GzDecoder::new(buffered(inner)))))),
            Format::Zstd => Self::Zstd(Box::new(zstd::Decoder::with_buffer(buffered(inner))?)),
            Format::None => Self::None(inner),
        })
    }
}

impl<R: Read> Decoder<Cursored<R>> {
    /// Reads `inner`, a layer of a media type that [`Format::of`] knows. Its first bytes say how it is compressed: tools
    /// copy layers under types that do not fit, and every engine looks at the bytes. Whether it is the layer that was
    /// meant, its `diff_id` proves.
    ///
    /// # Errors
    /// What `inner` fails with, and a compression that is not undone here, of the kind `Unsupported`.
    pub fn detecting(mut inner: R) -> io::Result<Self> {
        let mut start = Vec::with_capacity(MARK_BYTES);
        (&mut inner).take(MARK_BYTES as u64).read_to_end(&mut start)?;
        let format = detect(&start).map_err(|compression| {
            io::Error::new(io::ErrorKind::Unsupported, format!("it is compressed with {compression}"))
        })?;
        Self::new(format, io::Cursor::new(start).chain(inner))
    }
}

/// A source with its first bytes in front, which have been read.
pub type Cursored<R> = io::Chain<io::Cursor<Vec<u8>>, R>;

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
            Self::None(inner) => inner.read(buffer),
        }
    }
}

/// The members of a gzip file, one after the other; none after the last one.
pub struct Members<R>(Option<GzDecoder<R>>);

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.0 {
            let count = member.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let source = member.get_mut();
            let goes_on = match source.fill_buf()?.first() {
                None => false,
                Some(0) => {
                    only_zeros(source)?;
                    false
                }
                Some(_) => true,
            };
            self.0 = self.0.take().filter(|_| goes_on).map(|member| GzDecoder::new(member.into_inner()));
        }
        Ok(0)
    }
}

/// Reads to the end, and fails if there is anything but zeros.
fn only_zeros(source: &mut impl BufRead) -> io::Result<()> {
    loop {
        let bytes = source.fill_buf()?;
        if bytes.is_empty() {
            return Ok(());
        }
        if bytes.iter().any(|byte| *byte != 0) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "something follows the end of the gzip file"));
        }
        let count = bytes.len();
        source.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_one_another_is_one_stream() {
        fn pack(format: Format, text: &str) -> Vec<u8> {
            match format {
                Format::Gzip => {
                    let mut encoder = flate2::read::GzEncoder::new(text.as_bytes(), flate2::Compression::new(6));
                    let mut bytes = Vec::new();
                    encoder.read_to_end(&mut bytes).expect("in memory");
                    bytes
                }
                Format::Zstd => zstd::bulk::compress(text.as_bytes(), 3).expect("in memory"),
                Format::None => text.as_bytes().to_vec(),
            }
        }
        for format in [Format::Gzip, Format::Zstd, Format::None] {
            let bytes = ["one, ", "", "two"].map(|text| pack(format, text)).concat();
            let mut text = String::new();
            Decoder::new(format, &bytes[..]).and_then(|mut d| d.read_to_string(&mut text)).expect("read");
            assert_eq!(text, "one, two", "{format:?}");
        }
    }

    #[test]
    fn zeros_may_pad_gzip_and_nothing_else() {
        let mut packed = Vec::new();
        flate2::read::GzEncoder::new(&b"text"[..], flate2::Compression::new(6))
            .read_to_end(&mut packed)
            .expect("packed");
        let read = |padding: &[u8]| {
            let bytes = [&packed, padding].concat();
            let mut text = String::new();
            Decoder::new(Format::Gzip, &bytes[..])
                .and_then(|mut decoder| decoder.read_to_string(&mut text))
                .map(|_| text)
        };
        for count in [0, 1, 10 << 10, 300 << 10] {
            assert_eq!(read(&vec![0; count]).expect("padded"), "text", "{count}");
        }
        for padding in [&b"x"[..], &[0, 0, 1], &[&[0; 512], &packed[..]].concat(), &packed[..3]] {
            assert!(read(padding).is_err(), "{padding:?}");
        }
    }

    #[test]
    fn media_types_say_how_a_layer_is_compressed() {
        let docker = "application/vnd.docker.image.rootfs.diff.tar";
        for (media_type, format) in [
            (media_type::IMAGE_LAYER, Some(Format::None)),
            (media_type::IMAGE_LAYER_GZIP, Some(Format::Gzip)),
            (media_type::IMAGE_LAYER_ZSTD, Some(Format::Zstd)),
            (docker, Some(Format::None)),
            (&format!("{docker}.gzip"), Some(Format::Gzip)),
            (&format!("{docker}.zstd"), Some(Format::Zstd)),
            ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", None),
            ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", None),
            ("", None),
        ] {
            assert_eq!(Format::of(media_type), format, "{media_type}");
        }
    }

    #[test]
    fn the_first_bytes_say_how_a_layer_is_compressed() {
        let mut gzip = Vec::new();
        flate2::read::GzEncoder::new(&b"text"[..], flate2::Compression::new(6)).read_to_end(&mut gzip).expect("packed");
        let zstd = zstd::bulk::compress(b"text", 3).expect("in memory");
        let skippable = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3][..], &zstd].concat();
        for bytes in [&gzip[..], &zstd, &skippable, b"text"] {
            let mut text = String::new();
            Decoder::detecting(bytes).and_then(|mut decoder| decoder.read_to_string(&mut text)).expect("read");
            assert_eq!(text, "text");
        }
        for bytes in [&b""[..], b"t"] {
            let mut text = Vec::new();
            Decoder::detecting(bytes).and_then(|mut decoder| decoder.read_to_end(&mut text)).expect("read");
            assert_eq!(text, bytes);
        }
        for (bytes, name) in [(&b"BZh91AY"[..], "bzip2"), (b"\xfd7zXZ\0", "xz")] {
            let Err(error) = Decoder::detecting(bytes) else { panic!("{name}") };
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn torn_streams_are_errors() {
        for (format, bytes) in [
            (Format::Zstd, zstd::bulk::compress(b"some text or other", 3).expect("in memory")),
            (Format::Zstd, b"\x28\xb5\x2f\xfd______".to_vec()),
            (Format::Gzip, b"\x1f\x8b\x08____".to_vec()),
        ] {
            let torn = &bytes[..bytes.len() - 1];
            let result = Decoder::new(format, torn).and_then(|mut decoder| io::copy(&mut decoder, &mut io::sink()));
            assert!(result.is_err(), "{format:?}");
        }
    }
}
