//! Warnings about files that look like secrets: their number, their names, and how to exclude them.

use std::path::Path;

use crate::text::{counted, plain};

/// The most names in one warning.
const MAX_NAMES: usize = 8;

/// The longest name that is shown whole, in characters.
const MAX_NAME_CHARACTERS: usize = 200;

/// Files that look like secrets, of a source that may have any number of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretFiles {
    count: u64,
    first: Vec<Vec<u8>>,
}

/// How a file of a source is left out.
#[derive(Debug, Clone, Copy)]
pub enum LeaveOut<'a> {
    /// By lines in this ignore file.
    IgnoreFile(&'a Path),
    /// By patterns on the command line or lines in any file: the source is a stream that is read once.
    Patterns,
    /// By leaving it out of the archive.
    Archive,
    /// The file is the whole source.
    Source,
}

impl SecretFiles {
    /// Counts a file; the first ones are kept by name.
    pub fn add(&mut self, path: &[u8]) {
        self.count += 1;
        if self.first.len() < MAX_NAMES {
            self.first.push(path.to_vec());
        }
    }

    /// Returns the warning about the files, if there are any; `source` says what they come from.
    pub fn warning(&self, source: Option<&str>, how: LeaveOut<'_>) -> Option<String> {
        let many = self.count > 1;
        let them = if many { "them" } else { "it" };
        let files = counted(self.count, "file");
        let looks = if many { "that look like secrets go" } else { "that looks like a secret goes" };
        let lines = if many { "these lines" } else { "this line" };
        let source = source.map_or_else(String::new, |source| format!(" from {source}"));
        let what = format!("{files} {looks}{source} into the image");
        let how = match how {
            LeaveOut::IgnoreFile(file) => {
                format!(
                    "leave {them} out with {lines} in `{}`",
                    plain(&file.display().to_string(), MAX_NAME_CHARACTERS)
                )
            }
            LeaveOut::Patterns => {
                format!("leave {them} out with --exclude, or with {lines} in a file for --ignorefile")
            }
            LeaveOut::Archive => format!("leave {them} out when you write the archive"),
            LeaveOut::Source => "name it only if that is meant".to_owned(),
        };
        let names: Vec<String> = self.first.iter().map(|path| format!("`{}`", ignore_line(path))).collect();
        let more = self.count.saturating_sub(names.len() as u64);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (self.count > 0).then(|| format!("{what}; {how}: {}{more}", names.join(", ")))
    }
}

impl<P: AsRef<[u8]>> FromIterator<P> for SecretFiles {
    fn from_iter<I: IntoIterator<Item = P>>(paths: I) -> Self {
        let mut files = Self::default();
        paths.into_iter().for_each(|path| files.add(path.as_ref()));
        files
    }
}

/// Returns the line of an ignore file that is about this path and no other, as far as a line can express it:
/// unprintable characters become `?`.
fn ignore_line(path: &[u8]) -> String {
    let mut line = String::new();
    for chunk in path.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\\' | '*' | '?' | '[' | ']' => line.extend(['\\', letter]),
                '!' | '#' if line.is_empty() => line.extend(['\\', letter]),
                _ if letter.is_control() || letter.is_whitespace() && letter != ' ' => line.push('?'),
                // White space around a line is not part of it.
                ' ' if line.is_empty() => line.push('?'),
                _ => line.push(letter),
            }
        }
        line.extend(std::iter::repeat_n('?', chunk.invalid().len()));
    }
    if line.ends_with(' ') {
        line.pop();
        line.push('?');
    }
    line
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::super::IgnoreRules;
    use super::*;

    fn files(count: usize) -> SecretFiles {
        (0..count).map(|number| format!("{number}/.env")).collect()
    }

    #[test]
    fn the_sentence_has_the_count_the_names_and_the_way_out() {
        let file = Path::new("app/.dockerignore");
        let told = |count, how| files(count).warning(Some("`app`"), how);
        assert_eq!(told(0, LeaveOut::Archive), None);
        assert_eq!(
            told(1, LeaveOut::IgnoreFile(file)).as_deref(),
            Some(
                "1 file that looks like a secret goes from `app` into the image; leave it out with this line in \
                 `app/.dockerignore`: `0/.env`"
            )
        );
        assert_eq!(
            told(2, LeaveOut::IgnoreFile(file)).as_deref(),
            Some(
                "2 files that look like secrets go from `app` into the image; leave them out with these lines in \
                 `app/.dockerignore`: `0/.env`, `1/.env`"
            )
        );
        let many = told(11, LeaveOut::Patterns).expect("a sentence");
        assert!(many.contains("with --exclude, or with these lines in a file for --ignorefile: `0/.env`"), "{many}");
        assert!(many.starts_with("11 files") && many.ends_with("`7/.env` and 3 more"), "{many}");
    }

    #[test]
    fn the_line_leaves_out_that_path_and_no_other() {
        for path in [
            ".env",
            "a b/.env",
            "a*/.env",
            "[a]/id_rsa",
            "!a/.env",
            "#a/.env",
            "a\\b/.env",
            "a?/x",
            " a/.env",
            ".env ",
            "é/.env",
        ] {
            let line = ignore_line(path.as_bytes());
            let mut rules = IgnoreRules::default();
            rules.add_file(&Arc::new(PathBuf::from("f")), format!("{line}\n").as_bytes()).expect(&line);
            assert!(rules.decide(path.as_bytes()).excluded, "{path}: {line}");
            for other in ["a/.env", "aa/x", "b/.env", "a/id_rsa"] {
                assert!(!rules.decide(other.as_bytes()).excluded, "{path}: {line} {other}");
            }
        }
        for path in [&b"\xff\xfe/.env"[..], b"a\n/.env", b"a\x1b[1m/.env"] {
            let line = ignore_line(path);
            let mut rules = IgnoreRules::default();
            rules.add_file(&Arc::new(PathBuf::from("f")), line.as_bytes()).expect(&line);
            assert!(rules.decide(path).excluded, "{line}");
            assert!(!line.contains(char::is_control), "{line}");
        }
    }
}
