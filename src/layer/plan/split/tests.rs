use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::context::Stamp;

/// What a path is: `None` for a directory, else its size and the file it is another name of.
type Planted = Option<(u64, Option<u8>)>;
type Tree = BTreeMap<String, Planted>;

/// Puts a file into the tree, unless a file is in the way or it would replace a directory.
fn put(tree: &mut Tree, path: &str, file: Planted) -> bool {
    let above: Vec<&str> = path.match_indices('/').map(|(end, _)| &path[..end]).collect();
    if above.iter().any(|parent| tree.get(*parent).is_some_and(Option::is_some)) {
        return false;
    }
    if tree.get(path).is_some_and(|there| there.is_none() != file.is_none()) {
        return false;
    }
    for parent in above {
        tree.insert(parent.to_owned(), None);
    }
    tree.insert(path.to_owned(), file);
    true
}

/// The tree as a walk lists it; a file's time is its size, so that any edit shows.
fn entries(tree: &Tree) -> Vec<Entry> {
    let mut names: BTreeMap<u8, u64> = BTreeMap::new();
    for group in tree.values().flatten().filter_map(|(_, group)| *group) {
        *names.entry(group).or_default() += 1;
    }
    let entry = |(number, (path, file)): (usize, (&String, &Planted))| {
        let kind = match file {
            None => Kind::Directory,
            Some((size, None)) if *size == 3 => Kind::Symlink { target: (*b"abc").into() },
            Some((size, group)) => {
                let identity = group.map_or((1, number as u64), |group| (2, u64::from(group)));
                // All names of a file tell the same.
                let size = group.map_or(*size, |group| u64::from(group) << 12);
                let time = i64::try_from(size).expect("small");
                let stamp = Stamp { identity, size, modified: (time, 0), changed: (time, 0) };
                Kind::File { stamp, links: group.map_or(1, |group| names[&group]) }
            }
        };
        Entry { path: path.as_bytes().into(), mode: 0o755, kind }
    };
    tree.iter().enumerate().map(entry).collect()
}

/// All of a context at a width of one's own.
fn at_width(entries: &[Entry], width: u64) -> Vec<Vec<&Entry>> {
    let parts = Parts::of(entries);
    parts.assemble(&parts.at(width, &parts.ranks()))
}

/// Bytes that a layer takes, directories aside.
fn bytes(layer: &[&Entry]) -> u64 {
    let files = layer.iter().filter(|entry| entry.kind != Kind::Directory);
    files.map(|entry| entry.size() + HEADER_BYTES).sum()
}

/// What makes the bytes of each layer, inode numbers aside.
fn contents(layers: &[Vec<&Entry>]) -> BTreeSet<Vec<(String, u64, bool)>> {
    let shown = |entry: &&Entry| {
        (String::from_utf8_lossy(&entry.path).into_owned(), entry.size(), entry.kind == Kind::Directory)
    };
    layers.iter().map(|layer| layer.iter().map(shown).collect()).collect()
}

fn name() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[a-e-]{1,2}(/[a-e-]{1,2}){0,3}").expect("a pattern")
}

fn size() -> impl Strategy<Value = u64> {
    (0..22_u32, any::<u64>()).prop_map(|(bits, noise)| noise & ((1 << bits) - 1))
}

fn trees() -> impl Strategy<Value = Tree> {
    let file = prop_oneof![
        8 => size().prop_map(|size| Some((size, None))),
        1 => (0..4_u8).prop_map(|group| Some((0, Some(group)))),
        1 => Just(None),
    ];
    proptest::collection::vec((name(), file), 0..120).prop_map(|paths| {
        let mut tree = Tree::new();
        for (path, file) in paths {
            put(&mut tree, &path, file);
        }
        tree
    })
}

