//! The tree that the lower layers make: directories with their attributes, and symbolic links. A layer on top needs
//! both: an entry for a directory replaces its attributes, and an entry at a link replaces the link.

use std::cell::RefCell;
use std::collections::HashMap;

use super::path_lookup::{Key, PathCache, key, number};
use crate::layer::{Attributes, PlacementError};
use crate::text::plain;

/// How many links a path may lead through, as Linux has it.
const MAX_LINKS: usize = 40;

/// The longest path, in bytes: what Linux can open.
pub(in crate::layer) const MAX_PATH_BYTES: usize = 4096;

/// The most names that a path of others may consist of.
pub(in crate::layer) const MAX_DEPTH: usize = 256;

/// The most names that are walked through for one path, those of links included.
const MAX_STEPS: usize = MAX_PATH_BYTES;

/// The kind of an entry of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LowerEntry<'a> {
    /// A directory.
    Directory(Attributes),
    /// A symbolic link, with its target.
    Link(&'a [u8]),
    /// Anything else.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    /// Its number.
    Directory(u32),
    /// The number of its target.
    Link(u32),
    Other,
}

/// The tree that layers make, one over another. Paths have no slash at either end; the root's is empty.
///
/// A directory has a number, and what is in it is found by that. A removed directory's number is never used again,
/// which removes everything below it.
#[derive(Debug, Clone)]
pub struct LowerTree {
    /// By number, the root's first; `None` for a directory that is there only because something is in it.
    directories: Vec<Option<Attributes>>,
    targets: Vec<Box<[u8]>>,
    nodes: HashMap<Key, Node>,
    /// The directories of the path that was looked up last, without links.
    found: RefCell<PathCache>,
    /// Those of the path that something was put at last, links followed.
    entered: PathCache,
}

impl Default for LowerTree {
    fn default() -> Self {
        Self {
            directories: vec![None],
            targets: Vec::new(),
            nodes: HashMap::new(),
            found: RefCell::default(),
            entered: PathCache::default(),
        }
    }
}

/// Where a path leads once all links are followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::layer) struct Resolved {
    pub(in crate::layer) path: Vec<u8>,
    pub(in crate::layer) end: End,
}

/// What is at the end of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::layer) enum End {
    Directory,
    Other,
    Nothing,
}

impl LowerTree {
    /// Returns whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Puts something where it is, directories on the way included. A directory over a directory leaves what is in it.
    pub fn put(&mut self, path: &[u8], thing: LowerEntry<'_>) {
        if path.is_empty() {
            return;
        }
        let (parent, name) = parted(path);
        let key = key(self.enter(parent), name);
        let before = self.nodes.get(&key).copied();
        match (thing, before) {
            (LowerEntry::Directory(attributes), Some(Node::Directory(number))) => {
                self.directories[number as usize] = Some(attributes);
                return;
            }
            (_, Some(Node::Directory(_) | Node::Link(_))) => self.forget(),
            _ => {}
        }
        let node = match thing {
            LowerEntry::Directory(attributes) => self.directory(Some(attributes)),
            LowerEntry::Link(target) => {
                self.targets.push(target.into());
                Node::Link(number(self.targets.len() - 1))
            }
            LowerEntry::Other => Node::Other,
        };
        self.nodes.insert(key, node);
    }

    /// Removes whatever is at a path, with everything below it (image-spec, "Whiteouts").
    pub fn remove(&mut self, path: &[u8]) {
        if let Some(key) = self.key(path) {
            self.nodes.remove(&key);
            self.forget();
        }
    }

    /// Removes everything in a directory (image-spec, "Opaque Whiteout").
    pub fn empty(&mut self, path: &[u8]) {
        if path.is_empty() {
            let root = self.directories[0];
            *self = Self::default();
            self.directories[0] = root;
        } else if let Some(key) = self.key(path)
            && let Some(Node::Directory(number)) = self.nodes.get(&key).copied()
        {
            let emptied = self.directory(self.directories[number as usize]);
            self.nodes.insert(key, emptied);
            self.forget();
        }
    }

    /// Returns the attributes of the directory at a path without links.
    pub(in crate::layer) fn attributes(&self, path: &[u8]) -> Option<Attributes> {
        match self.nodes.get(&self.key(path)?)? {
            Node::Directory(number) => self.directories[*number as usize],
            Node::Link(_) | Node::Other => None,
        }
    }

    /// Returns whether there is a link at a path that leads through no other.
    pub(in crate::layer) fn is_link(&self, path: &[u8]) -> bool {
        self.key(path).is_some_and(|key| matches!(self.nodes.get(&key), Some(Node::Link(_))))
    }

