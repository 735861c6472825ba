mod content;

use std::io::{self, Read};

use proptest::prelude::*;
use tar::{EntryType, Header};

use super::*;
use crate::context::rules;
use crate::layer::tar::read::{TarError, archives};
use crate::layer::{Compression, Format};
use crate::progress::{Interrupt, Silent};
use crate::work;

const STYLE: Style = Style { owner: Owner { uid: 5, gid: 6 }, modified: 7, above: None, mode: None };

/// An entry as archivers write it: with arbitrary ids and an arbitrary time.
fn entry(kind: EntryType, name: &str, mode: u32, link: &str, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(1000);
    header.set_gid(100);
    header.set_mtime(1_700_000_000);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut bytes = [header.as_bytes(), content].concat();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(name: &str, content: &[u8]) -> Vec<u8> {
    entry(EntryType::Regular, name, 0o644, "", content)
}

/// A file in POSIX's own format.
fn ustar(name: &str, content: &[u8]) -> Vec<u8> {
    posix(file(name, content))
}

fn posix(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[257..265].copy_from_slice(b"ustar\x0000");
    let mut header = Header::from_byte_slice(&bytes[..512]).clone();
    header.set_cksum();
    bytes[..512].copy_from_slice(header.as_bytes());
    bytes
}

fn directory(name: &str) -> Vec<u8> {
    entry(EntryType::Directory, name, 0o755, "", b"")
}

fn stream(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), vec![0; 1024]].concat()
}

struct Plan {
    destination: &'static str,
    keep: bool,
    mode: Option<u32>,
    exclude: &'static [&'static str],
}

const PLAIN: Plan = Plan { destination: "/", keep: false, mode: None, exclude: &[] };

fn pack(bytes: &[u8], plan: &Plan) -> Result<(Packed<Vec<u8>>, Imported), ForeignError> {
    pack_over(bytes, plan, &mut LowerTree::default())
}

fn pack_over(bytes: &[u8], plan: &Plan, below: &mut LowerTree) -> Result<(Packed<Vec<u8>>, Imported), ForeignError> {
    let patterns: Vec<String> = plan.exclude.iter().map(|&pattern| pattern.to_owned()).collect();
    let rules = rules(None, &patterns).expect("patterns");
    let destination = Destination::parse(plan.destination).expect("valid");
    let style = Style { mode: plan.mode, ..STYLE };
    let plan = ForeignPlan { destination: &destination, style, keep: plan.keep, takes_dockerfile: true, rules: &rules };
    let compressors = Compressors::new(Compression::new(Format::None, None).expect("there")).expect("threads");
    let interrupt = Interrupt::default();
    let mut monitor = Monitor::new(&Silent, "archive", &interrupt);
    import(bytes, &plan, &compressors, Vec::new(), &mut monitor, below)
}

/// One line an entry: kind, mode, owner, time, name, link, and what it contains.
fn listed(archive: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut reader = TarReader::new(archive);
    while let Some(entry) = reader.next_entry().expect("an archive") {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).expect("content");
        let kind = match entry.kind {
            EntryKind::Directory => 'd',
            EntryKind::File => 'f',
            EntryKind::HardLink => 'h',
            EntryKind::Symlink => 'l',
            _ => '?',
        };
        let TarEntry { mode, uid, gid, mtime, .. } = entry;
        let path = String::from_utf8(entry.path).expect("text");
        let link = String::from_utf8(entry.link.unwrap_or_default()).expect("text");
        let content = String::from_utf8(content).expect("text");
        lines.push(format!("{kind} {mode:o} {uid}:{gid} {mtime} {path} {link} {content}").trim_end().to_owned());
    }
    lines
}

fn packed(bytes: &[u8], plan: &Plan) -> (Vec<String>, Imported) {
    let (packed, imported) = pack(bytes, plan).expect("an archive");
    assert_eq!((packed.inner.len() as u64, packed.digest), (packed.uncompressed, packed.diff_id));
    (listed(&packed.inner), imported)
}

