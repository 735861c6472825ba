//! Adds our credential helper to Docker's and the containers tools' `credHelpers`, and removes it again.
//!
//! The JSON files also hold credentials of other registries. A change is planned from the current content, then printed
//! or carried out, and leaves every other byte unchanged. Changes are recorded without the file's content; if the file
//! has not changed since, removing the helper restores its former bytes.

mod document;
mod files;
mod plan;
mod record;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use files::{Content, read};
use record::Records;

pub use document::Mistake;
pub use plan::{plan_install, plan_uninstall};

use crate::credentials::MAX_CONFIG_BYTES;
use crate::fs::{Exchanged, FileLock, Hold, LockError, create_private_dir, exchange, parent};
use crate::text;

/// How long to wait for another command that changes the same files.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who reads a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reader {
    /// Docker's command line.
    Docker,
    /// Podman, skopeo and buildah.
    Podman,
}

/// A file where a program looks for credential helpers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The program.
    pub reader: Reader,
    /// The file; it need not be there.
    pub path: PathBuf,
}

/// What happens to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is made.
    Create,
    /// It is changed.
    Write,
    /// It is removed, since it was made for this and holds nothing else.
    Remove,
    /// It is right already.
    Keep,
}

/// One file's part of a plan.
pub struct Step {
    /// The file, as its reader finds it.
    pub path: PathBuf,
    /// What happens to it.
    pub change: Change,
    /// The registries that are given our helper, or lose it.
    pub registries: Vec<String>,
    /// The change as a unified diff in which every string that may be a secret is hidden.
    pub diff: String,
    target: PathBuf,
    before: Content,
    after: Content,
    /// What is removed after the file if it is empty then; the outermost first.
    directories: Vec<PathBuf>,
}

/// The contents are not shown: others keep their credentials there.
impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step").field("path", &self.path).field("change", &self.change).finish_non_exhaustive()
    }
}

/// Changes that fit together, not carried out yet.
#[derive(Debug)]
pub struct Plan {
    steps: Vec<Step>,
    found: Records,
    kept: Records,
}

/// A registry for which another helper is configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{helper:?} for {registry} in `{}`", path.display())]
pub struct Foreign {
    /// The file.
    pub path: PathBuf,
    /// The registry.
    pub registry: String,
    /// The helper's name.
    pub helper: String,
}

/// Why files were not changed, or not all of them.
#[derive(Debug, thiserror::Error)]
pub enum CredHelperError {
    /// A file or directory cannot be used.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Larger than any credentials file.
    #[error("`{}` is larger than the {} allowed", .0.display(), text::size(MAX_CONFIG_BYTES))]
    TooLarge(PathBuf),
    /// The content is not valid for the programs that read it.
    #[error("`{}` {mistake} (line {line}, column {column})", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        mistake: Mistake,
        /// Where, counted from 1.
        line: usize,
        /// Where in the line, in bytes.
        column: usize,
    },
    /// Other helpers are configured for these registries; nothing was changed.
    #[error("left alone what was there: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Foreign(Vec<Foreign>),
    /// Another program changed it between the plan and its carrying out.
    #[error("`{}` was changed by another program at the same time", .0.display())]
    Changed(PathBuf),
    /// The record of what was changed cannot be understood.
    #[error("`{}` is not a record of changed files", .0.display())]
    Record(PathBuf),
    /// Another command is at it.
    #[error("another command changes the same files")]
    Lock(#[from] LockError),
}

/// Returns the files in which an installation named our helper.
pub fn wired(home: &Path) -> Result<Vec<PathBuf>, CredHelperError> {
    Ok(Records::load(home)?.files.into_iter().map(|record| record.path).collect())
}

impl Plan {
    /// Returns the step for each file, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Carries the plan out. `home` is the one that it was made for.
    pub fn carry_out(&self, home: &Path) -> Result<(), CredHelperError> {
        if self.kept == self.found && self.steps.iter().all(|step| step.change == Change::Keep) {
            return Ok(());
        }
        create_private_dir(home).map_err(|source| CredHelperError::Io {
            action: "make",
            path: home.to_owned(),
            source,
        })?;
        let _lock = FileLock::acquire(&home.join(".wiring.lock"), Hold::Exclusive, PATIENCE)?;
        if Records::load(home)? != self.found {
            return Err(CredHelperError::Changed(Records::path(home)));
        }
        for step in &self.steps {
            if read(&step.target)? != step.before {
                return Err(CredHelperError::Changed(step.path.clone()));
            }
        }
        // Until all is done the record has what was and what will be, so that a crash loses neither.
        let mut both = self.found.clone();
        self.kept.files.iter().for_each(|record| both.put(record.clone()));
        both.save(home)?;
        for step in &self.steps {
            step.carry_out()?;
        }
        self.kept.save(home)
    }
}

impl Step {
    fn carry_out(&self) -> Result<(), CredHelperError> {
        let failed = |action, path: &Path, source| CredHelperError::Io { action, path: path.to_owned(), source };
        let action = match self.change {
            Change::Keep => return Ok(()),
            Change::Create | Change::Write => {
                let directory = parent(&self.target);
                create_private_dir(directory).map_err(|source| failed("make", directory, source))?;
                "write"
            }
            Change::Remove => "remove",
        };
        let (before, after) = (self.before.as_deref(), self.after.as_deref());
        let exchanged = exchange(&self.target, before.map(Vec::as_slice), after.map(Vec::as_slice), MAX_CONFIG_BYTES)
            .map_err(|source| failed(action, &self.path, source))?;
        if exchanged == Exchanged::Lost {
            return Err(CredHelperError::Changed(self.path.clone()));
        }
        for directory in self.directories.iter().rev() {
            // A directory with content belongs to another program by now.
            let _ = std::fs::remove_dir(directory);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
