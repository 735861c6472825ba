use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::layer::Owner;

fn attributes(mode: u32) -> Attributes {
    Attributes { mode, owner: Owner { uid: u64::from(mode), gid: 1 }, modified: 2 }
}

/// A tree of `d MODE PATH`, `f PATH` and `l PATH TARGET`.
fn tree(lines: &[&str]) -> LowerTree {
    let mut below = LowerTree::default();
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["d", mode, path] => {
                let mode = u32::from_str_radix(mode, 8).expect("a mode");
                below.put(path.as_bytes(), LowerEntry::Directory(attributes(mode)));
            }
            ["f", path] => below.put(path.as_bytes(), LowerEntry::Other),
            ["l", path, target] => below.put(path.as_bytes(), LowerEntry::Link(target.as_bytes())),
            _ => panic!("{line}"),
        }
    }
    below
}

fn resolved(below: &LowerTree, path: &str) -> String {
    match below.resolve(path.as_bytes()) {
        Ok(Resolved { path, end }) => format!("{end:?} {}", String::from_utf8(path).expect("text")),
        Err(error) => error.to_string(),
    }
}

#[test]
fn links_lead_where_they_lead_and_not_out() {
    let below = tree(&[
        "d 755 usr/bin",
        "l bin usr/bin",
        "l sbin /bin",
        "d 700 root",
        "l root/up ../../../usr/./bin/",
        "l lock /run/lock",
        "f etc/passwd",
        "l etc/users passwd",
        "l top /",
        "l over missing/../usr",
    ]);
    for (path, expected) in [
        ("", "Directory "),
        ("usr/bin", "Directory usr/bin"),
        ("bin", "Directory usr/bin"),
        ("bin/tool", "Nothing usr/bin/tool"),
        ("sbin/a/b", "Nothing usr/bin/a/b"),
        ("root/up", "Directory usr/bin"),
        ("root/up/../x", "Nothing usr/x"),
        ("lock/x", "Nothing run/lock/x"),
        ("etc/users", "Other etc/passwd"),
        ("etc/users/x", "`/etc/passwd` is not a directory in the layers below"),
        ("etc/passwd/..", "`/etc/passwd` is not a directory in the layers below"),
        ("top/top/bin", "Directory usr/bin"),
        ("over/bin", "Directory usr/bin"),
        ("../../bin", "Directory usr/bin"),
    ] {
        assert_eq!(resolved(&below, path), expected, "{path}");
    }
}

#[test]
fn links_are_followed_as_often_as_linux_does() {
    let mut below = tree(&["l loop loop", "l a b/x", "l b a/x", "d 755 end"]);
    for path in ["loop", "a", "b/y"] {
        assert_eq!(resolved(&below, path), format!("`/{path}` leads through more than 40 links"));
    }
    below.put(b"l0", LowerEntry::Link(b"end"));
    for number in 1..=40 {
        below.put(format!("l{number}").as_bytes(), LowerEntry::Link(format!("l{}", number - 1).as_bytes()));
    }
    assert_eq!(resolved(&below, "l39"), "Directory end");
    assert_eq!(resolved(&below, "l40"), "`/l40` leads through more than 40 links");
    below.put(b"long", LowerEntry::Link(&b"n/".repeat(2047)));
    assert!(below.resolve(b"long/a").is_ok());
    assert_eq!(below.resolve(b"long/abc"), Err(PlacementError::TooLong { limit: MAX_PATH_BYTES }));
}

#[test]
fn paths_end_at_their_slashes() {
    let beyond = |path: &str, known| ends_beyond(path.as_bytes(), known).collect::<Vec<_>>();
    for (path, known, ends) in [
        ("", 0, &[][..]),
        ("a", 0, &[1]),
        ("a", 1, &[]),
        ("a/b/c", 0, &[1, 3, 5]),
        ("a/b/c", 1, &[3, 5]),
        ("a/b/c", 3, &[5]),
        ("a/b/c", 5, &[]),
    ] {
        assert_eq!(beyond(path, known), ends, "{path} {known}");
    }
}

#[test]
fn a_path_leads_through_so_many_names_with_its_links() {
    let long = |links: usize| {
        let mut below = tree(&["d 755 l0"]);
        for number in 1..=links {
            let target = format!("{}l{}", "./".repeat(2000), number - 1);
            below.put(format!("l{number}").as_bytes(), LowerEntry::Link(target.as_bytes()));
        }
        below.resolve(format!("l{links}").as_bytes()).map(|resolved| resolved.end)
    };
    assert_eq!(long(2), Ok(End::Directory));
    assert!(matches!(long(3), Err(PlacementError::Names { .. })));
}

