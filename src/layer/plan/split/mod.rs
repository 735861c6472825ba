//! Where a context is cut into layers: at points that its content chooses, so that a change moves no others.
//!
//! What is cut are units: a file with all its names, a link, an empty directory, in the order of their paths.
//! A unit that has as many bytes as a layer should have at least, the width, is a layer by itself. The others are cut
//! as if it were not there: after a unit whose path has the highest hash far and wide, within a width to either
//! side, where beginning and end rank above all. So no layer of them is smaller than that and few are much larger,
//! and a file that is edited, added or removed changes the layer it is in. Only if it moves a cut, which takes one
//! within a width of it and hashes to match, does it change what is beyond that cut too.

use std::collections::HashMap;

use crate::context::{Entry, Kind};
use crate::image::Digest;

/// The most layers an image of ours is cut into.
pub const MAX_LAYERS: u8 = 32;

/// Contexts with less content than this stay whole unless a number of layers is asked for: packing them takes
/// less time than a person notices.
const SMALL_BYTES: u64 = 32 << 20;

/// How many layers a large context is meant to have, roughly.
const USUAL_LAYERS: u64 = 20;

/// The smallest usual width: a layer of less than 4 MiB costs more requests than it saves bytes.
const LEAST_WIDTH: u64 = 4 << 20;

/// What a name costs in the archive besides content.
const HEADER_BYTES: u64 = 512;

/// Where what is at the top is.
const NOWHERE: usize = usize::MAX;

/// How many layers there should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layers {
    /// One for a small context, about twenty for a large one.
    #[default]
    Auto,
    /// At most so many, from 1 to [`MAX_LAYERS`], however small the context is.
    AtMost(u8),
}

/// What stays in one layer.
#[derive(Debug)]
struct Unit {
    /// Index of the entry, or of the first of its names.
    first: usize,
    /// Bytes that it takes in the archive, roughly.
    size: u64,
}

/// A context's units in their order.
#[derive(Debug)]
struct Parts<'a> {
    entries: &'a [Entry],
    /// Of each entry, the index of the directory it is in, or [`NOWHERE`].
    parents: Vec<usize>,
    units: Vec<Unit>,
    /// Indices of the further names of files that have some, by that of the first.
    names: HashMap<usize, Vec<usize>>,
}

/// Returns the entries of each layer, sorted by path, base first; at least one layer.
///
/// `entries` are all of a context, sorted by the bytes of the path. Each is in one layer exactly, except
/// directories that have something in them: those are in every layer that has something of theirs, so that
/// each layer unpacks by itself.
pub fn split(entries: &[Entry], layers: Layers) -> Vec<Vec<&Entry>> {
    let whole = || vec![entries.iter().collect()];
    if layers == Layers::AtMost(1) {
        return whole();
    }
    let parts = Parts::of(entries);
    if layers == Layers::Auto && parts.content() < SMALL_BYTES {
        return whole();
    }
    parts.assemble(&parts.cut(layers))
}

impl<'a> Parts<'a> {
    fn of(entries: &'a [Entry]) -> Self {
        let parents = parents(entries);
        let mut has_something = vec![false; entries.len()];
        for parent in parents.iter().filter(|parent| **parent != NOWHERE) {
            has_something[*parent] = true;
        }
        let mut units: Vec<Unit> = Vec::with_capacity(entries.len());
        let mut files: HashMap<(u64, u64), usize> = HashMap::new();
        let mut names: HashMap<usize, Vec<usize>> = HashMap::new();
        for (index, entry) in entries.iter().enumerate() {
            match &entry.kind {
                Kind::Directory if has_something[index] => continue,
                Kind::File { stamp, links } if *links > 1 => {
                    if let Some(number) = files.get(&stamp.identity) {
                        let Unit { first, size } = &mut units[*number];
                        names.entry(*first).or_default().push(index);
                        *size = size.saturating_add(HEADER_BYTES);
                        continue;
                    }
                    files.insert(stamp.identity, units.len());
                }
                _ => {}
            }
            units.push(Unit { first: index, size: entry.size().saturating_add(HEADER_BYTES) });
        }
        // An empty directory stands where the first file in it would.
        let is_empty = |unit: &Unit| entries[unit.first].kind == Kind::Directory;
        let path = |unit: &Unit| &entries[unit.first].path;
        let inside = |unit: &Unit| path(unit).iter().chain(is_empty(unit).then_some(&b'/'));
        units.sort_unstable_by(|a, b| match (is_empty(a), is_empty(b)) {
            (false, false) => path(a).cmp(path(b)),
            _ => inside(a).cmp(inside(b)),
        });
        Self { entries, parents, units, names }
    }

    /// Returns the size of the files in bytes.
    fn content(&self) -> u64 {
        self.units.iter().fold(0, |sum, unit| sum.saturating_add(self.entries[unit.first].size()))
    }

    /// Of each unit, how high it ranks: the hash of its path, or 0 for an empty directory, which ends no layer because
    /// it is gone with the first file in it.
    fn ranks(&self) -> Vec<u64> {
        let rank = |unit: &Unit| match &self.entries[unit.first] {
            Entry { kind: Kind::Directory, .. } => 0,
            entry => hash(&entry.path),
        };
        self.units.iter().map(rank).collect()
    }

