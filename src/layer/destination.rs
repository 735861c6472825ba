//! Where in the image a source lands.

use std::collections::HashSet;
use std::fmt;

use crate::image::Digest;

/// The longest destination accepted, in bytes.
const MAX_DESTINATION_BYTES: usize = 4096;

/// Where something lands: an absolute directory of the image, or a name in one for a single file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Destination {
    /// Components joined by `/`, without one at either end; empty for the image's root.
    path: String,
    /// What a single file is called there.
    file: Option<Vec<u8>>,
    /// How many of the directories on the way, from the outermost on, the layers below have.
    present: usize,
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

/// Directories that an image's layers have so far, by name in the archive.
#[derive(Debug, Clone, Default)]
pub struct Directories(HashSet<Digest>);

impl Directories {
    /// Notes a directory.
    pub fn add(&mut self, name: &[u8]) {
        self.0.insert(Digest::of(name));
    }

    /// Notes that something else took a directory's name. What is below it is not looked for any more.
    pub fn remove(&mut self, name: &[u8]) {
        self.0.remove(&Digest::of(name));
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains(&Digest::of(name.as_bytes()))
    }
}

impl<'a> FromIterator<&'a str> for Directories {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Self {
        Self(names.into_iter().map(|name| Digest::of(name.as_bytes())).collect())
    }
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

    /// Reads the path of one file called `own`, which keeps its name in a directory: a path that ends with a slash.
    pub fn parse_file(path: &str, own: &[u8]) -> Result<Self, DestinationError> {
        let parsed = Self::parse(path)?;
        if parsed.path.is_empty() || matches!(path.rsplit('/').next(), Some("" | ".")) {
            return Ok(Self { file: Some(own.to_vec()), ..parsed });
        }
        let (directory, name) = parsed.path.rsplit_once('/').unwrap_or(("", &parsed.path));
        Ok(Self { path: directory.to_owned(), file: Some(name.as_bytes().to_vec()), present: 0 })
    }

    /// The same over layers that have some directories: those on the way stay as they are there.
    #[must_use]
    pub fn over(mut self, below: &Directories) -> Self {
        self.present = 0;
        self.present = self.directories().take_while(|name| below.has(name)).count();
        self
    }

    /// The directories on the way that have to be made, outermost first, the destination itself last; none for the
    /// root.
    pub fn directories(&self) -> impl Iterator<Item = &str> {
        let ends = self.path.match_indices('/').map(|(end, _)| end);
        let own = (!self.path.is_empty()).then_some(self.path.len());
        ends.chain(own).map(|end| &self.path[..end]).skip(self.present)
    }

    /// Whether the name in the archive is that of the directory where a source's content lands.
    pub(super) fn is(&self, directory: &str) -> bool {
        self.file.is_none() && self.path == directory
    }

    /// The name in the archive of something at the relative path in its source.
    pub fn name(&self, relative: &[u8]) -> Vec<u8> {
        let relative = self.file.as_deref().unwrap_or(relative);
        if self.path.is_empty() {
            return relative.to_vec();
        }
        [self.path.as_bytes(), relative].join(&b'/')
    }

    /// What a single file is called; `None` where things keep their names.
    pub(super) fn file_name(&self) -> Option<&[u8]> {
        self.file.as_deref()
    }

    /// How many directories on the way need not be made.
    pub(super) fn present(&self) -> usize {
        self.present
    }
}

/// The directory; of a single file, the file.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "/{}", String::from_utf8_lossy(&self.name(file))),
            None => write!(f, "/{}", self.path),
        }
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
    fn a_file_lands_under_its_name_or_another() {
        for (given, name, directories) in [
            ("/", "own", &[][..]),
            ("/srv/", "srv/own", &["srv"]),
            ("/srv/.", "srv/own", &["srv"]),
            ("/srv", "srv", &[]),
            ("/etc/app/conf", "etc/app/conf", &["etc", "etc/app"]),
        ] {
            let destination = Destination::parse_file(given, b"own").expect(given);
            assert_eq!(destination.name(b"wherever/own"), name.as_bytes());
            assert_eq!(destination.to_string(), format!("/{name}"));
            assert_eq!(destination.directories().collect::<Vec<_>>(), directories, "{given}");
        }
        assert!(matches!(Destination::parse_file("/a/..", b"own"), Err(DestinationError::Upward(_))));
    }

    #[test]
    fn directories_that_are_there_are_not_made_again() {
        let mut below = Directories::from_iter(["a", "a/b", "a/b/c"]);
        let made = |below: &Directories| {
            let destination = Destination::parse("/a/b/c/d").expect("valid").over(below);
            destination.directories().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(made(&below), ["a/b/c/d"]);
        // A file in a directory's place took along what was below.
        below.remove(b"a/b");
        assert_eq!(made(&below), ["a/b", "a/b/c", "a/b/c/d"]);
        assert_eq!(made(&Directories::default()).len(), 4);
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
                prop_assert_eq!(Destination::parse_file(&destination.to_string(), b"own"), Ok(destination));
            }
        }
    }
}
