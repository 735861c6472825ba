//! A place where the executable runs with nothing of the surroundings: own home, own directory, named variables only.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Passwords the suites use; none may ever be printed.
pub const SECRETS: &[&str] = &["correct-horse-battery", "s3cr3t-t0k3n-f0r-t3sts"];

/// The rate of a transfer in a snapshot, to be left out: it differs, and what took no millisecond has none.
pub const RATE: &str = r", [0-9.]+ [KMG]?i?B/s";

/// Returns the executable under test: the one that cargo names, else the one beside the folder of the running test.
pub fn executable() -> PathBuf {
    if let Some(path) = std::env::var_os("CARGO_BIN_EXE_idpbuilder-oci") {
        return path.into();
    }
    let test = std::env::current_exe().expect("the path of the running test");
    let profile = test.parent().and_then(Path::parent).expect("a test stands in target/PROFILE/deps");
    profile.join("idpbuilder-oci")
}

/// A private home and work directory, removed when dropped.
pub struct Sandbox {
    root: tempfile::TempDir,
    variables: BTreeMap<OsString, OsString>,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Sandbox {
    /// Makes an empty home and an empty work directory.
    pub fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        for name in ["home", "here", "run"] {
            std::fs::create_dir(root.path().join(name)).expect("a directory");
        }
        let mut sandbox = Self { root, variables: BTreeMap::new() };
        let home = sandbox.home();
        sandbox.set("HOME", home);
        // Neither this session's keyring nor its logins.
        let runtime = sandbox.path().join("run");
        sandbox.set("XDG_RUNTIME_DIR", runtime);
        sandbox.set("PATH", "/usr/bin:/bin");
        sandbox.set("LC_ALL", "C.UTF-8");
        sandbox
    }

    /// Sets an environment variable of later runs.
    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.variables.insert(name.into(), value.into());
    }

    /// Removes an environment variable of later runs.
    pub fn unset(&mut self, name: &str) {
        self.variables.remove(OsStr::new(name));
    }

    /// Returns the home directory.
    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// Where commands run.
    pub fn work(&self) -> PathBuf {
        self.root.path().join("here")
    }

    /// Returns the directory of the image store.
    pub fn store(&self) -> PathBuf {
        self.home().join(".idpbuilder/images")
    }

    /// Writes a file below the work directory, with its parents.
    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work().join(path);
        std::fs::create_dir_all(path.parent().expect("below the work directory")).expect("a directory");
        std::fs::write(&path, content).expect("written");
        path
    }

    /// The command line, ready to run: the first word is `argv[0]`.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(executable());
        command.arg0(words[0]).args(&words[1..]).current_dir(self.work());
        command.env_clear().envs(&self.variables).stdin(Stdio::null());
        command
    }

    /// A script for bash in the same surroundings; it stops at the first command that fails.
    pub fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", script]).current_dir(self.work());
        command.env_clear().envs(&self.variables).stdin(Stdio::null());
        command
    }

    /// Runs a command line with nothing on standard input.
    pub fn run(&self, words: &[&str]) -> Output {
        self.finish(words, self.command(words), b"")
    }

    /// Runs a command line with `input` on standard input.
    pub fn run_with_input(&self, words: &[&str], input: &[u8]) -> Output {
        self.finish(words, self.command(words), input)
    }

    /// Runs a prepared command with `input` on standard input.
    pub fn finish(&self, words: &[&str], command: Command, input: &[u8]) -> Output {
        let output = assert_cmd::Command::from_std(command).write_stdin(input.to_vec()).output().expect("it runs");
        let output = Output {
            line: words.join(" "),
            code: output.status.code(),
            stdout: self.neutral(&output.stdout),
            stderr: self.neutral(&output.stderr),
            raw: output.stdout,
        };
        for secret in SECRETS {
            let shown = output.stdout.contains(secret) || output.stderr.contains(secret);
            assert!(!shown, "a secret was printed:\n{output}");
        }
        output
    }

    /// Text with the sandbox's own paths replaced.
    pub fn neutral(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes);
        let root = self.root.path().canonicalize().expect("it exists");
        text.replace(&root.display().to_string(), "[SANDBOX]")
            .replace(&self.root.path().display().to_string(), "[SANDBOX]")
    }

    /// Returns the directory that holds the sandbox.
    pub fn path(&self) -> &Path {
        self.root.path()
    }
}

/// All that a run showed.
#[must_use = "unlooked-at output proves nothing"]
pub struct Output {
    /// The command line.
    pub line: String,
    /// The exit code; none if a signal ended the process.
    pub code: Option<i32>,
    /// Standard output, as text.
    pub stdout: String,
    /// Standard error, as text.
    pub stderr: String,
    /// Standard output, as bytes.
    pub raw: Vec<u8>,
}

impl Output {
    /// Fails the test unless the command succeeded; answers its standard output.
    #[track_caller]
    pub fn success(self) -> String {
        assert_eq!(self.code, Some(0), "{self}");
        self.stdout
    }

    /// Fails the test unless the command ended with `code`; answers its standard error.
    #[track_caller]
    pub fn failure(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self}");
        self.stderr
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.map_or_else(|| "killed".to_owned(), |code| code.to_string());
        writeln!(f, "$ {}", self.line)?;
        writeln!(f, "exit {code}")?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if text.is_empty() {
                writeln!(f, "{name} (empty)")?;
            } else {
                writeln!(f, "{name}")?;
                for line in text.lines() {
                    writeln!(f, "  {line}")?;
                }
            }
        }
        Ok(())
    }
}
