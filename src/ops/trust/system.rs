//! The system's certificate store, and the program that rebuilds it.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::change::{Change, InstallError};

/// Bytes of a failed program's messages that are kept.
const MAX_WORDS: usize = 1000;
/// Bytes of the messages that are read.
const MAX_READ: u64 = 1 << 20;

/// A kind of certificate store: the directory for files, and the program that adds them to the store.
#[derive(Debug, Clone, Copy)]
pub(super) struct SystemStore {
    pub(super) directory: &'static str,
    program: &'static str,
    pub(super) add: &'static [&'static str],
    pub(super) remove: &'static [&'static str],
}

const SYSTEM_STORES: [SystemStore; 3] = [
    // Debian, Ubuntu, Alpine. Without --fresh, links to what was removed stay.
    SystemStore {
        directory: "usr/local/share/ca-certificates",
        program: "usr/sbin/update-ca-certificates",
        add: &[],
        remove: &["--fresh"],
    },
    // Fedora and its relatives.
    SystemStore {
        directory: "etc/pki/ca-trust/source/anchors",
        program: "usr/bin/update-ca-trust",
        add: &["extract"],
        remove: &["extract"],
    },
    // Arch.
    SystemStore {
        directory: "etc/ca-certificates/trust-source/anchors",
        program: "usr/bin/trust",
        add: &["extract-compat"],
        remove: &["extract-compat"],
    },
];

/// Returns the known programs, for messages.
fn known_programs() -> String {
    SYSTEM_STORES.map(|store| store.program).join(", ")
}

/// Returns the kind of store that this system has.
pub(super) fn system_store(root: &Path) -> Result<SystemStore, InstallError> {
    let there = |store: &&SystemStore| root.join(store.program).is_file();
    SYSTEM_STORES.iter().find(there).copied().ok_or_else(|| InstallError::NoSystemStore { programs: known_programs() })
}

impl SystemStore {
    /// Returns the run of the program as a step.
    pub(super) fn step(&self, root: &Path, words: &[&str]) -> Change {
        Change::Run(root.join(self.program), words.iter().map(|word| (*word).to_owned()).collect())
    }

    /// Runs the program and waits for it for up to `patience`.
    pub(super) fn run(&self, root: &Path, words: &[&str], patience: Duration) -> Result<(), InstallError> {
        let program = root.join(self.program);
        let failed = |source| InstallError::Io { action: "run", path: program.clone(), source };
        // Messages go to a file; a pipe would have to be read while waiting.
        let mut words_said = tempfile::tempfile().map_err(failed)?;
        let stderr = words_said.try_clone().map_err(failed)?;
        let mut command = Command::new(&program);
        // The script may run as root, so it inherits none of the caller's environment.
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").args(words);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().map_err(failed)?;
        let Some(status) = wait(&mut child, patience).map_err(failed)? else {
            return Err(InstallError::Endless { program, limit: patience });
        };
        if status.success() {
            return Ok(());
        }
        let said = said(&mut words_said).map_err(failed)?;
        Err(InstallError::Program { program, said: format!("{status} ({said})") })
    }
}

/// Waits for a child; returns `None` after killing one that takes longer.
fn wait(child: &mut Child, patience: Duration) -> io::Result<Option<ExitStatus>> {
    let end = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        // The standard library has no wait with a deadline.
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Returns the end of a program's messages.
fn said(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(MAX_READ).read_to_end(&mut bytes)?;
    let text: String = String::from_utf8_lossy(&bytes).chars().filter(|c| !c.is_control()).collect();
    let from = text.char_indices().rev().nth(MAX_WORDS).map_or(0, |(at, _)| at);
    Ok(text[from..].trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let root = tempfile::tempdir().expect("a directory");
        let store = SYSTEM_STORES[0];
        let program = root.path().join(store.program);
        std::fs::create_dir_all(program.parent().expect("below the root")).expect("made");
        std::os::unix::fs::symlink("/bin/sh", &program).expect("linked");
        // It would outlast every test, and leaves its number.
        let number = root.path().join("number");
        let words = ["-c", "echo $$ > \"$0\"; exec sleep 1000", number.to_str().expect("text")];
        let error = store.run(root.path(), &words, Duration::from_secs(1)).expect_err("endless");
        assert!(matches!(error, InstallError::Endless { .. }), "{error:?}");
        let number = std::fs::read_to_string(number).expect("it ran");
        assert!(!Path::new("/proc").join(number.trim()).exists(), "it is gone");
    }
}
