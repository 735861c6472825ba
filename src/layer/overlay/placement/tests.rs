use super::*;
use crate::context::Stamp;
use crate::layer::Owner;

const STYLE: Style = Style { owner: Owner { uid: 5, gid: 6 }, modified: 7, above: None, mode: None };

fn below() -> LowerTree {
    let mut below = LowerTree::default();
    let directory = |mode| LowerEntry::Directory(Attributes { mode, owner: Owner { uid: 1, gid: 2 }, modified: 3 });
    for (path, mode) in [("tmp", 0o1777), ("usr", 0o755), ("usr/bin", 0o711), ("usr/lib", 0o755), ("root", 0o700)] {
        below.put(path.as_bytes(), directory(mode));
    }
    for (path, target) in [("bin", "usr/bin"), ("sbin", "/bin"), ("gone", "nowhere"), ("usr/lib/deep", "/root")] {
        below.put(path.as_bytes(), LowerEntry::Link(target.as_bytes()));
    }
    below.put(b"etc/passwd", LowerEntry::Other);
    below.put(b"etc/users", LowerEntry::Link(b"passwd"));
    below
}

fn entry(path: &str, kind: Kind) -> Entry {
    Entry { path: path.as_bytes().into(), mode: 0o750, kind }
}

/// Directories end with a slash, links have an arrow.
fn entries(names: &[&str]) -> Vec<Entry> {
    let stamp = Stamp { identity: (1, 2), size: 3, modified: (4, 5), changed: (6, 7) };
    let one = |name: &&str| match (name.strip_suffix('/'), name.split_once("->")) {
        (Some(path), _) => entry(path, Kind::Directory),
        (_, Some((path, target))) => entry(path, Kind::Symlink { target: target.as_bytes().into() }),
        _ => entry(name, Kind::File { stamp, links: 1 }),
    };
    names.iter().map(one).collect()
}

/// What a layer of some of the entries has: on the way with attributes, else with the path in the source.
fn listed(placement: &Placement, entries: &[&Entry]) -> Vec<String> {
    let mut lines = Vec::new();
    let visited = placement.each::<()>(entries, |name, item| {
        let name = String::from_utf8_lossy(name);
        lines.push(match item {
            Item::Parent(Attributes { mode, owner, modified }) => format!("{mode:o} {} {modified} {name}/", owner.uid),
            Item::Entry(entry) => format!("{name} of {}", String::from_utf8_lossy(&entry.path)),
        });
        Ok(())
    });
    visited.expect("nothing failed");
    lines
}

fn landed(
    destination: &Destination,
    style: Style,
    names: &[&str],
) -> Result<(Vec<String>, Vec<String>), PlacementError> {
    let entries = entries(names);
    let mut placement = Placement::new(destination, style, &below())?;
    let followed = placement.follow(&entries, &below())?;
    let lines = listed(&placement, &entries.iter().collect::<Vec<_>>());
    Ok((lines, followed.iter().map(ToString::to_string).collect()))
}

fn lines(destination: &str, names: &[&str]) -> Vec<String> {
    let destination = Destination::parse(destination).expect("valid");
    landed(&destination, STYLE, names).expect("lands").0
}

#[test]
fn directories_on_the_way_are_as_they_are_below() {
    assert_eq!(lines("/tmp/x", &["a"]), ["1777 1 3 tmp/", "755 5 7 tmp/x/", "tmp/x/a of a"]);
    assert_eq!(lines("/root", &["d/", "d/a"]), ["700 1 3 root/", "root/d of d", "root/d/a of d/a"]);
    assert_eq!(
        lines("/sbin/x", &["a"]),
        ["755 1 3 usr/", "711 1 3 usr/bin/", "755 5 7 usr/bin/x/", "usr/bin/x/a of a"]
    );
    assert_eq!(lines("/gone/x", &[]), ["755 5 7 nowhere/", "755 5 7 nowhere/x/"]);
    // A directory without an entry of its own has no attributes in the lower layers.
    assert_eq!(lines("/etc", &[]), ["755 5 7 etc/"]);
    let above = Style { above: Some(Owner { uid: 9, gid: 9 }), ..STYLE };
    let destination = Destination::parse("/tmp/a/b").expect("valid");
    let (lines, _) = landed(&destination, above, &[]).expect("lands");
    assert_eq!(lines, ["1777 1 3 tmp/", "755 9 7 tmp/a/", "755 5 7 tmp/a/b/"]);
}

