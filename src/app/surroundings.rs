//! What a workflow knows of the process that it runs in.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::audit::{AuditError, AuditLog, Event, Record};
use crate::config::{ConfigError, ConfigInputs, NoHome, Settings};
use crate::progress::Interrupt;
use crate::tls::SystemRoots;

/// The process as the edge found it: directories, variables, settings, and who runs it.
#[derive(Clone)]
pub struct Surroundings {
    /// The current directory.
    pub directory: PathBuf,
    /// The environment's variables.
    pub variables: BTreeMap<OsString, OsString>,
    /// The kubeconfigs that `KUBECONFIG` names, if it is set.
    pub kubeconfigs: Option<Vec<PathBuf>>,
    /// What decides the settings, `--store` excepted.
    pub config: ConfigInputs,
    /// The system's trusted certificates, or those that the environment names; read once for all that need them.
    pub system_roots: SystemRoots,
    /// The user, by number.
    pub user: u32,
    /// The name of the command, for the audit log.
    pub command: &'static str,
    /// Set by a signal that asks to stop.
    pub interrupt: Interrupt,
}

/// Why a line was not written to the audit log.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The log's directory is not known.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log cannot be written.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

impl Surroundings {
    /// Returns a variable's value; one that is empty counts as unset.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// Returns a variable's value as text; one that is not UTF-8 counts as unset.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.variable(name)?.to_str()
    }

    /// Returns `path` as the current directory sees it.
    pub fn absolute(&self, path: &Path) -> PathBuf {
        self.directory.join(path)
    }

    /// Returns the user's home directory.
    ///
    /// # Errors
    ///
    /// Fails if the user has none.
    pub fn home(&self) -> Result<PathBuf, NoHome> {
        self.config.user_home.clone().unwrap_or(Err(NoHome::Unknown))
    }

    /// Returns the settings. `store` is the value of `--store`.
    ///
    /// # Errors
    ///
    /// Fails if the user has no home directory, or the settings file cannot be read.
    pub fn settings(&self, store: Option<&Path>) -> Result<Settings, ConfigError> {
        let store_flag = store.map(|path| self.absolute(path));
        Settings::resolve(ConfigInputs { store_flag, ..self.config.clone() })
    }

    /// Writes a line of the audit log.
    ///
    /// # Errors
    ///
    /// Fails if the log cannot be written.
    pub fn audit(
        &self,
        event: Event,
        host: &str,
        source: Option<&str>,
        fingerprint: Option<&str>,
    ) -> Result<(), RecordError> {
        let log = AuditLog::new(&self.settings(None)?.home.value);
        let (time, uid, command) = (now(), self.user, self.command);
        Ok(log.append(&Record { time: &time, uid, command, event, host, source, fingerprint })?)
    }
}

/// Returns the wall-clock time in RFC 3339, in whole seconds.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().round(jiff::Unit::Second).map_or_else(|_| String::new(), |now| now.to_string())
}
