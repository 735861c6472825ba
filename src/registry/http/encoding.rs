//! Bodies that are encoded although they were asked for as they are (RFC 9110 section 8.4).
//!
//! A registry must send a blob's own bytes, and is asked to (`Accept-Encoding: identity`). Some proxies compress all the
//! same. A storage may also say `Content-Encoding: gzip` of a layer because the layer is one, so the raw bytes come
//! first: only where they are not what they should be are they decoded.

use std::io::{self, Write};

use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use crate::text;

/// Characters kept of the name of an encoding.
const MAX_NAME: usize = 40;

/// How a body is encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::registry) enum Encoding {
    /// Not at all.
    Identity,
    Gzip,
    /// zlib, which HTTP calls `deflate`.
    Deflate,
    Zstd,
    /// By an encoding that is not decoded here, or by several, with its name.
    Other(String),
}

impl Encoding {
    /// Returns the encoding that an answer's headers name.
    pub(in crate::registry) fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(CONTENT_ENCODING).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        let all = values.collect::<Vec<_>>().join(",").to_ascii_lowercase();
        let mut names = all.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "identity");
        match (names.next(), names.next()) {
            (None, _) => Self::Identity,
            (Some("gzip" | "x-gzip"), None) => Self::Gzip,
            (Some("deflate"), None) => Self::Deflate,
            (Some("zstd"), None) => Self::Zstd,
            _ => Self::Other(text::plain(&all, MAX_NAME)),
        }
    }

    /// Returns the name of an answer's encoding, fit to be shown.
    pub(in crate::registry) fn name_of(headers: &HeaderMap) -> String {
        match Self::of(headers) {
            Self::Identity => "identity".to_owned(),
            Self::Gzip => "gzip".to_owned(),
            Self::Deflate => "deflate".to_owned(),
            Self::Zstd => "zstd".to_owned(),
            Self::Other(name) => name,
        }
    }

    /// Returns whether the body has no encoding.
    pub(in crate::registry) fn is_identity(&self) -> bool {
        *self == Self::Identity
    }

    /// Returns a decoder for a body of up to `limit` bytes; `None` where there is nothing to decode, or no way to.
    pub(in crate::registry) fn decoder(&self, limit: u64) -> Option<Decoder> {
        let room = Room { bytes: Vec::new(), left: limit };
        Some(Decoder(match self {
            Self::Identity | Self::Other(_) => return None,
            Self::Gzip => Inner::Gzip(MultiGzDecoder::new(room)),
            Self::Deflate => Inner::Deflate(ZlibDecoder::new(room)),
            Self::Zstd => Inner::Zstd(Box::new(zstd::stream::write::Decoder::new(room).ok()?)),
        }))
    }

    /// Returns a whole body decoded; `None` where it is not encoded like that or has more than `limit` bytes.
    pub(in crate::registry) fn decode(&self, bytes: &[u8], limit: u64) -> Option<Vec<u8>> {
        let mut decoder = self.decoder(limit)?;
        let mut content = decoder.push(bytes).ok()?;
        content.extend(decoder.finish().ok()?);
        Some(content)
    }

    /// Returns what can be decoded of the beginning of a body, up to `limit` bytes.
    pub(in crate::registry) fn decode_beginning(&self, bytes: &[u8], limit: u64) -> Option<Vec<u8>> {
        let mut decoder = self.decoder(limit)?;
        // Where the body breaks off, the bytes before are still useful.
        let _ = decoder.write(bytes);
        let _ = decoder.flush();
        Some(std::mem::take(&mut decoder.room().bytes))
    }
}

/// Decodes a body piece by piece.
pub(in crate::registry) struct Decoder(Inner);

enum Inner {
    Gzip(MultiGzDecoder<Room>),
    Deflate(ZlibDecoder<Room>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Room>>),
}

/// Decoded bytes that were not taken yet, and how many may still come.
struct Room {
    bytes: Vec<u8>,
    left: u64,
}

