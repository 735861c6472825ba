//! Where a context is cut into layers: at points that its content chooses, so that a change moves no others.
//!
//! What is cut are units: a file with all its names, a link, an empty directory, in the order of their paths.
//! There is a cut where the hash of a path is the highest far and wide: within a number of bytes, the width, to
//! either side. So no two cuts are nearer to each other than that and few are much further apart, and a file
//! that is edited, added or removed changes the layer it is in. Only if it moves a cut, which takes one within a
//! width of it and hashes to match, does it change what is beyond that cut too.

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

/// Files are large from here on, by the binary logarithm of their size: those beside them are better cut off there
/// than anywhere else. The size of smaller ones says less than their path, and changes more often.
const LARGE: u32 = LEAST_WIDTH.ilog2();

/// What a name costs in the archive besides content.
const HEADER_BYTES: u64 = 512;

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
    /// Indices of the entries, the first name first.
    entries: Vec<usize>,
    /// Bytes of content.
    content: u64,
    /// Bytes that it takes in the archive, roughly.
    size: u64,
    /// Its path may end a layer. That of an empty directory does not: it is gone with the first file in it.
    may_end: bool,
}

/// The entries of each layer, sorted by path, base first; at least one layer.
///
/// `entries` are all of a context, sorted by the bytes of the path. Each is in one layer exactly, except
/// directories that have something in them: those are in every layer that has something of theirs, so that
/// each layer unpacks by itself.
pub fn split(entries: &[Entry], layers: Layers) -> Vec<Vec<&Entry>> {
    let whole = || vec![entries.iter().collect()];
    if layers == Layers::AtMost(1) {
        return whole();
    }
    let parents = parents(entries);
    let units = units(entries, &parents);
    let content = units.iter().fold(0, |sum: u64, unit| sum.saturating_add(unit.content));
    if layers == Layers::Auto && content < SMALL_BYTES {
        return whole();
    }
    let strengths = strengths(entries, &units);
    assemble(entries, &parents, &units, &strengths, width(&units, &strengths, layers))
}

/// Of each entry, the index of the directory it is in.
fn parents(entries: &[Entry]) -> Vec<Option<usize>> {
    let mut directories: HashMap<&[u8], usize> = HashMap::new();
    let mut last: (&[u8], Option<usize>) = (&[], None);
    let mut parents = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let end = entry.path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        let parent = &entry.path[..end];
        if parent != last.0 {
            last = (parent, directories.get(parent).copied());
        }
        parents.push(last.1);
        if entry.kind == Kind::Directory {
            directories.insert(&entry.path, index);
        }
    }
    parents
}

/// The units in their order. An empty directory stands where the first file in it would.
fn units(entries: &[Entry], parents: &[Option<usize>]) -> Vec<Unit> {
    let mut has_something = vec![false; entries.len()];
    for parent in parents.iter().flatten() {
        has_something[*parent] = true;
    }
    let mut units: Vec<Unit> = Vec::with_capacity(entries.len());
    let mut files: HashMap<(u64, u64), usize> = HashMap::new();
    for (index, entry) in entries.iter().enumerate() {
        match &entry.kind {
            Kind::Directory if has_something[index] => continue,
            Kind::File { stamp, links } if *links > 1 => {
                if let Some(unit) = files.get(&stamp.identity) {
                    units[*unit].entries.push(index);
                    continue;
                }
                files.insert(stamp.identity, units.len());
            }
            _ => {}
        }
        let may_end = entry.kind != Kind::Directory;
        units.push(Unit { entries: vec![index], content: entry.size(), size: 0, may_end });
    }
    for unit in &mut units {
        unit.size = unit.content.saturating_add(HEADER_BYTES * unit.entries.len() as u64);
    }
    let path = |unit: &Unit| &entries[unit.entries[0]].path;
    let inside = |unit: &Unit| path(unit).iter().chain((!unit.may_end).then_some(&b'/'));
    units.sort_by(|a, b| match (a.may_end, b.may_end) {
        (true, true) => path(a).cmp(path(b)),
        _ => inside(a).cmp(inside(b)),
    });
    units
}

