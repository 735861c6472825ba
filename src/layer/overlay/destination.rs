//! Where in the image a source lands.

use std::fmt;

/// The longest destination accepted, in bytes.
const MAX_DESTINATION_BYTES: usize = 4096;

/// Where something lands: an absolute directory of the image, or a name in one for a single file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Destination {
    /// Components joined by `/`, without one at either end; empty for the image's root.
    path: String,
    /// What a single file is called there.
    file: Option<Vec<u8>>,
    /// What it is called by itself, where the path is not known to be a directory's.
    own: Option<Vec<u8>>,
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
    /// Reads the path of a directory; a relative one is meant from the image's root.
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
        Ok(Self { path: names.join("/"), ..Self::default() })
    }

    /// Reads the path of one file called `own`, which keeps its name in a directory: a path that ends with a slash, or
    /// turns out to be a directory's.
    pub fn parse_file(path: &str, own: &[u8]) -> Result<Self, DestinationError> {
        let parsed = Self::parse(path)?;
        if parsed.path.is_empty() || matches!(path.rsplit('/').next(), Some("" | ".")) {
            return Ok(Self { file: Some(own.to_vec()), ..parsed });
        }
        let (directory, name) = parsed.path.rsplit_once('/').unwrap_or(("", &parsed.path));
        let (file, own) = (Some(name.as_bytes().to_vec()), Some(own.to_vec()));
        Ok(Self { path: directory.to_owned(), file, own })
    }

    /// Returns whether things land at the image's root under their own names.
    pub fn is_root(&self) -> bool {
        self.path.is_empty() && self.own.is_none()
    }

    /// Returns whether the destination is that of a single file.
    pub fn is_file(&self) -> bool {
        self.file.is_some()
    }

    /// Returns the directory, without a slash at either end; empty for the image's root.
    pub(in crate::layer) fn directory(&self) -> &[u8] {
        self.path.as_bytes()
    }

    /// Returns what a single file is called there; `None` where things keep their names.
    pub(in crate::layer) fn file(&self) -> Option<&[u8]> {
        self.file.as_deref()
    }

    /// Returns what the single file is called in a directory that has the path, if that can be.
    pub(in crate::layer) fn own(&self) -> Option<&[u8]> {
        self.own.as_deref()
    }
}

/// The directory; of a single file, the file.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) if self.path.is_empty() => write!(f, "/{}", String::from_utf8_lossy(file)),
            Some(file) => write!(f, "/{}/{}", self.path, String::from_utf8_lossy(file)),
            None => write!(f, "/{}", self.path),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_cleaned() {
        for (given, shown) in
            [("/", "/"), ("", "/"), (".", "/"), ("/app", "/app"), ("app/", "/app"), ("//srv/./data/", "/srv/data")]
        {
            let destination = Destination::parse(given).expect(given);
            assert_eq!(destination.to_string(), shown);
            assert_eq!([b"/", destination.directory()].concat(), shown.as_bytes());
        }
    }

    #[test]
    fn a_file_lands_under_its_name_or_another() {
        for (given, directory, name, own) in [
            ("/", "", "own", false),
            ("/srv/", "srv", "own", false),
            ("/srv/.", "srv", "own", false),
            ("/srv", "", "srv", true),
            ("/etc/app/conf", "etc/app", "conf", true),
        ] {
            let destination = Destination::parse_file(given, b"own").expect(given);
            assert_eq!(destination.to_string(), format!("/{directory}/{name}").replace("//", "/"));
            assert_eq!((destination.directory(), destination.file()), (directory.as_bytes(), Some(name.as_bytes())));
            assert_eq!(destination.own(), own.then_some(&b"own"[..]), "{given}");
        }
        assert!(matches!(Destination::parse_file("/a/..", b"own"), Err(DestinationError::Upward(_))));
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
            if let Ok(destination) = Destination::parse_file(&text, b"own") {
                let again = Destination::parse_file(&destination.to_string(), b"own").map(|again| again.to_string());
                prop_assert_eq!(again, Ok(destination.to_string()));
            }
        }
    }
}
