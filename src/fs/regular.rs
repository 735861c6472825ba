//! Regular files that others may have made or changed: opened without waiting, read up to a limit.
//!
//! `File::open` waits for a writer when the path is a pipe, and reading a device never ends. Everything that reads a
//! file it did not just write itself opens it here.

use std::fs::{File, FileType};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

/// What to do with a symbolic link as the last component of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// Open what the link leads to: for paths that the user named, which dotfile managers make links.
    Follow,
    /// Refuse the link: for names inside a directory that others may have filled.
    Refuse,
}

/// Why a file is not read. The inner error of the [`io::Error`] that this module returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is a symbolic link, and links are refused.
    #[error("it is a symbolic link, which is not followed here")]
    Link,
    /// It is no regular file but this.
    #[error("it is a {0}, not a regular file")]
    Kind(&'static str),
    /// A directory is wanted, and it is this.
    #[error("it is a {0}, not a directory")]
    NotADirectory(&'static str),
    /// It has more bytes than are read.
    #[error("it has more than the {limit} bytes allowed")]
    TooLarge {
        /// The largest size in bytes.
        limit: u64,
    },
}

impl Unreadable {
    /// Returns the reason inside an error of this module.
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl From<Unreadable> for io::Error {
    fn from(reason: Unreadable) -> Self {
        let kind = match reason {
            Unreadable::Kind("directory") => io::ErrorKind::IsADirectory,
            Unreadable::NotADirectory(_) => io::ErrorKind::NotADirectory,
            Unreadable::Link | Unreadable::Kind(_) => io::ErrorKind::InvalidInput,
            Unreadable::TooLarge { .. } => io::ErrorKind::FileTooLarge,
        };
        Self::new(kind, reason)
    }
}

/// Opens a regular file for reading; never waits for another process.
///
/// # Errors
/// Fails with an inner [`Unreadable`] for links (when refused), directories, pipes, devices and sockets.
pub fn open_regular(path: &Path, links: Links) -> io::Result<File> {
    open_regular_at(CWD, path, links)
}

/// Opens a regular file of a directory, as [`open_regular`] does.
pub fn open_regular_at(directory: impl AsFd, name: impl AsRef<Path>, links: Links) -> io::Result<File> {
    open_checked(directory, name.as_ref(), OFlags::RDONLY, links)
}

/// Opens with further flags; what is not a regular file is refused.
pub(super) fn open_checked(directory: impl AsFd, name: &Path, flags: OFlags, links: Links) -> io::Result<File> {
    let mut flags = flags | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    if links == Links::Refuse {
        flags |= OFlags::NOFOLLOW;
    }
    let opened = rustix::fs::openat(directory, name, flags, Mode::RUSR | Mode::WUSR);
    let file = match opened {
        Ok(opened) => File::from(opened),
        // Only the last component is refused as a link; too many links on the way give the same error.
        Err(Errno::LOOP) if links == Links::Refuse => return Err(Unreadable::Link.into()),
        // A socket, or a pipe opened for writing that no process reads.
        Err(Errno::NXIO) => return Err(Unreadable::Kind("socket, pipe or device without its other end").into()),
        Err(error) => return Err(error.into()),
    };
    let kind = file.metadata()?.file_type();
    if kind.is_file() { Ok(file) } else { Err(Unreadable::Kind(kind_name(kind)).into()) }
}

/// Reads a whole regular file of at most `limit` bytes.
///
/// # Errors
/// As [`open_regular`], and with [`Unreadable::TooLarge`] for a file that has more bytes; it is not read then.
pub fn read_regular(path: &Path, limit: u64, links: Links) -> io::Result<Vec<u8>> {
    read_limited(&open_regular(path, links)?, limit)
}

/// Reads a whole regular file of a directory, as [`read_regular`] does.
pub fn read_regular_at(directory: impl AsFd, name: impl AsRef<Path>, limit: u64, links: Links) -> io::Result<Vec<u8>> {
    read_limited(&open_regular_at(directory, name, links)?, limit)
}

/// Reads an open regular file from its current position to its end; at most `limit` bytes, also when the file grows.
pub fn read_limited(file: &File, limit: u64) -> io::Result<Vec<u8>> {
    let size = file.metadata()?.len();
    if size > limit {
        return Err(Unreadable::TooLarge { limit }.into());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(Unreadable::TooLarge { limit }.into());
    }
    Ok(bytes)
}

/// Fails for content that would not be read again: what has a limit on reading has it on writing.
///
/// # Errors
/// [`Unreadable::TooLarge`] for more than `limit` bytes.
pub fn check_limit(bytes: &[u8], limit: u64) -> io::Result<()> {
    if bytes.len() as u64 > limit { Err(Unreadable::TooLarge { limit }.into()) } else { Ok(()) }
}

/// Returns the word for a kind of file that is not regular.
fn kind_name(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "directory"
    } else if kind.is_fifo() {
        "pipe"
    } else if kind.is_socket() {
        "socket"
    } else if kind.is_symlink() {
        "symbolic link"
    } else {
        "device"
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    /// Returns what reading says of a path: its bytes, or the reason.
    fn read(path: &Path, links: Links) -> Result<Vec<u8>, Unreadable> {
        read_regular(path, 4, links).map_err(|error| Unreadable::of(&error).expect("a reason of ours"))
    }

    #[test]
    fn only_regular_files_within_the_limit_are_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("fits"), "1234").expect("written");
        std::fs::write(at("empty"), "").expect("written");
        std::fs::write(at("large"), "12345").expect("written");
        std::fs::create_dir(at("directory")).expect("made");
        rustix::fs::mknodat(CWD, at("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("made");
        let _socket = UnixListener::bind(at("socket")).expect("bound");
        for (link, target) in [("to-fits", "fits"), ("to-pipe", "pipe"), ("to-zero", "/dev/zero")] {
            symlink(target, at(link)).expect("linked");
        }
        let too_large = Err(Unreadable::TooLarge { limit: 4 });
        let kind = |name| Err(Unreadable::Kind(name));
        let unconnected = kind("socket, pipe or device without its other end");
        let table = [
            ("fits", Ok(b"1234".to_vec()), Ok(b"1234".to_vec())),
            ("empty", Ok(Vec::new()), Ok(Vec::new())),
            ("large", too_large.clone(), too_large),
            ("directory", kind("directory"), kind("directory")),
            ("pipe", kind("pipe"), kind("pipe")),
            ("socket", unconnected.clone(), unconnected),
            ("to-fits", Ok(b"1234".to_vec()), Err(Unreadable::Link)),
            ("to-pipe", kind("pipe"), Err(Unreadable::Link)),
            ("to-zero", kind("device"), Err(Unreadable::Link)),
        ];
        for (name, followed, refused) in table {
            assert_eq!(read(&at(name), Links::Follow), followed, "{name} followed");
            assert_eq!(read(&at(name), Links::Refuse), refused, "{name}");
        }
        let absent = read_regular(&at("absent"), 4, Links::Refuse).expect_err("absent");
        assert_eq!(absent.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_that_has_more_bytes_than_its_size_is_refused_at_the_limit() {
        // The kernel says that this file has 0 bytes.
        let error = read_regular(Path::new("/proc/self/status"), 16, Links::Refuse).expect_err("longer");
        assert_eq!(Unreadable::of(&error), Some(Unreadable::TooLarge { limit: 16 }));
    }

    #[test]
    fn what_may_be_written_may_be_read() {
        let path = tempfile::NamedTempFile::new().expect("a file");
        for (bytes, fits) in [(&b""[..], true), (b"1234", true), (b"12345", false)] {
            std::fs::write(&path, bytes).expect("written");
            assert_eq!(check_limit(bytes, 4).is_ok(), fits);
            assert_eq!(read_regular(path.path(), 4, Links::Refuse).is_ok(), fits);
        }
    }

    #[test]
    fn names_of_a_directory_are_found_by_its_handle() {
        let dir = tempfile::tempdir().expect("a directory");
        let inner = dir.path().join("inner");
        std::fs::create_dir(&inner).expect("made");
        std::fs::write(inner.join("file"), "1").expect("written");
        let handle = File::open(&inner).expect("opened");
        std::fs::rename(&inner, dir.path().join("moved")).expect("moved");
        assert_eq!(read_regular_at(&handle, "file", 4, Links::Refuse).expect("read"), b"1");
    }
}
