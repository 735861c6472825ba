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

/// All of a context at a target of one's own.
fn at_target(entries: &[Entry], target: u32) -> Vec<Vec<&Entry>> {
    let parents = parents(entries);
    let units = units(entries, &parents);
    assemble(entries, &parents, &units, &strengths(entries, &units), target)
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
    fn a_larger_target_has_no_cut_that_a_smaller_one_has_not(tree in trees(), target in 9..24_u32) {
        let entries = entries(&tree);
        let ends = |layers: &[Vec<&Entry>]| -> BTreeSet<Vec<u8>> {
            layers.iter().filter_map(|layer| layer.iter().rfind(|entry| entry.kind != Kind::Directory))
                .map(|entry| entry.path.to_vec()).collect()
        };
        let parents = parents(&entries);
        let units = units(&entries, &parents);
        let strengths = strengths(&entries, &units);
        let cuts = |target: u32| -> BTreeSet<usize> {
            (0..strengths.len()).filter(|boundary| strengths[*boundary] >= target).collect()
        };
        prop_assert!(cuts(target + 1).is_subset(&cuts(target)));
        // Without names that move into another's layer, the ends of the layers say the same.
        if units.iter().all(|unit| unit.entries.len() == 1 && unit.may_end) {
            prop_assert!(ends(&at_target(&entries, target + 1)).is_subset(&ends(&at_target(&entries, target))));
        }
    }

    #[test]
    fn a_change_of_one_file_changes_two_layers_at_most(
        mut tree in trees(),
        path in name(),
        pick in any::<proptest::sample::Index>(),
        edited in proptest::option::of(size()),
        target in 10..20_u32,
    ) {
        // Another name of a file ties two places together; that is not one file's change.
        tree.retain(|_, file| file.is_none_or(|(_, group)| group.is_none()));
        let before = entries(&tree);
        let mut changed = tree.clone();
        let files: Vec<&String> = tree.iter().filter(|(_, file)| file.is_some()).map(|(path, _)| path).collect();
        match edited {
            // Removing.
            None if !files.is_empty() => {
                changed.remove(files[pick.index(files.len())]);
            }
            // Editing or adding.
            Some(size) if files.is_empty() || pick.index(2) == 0 => {
                put(&mut changed, &path, Some((size, None)));
            }
            Some(size) => {
                changed.insert(files[pick.index(files.len())].clone(), Some((size, None)));
            }
            None => {}
        }
        let after = entries(&changed);
        let (old, new) = (contents(&at_target(&before, target)), contents(&at_target(&after, target)));
        // One as large as the target is a layer by itself, between what was before it and what comes after it.
        let alone = |tree: &Tree, other: &Tree| {
            let large = |file: &(&String, &Planted)| file.1.is_some_and(|(size, _)| (size + 512).ilog2() >= target);
            usize::from(tree.iter().filter(large).any(|(path, file)| other.get(path) != Some(file)))
        };
        let made = new.difference(&old).count();
        let gone = old.difference(&new).count();
        prop_assert!(made <= 2 + alone(&changed, &tree), "{made} made of {old:#?}: {new:#?}");
        prop_assert!(gone <= 2 + alone(&tree, &changed), "{gone} gone of {old:#?}: {new:#?}");
    }
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
    assert_eq!(["a", "\u{fc}", "n34", "n1447"].map(|path| zeros(path.as_bytes())), [0, 1, 7, 8]);
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
        "1/file-1289 1/file-421 2/file-1675 2/file-1703 2/file-590 2/file-646 4/file-1299 4/file-1474 4/file-1719 4/file-1831 5/file-1860 5/file-215 6/file-1077 6/file-1189 6/file-1406 6/file-958 6/file-993"
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
    assert_eq!(names(&at_target(&entries, 20)), ["a", "b b/first d d/second", "c", "e-f", "e"]);
    assert_eq!(names(&at_target(&entries, 40)), ["a b b/first c d d/second e e-f"]);
}
