//! A document of Docker's form whose `credHelpers` are changed and whose every other byte stays.
//!
//! `serde_json` decides whether it is JSON at all; the scanner below only ever sees what was accepted, finds the two
//! objects that matter and copies their writer's habits: indentation, line ends, blanks.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use serde::de::IgnoredAny;
use zeroize::Zeroizing;

/// The member that says which helper knows which registry.
const HELPERS: &str = "credHelpers";
/// How a document is indented that shows no habit, as Docker and the containers tools write it.
const INDENT: &str = "\t";

/// What is wrong with a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// It is not UTF-8.
    #[error("is not text in UTF-8")]
    Encoding,
    /// It is not JSON (RFC 8259).
    #[error("is not valid JSON")]
    Syntax,
    /// It is JSON, but not an object.
    #[error("is not a JSON object")]
    NoObject,
    /// `credHelpers` is something else than an object.
    #[error("has `credHelpers` that are not an object")]
    NoHelpers,
    /// A registry's helper is something else than a name.
    #[error("has an entry in `credHelpers` that is not a name")]
    NoName,
    /// A key is there twice, and programs differ in which one counts.
    #[error("has the same key twice")]
    Twice,
}

/// A mistake and where it is, both counted from 1; columns are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) mistake: Mistake,
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A checked document.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Document {
    text: Zeroizing<String>,
}

/// Other people's credentials are in it.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("helpers", &self.helpers().map(|helpers| helpers.members))
            .finish_non_exhaustive()
    }
}

/// One member of an object: where its key and its value are.
#[derive(Debug, Clone)]
struct Member {
    name: Option<String>,
    key: Range<usize>,
    value: Range<usize>,
}

/// An object: its members, and where its braces are.
#[derive(Debug)]
struct Object {
    open: usize,
    members: Vec<Member>,
    close: usize,
}

/// The white space of an object's members.
#[derive(Debug, Clone)]
struct Habit {
    before_first: String,
    between: String,
    before_close: String,
    colon: String,
}

