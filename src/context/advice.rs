//! Warnings about large directories that seldom belong in an image: version control, dependencies, caches, build
//! output.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use super::{Counts, Entry, IGNORE_FILES, Kind};
use crate::text::{counted, size};

/// Directories of these names are seldom meant, wherever they are.
const NAMES: [&str; 12] = [
    ".git",
    ".hg",
    ".svn",
    "node_modules",
    "target",
    ".venv",
    "venv",
    "__pycache__",
    ".terraform",
    "dist-newstyle",
    ".gradle",
    ".cache",
];

/// `target` is a common word: it is a build's where one of these stands beside it.
const BESIDE_TARGET: [&str; 2] = ["Cargo.toml", "pom.xml"];

/// A directory with at most this many bytes causes no warning.
const MAX_BYTES: u64 = 10 << 20;

/// A directory with at most this many files and links causes no warning.
const MAX_FILES: u64 = 1000;

/// The most warnings for one source.
const MAX_WARNINGS: usize = 3;

/// Returns a sentence for each large directory that is probably not meant, largest first. `entries` are sorted by the
/// bytes of their paths; those of a further source are `copied` from there, and no pattern on the command line is about
/// them.
pub fn advice(entries: &[Entry], copied: Option<&Path>) -> Vec<String> {
    let count = |directory| (directory, Counts::of(below(entries, directory)));
    let is_large = |(_, counts): &(&[u8], Counts)| counts.bytes > MAX_BYTES || counts.files > MAX_FILES;
    let mut large: Vec<(&[u8], Counts)> = unlikely(entries).into_iter().map(count).filter(is_large).collect();
    large.sort_by_key(|(_, counts)| Reverse((counts.bytes, counts.files)));
    large.iter().take(MAX_WARNINGS).map(|(directory, counts)| sentence(directory, counts, copied)).collect()
}

/// Directories that are seldom meant, without those that are inside another of them.
fn unlikely(entries: &[Entry]) -> Vec<&[u8]> {
    let mut found: HashSet<&[u8]> = HashSet::new();
    let mut topmost = Vec::new();
    for entry in entries {
        let path = &*entry.path;
        let (parent, name) = split(path);
        let is_meant = entry.kind != Kind::Directory || !NAMES.iter().any(|other| other.as_bytes() == name);
        if is_meant || (name == b"target" && !is_build_output(entries, parent)) {
            continue;
        }
        let mut above = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| &path[..at]);
        if !above.any(|directory| found.contains(directory)) {
            found.insert(path);
            topmost.push(path);
        }
    }
    topmost
}

/// Returns the path up to and with its last slash, and what follows.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    path.split_at(path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1))
}

fn is_build_output(entries: &[Entry], parent: &[u8]) -> bool {
    BESIDE_TARGET.iter().any(|name| {
        let path = [parent, name.as_bytes()].concat();
        entries.binary_search_by(|entry| (*entry.path).cmp(&path)).is_ok()
    })
}

/// Returns what is inside `directory`: one run, since all their paths begin alike.
fn below<'a>(entries: &'a [Entry], directory: &[u8]) -> impl Iterator<Item = &'a Entry> {
    let prefix = [directory, b"/"].concat();
    let first = entries.partition_point(|entry| *entry.path < *prefix);
    entries[first..].iter().take_while(move |entry| entry.path.starts_with(&prefix))
}

fn sentence(directory: &[u8], counts: &Counts, copied: Option<&Path>) -> String {
    let (_, name) = split(directory);
    // A pattern that a shell and the ignore rules read as the path itself, or else the plain name, anywhere.
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._/+@-".contains(byte);
    let pattern = if directory.iter().all(is_plain) && !directory.starts_with(b"-") {
        shown(directory)
    } else {
        format!("'**/{}'", shown(name))
    };
    let files = counted(counts.files, "file");
    let how = match copied {
        None => format!("with --exclude {pattern} or in the ignore file"),
        Some(source) => format!("in `{}`", shown(source.join(IGNORE_FILES[1]).as_os_str().as_bytes())),
    };
    let place = copied.map_or_else(|| directory.to_owned(), |source| below_source(source, directory));
    format!("`{}` goes into the image with {} in {files}; leave it out {how}", shown(&place), size(counts.bytes))
}

fn below_source(source: &Path, directory: &[u8]) -> Vec<u8> {
    source.join(OsStr::from_bytes(directory)).into_os_string().into_vec()
}

