//! One pattern of an ignore file, with Docker's meaning: anchored at the context's root, cleaned like
//! a path, `*` and `?` within one component, `**` across components.
//!
//! Where Docker's own translation lets regular expression syntax slip through (`\d`, an unescaped
//! `^`, `*` inside a class), the rules of Go's `filepath.Match`, which Docker documents, hold instead.
//! Names like `[[:digit:]]` work here as they do there.

use std::borrow::Cow;
use std::fmt::Write;

use regex::{Regex, RegexBuilder};

/// The longest pattern accepted, in bytes: the longest path Linux knows.
pub const MAX_PATTERN_BYTES: usize = 4096;

/// Bytes a compiled pattern may take.
const MAX_COMPILED_BYTES: usize = 256 << 10;

/// Bytes that are no UTF-8 stand as characters of a private plane, so that each counts as one rune.
const RAW_BYTE: u32 = 0x0010_FF00;

/// What is wrong with a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// An exception that names nothing.
    #[error("`!` must be followed by a pattern")]
    BareException,
    /// A `\` with nothing to escape.
    #[error("`\\` at the end escapes nothing")]
    TrailingBackslash,
    /// A `[` without its `]`, or a class without members.
    #[error("`[` does not begin a complete character class")]
    Class,
    /// A range that ends before it begins.
    #[error("the range `{0}-{1}` is upside down")]
    Range(char, char),
    /// `[:name:]` with a name that means nothing.
    #[error("`[:{0}:]` is not a character class")]
    ClassName(String),
    /// More than [`MAX_PATTERN_BYTES`].
    #[error("the pattern has {0} bytes, more than the {MAX_PATTERN_BYTES} allowed")]
    TooLong(usize),
    /// A pattern that takes more memory than patterns may.
    #[error("the pattern is too complex")]
    TooComplex,
}

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    matcher: Matcher,
    reach: Vec<Component>,
}

#[derive(Debug, Clone)]
enum Matcher {
    Exact(String),
    Prefix(String),
    /// After a leading `**`, which also stands for nothing when a `/` follows.
    Suffix(String),
    Regex(Regex),
}

/// An approximation of what one component of a pattern matches, to rule out directories.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Component {
    Literal(String),
    Single,
    Unbounded,
}

impl Pattern {
    /// Compiles a cleaned pattern without its `!`.
    pub(super) fn new(pattern: &[u8]) -> Result<Self, PatternError> {
        if pattern.len() > MAX_PATTERN_BYTES {
            return Err(PatternError::TooLong(pattern.len()));
        }
        let text = text(pattern);
        let characters: Vec<char> = text.chars().collect();
        validate(&characters)?;
        let reach = text.split('/').map(Component::new).collect();
        Ok(Self { matcher: compile(&text, &characters)?, reach })
    }

    /// Returns whether the pattern matches this path itself (as [`text`] gives it).
    pub(super) fn matches(&self, path: &str) -> bool {
        match &self.matcher {
            Matcher::Exact(exact) => path == exact,
            Matcher::Prefix(prefix) => path.starts_with(prefix.as_str()),
            Matcher::Suffix(suffix) => {
                path.ends_with(suffix.as_str()) || suffix.strip_prefix('/').is_some_and(|rest| path == rest)
            }
            Matcher::Regex(regex) => regex.is_match(path),
        }
    }

    /// Returns whether the pattern could match anything below `directory`. May be wrong when true, never when false.
    pub(super) fn may_match_below(&self, directory: &str) -> bool {
        let mut names = directory.split('/');
        for component in &self.reach {
            let Some(name) = names.next() else { return true };
            match component {
                Component::Unbounded => return true,
                Component::Literal(literal) if literal != name => return false,
                Component::Literal(_) | Component::Single => {}
            }
        }
        false
    }
}

impl Component {
    fn new(text: &str) -> Self {
        // A class may match `/`.
        if text.contains("**") || text.contains('[') {
            Self::Unbounded
        } else if text.contains(['*', '?', '\\']) {
            Self::Single
        } else {
            Self::Literal(text.to_owned())
        }
    }
}

/// Returns a path or pattern as text in which every byte that is no UTF-8 is one character of its own.
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() * 2);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push(char::from_u32(RAW_BYTE | u32::from(*byte)).expect("plane 16 is within Unicode"));
        }
    }
    Cow::Owned(text)
}

/// Returns the shortest equivalent path, as Go's `filepath.Clean` has it: `a//b/../c/` is `a/c`.
pub(super) fn clean(path: &[u8]) -> Vec<u8> {
    let rooted = path.first() == Some(&b'/');
    let mut kept: Vec<&[u8]> = Vec::new();
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." if kept.last().is_some_and(|last| *last != b"..") => {
                kept.pop();
            }
            b".." if rooted => {}
            name => kept.push(name),
        }
    }
    let mut cleaned = if rooted { vec![b'/'] } else { Vec::new() };
    cleaned.extend(kept.join(&b'/'));
    if cleaned.is_empty() {
        cleaned.push(b'.');
    }
    cleaned
}

/// Refuses what Go's `filepath.Match` calls a bad pattern. It looks at the pieces between stars; a
/// star counts as a piece's end unless the last bracket before it was an opening one.
fn validate(pattern: &[char]) -> Result<(), PatternError> {
    let mut rest = pattern;
    while let Some(start) = rest.iter().position(|c| *c != '*') {
        rest = &rest[start..];
        let mut end = 0;
        let mut in_class = false;
        while end < rest.len() {
            match rest[end] {
                '\\' if end + 1 < rest.len() => end += 1,
                '[' => in_class = true,
                ']' => in_class = false,
                '*' if !in_class => break,
                _ => {}
            }
            end += 1;
        }
        validate_piece(&rest[..end])?;
        rest = &rest[end..];
    }
    Ok(())
}