    /// Returns the narrowest usual cut that makes no more layers than there may be.
    fn cut(&self, layers: Layers) -> Cut {
        let bytes = self.units.iter().fold(0, |sum: u64, unit| sum.saturating_add(unit.size));
        let (wished, least, most) = match layers {
            Layers::Auto => (USUAL_LAYERS, LEAST_WIDTH, MAX_LAYERS),
            Layers::AtMost(most) => (u64::from(most.max(1)), HEADER_BYTES, most.max(1)),
        };
        let ranks = self.ranks();
        let mut width = step_down((bytes / (2 * wished)).max(least));
        loop {
            let cut = self.at(width, &ranks);
            match step_up(width) {
                Some(wider) if self.layers(&cut) > usize::from(most) => width = wider,
                _ => return cut,
            }
        }
    }

    /// Returns the cut at a width.
    fn at(&self, width: u64, ranks: &[u64]) -> Cut {
        /// An end that none after it has outranked yet.
        struct Candidate {
            number: usize,
            place: u64,
            /// Whether it is a width behind the last that ranks higher, or the beginning.
            far: bool,
        }
        let mut cut = Cut { width, ends: vec![false; self.units.len()] };
        // The highest first; of equals, the first is the highest.
        let mut candidates: Vec<Candidate> = Vec::new();
        let mut place: u64 = 0;
        let mut last = None;
        for (number, unit) in self.units.iter().enumerate().filter(|(_, unit)| unit.size < width) {
            place = place.saturating_add(unit.size);
            last = Some(number);
            if ranks[number] == 0 {
                continue;
            }
            while let Some(outranked) = candidates.pop_if(|candidate| ranks[candidate.number] < ranks[number]) {
                cut.ends[outranked.number] = outranked.far && place - outranked.place >= width;
            }
            let far = place - candidates.last().map_or(0, |higher| higher.place) >= width;
            candidates.push(Candidate { number, place, far });
        }
        for candidate in candidates {
            cut.ends[candidate.number] = candidate.far && place - candidate.place >= width;
        }
        if let Some(last) = last {
            cut.ends[last] = true;
        }
        cut
    }

    /// Returns how many layers there are.
    fn layers(&self, cut: &Cut) -> usize {
        let ends = |(unit, end): &(&Unit, &bool)| **end || unit.size >= cut.width;
        self.units.iter().zip(&cut.ends).filter(ends).count()
    }

    /// Returns the layers: first those of one unit, then the others.
    fn assemble(&self, cut: &Cut) -> Vec<Vec<&'a Entry>> {
        let mut layers = Vec::with_capacity(self.layers(cut));
        let mut last_layer_of = vec![NOWHERE; self.entries.len()];
        let all = || self.units.iter().enumerate();
        let is_alone = |unit: &Unit| unit.size >= cut.width;
        let alone = all().filter(|(_, unit)| is_alone(unit));
        let others = all().filter(|(_, unit)| !is_alone(unit));
        let mut layer = Vec::new();
        for (number, unit) in alone.chain(others) {
            let first = unit.first;
            for index in std::iter::once(first).chain(self.names.get(&first).into_iter().flatten().copied()) {
                layer.push(index);
                let mut above = self.parents[index];
                // A directory that is in the layer has brought those above it.
                while above != NOWHERE && last_layer_of[above] != layers.len() {
                    last_layer_of[above] = layers.len();
                    layer.push(above);
                    above = self.parents[above];
                }
            }
            if cut.ends[number] || is_alone(unit) {
                // Entries are sorted, and so are their indices: parents come before what is in them.
                layer.sort_unstable();
                layers.push(layer.drain(..).map(|index| &self.entries[index]).collect());
            }
        }
        if layers.is_empty() {
            layers.push(Vec::new());
        }
        layers
    }
}

/// Where the units of a context are cut.
#[derive(Debug)]
struct Cut {
    /// Bytes of a unit that is a layer by itself.
    width: u64,
    /// Of each other unit, whether a layer ends with it.
    ends: Vec<bool>,
}

/// Of each entry, the index of the directory it is in, or [`NOWHERE`].
fn parents(entries: &[Entry]) -> Vec<usize> {
    let mut directories: HashMap<&[u8], usize> = HashMap::new();
    let mut last: (&[u8], usize) = (&[], NOWHERE);
    let mut parents = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let end = entry.path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        let parent = &entry.path[..end];
        if parent != last.0 {
            last = (parent, directories.get(parent).copied().unwrap_or(NOWHERE));
        }
        parents.push(last.1);
        if entry.kind == Kind::Directory {
            directories.insert(&entry.path, index);
        }
    }
    parents
}

/// Returns the first eight bytes of the path's SHA-256, as a big-endian number.
fn hash(path: &[u8]) -> u64 {
    let digest = Digest::of(path);
    let mut first = [0; 8];
    first.copy_from_slice(&digest.bytes()[..8]);
    u64::from_be_bytes(first)
}

/// Returns the largest usual width that is not larger, for widths from 4 on. There are four from each power of two to
/// the next: while a context grows from one to the next, its cuts stay, and then most of them do.
fn step_down(width: u64) -> u64 {
    let shift = width.ilog2() - 2;
    (width >> shift) << shift
}

/// Returns the next usual width after one, if numbers go that far.
fn step_up(width: u64) -> Option<u64> {
    width.checked_add(1 << (width.ilog2() - 2))
}

#[cfg(test)]
mod tests;