#[test]
fn a_file_lands_as_dockers_copy_has_it() {
    for (destination, expected) in [
        ("/bin/tool", &["755 1 3 usr/", "711 1 3 usr/bin/", "usr/bin/tool of own"][..]),
        ("/bin/", &["755 1 3 usr/", "711 1 3 usr/bin/", "usr/bin/own of own"]),
        // A directory there takes it in.
        ("/bin", &["755 1 3 usr/", "711 1 3 usr/bin/", "usr/bin/own of own"]),
        ("/tmp", &["1777 1 3 tmp/", "tmp/own of own"]),
        ("/", &["own of own"]),
        ("/new", &["new of own"]),
        // Through a link to a file, or to nothing yet.
        ("/etc/users", &["755 5 7 etc/", "etc/passwd of own"]),
        ("/gone", &["nowhere of own"]),
        ("/gone/", &["755 5 7 nowhere/", "nowhere/own of own"]),
    ] {
        let parsed = Destination::parse_file(destination, b"own").expect("valid");
        assert_eq!(landed(&parsed, STYLE, &["own"]).expect("lands").0, expected, "{destination}");
    }
    for destination in ["/etc/passwd/x", "/etc/passwd/", "/etc/users/x"] {
        let parsed = Destination::parse_file(destination, b"own").expect("valid");
        let error = landed(&parsed, STYLE, &["own"]).expect_err("refused");
        assert_eq!(error, PlacementError::NotADirectory { path: "/etc/passwd".into() }, "{destination}");
    }
}

#[test]
fn content_goes_where_links_lead() {
    let destination = Destination::default();
    let (lines, followed) =
        landed(&destination, STYLE, &["bin/", "bin/tool", "gone/", "gone/x", "tmp/", "tmp/y"]).expect("lands");
    // What is no link keeps what the source says, and what leads to no directory is replaced.
    let expected = [
        "gone of gone",
        "gone/x of gone/x",
        "tmp of tmp",
        "tmp/y of tmp/y",
        "755 1 3 usr/",
        "711 1 3 usr/bin/",
        "usr/bin/tool of bin/tool",
    ];
    assert_eq!(lines, expected);
    assert_eq!(followed, ["`/bin` is a link to `/usr/bin` in the layers below: what belongs in it is put there"]);
    // One link behind another, below a destination.
    let destination = Destination::parse("/usr").expect("valid");
    let (lines, followed) = landed(&destination, STYLE, &["lib/", "lib/deep/", "lib/deep/z"]).expect("lands");
    assert_eq!(lines, ["700 1 3 root/", "root/z of lib/deep/z", "755 1 3 usr/", "usr/lib of lib"]);
    assert_eq!(followed.len(), 1);
    // A link of the source's own replaces the one below.
    assert_eq!(landed(&Destination::default(), STYLE, &["bin->x"]).expect("lands").0, ["bin of bin"]);
}