impl Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if taken == 0 && !bytes.is_empty() {
            return Err(io::Error::other("the content has more bytes than it should"));
        }
        self.bytes.extend_from_slice(&bytes[..taken]);
        self.left -= taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Decoder {
    /// Returns the encoded bytes to push at a time: what they may become has to fit into memory. A few bytes of zstd
    /// stand for 128 KiB.
    pub(in crate::registry) fn piece(&self) -> usize {
        if matches!(self.0, Inner::Zstd(_)) { 256 } else { 4 << 10 }
    }

    /// Takes the next bytes of the body; answers what they decode to so far.
    pub(in crate::registry) fn push(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        self.write(bytes)?;
        self.flush()?;
        Ok(std::mem::take(&mut self.room().bytes))
    }

    /// Returns the bytes that are left when the body has ended. That it ended too early shows in the decoded bytes
    /// alone.
    pub(in crate::registry) fn finish(mut self) -> io::Result<Vec<u8>> {
        match &mut self.0 {
            Inner::Gzip(decoder) => decoder.try_finish()?,
            Inner::Deflate(decoder) => decoder.try_finish()?,
            Inner::Zstd(decoder) => decoder.flush()?,
        }
        Ok(std::mem::take(&mut self.room().bytes))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.0 {
            Inner::Gzip(decoder) => decoder.write_all(bytes),
            Inner::Deflate(decoder) => decoder.write_all(bytes),
            Inner::Zstd(decoder) => decoder.write_all(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Inner::Gzip(decoder) => decoder.flush(),
            Inner::Deflate(decoder) => decoder.flush(),
            Inner::Zstd(decoder) => decoder.flush(),
        }
    }

    fn room(&mut self) -> &mut Room {
        match &mut self.0 {
            Inner::Gzip(decoder) => decoder.get_mut(),
            Inner::Deflate(decoder) => decoder.get_mut(),
            Inner::Zstd(decoder) => decoder.get_mut(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn named(values: &[&'static str]) -> Encoding {
        let headers = values.iter().map(|value| (CONTENT_ENCODING, HeaderValue::from_static(value)));
        Encoding::of(&headers.collect())
    }

    fn encoded(encoding: &Encoding, bytes: &[u8]) -> Vec<u8> {
        let level = flate2::Compression::fast();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), level);
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), level);
        match encoding {
            Encoding::Gzip => gzip.write_all(bytes).and_then(|()| gzip.finish()).expect("encoded"),
            Encoding::Deflate => zlib.write_all(bytes).and_then(|()| zlib.finish()).expect("encoded"),
            _ => zstd::encode_all(bytes, 1).expect("encoded"),
        }
    }

    #[test]
    fn encodings_by_their_names() {
        for (values, expected) in [
            (&[][..], Encoding::Identity),
            (&["identity"], Encoding::Identity),
            (&[""], Encoding::Identity),
            (&["GZIP"], Encoding::Gzip),
            (&["x-gzip"], Encoding::Gzip),
            (&["identity, gzip"], Encoding::Gzip),
            (&["deflate"], Encoding::Deflate),
            (&["zstd"], Encoding::Zstd),
            (&["br"], Encoding::Other("br".into())),
            (&["gzip, gzip"], Encoding::Other("gzip, gzip".into())),
            (&["gzip", "br"], Encoding::Other("gzip,br".into())),
        ] {
            assert_eq!(named(values), expected, "{values:?}");
        }
    }

    #[test]
    fn bodies_are_decoded() {
        let bytes: Vec<u8> = (0..20_000u32).flat_map(u32::to_le_bytes).collect();
        let size = bytes.len() as u64;
        for encoding in [Encoding::Gzip, Encoding::Deflate, Encoding::Zstd] {
            let body = encoded(&encoding, &bytes);
            assert!(encoding.decode(&body, size).is_some_and(|decoded| decoded == bytes), "{encoding:?}");
            assert_eq!(encoding.decode(&body, size - 1), None, "{encoding:?}: too long");
            assert_eq!(encoding.decode(&bytes, size), None, "{encoding:?}: not encoded at all");
            let beginning = encoding.decode_beginning(&body[..body.len() / 2], 1000).expect("a beginning");
            assert!(bytes.starts_with(&beginning), "{encoding:?}");
        }
        assert_eq!(Encoding::Identity.decode(&bytes, size), None);
        assert_eq!(named(&["br"]).decode(&bytes, size), None);
    }

    #[test]
    fn the_beginning_of_a_short_text_is_all_of_it() {
        for encoding in [Encoding::Gzip, Encoding::Deflate, Encoding::Zstd] {
            let body = encoded(&encoding, b"no such repository");
            assert_eq!(
                encoding.decode_beginning(&body, 1000).as_deref(),
                Some(&b"no such repository"[..]),
                "{encoding:?}"
            );
        }
    }

    #[test]
    fn a_piece_becomes_no_more_than_fits_into_memory() {
        let bytes = vec![0; 64 << 20];
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            let body = encoded(&encoding, &bytes);
            let mut decoder = encoding.decoder(u64::MAX).expect("a decoder");
            let mut found = 0;
            for piece in body.chunks(decoder.piece()) {
                let content = decoder.push(piece).expect("decoded");
                assert!(content.len() <= 16 << 20, "{encoding:?}: {}", content.len());
                found += content.len();
            }
            found += decoder.finish().expect("whole").len();
            assert_eq!(found, bytes.len(), "{encoding:?}");
        }
    }

    proptest! {
        #[test]
        fn decoding_never_panics(bytes: Vec<u8>, cut in 0usize..200) {
            for encoding in [Encoding::Gzip, Encoding::Deflate, Encoding::Zstd] {
                let _ = (encoding.decode(&bytes, 1000), encoding.decode_beginning(&bytes, 1000));
                let mut body = encoded(&encoding, &bytes);
                body.truncate(cut);
                let _ = (encoding.decode(&body, 1000), encoding.decode_beginning(&body, 10));
            }
        }
    }
}
