//! Names of an archive's entries: cleaned, and each at most once.

use std::collections::HashMap;

use super::super::removes;
use super::{ForeignError, NameError};
use crate::layer::overlay::lower_tree::{MAX_DEPTH, ends_beyond, parted};
use crate::layer::overlay::path_lookup::{Key, PathCache, key, number};

/// The most entries of an archive, so that remembering their names takes some 60 MiB at most.
const MAX_ENTRIES: u64 = 1 << 20;

/// The longest name, in bytes: what Linux can open.
const MAX_PATH_BYTES: usize = 4096;

/// Returns the normalised name; empty for the root of the archive.
pub(super) fn clean(name: &[u8]) -> Result<Vec<u8>, NameError> {
    if name.starts_with(b"/") {
        return Err(NameError::Absolute);
    }
    let parts: Vec<&[u8]> = name.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    if parts.contains(&&b".."[..]) {
        return Err(NameError::Upward);
    }
    if parts.len() > MAX_DEPTH {
        return Err(NameError::TooDeep);
    }
    let cleaned = parts.join(&b'/');
    if removes(&cleaned) {
        return Err(NameError::Whiteout);
    }
    if cleaned.len() > MAX_PATH_BYTES { Err(NameError::TooLong) } else { Ok(cleaned) }
}

/// The kind of entry that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Directory(u32),
    /// A directory that has no entry of its own yet.
    Implied(u32),
    Other,
}

/// The names there are, as a tree: a directory has a number, and what is in it is found by that.
#[derive(Debug, Default)]
pub(super) struct Names {
    roles: HashMap<Key, Role>,
    directories: usize,
    entries: u64,
    /// The directories of the name that was looked up last.
    trail: PathCache,
}

/// Why a name was not added.
pub(super) enum NameConflict {
    Name(NameError),
    TooMany,
}

impl NameConflict {
    pub(super) fn of(self, path: &[u8]) -> ForeignError {
        match self {
            Self::Name(why) => ForeignError::name(path, why),
            Self::TooMany => ForeignError::TooMany { limit: MAX_ENTRIES },
        }
    }
}

impl Names {
    /// Adds a name; `false` for a directory that was added before.
    pub(super) fn add(&mut self, path: &[u8], is_directory: bool) -> Result<bool, NameConflict> {
        self.count_one()?;
        let (parent, name) = parted(path);
        let (known, mut found) = self.trail.go_back(parent);
        for end in ends_beyond(parent, known) {
            let key = key(found, parted(&parent[..end]).1);
            found = match self.roles.get(&key) {
                Some(Role::Directory(number) | Role::Implied(number)) => *number,
                Some(Role::Other) => return Err(NameConflict::Name(NameError::BelowFile)),
                None => {
                    self.count_one()?;
                    let number = self.next_number();
                    self.roles.insert(key, Role::Implied(number));
                    number
                }
            };
            self.trail.go_on(&parent[..end], found);
        }
        let key = key(found, name);
        let role = match self.roles.get(&key) {
            Some(Role::Directory(_)) if is_directory => return Ok(false),
            Some(Role::Implied(number)) if is_directory => Role::Directory(*number),
            Some(_) => return Err(NameConflict::Name(NameError::Twice)),
            None if is_directory => Role::Directory(self.next_number()),
            None => Role::Other,
        };
        self.roles.insert(key, role);
        Ok(true)
    }

    /// Returns whether a name is that of a file or link.
    pub(super) fn has_file(&mut self, path: &[u8]) -> bool {
        self.role(path) == Some(Role::Other)
    }

    /// Returns whether a name is that of a directory that has an entry.
    pub(super) fn is_directory(&mut self, path: &[u8]) -> bool {
        matches!(self.role(path), Some(Role::Directory(_)))
    }