    /// Returns where a path leads. Nothing leads out of the root.
    pub(in crate::layer) fn resolve(&self, path: &[u8]) -> Result<Resolved, PlacementError> {
        let (mut links, mut steps) = (0, 0);
        let mut names: Vec<&[u8]> = Vec::new();
        // Of the root and each of the names; none behind what is not there.
        let mut places = vec![Some(Node::Directory(0))];
        let mut pending: Vec<&[u8]> = path.split(|byte| *byte == b'/').rev().collect();
        while let Some(name) = pending.pop() {
            steps += 1;
            if steps > MAX_STEPS {
                return Err(PlacementError::Names { path: shown(path), limit: MAX_STEPS });
            }
            match name {
                b"" | b"." => continue,
                b".." => {
                    if names.pop().is_some() {
                        places.pop();
                    }
                    continue;
                }
                _ => {}
            }
            let node = match places.last().copied().flatten() {
                Some(Node::Directory(number)) => self.nodes.get(&key(number, name)).copied(),
                _ => None,
            };
            match node {
                Some(Node::Link(number)) => {
                    let target = &self.targets[number as usize];
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(PlacementError::Links { path: shown(path), limit: MAX_LINKS });
                    }
                    if target.starts_with(b"/") {
                        names.clear();
                        places.truncate(1);
                    }
                    pending.extend(target.split(|byte| *byte == b'/').rev());
                }
                node => {
                    names.push(name);
                    places.push(node);
                    if node == Some(Node::Other) && pending.iter().any(|name| !name.is_empty()) {
                        return Err(PlacementError::NotADirectory { path: shown(&names.join(&b'/')) });
                    }
                }
            }
        }
        let path = names.join(&b'/');
        if path.len() > MAX_PATH_BYTES {
            return Err(PlacementError::TooLong { limit: MAX_PATH_BYTES });
        }
        let end = match places.last().copied().flatten() {
            Some(Node::Directory(_)) => End::Directory,
            Some(_) => End::Other,
            None => End::Nothing,
        };
        Ok(Resolved { path, end })
    }

    /// Returns the number of a directory, which is made where it is missing. Links on the path are followed, as engines
    /// that unpack a layer over the others do.
    fn enter(&mut self, path: &[u8]) -> u32 {
        let (known, mut found) = self.entered.go_back(path);
        for end in ends_beyond(path, known) {
            let key = key(found, parted(&path[..end]).1);
            found = match self.nodes.get(&key) {
                Some(Node::Directory(number)) => *number,
                Some(Node::Link(_)) => match self.resolve(&path[..end]) {
                    Ok(Resolved { path: real, end: End::Directory | End::Nothing }) => {
                        // There are no links in this one.
                        let number = self.enter(&real);
                        self.entered.go_back(&path[..0]);
                        number
                    }
                    _ => self.make(key),
                },
                Some(Node::Other) | None => self.make(key),
            };
            self.entered.go_on(&path[..end], found);
        }
        found
    }

    fn make(&mut self, key: Key) -> u32 {
        let made = self.directory(None);
        self.nodes.insert(key, made);
        number(self.directories.len() - 1)
    }

    /// Returns the key of a path that leads through directories only.
    fn key(&self, path: &[u8]) -> Option<Key> {
        let (parent, name) = parted(path);
        let mut trail = self.found.borrow_mut();
        let (known, mut found) = trail.go_back(parent);
        for end in ends_beyond(parent, known) {
            match self.nodes.get(&key(found, parted(&parent[..end]).1))? {
                Node::Directory(number) => found = *number,
                Node::Link(_) | Node::Other => return None,
            }
            trail.go_on(&parent[..end], found);
        }
        (!name.is_empty()).then(|| key(found, name))
    }

    fn directory(&mut self, attributes: Option<Attributes>) -> Node {
        self.directories.push(attributes);
        Node::Directory(number(self.directories.len() - 1))
    }

    /// Clears the caches of the last paths, after a directory or a link to one was removed.
    fn forget(&mut self) {
        self.entered = PathCache::default();
        self.found = RefCell::default();
    }
}

/// Returns the offsets at which each parent directory and the path itself end; none for the root.
pub(in crate::layer) fn ends(path: &[u8]) -> impl Iterator<Item = usize> {
    ends_beyond(path, 0)
}

/// Returns the [`ends`] after the offset `known`, without scanning the bytes before it.
pub(in crate::layer) fn ends_beyond(path: &[u8], known: usize) -> impl Iterator<Item = usize> {
    let start = if known == 0 { 0 } else { known + 1 };
    let rest = path.get(start..).unwrap_or_default();
    let slashes = rest.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(move |(end, _)| start + end);
    slashes.chain((path.len() > known).then_some(path.len()))
}

/// Returns the directory that a path is in, and its name there.
pub(in crate::layer) fn parted(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(end) => (&path[..end], &path[end + 1..]),
        None => (&path[..0], path),
    }
}

/// Returns what messages call a path of the image.
pub(in crate::layer) fn shown(path: &[u8]) -> String {
    format!("/{}", plain(&String::from_utf8_lossy(path), 200))
}

#[cfg(test)]
mod tests;
