//! The process's surroundings, captured once by the executable and handed down as values.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::path::PathBuf;

/// Arguments, variables, directories and terminal facts at start.
#[derive(Clone)]
pub struct Env {
    /// `argv`, the program's own name first.
    pub args: Vec<OsString>,
    /// Environment variables.
    pub vars: BTreeMap<OsString, OsString>,
    /// The current directory.
    pub cwd: PathBuf,
    /// The user whose process this is, by number; not the one whose rights a set-user-ID file would give it.
    pub uid: u32,
    /// The home directory of this process's user in the system's database of users, where HOME does not say it.
    pub account_home: Option<PathBuf>,
    /// The executable's own file, where links point to.
    pub executable: Option<PathBuf>,
    /// Whether a person can answer on standard input.
    pub stdin_is_terminal: bool,
    /// Whether standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether the program was started with standard output closed; what is written there goes nowhere.
    pub stdout_is_closed: bool,
    /// Whether standard error is a terminal.
    pub stderr_is_terminal: bool,
}

impl Env {
    /// Reads everything from the running process.
    pub fn capture() -> Self {
        Self {
            args: std::env::args_os().collect(),
            vars: std::env::vars_os().collect(),
            cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            uid: rustix::process::getuid().as_raw(),
            account_home: account_home(),
            executable: std::env::current_exe().ok(),
            stdin_is_terminal: std::io::stdin().is_terminal(),
            stdout_is_terminal: std::io::stdout().is_terminal(),
            stdout_is_closed: false,
            stderr_is_terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Returns a variable's value; empty counts as unset, as the shell's `${X:-}` has it.
    pub fn os(&self, name: &str) -> Option<&OsStr> {
        self.vars.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// Returns a variable's value as text; one that is not UTF-8 counts as unset.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.os(name)?.to_str()
    }

    /// Returns the architecture this program was compiled for, in Rust's name.
    pub fn architecture(&self) -> &'static str {
        std::env::consts::ARCH
    }
}

/// Returns what the system's database of users has, asked only where HOME is not set: it may ask a server.
fn account_home() -> Option<PathBuf> {
    match std::env::var_os("HOME") {
        Some(home) if !home.is_empty() => None,
        // The standard library looks into the database where there is no HOME.
        _ => std::env::home_dir().filter(|home| !home.as_os_str().is_empty()),
    }
}

/// Variables may hold secrets; only their names are shown.
impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Env")
            .field("vars", &self.vars.keys().collect::<Vec<_>>())
            .field("cwd", &self.cwd)
            .finish_non_exhaustive()
    }
}
