//! Follows the bytes of a blob that is sent.

use crate::image::{Digest, Hasher};

/// Follows a blob's bytes from the first on: hashes them, or counts them where the source vouches for their digest.
#[derive(Clone)]
pub(in crate::registry) enum ContentCheck {
    /// The bytes are hashed.
    Hash(Box<Hasher>),
    /// The file is the one that was hashed when it was written: the bytes are counted.
    Trust(u64),
}

impl ContentCheck {
    /// Returns a check that has seen nothing; `trusted` where the source vouches for its content.
    pub(in crate::registry) fn new(trusted: bool) -> Self {
        if trusted { Self::Trust(0) } else { Self::Hash(Box::default()) }
    }

    /// Returns a check of this kind that has seen nothing.
    pub(in crate::registry) fn restarted(&self) -> Self {
        Self::new(matches!(self, Self::Trust(_)))
    }

    /// Returns the number of bytes seen.
    pub(in crate::registry) fn count(&self) -> u64 {
        match self {
            Self::Hash(hasher) => hasher.count(),
            Self::Trust(count) => *count,
        }
    }

    /// Takes the next bytes.
    pub(in crate::registry) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Hash(hasher) => hasher.update(bytes),
            Self::Trust(count) => *count += bytes.len() as u64,
        }
    }

    /// Goes on to `offset` without the bytes, if it only counts them.
    pub(in crate::registry) fn skip_to(&mut self, offset: u64) -> bool {
        match self {
            Self::Hash(_) => false,
            Self::Trust(count) => {
                *count = offset;
                true
            }
        }
    }

    /// Returns the digest of what was seen, which is not `expected` if the content is another.
    pub(in crate::registry) fn digest(&self, expected: Digest) -> Digest {
        match self {
            Self::Hash(hasher) => Hasher::clone(hasher).finish().0,
            Self::Trust(_) => expected,
        }
    }
}
