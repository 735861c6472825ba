//! What goes into an image: the files below a directory that the ignore rules leave in.
//!
//! Reads names and attributes only; the layer reads the content. Knows nothing of archives.

mod advice;
mod counts;
mod dockerfile;
mod entry;
mod error;
mod ignore_file;
mod lstat;
mod pattern;
mod rule_stats;
mod rules;
mod secret_advice;
mod secrets;
mod walk;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use advice::advice;
pub use counts::Counts;
pub use dockerfile::{DOCKERFILES, is_dockerfile, read_head, reads_like_dockerfile};
pub use entry::{Entry, Kind, MAX_DEPTH, Stamp};
pub use error::{ContextError, SpecialKind};
pub use pattern::{MAX_PATTERN_BYTES, PatternError};
pub use rule_stats::Decided;
pub use rules::{IgnoreRules, MAX_IGNORE_FILE_BYTES, MAX_RULES, Origin, Rule, RuleCache, RuleError, Verdict};
pub use secret_advice::{LeaveOut, SecretFiles};
pub use secrets::{SECRET_HEAD_BYTES, Suspicion, suspicion};
pub use walk::Listing;

use rustix::fs::{AtFlags, OFlags, statat};

use crate::fs::{open_beneath, open_real};
use crate::progress::Interrupt;

/// Ignore files looked for in a context's root, first found wins.
pub const IGNORE_FILES: [&str; 2] = [".containerignore", ".dockerignore"];

/// A directory to make an image of.
#[derive(Debug, Clone)]
pub struct Context {
    given: PathBuf,
    root: PathBuf,
    /// The directory itself: everything in it is opened from here, so that neither a link nor a directory put in its
    /// place or above it leads elsewhere.
    handle: Arc<OwnedFd>,
}

impl Context {
    /// Finds the directory; `path` may be a link to one.
    pub fn open(path: &Path) -> Result<Self, ContextError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => ContextError::NotFound { path: path.to_owned() },
            io::ErrorKind::NotADirectory if is_dockerfile(path) => ContextError::IsDockerfile { path: path.to_owned() },
            io::ErrorKind::NotADirectory => ContextError::NotADirectory { path: path.to_owned() },
            _ => ContextError::Unreadable { path: path.to_owned(), source },
        };
        let root = std::fs::canonicalize(path).map_err(failed)?;
        let handle = open_real(&root).map_err(|error| failed(error.into()))?;
        Ok(Self { given: path.to_owned(), root, handle: Arc::new(handle) })
    }

    /// Returns the directory itself, as a starting point for paths and for questions about its file system.
    pub fn handle(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// Opens the file of an entry for reading without following any link. Does not wait, should the name stand for a
    /// named pipe by now.
    pub fn open_file(&self, entry: &Entry) -> io::Result<File> {
        let file = open_beneath(self.handle(), entry.relative(), OFlags::RDONLY | OFlags::NONBLOCK)?;
        Ok(file.into())
    }

    /// Returns whether something exists at a path relative to the root, without following links.
    pub fn has(&self, relative: &Path) -> bool {
        let Some(name) = relative.file_name() else { return relative.as_os_str().is_empty() };
        let parent = crate::fs::parent(relative);
        open_beneath(self.handle(), parent, crate::fs::HANDLE)
            .is_ok_and(|parent| statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok())
    }

    /// Returns the name of the Dockerfile in the root, if there is one: a file, or a link to a file.
    pub fn dockerfile(&self) -> Option<&'static str> {
        let is_file = |name: &&str| std::fs::metadata(self.root.join(name)).is_ok_and(|metadata| metadata.is_file());
        DOCKERFILES.into_iter().find(is_file)
    }

    /// Returns the directory's absolute path without links.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns what messages call the directory: the path as it was given.
    pub fn given(&self) -> &Path {
        &self.given
    }

    /// Returns what messages call something in the directory.
    pub fn shown(&self, relative: &Path) -> PathBuf {
        match &self.given {
            given if given == Path::new(".") => relative.to_owned(),
            given => given.join(relative),
        }
    }

    /// Returns the ignore file that counts: the one chosen or, without a choice, one of [`IGNORE_FILES`].
    pub fn ignore_file(&self, chosen: Option<&Path>) -> Result<Option<PathBuf>, ContextError> {
        if let Some(chosen) = chosen {
            return Ok(Some(chosen.to_owned()));
        }
        for name in IGNORE_FILES {
            let shown = self.shown(Path::new(name));
            match std::fs::metadata(self.root.join(name)) {
                Ok(metadata) if metadata.is_file() => return Ok(Some(shown)),
                Ok(_) => return Err(ContextError::IgnoreFileKind { path: shown }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    // A dangling link is an error: its author expects rules that would not apply.
                    if self.root.join(name).is_symlink() {
                        return Err(ContextError::IgnoreFileDangling { path: shown });
                    }
                }
                Err(source) => return Err(ContextError::IgnoreFile { path: shown, source }),
            }
        }
        Ok(None)
    }

    /// Returns the rules of an ignore file, then those of further patterns.
    pub fn rules(&self, ignore_file: Option<&Path>, exclude: &[String]) -> Result<IgnoreRules, ContextError> {
        rules(ignore_file, exclude)
    }

    /// Returns what is at a path relative to the root, whatever the rules say; links are not followed.
    pub fn entry(&self, relative: &Path) -> Result<Entry, ContextError> {
        let bytes = relative.as_os_str().as_bytes();
        let failed = |error: rustix::io::Errno| lstat::unreadable(self.shown(relative), error);
        let parent = open_beneath(self.handle(), crate::fs::parent(relative), crate::fs::HANDLE).map_err(failed)?;
        let name = relative.file_name().ok_or(rustix::io::Errno::INVAL).map_err(failed)?;
        lstat::entry(self, parent, name, bytes)
    }

    /// Everything the rules leave in, sorted by the bytes of its path, parents before children.
    ///
    /// `skip` are absolute paths without links that are left out whatever the rules say.
    pub fn list(&self, rules: &IgnoreRules, skip: &[PathBuf], interrupt: &Interrupt) -> Result<Listing, ContextError> {
        walk::walk(self, rules, skip, interrupt, &|_| {})
    }
}

/// Returns the directories as the walk meets them, absolute and without links; missing directories are left out, since
/// the walk cannot meet them.
pub fn real(directories: &[PathBuf]) -> Vec<PathBuf> {
    directories.iter().filter_map(|directory| std::fs::canonicalize(directory).ok()).collect()
}

/// Returns the rules of an ignore file, then those of further patterns.
pub fn rules(ignore_file: Option<&Path>, exclude: &[String]) -> Result<IgnoreRules, ContextError> {
    let mut rules = IgnoreRules::default();
    if let Some(path) = ignore_file {
        rules.add_file(&Arc::new(path.to_owned()), &ignore_file::read(path, ignore_file::PATIENCE)?)?;
    }
    for (index, pattern) in exclude.iter().enumerate() {
        rules.add_pattern(index + 1, pattern.as_bytes())?;
    }
    Ok(rules)
}

#[cfg(test)]
mod tests;
