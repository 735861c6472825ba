//! Names of an archive's entries: cleaned, and each at most once.

use std::collections::HashMap;

use super::super::removes;
use super::{ForeignError, NameError};
use crate::image::Digest;
use crate::text::plain;

/// The most entries of an archive, so that remembering their names takes some 40 MiB at most.
const MAX_ENTRIES: u64 = 1 << 20;

/// The longest name, in bytes: what Linux can open.
const MAX_PATH_BYTES: usize = 4096;

/// The name without what does not matter; empty for where the archive lands.
pub(super) fn clean(name: &[u8]) -> Result<Vec<u8>, NameError> {
    if name.starts_with(b"/") {
        return Err(NameError::Absolute);
    }
    let parts: Vec<&[u8]> = name.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    if parts.contains(&&b".."[..]) {
        return Err(NameError::Upward);
    }
    let cleaned = parts.join(&b'/');
    if removes(&cleaned) {
        return Err(NameError::Whiteout);
    }
    if cleaned.len() > MAX_PATH_BYTES { Err(NameError::TooLong) } else { Ok(cleaned) }
}

/// What messages call an entry.
pub(super) fn shown(name: &[u8]) -> String {
    plain(&String::from_utf8_lossy(name), 200)
}

/// What has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Directory,
    /// A directory that has no entry of its own yet.
    Implied,
    Other,
}

/// Half a SHA-256 is enough to tell names apart, and half the memory.
type Key = [u8; 16];

/// The names there are.
#[derive(Debug, Default)]
pub(super) struct Names {
    roles: HashMap<Key, Role>,
    entries: u64,
    /// The directory that the last name was in: those on the way to it are known.
    last: Vec<u8>,
}

/// Why a name was not added.
pub(super) enum Refusal {
    Name(NameError),
    TooMany,
}

impl Refusal {
    pub(super) fn of(self, path: &[u8]) -> ForeignError {
        match self {
            Self::Name(why) => ForeignError::name(path, why),
            Self::TooMany => ForeignError::TooMany { limit: MAX_ENTRIES },
        }
    }
}

impl Names {
    /// Adds a name; `false` for a directory that was added before.
    pub(super) fn add(&mut self, path: &[u8], is_directory: bool) -> Result<bool, Refusal> {
        self.count_one()?;
        let parent = path.iter().rposition(|byte| *byte == b'/').map_or(&path[..0], |end| &path[..end]);
        if parent != self.last {
            let ends = parent.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end);
            for end in ends.chain((!parent.is_empty()).then_some(parent.len())) {
                match self.roles.get(&key(&parent[..end])) {
                    Some(Role::Directory | Role::Implied) => {}
                    Some(Role::Other) => return Err(Refusal::Name(NameError::BelowFile)),
                    None => {
                        self.count_one()?;
                        self.roles.insert(key(&parent[..end]), Role::Implied);
                    }
                }
            }
            self.last = parent.to_vec();
        }
        let role = if is_directory { Role::Directory } else { Role::Other };
        match self.roles.get(&key(path)) {
            Some(Role::Directory) if is_directory => return Ok(false),
            Some(Role::Implied) if is_directory => {}
            Some(_) => return Err(Refusal::Name(NameError::Twice)),
            None => {}
        }
        self.roles.insert(key(path), role);
        Ok(true)
    }

    /// Whether a name is that of a file or link.
    pub(super) fn has_file(&self, path: &[u8]) -> bool {
        self.roles.get(&key(path)) == Some(&Role::Other)
    }

    /// Whether a name is that of a directory that has an entry.
    pub(super) fn is_directory(&self, path: &[u8]) -> bool {
        self.roles.get(&key(path)) == Some(&Role::Directory)
    }

    /// Counts an entry whose name does not matter.
    pub(super) fn count(&mut self) -> Result<(), ForeignError> {
        self.count_one().map_err(|refusal| refusal.of(b""))
    }

    fn count_one(&mut self) -> Result<(), Refusal> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES { Err(Refusal::TooMany) } else { Ok(()) }
    }
}

fn key(path: &[u8]) -> Key {
    let mut key = Key::default();
    key.copy_from_slice(&Digest::of(path).bytes()[..16]);
    key
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
    }

    #[test]
    fn a_name_means_one_thing() {
        let mut names = Names::default();
        let mut add = |path: &str, is_directory| match names.add(path.as_bytes(), is_directory) {
            Ok(new) => Ok(new),
            Err(Refusal::Name(why)) => Err(why),
            Err(Refusal::TooMany) => panic!("there are few"),
        };
        assert_eq!(add("a/b/file", false), Ok(true));
        assert_eq!(add("a/b", true), Ok(true), "only implied so far");
        assert_eq!(add("a/b", true), Ok(false));
        assert_eq!(add("a", false), Err(NameError::Twice));
        assert_eq!(add("c", false), Ok(true));
        assert_eq!(add("c", true), Err(NameError::Twice));
        assert_eq!(add("a/b/file/below", false), Err(NameError::BelowFile));
        assert_eq!(add("a/b/file", false), Err(NameError::Twice));
    }

    #[test]
    fn messages_show_names_that_can_be_shown() {
        assert_eq!(shown(b"a\x1b[31m\xff"), "a\u{fffd}[31m\u{fffd}");
        assert_eq!(shown(&[b'a'; 300]).len(), 200);
    }
}
