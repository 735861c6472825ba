//! The rules of an ignore file and of the command line, in order: the last that matches a path or one
//! of its parents decides.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::pattern::{Pattern, PatternError, clean, text};

/// The largest ignore file read, in bytes.
pub const MAX_IGNORE_FILE_BYTES: u64 = 1 << 20;

/// The most rules accepted.
pub const MAX_RULES: usize = 4096;

/// All rules of one build.
#[derive(Debug, Clone, Default)]
pub struct IgnoreRules {
    rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Where it was written.
    pub origin: Origin,
    /// What was written, without white space around it.
    pub written: String,
    /// Whether it brings back (`!`) what an earlier rule excluded.
    pub exception: bool,
    pattern: Pattern,
}

/// Where a rule was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In a file.
    File {
        /// The file.
        path: Arc<PathBuf>,
        /// The line, counted from 1.
        line: usize,
    },
    /// Among the patterns given beside the file, counted from 1.
    Given(usize),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "line {line} of `{}`", path.display()),
            Self::Given(number) => write!(f, "exclude pattern {number}"),
        }
    }
}

/// Why rules were not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// A pattern is malformed.
    #[error("`{written}` ({origin}) is not a valid ignore pattern")]
    Pattern {
        /// Where it was written.
        origin: Origin,
        /// What was written, cut to a length fit for a message.
        written: String,
        /// What is wrong with it.
        #[source]
        source: PatternError,
    },
    /// More than [`MAX_RULES`].
    #[error("there are more than {MAX_RULES} ignore patterns ({0})")]
    TooMany(Origin),
}

/// What the rules say about a path.
#[derive(Debug, Clone, Copy)]
pub struct Verdict<'a> {
    /// Whether the path stays out.
    pub excluded: bool,
    /// The rule that decided; without one nothing matched.
    pub rule: Option<&'a Rule>,
}

/// Which rules match a directory or one of its parents: what they match, they match below it too.
#[derive(Debug, Clone)]
pub(super) struct Hits(Vec<bool>);

/// Caches the rules that match the parent directories of the last path, so that a neighbour's common parents are not
/// matched again.
#[derive(Debug, Clone, Default)]
pub struct RuleCache {
    directory: String,
    /// Where in it each directory ends.
    hits: Vec<(usize, Hits)>,
}

impl RuleCache {
    /// Drops the directories that are no parents of `path`. Returns the offset at which the last kept one ends.
    fn go_back(&mut self, path: &str) -> Option<usize> {
        let is_on_the_way = |end: usize| path.as_bytes().get(end) == Some(&b'/');
        let shared = self.directory.bytes().zip(path.bytes()).take_while(|(one, other)| one == other).count();
        while self.hits.last().is_some_and(|(end, _)| *end > shared || !is_on_the_way(*end)) {
            self.hits.pop();
        }
        self.hits.last().map(|(end, _)| *end)
    }
}

impl IgnoreRules {
    /// Adds the rules of an ignore file's content; `path` is what messages call it.
    pub fn add_file(&mut self, path: &Arc<PathBuf>, content: &[u8]) -> Result<(), RuleError> {
        let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        for (number, line) in content.split(|byte| *byte == b'\n').enumerate() {
            if !line.starts_with(b"#") {
                self.add(Origin::File { path: Arc::clone(path), line: number + 1 }, line)?;
            }
        }
        Ok(())
    }

    /// Adds the `number`th pattern given beside the file; a `#` means itself.
    pub fn add_pattern(&mut self, number: usize, pattern: &[u8]) -> Result<(), RuleError> {
        self.add(Origin::Given(number), pattern)
    }

