//! Paths of an archive, found in a tree whose directories have numbers: each name on a path is looked up once, and
//! neighbours are looked up from where they part.

use crate::image::Digest;

/// Half a SHA-256 of a directory's number and a name in it tells nodes apart, and bounds what one takes.
pub(in crate::layer) type Key = [u8; 16];

/// Returns the key of a name in a directory.
pub(in crate::layer) fn key(directory: u32, name: &[u8]) -> Key {
    #[cfg(test)]
    crate::work::count();
    let mut key = Key::default();
    key.copy_from_slice(&Digest::of(&[&directory.to_be_bytes(), name].concat()).bytes()[..16]);
    key
}

/// Returns a directory's number, by how many were before it.
pub(in crate::layer) fn number(index: usize) -> u32 {
    u32::try_from(index).expect("what layers may have is bounded")
}

/// The directories of the path that was looked up last.
#[derive(Debug, Clone, Default)]
pub(in crate::layer) struct PathCache {
    path: Vec<u8>,
    /// Where in the path directories end, and their numbers; some may be left out.
    steps: Vec<(usize, u32)>,
}

impl PathCache {
    /// Goes back to the deepest common directory. Returns the offset at which it ends in the path, and its number; the
    /// root's is 0.
    pub(in crate::layer) fn go_back(&mut self, path: &[u8]) -> (usize, u32) {
        let shared = shared(&self.path, path);
        while self.steps.last().is_some_and(|(end, _)| *end > shared) {
            self.steps.pop();
        }
        let (end, number) = self.steps.last().copied().unwrap_or_default();
        self.path.truncate(end);
        (end, number)
    }

    /// Goes on to a directory below the last one.
    pub(in crate::layer) fn go_on(&mut self, path: &[u8], number: u32) {
        self.path.extend(&path[self.path.len()..]);
        self.steps.push((path.len(), number));
    }
}

/// Returns where the last directory ends that two directories are both in or are, in both.
pub(in crate::layer) fn shared(one: &[u8], other: &[u8]) -> usize {
    let length = if other.starts_with(one) {
        one.len()
    } else {
        one.iter().zip(other).take_while(|(one, other)| one == other).count()
    };
    let ends_there = |path: &[u8]| path.get(length).is_none_or(|byte| *byte == b'/');
    if ends_there(one) && ends_there(other) {
        length
    } else {
        one[..length].iter().rposition(|byte| *byte == b'/').unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_share_whole_names() {
        for (one, other, end) in [
            ("", "", 0),
            ("", "a", 0),
            ("a", "a", 1),
            ("a/b", "a/b/c", 3),
            ("a/b/c", "a/b", 3),
            ("a/b", "a/bc", 1),
            ("a/bc", "a/b", 1),
            ("a/bc", "a/bd", 1),
            ("ab", "ac", 0),
            ("a/b/c", "a/x/c", 1),
        ] {
            assert_eq!(shared(one.as_bytes(), other.as_bytes()), end, "{one} {other}");
        }
    }

    #[test]
    fn a_trail_remembers_what_is_on_the_way() {
        let mut trail = PathCache::default();
        assert_eq!(trail.go_back(b"a/b"), (0, 0));
        trail.go_on(b"a", 1);
        trail.go_on(b"a/b", 2);
        assert_eq!(trail.go_back(b"a/b/c"), (3, 2));
        trail.go_on(b"a/b/c", 3);
        assert_eq!(trail.go_back(b"a/bc"), (1, 1));
        assert_eq!(trail.go_back(b"a/b"), (1, 1));
        // Some may be left out.
        trail.go_on(b"a/x/y", 7);
        assert_eq!(trail.go_back(b"a/x"), (1, 1));
        assert_eq!(trail.go_back(b"b"), (0, 0));
    }
}
