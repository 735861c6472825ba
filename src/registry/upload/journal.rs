//! Uploads that are under way, one small file each, so that the next process goes on where a killed one
//! stopped.
//!
//! A file holds no credential. The address of a session may have state of the registry in its query, which is useless
//! without a credential; the file has mode 0600, and the address is never shown. An address elsewhere than at the
//! registry works without a credential, which makes it a secret: it is not written.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::fs::{self, FileLock, Hold};
use crate::image::Digest;
use crate::registry::cache::capabilities::replace;

/// Registries forget unfinished uploads after about a day.
const AGE: Duration = Duration::from_hours(24);
/// A file of ours is shorter.
const MAX_FILE_BYTES: u64 = 32 << 10;
/// Files that are looked at when old ones are removed.
const MAX_FILES: usize = 10_000;

/// The uploads of all processes of one person.
#[derive(Debug)]
pub(in crate::registry) struct Journal {
    directory: PathBuf,
}

/// An upload as far as it got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::registry) struct Record {
    pub(in crate::registry) host: String,
    pub(in crate::registry) repository: String,
    pub(in crate::registry) digest: Digest,
    /// The session's newest address.
    pub(in crate::registry) location: String,
    /// Bytes the registry acknowledged.
    pub(in crate::registry) offset: u64,
    /// Seconds since 1970.
    pub(in crate::registry) time: i64,
}

/// The file of one upload, which belongs to this process as long as this value lives.
#[derive(Debug)]
pub(in crate::registry) struct Entry {
    path: PathBuf,
    record: Record,
    /// Whether there is a file.
    written: bool,
    _lock: FileLock,
}

impl Journal {
    /// Returns the journal in the program's directory; what is too old is removed from it.
    pub(in crate::registry) fn open(state: &Path) -> Self {
        let journal = Self { directory: state.join("uploads") };
        journal.prune(SystemTime::now());
        journal
    }

    /// Returns the place of an upload; `None` when another process has it, or there is no place to write.
    pub(in crate::registry) fn enter(&self, host: &str, repository: &str, digest: Digest) -> Option<Entry> {
        fs::create_private_dir(&self.directory).ok()?;
        // The lock stays when the upload is done: removing it would let two processes lock two files of one name.
        let name = file_name(host, repository, digest);
        let lock = FileLock::try_acquire(&self.directory.join(format!("{name}.lock")), Hold::Exclusive).ok()??;
        let record = Record {
            host: host.to_owned(),
            repository: repository.to_owned(),
            digest,
            location: String::new(),
            offset: 0,
            time: 0,
        };
        Some(Entry { path: self.directory.join(format!("{name}.json")), record, written: false, _lock: lock })
    }

    /// Removes what an earlier run noted about an upload of the blob, because the repository has the blob.
    pub(in crate::registry) fn settle(&self, host: &str, repository: &str, digest: Digest) {
        let path = self.directory.join(format!("{}.json", file_name(host, repository, digest)));
        if path.exists()
            && let Some(mut entry) = self.enter(host, repository, digest)
        {
            entry.written = true;
            entry.forget();
        }
    }

