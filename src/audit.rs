//! The audit log: unverified connections, changes of trust, and uses of credentials.
//!
//! Each line is one JSON object, appended whole under a lock. No line holds a secret. The file is rotated by size; one
//! older file is kept.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::fs::{self, FileLock, Hold, LockError};

/// Bytes after which a new file is begun.
const MAX_BYTES: u64 = 1 << 20;

/// How long to wait for another process that writes.
const PATIENCE: Duration = Duration::from_secs(5);

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A registry was used without verifying its certificate.
    Insecure,
    /// A registry was used without TLS.
    PlainHttp,
    /// A credential was chosen for a registry.
    Credential,
    /// A certificate was trusted.
    TrustAdd,
    /// A certificate is trusted no more.
    TrustRemove,
    /// A certificate was given to another program, or taken back.
    TrustInstall,
    /// A person's login was kept.
    Login,
    /// A person's login was forgotten.
    Logout,
    /// Another program was told to ask our credential helper for a registry, or to stop that.
    HelperInstall,
}

impl Event {
    /// Returns whether the line has to be on the disk before the work goes on: the event changes what later runs trust
    /// or send, or gives up verification. The other events concern one run, and their lines are not synced.
    fn is_lasting(self) -> bool {
        !matches!(self, Self::PlainHttp | Self::Credential)
    }
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record<'a> {
    /// RFC 3339 wall-clock time.
    pub time: &'a str,
    /// The local user, by number: names can be given twice and changed.
    pub uid: u32,
    /// The command.
    pub command: &'a str,
    /// What happened.
    pub event: Event,
    /// The registry, `host` or `host:port`.
    pub host: &'a str,
    /// Where the credential or certificate came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<&'a str>,
    /// `sha256:` of the certificate meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<&'a str>,
}