fn sample() -> Vec<Vec<u8>> {
    vec![
        directory("./"),
        directory("./d"),
        entry(EntryType::Regular, "./d//a", 0o4755, "", b"one"),
        entry(EntryType::Link, "./d/b", 0o755, "./d/a", b""),
        entry(EntryType::Symlink, "./l", 0o777, "/any/../where", b""),
    ]
}

#[test]
fn entries_are_written_by_our_rules() {
    let (lines, imported) = packed(&stream(&sample()), &PLAIN);
    let expected = ["d 755 5:6 7 d", "f 4755 5:6 7 d/a  one", "h 755 5:6 7 d/b d/a", "l 777 5:6 7 l /any/../where"];
    assert_eq!(lines, expected);
    let counts = Imported { files: 3, directories: 1, bytes: 3, excluded: 0, ..Imported::default() };
    assert_eq!(imported, counts);
    let (lines, _) = packed(&stream(&sample()), &Plan { destination: "/srv/x", keep: true, ..PLAIN });
    let expected = [
        "d 755 5:6 7 srv",
        "d 755 5:6 7 srv/x",
        "d 755 1000:100 1700000000 srv/x/d",
        "f 4755 1000:100 1700000000 srv/x/d/a  one",
        "h 755 1000:100 1700000000 srv/x/d/b srv/x/d/a",
        "l 777 1000:100 1700000000 srv/x/l /any/../where",
    ];
    assert_eq!(lines, expected);
    let (lines, _) = packed(&stream(&sample()[1..3]), &Plan { mode: Some(0o700), ..PLAIN });
    assert_eq!(lines, ["d 700 5:6 7 d", "f 700 5:6 7 d/a  one"]);
}

#[test]
fn compressed_streams_give_the_same_layer() {
    let plain = stream(&sample());
    let expected = pack(&plain, &PLAIN).expect("an archive").0.inner;
    let mut gzip = Vec::new();
    flate2::read::GzEncoder::new(&plain[..], flate2::Compression::new(6)).read_to_end(&mut gzip).expect("in memory");
    let zstd = zstd::bulk::compress(&plain, 3).expect("in memory");
    for bytes in [&gzip, &zstd] {
        assert!(pack(bytes, &PLAIN).expect("an archive").0.inner == expected);
        // Torn anywhere, also where the archive itself is whole.
        for end in [1, bytes.len() / 2, bytes.len() - 1] {
            assert!(pack(&bytes[..end], &PLAIN).is_err(), "{end} of {}", bytes.len());
        }
    }
    assert!(matches!(pack(b"BZh91AY", &PLAIN), Err(ForeignError::Compression("bzip2"))));
    assert!(matches!(pack(b"\xfd7zXZ\0", &PLAIN), Err(ForeignError::Compression("xz"))));
}

#[test]
fn rules_leave_entries_out_and_bring_directories_back() {
    let entries = [directory("logs"), file("logs/a", b"1"), file("logs/keep", b"2"), directory("tmp"), file("x", b"3")];
    let plan = Plan { exclude: &["logs", "tmp", "!logs/keep"], ..PLAIN };
    let (lines, imported) = packed(&stream(&entries), &plan);
    assert_eq!(lines, ["d 755 5:6 7 logs", "f 644 5:6 7 logs/keep  2", "f 644 5:6 7 x  3"]);
    assert_eq!((imported.excluded, imported.files, imported.directories), (2, 2, 1));
    assert!(!imported.ignore_file);
    assert!(packed(&stream(&[file("./.dockerignore", b"*")]), &PLAIN).1.ignore_file);
    let linked = [file("a", b"1"), entry(EntryType::Link, "b", 0o644, "a", b"")];
    let refused = pack(&stream(&linked), &Plan { exclude: &["a"], ..PLAIN });
    assert!(matches!(refused, Err(ForeignError::ExcludedLink { .. })));
}

