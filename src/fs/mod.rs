//! Files that are either whole or absent: private directories, atomic replacement, locks with a deadline; and
//! regular files of others, opened without waiting and read up to a limit.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

mod beneath;
mod directory;
mod exchange;
mod regular;

pub(crate) use beneath::{DIRECTORY, HANDLE, open_beneath, open_real};
pub use directory::{Directory, Name, TemporaryDirectory, TemporaryFile};
pub use exchange::{Exchanged, exchange, replace_secret_file};
pub use regular::{
    Links, Unreadable, check_limit, open_regular, open_regular_at, read_limited, read_regular, read_regular_at,
};

/// How the names of files begin that are not whole yet.
pub const TEMPORARY_PREFIX: &str = ".tmp-";

/// Mode of files for the owner alone.
const PRIVATE: u32 = 0o600;
/// Mode of files for whoever the umask lets.
const SHARED: u32 = 0o666;

/// Where the system lists what a process has open.
const OWN_FILES: &str = "/dev/fd";

/// Links one after the other that the system follows.
const MAX_LINKS: usize = 40;

/// Returns whether `file` is on a local file system that takes fine times from the kernel itself.
#[cfg(target_os = "linux")]
pub fn has_fine_times(file: std::os::fd::BorrowedFd<'_>) -> bool {
    /// ext4 (and those before it), XFS, Btrfs, tmpfs, overlays, ZFS, F2FS.
    const LOCAL: [u32; 7] = [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630, 0x2fc1_2fc1, 0xf2f5_2010];
    let Ok(kind) = rustix::fs::fstatfs(file).map(|found| found.f_type) else { return false };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "all magic numbers have 32 bits")]
    LOCAL.contains(&(kind as u32))
}

/// The same where nothing is known of file systems.
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
        // What may be written and not read cannot be synced, and has to do without.
        Ok(()) => sync_dir(parent(path)).or_else(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => Ok(()),
            _ => Err(error),
        }),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Replaces `path` with `bytes`, as [`Replacement`] does.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = Replacement::create(path)?;
    file.write_all(bytes)?;
    file.commit()
}

/// Replaces `path` with `bytes` for whoever the umask lets, as [`Replacement`] does.
pub fn replace_shared_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = Replacement::begin(path, SHARED)?;
    file.write_all(bytes)?;
    file.commit()
}

/// Fails as [`replace_shared_file`] would, as far as that shows before there is something to write.
pub fn check_replaceable(path: &Path) -> io::Result<()> {
    if is_written_in_place(path) { Ok(()) } else { Replacement::begin(path, SHARED).map(drop) }
}

/// Replaces `path` with `bytes` that everybody may read (0644), as [`Replacement`] does.
pub fn replace_public_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with_mode(path, bytes, 0o644)
}

/// Replaces `path` with `bytes` for the owner alone (0600), whatever mode it had, as [`Replacement`] does.
pub fn replace_private_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with_mode(path, bytes, 0o600)
}

fn replace_with_mode(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = Replacement::create(path)?;
    if let Target::File { file, .. } = &file.0 {
        file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
    }
    file.write_all(bytes)?;
    file.commit()
}

/// A file on its way to its name: a reader sees the old content or the new, also after a crash.
/// Dropped uncommitted, it leaves nothing behind.
///
/// It gets mode 0600, or keeps the mode of what it replaces, and its owner where the system lets us. A link stays, and what it leads to is
/// replaced. A device or pipe, and what a process has open (`/dev/stdout`), is written to as it is, at its end: a name such
/// as `/dev/null` is never taken away.
#[derive(Debug)]
pub struct Replacement(Target);

#[derive(Debug)]
enum Target {
    File { file: tempfile::NamedTempFile, path: PathBuf },
    Special(File),
}

impl Replacement {
    /// Begins to replace `path`; fails at once for a directory.
    pub fn create(path: &Path) -> io::Result<Self> {
        Self::begin(path, PRIVATE)
    }

    /// The same; a file that is new gets the mode, less what the umask takes.
    fn begin(path: &Path, mode: u32) -> io::Result<Self> {
        if is_written_in_place(path) {
            return Ok(Self(Target::Special(open_in_place(path)?)));
        }
        let there = match std::fs::metadata(path) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut path = path.to_owned();
        if there.as_ref().is_some_and(std::fs::Metadata::is_dir) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        // A link that leads to nothing yet stays a link, and what it leads to is made.
        if path.is_symlink() {
            path = behind_links(&path)?;
        }
        let file = temporary_file(parent(&path), mode)?;
        if let Some(there) = there {
            // Before the mode, of which it takes bits away. Root changes other people's files in their place; whoever
            // may not give files away has no owner to keep but themselves.
            let _ = std::os::unix::fs::fchown(file.as_file(), Some(there.uid()), Some(there.gid()));
            let mode = there.permissions().mode() & 0o7777;
            file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
        }
        Ok(Self(Target::File { file, path }))
    }

