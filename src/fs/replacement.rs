//! Atomic replacement of files: a reader sees the old content or the new, also after a crash.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{TEMPORARY_PREFIX, parent, sync_dir};

/// Mode of files for the owner alone.
pub(super) const PRIVATE: u32 = 0o600;
/// Mode of files that the umask restricts further.
const SHARED: u32 = 0o666;

/// Where the system lists what a process has open.
const OWN_FILES: &str = "/dev/fd";

/// Links one after the other that the system follows.
const MAX_LINKS: usize = 40;

/// Replaces `path` with `bytes`, as [`Replacement`] does.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = Replacement::create(path)?;
    file.write_all(bytes)?;
    file.commit()
}

/// Replaces `path` with `bytes` with the permissions that the umask leaves, as [`Replacement`] does.
pub fn replace_shared_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = Replacement::begin(path, SHARED)?;
    file.write_all(bytes)?;
    file.commit()
}

/// Fails if [`replace_shared_file`] would fail, as far as the system shows this before a write.
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

/// A file that replaces another on commit: a reader sees the old content or the new, also after a crash. Dropped
/// uncommitted, it leaves nothing behind.
///
/// It gets mode 0600, or keeps the mode of what it replaces, and its owner where the system lets us. A link stays, and
/// what it leads to is replaced. Devices, pipes and open files of a process (`/dev/stdout`) are appended to instead, so
/// that a name such as `/dev/null` is never replaced.
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

    /// Begins to replace `path`. A new file gets `mode`, restricted by the umask.
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
        // A dangling link stays a link, and its target is created.
        if path.is_symlink() {
            path = behind_links(&path)?;
        }
        let file = temporary_file(parent(&path), mode)?;
        if let Some(there) = there {
            // The owner is set before the mode, since setting it clears bits of the mode. Only root can keep another
            // owner.
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

/// Creates `path` for the owner alone (0600). A new file replaces an existing file or link; programs that have the old
/// file open keep it. Pipes, terminals and open files of a process (`/dev/stderr`) are opened for appending instead.
pub fn create_private_file(path: &Path) -> io::Result<File> {
    if is_written_in_place(path) {
        return open_in_place(path);
    }
    temporary_file(parent(path), PRIVATE)?.persist(path).map_err(|error| error.error)
}

/// Returns the file that a chain of links leads to; it need not be there.
pub(super) fn behind_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match std::fs::read_link(&path) {
            Ok(next) => path = parent(&path).canonicalize()?.join(next),
            // The chain ended at a file, or at nothing.
            Err(_) => return Ok(path),
        }
    }
    Err(rustix::io::Errno::LOOP.into())
}

/// Creates a temporary file. Errors do not show its name.
fn temporary_file(directory: &Path, mode: u32) -> io::Result<tempfile::NamedTempFile> {
    let open = |path: &Path| OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(path);
    tempfile::Builder::new().prefix(TEMPORARY_PREFIX).make_in(directory, open)
}

/// Returns whether `path` is a device, a pipe or an open file of a process, which is written in place.
fn is_written_in_place(path: &Path) -> bool {
    let is_special = std::fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir());
    is_special || open_file(path).is_some()
}

/// Opens what is written in place, at its end. An output of this process is duplicated, so that later writers to it
/// continue after these bytes.
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

/// Returns the name, in the system's list of them, of the open file that links lead to from `path`.
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

/// Returns whether an open file is this process' own of that number.
fn is_own(open: &Path, number: &str) -> bool {
    Path::new(OWN_FILES).canonicalize().is_ok_and(|directory| directory.join(number) == open)
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
        // Another user's file where the tests run as root, else our own.
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
}