/// Of the end of each unit but the last, up to which width there is a cut.
///
/// That is the distance to the next end that ranks higher, on the side where it is nearer: a wider neighbourhood
/// has it in it. Ends rank by the hash of the path before them, those of large files above all others. Beside a
/// file of twice the width there is always a cut, so that nothing small is in a layer with it. Larger widths have
/// no cut that a smaller one has not.
fn strengths(entries: &[Entry], units: &[Unit]) -> Vec<u64> {
    let mut place: u64 = 0;
    let ends: Vec<End> = units
        .windows(2)
        .map(|pair| {
            place = place.saturating_add(pair[0].size);
            End::between(entries, &pair[0], &pair[1], place)
        })
        .collect();
    let mut reach = vec![u64::MAX; ends.len()];
    let mut higher: Vec<usize> = Vec::new();
    for (number, end) in ends.iter().enumerate().filter(|(_, end)| end.rank.is_some()) {
        while higher.pop_if(|last| ends[*last].rank < end.rank).is_some() {}
        if let Some(last) = higher.last() {
            reach[number] = end.place - ends[*last].place;
        }
        higher.push(number);
    }
    higher.clear();
    for (number, end) in ends.iter().enumerate().rev().filter(|(_, end)| end.rank.is_some()) {
        // Of equals, the first is the highest.
        while higher.pop_if(|last| ends[*last].rank <= end.rank).is_some() {}
        if let Some(last) = higher.last() {
            reach[number] = reach[number].min(ends[*last].place - end.place);
        }
        higher.push(number);
    }
    let strength = |(end, reach): (&End, u64)| (end.beside / 2).max(if end.rank.is_some() { reach } else { 0 });
    ends.iter().zip(reach).map(strength).collect()
}

/// The end of a unit, where a cut can be.
struct End {
    /// Bytes before it.
    place: u64,
    /// The binary logarithm of the large file beside it or 0, then the hash of the path before it; `None` after an
    /// empty directory, where hardly a cut can be.
    rank: Option<(u32, u64)>,
    /// Bytes of the larger file beside it.
    beside: u64,
}

impl End {
    fn between(entries: &[Entry], before: &Unit, after: &Unit, place: u64) -> Self {
        let beside = [before, after].into_iter().filter(|unit| unit.may_end).map(|unit| unit.size).max().unwrap_or(0);
        let class = beside.checked_ilog2().filter(|class| *class >= LARGE).unwrap_or(0);
        let hash = before.may_end.then(|| hash(&entries[before.entries[0]].path));
        let rank = if class > 0 { Some((class, hash.unwrap_or(0))) } else { hash.map(|hash| (0, hash)) };
        Self { place, rank, beside }
    }
}

/// The first eight bytes of the path's SHA-256, as a big-endian number.
fn hash(path: &[u8]) -> u64 {
    let digest = Digest::of(path);
    let mut first = [0; 8];
    first.copy_from_slice(&digest.bytes()[..8]);
    u64::from_be_bytes(first)
}

/// How far cuts are apart at least, so that there are not too many; layers have about twice that on average.
fn width(units: &[Unit], strengths: &[u64], layers: Layers) -> u64 {
    let bytes = units.iter().fold(0, |sum: u64, unit| sum.saturating_add(unit.size));
    let (wished, least, most) = match layers {
        Layers::Auto => (USUAL_LAYERS, LEAST_WIDTH, MAX_LAYERS),
        Layers::AtMost(most) => (u64::from(most.max(1)), HEADER_BYTES, most.max(1)),
    };
    let mut width = step_down((bytes / (2 * wished)).max(least));
    while strengths.iter().filter(|strength| **strength >= width).count() >= usize::from(most) {
        let Some(wider) = step_up(width) else { break };
        width = wider;
    }
    width
}

/// The largest usual width that is not larger, for widths from 4 on. There are four from each power of two to the
/// next: while a context grows from one to the next, its cuts stay, and then most of them do.
fn step_down(width: u64) -> u64 {
    let shift = width.ilog2() - 2;
    (width >> shift) << shift
}

/// The next usual width after one, if numbers go that far.
fn step_up(width: u64) -> Option<u64> {
    width.checked_add(1 << (width.ilog2() - 2))
}

fn assemble<'a>(
    entries: &'a [Entry],
    parents: &[Option<usize>],
    units: &[Unit],
    strengths: &[u64],
    width: u64,
) -> Vec<Vec<&'a Entry>> {
    let mut layers = Vec::new();
    let mut last_layer_of = vec![usize::MAX; entries.len()];
    let mut layer: Vec<usize> = Vec::new();
    for (number, unit) in units.iter().enumerate() {
        for index in &unit.entries {
            layer.push(*index);
            let mut above = parents[*index];
            // A directory that is in the layer has brought those above it.
            while let Some(directory) = above
                && last_layer_of[directory] != layers.len()
            {
                last_layer_of[directory] = layers.len();
                layer.push(directory);
                above = parents[directory];
            }
        }
        if strengths.get(number).is_none_or(|strength| *strength >= width) {
            // Entries are sorted, and so are their indices: parents come before what is in them.
            layer.sort_unstable();
            layers.push(layer.drain(..).map(|index| &entries[index]).collect());
        }
    }
    if layers.is_empty() {
        layers.push(Vec::new());
    }
    layers
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
