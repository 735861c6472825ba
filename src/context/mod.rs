//! What goes into an image: the files below a directory that the ignore rules leave in.
//!
//! Reads names and attributes only; content is read by whoever packs it. Knows nothing of archives.

mod advice;
mod census;
mod counts;
mod entry;
mod error;
mod look;
mod pattern;
mod rules;
mod walk;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use advice::advice;
pub use census::Decided;
pub use counts::Counts;
pub use entry::{Entry, Kind, Stamp};
pub use error::{ContextError, SpecialKind};
pub use pattern::{MAX_PATTERN_BYTES, PatternError};
pub use rules::{IgnoreRules, MAX_IGNORE_FILE_BYTES, MAX_RULES, Origin, Rule, RuleError, Verdict};
pub use walk::Listing;

use crate::progress::Interrupt;

/// Ignore files looked for in a context's root, first found wins.
pub const IGNORE_FILES: [&str; 2] = [".containerignore", ".dockerignore"];

/// A directory to make an image of.
#[derive(Debug, Clone)]
pub struct Context {
    given: PathBuf,
    root: PathBuf,
}

impl Context {
    /// Finds the directory; `path` may be a link to one.
    pub fn open(path: &Path) -> Result<Self, ContextError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => ContextError::NotFound { path: path.to_owned() },
            io::ErrorKind::NotADirectory => ContextError::NotADirectory { path: path.to_owned() },
            _ => ContextError::Unreadable { path: path.to_owned(), source },
        };
        let root = std::fs::canonicalize(path).map_err(failed)?;
        if !std::fs::metadata(&root).map_err(failed)?.is_dir() {
            return Err(ContextError::NotADirectory { path: path.to_owned() });
        }
        Ok(Self { given: path.to_owned(), root })
    }

    /// The directory's absolute path without links.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What messages call the directory: the path as it was given.
    pub fn given(&self) -> &Path {
        &self.given
    }

    /// What messages call something in the directory.
    pub fn shown(&self, relative: &Path) -> PathBuf {
        match &self.given {
            given if given == Path::new(".") => relative.to_owned(),
            given => given.join(relative),
        }
    }

    /// The ignore file that counts: the one chosen or, without a choice, one of [`IGNORE_FILES`].
    pub fn ignore_file(&self, chosen: Option<&Path>) -> Result<Option<PathBuf>, ContextError> {
        if let Some(chosen) = chosen {
            return Ok(Some(chosen.to_owned()));
        }
        for name in IGNORE_FILES {
            let shown = self.shown(Path::new(name));
            match std::fs::metadata(self.root.join(name)) {
                Ok(metadata) if metadata.is_file() => return Ok(Some(shown)),
                Ok(_) => return Err(ContextError::IgnoreFileKind { path: shown }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(ContextError::IgnoreFile { path: shown, source }),
            }
        }
        Ok(None)
    }

    /// The rules of an ignore file, then those of further patterns.
    pub fn rules(&self, ignore_file: Option<&Path>, exclude: &[String]) -> Result<IgnoreRules, ContextError> {
        rules(ignore_file, exclude)
    }

    /// What is at a path relative to the root, whatever the rules say; links are not followed.
    pub fn entry(&self, relative: &Path) -> Result<Entry, ContextError> {
        look::entry(self, rustix::fs::CWD, &self.root.join(relative), relative.as_os_str().as_bytes())
    }

    /// Everything the rules leave in, sorted by the bytes of its path, parents before children.
    ///
    /// `skip` are absolute paths without links that are left out whatever the rules say.
    pub fn list(&self, rules: &IgnoreRules, skip: &[PathBuf], interrupt: &Interrupt) -> Result<Listing, ContextError> {
        walk::walk(self, rules, skip, interrupt)
    }
}

/// The directories as the walk meets them, absolute and without links; those that there are not cannot be met.
pub fn real(directories: &[PathBuf]) -> Vec<PathBuf> {
    directories.iter().filter_map(|directory| std::fs::canonicalize(directory).ok()).collect()
}

/// The rules of an ignore file, then those of further patterns.
pub fn rules(ignore_file: Option<&Path>, exclude: &[String]) -> Result<IgnoreRules, ContextError> {
    let mut rules = IgnoreRules::default();
    if let Some(path) = ignore_file {
        rules.add_file(&Arc::new(path.to_owned()), &read_ignore_file(path)?)?;
    }
    for (index, pattern) in exclude.iter().enumerate() {
        rules.add_pattern(index + 1, pattern.as_bytes())?;
    }
    Ok(rules)
}

fn read_ignore_file(path: &Path) -> Result<Vec<u8>, ContextError> {
    let failed = |source| ContextError::IgnoreFile { path: path.to_owned(), source };
    let mut content = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_IGNORE_FILE_BYTES + 1).read_to_end(&mut content).map_err(failed)?;
    if content.len() as u64 > MAX_IGNORE_FILE_BYTES {
        return Err(ContextError::IgnoreFileSize { path: path.to_owned() });
    }
    Ok(content)
}

#[cfg(test)]
mod tests;