#[test]
fn what_others_could_take_for_something_else_is_refused() {
    let refused = |entries: &[Vec<u8>]| pack(&stream(entries), &PLAIN).map(drop).expect_err("refused");
    let why = |entries: &[Vec<u8>]| match refused(entries) {
        ForeignError::Name { why, .. } => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(why(&[file("/etc/passwd", b"")]), NameError::Absolute);
    assert_eq!(why(&[file("a/../../b", b"")]), NameError::Upward);
    assert_eq!(why(&[file("etc/.wh.passwd", b"")]), NameError::Whiteout);
    assert_eq!(why(&[file(".", b"")]), NameError::Empty);
    assert_eq!(why(&[file("a", b"1"), file("./a", b"2")]), NameError::Twice);
    let link = |name: &str, target: &str| entry(EntryType::Symlink, name, 0o777, target, b"");
    assert_eq!(why(&[link("a", "/etc"), file("a/passwd", b"")]), NameError::BelowFile);
    let hard = |target: &str| entry(EntryType::Link, "b", 0o644, target, b"");
    for target in ["a", "/etc/passwd", "../a", "", "d"] {
        assert!(matches!(refused(&[directory("d"), hard(target)]), ForeignError::Link { .. }), "{target}");
    }
    assert!(matches!(refused(&[link("a", "")]), ForeignError::Link { .. }));
    for (kind, said) in [
        (EntryType::Char, "device"),
        (EntryType::Block, "device"),
        (EntryType::Fifo, "named pipe"),
        (EntryType::new(b'Z'), "special file"),
    ] {
        match refused(&[entry(kind, "x", 0o644, "", b"")]) {
            ForeignError::Special { kind, .. } => assert_eq!(kind, said),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_archive_without_its_end_is_no_archive() {
    assert!(matches!(pack(b"", &PLAIN), Err(ForeignError::Tar(TarError::Empty))));
    let whole = stream(&[file("a", b"1"), file("b", b"2")]);
    assert!(matches!(pack(&whole[..1024], &PLAIN), Err(ForeignError::NoEnd(1024))));
    assert!(pack(&whole[..1500], &PLAIN).is_err());
    assert_eq!(packed(&stream(&[]), &PLAIN), (Vec::new(), Imported::default()));
}

/// A record of pax: its length, key and value.
fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = (1..=5).map(|digits| rest + digits).find(|l| l.to_string().len() + rest == *l).expect("grows slower");
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

#[test]
fn files_with_holes_are_written_whole() {
    let pax = |records: &[Vec<u8>], content: &[u8]| {
        [entry(EntryType::XHeader, "x", 0, "", &records.concat()), ustar("holes", content)].concat()
    };
    let (size, blocks) = (|| record("GNU.sparse.size", b"600"), || record("GNU.sparse.numblocks", b"2"));
    let real_size = record("GNU.sparse.realsize", b"600");
    let one = [record("GNU.sparse.major", b"1"), record("GNU.sparse.minor", b"0"), real_size];
    let stored = [&[b'a'; 512][..], b"bcd"].concat();
    let mut ahead = b"2\n2\n512\n597\n3\n".to_vec();
    ahead.resize(512, 0);
    let mut gnu = Header::from_byte_slice(&entry(EntryType::GNUSparse, "holes", 0o644, "", &stored)[..512]).clone();
    let old = gnu.as_gnu_mut().expect("GNU");
    old.set_real_size(600);
    for (piece, (begin, length)) in old.sparse.iter_mut().zip([(2, 512), (597, 3)]) {
        piece.set_offset(begin);
        piece.set_length(length);
    }
    gnu.set_cksum();
    let mut content = stored.clone();
    content.resize(1024, 0);
    let records = ["GNU.sparse.offset", "GNU.sparse.numbytes"];
    let pairs = [(0, &b"2"[..]), (1, b"512"), (0, b"597"), (1, b"3")].map(|(key, value)| record(records[key], value));
    for bytes in [
        pax(&one, &[&ahead[..], &stored].concat()),
        pax(&[size(), blocks(), record("GNU.sparse.map", b"2,512,597,3")], &stored),
        pax(&[size(), blocks(), pairs.concat()], &stored),
        [gnu.as_bytes(), &content[..]].concat(),
    ] {
        let (lines, imported) = packed(&stream(&[bytes]), &PLAIN);
        let whole = format!("\0\0{}{}bcd", "a".repeat(512), "\0".repeat(83));
        assert_eq!(lines, [format!("f 644 5:6 7 holes  {whole}")]);
        assert_eq!(imported.bytes, 600);
    }
    for map in
        ["2,512", "2,512,596,4", "597,3,2,512", "2,512,597,4", "0,18446744073709551615", "2,512,597", "2,3,88,512"]
    {
        let records = [size(), blocks(), record("GNU.sparse.map", map.as_bytes())];
        let refused = pack(&stream(&[pax(&records, &stored)]), &PLAIN);
        assert!(matches!(refused, Err(ForeignError::Tar(TarError::Field { field: "sparse map", .. }))), "{map}");
    }
}

/// Archives of names in which neighbours have no directory in common.
fn deep(names: usize, depth: usize) -> Vec<u8> {
    let names = (0..names).map(|number| {
        let name = format!("{}/{}{number}", ["a", "b"][number % 2], "d/".repeat(depth - 2));
        [entry(EntryType::XHeader, "x", 0, "", &record("path", name.as_bytes())), file("x", b"")].concat()
    });
    stream(&names.collect::<Vec<_>>())
}

#[test]
fn twice_the_names_are_twice_the_work() {
    let below = || {
        let mut below = LowerTree::default();
        // Links on the way, to directories with links.
        for depth in 0..50 {
            let name = format!("a/{}", "d/".repeat(depth));
            let name = name.trim_end_matches('/');
            below.put(
                name.as_bytes(),
                LowerEntry::Directory(Attributes { mode: 0o755, owner: STYLE.owner, modified: 0 }),
            );
        }
        below.put(b"b", LowerEntry::Link(b"/a"));
        below
    };
    let work = |names: usize, depth: usize| {
        let bytes = deep(names, depth);
        let mut below = below();
        let (work, packed) = work::of(|| pack_over(&bytes, &PLAIN, &mut below));
        packed.expect("an archive");
        work
    };
    // Each name of a path is looked up for a handful of questions, however deep it is and however many there are.
    for (names, depth) in [(100, 20), (200, 20), (100, 40), (200, 40), (100, 200)] {
        let (once, total) = (work(names, depth), (names * depth) as u64);
        assert!(once < 12 * total, "{names} names of depth {depth}: {once} lookups");
        assert!(work(names * 2, depth) < once * 5 / 2, "{names} names of depth {depth}");
    }
    assert!(matches!(pack(&deep(2, 2000), &PLAIN), Err(ForeignError::Name { why: NameError::TooDeep, .. })));
    pack(&deep(2, 256), &PLAIN).expect("an archive");
}

#[test]
fn names_that_wait_are_bounded() {
    // Each a directory that is left out, and that a rule may bring back.
    let name = |number: usize| format!("{}/{number}", "n".repeat(4000));
    let archive = |count: usize| {
        let one = |number| {
            let path = [name(number).as_bytes(), b"/"].concat();
            [entry(EntryType::XHeader, "x", 0, "", &record("path", &path)), directory("x")].concat()
        };
        stream(&(0..count).map(one).collect::<Vec<_>>())
    };
    let plan = Plan { exclude: &["*", "!kept"], ..PLAIN };
    pack(&archive(8000), &plan).expect("an archive");
    assert!(matches!(pack(&archive(8400), &plan), Err(ForeignError::TooMuchHeld { .. })));
}

#[test]
fn what_readers_read_otherwise_is_no_source() {
    for (note, archive, is_refused) in archives() {
        let imported = pack(&archive, &PLAIN);
        match &imported {
            Err(ForeignError::Tar(_)) => assert!(is_refused, "{note}"),
            _ => assert!(!is_refused, "{note}"),
        }
    }
}

#[test]
fn capabilities_stay_and_content_is_bounded() {
    let capability = record("SCHILY.xattr.security.capability", b"\x01\n\0=");
    let header = entry(EntryType::XHeader, "x", 0, "", &capability);
    let link = entry(EntryType::Link, "link", 0o644, "tool", b"");
    let bytes = [header.clone(), file("tool", b""), header, link].concat();
    let layer = pack(&stream(&[bytes]), &PLAIN).expect("an archive").0.inner;
    let mut reader = TarReader::new(&layer[..]);
    for kind in [EntryKind::File, EntryKind::HardLink] {
        let entry = reader.next_entry().expect("an archive").expect("an entry");
        assert_eq!((entry.kind, entry.capability.as_deref()), (kind, Some(&b"\x01\n\0="[..])));
    }
    let huge = [("size", "1099511627777"), ("numblocks", "1"), ("map", "1099511627777,0")];
    let huge = huge.map(|(key, value)| record(&format!("GNU.sparse.{key}"), value.as_bytes())).concat();
    let bytes = [self::entry(EntryType::XHeader, "x", 0, "", &huge), ustar("a", b"")].concat();
    assert!(matches!(pack(&stream(&[bytes]), &PLAIN), Err(ForeignError::TooLarge { .. })));
}

#[test]
fn interrupts_and_full_disks_are_told_apart() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let bytes = stream(&[file("a", &[7; 3000])]);
    let destination = Destination::default();
    let plan = ForeignPlan {
        destination: &destination,
        style: STYLE,
        keep: false,
        takes_dockerfile: true,
        rules: &IgnoreRules::default(),
    };
    let compressors = Compressors::new(Compression::default()).expect("threads");
    let interrupt = Interrupt::default();
    let run = || {
        let mut monitor = Monitor::new(&Silent, "archive", &interrupt);
        import(&bytes[..], &plan, &compressors, Full, &mut monitor, &mut LowerTree::default()).map(drop)
    };
    assert!(matches!(run(), Err(ForeignError::Write(error)) if error.kind() == io::ErrorKind::StorageFull));
    interrupt.request();
    assert!(matches!(run(), Err(ForeignError::Interrupted)));
}

proptest! {
    #[test]
    fn damage_never_panics_and_never_leads_out(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>(), any::<bool>()), 1..6),
        length in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let mut bytes = stream(&sample());
        for (at, byte, fix) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let start = at / 512 * 512;
            if fix {
                // As if it had been written so.
                let mut header = Header::from_byte_slice(&bytes[start..start + 512]).clone();
                header.set_cksum();
                bytes[start..start + 512].copy_from_slice(header.as_bytes());
            }
        }
        bytes.truncate(length.map_or(bytes.len(), |length| length.index(bytes.len() + 1)));
        if let Ok((packed, _)) = pack(&bytes, &PLAIN) {
            let mut reader = TarReader::new(&packed.inner[..]);
            while let Some(entry) = reader.next_entry().expect("an archive of ours") {
                prop_assert!(!entry.path.starts_with(b"/") && !entry.path.split(|b| *b == b'/').any(|part| part == b".."));
                prop_assert!(matches!(
                    entry.kind,
                    EntryKind::File | EntryKind::Directory | EntryKind::Symlink | EntryKind::HardLink
                ));
            }
        }
    }

    #[test]
    fn anything_may_come(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        let _ = pack(&bytes, &PLAIN);
    }
}