impl Document {
    /// Checks a file's content. Nothing but white space counts as an object without members.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = Zeroizing::new(String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned());
            at(&before, before.len(), Mistake::Encoding)
        })?;
        let document = Self { text: Zeroizing::new(text.to_owned()) };
        if text.trim_matches(is_space).is_empty() {
            return Ok(document);
        }
        serde_json::from_str::<IgnoredAny>(text).map_err(|error| Fault {
            mistake: Mistake::Syntax,
            line: error.line(),
            column: error.column(),
        })?;
        let start = skip_space(text.as_bytes(), 0);
        if text.as_bytes()[start] != b'{' {
            return Err(at(text, start, Mistake::NoObject));
        }
        let root = object(text, start);
        unique(text, root.members.iter().filter(|member| member.is(HELPERS)))?;
        let Some(member) = root.find(HELPERS) else { return Ok(document) };
        match &text[member.value.clone()] {
            "null" => {}
            value if value.starts_with('{') => {
                let helpers = object(text, member.value.start);
                let unnamed = |entry: &&Member| string(&text[entry.value.clone()]).is_none();
                if let Some(entry) = helpers.members.iter().find(unnamed) {
                    return Err(at(text, entry.value.start, Mistake::NoName));
                }
                unique(text, helpers.members.iter())?;
            }
            _ => return Err(at(text, member.value.start, Mistake::NoHelpers)),
        }
        Ok(document)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether the document is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.root().is_none_or(|root| root.members.is_empty())
    }

    /// Returns whether there is an object of helpers.
    pub(super) fn has_helpers(&self) -> bool {
        self.helpers().is_some()
    }

    /// Returns the helper of a registry.
    pub(super) fn helper(&self, registry: &str) -> Option<String> {
        let helpers = self.helpers()?;
        string(&self.text[helpers.find(registry)?.value.clone()])
    }

    /// Returns the registries with this helper, in the document's order.
    pub(super) fn registries_of(&self, helper: &str) -> Vec<String> {
        let Some(helpers) = self.helpers() else { return Vec::new() };
        let its = |member: &&Member| string(&self.text[member.value.clone()]).as_deref() == Some(helper);
        helpers.members.iter().filter(its).filter_map(|member| member.name.clone()).collect()
    }

    /// Gives a registry a helper, in the place of the one it has.
    pub(super) fn set(&mut self, registry: &str, helper: &str) {
        let root = self.root().unwrap_or_else(|| {
            let end = if self.text.is_empty() { "\n" } else { &self.text };
            self.text = Zeroizing::new(format!("{{}}{end}"));
            object(&self.text, 0)
        });
        let habit = root.habit(&self.text, &Habit::default());
        match root.find(HELPERS).map(|member| member.value.clone()) {
            None => self.insert(&root, &habit, HELPERS, "{}"),
            Some(value) if !self.text[value.clone()].starts_with('{') => self.text.replace_range(value, "{}"),
            Some(_) => {}
        }
        let root = self.root().expect("it was made where it was missing");
        let outer = root.habit(&self.text, &Habit::default());
        let helpers = self.helpers().expect("it was made where it was missing");
        let value = quoted(helper);
        match helpers.find(registry) {
            Some(member) => self.text.replace_range(member.value.clone(), &value),
            None => self.insert(&helpers, &helpers.habit(&self.text, &outer.deeper()), registry, &value),
        }
    }

    /// Takes a registry's helper away.
    pub(super) fn remove(&mut self, registry: &str) {
        if let Some(helpers) = self.helpers() {
            self.cut(&helpers, registry);
        }
    }

    /// Takes the object of helpers away if none is left in it.
    pub(super) fn remove_empty_helpers(&mut self) {
        if let (Some(root), Some(helpers)) = (self.root(), self.helpers())
            && helpers.members.is_empty()
        {
            self.cut(&root, HELPERS);
        }
    }

    /// Returns the text for a person's terminal: strings are secrets unless they name helpers.
    pub(super) fn redacted(&self) -> String {
        let helpers = self.helpers().map_or(0..0, |helpers| helpers.open..helpers.close);
        let bytes = self.text.as_bytes();
        let mut shown = String::with_capacity(self.text.len());
        let mut position = 0;
        while let Some(length) = bytes[position..].iter().position(|byte| *byte == b'"') {
            let start = position + length;
            shown.push_str(&self.text[position..start]);
            position = skip_string(bytes, start);
            let key = bytes.get(skip_space(bytes, position)) == Some(&b':');
            if key || helpers.contains(&start) || position - start == 2 {
                shown.push_str(&self.text[start..position]);
            } else {
                shown.push_str("\"[hidden]\"");
            }
        }
        shown.push_str(&self.text[position..]);
        // Only white space and what follows U+007F gets through JSON unescaped.
        shown.replace(|character: char| character.is_control() && !is_space(character), "\u{fffd}")
    }

    fn root(&self) -> Option<Object> {
        let start = skip_space(self.text.as_bytes(), 0);
        (start < self.text.len()).then(|| object(&self.text, start))
    }

    fn helpers(&self) -> Option<Object> {
        let value = self.root()?.find(HELPERS)?.value.clone();
        self.text[value.clone()].starts_with('{').then(|| object(&self.text, value.start))
    }

    /// Adds a member at the end of an object.
    fn insert(&mut self, object: &Object, habit: &Habit, name: &str, value: &str) {
        let Habit { before_first, between, before_close, colon } = habit;
        let member = format!("{}{colon}{value}", quoted(name));
        if let Some(last) = object.members.last() {
            self.text.insert_str(last.value.end, &format!(",{between}{member}"));
        } else {
            let inside = object.open + 1..object.close;
            self.text.replace_range(inside, &format!("{before_first}{member}{before_close}"));
        }
    }

    /// Removes a member, with the comma and the white space that belong to it.
    fn cut(&mut self, object: &Object, name: &str) {
        let Some(place) = object.members.iter().position(|member| member.is(name)) else { return };
        let members = &object.members;
        let gone = match (place.checked_sub(1).map(|before| &members[before]), members.get(place + 1)) {
            (Some(before), _) => before.value.end..members[place].value.end,
            (None, Some(next)) => members[place].key.start..next.key.start,
            (None, None) => object.open + 1..object.close,
        };
        self.text.replace_range(gone, "");
    }
}

impl Member {
    fn is(&self, name: &str) -> bool {
        self.name.as_deref() == Some(name)
    }
}

