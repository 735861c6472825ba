//! Where in the image a source's things land over the layers below: through their links, with their directories as
//! they have them.
//!
//! A layer that only has `tmp/x` says nothing of `tmp`, and storage drivers that unpack each layer by itself make such
//! a directory anew, over the one that is below. So the layer has the parent directories too, with the attributes of
//! the layers beneath.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use super::lower_tree::{End, MAX_PATH_BYTES, ends, ends_beyond, parted, shown};
use super::path_lookup::{PathCache, number};
use crate::context::{Entry, Kind};
use crate::layer::{Attributes, Destination, LowerEntry, LowerTree, PlacementError, Style, removes};

/// Permissions of parent directories that no layer has.
pub(in crate::layer) const PARENT_MODE: u32 = 0o755;

/// A link of the layers below that was followed since a source has a directory of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowedSymlink {
    link: Vec<u8>,
    directory: Vec<u8>,
}

impl fmt::Display for FollowedSymlink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (link, directory) = (shown(&self.link), shown(&self.directory));
        write!(f, "`{link}` is a link to `{directory}` in the layers below: what belongs in it is put there")
    }
}

/// Something that a layer has.
#[derive(Debug, Clone, Copy)]
pub(in crate::layer) enum Item<'a> {
    /// A parent directory of the destination, or the destination itself.
    Parent(Attributes),
    /// Something of the source.
    Entry(&'a Entry),
}

/// Where a source's things land.
#[derive(Debug, Clone)]
pub struct Placement {
    directory: Vec<u8>,
    file: Option<Vec<u8>>,
    style: Style,
    /// The destination and its parent directories, outermost first.
    parents: BTreeMap<Vec<u8>, Attributes>,
    /// Directories of the source that are links below, and where these lead.
    followed: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The directories on the way to where the links lead.
    linked: BTreeMap<Vec<u8>, Attributes>,
}

impl Placement {
    /// Returns where things in `style` land that are meant for `destination`.
    pub fn new(destination: &Destination, style: Style, below: &LowerTree) -> Result<Self, PlacementError> {
        let (directory, file) = resolve(destination, below)?;
        let place = file.as_ref().map_or_else(|| directory.clone(), |file| joined(&directory, file));
        if removes(&place) {
            return Err(PlacementError::WhiteoutPlace { path: shown(&place) });
        }
        let mut parents = BTreeMap::new();
        for end in ends(&directory) {
            let name = &directory[..end];
            // Other sources may use the parent directories too, so an owner of one source does not apply to them.
            let above = style.above.filter(|_| file.is_some() || end < directory.len());
            let owner = above.unwrap_or(style.owner);
            let made = Attributes { mode: PARENT_MODE, owner, modified: style.modified };
            parents.insert(name.to_vec(), below.attributes(name).unwrap_or(made));
        }
        Ok(Self { directory, file, style, parents, followed: BTreeMap::new(), linked: BTreeMap::new() })
    }

    /// Follows the links below that have the names of the source's directories. `entries` are all there are, parents
    /// before children.
    pub fn follow(&mut self, entries: &[Entry], below: &LowerTree) -> Result<Vec<FollowedSymlink>, PlacementError> {
        // A single file has the name of its place.
        if let Some(entry) = entries.iter().find(|entry| self.file.is_none() && removes(&entry.path)) {
            return Err(PlacementError::Whiteout { path: own_path(entry) });
        }
        let directories = entries.iter().filter(|entry| entry.kind == Kind::Directory);
        let mut trail = PathCache::default();
        let followed: Vec<FollowedSymlink> =
            directories.filter_map(|entry| self.enter(&entry.path, below, &mut trail)).collect();
        if !followed.is_empty() {
            self.check(entries)?;
            for entry in entries {
                // What the source says itself counts, also where that is in another layer.
                if entry.kind == Kind::Directory && !self.is_followed(&entry.path) {
                    let attributes = self.attributes(entry);
                    let name = self.name(&entry.path, true).into_owned();
                    self.linked.entry(name).and_modify(|linked| *linked = attributes);
                }
            }
        }
        Ok(followed)
    }

