//! How one image differs from another, path by path: the trees that a runtime would unpack, and what the configurations
//! say. Each layer is read once; content is compared by digest.

use std::collections::BTreeMap;
use std::io::Read;

use serde::Serialize;
use serde_json::Value;

use super::files::{LayerFiles, MAX_FILES, files};
use super::{InspectError, LayerInfo, Uncompressed, layers};
use crate::image::{Digest, Hasher, Platform};
use crate::layer::tar::read::{EntryKind, TarEntry, TarError};
use crate::layer::{OPAQUE, WHITEOUT};
use crate::progress::Interrupt;
use crate::store::ImageStore;

/// Bytes read at a time.
const READ_BYTES: usize = 128 << 10;

/// Something that is not the same in both images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// A path from the root of the image, or a field of the configuration as `config.Env`.
    pub place: String,
    /// What it is about.
    pub about: About,
    /// How it differs.
    pub change: Change,
    /// What differs of something that is in both, from and to.
    pub aspects: Vec<Aspect>,
}

/// What a difference is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum About {
    /// A path.
    Path,
    /// A field of the configuration.
    Configuration,
}

/// How something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// Only the second image has it.
    Added,
    /// Only the first image has it.
    Removed,
    /// Both have it.
    Changed,
}

/// One attribute that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Aspect {
    /// `content`, `kind`, `size`, `mode`, `owner`, `target`, `time` or `value`.
    pub name: &'static str,
    /// What the first image has.
    pub from: String,
    /// What the second image has.
    pub to: String,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    kind: &'static str,
    mode: u32,
    owner: (u64, u64),
    size: u64,
    time: i64,
    target: Option<Vec<u8>>,
    content: Option<Digest>,
}

pub(super) type Tree = BTreeMap<Vec<u8>, Node>;

/// Returns how `second` differs from `first`, paths before fields, both in order.
pub fn diff(
    store: &ImageStore,
    first: &str,
    second: &str,
    platform: Option<&Platform>,
    interrupt: &Interrupt,
) -> Result<Vec<Difference>, InspectError> {
    let (before, after) = (tree(store, first, platform, interrupt)?, tree(store, second, platform, interrupt)?);
    let mut differences = paths(&before, &after);
    let (_, before) = super::image(store, first, platform)?;
    let (_, after) = super::image(store, second, platform)?;
    differences.extend(documents(&before.config_bytes, &after.config_bytes));
    Ok(differences)
}

/// Returns how the fields of two JSON documents differ, in order; one that is no JSON has none.
pub(super) fn documents(before: &[u8], after: &[u8]) -> Vec<Difference> {
    let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
    let mut differences = Vec::new();
    fields("", &parse(before), &parse(after), &mut differences);
    differences
}

/// Returns what a runtime would unpack.
fn tree(
    store: &ImageStore,
    name: &str,
    platform: Option<&Platform>,
    interrupt: &Interrupt,
) -> Result<Tree, InspectError> {
    let mut tree = Tree::new();
    for layer in layers(store, name, platform, Uncompressed::Skip, interrupt)? {
        unpack(store, &layer, &mut tree, interrupt)?;
    }
    Ok(tree)
}

/// Puts a layer over `tree`.
pub(super) fn unpack(
    store: &ImageStore,
    layer: &LayerInfo,
    tree: &mut Tree,
    interrupt: &Interrupt,
) -> Result<(), InspectError> {
    let mut files = files(store, layer)?;
    let mut own: Vec<(Vec<u8>, Node)> = Vec::new();
    let mut buffer = vec![0; READ_BYTES];
    while let Some(entry) = files.next() {
        if interrupt.requested() {
            return Err(InspectError::Interrupted);
        }
        let entry = entry?;
        let path = clean(&entry.path);
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let parent = &path[..path.len() - name.len()];
        if name == OPAQUE {
            remove_below(tree, parent);
        } else if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            let hidden = [parent, hidden].concat();
            remove_below(tree, &[&hidden[..], b"/"].concat());
            tree.remove(&hidden);
        } else {
            let content = content(&mut files, &entry, &mut buffer)?;
            own.push((path, node(&entry, content)));
        }
    }
    for (path, node) in own {
        put(tree, path, node);
    }
    if tree.len() > MAX_FILES {
        return Err(InspectError::TooLarge(layer.digest));
    }
    Ok(())
}

/// Puts an entry where it belongs. A hard link is what it leads to; what is no directory has nothing below it.
fn put(tree: &mut Tree, path: Vec<u8>, mut node: Node) {
    if path.is_empty() {
        return;
    }
    if node.kind == "hard link"
        && let Some(original) = node.target.as_deref().map(clean).and_then(|target| tree.get(&target))
    {
        node = original.clone();
    }
    if node.kind != "directory" && tree.get(&path).is_some_and(|before| before.kind == "directory") {
        remove_below(tree, &[&path[..], b"/"].concat());
    }
    tree.insert(path, node);
}

fn remove_below(tree: &mut Tree, prefix: &[u8]) {
    let below: Vec<Vec<u8>> = tree
        .range(prefix.to_vec()..)
        .take_while(|(path, _)| path.starts_with(prefix))
        .map(|(path, _)| path.clone())
        .collect();
    for path in below {
        tree.remove(&path);
    }
}

/// Without what means the root at the beginning, and without a slash at the end.
fn clean(path: &[u8]) -> Vec<u8> {
    let parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    parts.collect::<Vec<_>>().join(&b'/')
}

