//! Where a context is cut into layers: at points that its content chooses, so that a change moves no others.
//!
//! What is cut are units: a file with all its names, a link, an empty directory, in the order of their paths.
//! Between two units there is a cut, or none, by what these two are alone. So one file that is edited, added
//! or removed changes the layer it is in, and at most the one beside it.

use std::collections::HashMap;

use crate::context::{Entry, Kind};
use crate::image::Digest;

/// The most layers an image of ours is cut into.
pub const MAX_LAYERS: u8 = 32;

/// Contexts with less content than this stay whole unless a number of layers is asked for: packing them takes
/// less time than a person notices.
const SMALL_BYTES: u64 = 32 << 20;

/// How many layers a large context is meant to have, roughly. Cuts are as irregular as hashes are, and files are more
/// often in the large layers than in the small ones: an edit costs about twice the average layer.
const USUAL_LAYERS: u64 = 20;

/// The binary logarithm of the smallest usual target: below 8 MiB, a layer costs more requests than it saves bytes.
const LEAST_TARGET: u32 = 23;

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
    /// The binary logarithm of what it takes in the archive, rounded down: most edits leave it as it is.
    class: u32,
    /// The end of a layer may be here. An empty directory ends none, as it is gone with the first file in it.
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
    let content: u64 = units.iter().map(|unit| unit.content).sum();
    if layers == Layers::Auto && content < SMALL_BYTES {
        return whole();
    }
    let strengths = strengths(entries, &units);
    assemble(entries, &parents, &units, &strengths, target(entries.len(), content, &strengths, layers))
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
        units.push(Unit { entries: vec![index], content: entry.size(), class: 0, may_end });
    }
    for unit in &mut units {
        unit.class = (unit.content + HEADER_BYTES * unit.entries.len() as u64).ilog2();
    }
    let path = |unit: &Unit| &entries[unit.entries[0]].path;
    let inside = |unit: &Unit| path(unit).iter().chain((!unit.may_end).then_some(&b'/'));
    units.sort_by(|a, b| match (a.may_end, b.may_end) {
        (true, true) => path(a).cmp(path(b)),
        _ => inside(a).cmp(inside(b)),
    });
    units
}

/// Of the end of each unit but the last, up to which target (its binary logarithm) there is a cut.
///
/// A hash of the path that begins with so many zero bits as the target is doublings away from the unit's
/// class makes one: the chance is the unit's size to the target's, so layers have about the size of the
/// target. A unit as large as the target is cut off on both sides. Larger targets so have fewer cuts, and
/// none that a smaller one has not.
fn strengths(entries: &[Entry], units: &[Unit]) -> Vec<u32> {
    let pairs = units.windows(2);
    let strength = |pair: &[Unit]| {
        let own = if pair[0].may_end { pair[0].class + zeros(&entries[pair[0].entries[0]].path) } else { 0 };
        own.max(if pair[1].may_end { pair[1].class } else { 0 })
    };
    pairs.map(strength).collect()
}

/// Zero bits at the beginning of the path's SHA-256, at most 64: its first eight bytes as a big-endian number.
fn zeros(path: &[u8]) -> u32 {
    let digest = Digest::of(path);
    let mut first = [0; 8];
    first.copy_from_slice(&digest.bytes()[..8]);
    u64::from_be_bytes(first).leading_zeros()
}

/// The binary logarithm of the size that layers should have, so that there are not too many.
fn target(names: usize, content: u64, strengths: &[u32], layers: Layers) -> u32 {
    let bytes = content + HEADER_BYTES * names as u64;
    let (wished, least, most) = match layers {
        Layers::Auto => (USUAL_LAYERS, LEAST_TARGET, MAX_LAYERS),
        Layers::AtMost(most) => (u64::from(most.max(1)), HEADER_BYTES.ilog2(), most.max(1)),
    };
    // Powers of two: while a context grows from one to the next, its cuts stay.
    let mut target = (bytes / wished).max(1).ilog2().max(least);
    while strengths.iter().filter(|strength| **strength >= target).count() >= usize::from(most) {
        target += 1;
    }
    target
}

fn assemble<'a>(
    entries: &'a [Entry],
    parents: &[Option<usize>],
    units: &[Unit],
    strengths: &[u32],
    target: u32,
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
        if strengths.get(number).is_none_or(|strength| *strength >= target) {
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
