use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use super::*;

fn tree(files: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    for file in files {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().expect("inside")).expect("made");
        fs::write(path, file).expect("written");
    }
    dir
}

fn list(root: &Path, exclude: &[&str]) -> Result<Listing, ContextError> {
    let context = Context::open(root)?;
    let exclude: Vec<String> = exclude.iter().map(ToString::to_string).collect();
    let ignore_file = context.ignore_file(None)?;
    let rules = context.rules(ignore_file.as_deref(), &exclude)?;
    context.list(&rules, &[], &Interrupt::default())
}

fn paths(listing: &Listing) -> Vec<String> {
    listing.entries.iter().map(|entry| String::from_utf8_lossy(&entry.path).into_owned()).collect()
}

#[test]
fn entries_are_sorted_by_bytes_parents_first() {
    let dir = tree(&["b", "a/c", "a/b/x", "a-b", "B", ".hidden", ".gitignore"]);
    fs::write(dir.path().join(".gitignore"), "b\n").expect("written");
    let listing = list(dir.path(), &[]).expect("listed");
    assert_eq!(paths(&listing), [".gitignore", ".hidden", "B", "a", "a-b", "a/b", "a/b/x", "a/c", "b"]);
    assert_eq!(listing.excluded, 0);
}

#[test]
fn kinds_modes_and_links_are_told() {
    let dir = tree(&["file", "sub/x"]);
    fs::hard_link(dir.path().join("file"), dir.path().join("other")).expect("linked");
    fs::set_permissions(dir.path().join("file"), Permissions::from_mode(0o4751)).expect("mode");
    fs::set_permissions(dir.path().join("sub"), Permissions::from_mode(0o1770)).expect("mode");
    symlink("nowhere/./at//all/", dir.path().join("dangling")).expect("linked");
    symlink(".", dir.path().join("sub/loop")).expect("linked");
    let listing = list(dir.path(), &[]).expect("listed");
    let entry = |path: &str| listing.entries.iter().find(|entry| &*entry.path == path.as_bytes()).expect(path);
    let (Kind::File { stamp, links: 2 }, Kind::File { stamp: same, .. }) = (&entry("file").kind, &entry("other").kind)
    else {
        panic!("{listing:?}")
    };
    assert_eq!(stamp.identity, same.identity);
    assert_eq!((entry("file").mode, entry("file").size()), (0o4751, 4));
    assert_eq!((entry("sub").mode, &entry("sub").kind), (0o1770, &Kind::Directory));
    assert_eq!(entry("dangling").kind, Kind::Symlink { target: (*b"nowhere/./at//all/").into() });
    assert_eq!(entry("sub/loop").kind, Kind::Symlink { target: (*b".").into() });
    assert_eq!(listing.entries.len(), 6);
}

#[test]
fn a_link_to_a_directory_is_a_context() {
    let dir = tree(&["real/a"]);
    symlink("real", dir.path().join("link")).expect("linked");
    assert_eq!(paths(&list(&dir.path().join("link"), &[]).expect("listed")), ["a"]);
}

#[test]
fn names_of_any_bytes_and_lengths() {
    let dir = tree(&[]);
    let long = "n".repeat(255);
    fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9\n")), "").expect("written");
    fs::create_dir(dir.path().join(&long)).expect("made");
    fs::write(dir.path().join(&long).join(&long), "").expect("written");
    let listing = list(dir.path(), &[]).expect("listed");
    let names: Vec<&[u8]> = listing.entries.iter().map(|entry| &*entry.path).collect();
    assert_eq!(names, [b"caf\xe9\n", long.as_bytes(), format!("{long}/{long}").as_bytes()]);
    assert_eq!(paths(&list(dir.path(), &["caf?*", &format!("{long}/*")]).expect("listed")), [&*long]);
}

