//! Entries that are left out, added or changed because of what they are.

use super::*;

#[test]
fn secrets_are_found_by_name_and_by_what_is_read_of_them() {
    let key = b"-----BEGIN PRIVATE KEY-----\nAAAA\n";
    let late = [vec![b'\n'; 40_000], key.to_vec()].concat();
    let entries = [
        file("home/.ssh/id_ed25519", b"x"),
        file("tls/a.key", key),
        file("tls/b.pem", b"-----BEGIN CERTIFICATE-----\n"),
        file("tls/c.pem", &late),
        file("a.txt", key),
        entry(EntryType::Symlink, ".env", 0o777, "elsewhere", b""),
        directory(".netrc"),
    ];
    let (_, imported) = packed(&stream(&entries), &PLAIN);
    let expected: SecretFiles = ["home/.ssh/id_ed25519", "tls/a.key", "tls/c.pem"].into_iter().collect();
    assert_eq!(imported.secrets, expected);
    // What is left out is no secret of the image, and where the archive lands is part of a name.
    let plan = Plan { exclude: &["tls", "home"], ..PLAIN };
    assert_eq!(packed(&stream(&entries), &plan).1.secrets, SecretFiles::default());
    let (_, imported) = packed(&stream(&[file("work", b"x")]), &Plan { destination: "/root/.ssh", ..PLAIN });
    assert_eq!(imported.secrets, ["work"].into_iter().collect::<SecretFiles>());
}

#[test]
fn a_dockerfile_at_the_root_is_refused_where_none_is_taken() {
    let take = |bytes: &[u8], takes_dockerfile| {
        let rules = rules(None, &["*ockerfile".to_owned()]).expect("a pattern");
        let destination = Destination::parse("/srv").expect("valid");
        let plan =
            ForeignPlan { destination: &destination, style: STYLE, keep: false, takes_dockerfile, rules: &rules };
        let compressors = Compressors::new(Compression::new(Format::None, None).expect("there")).expect("threads");
        let interrupt = Interrupt::default();
        let mut monitor = Monitor::new(&Silent, "archive", &interrupt);
        import(bytes, &plan, &compressors, Vec::new(), &mut monitor, &mut LowerTree::default()).map(|_| ())
    };
    for (name, refused) in [
        ("Dockerfile", true),
        ("./dockerfile", true),
        ("Containerfile", true),
        ("sub/Dockerfile", false),
        ("Dockerfile.dev", false),
        ("DOCKERFILE", false),
    ] {
        let bytes = stream(&[file("a", b"1"), file(name, b"FROM scratch")]);
        assert_eq!(matches!(take(&bytes, false), Err(ForeignError::Dockerfile(_))), refused, "{name}");
        take(&bytes, true).expect(name);
    }
    take(&stream(&[directory("Dockerfile")]), false).expect("a directory");
}

#[test]
fn directories_that_nobody_has_are_made_where_a_packed_directory_has_them() {
    let entries = [file("a/b/one", b"1"), file("a/two", b"2"), entry(EntryType::Symlink, "c/link", 0o777, "x", b"")];
    let whole = [
        directory("a"),
        directory("a/b"),
        file("a/b/one", b"1"),
        file("a/two", b"2"),
        directory("c"),
        entry(EntryType::Symlink, "c/link", 0o777, "x", b""),
    ];
    for plan in [PLAIN, Plan { destination: "/srv/deep", ..PLAIN }, Plan { mode: Some(0o700), ..PLAIN }] {
        let (lines, imported) = packed(&stream(&entries), &plan);
        assert_eq!(lines, packed(&stream(&whole), &plan).0);
        assert_eq!((imported.directories, imported.files), (3, 3));
    }
    // What the layers below have, or the archive itself later on, counts.
    let mut below = LowerTree::default();
    let attributes = Attributes { mode: 0o1777, owner: Owner { uid: 1, gid: 1 }, modified: 3 };
    below.put(b"a", LowerEntry::Directory(attributes));
    let bytes = stream(&[file("a/b/one", b"1"), entry(EntryType::Directory, "a/b", 0o700, "", b"")]);
    let (packed, _) = pack_over(&bytes, &PLAIN, &mut below).expect("an archive");
    let lines = listed(&packed.inner);
    assert_eq!(lines, ["d 755 5:6 7 a/b", "f 644 5:6 7 a/b/one  1", "d 700 5:6 7 a/b", "d 1777 1:1 3 a"]);
}

#[test]
fn hard_links_lead_from_the_root_and_never_to_what_is_left_out() {
    let link = |name: &str, target: &str| entry(EntryType::Link, name, 0o644, target, b"");
    let (lines, _) = packed(&stream(&[file("a/one", b"1"), link("two", "/a/one"), link("three", "//a/./one")]), &PLAIN);
    assert_eq!(lines[2..], ["h 644 5:6 7 two a/one", "h 644 5:6 7 three a/one"]);
    let plan = Plan { exclude: &["a/one", "third"], ..PLAIN };
    for bytes in [
        stream(&[file("a/one", b"1"), link("two", "a/one")]),
        stream(&[file("a/one", b"1"), link("two", "/a/one")]),
        stream(&[file("b", b"1"), link("third", "b"), link("two", "third")]),
    ] {
        let refused = pack(&bytes, &plan).map(|_| ()).expect_err("nothing to link to");
        assert!(matches!(&refused, ForeignError::ExcludedLink { path, .. } if path == "two"), "{refused}");
    }
    let both = Plan { exclude: &["a/one", "two"], ..PLAIN };
    pack(&stream(&[file("a/one", b"1"), link("two", "a/one")]), &both).expect("both are left out");
    let upward = pack(&stream(&[file("a", b"1"), link("b", "/../a")]), &PLAIN).map(|_| ());
    assert!(matches!(upward, Err(ForeignError::Link { .. })), "{upward:?}");
}

#[test]
fn attributes_that_are_dropped_are_told_and_owners_that_cannot_be_are_refused() {
    let records = |flag: u8, text: &str| {
        let record = format!("{} {text}\n", text.len() + 4);
        posix(entry(EntryType::new(flag), "records", 0o644, "", record.as_bytes()))
    };
    let told = |entries: &[Vec<u8>]| packed(&stream(entries), &PLAIN).1.dropped;
    assert_eq!(
        told(&[records(b'x', "SCHILY.xattr.user.a=b"), ustar("f", b"1")]).as_deref(),
        Some("SCHILY.xattr.user.a")
    );
    assert_eq!(
        told(&[records(b'g', "SCHILY.xattr.user.a=b"), ustar("f", b"1")]).as_deref(),
        Some("SCHILY.xattr.user.a")
    );
    assert_eq!(told(&[records(b'x', "SCHILY.devvvvvvvvvvvvv=b"), ustar("f", b"1")]), None);
    let keep = Plan { keep: true, ..PLAIN };
    for (id, accepted) in
        [("uid=4294967294", true), ("gid=4294967294", true), ("uid=4294967295", false), ("gid=4294967295", false)]
    {
        let bytes = stream(&[records(b'x', id), ustar("f", b"1")]);
        assert_eq!(pack(&bytes, &keep).is_ok(), accepted, "{id}");
        pack(&bytes, &PLAIN).expect("it gets another owner");
    }
}