    /// Puts all of the source's entries over `below`.
    pub fn lay_over(&self, entries: &[Entry], below: &mut LowerTree) {
        let entries: Vec<&Entry> = entries.iter().collect();
        let Ok(()) = self.each::<std::convert::Infallible>(&entries, |name, item| {
            below.put(
                name,
                match item {
                    Item::Parent(attributes) => LowerEntry::Directory(attributes),
                    Item::Entry(entry) => match &entry.kind {
                        Kind::Directory => LowerEntry::Directory(self.attributes(entry)),
                        Kind::Symlink { target } => LowerEntry::Link(target),
                        Kind::File { .. } => LowerEntry::Other,
                    },
                },
            );
            Ok(())
        });
    }

    /// Visits what a layer of some of the entries has, each with its name in the archive, directories before what is in
    /// them.
    pub(in crate::layer) fn each<'a, E>(
        &self,
        entries: &[&'a Entry],
        mut visit: impl FnMut(&[u8], Item<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.followed.is_empty() {
            for (name, attributes) in &self.parents {
                visit(name, Item::Parent(*attributes))?;
            }
            return entries.iter().try_for_each(|entry| visit(&self.name(&entry.path, false), Item::Entry(entry)));
        }
        let mut items: BTreeMap<Vec<u8>, Item<'a>> = BTreeMap::new();
        items.extend(self.parents.iter().map(|(name, attributes)| (name.clone(), Item::Parent(*attributes))));
        for &entry in entries {
            let name = self.name(&entry.path, entry.kind == Kind::Directory);
            for end in ends(&name) {
                if let Some(attributes) = self.linked.get(&name[..end]) {
                    items.entry(name[..end].to_vec()).or_insert(Item::Parent(*attributes));
                }
            }
            if entry.kind != Kind::Directory || !self.is_followed(&entry.path) {
                items.insert(name.into_owned(), Item::Entry(entry));
            }
        }
        items.iter().try_for_each(|(name, item)| visit(name, *item))
    }

    /// Returns the destination and its parent directories, outermost first.
    pub(in crate::layer) fn parents(&self) -> impl Iterator<Item = (&[u8], Attributes)> {
        self.parents.iter().map(|(name, attributes)| (&name[..], *attributes))
    }

    /// Returns the name in the archive of something at a path in its source.
    pub(in crate::layer) fn name<'a>(&self, path: &'a [u8], is_directory: bool) -> Cow<'a, [u8]> {
        self.name_along(path, is_directory, &mut PathCache::default())
    }

    /// [`Self::name`], where a trail of the paths before says which of their directories are links. It must be a new one
    /// once [`Self::enter`] followed another link.
    pub(in crate::layer) fn name_along<'a>(
        &self,
        path: &'a [u8],
        is_directory: bool,
        trail: &mut PathCache,
    ) -> Cow<'a, [u8]> {
        if let Some(file) = &self.file {
            return joined(&self.directory, file).into();
        }
        if !self.followed.is_empty() {
            let own = if is_directory { path } else { parted(path).0 };
            let (known, mut last) = trail.go_back(own);
            for end in ends_beyond(own, known) {
                if self.is_followed(&own[..end]) {
                    last = number(end);
                }
                trail.go_on(&own[..end], last);
            }
            let (link, rest) = path.split_at(last as usize);
            if let Some(directory) = self.followed.get(link) {
                return joined(directory, rest.strip_prefix(b"/").unwrap_or_default()).into();
            }
        }
        if self.directory.is_empty() { path.into() } else { joined(&self.directory, path).into() }
    }

    /// Returns the name that [`Self::name`] would answer without any link.
    pub(in crate::layer) fn unfollowed(&self, path: &[u8]) -> Vec<u8> {
        joined(&self.directory, path)
    }

    /// Returns whether a link took the place of the source's directory at the path.
    pub(in crate::layer) fn is_followed(&self, path: &[u8]) -> bool {
        #[cfg(test)]
        crate::work::count();
        self.followed.contains_key(path)
    }

    /// Returns whether a name in the archive is that of the destination or of a parent directory of it.
    pub(in crate::layer) fn is_on_the_way(&self, name: &[u8]) -> bool {
        self.parents.contains_key(name)
    }

    /// Follows the link that is below where a directory of the source would land, if it leads to a directory.
    pub(in crate::layer) fn enter(
        &mut self,
        path: &[u8],
        below: &LowerTree,
        trail: &mut PathCache,
    ) -> Option<FollowedSymlink> {
        if self.file.is_some() || below.is_empty() || self.is_followed(path) {
            return None;
        }
        let link = self.name_along(path, false, trail).into_owned();
        if !below.is_link(&link) {
            return None;
        }
        let resolved = below.resolve(&link).ok().filter(|resolved| resolved.end == End::Directory)?;
        let directory = resolved.path;
        for end in ends(&directory) {
            let made = Attributes { mode: PARENT_MODE, owner: self.style.owner, modified: self.style.modified };
            let attributes = below.attributes(&directory[..end]).unwrap_or(made);
            self.linked.insert(directory[..end].to_vec(), attributes);
        }
        self.followed.insert(path.to_vec(), directory.clone());
        *trail = PathCache::default();
        Some(FollowedSymlink { link, directory })
    }

    fn attributes(&self, entry: &Entry) -> Attributes {
        let Style { owner, modified, mode, .. } = self.style;
        Attributes { mode: mode.unwrap_or(entry.mode), owner, modified }
    }

    /// Nothing lands where something else does, or in what is no directory.
    fn check(&self, entries: &[Entry]) -> Result<(), PlacementError> {
        let twice = |entry: &Entry, place: &[u8]| PlacementError::Twice { path: own_path(entry), place: shown(place) };
        // Whether it is a directory that is there.
        let mut places: BTreeMap<Vec<u8>, bool> = self.parents.keys().map(|name| (name.clone(), true)).collect();
        for entry in entries {
            let is_directory = entry.kind == Kind::Directory;
            let place = self.name(&entry.path, is_directory).into_owned();
            let other = places.get(&place).copied();
            if other.is_some_and(|other| !(other && is_directory)) {
                return Err(twice(entry, &place));
            }
            places.insert(place, is_directory);
        }
        for entry in entries {
            let place = self.name(&entry.path, entry.kind == Kind::Directory);
            let is_file = |end: usize| end < place.len() && places.get(&place[..end]) == Some(&false);
            if let Some(end) = ends(&place).find(|end| is_file(*end)) {
                return Err(twice(entry, &place[..end]));
            }
        }
        Ok(())
    }
}

