//! Directories by handle: operations on their names stay inside, even when links and renames change the path.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;

use super::TEMPORARY_PREFIX;
use super::regular::{Links, Unreadable, open_checked, open_regular_at, read_regular_at};

/// How directories are opened.
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Random letters of a temporary name.
const RANDOM_LETTERS: usize = 12;
/// Names that are tried before one that is free.
const MAX_TRIES: usize = 16;
/// Directories inside one another that [`Directory::remove_tree`] goes down.
const MAX_DEPTH: usize = 8;

/// An open directory. Names are single components; links among them are never followed.
#[derive(Debug, Clone)]
pub struct Directory {
    handle: Arc<OwnedFd>,
    path: PathBuf,
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The component.
    pub name: OsString,
    /// What it is, as far as the file system says so without another question.
    pub kind: FileType,
}

impl Directory {
    /// Opens the directory that the user named; a link is followed.
    pub fn open(path: &Path) -> io::Result<Self> {
        let handle = rustix::fs::open(path, DIRECTORY, Mode::empty())?;
        Ok(Self { handle: Arc::new(handle), path: path.to_owned() })
    }

    /// Returns the path it was opened by, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a directory in this one.
    ///
    /// # Errors
    /// Fails with an inner [`Unreadable`] when the name is a link or no directory.
    pub fn child(&self, name: &str) -> io::Result<Self> {
        match rustix::fs::openat(self, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(handle) => Ok(Self { handle: Arc::new(handle), path: self.path.join(name) }),
            Err(Errno::NOTDIR | Errno::LOOP) => Err(match kind(&self.stat(name)?) {
                FileType::Symlink => Unreadable::Link.into(),
                other => Unreadable::NotADirectory(kind_name(other)).into(),
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a directory in this one; makes a private (0700), durable one where there is none.
    pub fn create_child(&self, name: &str) -> io::Result<Self> {
        match self.child(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => return found,
        }
        match rustix::fs::mkdirat(self, name, Mode::RWXU) {
            Ok(()) => self.sync()?,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        self.child(name)
    }

    /// Opens a regular file for reading; never waits for another process.
    pub fn open_regular(&self, name: impl AsRef<Path>) -> io::Result<File> {
        open_regular_at(self, name, Links::Refuse)
    }

    /// Opens or creates a private regular file for reading and writing; its content stays.
    pub fn open_writable(&self, name: &str) -> io::Result<File> {
        open_checked(self, Path::new(name), OFlags::RDWR | OFlags::CREATE, Links::Refuse)
    }

    /// Reads a whole regular file of at most `limit` bytes.
    pub fn read_regular(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
        read_regular_at(self, name, limit, Links::Refuse)
    }

    /// Facts of a name itself, links included.
    pub fn stat(&self, name: impl AsRef<OsStr>) -> io::Result<Stat> {
        Ok(rustix::fs::statat(self, name.as_ref(), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Size in bytes of a regular file; `None` when there is no such name.
    ///
    /// # Errors
    /// Fails with an inner [`Unreadable`] for everything that is no regular file.
    pub fn size(&self, name: &str) -> io::Result<Option<u64>> {
        let stat = match self.stat(name) {
            Ok(stat) => stat,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match kind(&stat) {
            FileType::RegularFile => Ok(Some(u64::try_from(stat.st_size).unwrap_or_default())),
            FileType::Symlink => Err(Unreadable::Link.into()),
            other => Err(Unreadable::Kind(kind_name(other)).into()),
        }
    }

    /// Returns whether the name is still, or again, that of an open file.
    pub fn is_name_of(&self, name: &str, open: &Metadata) -> bool {
        self.open_regular(name)
            .and_then(|file| file.metadata())
            .is_ok_and(|there| (there.dev(), there.ino()) == (open.dev(), open.ino()))
    }

    /// Returns whether the name exists, as any kind of file.
    pub fn has(&self, name: &str) -> bool {
        self.stat(name).is_ok()
    }

    /// Returns the names in this directory, in no order.
    pub fn names(&self) -> io::Result<Vec<Name>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(self)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(Name { name: OsStr::from_bytes(name).to_owned(), kind: entry.file_type() });
            }
        }
        Ok(names)
    }

    /// Removes a name that is no directory; of a link, the link.
    pub fn remove_file(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(self, name.as_ref(), AtFlags::empty())?)
    }

    /// Removes a name and, when it is a directory, everything inside; links are removed and not followed.
    ///
    /// # Errors
    /// Fails for directories nested deeper than this program makes them.
    pub fn remove_tree(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        self.remove_within(name.as_ref(), MAX_DEPTH)
    }

    fn remove_within(&self, name: &OsStr, depth: usize) -> io::Result<()> {
        match rustix::fs::unlinkat(self, name, AtFlags::empty()) {
            Ok(()) => return Ok(()),
            // Linux says the first of a directory, POSIX the second.
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
        if depth == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "directories are nested too deep"));
        }
        let handle = rustix::fs::openat(self, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
        let inner = Self { handle: Arc::new(handle), path: self.path.join(name) };
        for found in inner.names()? {
            inner.remove_within(&found.name, depth - 1)?;
        }
        Ok(rustix::fs::unlinkat(self, name, AtFlags::REMOVEDIR)?)
    }

    /// Gives a name of this directory to a name of another on the same file system, replacing what has it.
    pub fn rename(&self, from: impl AsRef<OsStr>, to: &Self, name: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(rustix::fs::renameat(self, from.as_ref(), to, name.as_ref())?)
    }

    /// Makes the names of this directory durable.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(self)?)
    }

    /// Creates a private file (0600) whose name begins with `prefix`, removed when dropped.
    pub fn temporary_file(&self, prefix: &str) -> io::Result<TemporaryFile> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (file, name) =
            free_name(prefix, |name| rustix::fs::openat(self, name, flags, Mode::RUSR | Mode::WUSR).map(File::from))?;
        Ok(TemporaryFile { file, directory: self.clone(), name: Some(name) })
    }

    /// Creates a private directory (0700) whose name begins with `prefix`, removed with everything in it when dropped.
    pub fn temporary_directory(&self, prefix: &str) -> io::Result<TemporaryDirectory> {
        let ((), name) = free_name(prefix, |name| rustix::fs::mkdirat(self, name, Mode::RWXU))?;
        let directory = self.child(&name)?;
        Ok(TemporaryDirectory { parent: self.clone(), directory, name })
    }

    /// Replaces a regular file, or creates a private one (0600); a reader sees the old content or the new, also after
    /// a crash. Mode and, where the system lets us, owner stay.
    ///
    /// # Errors
    /// Fails with an inner [`Unreadable`] when the name is no regular file.
    pub fn replace_file(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let there = self.size(name)?.map(|_| self.stat(name)).transpose()?;
        let mut temporary = self.temporary_file(TEMPORARY_PREFIX)?;
        if let Some(there) = there {
            // Before the mode, of which it takes bits away.
            let (user, group) = (Uid::from_raw(there.st_uid), Gid::from_raw(there.st_gid));
            let _ = rustix::fs::fchown(&temporary.file, Some(user), Some(group));
            rustix::fs::fchmod(&temporary.file, Mode::from_raw_mode(there.st_mode))?;
        }
        temporary.file.write_all(bytes)?;
        temporary.file.sync_all()?;
        temporary.persist(self, name)?;
        self.sync()
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

/// A temporary file, removed when dropped before it is persisted.
#[derive(Debug)]
pub struct TemporaryFile {
    /// The file, open for reading and writing.
    pub file: File,
    directory: Directory,
    name: Option<String>,
}

impl TemporaryFile {
    /// Gives the file a name in `to`, replacing what has it. Neither is made durable here.
    pub fn persist(mut self, to: &Directory, name: impl AsRef<OsStr>) -> io::Result<()> {
        if let Some(temporary) = &self.name {
            self.directory.rename(temporary, to, name)?;
        }
        self.name = None;
        Ok(())
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _ = self.directory.remove_file(name);
        }
    }
}

/// A temporary directory, removed with its content when dropped.
#[derive(Debug)]
pub struct TemporaryDirectory {
    parent: Directory,
    directory: Directory,
    name: String,
}

impl TemporaryDirectory {
    /// Returns the directory.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        let _ = self.parent.remove_tree(&self.name);
    }
}

/// Creates something under a free random name.
fn free_name<T>(prefix: &str, make: impl Fn(&str) -> Result<T, Errno>) -> io::Result<(T, String)> {
    for _ in 0..MAX_TRIES {
        let name: String =
            prefix.chars().chain(std::iter::repeat_with(fastrand::alphanumeric).take(RANDOM_LETTERS)).collect();
        match make(&name) {
            Ok(new) => return Ok((new, name)),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Errno::EXIST.into())
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Returns the word for a kind of file.
fn kind_name(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "regular file",
        FileType::Directory => "directory",
        FileType::Symlink => "symbolic link",
        FileType::Fifo => "pipe",
        FileType::Socket => "socket",
        _ => "device",
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// Returns a directory with one beside it that no operation on the first may reach.
    fn world() -> (tempfile::TempDir, Directory) {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("precious")).expect("made");
        std::fs::write(dir.path().join("precious/file"), "precious").expect("written");
        std::fs::create_dir(dir.path().join("root")).expect("made");
        let root = Directory::open(&dir.path().join("root")).expect("opened");
        (dir, root)
    }

    fn precious(dir: &tempfile::TempDir) -> String {
        std::fs::read_to_string(dir.path().join("precious/file")).expect("untouched")
    }

    #[test]
    fn links_are_removed_and_never_followed() {
        let (dir, root) = world();
        let inner = root.create_child("a").and_then(|a| a.create_child("b")).expect("made");
        for (place, link) in [(&root, "link"), (&inner, "link")] {
            symlink(dir.path().join("precious"), place.path().join(link)).expect("linked");
        }
        assert_eq!(Unreadable::of(&root.child("link").expect_err("a link")), Some(Unreadable::Link));
        assert_eq!(Unreadable::of(&root.create_child("link").expect_err("a link")), Some(Unreadable::Link));
        root.remove_tree("a").expect("removed");
        root.remove_tree("link").expect("removed");
        assert!(root.names().expect("listed").is_empty());
        assert_eq!(precious(&dir), "precious");
    }

    #[test]
    fn a_file_is_replaced_unless_it_is_something_else() {
        let (dir, root) = world();
        root.replace_file("file", b"one").expect("created");
        std::fs::set_permissions(root.path().join("file"), Permissions::from_mode(0o640)).expect("mode");
        root.replace_file("file", b"two").expect("replaced");
        assert_eq!(root.read_regular("file", 9).expect("read"), b"two");
        assert_eq!(root.stat("file").expect("there").st_mode & 0o777, 0o640);
        symlink(dir.path().join("precious/file"), root.path().join("link")).expect("linked");
        let error = root.replace_file("link", b"three").expect_err("a link");
        assert_eq!(Unreadable::of(&error), Some(Unreadable::Link));
        std::fs::create_dir(root.path().join("directory")).expect("made");
        root.replace_file("directory", b"three").expect_err("a directory");
        assert_eq!(precious(&dir), "precious");
        assert_eq!(root.names().expect("listed").len(), 3, "no temporary file stays");
    }

    #[test]
    fn names_are_those_of_the_open_directory_wherever_it_is_moved() {
        let (dir, root) = world();
        root.replace_file("file", b"one").expect("created");
        std::fs::rename(root.path(), dir.path().join("moved")).expect("moved");
        symlink("precious", root.path()).expect("linked");
        assert_eq!(root.read_regular("file", 9).expect("read"), b"one");
        root.remove_tree("file").expect("removed");
        assert_eq!(precious(&dir), "precious");
    }

    #[test]
    fn what_is_temporary_goes_or_gets_its_name() {
        let (_dir, root) = world();
        let other = root.create_child("other").expect("made");
        drop(root.temporary_file("t-").expect("made"));
        root.temporary_file("t-").expect("made").persist(&other, "kept").expect("renamed");
        let temporary = root.temporary_directory("d-").expect("made");
        temporary.directory().replace_file("file", b"x").expect("written");
        drop(temporary);
        let names =
            |of: &Directory| of.names().expect("listed").into_iter().map(|found| found.name).collect::<Vec<_>>();
        assert_eq!((names(&root), names(&other)), (vec!["other".into()], vec!["kept".into()]));
    }

    #[test]
    fn a_tree_deeper_than_ours_is_left() {
        let (_dir, root) = world();
        let deep: PathBuf = std::iter::repeat_n("d", MAX_DEPTH + 2).collect();
        std::fs::create_dir_all(root.path().join(deep)).expect("made");
        root.remove_tree("d").expect_err("too deep");
        assert!(root.has("d"));
    }
}