    /// Makes the content durable and gives it its name.
    pub fn commit(self) -> io::Result<()> {
        let Target::File { file, path } = self.0 else { return Ok(()) };
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|error| error.error)?;
        sync_dir(parent(&path))
    }
}

impl Write for Replacement {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Target::File { file, .. } => file.as_file_mut().write(bytes),
            Target::Special(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Target::File { file, .. } => file.as_file_mut().flush(),
            Target::Special(file) => file.flush(),
        }
    }
}

/// Begins `path` anew, for the owner alone (0600): a new file takes the place of one that is there, or of a link, which
/// is not followed; what has the old one open keeps it. What is no file, such as a pipe or a terminal, and what a
/// process has open (`/dev/stderr`), is written to as it is, at its end.
pub fn create_private_file(path: &Path) -> io::Result<File> {
    if is_written_in_place(path) {
        return open_in_place(path);
    }
    temporary_file(parent(path), PRIVATE)?.persist(path).map_err(|error| error.error)
}

/// The file that a chain of links leads to; it need not be there.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match std::fs::read_link(&path) {
            Ok(next) => path = parent(&path).canonicalize()?.join(next),
            // Not a link any more: a file, or nothing.
            Err(_) => return Ok(path),
        }
    }
    Err(rustix::io::Errno::LOOP.into())
}

/// A file that has no name to stay. Errors do not tell the one it would have had.
fn temporary_file(directory: &Path, mode: u32) -> io::Result<tempfile::NamedTempFile> {
    let open = |path: &Path| OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(path);
    tempfile::Builder::new().prefix(TEMPORARY_PREFIX).make_in(directory, open)
}

/// Whether `path` stands for something else than a file that can have another put in its place.
fn is_written_in_place(path: &Path) -> bool {
    let is_special = std::fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir());
    is_special || open_file(path).is_some()
}

/// Opens what is written in place, at its end. An output of this process is the same one, so that whoever shares it goes
/// on behind what is written here.
fn open_in_place(path: &Path) -> io::Result<File> {
    let own = match open_file(path) {
        Some(open) if is_own(&open, "1") => Some(io::stdout().as_fd().try_clone_to_owned()?),
        Some(open) if is_own(&open, "2") => Some(io::stderr().as_fd().try_clone_to_owned()?),
        _ => None,
    };
    match own {
        Some(own) => Ok(File::from(own)),
        None => OpenOptions::new().append(true).open(path),
    }
}

/// The name, in the system's list of them, of the open file that links lead to from `path`.
fn open_file(path: &Path) -> Option<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let directory = parent(&path).canonicalize().ok()?;
        if directory.starts_with("/proc") || directory == Path::new(OWN_FILES) {
            return Some(directory.join(path.file_name()?));
        }
        path = directory.join(std::fs::read_link(&path).ok()?);
    }
    None
}