/// Returns the directory that a destination is or is in, and what a single file is called there.
fn resolve(destination: &Destination, below: &LowerTree) -> Result<(Vec<u8>, Option<Vec<u8>>), PlacementError> {
    let directory = destination.directory();
    if let (Some(file), Some(own)) = (destination.file(), destination.own()) {
        let resolved = below.resolve(&joined(directory, file))?;
        if resolved.end == End::Directory {
            return Ok((resolved.path, Some(own.to_vec())));
        }
        let (directory, file) = parted(&resolved.path);
        return Ok((directory.to_vec(), Some(file.to_vec())));
    }
    let resolved = below.resolve(directory)?;
    if resolved.end == End::Other {
        return Err(PlacementError::NotADirectory { path: shown(&resolved.path) });
    }
    let file = destination.file().map(<[u8]>::to_vec);
    if resolved.path.len() + file.as_ref().map_or(0, Vec::len) > MAX_PATH_BYTES {
        return Err(PlacementError::TooLong { limit: MAX_PATH_BYTES });
    }
    Ok((resolved.path, file))
}

/// Returns what messages call something by its path in the source.
fn own_path(entry: &Entry) -> String {
    shown(&entry.path)[1..].to_owned()
}

fn joined(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match (directory, name) {
        (b"", _) => name.to_vec(),
        (_, b"") => directory.to_vec(),
        _ => [directory, name].join(&b'/'),
    }
}

#[cfg(test)]
mod tests;
