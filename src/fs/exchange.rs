//! Changes files that other programs change too, without losing their writes.
//!
//! No lock is shared with these programs: they read, and rename a new file into place. So the content is compared last,
//! the new file changes places with the old one in one step, and what came out is compared again. Where it is not what
//! was compared, it goes back.

use std::fs::{File, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, RenameFlags, renameat_with, unlinkat};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::replacement::{PRIVATE, behind_links};
use super::{Links, parent, read_regular, sync_dir};

/// How the names of our temporary files begin in directories of other programs. No other program uses it.
const PREFIX: &str = ".idpbuilder-tmp-";
/// How long to wait for another command of ours in the same directory.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a lock is tried: a wait inside the system has no deadline.
const PAUSE: Duration = Duration::from_millis(2);
/// How often what came out is put back before the last writer is left alone.
const MAX_ROUNDS: usize = 16;

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchanged {
    /// The file has the new content, or is gone.
    Done,
    /// Another program changed the file meanwhile. It has what that program wrote.
    Lost,
}

/// Replaces the content `before` of a file with `after`; `None` stands for no file. A new file gets mode 0600, another
/// one keeps its mode, and its owner where the system lets us. The path is not followed if it is a link.
///
/// Temporary files of earlier runs that were killed are removed: regular files with our own prefix, in the same
/// directory. Files of more than `limit` bytes are an error.
pub fn exchange(path: &Path, before: Option<&[u8]>, after: Option<&[u8]>, limit: u64) -> io::Result<Exchanged> {
    exchange_at(path, (before, after), limit, &mut || ())
}

/// Exchanges as [`exchange`] does; `compared` is called between the comparison and the exchange.
fn exchange_at(
    path: &Path,
    (before, after): (Option<&[u8]>, Option<&[u8]>),
    limit: u64,
    compared: &mut dyn FnMut(),
) -> io::Result<Exchanged> {
    let directory = parent(path);
    let _lock = tidied(directory)?;
    let exchanged = match (before, after) {
        (None, None) => Exchanged::Done,
        (None, Some(after)) => create(path, after, compared)?,
        (Some(before), Some(after)) => replace(path, before, after, limit, compared)?,
        (Some(before), None) => remove(path, before, limit, compared)?,
    };
    sync_dir(directory)?;
    Ok(exchanged)
}

/// Replaces `path` with `bytes` for the owner alone (0600), whatever mode it had. A link stays. Temporary files of
/// earlier runs that were killed are removed, since they hold what the file holds.
pub fn replace_secret_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = behind_links(path)?;
    let directory = parent(&path);
    let _lock = tidied(directory)?;
    let file = temporary(directory, bytes)?;
    if let Ok(there) = std::fs::symlink_metadata(&path) {
        // Root changes other people's files in their place.
        let _ = std::os::unix::fs::fchown(file.as_file(), Some(there.uid()), Some(there.gid()));
    }
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    sync_dir(directory)
}

/// Locks a directory and removes left-overs. Only we lock it: without the lock, another command could take our temporary
/// files for left-overs. Where it is held for long, or cannot be locked, left-overs stay.
fn tidied(directory: &Path) -> io::Result<File> {
    let handle = File::open(directory)?;
    let started = Instant::now();
    loop {
        match handle.try_lock() {
            Ok(()) => {
                remove_left_overs(directory)?;
                return Ok(handle);
            }
            // A wait inside the system for a lock has no deadline, so the lock is tried again.
            Err(TryLockError::WouldBlock) if started.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
            Err(_) => return Ok(handle),
        }
    }
}

fn temporary(directory: &Path, content: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let mut file =
        tempfile::Builder::new().prefix(PREFIX).permissions(Permissions::from_mode(PRIVATE)).tempfile_in(directory)?;
    file.write_all(content)?;
    Ok(file)
}