    /// Removes what no registry remembers any more.
    fn prune(&self, now: SystemTime) {
        let Ok(entries) = std::fs::read_dir(&self.directory) else { return };
        for entry in entries.take(MAX_FILES).flatten() {
            let changed = entry.metadata().and_then(|metadata| metadata.modified());
            let age = changed.ok().and_then(|time| now.duration_since(time).ok()).unwrap_or_default();
            if age <= AGE {
                continue;
            }
            let path = entry.path();
            // A lock that another process holds is in use, however old.
            let held = path.extension().is_some_and(|ending| ending == "lock")
                && !matches!(FileLock::try_acquire(&path, Hold::Exclusive), Ok(Some(_)));
            if !held {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

fn file_name(host: &str, repository: &str, digest: Digest) -> String {
    Digest::of(format!("{host}\n{repository}\n{digest}").as_bytes()).hex()
}

impl Entry {
    /// Returns what an earlier process wrote about this upload, unless it is too old at `now`.
    pub(in crate::registry) fn found(&mut self, now: jiff::Timestamp) -> Option<Record> {
        let bytes = fs::read_regular(&self.path, MAX_FILE_BYTES, fs::Links::Follow).ok()?;
        self.written = true;
        let found: Record = serde_json::from_slice(&bytes).ok()?;
        let same = found.host == self.record.host
            && found.repository == self.record.repository
            && found.digest == self.record.digest;
        let age = now.as_second().saturating_sub(found.time);
        (same && (0..i64::try_from(AGE.as_secs()).unwrap_or(i64::MAX)).contains(&age)).then_some(found)
    }

    /// Notes how far the upload is. What cannot be written is not kept, and that is all.
    pub(in crate::registry) fn note(&mut self, location: &str, offset: u64, now: jiff::Timestamp) {
        let record = Record { location: location.to_owned(), offset, time: now.as_second(), ..self.record.clone() };
        let text = serde_json::to_vec(&record).expect("plain fields");
        let fits = fs::check_limit(&text, MAX_FILE_BYTES);
        self.written = fits.and_then(|()| replace(&self.path, &text)).is_ok() || self.written;
    }

    /// Returns whether the next process will find the upload.
    pub(in crate::registry) fn is_kept(&self) -> bool {
        self.written
    }

    /// Removes the entry: no later run can go on with the session.
    pub(in crate::registry) fn forget(&mut self) {
        if self.written {
            let _ = std::fs::remove_file(&self.path);
            self.written = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn at(text: &str) -> jiff::Timestamp {
        text.parse().expect("a time")
    }

    fn files(state: &Path) -> usize {
        std::fs::read_dir(state.join("uploads")).map_or(0, Iterator::count)
    }

    #[test]
    fn the_next_process_finds_what_the_last_one_noted() {
        let state = tempfile::tempdir().expect("a directory");
        let journal = Journal::open(state.path());
        let digest = Digest::of(b"blob");
        let enter = |repository| journal.enter("reg:5000", repository, digest);
        let now = at("2030-01-01T12:00:00Z");
        let mut entry = enter("team/app").expect("free");
        assert!(enter("team/app").is_none(), "one process at a time");
        assert_eq!(entry.found(now), None);
        entry.note("http://reg:5000/u?_state=x", 7, now);
        entry.note("http://reg:5000/u?_state=y", 9, now);
        let path = entry.path.clone();
        drop(entry);
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);

        assert_eq!(enter("team/other").expect("free").found(now), None);
        let mut again = enter("team/app").expect("free again");
        let found = again.found(now).expect("noted");
        assert_eq!((found.location.as_str(), found.offset), ("http://reg:5000/u?_state=y", 9));
        assert_eq!(again.found(at("2030-01-02T12:00:00Z")), None, "too old");
        assert!(again.is_kept());
        again.forget();
        drop(again);
        assert_eq!(enter("team/app").expect("free").found(now), None);
    }

    #[test]
    fn what_is_damaged_or_about_another_upload_is_not_found() {
        let state = tempfile::tempdir().expect("a directory");
        let journal = Journal::open(state.path());
        let now = at("2030-01-01T12:00:00Z");
        let mut entry = journal.enter("r", "a", Digest::of(b"")).expect("free");
        let mut other = journal.enter("r", "b", Digest::of(b"")).expect("free");
        other.note("http://r/u", 7, now);
        let mut elsewhere = journal.enter("s", "a", Digest::of(b"")).expect("free");
        elsewhere.note("http://r/u", 7, now);
        let mut another = journal.enter("r", "a", Digest::of(b"another")).expect("free");
        another.note("http://r/u", 7, now);
        for foreign in [&other, &elsewhere, &another] {
            std::fs::copy(&foreign.path, &entry.path).expect("copied");
            assert_eq!(entry.found(now), None);
        }
        entry.note("http://r/u", 7, now);
        assert!(entry.found(now).is_some());
        let noted = std::fs::read_to_string(&entry.path).expect("read");
        let limit = usize::try_from(MAX_FILE_BYTES).expect("small");
        std::fs::write(&entry.path, " ".repeat(limit) + &noted).expect("written");
        assert_eq!(entry.found(now), None, "longer than any of ours");
        assert_eq!(entry.found(at("2029-12-31T12:00:00Z")), None, "of the future");
        for text in ["", "{\"host\":", "null", &"[".repeat(100_000)] {
            std::fs::write(&entry.path, text).expect("written");
            assert_eq!(entry.found(now), None);
        }
    }

    #[test]
    fn what_no_registry_remembers_is_removed_unless_somebody_is_at_it() {
        let state = tempfile::tempdir().expect("a directory");
        let journal = Journal::open(state.path());
        let now = jiff::Timestamp::now();
        for name in ["a", "b"] {
            journal.enter("r", name, Digest::of(b"")).expect("free").note("http://r/u", 7, now);
        }
        let held = journal.enter("r", "b", Digest::of(b"")).expect("free");
        assert_eq!(files(state.path()), 4);
        journal.prune(SystemTime::now());
        assert_eq!(files(state.path()), 4);
        journal.prune(SystemTime::now() + AGE + Duration::from_secs(9));
        assert_eq!(files(state.path()), 1);
        drop(held);
        journal.prune(SystemTime::now() + AGE + Duration::from_secs(9));
        assert_eq!(files(state.path()), 0);
    }
}