#[test]
fn ignore_files_are_chosen_in_order_and_stay_in() {
    let dir = tree(&["a", "b", "c"]);
    let listed = |exclude: &[&str]| paths(&list(dir.path(), exclude).expect("listed"));
    fs::write(dir.path().join(".dockerignore"), "a\n").expect("written");
    assert_eq!(listed(&[]), [".dockerignore", "b", "c"]);
    fs::write(dir.path().join(".containerignore"), "b\n").expect("written");
    assert_eq!(listed(&[]), [".containerignore", ".dockerignore", "a", "c"]);
    assert_eq!(listed(&["c", "!b", ".*ignore"]), ["a", "b"]);
    let context = Context::open(dir.path()).expect("there");
    let chosen = dir.path().join("mine");
    fs::write(&chosen, "[").expect("written");
    assert_eq!(context.ignore_file(Some(&chosen)).expect("chosen"), Some(chosen.clone()));
    let error = context.rules(Some(&chosen), &[]).expect_err("malformed");
    assert!(
        matches!(&error, ContextError::Rule(RuleError::Pattern { origin: Origin::File { path, line: 1 }, .. }) if **path == chosen)
    );
    let missing = context.rules(Some(&dir.path().join("missing")), &[]);
    assert!(matches!(missing, Err(ContextError::IgnoreFile { .. })), "{missing:?}");
    fs::write(&chosen, vec![b'\n'; usize::try_from(MAX_IGNORE_FILE_BYTES).expect("fits") + 1]).expect("written");
    assert!(matches!(context.rules(Some(&chosen), &[]), Err(ContextError::IgnoreFileSize { .. })));
    fs::remove_file(dir.path().join(".containerignore")).expect("removed");
    fs::create_dir(dir.path().join(".containerignore")).expect("made");
    assert!(matches!(context.ignore_file(None), Err(ContextError::IgnoreFileKind { .. })));
    fs::remove_dir(dir.path().join(".containerignore")).expect("removed");
    symlink("nowhere", dir.path().join(".containerignore")).expect("linked");
    let dangling = context.ignore_file(None);
    assert!(matches!(dangling, Err(ContextError::IgnoreFileDangling { .. })), "{dangling:?}");
    fs::write(dir.path().join("nowhere"), "a\n").expect("written");
    assert!(context.ignore_file(None).expect("a link to a file").is_some());
}

#[test]
fn excluded_directories_are_not_looked_into_without_need() {
    let dir = tree(&["keep/a", "drop/b", "drop/deep/c"]);
    let pipe = dir.path().join("drop/deep/pipe");
    let made = rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0);
    made.expect("a pipe");
    let listing = list(dir.path(), &["drop"]).expect("the pipe is never met");
    assert_eq!((paths(&listing), listing.excluded), (vec!["keep".into(), "keep/a".into()], 1));
    // `drop` is on the way to what returns, `drop/deep` is not.
    let listing = list(dir.path(), &["drop", "!drop/b"]).expect("nothing returns in `drop/deep`");
    assert_eq!((paths(&listing), listing.excluded), (["drop", "drop/b", "keep", "keep/a"].map(String::from).into(), 1));
    let listing = list(dir.path(), &["*", "!**/nothing"]).expect("everything is looked at, nothing is read");
    assert_eq!((paths(&listing), listing.excluded), (vec![], 7));
    let listing = list(dir.path(), &["**", "!drop/deep/c"]).expect("listed");
    assert_eq!(paths(&listing), ["drop", "drop/deep", "drop/deep/c"]);
}

fn make_pipe(path: &Path) {
    let made = rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0);
    made.expect("a pipe");
}