proptest! {
    #[test]
    fn layers_make_up_the_tree_and_each_stands_alone(tree in trees(), most in 1..=MAX_LAYERS) {
        let entries = entries(&tree);
        let layers = split(&entries, Layers::AtMost(most));
        prop_assert!((1..=usize::from(most)).contains(&layers.len()));
        let mut seen: BTreeMap<&[u8], usize> = BTreeMap::new();
        let mut groups: BTreeMap<(u64, u64), usize> = BTreeMap::new();
        for (number, layer) in layers.iter().enumerate() {
            prop_assert!(layer.is_sorted_by(|a, b| a.path < b.path));
            let paths: BTreeSet<&[u8]> = layer.iter().map(|entry| &*entry.path).collect();
            for entry in layer {
                *seen.entry(&entry.path).or_default() += 1;
                for (end, _) in entry.path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
                    prop_assert!(paths.contains(&entry.path[..end]), "{entry:?} lacks a parent");
                }
                if let Kind::File { stamp, links: 2.. } = &entry.kind {
                    prop_assert_eq!(*groups.entry(stamp.identity).or_insert(number), number);
                }
            }
        }
        prop_assert_eq!(seen.len(), entries.len());
        for entry in &entries {
            prop_assert!(entry.kind == Kind::Directory || seen[&*entry.path] == 1, "{entry:?}");
        }
    }

    #[test]
    fn a_layer_is_one_large_unit_or_a_width_of_others(tree in trees(), width in 512..(1_u64 << 24)) {
        let entries = entries(&tree);
        let parts = Parts::of(&entries);
        let cut = parts.at(width, &parts.ranks());
        prop_assert_eq!(parts.layers(&cut).max(1), parts.assemble(&cut).len());
        let others = || parts.units.iter().zip(&cut.ends).filter(|(unit, _)| unit.size < width);
        let all: u64 = others().map(|(unit, _)| unit.size).sum();
        let mut bytes = 0;
        for (unit, end) in others() {
            bytes += unit.size;
            if *end {
                prop_assert!(bytes >= width.min(all));
                bytes = 0;
            }
        }
        prop_assert_eq!(bytes, 0);
        for (unit, end) in parts.units.iter().zip(&cut.ends) {
            prop_assert!(!end || unit.size < width);
        }
        prop_assert!(step_down(width) <= width && width < step_up(step_down(width)).expect("small"));
    }

    #[test]
    fn a_change_of_one_file_changes_what_is_between_two_cuts(
        mut tree in trees(),
        path in name(),
        pick in any::<proptest::sample::Index>(),
        edited in proptest::option::of(size()),
        width in 1_u64 << 10..1 << 20,
    ) {
        // Another name of a file ties two places together; that is not one file's change.
        tree.retain(|_, file| file.is_none_or(|(_, group)| group.is_none()));
        let before = entries(&tree);
        let mut changed = tree.clone();
        let files: Vec<&String> = tree.iter().filter(|(_, file)| file.is_some()).map(|(path, _)| path).collect();
        let path = if files.is_empty() || (edited.is_some() && pick.index(2) == 0) {
            path
        } else {
            files[pick.index(files.len())].clone()
        };
        match edited {
            None => drop(changed.remove(&path)),
            Some(size) => drop(put(&mut changed, &path, Some((size, None)))),
        }
        let after = entries(&changed);
        let (old, new) = (contents(&at_width(&before, width)), contents(&at_width(&after, width)));
        let made = new.difference(&old).count();
        let gone = old.difference(&new).count();
        // Whether a file is a layer by itself, if it is there.
        let alone = |tree: &Tree| tree.get(&path).and_then(|file| *file).map(|(size, _)| size + HEADER_BYTES >= width);
        let directories = |tree: &Tree| tree.values().filter(|file| file.is_none()).count();
        let empty = |entries: &[Entry]| {
            let parts = Parts::of(entries);
            parts.units.iter().filter(|unit| entries[unit.first].kind == Kind::Directory).count()
        };
        let tidy = directories(&tree) == directories(&changed) && empty(&before) == empty(&after);
        let most = match (alone(&tree), alone(&changed)) {
            // A large file does not affect the other layers.
            (Some(true), Some(true)) => 1,
            (None, Some(true)) | (Some(true), None) if tidy => 1,
            // Distances become larger or smaller, which makes or takes one cut.
            (Some(false), Some(false)) => 2,
            // Of the cuts that a file has within a width, one is before it and one after it.
            (Some(true), Some(false)) | (Some(false), Some(true)) => 4,
            _ => 3,
        };
        prop_assert!(made <= most, "{made} made of {old:#?}: {new:#?}");
        prop_assert!(gone <= most, "{gone} gone of {old:#?}: {new:#?}");
    }
}

/// A tree of 3,000 files of up to 64 KiB, and numbers that are as good as random.
fn usual_tree() -> (Tree, impl FnMut() -> u64) {
    let mut state: u64 = 1;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mut tree = Tree::new();
    for number in 0..3000 {
        let size = random() & 0xffff;
        put(&mut tree, &format!("d{}/f{number}", random() % 20), Some((size, None)));
    }
    (tree, random)
}

