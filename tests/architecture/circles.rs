//! No two files of the program need each other: a circle of imports has no first file to read.
//!
//! A folder's own file (`mod.rs`) stands for the folder, so its use of the files in it is no arrow. Their use of it is.

use std::collections::{BTreeMap, BTreeSet};

use crate::paths::{module, named};

/// A source file below `src/`: its path and its text.
pub(crate) type Source = (String, String);

/// What a file imports by `use`, as local name and path.
type Imports = BTreeMap<String, Vec<String>>;

/// Returns each circle of files, as the sorted paths of its members.
pub(crate) fn circles(sources: &[Source]) -> Vec<Vec<String>> {
    let files: BTreeMap<Vec<String>, usize> =
        sources.iter().enumerate().map(|(at, (path, _))| (module(path), at)).collect();
    let imports: Vec<Imports> = sources.iter().map(|(path, text)| imports(&files, path, program(text))).collect();
    let arrows: Vec<BTreeSet<usize>> = sources
        .iter()
        .map(|(path, text)| {
            let named = named(path, program(text)).into_iter();
            let named = named.map(|named| from_crate(&files, path, named.segments)).filter(|path| path.len() > 1);
            let targets = named.filter_map(|segments| target(&files, &imports, &segments, 0));
            let own = module(path);
            targets.filter(|to| !module(&sources[*to].0).starts_with(&own)).collect()
        })
        .collect();
    let reach: Vec<BTreeSet<usize>> = (0..sources.len()).map(|from| reachable(&arrows, from)).collect();
    let mut found = BTreeSet::new();
    for from in 0..sources.len() {
        if reach[from].contains(&from) {
            let members = reach[from].iter().filter(|to| reach[**to].contains(&from));
            found.insert(members.map(|at| sources[*at].0.clone()).collect::<Vec<_>>());
        }
    }
    found.into_iter().collect()
}

/// The text before the tests at its end, which may use everything.
fn program(text: &str) -> &str {
    text.split_once("\n#[cfg(test)]\nmod tests").map_or(text, |(program, _)| program)
}

/// The names that `use` brings into a file, globs excepted.
fn imports(files: &BTreeMap<Vec<String>, usize>, path: &str, text: &str) -> Imports {
    let mut found = Imports::new();
    for item in text.split(';') {
        let Some((before, tree)) = item.rsplit_once("use ") else { continue };
        if !before.is_empty() && !before.ends_with(['\n', ' ', ')']) {
            continue;
        }
        for named in named(path, &format!("use {tree};")) {
            if let (Some(name), true) = (named.segments.last(), named.segments.len() > 1) {
                found.insert(name.clone(), from_crate(files, path, named.segments.clone()));
            }
        }
    }
    found
}

/// The file that a path leads to: through folders, and through names that a folder's own file imports.
fn target(
    files: &BTreeMap<Vec<String>, usize>,
    imports: &[Imports],
    segments: &[String],
    depth: usize,
) -> Option<usize> {
    let path = segments.strip_prefix(&["crate".to_owned()][..])?;
    let length = (1..=path.len()).rev().find(|length| files.contains_key(&path[..*length]))?;
    let at = files[&path[..length]];
    match path.get(length).and_then(|next| imports[at].get(next)) {
        Some(import) if depth < 8 => target(files, imports, import, depth + 1).or(Some(at)),
        _ => Some(at),
    }
}

/// A path from the crate: one that begins with a child of the file's module is written without `self`.
fn from_crate(files: &BTreeMap<Vec<String>, usize>, path: &str, segments: Vec<String>) -> Vec<String> {
    let mut child = module(path);
    child.extend(segments.first().cloned());
    if !files.contains_key(&child) {
        return segments;
    }
    child.extend(segments.into_iter().skip(1));
    child.insert(0, "crate".to_owned());
    child
}

fn reachable(arrows: &[BTreeSet<usize>], from: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut rest: Vec<usize> = arrows[from].iter().copied().collect();
    while let Some(at) = rest.pop() {
        if found.insert(at) {
            rest.extend(&arrows[at]);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sources: &[(&str, &str)]) -> Vec<Vec<String>> {
        let sources: Vec<Source> = sources.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect();
        circles(&sources)
    }

    #[test]
    fn circles_are_seen_through_folders_and_names_handed_on() {
        let circle = [
            ("src/a/mod.rs", "mod b; mod c; pub use b::B; pub use c::C;"),
            ("src/a/b.rs", "use super::C; pub struct B;"),
            ("src/a/c.rs", "use crate::a::b::B; pub struct C;"),
        ];
        assert_eq!(found(&circle), [["src/a/b.rs", "src/a/c.rs"]]);
        let own_file = [
            ("src/a/mod.rs", "mod b;\nuse crate::c::work;\npub struct Own;\nfn f() { work(b::g()) }"),
            ("src/a/b.rs", "use super::Own; pub fn g() {}"),
            ("src/c.rs", "use crate::a::Own; pub fn work() {}"),
        ];
        assert_eq!(found(&own_file), [["src/a/mod.rs", "src/c.rs"]]);
    }

    #[test]
    fn arrows_down_and_tests_are_no_circle() {
        let sources = [
            ("src/a/mod.rs", "mod b; mod c; pub use b::B;"),
            ("src/a/b.rs", "pub struct B;\n\n#[cfg(test)]\nmod tests { use crate::a::c::C; }"),
            ("src/a/c.rs", "use super::B; pub struct C(B);"),
        ];
        assert_eq!(found(&sources), [[""; 0]; 0]);
    }
}
