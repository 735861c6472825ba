use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::source::{CopyError, Fill, copy_exactly};
use super::tar::entry::TarWriter;
use super::*;
use crate::context::{Context, Entry, IgnoreRules};
use crate::image::Digest;
use crate::progress::{Event, Interrupt, Progress, Silent};

/// An entry read back: kind, name, mode, link, content.
type ReadEntry = (char, Vec<u8>, u32, Vec<u8>, Vec<u8>);

fn read_back(archive: &[u8]) -> Vec<ReadEntry> {
    let mut read = Vec::new();
    for entry in ::tar::Archive::new(archive).entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("content");
        let header = entry.header();
        assert_eq!(header.mtime().expect("a time"), 7);
        assert_eq!((header.uid().expect("an id"), header.gid().expect("an id")), (1000, 3_000_000));
        assert_eq!((header.username_bytes(), header.groupname_bytes()), (Some(&b""[..]), Some(&b""[..])));
        let link = entry.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default();
        let kind = char::from(header.entry_type().as_byte());
        read.push((kind, entry.path_bytes().into_owned(), header.mode().expect("a mode"), link, content));
    }
    read
}

const STYLE: Style = Style { owner: Owner { uid: 1000, gid: 3_000_000 }, modified: 7, above: None, mode: None };

fn compressors() -> std::sync::Arc<Compressors> {
    Compressors::new(Compression::default()).expect("threads")
}

struct Fixture {
    dir: tempfile::TempDir,
    context: Context,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let context = Context::open(dir.path()).expect("there");
        Self { dir, context }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::create_dir_all(self.path(name).parent().expect("inside")).expect("made");
        fs::write(self.path(name), content).expect("written");
        fs::set_permissions(self.path(name), Permissions::from_mode(0o644)).expect("mode");
    }

    fn entries(&self) -> Vec<Entry> {
        self.context.list(&IgnoreRules::default(), &[], &Interrupt::default()).expect("listed").entries
    }

    fn pack_entries(&self, entries: &[Entry], destination: &str) -> Result<Packed<Vec<u8>>, LayerError> {
        let destination = Destination::parse(destination).expect("valid");
        let entries: Vec<&Entry> = entries.iter().collect();
        let placement = Placement::new(&destination, STYLE, &LowerTree::default()).expect("lands");
        let plan = LayerPlan { context: &self.context, entries: &entries, placement: &placement, style: STYLE };
        pack(&plan, &compressors(), Vec::new(), &mut Monitor::new(&Silent, "layer", &Interrupt::default()))
    }

    /// The archive of everything there is.
    fn archive(&self, destination: &str) -> Vec<u8> {
        let packed = self.pack_entries(&self.entries(), destination).expect("packed");
        let mut archive = Vec::new();
        flate2::read::MultiGzDecoder::new(&packed.inner[..]).read_to_end(&mut archive).expect("gzip");
        assert_eq!((Digest::of(&archive), archive.len() as u64), (packed.diff_id, packed.uncompressed));
        archive
    }
}

#[test]
fn an_archive_holds_what_the_context_holds() {
    let fixture = Fixture::new();
    fixture.write("b/file", b"content");
    fixture.write("a", b"");
    fs::set_permissions(fixture.path("a"), Permissions::from_mode(0o4711)).expect("mode");
    fs::set_permissions(fixture.path("b"), Permissions::from_mode(0o1777)).expect("mode");
    fs::hard_link(fixture.path("b/file"), fixture.path("c")).expect("linked");
    fs::hard_link(fixture.path("b/file"), fixture.path("d")).expect("linked");
    let target = format!("../{}//./x/", "t".repeat(200));
    symlink("/absolute", fixture.path("l1")).expect("linked");
    symlink(&target, fixture.path("l2")).expect("linked");
    symlink("l3", fixture.path("l3")).expect("linked");
    let entry = |kind, name: &str, mode, link: &str, content: &str| -> ReadEntry {
        (kind, name.into(), mode, link.into(), content.into())
    };
    assert_eq!(
        read_back(&fixture.archive("/")),
        [
            entry('0', "a", 0o4711, "", ""),
            entry('5', "b/", 0o1777, "", ""),
            entry('0', "b/file", 0o644, "", "content"),
            entry('1', "c", 0o644, "b/file", ""),
            entry('1', "d", 0o644, "b/file", ""),
            entry('2', "l1", 0o777, "/absolute", ""),
            entry('2', "l2", 0o777, &target, ""),
            entry('2', "l3", 0o777, "l3", ""),
        ]
    );
}