    fn add(&mut self, origin: Origin, line: &[u8]) -> Result<(), RuleError> {
        let line = trim(line);
        if line.is_empty() {
            return Ok(());
        }
        if self.rules.len() == MAX_RULES {
            return Err(RuleError::TooMany(origin));
        }
        let (exception, pattern) = match line.strip_prefix(b"!") {
            Some(pattern) => (true, trim(pattern)),
            None => (false, line),
        };
        let compiled = match clean(pattern) {
            _ if pattern.is_empty() => Err(PatternError::BareException),
            // Docker cleans an exception once more with its `!`, and nothing is left of this one.
            root if root == b"/" && exception => Err(PatternError::BareException),
            rooted if rooted.len() > 1 && rooted[0] == b'/' => Pattern::new(&rooted[1..]),
            cleaned => Pattern::new(&cleaned),
        };
        let written = String::from_utf8_lossy(line);
        match compiled {
            Ok(pattern) => {
                self.rules.push(Rule { origin, written: written.into_owned(), exception, pattern });
                Ok(())
            }
            Err(source) => Err(RuleError::Pattern { origin, written: written.chars().take(200).collect(), source }),
        }
    }

    /// Returns the rules in order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Returns what the rules say about a path relative to the context, and which of them decided.
    pub fn decide(&self, path: &[u8]) -> Verdict<'_> {
        self.verdict(self.deciding(path))
    }

    /// [`Self::decide`] for paths one after the other, which asks about each of their directories once.
    pub fn decide_along(&self, path: &[u8], trail: &mut RuleCache) -> Verdict<'_> {
        if self.rules.is_empty() {
            return self.verdict(None);
        }
        let path = text(path);
        let known = trail.go_back(&path);
        for (end, _) in path.match_indices('/').filter(|(end, _)| known.is_none_or(|known| *end > known)) {
            let hits = self.hits(trail.hits.last().map(|(_, hits)| hits), &path[..end]);
            trail.hits.push((end, hits));
        }
        let end = trail.hits.last().map_or(0, |(end, _)| *end);
        trail.directory.clear();
        trail.directory.push_str(&path[..end]);
        self.verdict(self.last(trail.hits.last().map(|(_, hits)| hits), &path))
    }

    /// Returns the index of the rule that decides about the path; `None` if none matches, and it goes in.
    pub(super) fn deciding(&self, path: &[u8]) -> Option<usize> {
        let path = text(path);
        let parents = path.match_indices('/').fold(None, |hits, (end, _)| Some(self.hits(hits.as_ref(), &path[..end])));
        self.last(parents.as_ref(), &path)
    }

    /// Returns the verdict that the rule of this index gives.
    pub(super) fn verdict(&self, index: Option<usize>) -> Verdict<'_> {
        let rule = index.map(|index| &self.rules[index]);
        Verdict { excluded: rule.is_some_and(|rule| !rule.exception), rule }
    }

    /// Returns all rules that match `directory`, given those that match its parent.
    pub(super) fn hits(&self, parent: Option<&Hits>, directory: &str) -> Hits {
        #[cfg(test)]
        tests::DIRECTORIES.set(tests::DIRECTORIES.get() + 1);
        let hit = |(index, rule): (usize, &Rule)| {
            parent.is_some_and(|parent| parent.0[index]) || rule.pattern.matches(directory)
        };
        Hits(self.rules.iter().enumerate().map(hit).collect())
    }

    /// Returns the last rule that matches `path`, given those that match its parent.
    pub(super) fn last(&self, parent: Option<&Hits>, path: &str) -> Option<usize> {
        let hit =
            |(index, rule): (usize, &Rule)| parent.is_some_and(|parent| parent.0[index]) || rule.pattern.matches(path);
        (0..self.rules.len()).rev().find(|index| hit((*index, &self.rules[*index])))
    }

    /// Returns whether an exception after the rule that excluded `directory` could match something below it.
    ///
    /// Exceptions before that rule cannot: it matches everything below as well, and comes later.
    pub(super) fn may_return_below(&self, directory: &str, excluded_by: usize) -> bool {
        self.rules[excluded_by + 1..].iter().any(|rule| rule.exception && rule.pattern.may_match_below(directory))
    }
}

/// Without white space at both ends, as Go's `strings.TrimSpace` has it.
fn trim(line: &[u8]) -> &[u8] {
    match std::str::from_utf8(line) {
        Ok(line) => line.trim().as_bytes(),
        Err(_) => line.trim_ascii(),
    }
}

#[cfg(test)]
mod tests;
