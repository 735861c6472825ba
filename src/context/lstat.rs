//! Reads the entry at one path without following a link.

use std::os::fd::AsFd;
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, Mode, Stat, readlinkat, statat};
use rustix::io::Errno;
use rustix::path::Arg;

use super::{Context, ContextError, Entry, Kind, SpecialKind, Stamp};

/// Returns the entry at `path`, which is `name` in `directory`.
pub(super) fn entry(
    context: &Context,
    directory: impl AsFd,
    name: impl Arg + Copy,
    path: &[u8],
) -> Result<Entry, ContextError> {
    let shown = || context.shown(super::entry::relative(path));
    let failed = |error: Errno| unreadable(shown(), error);
    let stat = statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Kind::Directory,
        FileType::RegularFile => Kind::File { stamp: stamp(&stat), links: number(stat.st_nlink) },
        FileType::Symlink => {
            let target = readlinkat(&directory, name, Vec::new()).map_err(|error| match error {
                // It is no longer a link.
                Errno::INVAL => ContextError::Changed { path: shown() },
                error => failed(error),
            })?;
            Kind::Symlink { target: target.into_bytes().into() }
        }
        other => return Err(ContextError::Special { path: shown(), kind: SpecialKind::of(other) }),
    };
    Ok(Entry { path: path.into(), mode: Mode::from_raw_mode(stat.st_mode).bits() & 0o7777, kind })
}

/// Returns the stamp, with the values of [`Stamp::of`].
fn stamp(stat: &Stat) -> Stamp {
    Stamp {
        identity: (number(stat.st_dev), number(stat.st_ino)),
        size: number(stat.st_size),
        modified: (stat.st_mtime, nanoseconds(stat.st_mtime_nsec)),
        changed: (stat.st_ctime, nanoseconds(stat.st_ctime_nsec)),
    }
}

/// Converts a number. Systems differ in its type only.
fn number(number: impl TryInto<u64>) -> u64 {
    number.try_into().unwrap_or(u64::MAX)
}

fn nanoseconds(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or_default()
}

/// Returns the error for an entry that a directory lists and the system does not open.
pub(super) fn unreadable(path: PathBuf, error: Errno) -> ContextError {
    match error {
        Errno::NOENT => ContextError::Vanished { path },
        // A link or a file has taken the place of a directory.
        Errno::LOOP | Errno::NOTDIR => ContextError::Changed { path },
        error => ContextError::Unreadable { path, source: error.into() },
    }
}