fn read(path: &Path, limit: u64) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    match read_regular(path, limit, Links::Refuse) {
        Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn create(path: &Path, after: &[u8], compared: &mut dyn FnMut()) -> io::Result<Exchanged> {
    let file = temporary(parent(path), after)?;
    file.as_file().sync_all()?;
    compared();
    match file.persist_noclobber(path) {
        Ok(_) => Ok(Exchanged::Done),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(Exchanged::Lost),
        Err(error) => Err(error.error),
    }
}

fn replace(path: &Path, before: &[u8], after: &[u8], limit: u64, compared: &mut dyn FnMut()) -> io::Result<Exchanged> {
    let file = temporary(parent(path), after)?;
    let there = std::fs::symlink_metadata(path)?;
    // Before the mode, of which it takes bits away. Root changes other people's files in their place; a user who may not
    // give files away has no other owner to keep.
    let _ = std::os::unix::fs::fchown(file.as_file(), Some(there.uid()), Some(there.gid()));
    file.as_file().set_permissions(Permissions::from_mode(there.mode() & 0o7777))?;
    file.as_file().sync_all()?;
    if read(path, limit)?.as_deref().map(Vec::as_slice) != Some(before) {
        return Ok(Exchanged::Lost);
    }
    compared();
    let mut placed = Zeroizing::new(after.to_vec());
    let mut expected = Zeroizing::new(before.to_vec());
    for round in 0..MAX_ROUNDS {
        match renameat_with(CWD, file.path(), CWD, path, RenameFlags::EXCHANGE) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(Exchanged::Lost),
            // Where the file system cannot, the comparison just before is what there is.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) if round == 0 => {
                file.persist(path).map_err(|error| error.error)?;
                return Ok(Exchanged::Done);
            }
            Err(error) => return Err(error.into()),
        }
        let out = read(file.path(), limit)?.unwrap_or_default();
        if out == expected {
            // What came out goes with the temporary file.
            return Ok(if round == 0 { Exchanged::Done } else { Exchanged::Lost });
        }
        // Another program's: it goes back, and what it displaces has to be what was just put there.
        expected = std::mem::replace(&mut placed, out);
    }
    // A program that writes faster than it can be followed: what it wrote last is put back.
    file.persist(path).map_err(|error| error.error)?;
    Ok(Exchanged::Lost)
}

fn remove(path: &Path, before: &[u8], limit: u64, compared: &mut dyn FnMut()) -> io::Result<Exchanged> {
    if read(path, limit)?.as_deref().map(Vec::as_slice) != Some(before) {
        return Ok(Exchanged::Lost);
    }
    compared();
    // Taken away under another name, so that what goes is what is looked at.
    let taken = temporary(parent(path), b"")?;
    match std::fs::rename(path, taken.path()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Exchanged::Lost),
        moved => moved?,
    }
    if read(taken.path(), limit)?.as_deref().map(Vec::as_slice) == Some(before) {
        return Ok(Exchanged::Done);
    }
    // One that was written since is newer than this one.
    match taken.persist_noclobber(path) {
        Ok(_) => Ok(Exchanged::Lost),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(Exchanged::Lost),
        Err(error) => Err(error.error),
    }
}

