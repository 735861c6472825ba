//! Directory trees to make images of, and what must be equal after they were unpacked.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Debug;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use idpbuilder_oci::image::{Digest, Hasher};
use idpbuilder_oci::layer::tar::read::{EntryKind, TarReader};

/// What of a file is its own in every image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// `first` is the first path of those that are the same file.
    File {
        mode: u32,
        size: u64,
        content: Digest,
        first: PathBuf,
    },
    Directory {
        mode: u32,
    },
    Symlink {
        target: PathBuf,
    },
}

/// A file with what an image may say of it otherwise than its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) node: Node,
    /// User and group.
    pub(crate) owner: (u64, u64),
    /// Unix seconds.
    pub(crate) modified: i64,
    pub(crate) capability: Option<Vec<u8>>,
}

pub(crate) type Tree = BTreeMap<PathBuf, Item>;

/// The extended attribute that images keep.
pub(crate) const CAPABILITY: &str = "security.capability";

/// Everything below a directory.
pub(crate) fn survey(root: &Path) -> Tree {
    let mut paths = Vec::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).expect("listed") {
            let entry = entry.expect("an entry");
            if entry.file_type().expect("a type").is_dir() {
                pending.push(entry.path());
            }
            paths.push(entry.path());
        }
    }
    paths.sort();
    let mut files = BTreeMap::new();
    let mut tree = Tree::new();
    for path in paths {
        let name = path.strip_prefix(root).expect("below").to_owned();
        let metadata = fs::symlink_metadata(&path).expect("there");
        let mode = metadata.mode() & 0o7777;
        let mut capability = None;
        let node = if metadata.is_symlink() {
            Node::Symlink { target: fs::read_link(&path).expect("read") }
        } else if metadata.is_dir() {
            Node::Directory { mode }
        } else {
            assert!(metadata.is_file(), "{}", path.display());
            capability = xattr::get(&path, CAPABILITY).expect("read");
            let identity = (metadata.dev(), metadata.ino());
            let open = || File::open(&path).expect("opened");
            let (content, first) = files.entry(identity).or_insert_with(|| (digest(open()), name.clone())).clone();
            Node::File { mode, size: metadata.len(), content, first }
        };
        let owner = (metadata.uid().into(), metadata.gid().into());
        tree.insert(name, Item { node, owner, modified: metadata.mtime(), capability });
    }
    tree
}

/// Everything below a directory, by what is its own.
pub(crate) fn snapshot(root: &Path) -> BTreeMap<PathBuf, Node> {
    survey(root).into_iter().map(|(path, item)| (path, item.node)).collect()
}

/// Everything in a tar stream.
pub(crate) fn of_tar(bytes: &[u8]) -> Tree {
    let path = |bytes: Vec<u8>| PathBuf::from(OsString::from_vec(bytes));
    let mut tree = Tree::new();
    let mut links: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    let mut reader = TarReader::new(bytes);
    while let Some(entry) = reader.next_entry().expect("a tar stream") {
        let (name, mode) = (path(entry.path), entry.mode);
        let link = entry.link.map(path);
        let node = match entry.kind {
            EntryKind::Directory => Node::Directory { mode },
            EntryKind::Symlink => Node::Symlink { target: link.expect("a target") },
            EntryKind::File => {
                let content = digest(&mut reader);
                Node::File { mode, size: entry.size, content, first: name.clone() }
            }
            EntryKind::HardLink => {
                let original = link.expect("a target");
                let item = tree.get(&original).unwrap_or_else(|| panic!("{}: no original", name.display())).clone();
                links.entry(original).or_default().push(name.clone());
                tree.insert(name, item);
                continue;
            }
            kind => panic!("{}: {kind:?}", name.display()),
        };
        let owner = (entry.uid, entry.gid);
        tree.insert(name, Item { node, owner, modified: entry.mtime, capability: entry.capability });
    }
    // Whichever of its names a file is stored under.
    for (original, mut names) in links {
        names.push(original);
        let lowest = names.iter().min().expect("at least one").clone();
        for name in names {
            if let Some(Item { node: Node::File { first, .. }, .. }) = tree.get_mut(&name) {
                first.clone_from(&lowest);
            }
        }
    }
    tree
}