#[test]
fn layers_are_even_and_one_changes_at_a_time() {
    let (tree, mut random) = usual_tree();
    let before = entries(&tree);
    let layers = split(&before, Layers::Auto);
    assert!((8..=16).contains(&layers.len()), "{}", layers.len());
    let all: u64 = layers.iter().map(|layer| bytes(layer)).sum();
    let largest = layers.iter().map(|layer| bytes(layer)).max().expect("layers");
    assert!(largest < 2 * all / layers.len() as u64, "{largest} of {all} in {}", layers.len());
    let old = contents(&layers);
    let paths: Vec<&String> = tree.iter().filter(|(_, file)| file.is_some()).map(|(path, _)| path).collect();
    let (mut one, mut two) = (0, 0);
    for number in 0..100 {
        let mut changed = tree.clone();
        let path = paths[usize::try_from(random()).expect("small") % paths.len()].clone();
        match number % 3 {
            0 => drop(changed.remove(&path)),
            1 => drop(changed.insert(path, Some((random() & 0xffff, None)))),
            _ => assert!(put(&mut changed, &format!("{path}-new"), Some((random() & 0xffff, None)))),
        }
        let after = entries(&changed);
        match contents(&split(&after, Layers::Auto)).difference(&old).count() {
            0 | 1 => one += 1,
            2 => two += 1,
            more => panic!("{more} layers changed"),
        }
    }
    assert!(one >= 95, "{one} of 100 changed one layer, {two} two");
}

/// A file of `size` bytes for each name, by itself.
fn files(files: &[(&str, u64)]) -> Vec<Entry> {
    let mut tree = Tree::new();
    for (path, size) in files {
        assert!(put(&mut tree, path, Some((*size, None))), "{path}");
    }
    entries(&tree)
}

fn names(layers: &[Vec<&Entry>]) -> Vec<String> {
    let name = |entry: &&Entry| String::from_utf8_lossy(&entry.path).into_owned();
    layers.iter().map(|layer| layer.iter().map(name).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn a_small_context_is_whole_unless_layers_are_asked_for() {
    let small = files(&[("a", 16 << 20), ("b", (16 << 20) - 1)]);
    assert_eq!(names(&split(&small, Layers::Auto)), ["a b"]);
    assert_eq!(names(&split(&small, Layers::AtMost(1))), ["a b"]);
    assert_eq!(names(&split(&small, Layers::AtMost(2))), ["a", "b"]);
    let large = files(&[("a", 16 << 20), ("b", 16 << 20)]);
    assert_eq!(names(&split(&large, Layers::Auto)), ["a", "b"]);
    assert_eq!(names(&split(&large, Layers::AtMost(1))), ["a b"]);
    assert_eq!(names(&split(&[], Layers::AtMost(7))), [""]);
    assert_eq!(names(&split(&[], Layers::Auto)), [""]);
}

/// These cuts must never change: with them, what registries have already would be of no use.
#[test]
fn cuts_are_where_they_always_were() {
    assert_eq!(
        ["a", "\u{fc}"].map(|path| hash(path.as_bytes())),
        [14_598_278_634_844_962_250, 6_950_308_537_068_853_028]
    );
    let names: Vec<String> = (0..2000).map(|number| format!("dir-{}/file-{number}", number % 7)).collect();
    let many: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 100_000)).collect();
    let many = files(&many);
    let layers = split(&many, Layers::Auto);
    let ends: Vec<String> = layers
        .iter()
        .map(|layer| String::from_utf8_lossy(&layer.last().expect("something").path).into_owned())
        .collect();
    assert_eq!(
        ends.iter().map(|end| end.trim_start_matches("dir-")).collect::<Vec<_>>().join(" "),
        "0/file-1344 0/file-623 1/file-1030 1/file-1450 1/file-1716 1/file-463 1/file-736 2/file-1150 2/file-1619 2/file-296 2/file-674 3/file-1312 3/file-171 3/file-283 3/file-59 4/file-116 4/file-1516 4/file-375 4/file-697 5/file-1181 5/file-1531 5/file-1888 5/file-985 6/file-1665 6/file-202 6/file-552 6/file-993"
    );
}

#[test]
fn names_of_one_file_stay_together_and_empty_directories_are_kept() {
    let mut tree = Tree::new();
    for (path, file) in [
        ("a", Some((1 << 20, None))),
        ("b/first", Some((0, Some(1)))),
        ("c", Some((1 << 20, None))),
        ("d/second", Some((0, Some(1)))),
        ("e", None),
        ("e-f", Some((1 << 20, None))),
    ] {
        assert!(put(&mut tree, path, file));
    }
    let entries = entries(&tree);
    assert_eq!(names(&at_width(&entries, 1 << 19)), ["a", "c", "e-f", "b b/first d d/second e"]);
    assert_eq!(names(&at_width(&entries, 1 << 40)), ["a b b/first c d d/second e e-f"]);
}