fn validate_piece(piece: &[char]) -> Result<(), PatternError> {
    let mut rest = piece;
    while let Some((first, tail)) = rest.split_first() {
        rest = match first {
            '[' => skip_class(tail)?,
            '\\' => tail.split_first().ok_or(PatternError::TrailingBackslash)?.1,
            _ => tail,
        };
    }
    Ok(())
}

/// Skips a class, whose members begin after its `[`. Returns the text after its `]`.
fn skip_class(after_bracket: &[char]) -> Result<&[char], PatternError> {
    let mut rest = after_bracket.strip_prefix(&['^']).unwrap_or(after_bracket);
    let mut empty = true;
    loop {
        if let [']', tail @ ..] = rest
            && !empty
        {
            return Ok(tail);
        }
        rest = class_range(rest)?.1;
        empty = false;
    }
}

/// Parses one member or a range of a class.
fn class_range(rest: &[char]) -> Result<((char, char), &[char]), PatternError> {
    let (low, rest) = class_member(rest)?;
    match rest {
        ['-', tail @ ..] => class_member(tail).map(|(high, rest)| ((low, high), rest)),
        _ => Ok(((low, low), rest)),
    }
}

/// Parses one member, which more text must follow: a class ends with its bracket.
fn class_member(rest: &[char]) -> Result<(char, &[char]), PatternError> {
    let (member, tail) = match rest {
        [] | ['-' | ']', ..] | ['\\'] => return Err(PatternError::Class),
        ['\\', member, tail @ ..] | [member, tail @ ..] => (*member, tail),
    };
    let raw_byte = u32::from(member) & !0xff == RAW_BYTE;
    if tail.is_empty() || raw_byte { Err(PatternError::Class) } else { Ok((member, tail)) }
}

fn compile(text: &str, characters: &[char]) -> Result<Matcher, PatternError> {
    let plain = |text: &str| !text.contains(['*', '?', '[', ']', '\\']);
    if plain(text) {
        return Ok(Matcher::Exact(text.to_owned()));
    }
    if let Some(suffix) = text.strip_prefix("**")
        && plain(suffix)
    {
        return Ok(Matcher::Suffix(suffix.to_owned()));
    }
    if let Some(prefix) = text.strip_suffix("**")
        && plain(prefix)
    {
        return Ok(Matcher::Prefix(prefix.to_owned()));
    }
    let source = translate(characters)?;
    let regex = RegexBuilder::new(&source)
        .size_limit(MAX_COMPILED_BYTES)
        .dfa_size_limit(MAX_COMPILED_BYTES)
        .build()
        .map_err(|_| PatternError::TooComplex)?;
    Ok(Matcher::Regex(regex))
}

fn translate(characters: &[char]) -> Result<String, PatternError> {
    let mut source = String::from(r"\A(?s:");
    let mut rest = characters;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            '*' => {
                if let ['*', tail @ ..] = rest {
                    rest = tail;
                    if let ['/', tail @ ..] = rest {
                        rest = tail;
                    }
                    source.push_str(if rest.is_empty() { ".*" } else { "(?:.*/)?" });
                } else {
                    source.push_str("[^/]*");
                }
            }
            '?' => source.push_str("[^/]"),
            '[' => {
                rest = translate_class(&mut source, rest)?;
            }
            '\\' => {
                let (escaped, tail) = rest.split_first().ok_or(PatternError::TrailingBackslash)?;
                push_literal(&mut source, *escaped);
                rest = tail;
            }
            literal => push_literal(&mut source, *literal),
        }
    }
    source.push_str(r")\z");
    Ok(source)
}

/// Writes a class as a regular expression has it, `[:name:]` members included.
fn translate_class<'a>(source: &mut String, after_bracket: &'a [char]) -> Result<&'a [char], PatternError> {
    const NAMES: [&str; 14] = [
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper",
        "word", "xdigit",
    ];
    let (negated, mut rest) = match after_bracket {
        ['^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    source.push_str(if negated { "[^" } else { "[" });
    let (mut empty, mut after_name) = (true, false);
    loop {
        let name_end = match rest {
            ['[', ':', tail @ ..] => tail.windows(2).position(|pair| pair == [':', ']']),
            _ => None,
        };
        if let Some(end) = name_end {
            let name: String = rest[2..2 + end].iter().collect();
            if !NAMES.contains(&name.strip_prefix('^').unwrap_or(&name)) {
                return Err(PatternError::ClassName(name));
            }
            write!(source, "[:{name}:]").expect("a string takes everything");
            rest = &rest[end + 4..];
            (empty, after_name) = (false, true);
            continue;
        }
        let ((low, high), tail) = match rest {
            [']', tail @ ..] if !empty => {
                source.push(']');
                return Ok(tail);
            }
            // Nothing ranges from a name.
            ['-', tail @ ..] if after_name => (('-', '-'), tail),
            _ => class_range(rest)?,
        };
        if low > high {
            return Err(PatternError::Range(low, high));
        }
        write!(source, r"\x{{{:X}}}-\x{{{:X}}}", u32::from(low), u32::from(high)).expect("a string takes everything");
        rest = tail;
        (empty, after_name) = (false, false);
    }
}

fn push_literal(source: &mut String, literal: char) {
    source.push_str(&regex::escape(literal.encode_utf8(&mut [0; 4])));
}