#[test]
fn special_files_are_refused_by_name_unless_excluded() {
    let dir = tree(&["a"]);
    let _socket = UnixListener::bind(dir.path().join("socket")).expect("bound");
    // A socket means nothing without its process, and is passed over.
    let listing = list(dir.path(), &[]).expect("listed");
    assert_eq!((paths(&listing), &*listing.sockets), (vec!["a".to_owned()], &[(*b"socket").into()][..]));
    let context = Context::open(dir.path()).expect("there");
    let told = listing.socket_warning(&context).expect("a warning");
    assert!(told.ends_with("/socket` is a socket, which an image cannot hold, and stays out"), "{told}");
    assert!(list(dir.path(), &["socket"]).expect("listed").socket_warning(&context).is_none());
    let many = Listing { sockets: ["a", "b", "c", "d", "e"].map(|name| name.as_bytes().into()).into(), ..listing };
    assert!(many.socket_warning(&context).is_some_and(|told| told.ends_with("/c` and 2 more")));
    let named = context.entry(Path::new("socket"));
    assert!(matches!(named, Err(ContextError::Special { kind: SpecialKind::Socket, .. })), "{named:?}");
    make_pipe(&dir.path().join("pipe"));
    let refused = list(dir.path(), &["socket"]);
    assert!(matches!(refused, Err(ContextError::Special { kind: SpecialKind::Fifo, .. })), "{refused:?}");
    let devices = Context::open(Path::new("/dev")).expect("there");
    let refused = devices.entry(Path::new("null"));
    assert!(matches!(refused, Err(ContextError::Special { kind: SpecialKind::Device, .. })), "{refused:?}");
}

#[test]
fn what_is_no_directory_is_no_context() {
    let dir = tree(&["file"]);
    let open = |name: &str| Context::open(&dir.path().join(name)).expect_err(name);
    assert!(matches!(open("missing"), ContextError::NotFound { .. }));
    assert!(matches!(open("file"), ContextError::NotADirectory { .. }));
    assert!(matches!(open("file/x"), ContextError::NotADirectory { .. }));
    symlink("loop", dir.path().join("loop")).expect("linked");
    assert!(matches!(open("loop"), ContextError::Unreadable { .. }));
    // Root reads every directory. For other users the error names the directory.
    let context = Context::open(dir.path()).expect("there");
    fs::create_dir(dir.path().join("closed")).expect("made");
    fs::set_permissions(dir.path().join("closed"), Permissions::from_mode(0o000)).expect("mode");
    match context.list(&IgnoreRules::default(), &[], &Interrupt::default()) {
        Ok(listing) => assert!(rustix::process::geteuid().is_root(), "{listing:?}"),
        Err(ContextError::Unreadable { path, source }) => {
            assert_eq!((path, source.kind()), (dir.path().join("closed"), io::ErrorKind::PermissionDenied));
        }
        Err(other) => panic!("{other:?}"),
    }
    fs::set_permissions(dir.path().join("closed"), Permissions::from_mode(0o700)).expect("mode");
    fs::remove_dir_all(dir.path()).expect("removed");
    let gone = context.list(&IgnoreRules::default(), &[], &Interrupt::default());
    assert!(matches!(&gone, Err(ContextError::Vanished { path }) if path == dir.path()), "{gone:?}");
}

#[test]
fn the_paths_to_skip_are_skipped_and_told() {
    let dir = tree(&["a", "images/blobs/x", "own/secret"]);
    let root = fs::canonicalize(dir.path()).expect("there");
    let context = Context::open(dir.path()).expect("there");
    let skip = ["images", "own", "missing"].map(|name| root.join(name));
    let mut listing = context.list(&IgnoreRules::default(), &skip, &Interrupt::default()).expect("listed");
    listing.skipped.sort();
    assert_eq!((paths(&listing), &*listing.skipped, listing.excluded), (vec!["a".into()], &skip[..2], 0));
    // What only begins like the context is beside it.
    let beside = PathBuf::from(format!("{}a", root.display()));
    let listing = context.list(&IgnoreRules::default(), &[beside], &Interrupt::default()).expect("listed");
    assert!(paths(&listing).contains(&"a".into()) && listing.skipped.is_empty());
}

#[test]
fn an_interrupt_ends_the_walk() {
    let dir = tree(&["a"]);
    let interrupt = Interrupt::default();
    interrupt.request();
    let context = Context::open(dir.path()).expect("there");
    assert!(matches!(context.list(&IgnoreRules::default(), &[], &interrupt), Err(ContextError::Interrupted)));
}

