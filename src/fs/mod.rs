//! Files that are either whole or absent: private directories, atomic replacement, locks with a deadline; and
//! regular files of others, opened without waiting and read up to a limit.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

mod beneath;
mod directory;
mod exchange;
mod lock;
mod regular;
mod replacement;

pub(crate) use beneath::{DIRECTORY, HANDLE, open_beneath, open_real};
pub use directory::{Directory, Name, TemporaryDirectory, TemporaryFile};
pub use exchange::{Exchanged, exchange, replace_secret_file};
pub use lock::{FileLock, Hold, LockError};
pub use regular::{
    Links, Unreadable, check_limit, open_regular, open_regular_at, read_limited, read_regular, read_regular_at,
};
pub use replacement::{
    Replacement, check_replaceable, create_private_file, replace_file, replace_private_file, replace_public_file,
    replace_shared_file,
};

/// The prefix of the names of incomplete files.
pub const TEMPORARY_PREFIX: &str = ".tmp-";

/// Returns whether `file` is on a local file system that takes fine times from the kernel itself.
#[cfg(target_os = "linux")]
pub fn has_fine_times(file: std::os::fd::BorrowedFd<'_>) -> bool {
    /// ext4 (and those before it), XFS, Btrfs, tmpfs, overlays, ZFS, F2FS.
    const LOCAL: [u32; 7] = [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630, 0x2fc1_2fc1, 0xf2f5_2010];
    let Ok(kind) = rustix::fs::fstatfs(file).map(|found| found.f_type) else { return false };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "all magic numbers have 32 bits")]
    LOCAL.contains(&(kind as u32))
}

/// Returns false: file systems are not told apart on this platform.
#[cfg(not(target_os = "linux"))]
pub fn has_fine_times(_: std::os::fd::BorrowedFd<'_>) -> bool {
    false
}

/// Creates `path` and its missing parents for the owner alone (0700), and makes them durable.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    let create = || DirBuilder::new().mode(0o700).create(path);
    let created = create().or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            create_private_dir(parent(path))?;
            create()
        }
        _ => Err(error),
    });
    match created {
        // A directory that cannot be opened for reading cannot be synced.
        Ok(()) => sync_dir(parent(path)).or_else(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => Ok(()),
            _ => Err(error),
        }),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the entries of a directory durable.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Returns the directory `path` is in; `.` for a bare name.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

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
