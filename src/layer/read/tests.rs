use proptest::prelude::*;

use super::*;

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

fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = (1..=5).map(|digits| rest + digits).find(|l| l.to_string().len() + rest == *l).expect("grows slower");
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
        entry("old/", EntryType::new(0), b""),
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
    assert_eq!((file.path, file.mtime, content), (name.into_bytes(), -5, b"abc".to_vec()));
}

#[test]
fn attributes_may_hold_line_feeds() {
    let records =
        [record("SCHILY.xattr.security.capability", b"\x01\n\n\0=\x02"), record("uid", b"4294967297")].concat();
    let stream = [entry("x", EntryType::XHeader, &records), entry("file", EntryType::Regular, b"")].concat();
    assert_eq!(one(&stream).0.uid, 4_294_967_297);
}

#[test]
fn links_have_no_content_whatever_they_announce() {
    let stream = [header("link", EntryType::Link, 700).as_bytes().to_vec(), entry("next", EntryType::Regular, b"x")];
    let entries = read(&stream.concat()).expect("a tar stream");
    assert_eq!((entries[0].0.stored, entries[1].1.as_slice()), (0, b"x".as_slice()));
}

#[test]
fn files_with_holes_show_their_full_size() {
    let mut sparse = header("holes", EntryType::GNUSparse, 5);
    let gnu = sparse.as_gnu_mut().expect("GNU");
    gnu.set_real_size(1 << 33);
    gnu.set_is_extended(true);
    sparse.set_cksum();
    let map = [tar::GnuExtSparseHeader::new().as_bytes().to_vec(), [b"12345".as_slice(), &[0; 507]].concat()].concat();
    let (file, content) = one(&[sparse.as_bytes().to_vec(), map].concat());
    assert_eq!((file.size, file.stored, content.as_slice()), (1 << 33, 5, b"12345".as_slice()));
}

#[test]
fn numbers_of_all_shapes() {
    assert_eq!(number(b"0000644\0"), Some(0o644));
    assert_eq!(number(b"   644 \0"), Some(0o644));
    assert_eq!(number(b"\0\0\0\0\0\0\0\0"), Some(0));
    assert_eq!(number(b"\x80\0\0\0\0\0\0\x02\0\0\0\0"), Some(1 << 33));
    assert_eq!(number(&[0xff; 12]), Some(-1));
    assert_eq!(number(b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None);
    assert_eq!(number(b"12x45678"), None);
    assert_eq!(count(&[0xff; 12]), None);
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
    let trailing = [file, vec![0; BLOCK], vec![b'x'; 5 << 20]].concat();
    assert!(matches!(read(&trailing), Err(TarError::Trailer)));
}

#[test]
fn what_the_tar_crate_writes_reads_back() {
    let mut builder = tar::Builder::new(Vec::new());
    let name = "d/".repeat(80) + "file";
    let mut header = Header::new_gnu();
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
