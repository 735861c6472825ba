use proptest::prelude::*;
use tar::{EntryType, Header};

use super::*;

mod differential;
pub(super) mod table;

fn header(name: &str, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o104_755);
    header.set_uid(1000);
    header.set_gid(100);
    header.set_mtime(1_700_000_000);
    header.set_size(size);
    header.set_cksum();
    header
}

fn entry(name: &str, kind: EntryType, content: &[u8]) -> Vec<u8> {
    let mut bytes = header(name, kind, content.len() as u64).as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

/// An entry of the type that archives older than POSIX have for everything: the `tar` crate writes `0` for it.
fn old(name: &str, content: &[u8]) -> Vec<u8> {
    let mut bytes = entry(name, EntryType::Regular, content);
    bytes[156] = 0;
    let mut header = Header::from_byte_slice(&bytes[..BLOCK]).clone();
    header.set_cksum();
    bytes[..BLOCK].copy_from_slice(header.as_bytes());
    bytes
}

fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = (1..=7).map(|digits| rest + digits).find(|l| l.to_string().len() + rest == *l).expect("grows slower");
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

fn read(bytes: &[u8]) -> Result<Vec<(TarEntry, Vec<u8>)>, TarError> {
    let mut reader = TarReader::new(bytes);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).map_err(|error| reader.explain(error))?;
        entries.push((entry, content));
    }
    reader.finish()?;
    Ok(entries)
}

fn one(bytes: &[u8]) -> (TarEntry, Vec<u8>) {
    let mut entries = read(bytes).expect("a tar stream");
    assert_eq!(entries.len(), 1);
    entries.remove(0)
}

#[test]
fn plain_entries() {
    let stream = [
        entry("dir/", EntryType::Directory, b""),
        entry("dir/file", EntryType::Regular, b"content"),
        old("old/", b""),
        vec![0; 2 * BLOCK],
        vec![0; 9000],
    ]
    .concat();
    let entries = read(&stream).expect("a tar stream");
    let (file, content) = &entries[1];
    assert_eq!(content, b"content");
    assert_eq!((file.path.as_slice(), file.kind, file.size), (b"dir/file".as_slice(), EntryKind::File, 7));
    assert_eq!((file.mode, file.uid, file.gid, file.mtime), (0o4755, 1000, 100, 1_700_000_000));
    assert_eq!((entries[0].0.path.as_slice(), entries[0].0.kind), (b"dir".as_slice(), EntryKind::Directory));
    assert_eq!(entries[2].0.kind, EntryKind::Directory);
}

#[test]
fn long_names_in_both_dialects() {
    let name = "n".repeat(300);
    let gnu = [
        entry("././@LongLink", EntryType::GNULongName, format!("{name}\0").as_bytes()),
        entry("././@LongLink", EntryType::GNULongLink, b"target\0"),
        entry("short", EntryType::Symlink, b""),
    ]
    .concat();
    let (link, _) = one(&gnu);
    assert_eq!((link.path, link.link), (name.clone().into_bytes(), Some(b"target".to_vec())));
    let records = [record("path", name.as_bytes()), record("mtime", b"-5.25"), record("size", b"3")].concat();
    // The pax size counts, also where the header says another.
    let pax = [
        entry("x", EntryType::XHeader, &records),
        header("short", EntryType::Regular, 0).as_bytes().to_vec(),
        [b"abc".as_slice(), &[0; 509]].concat(),
    ]
    .concat();
    let (file, content) = one(&pax);
    assert_eq!((file.path, file.mtime, content), (name.into_bytes(), -6, b"abc".to_vec()));
}

#[test]
fn attributes_may_hold_line_feeds() {
    let records =
        [record("SCHILY.xattr.security.capability", b"\x01\n\n\0=\x02"), record("uid", b"4294967295")].concat();
    let stream = [entry("x", EntryType::XHeader, &records), entry("file", EntryType::Regular, b"")].concat();
    assert_eq!(one(&stream).0.uid, 4_294_967_295);
}