#[test]
fn a_destination_brings_its_directories() {
    let fixture = Fixture::new();
    fixture.write("x", b"1");
    fs::hard_link(fixture.path("x"), fixture.path("y")).expect("linked");
    let entry = |kind, name: &str, mode, link: &str, content: &str| -> ReadEntry {
        (kind, name.into(), mode, link.into(), content.into())
    };
    assert_eq!(
        read_back(&fixture.archive("/app/data")),
        [
            entry('5', "app/", 0o755, "", ""),
            entry('5', "app/data/", 0o755, "", ""),
            entry('0', "app/data/x", 0o644, "", "1"),
            entry('1', "app/data/y", 0o644, "app/data/x", ""),
        ]
    );
}

#[test]
fn an_empty_layer_is_an_empty_archive() {
    assert_eq!(Fixture::new().archive("/"), [0; 1024]);
}

#[test]
fn names_of_any_length_and_bytes_survive() {
    let fixture = Fixture::new();
    let mut expected = Vec::new();
    for length in [99, 100, 101, 155, 255] {
        // Not text from the first byte on: nothing of such a name may be taken for granted.
        let name = [&b"\xff"[..], &b"n".repeat(length - 1)].concat();
        fs::write(fixture.dir.path().join(std::ffi::OsStr::from_bytes(&name)), "").expect("written");
        expected.push(name);
    }
    let deep = format!("{}/{}/x", "d".repeat(98), "e".repeat(255));
    fixture.write(&deep, b"deep");
    expected.push(deep.clone().into_bytes());
    expected.push([deep.trim_end_matches('x').as_bytes()].concat());
    expected.push([&b"d".repeat(98)[..], b"/"].concat());
    fs::hard_link(fixture.path(&deep), fixture.path("z")).expect("linked");
    expected.push(b"z".to_vec());
    expected.sort();
    let read = read_back(&fixture.archive(""));
    assert_eq!(read.iter().map(|entry| entry.1.clone()).collect::<Vec<_>>(), expected);
    assert_eq!(read.iter().find(|entry| entry.1 == b"z").expect("there").3, deep.as_bytes());
}

#[test]
fn bytes_depend_on_the_content_alone() {
    let build = |names: &[&str], age: i64| {
        let fixture = Fixture::new();
        for name in names {
            fixture.write(name, name.as_bytes());
        }
        for directory in ["d", "d/e"] {
            fs::set_permissions(fixture.path(directory), Permissions::from_mode(0o755)).expect("mode");
        }
        for name in names {
            let file = fs::File::options().write(true).open(fixture.path(name)).expect("there");
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(age.unsigned_abs());
            file.set_modified(time).expect("set");
            if rustix::process::geteuid().is_root() {
                std::os::unix::fs::chown(fixture.path(name), Some(12), Some(34)).expect("root may");
            }
        }
        fixture.pack_entries(&fixture.entries(), "/").expect("packed")
    };
    let one = build(&["a", "d/e/f", "d/g", "z"], 1);
    let other = build(&["z", "d/g", "a", "d/e/f"], 1_700_000_000);
    assert_eq!((one.diff_id, &one.inner), (other.diff_id, &other.inner));
}

#[test]
fn a_file_that_is_not_what_the_walk_saw_ends_the_layer() {
    let error = |change: &dyn Fn(&Fixture)| {
        let fixture = Fixture::new();
        fixture.write("sub/file", b"content");
        let entries = fixture.entries();
        change(&fixture);
        let path = fixture.path("sub/file");
        match fixture.pack_entries(&entries, "/").expect_err("changed") {
            LayerError::Changed { path: named } if named == path => "changed",
            LayerError::Vanished { path: named } if named == path => "vanished",
            other => panic!("{other:?}"),
        }
    };
    let path = |fixture: &Fixture| fixture.path("sub/file");
    assert_eq!(error(&|fixture| fs::remove_file(path(fixture)).expect("removed")), "vanished");
    assert_eq!(error(&|fixture| fs::write(path(fixture), "longer content").expect("written")), "changed");
    assert_eq!(error(&|fixture| fs::write(path(fixture), "short").expect("written")), "changed");
    assert_eq!(
        error(&|fixture| {
            let file = fs::File::options().write(true).open(path(fixture)).expect("there");
            file.set_modified(std::time::UNIX_EPOCH).expect("set");
        }),
        "changed"
    );
    assert_eq!(
        error(&|fixture| {
            fs::rename(path(fixture), fixture.path("elsewhere")).expect("moved");
            symlink("../elsewhere", path(fixture)).expect("linked");
        }),
        "changed"
    );
    assert_eq!(
        error(&|fixture| {
            fs::rename(fixture.path("sub"), fixture.path("elsewhere")).expect("moved");
            symlink("elsewhere", fixture.path("sub")).expect("linked");
        }),
        "changed"
    );
    assert_eq!(
        error(&|fixture| {
            fs::remove_file(path(fixture)).expect("removed");
            fs::create_dir(path(fixture)).expect("made");
        }),
        "changed"
    );
    // Opening a named pipe must not wait for a writer.
    assert_eq!(
        error(&|fixture| {
            fs::remove_file(path(fixture)).expect("removed");
            let mode = rustix::fs::Mode::RUSR;
            let kind = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, path(fixture), kind, mode, 0).expect("a pipe");
        }),
        "changed"
    );
}

