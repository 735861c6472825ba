//! Directory trees to make images of, and what must be equal after they were unpacked.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use idpbuilder_oci::layer::read::{EntryKind, TarReader};

/// What of a file survives an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    File { mode: u32, content: Vec<u8>, links: u64 },
    Directory { mode: u32 },
    Symlink { target: PathBuf },
}

/// Everything below a directory.
pub(crate) fn snapshot(root: &Path) -> BTreeMap<PathBuf, Node> {
    let mut nodes = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(&directory).expect("listed") {
            let path = entry.expect("an entry").path();
            let metadata = std::fs::symlink_metadata(&path).expect("there");
            let mode = metadata.mode() & 0o7777;
            let node = if metadata.is_symlink() {
                Node::Symlink { target: std::fs::read_link(&path).expect("read") }
            } else if metadata.is_dir() {
                pending.push(path.clone());
                Node::Directory { mode }
            } else {
                Node::File { mode, content: std::fs::read(&path).expect("read"), links: metadata.nlink() }
            };
            nodes.insert(path.strip_prefix(root).expect("below").to_owned(), node);
        }
    }
    nodes
}

/// Everything in a tar stream.
pub(crate) fn of_tar(bytes: &[u8]) -> BTreeMap<PathBuf, Node> {
    let mut nodes: BTreeMap<PathBuf, Node> = BTreeMap::new();
    let mut groups: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    let mut reader = TarReader::new(bytes);
    let path = |bytes: Vec<u8>| PathBuf::from(OsString::from_vec(bytes));
    while let Some(entry) = reader.next_entry().expect("a tar stream") {
        let (name, mode) = (path(entry.path), entry.mode);
        let link = entry.link.map(path);
        let node = match entry.kind {
            EntryKind::Directory => Node::Directory { mode },
            EntryKind::Symlink => Node::Symlink { target: link.expect("a target") },
            EntryKind::File => {
                let mut content = Vec::new();
                reader.read_to_end(&mut content).expect("content");
                Node::File { mode, content, links: 1 }
            }
            EntryKind::HardLink => {
                let first = link.expect("a target");
                let node = nodes[&first].clone();
                groups.entry(first).or_default().push(name.clone());
                node
            }
            kind => panic!("{}: {kind:?}", name.display()),
        };
        nodes.insert(name, node);
    }
    for (first, others) in groups {
        for name in others.iter().chain([&first]) {
            if let Some(Node::File { links, .. }) = nodes.get_mut(name) {
                *links = others.len() as u64 + 1;
            }
        }
    }
    nodes
}

/// Files of every kind that an image keeps.
pub(crate) fn plant(root: &Path) {
    let mode = |path: &str, mode| {
        std::fs::set_permissions(root.join(path), std::fs::Permissions::from_mode(mode)).expect("mode set");
    };
    let long = "n".repeat(120);
    std::fs::create_dir_all(root.join("d/e").join(&long)).expect("created");
    std::fs::create_dir_all(root.join("empty")).expect("created");
    for (path, content) in
        [("file", "content\n"), ("d/script", "#!/bin/sh\n"), ("d/secret", ""), ("d/e/big", &"x".repeat(200_000))]
    {
        std::fs::write(root.join(path), content).expect("written");
    }
    std::fs::write(root.join("d/e").join(&long).join("ü \u{1f980}"), "name").expect("written");
    std::fs::hard_link(root.join("file"), root.join("zz-hard")).expect("linked");
    for (target, link) in [("file", "relative"), ("/d/e", "absolute"), ("nowhere", "d/dangling"), ("loop", "loop")] {
        std::os::unix::fs::symlink(target, root.join(link)).expect("linked");
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
