//! What no file may do, as functions from a file's text to complaints.

use std::collections::BTreeMap;

use crate::lexer::{Kind, Token, tokens};
use crate::paths::{module, named};

/// The level of each module, as the table in `src/lib.rs` has it.
#[derive(Debug)]
pub(crate) struct Levels(BTreeMap<String, u8>);

/// The folder whose modules do not know each other.
const OPERATIONS: &str = "ops";

/// The folders of the edge, by level; what is a file of its own beside them has none.
const ROOMS: [(&str, u8); 5] = [("commands", 3), ("args", 2), ("render", 2), ("failure", 1), ("terminal", 0)];

/// The only arrows to level 2 from level 3 and from level 2 itself.
const GRANTED: [(&str, &str); 5] = [
    ("layer", "context"),
    ("registry", "tls"),
    ("registry", "credentials"),
    ("cluster", "tls"),
    ("cluster", "credentials"),
];

/// Crates that speak HTTP, and the files and the folder that may name them.
const HTTP_CRATES: [&str; 4] = ["hyper", "hyper_util", "hyper_rustls", "http_body_util"];
const HTTP_PLACES: [&str; 4] =
    ["src/registry/http/", "src/serve/body.rs", "src/serve/http.rs", "src/cluster/connect.rs"];

impl Levels {
    /// Reads the rows `| level | modules in backticks | ... |` of the crate's documentation.
    pub(crate) fn parse(lib: &str) -> Self {
        let mut levels = BTreeMap::new();
        for line in lib.lines().filter_map(|line| line.strip_prefix("//! | ")) {
            let mut cells = line.split(" | ");
            let (Some(level), Some(modules)) = (cells.next(), cells.next()) else { continue };
            let Ok(level) = level.parse() else { continue };
            levels.extend(modules.split('`').skip(1).step_by(2).map(|name| (name.to_owned(), level)));
        }
        Self(levels)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether `from` may use `to`. A module without a level may use none and be used by none.
    fn allows(&self, from: &str, to: &str) -> bool {
        if from == to {
            return true;
        }
        if to == "env" {
            return from == "cli";
        }
        let (Some(above), Some(below)) = (self.0.get(from), self.0.get(to)) else { return false };
        match (above, below) {
            (2 | 3, 2) => GRANTED.contains(&(from, to)),
            (above, below) => above > below,
        }
    }
}

/// Everything that is wrong with a file below `src/` (`path` starts with it) or in `bin/`.
pub(crate) fn complaints(path: &str, text: &str, levels: &Levels) -> Vec<String> {
    let mut found = Vec::new();
    let mut complain = |line: usize, what: String| found.push(format!("{path}:{line}: {what}"));
    arrows(path, text, levels, &mut complain);
    surroundings(path, text, &mut complain);
    http(path, text, &mut complain);
    unfinished(text, &mut complain);
    found
}

/// `use crate::` and every other path within the crate point down.
fn arrows(path: &str, text: &str, levels: &Levels, complain: &mut impl FnMut(usize, String)) {
    if !path.starts_with("src/") || path == "src/lib.rs" {
        return;
    }
    let modules = module(path);
    let from = &modules[0];
    for named in named(path, text) {
        let [first, to, rest @ ..] = &named.segments[..] else { continue };
        if first != "crate" {
            continue;
        }
        if let (OPERATIONS, Some(own), Some(other)) = (to.as_str(), modules.get(1), rest.first())
            && from == OPERATIONS
            && own != other
        {
            complain(named.line, format!("`{from}::{own}` may not use `{to}::{other}`"));
        } else if let ("cli", "cli", Some(own), Some(other)) =
            (from.as_str(), to.as_str(), modules.get(1), rest.first())
            && let (Some(above), Some(below)) = (room(own), room(other))
            && own != other
            && above <= below
        {
            complain(named.line, format!("`{from}::{own}` may not use `{to}::{other}`"));
        } else if matches!(to.as_str(), "self" | "*") {
            complain(named.line, "names the crate as a whole".to_owned());
        } else if !levels.allows(from, to) {
            complain(named.line, format!("`{from}` may not use `{to}`"));
        }
    }
}

/// Returns the level of a folder of the edge: commands use arguments and rendering, these use failures, and all of them
/// use the terminal, which knows none of them.
fn room(name: &str) -> Option<u8> {
    ROOMS.iter().find(|(room, _)| *room == name).map(|(_, level)| *level)
}

/// Only the edge prints, reads the environment and exits.
fn surroundings(path: &str, text: &str, complain: &mut impl FnMut(usize, String)) {
    let edge = path.starts_with("src/cli/") || path.starts_with("bin/");
    if edge {
        return;
    }
    for named in named(path, text) {
        let segments: Vec<_> = named.segments.iter().map(String::as_str).collect();
        match segments[..] {
            ["std", "env", ..] if path != "src/env.rs" => complain(named.line, "reads the environment".to_owned()),
            [.., "process", "exit" | "abort"] => complain(named.line, "ends the process".to_owned()),
            _ => {}
        }
    }
    for (line, name) in macros(&tokens(text)) {
        if matches!(name, "print" | "println" | "eprint" | "eprintln") {
            complain(line, format!("prints with `{name}!`"));
        }
    }
}

/// HTTP libraries stay in one place on each side, their vocabulary in the two folders.
fn http(path: &str, text: &str, complain: &mut impl FnMut(usize, String)) {
    if HTTP_PLACES.iter().any(|place| path.starts_with(place)) {
        return;
    }
    let vocabulary = path.starts_with("src/registry/") || path.starts_with("src/serve/");
    for named in named(path, text) {
        let first = named.segments[0].as_str();
        let crates = HTTP_CRATES.contains(&first);
        if crates || (first == "http" && named.segments.len() > 1 && !vocabulary) {
            complain(named.line, format!("names `{first}`"));
        }
    }
}

/// Nothing is left for later and nothing left over from debugging.
fn unfinished(text: &str, complain: &mut impl FnMut(usize, String)) {
    for (line, name) in macros(&tokens(text)) {
        if matches!(name, "todo" | "unimplemented" | "dbg") {
            complain(line, format!("has a `{name}!`"));
        }
    }
    for (index, line) in text.lines().enumerate() {
        let mut words = line.split(|letter: char| !letter.is_alphanumeric());
        if let Some(word) = words.find(|word| matches!(*word, "TODO" | "FIXME" | "XXX" | "HACK")) {
            complain(index + 1, format!("has a {word}"));
        }
    }
}

/// The macros that are called, with their lines.
fn macros(tokens: &[Token]) -> Vec<(usize, &str)> {
    let call = |pair: &[Token]| pair[1].kind == Kind::Mark('!');
    let calls = tokens.windows(3).filter(|pair| call(pair) && !pair[2].is('='));
    calls.filter_map(|pair| pair[0].word().map(|word| (pair[0].line, word))).collect()
}
