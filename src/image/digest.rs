//! Content digests (OCI image-spec, "Digests"): SHA-256, the one algorithm every registry accepts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest, printed as `sha256:` and 64 lower-case hexadecimal digits.
///
/// Equality of digests is identity of content.
///
/// ```
/// use idpbuilder_oci::image::Digest;
///
/// let digest = Digest::of(b"{}");
/// assert_eq!(digest.to_string(), "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
/// assert_eq!(digest.to_string().parse(), Ok(digest));
/// assert_eq!(digest.short(), "44136fa355b3");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Why a text is not a digest we can work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// No `algorithm:hex` shape, or the hexadecimal part has the wrong length or letters.
    #[error("`{0}` is not a digest (expected sha256: and 64 lower-case hexadecimal digits)")]
    Malformed(String),
    /// A registered algorithm other than sha256.
    #[error("digest algorithm `{0}` is not supported (only sha256 is)")]
    Algorithm(String),
}

impl Digest {
    /// Returns the digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Returns the 32 bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the 64 hexadecimal digits without the algorithm: the blob's file name in a layout.
    pub fn hex(&self) -> String {
        let mut hex = String::with_capacity(64);
        for byte in self.0 {
            for nibble in [byte >> 4, byte & 0xf] {
                hex.push(char::from_digit(u32::from(nibble), 16).expect("a nibble is below 16"));
            }
        }
        hex
    }

    /// Returns the first 12 hexadecimal digits, as people are shown ids.
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }

    /// Parses exactly 64 lower-case hexadecimal digits.
    pub fn from_hex(hex: &str) -> Result<Self, DigestError> {
        let malformed = || DigestError::Malformed(hex.chars().take(80).collect());
        if hex.len() != 64 {
            return Err(malformed());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let value = |digit: u8| match digit {
                b'0'..=b'9' => Some(digit - b'0'),
                b'a'..=b'f' => Some(digit - b'a' + 10),
                _ => None,
            };
            let (Some(high), Some(low)) = (value(pair[0]), value(pair[1])) else {
                return Err(malformed());
            };
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let malformed = || DigestError::Malformed(text.chars().take(80).collect());
        let (algorithm, hex) = text.split_once(':').ok_or_else(malformed)?;
        if algorithm == "sha256" {
            return Self::from_hex(hex).map_err(|_| malformed());
        }
        let registered = !algorithm.is_empty()
            && algorithm.len() <= 32
            && algorithm.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+._-".contains(&b));
        if registered && hex.len() >= 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(DigestError::Algorithm(algorithm.to_owned()));
        }
        Err(malformed())
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A running SHA-256 that also counts its input.
#[derive(Debug, Clone, Default)]
pub struct Hasher {
    state: Sha256,
    count: u64,
}

impl Hasher {
    /// Feeds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.count += bytes.len() as u64;
    }

    /// Returns the number of bytes hashed so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the digest and the number of bytes it covers.
    pub fn finish(self) -> (Digest, u64) {
        (Digest(self.state.finalize().into()), self.count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn knows_the_empty_digest() {
        let text = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_string(), text);
        assert_eq!(text.parse(), Ok(Digest::of(b"")));
        assert_eq!(Hasher::default().finish(), (Digest::of(b""), 0));
    }

    #[test]
    fn refuses_what_is_not_a_digest() {
        for text in ["", "sha256", "sha256:", "sha256:abc", "e3b0c44298fc1c149afbf4c8996fb924", ":x"] {
            assert!(matches!(text.parse::<Digest>(), Err(DigestError::Malformed(_))), "{text}");
        }
        let upper = Digest::of(b"").to_string().to_uppercase().replace("SHA256", "sha256");
        assert!(matches!(upper.parse::<Digest>(), Err(DigestError::Malformed(_))));
        let long = format!("sha512:{}", "a".repeat(128));
        assert_eq!(long.parse::<Digest>(), Err(DigestError::Algorithm("sha512".into())));
    }

    #[test]
    fn every_limit_of_a_digest_holds_to_the_byte() {
        for length in [63, 65] {
            let hex = "a".repeat(length);
            assert!(matches!(Digest::from_hex(&hex), Err(DigestError::Malformed(_))), "{length}");
            assert!(matches!(format!("sha256:{hex}").parse::<Digest>(), Err(DigestError::Malformed(_))), "{length}");
        }
        for digit in ['g', 'A', 'F', '/', ':', '`', '\u{ff10}'] {
            for hex in [format!("{digit}{}", "a".repeat(63)), format!("{}{digit}", "a".repeat(63))] {
                assert!(Digest::from_hex(&hex).is_err(), "{hex}");
            }
        }
        let all = "0123456789abcdef".repeat(4);
        assert_eq!(Digest::from_hex(&all).map(|digest| digest.hex()), Ok(all));
        // Of another algorithm only if it can be one: a name of 1 to 32 characters, 32 digits at least.
        for (name, digits, is_one) in [("x", 32, true), ("x", 31, false), ("", 32, false), ("Sha1", 40, false)] {
            let parsed = format!("{name}:{}", "a".repeat(digits)).parse::<Digest>();
            assert_eq!(matches!(parsed, Err(DigestError::Algorithm(_))), is_one, "{name} {digits}: {parsed:?}");
        }
        for (length, is_one) in [(32, true), (33, false)] {
            let parsed = format!("{}:{}", "x".repeat(length), "a".repeat(64)).parse::<Digest>();
            assert_eq!(matches!(parsed, Err(DigestError::Algorithm(_))), is_one, "{length}");
        }
        let DigestError::Malformed(shown) = "x".repeat(1000).parse::<Digest>().expect_err("no digest") else {
            panic!()
        };
        assert_eq!(shown.len(), 80);
    }

    proptest! {
        #[test]
        fn text_round_trips(bytes: Vec<u8>) {
            let digest = Digest::of(&bytes);
            prop_assert_eq!(digest.to_string().parse(), Ok(digest));
        }

        #[test]
        fn parsing_never_panics(text in ".*") {
            let _ = text.parse::<Digest>();
        }
    }
}
