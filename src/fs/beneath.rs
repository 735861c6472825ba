//! Opens what is below an open directory without following a symbolic link, not even on the way.
//!
//! Linux resolves the whole path in one call (`openat2`). Where that call is missing, each component is opened from its
//! parent's descriptor. Both ways open paths of any length, and a directory that is replaced by a link meanwhile is an
//! error (`ELOOP` or `ENOTDIR`), never a way out.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Errno, Result};

/// Flags that open a directory as a starting point for paths. Linux needs no permission to list it.
#[cfg(target_os = "linux")]
pub(crate) const HANDLE: OFlags = OFlags::PATH.union(DIRECTORY);
/// Flags that open a directory as a starting point for paths.
#[cfg(not(target_os = "linux"))]
pub(crate) const HANDLE: OFlags = DIRECTORY;

/// Flags that open a directory for listing.
pub(crate) const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(SAFE);

/// Flags of every call: no link at the end of the path, and no descriptor for children.
const SAFE: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC);

/// Bytes of a path that the system resolves in one call, without the NUL at the end.
const MAX_CALL_BYTES: usize = 4095;

/// Whether the system was seen not to have `openat2`, or a sandbox to refuse it.
static HAS_NO_OPENAT2: AtomicBool = AtomicBool::new(false);

/// Opens the relative `path` below `root`; `.` is `root` itself.
///
/// # Errors
///
/// `ELOOP` or `ENOTDIR` where a link is met, `EXDEV` for a path that leaves `root` by its text, else the system's.
pub(crate) fn open_beneath(root: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd> {
    let (root, path) = (root.as_fd(), path.as_os_str().as_bytes());
    if !HAS_NO_OPENAT2.load(Ordering::Relaxed) {
        match open_pieces(root, path, flags, MAX_CALL_BYTES, whole) {
            Err(Errno::NOSYS | Errno::PERM) if is_missing(root) => HAS_NO_OPENAT2.store(true, Ordering::Relaxed),
            result => return result,
        }
    }
    by_component(root, path, flags)
}

/// Opens an absolute path without links, such as `canonicalize` returns, as a starting point for others.
pub(crate) fn open_real(path: &Path) -> Result<OwnedFd> {
    if cfg!(target_os = "linux")
        && let Ok(below) = path.strip_prefix("/")
    {
        let root = rustix::fs::open("/", HANDLE, Mode::empty())?;
        let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
        return open_beneath(root, below, HANDLE);
    }
    rustix::fs::open(path, HANDLE, Mode::empty())
}

/// Opens one component after the other.
fn by_component(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
    open_pieces(root, path, flags, 0, |directory, name, flags| match name {
        b".." => Err(Errno::XDEV),
        name => openat(directory, name, flags, Mode::empty()),
    })
}

/// Opens piece after piece of a path, each from the one before. A piece is as many components as fit into `most` bytes,
/// and at least one.
fn open_pieces(
    root: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    most: usize,
    open: impl Fn(BorrowedFd<'_>, &[u8], OFlags) -> Result<OwnedFd>,
) -> Result<OwnedFd> {
    if path.is_empty() || path[0] == b'/' {
        return Err(if path.is_empty() { Errno::NOENT } else { Errno::XDEV });
    }
    let mut above: Option<OwnedFd> = None;
    let mut rest = path;
    loop {
        let directory = above.as_ref().map_or(root, AsFd::as_fd);
        let (piece, behind) = piece(rest, most);
        match behind {
            None => return open(directory, piece, flags | SAFE),
            Some(behind) => {
                above = Some(open(directory, piece, HANDLE)?);
                rest = behind;
            }
        }
    }
}

/// Cuts a path at the last slash that leaves at most `most` bytes before it, or else at the first slash.
fn piece(path: &[u8], most: usize) -> (&[u8], Option<&[u8]>) {
    if path.len() <= most {
        return (path, None);
    }
    let cut =
        path[..most].iter().rposition(|byte| *byte == b'/').or_else(|| path.iter().position(|byte| *byte == b'/'));
    match cut {
        Some(cut) => (&path[..cut], Some(&path[cut + 1..])),
        None => (path, None),
    }
}

#[cfg(target_os = "linux")]
fn whole(directory: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
    use rustix::fs::ResolveFlags;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(directory, path, flags, Mode::empty(), resolve)
}

#[cfg(not(target_os = "linux"))]
fn whole(_: BorrowedFd<'_>, _: &[u8], _: OFlags) -> Result<OwnedFd> {
    Err(Errno::NOSYS)
}

/// Returns whether `openat2` fails for a directory that is open: kernels before 5.6, and sandboxes that do not know the
/// call. Otherwise its refusal was about one file.
fn is_missing(directory: BorrowedFd<'_>) -> bool {
    matches!(whole(directory, b".", HANDLE), Err(Errno::NOSYS | Errno::PERM))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    use super::*;

    type Open = fn(BorrowedFd<'_>, &[u8], OFlags) -> Result<OwnedFd>;

    /// Both ways to open, whatever the system has.
    fn ways() -> Vec<Open> {
        let in_one_call: Open = |root, path, flags| open_pieces(root, path, flags, MAX_CALL_BYTES, whole);
        if cfg!(target_os = "linux") { vec![in_one_call, by_component] } else { vec![by_component] }
    }

    #[test]
    fn no_link_is_followed_and_no_path_leaves() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("root/a/b")).expect("made");
        fs::create_dir(at("outside")).expect("made");
        fs::write(at("outside/file"), "secret").expect("written");
        fs::write(at("root/a/b/file"), "inside").expect("written");
        symlink("b", at("root/a/near")).expect("linked");
        symlink("../../outside", at("root/a/far")).expect("linked");
        symlink(at("outside"), at("root/a/absolute")).expect("linked");
        symlink("file", at("root/a/b/link")).expect("linked");
        let root = open_real(&at("root").canonicalize().expect("there")).expect("opened");
        for open in ways() {
            let read = |path: &str| -> Result<String> {
                let mut text = String::new();
                let file = open(root.as_fd(), path.as_bytes(), OFlags::RDONLY)?;
                fs::File::from(file).read_to_string(&mut text).map(|_| text).map_err(|_| Errno::ISDIR)
            };
            for (path, expected) in [
                ("a/b/file", Ok("inside")),
                ("a/b", Err(Errno::ISDIR)),
                (".", Err(Errno::ISDIR)),
                ("a/b/link", Err(Errno::LOOP)),
                ("a/b/file/x", Err(Errno::NOTDIR)),
                ("a/none", Err(Errno::NOENT)),
                ("", Err(Errno::NOENT)),
                ("/etc/passwd", Err(Errno::XDEV)),
                ("../outside/file", Err(Errno::XDEV)),
            ] {
                assert_eq!(read(path), expected.map(str::to_owned), "{path}");
            }
            for path in ["a/near/file", "a/far/file", "a/absolute/file"] {
                let refused = read(path).expect_err(path);
                assert!(matches!(refused, Errno::LOOP | Errno::NOTDIR), "{path}: {refused}");
            }
        }
    }

    #[test]
    fn paths_longer_than_the_system_takes_are_opened() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = open_real(&dir.path().canonicalize().expect("there")).expect("opened");
        let name = "n".repeat(250);
        let mut directory = open_beneath(&root, Path::new("."), HANDLE).expect("opened");
        for _ in 0..40 {
            rustix::fs::mkdirat(&directory, &*name, Mode::RWXU).expect("made");
            directory = open_beneath(&directory, Path::new(&name), HANDLE).expect("opened");
        }
        let path = vec![name; 40].join("/");
        assert!(path.len() > 2 * MAX_CALL_BYTES);
        for open in ways() {
            open(root.as_fd(), path.as_bytes(), DIRECTORY).expect("opened");
        }
    }

    #[test]
    fn paths_are_cut_at_slashes() {
        for (path, most, expected) in [
            ("abc", 3, ("abc", None)),
            ("abc", 0, ("abc", None)),
            ("a/b/c", 4, ("a/b", Some("c"))),
            ("a/b/c", 3, ("a", Some("b/c"))),
            ("a/b/c", 0, ("a", Some("b/c"))),
            ("long/b", 2, ("long", Some("b"))),
            ("a/b", 3, ("a/b", None)),
        ] {
            let (first, rest) = piece(path.as_bytes(), most);
            assert_eq!((first, rest), (expected.0.as_bytes(), expected.1.map(str::as_bytes)), "{path} {most}");
        }
    }
}