impl Object {
    fn find(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.is(name))
    }

    /// Returns the layout of the object's members; `otherwise` where it has none.
    fn habit(&self, text: &str, otherwise: &Habit) -> Habit {
        let (Some(first), Some(last)) = (self.members.first(), self.members.last()) else { return otherwise.clone() };
        let before_first = text[self.open + 1..first.key.start].to_owned();
        let colon = text[first.key.end..first.value.start].to_owned();
        let between = match self.members.get(1) {
            Some(second) => {
                let gap = &text[first.value.end..second.key.start];
                gap[gap.find(',').map_or(0, |comma| comma + 1)..].to_owned()
            }
            None if before_first.contains('\n') => before_first.clone(),
            None if colon.ends_with(' ') => " ".to_owned(),
            None => String::new(),
        };
        Habit { before_first, between, before_close: text[last.value.end..self.close].to_owned(), colon }
    }
}

impl Default for Habit {
    fn default() -> Self {
        let line = format!("\n{INDENT}");
        Self { before_first: line.clone(), between: line, before_close: "\n".to_owned(), colon: ": ".to_owned() }
    }
}

impl Habit {
    /// Parses an object one level deeper.
    fn deeper(&self) -> Self {
        if !self.before_first.contains('\n') {
            return Self { between: self.between.clone(), ..self.clone() };
        }
        let unit = self.before_first.strip_prefix(&self.before_close).filter(|unit| !unit.is_empty());
        let line = format!("{}{}", self.before_first, unit.unwrap_or(INDENT));
        Self {
            before_first: line.clone(),
            between: line,
            before_close: self.before_first.clone(),
            colon: self.colon.clone(),
        }
    }
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

fn at(text: &str, position: usize, mistake: Mistake) -> Fault {
    let before = &text.as_bytes()[..position];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let line = before.split(|byte| *byte == b'\n').count();
    Fault { mistake, line, column: position - line_start + 1 }
}

fn unique<'a>(text: &str, members: impl Iterator<Item = &'a Member>) -> Result<(), Fault> {
    let mut seen = HashSet::new();
    for member in members {
        if member.name.as_ref().is_some_and(|name| !seen.insert(name)) {
            return Err(at(text, member.key.start, Mistake::Twice));
        }
    }
    Ok(())
}

fn string(text: &str) -> Option<String> {
    serde_json::from_str(text).ok()
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn skip_space(bytes: &[u8], from: usize) -> usize {
    let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    from + bytes[from..].iter().take_while(|byte| space(byte)).count()
}

/// Returns the end of the string that begins at `from`.
fn skip_string(bytes: &[u8], from: usize) -> usize {
    let mut position = from + 1;
    while bytes[position] != b'"' {
        position += if bytes[position] == b'\\' { 2 } else { 1 };
    }
    position + 1
}

/// Returns the end of the value that begins at `from`.
fn skip_value(bytes: &[u8], from: usize) -> usize {
    let mut position = from;
    let mut depth = 0_usize;
    loop {
        position = match bytes[position] {
            b'"' => skip_string(bytes, position),
            open @ (b'{' | b'[' | b'}' | b']') => {
                depth = if matches!(open, b'{' | b'[') { depth + 1 } else { depth - 1 };
                position + 1
            }
            _ if depth > 0 => position + 1,
            // A number, true, false or null.
            _ => {
                let more = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
                position + bytes[position..].iter().take_while(more).count()
            }
        };
        if depth == 0 {
            return position;
        }
    }
}

/// Returns the object that begins at `open`, in a text that was checked.
fn object(text: &str, open: usize) -> Object {
    let bytes = text.as_bytes();
    let mut members = Vec::new();
    let mut position = skip_space(bytes, open + 1);
    while bytes[position] != b'}' {
        let key = position..skip_string(bytes, position);
        let colon = skip_space(bytes, key.end);
        let start = skip_space(bytes, colon + 1);
        let value = start..skip_value(bytes, start);
        position = skip_space(bytes, value.end);
        if bytes[position] == b',' {
            position = skip_space(bytes, position + 1);
        }
        members.push(Member { name: string(&text[key.clone()]), key, value });
    }
    Object { open, members, close: position }
}

#[cfg(test)]
mod tests;
