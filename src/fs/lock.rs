//! Advisory locks on files, with a deadline.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::regular::open_checked;
use super::{Directory, Links};

/// Whether others may hold the lock at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Others may hold it shared.
    Shared,
    /// No other may hold it.
    Exclusive,
}

/// An advisory lock on a file, released when dropped or when the process ends in any way.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process held it for the whole time.
    #[error("`{}` was locked by another process for {} {}", path.display(), waited.as_secs(), if waited.as_secs() == 1 { "second" } else { "seconds" })]
    Deadline {
        /// The lock file.
        path: PathBuf,
        /// How long we tried.
        waited: Duration,
    },
    /// The caller ended the wait.
    #[error("the wait for `{}` was interrupted", .0.display())]
    Interrupted(PathBuf),
    /// The lock file could not be opened or locked.
    #[error("cannot lock `{}`", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

impl FileLock {
    /// Takes the lock, trying for at most `patience`. The file is created where it is missing; a link is refused.
    pub fn acquire(path: &Path, hold: Hold, patience: Duration) -> Result<Self, LockError> {
        LockFile::At(path).wait(hold, patience, || false)
    }

    /// Takes the lock if no other process is in the way right now.
    pub fn try_acquire(path: &Path, hold: Hold) -> Result<Option<Self>, LockError> {
        LockFile::At(path).try_lock(hold)
    }

    /// Takes a lock in an open directory, trying for at most `patience`; gives up soon after `stopped` answers true.
    pub fn acquire_in(
        directory: &Directory,
        name: &str,
        hold: Hold,
        patience: Duration,
        stopped: impl Fn() -> bool,
    ) -> Result<Self, LockError> {
        LockFile::In(directory, name).wait(hold, patience, stopped)
    }

    /// Takes a lock in an open directory if no other process is in the way right now.
    pub fn try_acquire_in(directory: &Directory, name: &str, hold: Hold) -> Result<Option<Self>, LockError> {
        LockFile::In(directory, name).try_lock(hold)
    }
}

/// The file that is locked.
#[derive(Clone, Copy)]
enum LockFile<'a> {
    At(&'a Path),
    In(&'a Directory, &'a str),
}

impl LockFile<'_> {
    fn path(self) -> PathBuf {
        match self {
            Self::At(path) => path.to_owned(),
            Self::In(directory, name) => directory.path().join(name),
        }
    }

    fn open(self) -> io::Result<File> {
        match self {
            Self::At(path) => {
                let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CREATE;
                open_checked(rustix::fs::CWD, path, flags, Links::Refuse)
            }
            Self::In(directory, name) => directory.open_writable(name),
        }
    }

    fn wait(self, hold: Hold, patience: Duration, stopped: impl Fn() -> bool) -> Result<FileLock, LockError> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(lock) = self.try_lock(hold)? {
                return Ok(lock);
            }
            if stopped() {
                return Err(LockError::Interrupted(self.path()));
            }
            let waited = started.elapsed();
            if waited >= patience {
                return Err(LockError::Deadline { path: self.path(), waited: patience });
            }
            // The lock is polled because a blocking call can neither be stopped nor given a deadline.
            std::thread::sleep(pause.min(patience.saturating_sub(waited)));
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    fn try_lock(self, hold: Hold) -> Result<Option<FileLock>, LockError> {
        let io = |source| LockError::Io { path: self.path(), source };
        let file = self.open().map_err(io)?;
        let taken = match hold {
            Hold::Shared => file.try_lock_shared(),
            Hold::Exclusive => file.try_lock(),
        };
        match taken {
            Ok(()) => Ok(Some(FileLock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exclusive_lock_waits_and_gives_up() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("lock");
        let first = FileLock::acquire(&path, Hold::Shared, Duration::ZERO).expect("free");
        let second = FileLock::acquire(&path, Hold::Shared, Duration::ZERO).expect("shared");
        let refused = FileLock::acquire(&path, Hold::Exclusive, Duration::from_millis(5));
        assert!(matches!(refused, Err(LockError::Deadline { .. })), "{refused:?}");
        let directory = Directory::open(dir.path()).expect("opened");
        let stopped = FileLock::acquire_in(&directory, "lock", Hold::Exclusive, Duration::from_hours(1), || true);
        assert!(matches!(stopped, Err(LockError::Interrupted(_))), "{stopped:?}");
        drop((first, second));
        FileLock::acquire(&path, Hold::Exclusive, Duration::ZERO).expect("free again");
    }
}
