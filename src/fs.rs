//! Files that are either whole or absent: private directories, atomic replacement, locks with a deadline.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Creates `path` and its missing parents for the owner alone (0700).
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Replaces `path` with `bytes`: a reader sees the old content or the new, also after a crash.
/// The file gets mode 0600, or keeps the mode it had.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = parent(path);
    let mut file = tempfile::Builder::new().prefix(".tmp-").tempfile_in(directory)?;
    file.write_all(bytes)?;
    if let Ok(metadata) = std::fs::metadata(path) {
        let mode = metadata.permissions().mode() & 0o7777;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_dir(directory)
}

/// Makes the entries of a directory durable.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The directory `path` is in; `.` for a bare name.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Who else may hold the lock at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Others that hold it shared.
    Shared,
    /// Nobody.
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
    #[error("`{}` was locked by another process for {} seconds", path.display(), waited.as_secs())]
    Deadline {
        /// The lock file.
        path: PathBuf,
        /// How long we tried.
        waited: Duration,
    },
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
    /// Takes the lock, trying for at most `patience`.
    pub fn acquire(path: &Path, hold: Hold, patience: Duration) -> Result<Self, LockError> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(lock) = Self::try_acquire(path, hold)? {
                return Ok(lock);
            }
            let waited = started.elapsed();
            if waited >= patience {
                return Err(LockError::Deadline { path: path.to_owned(), waited: patience });
            }
            std::thread::sleep(pause.min(patience.saturating_sub(waited)));
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// Takes the lock if nobody is in the way right now.
    pub fn try_acquire(path: &Path, hold: Hold) -> Result<Option<Self>, LockError> {
        let io = |source| LockError::Io { path: path.to_owned(), source };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(io)?;
        let taken = match hold {
            Hold::Shared => file.try_lock_shared(),
            Hold::Exclusive => file.try_lock(),
        };
        match taken {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacing_keeps_the_mode_and_leaves_no_temporary() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        replace_file(&path, b"one").expect("written");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("mode");
        replace_file(&path, b"two").expect("replaced");
        assert_eq!(std::fs::read(&path).expect("read"), b"two");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o640);
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 1);
    }

    #[test]
    fn an_exclusive_lock_waits_and_gives_up() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("lock");
        let first = FileLock::acquire(&path, Hold::Shared, Duration::ZERO).expect("free");
        let second = FileLock::acquire(&path, Hold::Shared, Duration::ZERO).expect("shared");
        let refused = FileLock::acquire(&path, Hold::Exclusive, Duration::from_millis(5));
        assert!(matches!(refused, Err(LockError::Deadline { .. })), "{refused:?}");
        drop((first, second));
        FileLock::acquire(&path, Hold::Exclusive, Duration::ZERO).expect("free again");
    }

    #[test]
    fn directories_are_private() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a/b");
        create_private_dir(&path).expect("made");
        for path in [path.clone(), dir.path().join("a")] {
            assert_eq!(std::fs::metadata(path).expect("there").permissions().mode() & 0o777, 0o700);
        }
    }
}