/// Whether an open file is this process' own of that number.
fn is_own(open: &Path, number: &str) -> bool {
    Path::new(OWN_FILES).canonicalize().is_ok_and(|directory| directory.join(number) == open)
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
    /// The wait was ended by whoever asked for the lock.
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
                regular::open_checked(rustix::fs::CWD, path, flags, Links::Refuse)
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
            // What waits inside the system for a lock cannot be stopped, nor told when to give up.
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
    fn replacing_keeps_the_mode_and_leaves_no_temporary() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        replace_file(&path, b"one").expect("written");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("mode");
        replace_file(&path, b"two").expect("replaced");
        assert_eq!(std::fs::read(&path).expect("read"), b"two");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o640);
        replace_public_file(&path, b"three").expect("replaced");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o644);
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 1);
    }

    #[test]
    fn replacing_keeps_the_owner_where_it_can() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        std::fs::write(&path, "one").expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("mode");
        // Somebody else's for root, our own again for others.
        let _ = std::os::unix::fs::chown(&path, Some(12345), Some(12345));
        let facts = |path: &Path| {
            let there = std::fs::metadata(path).expect("there");
            (there.uid(), there.gid(), there.mode() & 0o777)
        };
        let before = facts(&path);
        assert_eq!(before.0 == 12345, rustix::process::geteuid().is_root());
        replace_file(&path, b"two").expect("replaced");
        assert_eq!(facts(&path), before);
    }

    #[test]
    fn an_uncommitted_replacement_leaves_the_old_content_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        std::fs::write(&path, "one").expect("written");
        let mut file = Replacement::create(&path).expect("begun");
        file.write_all(b"half").expect("written");
        drop(file);
        assert_eq!(std::fs::read(&path).expect("read"), b"one");
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 1);
        let refused = Replacement::create(dir.path()).expect_err("a directory");
        assert_eq!(refused.kind(), io::ErrorKind::IsADirectory);
    }

    #[test]
    fn a_file_begun_anew_is_nobody_elses() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        let write = |name: &str| create_private_file(&at(name)).and_then(|mut file| file.write_all(b"new"));
        let read = |name: &str| std::fs::read_to_string(at(name)).expect("read");
        for name in ["file", "kept"] {
            std::fs::write(at(name), "a longer one").expect("written");
            std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(0o644)).expect("mode");
        }
        std::os::unix::fs::symlink("kept", at("link")).expect("linked");
        std::os::unix::fs::symlink("nothing", at("dangling")).expect("linked");
        for name in ["file", "link", "dangling", "absent"] {
            write(name).expect("begun");
            let there = std::fs::symlink_metadata(at(name)).expect("there");
            assert!(there.is_file() && there.mode() & 0o7777 == 0o600, "{name}: {there:?}");
            assert_eq!(read(name), "new", "{name}");
        }
        assert_eq!(read("kept"), "a longer one");
        std::fs::create_dir(at("directory")).expect("made");
        assert_eq!(write("directory").expect_err("a directory").kind(), io::ErrorKind::IsADirectory);
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 6);
    }

    #[test]
    fn what_is_open_or_no_file_is_not_begun_anew() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let mut log = File::create(&path).expect("made");
        log.write_all(b"before ").expect("written");
        let open = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&log));
        create_private_file(Path::new(&open)).and_then(|mut file| file.write_all(b"after")).expect("written");
        assert_eq!(std::fs::read(&path).expect("read"), b"before after");
        create_private_file(Path::new("/dev/null")).and_then(|mut file| file.write_all(b"gone")).expect("written");
        assert!(!Path::new("/dev/null").is_file());
    }

    #[test]
    fn what_is_open_is_not_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let mut log = File::create(&path).expect("made");
        log.write_all(b"before ").expect("written");
        let open = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&log));
        std::os::unix::fs::symlink(&open, dir.path().join("link")).expect("linked");
        for name in [Path::new(&open), &dir.path().join("link")] {
            check_replaceable(name).expect("it can be written");
            replace_shared_file(name, b"after ").expect("written");
        }
        assert_eq!(std::fs::read(&path).expect("read"), b"before after after ");
    }

    #[test]
    fn a_shared_file_has_the_mode_of_any_other() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        let mode = |name: &str| std::fs::metadata(at(name)).expect("there").permissions().mode() & 0o7777;
        std::fs::write(at("usual"), "").expect("written");
        check_replaceable(&at("result")).expect("it can be written");
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 1);
        replace_shared_file(&at("result"), b"one").expect("written");
        assert_eq!(mode("result"), mode("usual"));
        std::fs::set_permissions(at("result"), std::fs::Permissions::from_mode(0o640)).expect("mode");
        replace_shared_file(&at("result"), b"two").expect("written");
        assert_eq!(mode("result"), 0o640);
        let refused = check_replaceable(&at("none/result")).expect_err("no directory");
        assert_eq!(refused.to_string(), io::Error::from_raw_os_error(2).to_string());
    }

    #[test]
    fn links_and_special_files_keep_their_names() {
        use std::os::unix::fs::FileTypeExt as _;
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("elsewhere")).expect("made");
        std::fs::write(at("elsewhere/file"), "one").expect("written");
        std::os::unix::fs::symlink("elsewhere/file", at("link")).expect("linked");
        replace_file(&at("link"), b"two").expect("replaced");
        assert!(at("link").is_symlink());
        assert_eq!(std::fs::read(at("elsewhere/file")).expect("read"), b"two");
        std::os::unix::fs::symlink("elsewhere/new", at("further")).expect("linked");
        std::os::unix::fs::symlink("further", at("dangling")).expect("linked");
        replace_private_file(&at("dangling"), b"three").expect("written");
        assert!(at("dangling").is_symlink() && at("further").is_symlink());
        assert_eq!(std::fs::read(at("elsewhere/new")).expect("read"), b"three");
        std::os::unix::fs::symlink("nowhere/new", at("astray")).expect("linked");
        replace_private_file(&at("astray"), b"four").expect_err("no directory");
        assert!(at("astray").is_symlink());
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("made");
        // Open for both: then neither end waits for the other.
        let mut end = OpenOptions::new().read(true).write(true).open(at("pipe")).expect("opened");
        replace_file(&at("pipe"), b"three").expect("written");
        let mut told = [0; 5];
        io::Read::read_exact(&mut end, &mut told).expect("read");
        assert_eq!(&told, b"three");
        assert!(std::fs::metadata(at("pipe")).expect("there").file_type().is_fifo());
    }

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