#[test]
fn what_is_known_of_a_path_goes_with_it() {
    // Looked up, then replaced on the way, and looked up again.
    for change in [
        |below: &mut LowerTree| below.remove(b"a/b"),
        |below: &mut LowerTree| below.empty(b"a"),
        |below: &mut LowerTree| below.put(b"a/b", LowerEntry::Other),
    ] {
        let mut below = tree(&["d 700 a", "d 711 a/b", "d 750 a/b/c", "d 750 a/b/c/d"]);
        assert!(below.attributes(b"a/b/c/d").is_some());
        below.put(b"a/b/c/d/e", LowerEntry::Other);
        change(&mut below);
        assert_eq!(below.attributes(b"a/b/c/d"), None);
        below.put(b"a/b/c/f", LowerEntry::Directory(attributes(0o701)));
        assert_eq!(below.attributes(b"a/b/c/f").map(|found| found.mode), Some(0o701));
        assert_eq!(below.attributes(b"a/b/c/d"), None);
    }
}

#[test]
fn what_goes_takes_along_what_is_below() {
    let is_there = |below: &LowerTree| below.attributes(b"a/b/c").map(|attributes| attributes.mode);
    let whole = tree(&["d 700 a", "d 711 a/b", "d 750 a/b/c"]);
    assert_eq!(is_there(&whole), Some(0o750));
    for change in [
        |below: &mut LowerTree| below.put(b"a/b", LowerEntry::Other),
        |below: &mut LowerTree| below.put(b"a", LowerEntry::Link(b"x")),
        |below: &mut LowerTree| below.remove(b"a/b"),
        |below: &mut LowerTree| below.remove(b"a"),
        |below: &mut LowerTree| below.empty(b"a/b"),
        |below: &mut LowerTree| below.empty(b""),
    ] {
        let mut below = whole.clone();
        change(&mut below);
        assert_eq!(is_there(&below), None);
        // Also when something of that name comes again.
        below.put(b"a", LowerEntry::Directory(attributes(0o755)));
        below.put(b"a/b", LowerEntry::Directory(attributes(0o755)));
        assert_eq!(is_there(&below), None);
        below.put(b"a/b/c", LowerEntry::Directory(attributes(0o701)));
        assert_eq!(is_there(&below), Some(0o701));
    }
    let mut below = whole;
    below.put(b"a/b", LowerEntry::Directory(attributes(0o777)));
    assert_eq!(is_there(&below), Some(0o750), "a directory over a directory");
    below.remove(b"a/x");
    below.remove(b"a/b/c/d/e");
    below.empty(b"x");
    below.remove(b"");
    assert_eq!(is_there(&below), Some(0o750));
}

#[test]
fn what_is_put_behind_a_link_is_where_it_leads() {
    let mut below = tree(&["d 711 usr/bin", "l bin usr/bin", "l away gone/far", "l loop loop"]);
    below.put(b"bin/sub", LowerEntry::Directory(attributes(0o700)));
    assert_eq!(below.attributes(b"usr/bin/sub"), Some(attributes(0o700)));
    below.put(b"away/sub", LowerEntry::Directory(attributes(0o700)));
    assert_eq!(below.attributes(b"gone/far/sub"), Some(attributes(0o700)));
    assert!(below.is_link(b"bin") && below.is_link(b"away"));
    assert_eq!(below.attributes(b"gone/far"), None, "no layer has the directory");
    // What replaces the link on the way there leads elsewhere from then on.
    let mut below = tree(&["l b/c /a", "l a b"]);
    below.put(b"a/c/c", LowerEntry::Directory(attributes(0o700)));
    below.put(b"a/c/a", LowerEntry::Directory(attributes(0o711)));
    assert_eq!(below.attributes(b"b/c/a"), Some(attributes(0o711)));
    // What leads nowhere is replaced.
    let mut below = tree(&["l loop loop"]);
    below.put(b"loop/sub", LowerEntry::Other);
    assert!(!below.is_link(b"loop"));
    assert_eq!(resolved(&below, "loop/sub"), "Other loop/sub");
}

#[test]
fn messages_show_paths_that_can_be_shown() {
    assert_eq!(shown(b"a\x1b[31m\xff"), "/a\u{fffd}[31m\u{fffd}");
    assert_eq!(shown(&[b'a'; 300]).len(), 201);
}

/// The same in the plainest way: every path with what is there.
#[derive(Debug, Clone, Default)]
struct Model(BTreeMap<Vec<String>, Plain>);

#[derive(Debug, Clone, PartialEq)]
enum Plain {
    Directory(Option<Attributes>),
    Link(String),
    Other,
}

impl Model {
    fn put(&mut self, path: &[String], thing: Plain) {
        let mut place = Vec::new();
        for name in &path[..path.len() - 1] {
            place.push(name.clone());
            if let Some(Plain::Link(_)) = self.0.get(&place)
                && let Ok(real) = self.resolve(place.clone())
                && self.0.get(&real).is_none_or(|there| matches!(there, Plain::Directory(_)))
            {
                place = real;
                for end in 1..=place.len() {
                    self.0.entry(place[..end].to_vec()).or_insert(Plain::Directory(None));
                }
            }
            if !place.is_empty() && !matches!(self.0.get(&place), Some(Plain::Directory(_))) {
                self.0.insert(place.clone(), Plain::Directory(None));
            }
        }
        place.push(path[path.len() - 1].clone());
        if !matches!(thing, Plain::Directory(_)) {
            self.0.retain(|path, _| !path.starts_with(&place) || *path == place);
        }
        self.0.insert(place, thing);
    }

