use proptest::prelude::*;
use tar::{EntryType, Header};

use super::*;
use crate::layer::tar::read::archives;
use crate::work;

fn entry(kind: EntryType, name: &str, link: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o100_750);
    header.set_uid(3_000_000);
    header.set_gid(4);
    header.set_mtime(5);
    header.set_size(0);
    if link.is_empty() {
        builder.append_data(&mut header, name, std::io::empty()).expect("in memory");
    } else {
        builder.append_link(&mut header, name, link).expect("in memory");
    }
    let mut bytes = builder.into_inner().expect("in memory");
    bytes.truncate(bytes.len() - 1024);
    bytes
}

/// Names that the `tar` crate would not write.
fn raw(name: &str) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(EntryType::Directory);
    header.set_mode(0o700);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn layer(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), vec![0; 1024]].concat()
}

fn toc(entries: &[Vec<u8>]) -> LayerToc {
    LayerToc::read(&layer(entries)[..], &Interrupt::default()).expect("an archive")
}

fn directory(name: &str) -> Vec<u8> {
    entry(EntryType::Directory, name, "")
}

fn file(name: &str) -> Vec<u8> {
    entry(EntryType::Regular, name, "")
}

/// One line a record.
fn listed(toc: &LayerToc) -> Vec<String> {
    let mut records = Records::new(&toc.bytes);
    let mut lines = Vec::new();
    while let Some(record) = records.next() {
        let path = String::from_utf8(records.path.clone()).expect("text");
        lines.push(match record {
            Record::LowerEntry(LowerEntry::Directory(Attributes { mode, owner, modified })) => {
                format!("d {mode:o} {}:{} {modified} {path}", owner.uid, owner.gid)
            }
            Record::LowerEntry(LowerEntry::Link(target)) => format!("l {path} {}", String::from_utf8_lossy(target)),
            Record::LowerEntry(LowerEntry::Other) => format!("o {path}"),
            Record::Removed => format!("r {path}"),
            Record::Emptied => format!("e {path}"),
        });
    }
    lines
}

#[test]
fn a_layer_is_what_it_does_to_the_tree() {
    let toc = toc(&[
        directory("./"),
        directory("./etc/"),
        file("./etc/passwd"),
        entry(EntryType::Symlink, "bin", "usr/bin"),
        entry(EntryType::Link, "etc/other", "etc/passwd"),
        entry(EntryType::Fifo, "pipe", ""),
        file("etc/.wh.gone"),
        file(".wh.away"),
        file("var/.wh..wh..opq"),
        file(".wh..wh..opq"),
        // Names of a storage driver, and names that no engine can unpack.
        file(".wh..wh.plnk"),
        file("var/.wh."),
        raw("../etc"),
        raw("a/../../b"),
        raw(".wh.x/y"),
        raw("/abs/olute"),
    ]);
    let expected = [
        "d 750 3000000:4 5 etc",
        "o etc/passwd",
        "l bin usr/bin",
        "o etc/other",
        "o pipe",
        "r etc/gone",
        "r away",
        "e var",
        "e ",
        "d 700 0:0 0 abs/olute",
    ];
    assert_eq!(listed(&toc), expected);
    assert_eq!(LayerToc::from_bytes(toc.as_bytes().to_vec()), Some(toc));
}

#[test]
fn what_a_layer_takes_away_is_of_the_layers_below() {
    let first = toc(&[directory("a/"), directory("a/b/"), directory("a/c/"), directory("d/"), directory("d/e/")]);
    // Whiteouts last: what the layer brings itself stays.
    let second = toc(&[directory("a/n/"), directory("d/"), file("a/.wh..wh..opq"), file(".wh.d")]);
    let mut below = LowerTree::default();
    first.lay_over(&mut below);
    second.lay_over(&mut below);
    let there = ["a", "a/b", "a/c", "a/n", "d", "d/e"].map(|path| below.attributes(path.as_bytes()).is_some());
    assert_eq!(there, [true, false, false, true, true, false]);
}

#[test]
fn damage_is_an_error_and_an_interrupt_ends_it() {
    let whole = layer(&[directory("a/"), file("b")]);
    let read = |bytes: &[u8]| LayerToc::read(bytes, &Interrupt::default());
    assert!(matches!(read(&whole[..700]), Err(TocError::Tar(TarError::Truncated(_)))));
    assert!(matches!(read(&[1; 512]), Err(TocError::Tar(TarError::Header(0)))));
    assert_eq!(read(b"").expect("empty").names(), 0);
    let interrupt = Interrupt::default();
    interrupt.request();
    assert!(matches!(LayerToc::read(&whole[..], &interrupt), Err(TocError::Interrupted)));
}