/// Text that no terminal takes for a command.
fn shown(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path);
    text.chars().map(|letter| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Stamp;

    const MIB: u64 = 1 << 20;

    /// Paths and sizes of files, with the directories they are in.
    fn entries(files: &[(&str, u64)]) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (number, (path, size)) in (0..).zip(files) {
            let stamp = Stamp { identity: (1, number), size: *size, modified: (0, 0), changed: (0, 0) };
            let file = Entry { path: path.as_bytes().into(), mode: 0o644, kind: Kind::File { stamp, links: 1 } };
            entries.push(file);
            for (at, _) in path.match_indices('/') {
                let path = path.as_bytes()[..at].into();
                entries.push(Entry { path, mode: 0o755, kind: Kind::Directory });
            }
        }
        sorted(entries)
    }

    fn sorted(mut entries: Vec<Entry>) -> Vec<Entry> {
        entries.sort_by(|one, other| one.path.cmp(&other.path));
        entries.dedup_by(|one, other| one.path == other.path);
        entries
    }

    /// Returns the directories that warnings name.
    fn told(entries: &[Entry]) -> Vec<String> {
        let path = |sentence: String| sentence.split('`').nth(1).expect("a path").to_owned();
        advice(entries, None).into_iter().map(path).collect()
    }

    #[test]
    fn large_directories_that_are_seldom_meant_are_told() {
        let much = 11 * MIB;
        for (files, expected) in [
            (&[(".git/pack", much)][..], &[".git"][..]),
            (&[("a/b/node_modules/x/y", much)], &["a/b/node_modules"]),
            (&[(".git/pack", 10 * MIB)], &[]),
            (&[(".git/one", 6 * MIB), (".git/two", 6 * MIB)], &[".git"]),
            // A file of that name, and names that only begin alike.
            (&[(".git", much), ("node_modules-old/x", much), ("my.venv/x", much)], &[]),
            // What is elsewhere does not count.
            (&[(".venv/x", MIB), (".venv-x", much), (".venv.d/x", much)], &[]),
            (&[("target/debug/x", much)], &[]),
            (&[("target/debug/x", much), ("sub/Cargo.toml", 1)], &[]),
            (&[("target/debug/x", much), ("Cargo.toml", 1)], &["target"]),
            (&[("sub/target/x.jar", much), ("sub/pom.xml", 1)], &["sub/target"]),
            // The topmost one counts, also where another name sorts between it and what it holds.
            (
                &[("venv.d/venv/x", much), ("venv/a/.cache/x", much), ("venv/__pycache__/x", much)],
                &["venv", "venv.d/venv"],
            ),
            (
                &[(".hg/x", much), (".svn/x", much + 3), (".cache/x", much + 1), (".gradle/x", much + 2)],
                &[".svn", ".gradle", ".cache"],
            ),
        ] {
            assert_eq!(told(&entries(files)), expected, "{files:?}");
        }
    }

    #[test]
    fn many_files_are_much_whatever_their_size() {
        let names: Vec<String> = (0..=MAX_FILES).map(|number| format!("web/node_modules/{number}")).collect();
        let files: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 100)).collect();
        assert_eq!(told(&entries(&files[1..])), [""; 0]);
        assert_eq!(
            advice(&entries(&files), None),
            [concat!(
                "`web/node_modules` goes into the image with 97.75 KiB in 1001 files; leave it out with ",
                "--exclude web/node_modules or in the ignore file"
            )]
        );
    }

    #[test]
    fn what_is_copied_is_named_from_where_it_is() {
        let entries = entries(&[("web/node_modules/x", 20 * MIB)]);
        assert_eq!(
            advice(&entries, Some(Path::new("../assets"))),
            [concat!(
                "`../assets/web/node_modules` goes into the image with 20.00 MiB in 1 file; leave it out in ",
                "`../assets/.dockerignore`"
            )]
        );
    }

    #[test]
    fn further_names_of_a_file_weigh_nothing() {
        let mut linked = entries(&[("venv/one", 6 * MIB), ("venv/two", 6 * MIB)]);
        for entry in &mut linked {
            if let Kind::File { stamp, links } = &mut entry.kind {
                (stamp.identity, *links) = ((1, 1), 2);
            }
        }
        assert_eq!(told(&linked), [""; 0]);
    }

    #[test]
    fn what_a_shell_or_a_rule_would_read_otherwise_is_excluded_by_name() {
        for path in ["a b/.git", "-x/.git", "[a]/.git", "!a/.git", "\u{1b}[1m/.git", "é/.git"] {
            let told = advice(&entries(&[(&format!("{path}/pack"), 20 * MIB)]), None);
            assert!(told[0].contains("20.00 MiB in 1 file; leave it out with --exclude '**/.git' or"), "{told:?}");
            assert!(!told[0].contains('\u{1b}'), "{told:?}");
        }
    }
}