/// Changes a file once its first bytes are reported.
struct Meddler<'a> {
    path: &'a Path,
    content: &'a [u8],
}

impl Progress for Meddler<'_> {
    fn emit(&self, event: Event<'_>) {
        if matches!(event, Event::Advance { .. }) {
            fs::write(self.path, self.content).expect("written");
        }
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_ends_the_layer() {
    for content in [vec![b'b'; 3 << 20], vec![b'b'; 5 << 20], vec![], vec![b'b'; 4 << 20]] {
        let fixture = Fixture::new();
        fixture.write("file", &vec![b'a'; 4 << 20]);
        let path = fixture.path("file");
        // The time of the last change must differ from that of the first also where clocks are coarse.
        let file = fs::File::options().write(true).open(&path).expect("there");
        file.set_modified(std::time::UNIX_EPOCH).expect("set");
        let entries = fixture.entries();
        let entries: Vec<&Entry> = entries.iter().collect();
        let placement = Placement::new(&Destination::default(), STYLE, &LowerTree::default()).expect("lands");
        let plan = LayerPlan { context: &fixture.context, entries: &entries, placement: &placement, style: STYLE };
        let meddler = Meddler { path: &path, content: &content };
        let ended =
            pack(&plan, &compressors(), Vec::new(), &mut Monitor::new(&meddler, "layer", &Interrupt::default()));
        assert!(matches!(&ended, Err(LayerError::Changed { path: named }) if *named == path), "{}", content.len());
    }
}

#[test]
fn refusals_of_the_system_keep_their_meaning() {
    let opening = |errno: rustix::io::Errno| LayerError::opening("file".into(), errno.into());
    assert!(matches!(opening(rustix::io::Errno::ACCESS), LayerError::Unreadable { .. }));
    assert!(matches!(opening(rustix::io::Errno::IO), LayerError::Unreadable { .. }));
    assert!(matches!(opening(rustix::io::Errno::NOENT), LayerError::Vanished { .. }));
    assert!(matches!(opening(rustix::io::Errno::LOOP), LayerError::Changed { .. }));
    assert!(matches!(opening(rustix::io::Errno::NOTDIR), LayerError::Changed { .. }));
    let fixture = Fixture::new();
    fixture.write("closed", b"x");
    fs::set_permissions(fixture.path("closed"), Permissions::from_mode(0o000)).expect("mode");
    match fixture.pack_entries(&fixture.entries(), "/") {
        Ok(_) => assert!(rustix::process::geteuid().is_root()),
        Err(LayerError::Unreadable { path, source }) => {
            assert_eq!((path, source.kind()), (fixture.path("closed"), io::ErrorKind::PermissionDenied));
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn copying_needs_exactly_the_size() {
    let interrupt = Interrupt::default();
    let mut monitor = Monitor::new(&Silent, "layer", &interrupt);
    let mut copy = |size| copy_exactly(&mut &b"four"[..], size, &mut Sink::default(), &mut monitor);
    assert!(copy(4).is_ok());
    assert!(matches!(copy(3), Err(CopyError::Changed)));
    assert!(matches!(copy(5), Err(CopyError::Changed)));
    interrupt.request();
    assert!(matches!(copy(4), Err(CopyError::Interrupted)));
}

/// Keeps the beginning and counts the rest.
#[derive(Default)]
struct Sink {
    head: Vec<u8>,
    count: u64,
    room: Vec<u8>,
}

impl Fill for Sink {
    fn fill(&mut self, from: &mut impl Read, most: usize) -> Result<usize, CopyError> {
        self.room.resize(most, 0);
        let count = from.read(&mut self.room).map_err(CopyError::Read)?;
        self.count += count as u64;
        Ok(count)
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = 1024_usize.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..room]);
        self.count += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_file_over_8_gib_keeps_its_size() {
    const SIZE: u64 = (8 << 30) + 5;
    let fixture = Fixture::new();
    let file = fs::File::create(fixture.path("sparse")).expect("made");
    file.set_len(SIZE).expect("a file system with holes");
    assert_eq!(fixture.entries()[0].size(), SIZE);
    let mut tar = TarWriter::new(Sink::default(), STYLE);
    tar.begin_file(b"sparse", 0o644, SIZE, None).expect("written");
    let interrupt = Interrupt::default();
    let mut monitor = Monitor::new(&Silent, "layer", &interrupt);
    let zeros = &mut io::repeat(0).take(SIZE);
    copy_exactly(zeros, SIZE, tar.content(), &mut monitor).expect("copied");
    tar.end_file(SIZE).expect("padded");
    let sink = tar.finish().expect("finished");
    assert_eq!(sink.count, 512 + SIZE.next_multiple_of(512) + 1024);
    let header = ::tar::Header::from_byte_slice(&sink.head[..512]);
    assert_eq!(header.size().expect("a size"), SIZE);
    assert_eq!(header.entry_type(), ::tar::EntryType::Regular);
}

#[test]
fn capabilities_travel_as_a_pax_record() {
    // cap_net_bind_service+ep, revision 2.
    let capability = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let mut tar = TarWriter::new(Vec::new(), STYLE);
    let name = b"n".repeat(120);
    tar.begin_file(&name, 0o755, 2, Some(capability)).expect("written");
    tar.content().write_all(b"hi").expect("written");
    tar.end_file(2).expect("padded");
    tar.hard_link(b"other", 0o755, &name, Some(capability)).expect("written");
    let written = tar.finish().expect("finished");
    let mut archive = ::tar::Archive::new(&written[..]);
    let mut entries = archive.entries().expect("an archive").map(|entry| entry.expect("an entry"));
    // Capabilities stand at every name, since setting the owner at one name clears those set before.
    for expected in [&name[..], b"other"] {
        let mut entry = entries.next().expect("another");
        assert_eq!(*entry.path_bytes(), *expected);
        let records: Vec<(String, Vec<u8>)> = entry
            .pax_extensions()
            .expect("read")
            .expect("there")
            .map(|record| record.expect("a record"))
            .map(|record| (record.key().expect("text").to_owned(), record.value_bytes().to_vec()))
            .collect();
        assert_eq!(records, [("SCHILY.xattr.security.capability".to_owned(), capability.to_vec())]);
    }
    // The file's own attribute, where this user and file system can set one.
    let fixture = Fixture::new();
    fixture.write("tool", b"hi");
    fs::hard_link(fixture.path("tool"), fixture.path("too")).expect("linked");
    let set = xattr::set(fixture.path("tool"), "security.capability", capability);
    let archive = fixture.archive("/");
    let mut reader = super::tar::read::TarReader::new(&archive[..]);
    let expected = set.is_ok().then(|| capability.to_vec());
    for name in ["too", "tool"] {
        let entry = reader.next_entry().expect("an archive").expect("another");
        assert_eq!((entry.path, entry.capability), (name.into(), expected.clone()), "{set:?}");
    }
}

#[test]
fn progress_adds_up_and_an_interrupt_ends_the_layer() {
    struct Sum(std::sync::atomic::AtomicU64, Interrupt, u64);
    impl Progress for Sum {
        fn emit(&self, event: Event<'_>) {
            let Event::Advance { key: "layer", bytes } = event else { panic!("{event:?}") };
            let before = self.0.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
            if before + bytes >= self.2 {
                self.1.request();
            }
        }
    }
    let fixture = Fixture::new();
    fixture.write("a", &vec![1; 1_000_000]);
    for name in ["b", "c", "d"] {
        fixture.write(name, b"small");
    }
    let entries = fixture.entries();
    let entries: Vec<&Entry> = entries.iter().collect();
    let placement = Placement::new(&Destination::default(), STYLE, &LowerTree::default()).expect("lands");
    let plan = LayerPlan { context: &fixture.context, entries: &entries, placement: &placement, style: STYLE };
    let run = |limit| {
        let interrupt = Interrupt::default();
        let sum = Sum(0.into(), interrupt.clone(), limit);
        let result = pack(&plan, &compressors(), Vec::new(), &mut Monitor::new(&sum, "layer", &interrupt));
        (result.map(|_| ()), sum.0.into_inner())
    };
    assert!(matches!(run(u64::MAX), (Ok(()), 1_000_015)));
    assert!(matches!(run(1), (Err(LayerError::Interrupted), 1..1_000_000)));
}
