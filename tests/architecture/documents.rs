//! The maps under `docs/` name files, modules and types of this source tree. Each of them has to exist, so that a map
//! cannot go stale when files move.

use std::path::{Path, PathBuf};

use crate::root;

/// Names the pages that describe the source tree. Whatever they quote with a slash is a path or a module.
fn maps() -> Vec<PathBuf> {
    let mut maps = pages(&root().join("docs/design"));
    maps.extend(["docs/ARCHITECTURE.md", "docs/GLOSSARY.md", "CONTRIBUTING.md"].map(|path| root().join(path)));
    maps
}

fn pages(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder of pages");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut pages: Vec<_> = paths.filter(|path| path.extension().is_some_and(|ending| ending == "md")).collect();
    pages.sort();
    pages
}

fn read(page: &Path) -> String {
    std::fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()))
}

/// Returns the lines outside fenced blocks, each with its number.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if !fenced && !line.starts_with("    ") {
            lines.push((number + 1, line));
        }
    }
    lines
}

/// Returns the quoted words of a line: what stands between two backticks.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Returns whether a quoted word has the form of a path in this tree: lower case, a slash inside, nothing to fill in.
fn is_path(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_lowercase())
        && word.contains('/')
        && word.chars().all(|each| each.is_ascii_lowercase() || each.is_ascii_digit() || "/_.-".contains(each))
}

/// Returns the file of a module below `src`, given by its segments.
fn module(segments: &[&str]) -> Option<PathBuf> {
    let stem = root().join("src").join(segments.join("/"));
    let candidates = [stem.with_extension("rs"), stem.join("mod.rs")];
    candidates.into_iter().find(|file| file.is_file())
}

fn exists(path: &str) -> bool {
    root().join(path).exists() || module(&path.split('/').collect::<Vec<_>>()).is_some()
}

/// Returns whether `crate::a::b::Item` is named in the file of the longest prefix that is a module.
fn has_item(item: &str) -> bool {
    let segments: Vec<_> = item.split("::").skip(1).collect();
    let file = (1..segments.len()).rev().find_map(|end| Some((end, module(&segments[..end])?)));
    let Some((end, file)) = file else { return false };
    let source = read(&file);
    let words: Vec<_> = source.split(|each: char| !each.is_alphanumeric() && each != '_').collect();
    segments[end..].iter().all(|name| words.contains(name))
}

/// Returns the paths and items that `text` names and this tree does not have.
fn stale(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        for word in quoted(line) {
            if is_path(word) && !exists(word) {
                found.push(format!("{number}: `{word}` does not exist"));
            } else if word.starts_with("crate::") && !has_item(word) {
                found.push(format!("{number}: `{word}` is not in the file of its module"));
            }
        }
    }
    found
}

/// Returns the anchor that a heading gets: lower case, blanks as hyphens, punctuation dropped.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase().replace(' ', "-");
    kept.chars().filter(|each| each.is_alphanumeric() || "-_".contains(*each)).collect()
}

/// Returns the links of `text` that lead to no file or heading of this tree.
fn broken(page: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        for rest in line.split("](").skip(1) {
            let target = rest.split(')').next().unwrap_or_default();
            if target.contains("://") {
                continue;
            }
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = if path.is_empty() { page.to_owned() } else { page.parent().expect("a folder").join(path) };
            let leads = file.exists()
                && (heading.is_empty()
                    || prose(&read(&file))
                        .iter()
                        .any(|(_, line)| line.starts_with('#') && anchor(line.trim_start_matches('#')) == heading));
            if !leads {
                found.push(format!("{number}: the link to `{target}` leads nowhere"));
            }
        }
    }
    found
}

fn complaints(pages: &[PathBuf], of: impl Fn(&Path, &str) -> Vec<String>) -> Vec<String> {
    let mut all = Vec::new();
    for page in pages {
        let name = page.strip_prefix(root()).expect("below the root").display().to_string();
        all.extend(of(page, &read(page)).into_iter().map(|complaint| format!("{name}:{complaint}")));
    }
    all
}

#[test]
fn maps_name_what_exists() {
    let found = complaints(&maps(), |_, text| stale(text));
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn links_of_documents_lead_somewhere() {
    let mut all = pages(&root().join("docs"));
    all.extend(pages(&root().join("docs/design")));
    all.extend(["README.md", "CONTRIBUTING.md"].map(|path| root().join(path)));
    let found = complaints(&all, broken);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn stale_names_are_found() {
    let good = [
        "`src/lib.rs` and `store/index` and `fs/beneath`, `tests/support`, `a/*.json`, `~/.cache/x`, `GET /v2/`",
        "`crate::image::Reference` `crate::store::ImageStore::resolve`",
        "```\n`src/nothing.rs`\n```",
    ];
    for text in good {
        assert_eq!(stale(text), [""; 0], "{text}");
    }
    assert_eq!(stale("a\n`src/nothing.rs`"), ["2: `src/nothing.rs` does not exist"]);
    assert_eq!(stale("`store/nothing`"), ["1: `store/nothing` does not exist"]);
    assert_eq!(stale("`nothing/index`"), ["1: `nothing/index` does not exist"]);
    assert_eq!(stale("`crate::image::Nothing`"), ["1: `crate::image::Nothing` is not in the file of its module"]);
}

#[test]
fn broken_links_are_found() {
    let page = root().join("docs/ARCHITECTURE.md");
    let good = "[a](GLOSSARY.md) [b](design/layers.md#the-walk) [c](https://example.com/x) [d](#the-map)";
    assert_eq!(broken(&page, good), [""; 0]);
    assert_eq!(broken(&page, "[a](NOTHING.md)"), ["1: the link to `NOTHING.md` leads nowhere"]);
    assert_eq!(broken(&page, "[a](#nothing)"), ["1: the link to `#nothing` leads nowhere"]);
}