#[test]
fn each_layer_has_the_directories_that_its_entries_need() {
    let entries = entries(&["bin/", "bin/tool", "other", "usr/", "usr/bin/", "usr/bin/x"]);
    let mut placement = Placement::new(&Destination::default(), STYLE, &below()).expect("lands");
    placement.follow(&entries, &below()).expect("lands");
    let some = |numbers: &[usize]| -> Vec<&Entry> { numbers.iter().map(|number| &entries[*number]).collect() };
    // As the source has them, also where the source's own entry is in another layer.
    assert_eq!(listed(&placement, &some(&[0, 1])), ["750 5 7 usr/", "750 5 7 usr/bin/", "usr/bin/tool of bin/tool"]);
    assert_eq!(listed(&placement, &some(&[2])), ["other of other"]);
    let all = listed(&placement, &some(&[0, 1, 2, 3, 4, 5]));
    assert_eq!(
        all,
        ["other of other", "usr of usr", "usr/bin of usr/bin", "usr/bin/tool of bin/tool", "usr/bin/x of usr/bin/x"]
    );
    let mut over = below();
    placement.lay_over(&entries, &mut over);
    assert_eq!(over.attributes(b"usr/bin").map(|attributes| attributes.mode), Some(0o750));
    assert!(over.is_link(b"bin"));
}

#[test]
fn nothing_lands_where_something_else_does() {
    for (names, path, place) in [
        (&["bin/", "bin/tool", "usr/", "usr/bin/", "usr/bin/tool"][..], "usr/bin/tool", "/usr/bin/tool"),
        (&["bin/", "bin/tool", "sbin/", "sbin/tool"], "sbin/tool", "/usr/bin/tool"),
        (&["bin/", "bin/tool", "usr->opt"], "bin", "/usr"),
        (&["bin/", "bin/sub/", "usr/", "usr/bin/", "usr/bin/sub"], "usr/bin/sub", "/usr/bin/sub"),
    ] {
        let error = landed(&Destination::default(), STYLE, names).expect_err("refused");
        assert_eq!(error, PlacementError::Twice { path: path.into(), place: place.into() });
    }
    // On the way to the destination.
    let mut below = below();
    below.put(b"usr/lib/top", LowerEntry::Link(b"/"));
    let entries = entries(&["top/", "top/usr"]);
    let mut placement = Placement::new(&Destination::parse("/usr/lib").expect("valid"), STYLE, &below).expect("lands");
    let error = placement.follow(&entries, &below).expect_err("refused");
    assert_eq!(error, PlacementError::Twice { path: "top/usr".into(), place: "/usr".into() });
    // Directories may meet.
    assert_eq!(
        lines("/", &["bin/", "bin/sub/", "sbin/", "sbin/sub/"]),
        ["755 1 3 usr/", "711 1 3 usr/bin/", "usr/bin/sub of sbin/sub"]
    );
}

#[test]
fn nothing_removes_what_is_below() {
    for name in [".wh.passwd", "etc/.wh.passwd", "etc/.wh..wh..opq", ".wh.d/"] {
        let error = landed(&Destination::default(), STYLE, &[name]).expect_err(name);
        assert_eq!(error, PlacementError::Whiteout { path: name.trim_end_matches('/').into() });
    }
    for (given, own, place) in [
        ("/etc/.wh.passwd", "own", "/etc/.wh.passwd"),
        ("/etc/", ".wh.own", "/etc/.wh.own"),
        ("/tmp", ".wh.own", "/tmp/.wh.own"),
        ("/.wh.d/file", "own", "/.wh.d/file"),
    ] {
        let destination = Destination::parse_file(given, own.as_bytes()).expect("valid");
        let error = landed(&destination, STYLE, &["own"]).expect_err(given);
        assert_eq!(error, PlacementError::WhiteoutPlace { path: place.into() });
    }
    let destination = Destination::parse("/srv/.wh.d").expect("valid");
    let error = landed(&destination, STYLE, &["own"]).expect_err("refused");
    assert_eq!(error, PlacementError::WhiteoutPlace { path: "/srv/.wh.d".into() });
    // A file that is called something else there.
    let destination = Destination::parse_file("/etc/fine", b".wh.own").expect("valid");
    landed(&destination, STYLE, &[".wh.own"]).expect("lands");
}