fn content(files: &mut LayerFiles, entry: &TarEntry, buffer: &mut [u8]) -> Result<Option<Digest>, InspectError> {
    if entry.kind != EntryKind::File {
        return Ok(None);
    }
    let mut hasher = Hasher::default();
    loop {
        match files.read(buffer) {
            Ok(0) => return Ok(Some(hasher.finish().0)),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(files.explain(TarError::Read(error))),
        }
    }
}

fn node(entry: &TarEntry, content: Option<Digest>) -> Node {
    Node {
        kind: match entry.kind {
            EntryKind::File => "file",
            EntryKind::HardLink => "hard link",
            EntryKind::Symlink => "symbolic link",
            EntryKind::Directory => "directory",
            EntryKind::CharDevice => "character device",
            EntryKind::BlockDevice => "block device",
            EntryKind::Fifo => "named pipe",
            EntryKind::Other(_) => "other",
        },
        mode: entry.mode,
        owner: (entry.uid, entry.gid),
        size: entry.size,
        time: entry.mtime,
        target: entry.link.clone(),
        content,
    }
}

pub(super) fn paths(before: &Tree, after: &Tree) -> Vec<Difference> {
    let mut differences = Vec::new();
    let all: std::collections::BTreeSet<&Vec<u8>> = before.keys().chain(after.keys()).collect();
    for path in all {
        let (change, aspects) = match (before.get(path), after.get(path)) {
            (None, _) => (Change::Added, Vec::new()),
            (_, None) => (Change::Removed, Vec::new()),
            (Some(one), Some(other)) if one == other => continue,
            (Some(one), Some(other)) => (Change::Changed, aspects(one, other)),
        };
        let place = shown(path);
        differences.push(Difference { place, about: About::Path, change, aspects });
    }
    differences
}

fn aspects(one: &Node, other: &Node) -> Vec<Aspect> {
    let text = |node: &Node, name: &'static str| match name {
        "kind" => node.kind.to_owned(),
        "size" => node.size.to_string(),
        "content" => node.content.map_or_else(String::new, |digest| digest.to_string()),
        "mode" => format!("{:04o}", node.mode),
        "owner" => format!("{}:{}", node.owner.0, node.owner.1),
        "target" => node.target.as_deref().map_or_else(String::new, shown),
        _ => node.time.to_string(),
    };
    let differing = |name: &&'static str| text(one, name) != text(other, name);
    ["kind", "size", "content", "mode", "owner", "target", "time"]
        .into_iter()
        .filter(differing)
        .map(|name| Aspect { name, from: text(one, name), to: text(other, name) })
        .collect()
}

/// Returns bytes as text, with replacement characters where they are not UTF-8.
fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// Fields of two documents, objects looked into; the layers' digests say nothing that the paths did not.
fn fields(place: &str, before: &Value, after: &Value, differences: &mut Vec<Difference>) {
    if before == after || place == "rootfs" {
        return;
    }
    if let (Value::Object(one), Value::Object(other)) = (before, after) {
        let all: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
        for key in all {
            let inner = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
            let of = |object: &serde_json::Map<String, Value>| object.get(key).cloned().unwrap_or_default();
            fields(&inner, &of(one), &of(other), differences);
        }
        return;
    }
    let change = match (before.is_null(), after.is_null()) {
        (true, _) => Change::Added,
        (_, true) => Change::Removed,
        _ => Change::Changed,
    };
    let aspect = Aspect { name: "value", from: before.to_string(), to: after.to_string() };
    let place = place.to_owned();
    differences.push(Difference { place, about: About::Configuration, change, aspects: vec![aspect] });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(kind: &'static str, content: &str) -> Node {
        let target = None;
        Node {
            kind,
            mode: 0o644,
            owner: (0, 0),
            size: 1,
            time: 0,
            target,
            content: Some(Digest::of(content.as_bytes())),
        }
    }

    #[test]
    fn paths_are_the_same_however_they_are_written() {
        for path in ["./a/b", "/a/b", "a//b/", "a/./b"] {
            assert_eq!(clean(path.as_bytes()), b"a/b");
        }
        assert_eq!(clean(b"./"), b"");
    }

    #[test]
    fn what_takes_a_directorys_place_has_nothing_below() {
        let mut tree = Tree::new();
        put(&mut tree, b"a".to_vec(), node("directory", ""));
        put(&mut tree, b"a/b".to_vec(), node("file", "x"));
        put(&mut tree, b"ab".to_vec(), node("file", "y"));
        put(&mut tree, b"a".to_vec(), node("file", "z"));
        assert_eq!(tree.keys().map(|path| shown(path)).collect::<Vec<_>>(), ["a", "ab"]);
    }

    #[test]
    fn hard_links_are_what_they_lead_to() {
        let mut tree = Tree::new();
        put(&mut tree, b"a".to_vec(), node("file", "x"));
        put(&mut tree, b"b".to_vec(), Node { target: Some(b"./a".to_vec()), content: None, ..node("hard link", "") });
        assert_eq!(tree[&b"b".to_vec()], tree[&b"a".to_vec()]);
    }

    #[test]
    fn fields_are_compared_one_by_one() {
        let one = serde_json::json!({"a": {"b": 1, "c": [1]}, "rootfs": 1, "gone": true});
        let other = serde_json::json!({"a": {"b": 2, "c": [1]}, "rootfs": 2, "new": null});
        let mut found = Vec::new();
        fields("", &one, &other, &mut found);
        let places: Vec<(&str, Change)> = found.iter().map(|found| (found.place.as_str(), found.change)).collect();
        assert_eq!(places, [("a.b", Change::Changed), ("gone", Change::Removed)]);
    }
}