/// Why readers disagree about a stream, in our words.
fn ambiguous(parts: &[Vec<u8>]) -> &'static str {
    match read(&parts.concat()) {
        Err(TarError::Ambiguous { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_type_flag_alone_says_what_an_entry_is() {
    let (size, slash) = ("a size, but is not of a type with content", "but is not a directory");
    let file = "but the type of a file";
    for (flag, in_header, is_slashed, content, expected) in [
        (0, false, false, false, Ok(EntryKind::File)),
        (0, false, false, true, Ok(EntryKind::File)),
        (0, true, true, false, Ok(EntryKind::Directory)),
        (0, true, true, true, Err(size)),
        (0, true, false, false, Err("a name in an extension")),
        (0, false, true, false, Err("a name in an extension")),
        (b'0', false, false, true, Ok(EntryKind::File)),
        (b'0', true, false, true, Ok(EntryKind::File)),
        (b'0', true, true, true, Err(file)),
        (b'0', true, true, false, Err(file)),
        (b'0', false, true, false, Err(file)),
        (b'7', false, false, true, Ok(EntryKind::File)),
        (b'7', true, true, false, Err(file)),
        (b'S', false, false, true, Ok(EntryKind::File)),
        (b'S', true, true, true, Err(file)),
        (b'1', false, false, false, Ok(EntryKind::HardLink)),
        (b'1', false, false, true, Err(size)),
        (b'1', true, true, false, Err(slash)),
        (b'2', false, false, false, Ok(EntryKind::Symlink)),
        (b'2', false, false, true, Err(size)),
        (b'2', true, true, false, Err(slash)),
        (b'3', false, false, false, Ok(EntryKind::CharDevice)),
        (b'3', false, false, true, Err(size)),
        (b'4', false, false, false, Ok(EntryKind::BlockDevice)),
        (b'4', true, true, false, Err(slash)),
        (b'5', false, false, false, Ok(EntryKind::Directory)),
        (b'5', true, true, false, Ok(EntryKind::Directory)),
        (b'5', true, true, true, Err(size)),
        (b'5', false, false, true, Err(size)),
        (b'6', false, false, false, Ok(EntryKind::Fifo)),
        (b'6', false, false, true, Err(size)),
        (b'6', true, true, false, Err(slash)),
        (b'D', true, true, false, Ok(EntryKind::Other(b'D'))),
        (b'D', true, true, true, Err(size)),
        (b'V', false, false, false, Ok(EntryKind::Other(b'V'))),
        (b'M', false, false, true, Err(size)),
        (b'Z', false, false, true, Err(size)),
        (b' ', false, false, false, Ok(EntryKind::Other(b' '))),
        (b'X', false, false, false, Err("Solaris")),
        (b'X', false, false, true, Err("Solaris")),
    ] {
        let kind = super::header::kind(flag, in_header, is_slashed, content);
        let is_expected = match (kind, expected) {
            (Ok(kind), Ok(expected)) => kind == expected,
            (Err(why), Err(part)) => why.contains(part),
            _ => false,
        };
        assert!(is_expected, "{} {in_header} {is_slashed} {content}: {kind:?}", char::from(flag));
    }
}

#[test]
fn a_file_named_as_a_directory_hides_no_entries() {
    // A reader that takes the file for a directory reads its content as entries.
    let inner = [entry("EVIL", EntryType::Regular, b"x"), vec![0; 2 * BLOCK]].concat();
    let kinds = [EntryType::Regular, EntryType::Directory, EntryType::Link, EntryType::Symlink];
    for hiding in kinds.map(|kind| entry("d/", kind, &inner)).into_iter().chain([old("d/", &inner)]) {
        ambiguous(&[hiding, entry("GOOD", EntryType::Regular, b"x")]);
    }
}

#[test]
fn extensions_are_one_of_a_kind_and_directly_before_their_entry() {
    let pax = |records: &[Vec<u8>]| entry("x", EntryType::XHeader, &records.concat());
    let global = |records: &[Vec<u8>]| entry("g", EntryType::XGlobalHeader, &records.concat());
    let long = |name: &[u8]| entry("././@LongLink", EntryType::GNULongName, name);
    let target = |name: &[u8]| entry("././@LongLink", EntryType::GNULongLink, name);
    let file = || entry("file", EntryType::Regular, b"");
    let link = || entry("link", EntryType::Symlink, b"");
    let path = || pax(&[record("path", b"p")]);
    let comment = || pax(&[record("comment", b"c")]);
    for (parts, reason) in [
        (vec![path(), path(), file()], "other pax records"),
        (vec![path(), global(&[]), file()], "pax records for all entries between"),
        (vec![long(b"n"), global(&[]), file()], "pax records for all entries between"),
        (vec![long(b"n"), long(b"n"), file()], "another one before it"),
        (vec![long(b""), file()], "an empty long name"),
        (vec![target(b"n"), target(b"n"), link()], "another long link target"),
        (vec![target(b""), link()], "an empty long link target"),
        (vec![long(b"n"), path(), file()], "a long name of GNU tar and another one"),
        (vec![path(), long(b"n"), file()], "a long name of GNU tar and another one"),
        (vec![target(b"n"), pax(&[record("linkpath", b"p")]), link()], "a long name of GNU tar and another one"),
        (vec![path()], "no entry"),
        (vec![long(b"n"), vec![0; 1024]], "no entry"),
        (vec![global(&[]), vec![0; 1024]], "no entry"),
        (vec![global(&[record("path", b"p")]), file()], "a global pax record"),
        (vec![long(b"d/"), old("d", b"")], "a name in an extension"),
        (vec![long(b"d"), old("d/", b"")], "a name in an extension"),
        (vec![file(), vec![0; BLOCK], file()], "nothing but zeros"),
    ] {
        let what = ambiguous(&parts);
        assert!(what.contains(reason), "{what}: {reason}");
    }
    for parts in [
        vec![global(&[record("comment", b"c")]), global(&[]), path(), file()],
        vec![long(b"n"), comment(), target(b"t"), link()],
        vec![comment(), long(b"n"), link()],
        vec![long(b"d/"), old("d/", b"")],
        vec![file(), vec![0; BLOCK]],
        vec![file()],
        vec![vec![0; BLOCK]],
    ] {
        read(&parts.concat()).expect("readers agree");
    }
    let mut behind = path();
    *behind.last_mut().expect("padding") = b'x';
    assert!(ambiguous(&[behind, file()]).contains("behind the content"));
    assert!(matches!(read(b""), Err(TarError::Empty)));
}

#[test]
fn files_with_holes_show_their_full_size() {
    let mut sparse = header("holes", EntryType::GNUSparse, 515);
    let gnu = sparse.as_gnu_mut().expect("GNU");
    gnu.set_real_size(1 << 33);
    gnu.sparse[0].set_offset(1 << 20);
    gnu.sparse[0].set_length(512);
    gnu.set_is_extended(true);
    sparse.set_cksum();
    let mut more = tar::GnuExtSparseHeader::new();
    more.sparse[0].set_offset((1 << 33) - 3);
    more.sparse[0].set_length(3);
    let parts =
        |more: &tar::GnuExtSparseHeader| [sparse.as_bytes(), &more.as_bytes()[..], &[b'1'; 515], &[0; 509]].concat();
    let (file, content) = one(&parts(&more));
    assert_eq!((file.size, file.stored, content.as_slice()), (1 << 33, 515, &[b'1'; 515][..]));
    assert_eq!(file.pieces, Some(vec![(1 << 20, 512), ((1 << 33) - 3, 3)]));
    // Python passes over a piece at the beginning here, and reads on behind an unused one.
    let mut first = tar::GnuExtSparseHeader::new();
    first.sparse[0].set_offset(0);
    first.sparse[0].set_length(3);
    let mut behind = tar::GnuExtSparseHeader::new();
    behind.as_mut_bytes().copy_from_slice(more.as_bytes());
    behind.sparse[2].set_offset(1 << 33);
    for more in [first, behind] {
        assert!(matches!(read(&parts(&more)), Err(TarError::Field { field: "sparse map", .. })));
    }
}

#[test]
fn refusals_name_the_place() {
    let file = entry("file", EntryType::Regular, b"content");
    assert!(matches!(read(&file[..515]), Err(TarError::Truncated(515))));
    assert!(matches!(read(&file[..100]), Err(TarError::Truncated(100))));
    let mut damaged = file.clone();
    damaged[1] ^= 1;
    assert!(matches!(read(&damaged), Err(TarError::Header(0))));
    assert!(matches!(read(b"<html>".repeat(100).as_slice()), Err(TarError::Header(0))));
    let huge = header("././@LongLink", EntryType::GNULongName, 1 << 40);
    assert!(matches!(read(huge.as_bytes()), Err(TarError::TooLong { field: "name", .. })));
    let huge = header("x", EntryType::XGlobalHeader, 1 << 40);
    assert!(matches!(read(huge.as_bytes()), Err(TarError::TooLong { field: "attributes", .. })));
    let mut negative = header("file", EntryType::Regular, 0);
    negative.as_old_mut().size = [0xff; 12];
    negative.set_cksum();
    assert!(matches!(read(negative.as_bytes()), Err(TarError::Field { field: "size", .. })));
    for records in [b"8 path=x\n".as_slice(), b"x path=x\n", b"10 path=xxx", b"99999999999999999999 a=b\n"] {
        let stream = [entry("x", EntryType::XHeader, records), entry("file", EntryType::Regular, b"")].concat();
        assert!(matches!(read(&stream), Err(TarError::Field { field: "pax record", .. })), "{records:?}");
    }
    let hidden = [entry("x", EntryType::XHeader, &record("path", b"a\0b")), file.clone()].concat();
    assert!(matches!(read(&hidden), Err(TarError::Field { field: "pax record", .. })));
    let trailing = [file, vec![0; 2 * BLOCK], vec![b'x'; 5 << 20]].concat();
    assert!(matches!(read(&trailing), Err(TarError::Trailer)));
}

#[test]
fn limits_are_met_to_the_byte() {
    let file = || entry("file", EntryType::Regular, b"");
    let long = |length: u64| {
        let name = vec![b'n'; usize::try_from(length).expect("small")];
        [entry("././@LongLink", EntryType::GNULongName, &name), file()].concat()
    };
    assert_eq!(one(&long(MAX_NAME_BYTES)).0.path.len() as u64, MAX_NAME_BYTES);
    assert!(matches!(read(&long(MAX_NAME_BYTES + 1)), Err(TarError::TooLong { field: "name", .. })));
    let comment = |length: u64| {
        let records = record("comment", &vec![b'c'; usize::try_from(length).expect("small")]);
        (records.len() as u64, [entry("x", EntryType::XHeader, &records), file()].concat())
    };
    let around = MAX_PAX_BYTES - comment(MAX_PAX_BYTES - 100).0 + MAX_PAX_BYTES - 100;
    assert_eq!(comment(around).0, MAX_PAX_BYTES);
    read(&comment(around).1).expect("at the limit");
    assert!(matches!(read(&comment(around + 1).1), Err(TarError::TooLong { field: "attributes", .. })));
    let capability = |length: usize| {
        let records = record("SCHILY.xattr.security.capability", &vec![1; length]);
        [entry("x", EntryType::XHeader, &records), file()].concat()
    };
    assert_eq!(one(&capability(64)).0.capability.map(|bytes| bytes.len()), Some(64));
    assert!(matches!(read(&capability(65)), Err(TarError::Field { field: "capability", .. })));
    let end =
        |trailer: u64| [file(), vec![0; 2 * BLOCK], vec![b'x'; usize::try_from(trailer).expect("small")]].concat();
    read(&end(MAX_TRAILER_BYTES)).expect("at the limit");
    assert!(matches!(read(&end(MAX_TRAILER_BYTES + 1)), Err(TarError::Trailer)));
}

#[test]
fn maps_of_holes_are_bounded() {
    // 1 MiB of blocks, as Go has it.
    let blocks = |count: usize| {
        let mut sparse = header("holes", EntryType::GNUSparse, 0);
        let gnu = sparse.as_gnu_mut().expect("GNU");
        gnu.set_real_size(7);
        gnu.sparse[0].set_offset(7);
        gnu.sparse[0].set_length(0);
        gnu.set_is_extended(true);
        sparse.set_cksum();
        let mut bytes = sparse.as_bytes().to_vec();
        for number in 1..=count {
            let mut more = tar::GnuExtSparseHeader::new();
            more.set_is_extended(number < count);
            bytes.extend(more.as_bytes());
        }
        bytes
    };
    assert_eq!(one(&blocks(2048)).0.pieces, Some(vec![(7, 0)]));
    assert!(matches!(read(&blocks(2049)), Err(TarError::Field { field: "sparse map", .. })));
    let ahead = |digits: usize| {
        let records = [("major", "1"), ("minor", "0"), ("realsize", "7")];
        let records = records.map(|(key, value)| record(&format!("GNU.sparse.{key}"), value.as_bytes())).concat();
        let pieces = digits / 4;
        let mut map = format!("{:04}\n{}", pieces, "0\n0\n".repeat(pieces)).into_bytes();
        map.resize(map.len().next_multiple_of(BLOCK), 0);
        let mut bytes = [entry("x", EntryType::XHeader, &records), entry("holes", EntryType::Regular, &map)].concat();
        bytes[2 * BLOCK + 257..2 * BLOCK + 265].copy_from_slice(b"ustar\x0000");
        let mut fixed = Header::from_byte_slice(&bytes[2 * BLOCK..3 * BLOCK]).clone();
        fixed.set_cksum();
        bytes[2 * BLOCK..3 * BLOCK].copy_from_slice(fixed.as_bytes());
        let mut reader = TarReader::new(&bytes[..]);
        let error = reader.next_entry().expect_err("no map of this file");
        (reader.offset(), error)
    };
    // Read whole and refused for what it says, and not read to its end.
    assert_eq!(ahead(4000).0, 3 * BLOCK as u64 + 4096);
    let (offset, error) = ahead(2 << 20);
    assert!(matches!(error, TarError::Field { field: "sparse map", .. }), "{error}");
    assert!(offset <= 3 * BLOCK as u64 + sparse::MAX_MAP_BYTES, "{offset}");
}

#[test]
fn what_the_tar_crate_writes_reads_back() {
    let mut builder = tar::Builder::new(Vec::new());
    let name = "d/".repeat(80) + "file";
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(3);
    header.set_mode(0o600);
    header.set_cksum();
    builder.append_data(&mut header, &name, b"abc".as_slice()).expect("written");
    let stream = builder.into_inner().expect("finished");
    let (file, content) = one(&stream);
    assert_eq!((file.path, content, file.mode), (name.into_bytes(), b"abc".to_vec(), 0o600));
}

proptest! {
    #[test]
    fn reading_never_panics(bytes: Vec<u8>) {
        let _ = read(&bytes);
    }

    #[test]
    fn reading_damaged_archives_never_panics(
        changes in prop::collection::vec((0usize..4096, any::<u8>(), any::<bool>()), 0..12),
        end in 0usize..4096,
    ) {
        let records = [record("path", b"a"), record("size", b"3"), record("mtime", b"1.5")].concat();
        let mut stream = [
            entry("x", EntryType::XHeader, &records),
            entry("file", EntryType::Regular, b"abc"),
            entry("././@LongLink", EntryType::GNULongName, b"name\0"),
            entry("holes", EntryType::GNUSparse, b"abc"),
        ].concat();
        for (at, byte, repair) in changes {
            let at = at % stream.len();
            stream[at] = byte;
            let block = at / BLOCK * BLOCK;
            if repair {
                // A damaged field behind a right checksum gets further into the reader.
                let mut fixed = Header::from_byte_slice(&stream[block..block + BLOCK]).clone();
                fixed.set_cksum();
                stream[block..block + BLOCK].copy_from_slice(fixed.as_bytes());
            }
        }
        stream.truncate(end);
        let _ = read(&stream);
    }
}