#[test]
fn what_readers_read_otherwise_has_no_toc() {
    for (note, archive, is_refused) in archives() {
        match LayerToc::read(&archive[..], &Interrupt::default()) {
            Err(TocError::Tar(_)) => assert!(is_refused, "{note}"),
            Ok(_) | Err(TocError::Kind(_)) => assert!(!is_refused || note == "empty", "{note}"),
            Err(other) => panic!("{note}: {other}"),
        }
    }
}

#[test]
fn names_are_bounded() {
    let deep = "d/".repeat(MAX_DEPTH - 1);
    let names =
        |count: usize| -> Vec<Vec<u8>> { (0..count).map(|number| directory(&format!("{number}/{deep}"))).collect() };
    assert_eq!(toc(&names(10)).names(), 10 * MAX_DEPTH);
    let many = layer(&names(MAX_NAMES / MAX_DEPTH + 1));
    assert!(matches!(LayerToc::read(&many[..], &Interrupt::default()), Err(TocError::TooLarge)));
    let deeper = layer(&[directory(&format!("d/{deep}d"))]);
    assert!(matches!(LayerToc::read(&deeper[..], &Interrupt::default()), Err(TocError::TooLarge)));
    // Longer than a path can be: no system could unpack it.
    assert_eq!(toc(&[directory(&"n/".repeat(3000))]).names(), 0);
    let target = "t".repeat(MAX_PATH_BYTES + 1);
    assert_eq!(listed(&toc(&[entry(EntryType::Symlink, "l", &target)])), ["o l"]);
}

/// Gives out the same entry over and over.
struct Repeated(Vec<u8>, usize);

impl std::io::Read for Repeated {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let start = self.1 % self.0.len();
        let count = buffer.len().min(self.0.len() - start);
        buffer[..count].copy_from_slice(&self.0[start..start + count]);
        self.1 += count;
        Ok(count)
    }
}

#[test]
fn a_toc_ends_where_it_takes_too_much() {
    // 4 KiB for one name: bytes run out long before names do.
    let link = entry(EntryType::Symlink, "l", &"t".repeat(MAX_PATH_BYTES));
    let mut layer = Repeated(link, 0);
    assert!(matches!(LayerToc::read(&mut layer, &Interrupt::default()), Err(TocError::TooLarge)));
    let entries = layer.1 / layer.0.len();
    assert_eq!(entries, MAX_TOC_BYTES / (MAX_PATH_BYTES + 7) + 1, "one more than there is room for");
}

#[test]
fn twice_the_names_are_twice_the_work() {
    let work = |names: usize| {
        let deep = "d/".repeat(100);
        let entries: Vec<Vec<u8>> = (0..names)
            .flat_map(|number| {
                let top = ["a", "b"][number % 2];
                let whiteout = ["", ".wh."][number / 2 % 2];
                [
                    file(&format!("{top}/{deep}{whiteout}{number}")),
                    entry(EntryType::Symlink, &format!("l{number}"), &deep),
                ]
            })
            .collect();
        let toc = toc(&entries);
        let mut below = LowerTree::default();
        work::of(|| toc.lay_over(&mut below)).0
    };
    let once = work(200);
    assert!(once < 200 * 102 * 3, "{once}");
    assert!(work(400) < once * 5 / 2);
}

fn name() -> impl Strategy<Value = String> {
    "([abc]{1,3}/){0,3}(\\.wh\\.)?[abc]{1,3}"
}

proptest! {
    #[test]
    fn what_is_kept_is_what_was_read(names in proptest::collection::vec((name(), 0..3_u8), 0..20)) {
        let entries: Vec<Vec<u8>> = names.iter().map(|(name, kind)| match kind {
            0 => directory(name),
            1 => file(name),
            _ => entry(EntryType::Symlink, name, "some/target"),
        }).collect();
        let read = toc(&entries);
        let kept = LayerToc::from_bytes(read.as_bytes().to_vec()).expect("a table of contents");
        prop_assert_eq!(listed(&kept), listed(&read));
        prop_assert_eq!(kept.names(), read.names());
        prop_assert_eq!(listed(&read).len(), names.len());
        let mut below = LowerTree::default();
        read.lay_over(&mut below);
    }

    #[test]
    fn any_bytes_are_a_toc_or_none(
        bytes in proptest::collection::vec(prop_oneof![Just(b'd'), Just(b'l'), Just(b'o'), Just(b'r'), Just(0), Just(1), any::<u8>()], 0..300),
    ) {
        if let Some(toc) = LayerToc::from_bytes(bytes) {
            toc.lay_over(&mut LowerTree::default());
        }
    }

    #[test]
    fn any_stream_is_a_layer_or_an_error(
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
        length in any::<proptest::sample::Index>(),
    ) {
        let mut bytes = layer(&[directory("a/"), entry(EntryType::Symlink, "a/b", "c"), file("a/.wh.d")]);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(length.index(bytes.len() + 1));
        if let Ok(toc) = LayerToc::read(&bytes[..], &Interrupt::default()) {
            toc.lay_over(&mut LowerTree::default());
        }
    }
}