/// Removes regular files of our own prefix. Names are looked at and removed in the directory itself; links, and what is
/// not ours, stay.
fn remove_left_overs(directory: &Path) -> io::Result<()> {
    let handle = File::open(directory)?;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().as_bytes().starts_with(PREFIX.as_bytes()) && entry.file_type()?.is_file() {
            match unlinkat(&handle, entry.file_name(), AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const LIMIT: u64 = 1 << 16;

    /// As other programs write: a new file is renamed into place.
    fn write(path: &Path, content: &str) {
        let mut file = tempfile::NamedTempFile::new_in(parent(path)).expect("a file");
        file.write_all(content.as_bytes()).expect("written");
        file.persist(path).expect("renamed");
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).expect("listed");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_compared_is_replaced_created_and_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        let change = |before: Option<&str>, after: Option<&str>| {
            exchange(&path, before.map(str::as_bytes), after.map(str::as_bytes), LIMIT).expect("exchanged")
        };
        let content = || std::fs::read_to_string(&path).ok();
        assert_eq!((change(None, Some("one")), content().as_deref()), (Exchanged::Done, Some("one")));
        assert_eq!(path.metadata().expect("there").mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("mode");
        assert_eq!((change(Some("one"), Some("two")), content().as_deref()), (Exchanged::Done, Some("two")));
        assert_eq!(path.metadata().expect("there").mode() & 0o777, 0o640);
        for (before, after) in [(None, Some("x")), (Some("one"), Some("x")), (Some("one"), None)] {
            assert_eq!((change(before, after), content().as_deref()), (Exchanged::Lost, Some("two")), "{before:?}");
        }
        assert_eq!((change(Some("two"), None), content()), (Exchanged::Done, None));
        assert_eq!((change(Some("two"), None), content()), (Exchanged::Lost, None));
        assert_eq!(names(dir.path()), Vec::<String>::new());
    }

    #[test]
    fn what_is_written_after_the_comparison_is_not_lost() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        for (before, after) in [(None, Some("ours")), (Some("one"), Some("ours")), (Some("one"), None)] {
            let _ = std::fs::remove_file(&path);
            if let Some(before) = before {
                write(&path, before);
            }
            let change = (before.map(str::as_bytes), after.map(str::as_bytes));
            let exchanged = exchange_at(&path, change, LIMIT, &mut || write(&path, "theirs")).expect("exchanged");
            assert_eq!(exchanged, Exchanged::Lost, "{before:?} {after:?}");
            assert_eq!(std::fs::read_to_string(&path).expect("there"), "theirs", "{before:?} {after:?}");
            assert_eq!(names(dir.path()), ["file"]);
        }
        // Removed meanwhile.
        write(&path, "one");
        let change = (Some(&b"one"[..]), Some(&b"ours"[..]));
        let gone = exchange_at(&path, change, LIMIT, &mut || std::fs::remove_file(&path).expect("removed"));
        assert_eq!(gone.expect("exchanged"), Exchanged::Lost);
        assert_eq!(names(dir.path()), Vec::<String>::new());
    }

    #[test]
    fn a_program_that_writes_all_the_time_loses_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        write(&path, "0");
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // Only this thread writes other content than "ours", in rising order: that never goes back.
            let writer = scope.spawn(|| {
                for number in 1..400 {
                    write(&path, &number.to_string());
                }
                done.store(true, Ordering::Relaxed);
            });
            while !done.load(Ordering::Relaxed) {
                let before = std::fs::read(&path).expect("there");
                let _ = exchange(&path, Some(&before), Some(b"ours"), LIMIT).expect("exchanged");
            }
            writer.join().expect("written");
        });
        let left: BTreeSet<_> = names(dir.path()).into_iter().collect();
        assert_eq!(left, BTreeSet::from(["file".to_owned()]));
        let content = std::fs::read_to_string(&path).expect("there");
        assert!(content == "399" || content == "ours", "{content}");
    }

    #[test]
    fn only_our_own_left_overs_are_removed_and_never_through_links() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("elsewhere")).expect("made");
        std::fs::write(at("elsewhere/precious"), "x").expect("written");
        std::fs::write(at(".idpbuilder-tmp-abc"), "secret of a killed run").expect("written");
        std::fs::write(at(".tmp-abc"), "another program's").expect("written");
        std::os::unix::fs::symlink("elsewhere/precious", at(".idpbuilder-tmp-link")).expect("linked");
        std::fs::create_dir(at(".idpbuilder-tmp-dir")).expect("made");
        exchange(&at("file"), None, Some(b"x"), LIMIT).expect("exchanged");
        assert_eq!(names(dir.path()), [".idpbuilder-tmp-dir", ".idpbuilder-tmp-link", ".tmp-abc", "elsewhere", "file"]);
        assert!(at("elsewhere/precious").exists());
    }

    #[test]
    fn a_link_or_a_pipe_in_the_place_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("real"), "one").expect("written");
        std::os::unix::fs::symlink("real", at("link")).expect("linked");
        rustix::fs::mknodat(CWD, at("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("made");
        for name in ["link", "pipe"] {
            exchange(&at(name), Some(b"one"), Some(b"two"), LIMIT).expect_err(name);
            exchange(&at(name), Some(b"one"), None, LIMIT).expect_err(name);
        }
        assert_eq!(std::fs::read(at("real")).expect("there"), b"one");
    }
}