pub(crate) fn digest(mut content: impl Read) -> Digest {
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match content.read(&mut buffer).expect("read") {
            0 => return hasher.finish().0,
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// Fails unless two trees are the same, naming the first paths that differ.
#[track_caller]
pub(crate) fn assert_same<T: Debug + PartialEq>(found: &BTreeMap<PathBuf, T>, expected: &BTreeMap<PathBuf, T>) {
    let paths = expected.keys().chain(found.keys().filter(|path| !expected.contains_key(*path)));
    let differences: Vec<String> = paths
        .filter(|path| found.get(*path) != expected.get(*path))
        .map(|path| {
            let name = path.as_os_str().as_bytes().escape_ascii();
            format!("{name}: {:?} instead of {:?}", found.get(path), expected.get(path))
        })
        .collect();
    let some = differences.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{} of {} paths differ:\n{some}", differences.len(), expected.len());
}

pub(crate) fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("mode set");
}

/// Files of every kind that an image keeps.
pub(crate) fn plant(root: &Path) {
    let mode = |path: &str, bits| mode(&root.join(path), bits);
    let long = "n".repeat(120);
    fs::create_dir_all(root.join("d/e").join(&long)).expect("created");
    fs::create_dir_all(root.join("empty")).expect("created");
    for (path, content) in
        [("file", "content\n"), ("d/script", "#!/bin/sh\n"), ("d/secret", ""), ("d/e/big", &"x".repeat(200_000))]
    {
        fs::write(root.join(path), content).expect("written");
    }
    fs::write(root.join("d/e").join(&long).join("ü \u{1f980}"), "name").expect("written");
    fs::hard_link(root.join("file"), root.join("zz-hard")).expect("linked");
    for (target, link) in [("file", "relative"), ("/d/e", "absolute"), ("nowhere", "d/dangling"), ("loop", "loop")] {
        symlink(target, root.join(link)).expect("linked");
    }
    for (path, bits) in [("d", 0o750), ("d/script", 0o755), ("d/secret", 0o600), ("file", 0o644), ("empty", 0o1777)] {
        mode(path, bits);
    }
    for path in ["d/e", &format!("d/e/{long}")] {
        mode(path, 0o755);
    }
    for path in ["d/e/big", &format!("d/e/{long}/ü \u{1f980}")] {
        mode(path, 0o644);
    }
}

/// Names, links and modes that trees seldom have, in a new directory, with another name for `large`, which is beside it.
pub(crate) fn plant_oddities(odd: &Path, large: &Path) {
    let bytes = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    let (long, deep) = ("l".repeat(255), "d".repeat(90));
    // Of more than 100 bytes, which is where tar needs other means, that are not text.
    let unprintable = bytes(&[b"\xff\xfe".as_slice(), &[b'x'; 120], b"\x80"].concat());
    fs::create_dir(odd).expect("created");
    for name in ["empty", "shared", "common"] {
        fs::create_dir(odd.join(name)).expect("created");
    }
    let below = odd.join(&deep).join(&deep).join(&deep).join(&unprintable);
    fs::create_dir_all(&below).expect("created");
    let file = |path: &Path, content: &str, bits: u32| {
        fs::write(path, content).expect("written");
        mode(path, bits);
    };
    for (name, bits) in
        [("setuid", 0o4755), ("setgid", 0o2755), ("all-bits", 0o7777), ("secret", 0o600), ("read-only", 0o444)]
    {
        file(&odd.join(name), name, bits);
    }
    file(&odd.join("empty-file"), "", 0o644);
    file(&odd.join(" -name with\ttabs, ü and \u{1f980} "), "text", 0o640);
    file(&odd.join(&long), "a name as long as they get", 0o644);
    file(&odd.join(bytes(b"not \xc3\x28 text")), "not text", 0o644);
    file(&below.join(&long), "far below", 0o755);
    for (target, link) in [
        (OsStr::new("setuid"), "relative"),
        (OsStr::new("../bin/busybox"), "upward"),
        (OsStr::new("/odd/empty"), "absolute"),
        (OsStr::new("nowhere/to be found"), "dangling"),
        (OsStr::new("loop"), "loop"),
        (unprintable.as_os_str(), "not-text"),
        (OsStr::new(&"../odd/".repeat(100)), "long"),
    ] {
        symlink(target, odd.join(link)).expect("linked");
    }
    for link in ["common/first", "empty-file-too", "shared/zz-last"] {
        let original = if link == "empty-file-too" { "empty-file" } else { "read-only" };
        fs::hard_link(odd.join(original), odd.join(link)).expect("linked");
    }
    fs::hard_link(large, odd.join("large")).expect("linked");
    for (name, bits) in [("empty", 0o1777), ("shared", 0o2775), ("common", 0o700)] {
        mode(&odd.join(name), bits);
    }
}
