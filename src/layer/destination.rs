//! Where in the image the context lands.

use std::fmt;

/// The longest destination accepted, in bytes.
const MAX_DESTINATION_BYTES: usize = 4096;

/// An absolute directory of the image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Destination {
    /// Components joined by `/`, without one at either end; empty for the image's root.
    path: String,
}

/// Why a text is not a destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// It leads upward.
    #[error("`{0}` has `..` in it")]
    Upward(String),
    /// It has a NUL byte, which no path can have.
    #[error("the path has a NUL byte in it")]
    Nul,
    /// It is longer than a path can be.
    #[error("the path has {0} bytes, more than the {MAX_DESTINATION_BYTES} allowed")]
    TooLong(usize),
}

impl Destination {
    /// Reads a path; a relative one is meant from the image's root.
    pub fn parse(path: &str) -> Result<Self, DestinationError> {
        if path.len() > MAX_DESTINATION_BYTES {
            return Err(DestinationError::TooLong(path.len()));
        }
        if path.contains('\0') {
            return Err(DestinationError::Nul);
        }
        let names: Vec<&str> = path.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
        if names.contains(&"..") {
            return Err(DestinationError::Upward(path.to_owned()));
        }
        Ok(Self { path: names.join("/") })
    }

    /// The directories on the way, outermost first, the destination itself last; none for the root.
    pub(super) fn directories(&self) -> impl Iterator<Item = &str> {
        let ends = self.path.match_indices('/').map(|(end, _)| end);
        let own = (!self.path.is_empty()).then_some(self.path.len());
        ends.chain(own).map(|end| &self.path[..end])
    }

    /// The name in the archive of something in the context.
    pub(super) fn name(&self, relative: &[u8]) -> Vec<u8> {
        if self.path.is_empty() {
            return relative.to_vec();
        }
        [self.path.as_bytes(), relative].join(&b'/')
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_cleaned_and_listed_from_the_outside() {
        for (given, shown, directories) in [
            ("/", "/", &[][..]),
            ("", "/", &[]),
            (".", "/", &[]),
            ("/app", "/app", &["app"]),
            ("app/", "/app", &["app"]),
            ("//srv/./data/", "/srv/data", &["srv", "srv/data"]),
        ] {
            let destination = Destination::parse(given).expect(given);
            assert_eq!(destination.to_string(), shown);
            assert_eq!(destination.directories().collect::<Vec<_>>(), directories, "{given}");
        }
        assert_eq!(Destination::parse("/a").expect("valid").name(b"b\xff"), b"a/b\xff");
        assert_eq!(Destination::default().name(b"b"), b"b");
    }

    #[test]
    fn refusals() {
        assert!(matches!(Destination::parse("/a/../b"), Err(DestinationError::Upward(_))));
        assert_eq!(Destination::parse("a\0b"), Err(DestinationError::Nul));
        assert_eq!(Destination::parse(&"a".repeat(4097)), Err(DestinationError::TooLong(4097)));
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_settles(text in ".{0,60}") {
            if let Ok(destination) = Destination::parse(&text) {
                prop_assert_eq!(Destination::parse(&destination.to_string()), Ok(destination));
            }
        }
    }
}