    /// Only where no link is on the way: whiteouts are about names.
    fn remove(&mut self, path: &[String], itself: bool) {
        self.0.retain(|other, _| !other.starts_with(path) || (!itself && other == path));
    }

    fn resolve(&self, mut path: Vec<String>) -> Result<Vec<String>, &'static str> {
        let (mut at, mut links) = (0, 0);
        while at < path.len() {
            match path[at].as_str() {
                "" | "." => drop(path.remove(at)),
                ".." => {
                    path.remove(at);
                    if at > 0 {
                        at -= 1;
                        path.remove(at);
                    }
                }
                _ => match self.0.get(&path[..=at]) {
                    Some(Plain::Link(target)) => {
                        links += 1;
                        if links > MAX_LINKS {
                            return Err("links");
                        }
                        let target = target.split('/').map(str::to_owned);
                        let is_absolute =
                            matches!(self.0.get(&path[..=at]), Some(Plain::Link(target)) if target.starts_with('/'));
                        path.splice(if is_absolute { 0 } else { at }..=at, target);
                        at = if is_absolute { 0 } else { at };
                    }
                    Some(Plain::Other) if path.len() > at + 1 => return Err("file"),
                    _ => at += 1,
                },
            }
        }
        Ok(path)
    }
}

fn path() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("[abc]", 1..4)
}

#[derive(Debug, Clone)]
enum Step {
    Put(Vec<String>, Plain),
    Remove(Vec<String>),
    Empty(Vec<String>),
}

fn step() -> impl Strategy<Value = Step> {
    let target = "/?(\\.\\./)?[abc](/[abc])?";
    let thing = prop_oneof![
        4 => (0_u32..0o1000).prop_map(|mode| Plain::Directory(Some(attributes(mode)))),
        2 => target.prop_map(Plain::Link),
        2 => Just(Plain::Other),
    ];
    prop_oneof![
        6 => (path(), thing).prop_map(|(path, thing)| Step::Put(path, thing)),
        1 => path().prop_map(Step::Remove),
        1 => path().prop_map(Step::Empty),
    ]
}

proptest! {
    #[test]
    fn any_layers_make_the_tree_that_the_plainest_model_makes(steps in proptest::collection::vec(step(), 0..24)) {
        let (mut below, mut model) = (LowerTree::default(), Model::default());
        for step in &steps {
            match step {
                Step::Put(path, thing) => {
                    let bytes = path.join("/").into_bytes();
                    match thing {
                        Plain::Directory(attributes) => {
                            below.put(&bytes, LowerEntry::Directory(attributes.expect("said")));
                        }
                        Plain::Link(target) => below.put(&bytes, LowerEntry::Link(target.as_bytes())),
                        Plain::Other => below.put(&bytes, LowerEntry::Other),
                    }
                    model.put(path, thing.clone());
                }
                Step::Remove(path) => {
                    below.remove(path.join("/").as_bytes());
                    model.remove(path, true);
                }
                Step::Empty(path) => {
                    below.empty(path.join("/").as_bytes());
                    model.remove(path, false);
                }
            }
        }
        let names = ["a", "b", "c"].map(str::to_owned);
        for number in 0..27 {
            let path = [names[number / 9].clone(), names[number / 3 % 3].clone(), names[number % 3].clone()];
            for path in (1..=3).map(|length| &path[..length]) {
                let bytes = path.join("/").into_bytes();
                let there = model.0.get(path);
                let expected = match there {
                    Some(Plain::Directory(attributes)) => *attributes,
                    _ => None,
                };
                prop_assert_eq!(below.attributes(&bytes), expected);
                prop_assert_eq!(below.is_link(&bytes), matches!(there, Some(Plain::Link(_))));
                match (below.resolve(&bytes), model.resolve(path.to_vec())) {
                    (Ok(resolved), Ok(real)) => {
                        prop_assert_eq!(String::from_utf8(resolved.path).expect("text"), real.join("/"));
                        let end = match model.0.get(&real) {
                            _ if real.is_empty() => End::Directory,
                            Some(Plain::Directory(_)) => End::Directory,
                            Some(_) => End::Other,
                            None => End::Nothing,
                        };
                        prop_assert_eq!(resolved.end, end);
                    }
                    (Err(PlacementError::Links { .. }), Err("links"))
                    | (Err(PlacementError::NotADirectory { .. }), Err("file")) => {}
                    (found, expected) => prop_assert!(false, "{found:?}, not {expected:?}"),
                }
            }
        }
    }
}