    fn role(&mut self, path: &[u8]) -> Option<Role> {
        let (parent, name) = parted(path);
        let (known, mut found) = self.trail.go_back(parent);
        for end in ends_beyond(parent, known) {
            match self.roles.get(&key(found, parted(&parent[..end]).1))? {
                Role::Directory(number) | Role::Implied(number) => found = *number,
                Role::Other => return None,
            }
            self.trail.go_on(&parent[..end], found);
        }
        self.roles.get(&key(found, name)).copied()
    }

    /// Returns the number of another directory; the root's is 0.
    fn next_number(&mut self) -> u32 {
        self.directories += 1;
        number(self.directories)
    }

    /// Counts an entry whose name does not matter.
    pub(super) fn count(&mut self) -> Result<(), ForeignError> {
        self.count_one().map_err(|refusal| refusal.of(b""))
    }

    fn count_one(&mut self) -> Result<(), NameConflict> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES { Err(NameConflict::TooMany) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_or_refused() {
        for (name, cleaned) in [
            ("a/b", "a/b"),
            ("./a//b/./c", "a/b/c"),
            (".", ""),
            ("./", ""),
            ("", ""),
            ("a.wh.b", "a.wh.b"),
            ("...", "..."),
        ] {
            assert_eq!(clean(name.as_bytes()), Ok(cleaned.into()), "{name}");
        }
        assert_eq!(clean(b"/etc/passwd"), Err(NameError::Absolute));
        for name in ["..", "a/../b", "../a", "a/.."] {
            assert_eq!(clean(name.as_bytes()), Err(NameError::Upward), "{name}");
        }
        assert_eq!(clean(b"a/.wh.b"), Err(NameError::Whiteout));
        assert_eq!(clean(b".wh..wh..opq"), Err(NameError::Whiteout));
        assert_eq!(clean(&[b'a'; 4097]), Err(NameError::TooLong));
        assert_eq!(clean(&[b'a'; 4096]).map(|name| name.len()), Ok(4096));
        assert!(clean("a/./".repeat(256).as_bytes()).is_ok());
        assert_eq!(clean("a/".repeat(257).as_bytes()), Err(NameError::TooDeep));
    }

    #[test]
    fn a_name_means_one_thing() {
        let mut names = Names::default();
        let mut add = |path: &str, is_directory| match names.add(path.as_bytes(), is_directory) {
            Ok(new) => Ok(new),
            Err(NameConflict::Name(why)) => Err(why),
            Err(NameConflict::TooMany) => panic!("there are few"),
        };
        assert_eq!(add("a/b/file", false), Ok(true));
        assert_eq!(add("a/b", true), Ok(true), "only implied so far");
        assert_eq!(add("a/b", true), Ok(false));
        assert_eq!(add("a", false), Err(NameError::Twice));
        assert_eq!(add("c", false), Ok(true));
        assert_eq!(add("c", true), Err(NameError::Twice));
        assert_eq!(add("a/b/file/below", false), Err(NameError::BelowFile));
        assert_eq!(add("a/b/file", false), Err(NameError::Twice));
        assert_eq!(add("e/f", true), Ok(true));
        assert_eq!(add("e/f/g", false), Ok(true));
        assert_eq!(add("e", true), Ok(true));
        assert!(names.is_directory(b"a/b") && names.is_directory(b"e") && !names.is_directory(b"a"));
        assert!(
            names.has_file(b"e/f/g")
                && !names.has_file(b"e/f")
                && !names.has_file(b"e/f/g/h")
                && !names.has_file(b"x/y")
        );
    }

    #[test]
    fn the_entries_are_counted_with_their_directories() {
        let mut names = Names { entries: MAX_ENTRIES - 2, ..Names::default() };
        assert!(names.add(b"a/b", false).is_ok_and(|is_new| is_new));
        assert!(matches!(names.add(b"c", false), Err(NameConflict::TooMany)));
        assert!(matches!(names.count(), Err(ForeignError::TooMany { limit: MAX_ENTRIES })));
    }
}