/// Why a line was not written.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The system refused.
    #[error("cannot write the audit log `{}`", path.display())]
    Io {
        /// The log.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Another process held the lock until the deadline.
    #[error("the audit log is in use")]
    Lock(#[source] LockError),
}

/// The log in the program's directory.
#[derive(Debug, Clone)]
pub struct AuditLog {
    path: PathBuf,
    patience: Duration,
}

impl AuditLog {
    /// Returns the log `audit.jsonl` of `home`; nothing is created before the first line.
    pub fn new(home: &Path) -> Self {
        Self { path: home.join("audit.jsonl"), patience: PATIENCE }
    }

    /// Appends a line, whole or not at all.
    pub fn append(&self, record: &Record<'_>) -> Result<(), AuditError> {
        let io = |source| AuditError::Io { path: self.path.clone(), source };
        let mut line = serde_json::to_vec(record).expect("a record has only strings");
        line.push(b'\n');
        fs::create_private_dir(fs::parent(&self.path)).map_err(io)?;
        let lock = self.path.with_file_name(".audit.lock");
        let _lock = FileLock::acquire(&lock, Hold::Exclusive, self.patience).map_err(|error| match error {
            LockError::Io { source, .. } => io(source),
            busy => AuditError::Lock(busy),
        })?;
        self.rotate(line.len() as u64).map_err(io)?;
        let file = self.write(line).map_err(io)?;
        if !record.event.is_lasting() {
            return Ok(());
        }
        // The log may be new, or its first lines ones that need not last: then its name is not on the disk either.
        file.sync_data().and_then(|()| fs::sync_dir(fs::parent(&self.path))).map_err(io)
    }

    /// Appends the line in one write. It begins on a line of its own even after a line that a crash cut short, and is
    /// taken back if the disk has no room for it.
    fn write(&self, mut line: Vec<u8>) -> io::Result<File> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.path)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        let before = file.metadata()?.len();
        if before > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                line.insert(0, b'\n');
            }
        }
        if file.write(&line)? < line.len() {
            file.set_len(before)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(file)
    }

    fn rotate(&self, growth: u64) -> io::Result<()> {
        match std::fs::symlink_metadata(&self.path) {
            // Opening a FIFO would wait for a reader; a link leads who knows where.
            Ok(metadata) if !metadata.is_file() => {
                Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
            }
            Ok(metadata) if metadata.len() + growth > MAX_BYTES => {
                std::fs::rename(&self.path, self.path.with_extension("jsonl.1"))
            }
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(host: &str) -> Record<'_> {
        Record {
            time: "2026-01-02T03:04:05Z",
            uid: 1000,
            command: "push",
            event: Event::Insecure,
            host,
            source: None,
            fingerprint: None,
        }
    }

    #[test]
    fn lines_are_whole_and_private() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = dir.path().join("home");
        let log = AuditLog::new(&home);
        log.append(&record("one:443")).expect("written");
        let told = Record { event: Event::Credential, source: Some("the environment"), ..record("two") };
        log.append(&told).expect("written");
        let text = std::fs::read_to_string(home.join("audit.jsonl")).expect("there");
        assert_eq!(
            text,
            "{\"time\":\"2026-01-02T03:04:05Z\",\"uid\":1000,\"command\":\"push\",\"event\":\"insecure\",\"host\":\"one:443\"}\n\
             {\"time\":\"2026-01-02T03:04:05Z\",\"uid\":1000,\"command\":\"push\",\"event\":\"credential\",\"host\":\"two\",\"source\":\"the environment\"}\n"
        );
        let mode = std::fs::metadata(home.join("audit.jsonl")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn only_what_tells_of_one_run_is_not_waited_for() {
        let of_one_run = [Event::PlainHttp, Event::Credential];
        assert!(!of_one_run.iter().any(|event| event.is_lasting()));
        let trust = [Event::Insecure, Event::TrustAdd, Event::TrustRemove, Event::TrustInstall];
        let logins = [Event::Login, Event::Logout, Event::HelperInstall];
        assert!(trust.iter().chain(&logins).all(|event| event.is_lasting()));
    }

    #[test]
    fn a_lock_that_cannot_be_made_is_not_held_by_somebody() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join(".audit.lock")).expect("made");
        let error = AuditLog::new(dir.path()).append(&record("host")).expect_err("a directory is no lock");
        let AuditError::Io { path, source } = error else { panic!("{error:?}") };
        assert_eq!((path, source.kind()), (dir.path().join("audit.jsonl"), io::ErrorKind::IsADirectory));
    }

    #[test]
    fn a_full_log_is_put_aside() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = AuditLog::new(dir.path());
        let size = usize::try_from(MAX_BYTES).expect("small") - 10;
        std::fs::write(dir.path().join("audit.jsonl"), vec![b'x'; size]).expect("written");
        std::fs::write(dir.path().join("audit.jsonl.1"), "older").expect("written");
        log.append(&record("host")).expect("written");
        assert_eq!(std::fs::metadata(dir.path().join("audit.jsonl.1")).expect("there").len(), size as u64);
        assert_eq!(std::fs::read_to_string(dir.path().join("audit.jsonl")).expect("there").lines().count(), 1);
    }

    #[test]
    fn a_line_that_was_cut_short_does_not_damage_the_next() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("audit.jsonl");
        std::fs::write(&path, "{\"time\":\"20").expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("mode");
        AuditLog::new(dir.path()).append(&record("next")).expect("written");
        let text = std::fs::read_to_string(&path).expect("there");
        let last: serde_json::Value = serde_json::from_str(text.lines().last().expect("a line")).expect("whole");
        assert_eq!(last["host"], "next");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_no_log_is_not_written_to() {
        use rustix::fs::{CWD, FileType, mknodat};
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name).join("audit.jsonl");
        for name in ["directory", "link", "pipe"] {
            std::fs::create_dir(dir.path().join(name)).expect("made");
        }
        std::fs::create_dir(at("directory")).expect("made");
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), at("link")).expect("linked");
        mknodat(CWD, at("pipe"), FileType::Fifo, 0o600.into(), 0).expect("made");
        for name in ["directory", "link", "pipe"] {
            let error = AuditLog::new(&dir.path().join(name)).append(&record("h")).expect_err(name);
            assert!(matches!(error, AuditError::Io { .. }), "{name}: {error:?}");
        }
        assert!(!dir.path().join("elsewhere").exists());
    }

    #[test]
    fn one_writer_at_a_time() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = AuditLog { patience: Duration::ZERO, ..AuditLog::new(dir.path()) };
        log.append(&record("one")).expect("written");
        let path = dir.path().join("audit.jsonl");
        let before = std::fs::read(&path).expect("there");
        // The other writer may have put the full log aside, or be in the middle of its line.
        // A lock that a writer shared with another would not keep it out.
        let other = FileLock::acquire(&dir.path().join(".audit.lock"), Hold::Shared, Duration::ZERO).expect("free");
        let refused = log.append(&record("two")).expect_err("locked");
        assert!(matches!(refused, AuditError::Lock(LockError::Deadline { .. })), "{refused:?}");
        assert_eq!(std::fs::read(&path).expect("there"), before);
        drop(other);
        log.append(&record("two")).expect("written");
    }

    #[test]
    fn writers_do_not_cut_each_other() {
        let dir = tempfile::tempdir().expect("a directory");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        AuditLog::new(dir.path()).append(&record("host")).expect("written");
                    }
                });
            }
        });
        let text = std::fs::read_to_string(dir.path().join("audit.jsonl")).expect("there");
        assert_eq!(text.lines().count(), 100);
        assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }
}