#[test]
fn messages_use_the_path_as_given() {
    let root = Context::open(Path::new("/")).expect("there");
    let context = |given: &str| Context { given: given.into(), ..root.clone() };
    assert_eq!(context(".").shown(Path::new("a/b")), Path::new("a/b"));
    assert_eq!(context("../app").shown(Path::new("a")), Path::new("../app/a"));
}

#[test]
fn many_entries_are_sorted_and_the_first_that_cannot_be_one_is_told() {
    let names: Vec<String> = (0..3000).map(|number| format!("d{}/f{number}", number % 11)).collect();
    let dir = tree(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let listing = list(dir.path(), &["*/f1*", "!d5/f16"]).expect("listed");
    let mut expected: Vec<String> = names.iter().filter(|name| !name.contains("/f1")).cloned().collect();
    expected.extend((0..11).map(|number| format!("d{number}")));
    expected.push("d5/f16".into());
    expected.sort();
    assert_eq!(paths(&listing), expected);
    let pipe = dir.path().join("d3/pipe");
    make_pipe(&pipe);
    let refused = list(dir.path(), &[]).expect_err("a pipe");
    assert!(matches!(refused, ContextError::Special { path, .. } if path == pipe));
    let interrupt = Interrupt::default();
    interrupt.request();
    let context = Context::open(dir.path()).expect("there");
    let stopped = context.list(&IgnoreRules::default(), &[], &interrupt);
    assert!(matches!(stopped, Err(ContextError::Interrupted)));
}

#[test]
fn of_several_that_cannot_go_in_the_first_path_is_told() {
    let names: Vec<String> = (0..2000).map(|number| format!("d{:02}/f{number}", number % 40)).collect();
    let dir = tree(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let places = ["d07/pipe", "d21/pipe", "d39/pipe"].map(|name| dir.path().join(name));
    for place in &places {
        make_pipe(place);
    }
    for _ in 0..20 {
        let refused = list(dir.path(), &[]).expect_err("pipes");
        assert!(matches!(&refused, ContextError::Special { path, .. } if *path == places[0]), "{refused}");
    }
}

#[test]
fn what_returns_brings_all_directories_above_it_back_and_links_lead_nowhere() {
    let dir = tree(&["a/b/c/keep", "a/b/c/drop", "a/b/x", "a/y/z", "other/file"]);
    symlink("../other", dir.path().join("a/b/way")).expect("linked");
    let listing = list(dir.path(), &["a", "!a/b/c/keep"]).expect("listed");
    assert_eq!(paths(&listing), ["a", "a/b", "a/b/c", "a/b/c/keep", "other", "other/file"]);
    // `a/b/c/drop`, `a/b/x`, `a/b/way` and `a/y`.
    assert_eq!(listing.excluded, 4);
    let listing = list(dir.path(), &["**", "!a/b/way"]).expect("listed");
    assert_eq!(paths(&listing), ["a", "a/b", "a/b/way"]);
}

/// Puts a link to `target` in the place of `path`, and answers where that is now.
fn swap(path: &Path, target: &Path) -> PathBuf {
    let kept = path.with_extension("kept");
    fs::rename(path, &kept).expect("moved");
    symlink(target, path).expect("linked");
    kept
}

#[test]
fn a_directory_swapped_for_a_link_lets_nothing_of_elsewhere_in() {
    for (swapped, listed) in [("a", "a"), ("a", "a/b"), ("a/b", "a/b")] {
        let dir = tree(&["root/a/b/inside", "outside/b/secret", "outside/secret"]);
        let at = |name: &str| dir.path().join(name);
        let context = Context::open(&at("root")).expect("there");
        let before = |path: &Path| {
            if path == Path::new(listed) {
                swap(&at("root").join(swapped), &at("outside"));
            }
        };
        let rules = IgnoreRules::default();
        let refused = walk::walk(&context, &rules, &[], &Interrupt::default(), &before).expect_err("swapped");
        assert!(matches!(&refused, ContextError::Changed { path } if *path == at("root").join(listed)), "{refused:?}");
    }
}

#[test]
fn a_directory_put_in_the_place_of_the_context_or_above_it_changes_nothing() {
    let dir = tree(&["above/root/inside", "outside/root/secret"]);
    let context = Context::open(&dir.path().join("above/root")).expect("there");
    swap(&dir.path().join("above"), &dir.path().join("outside"));
    let listing = context.list(&IgnoreRules::default(), &[], &Interrupt::default()).expect("listed");
    assert_eq!(paths(&listing), ["inside"]);
    let mut read = String::new();
    io::Read::read_to_string(&mut context.open_file(&listing.entries[0]).expect("opened"), &mut read).expect("read");
    assert_eq!(read, "above/root/inside");
    assert!(context.has(Path::new("inside")) && !context.has(Path::new("secret")));
    context.entry(Path::new("inside")).expect("there");
}

#[test]
fn what_is_behind_a_link_is_not_in_the_context() {
    let dir = tree(&["root/real/file", "outside/secret"]);
    symlink("../outside", dir.path().join("root/way")).expect("linked");
    symlink("real", dir.path().join("root/near")).expect("linked");
    let context = Context::open(&dir.path().join("root")).expect("there");
    for (path, expected) in [
        ("real/file", true),
        ("way", true),
        ("near", true),
        ("way/secret", false),
        ("near/file", false),
        ("real/none", false),
        ("real/file/x", false),
    ] {
        assert_eq!(context.has(Path::new(path)), expected, "{path}");
        assert_eq!(context.entry(Path::new(path)).is_ok(), expected, "{path}");
    }
    // Neither does the count of what rules decide follow one: both links, the file.
    let rules = context.rules(None, &["**".to_owned()]).expect("a pattern");
    let counted = context.rule_stats(&rules, &[], &Interrupt::default()).expect("walked");
    assert_eq!(counted, [Decided { entries: 3, bytes: 14 }]);
}

/// Makes directories of that name in each other, and a file in the last: the path may be longer than the system takes.
fn nest(context: &Context, name: &str, depth: usize) {
    let mut directory = crate::fs::open_beneath(context.handle(), Path::new("."), crate::fs::HANDLE).expect("opened");
    for _ in 0..depth {
        rustix::fs::mkdirat(&directory, name, rustix::fs::Mode::RWXU).expect("made");
        directory = crate::fs::open_beneath(&directory, Path::new(name), crate::fs::HANDLE).expect("opened");
    }
    rustix::fs::openat(&directory, "file", OFlags::CREATE | OFlags::WRONLY, rustix::fs::Mode::RWXU).expect("made");
}

#[test]
fn paths_longer_than_the_system_takes_are_listed_and_opened() {
    let dir = tree(&[]);
    let context = Context::open(dir.path()).expect("there");
    nest(&context, &"n".repeat(255), MAX_DEPTH - 1);
    let listing = context.list(&IgnoreRules::default(), &[], &Interrupt::default()).expect("listed");
    assert_eq!(listing.entries.len(), MAX_DEPTH);
    let last = listing.entries.last().expect("the file");
    assert_eq!(last.path.len(), 256 * (MAX_DEPTH - 1) + 4);
    context.open_file(last).expect("opened");
    assert!(context.has(last.relative()));
    let rules = context.rules(None, &["**/file".to_owned()]).expect("a pattern");
    assert_eq!(context.rule_stats(&rules, &[], &Interrupt::default()).expect("walked")[0].entries, 1);
}

#[test]
fn what_is_too_deep_is_refused_unless_excluded() {
    let dir = tree(&["a"]);
    let context = Context::open(dir.path()).expect("there");
    nest(&context, "d", MAX_DEPTH);
    let refused = list(dir.path(), &[]).expect_err("too deep");
    let deepest = dir.path().join(vec!["d"; MAX_DEPTH].join("/")).join("file");
    assert!(matches!(refused, ContextError::TooDeep { path } if path == deepest));
    list(dir.path(), &["**/file"]).expect("not too deep");
}
