//! Which files of blobs still have the content that was hashed when they were written or read.
//!
//! A record is kept for each blob: device, inode, size and times of the file, as the fingerprints of the build have
//! them. Only the system sets the time of change, so a file that is written to, replaced or copied no longer matches
//! its record and is hashed. Records are kept for local file systems with fine times alone. They lie in the layout,
//! which may come from a stranger, but a stranger cannot know the inodes and times that the files get on this machine.
//!
//! Two changes stay unnoticed, as with fingerprints: one within the clock tick in which the file got its name, and
//! writes through a memory map that was made before.

use std::fs::{File, Metadata};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use super::names::{BLOB_PREFIX, TEMPORARY};
use crate::fs::{self, Directory};
use crate::image::Digest;

/// Longer than a tick of the clocks that local file systems take their times from.
const TICK: Duration = Duration::from_millis(20);
/// The largest record that is read, in bytes.
const MAX_RECORD_BYTES: u64 = 256;
/// The directory of the records at the root of the layout.
pub(super) const RECORDS: &str = ".verified";

/// What identifies the content of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Returns the identity of an open file, unless its file system's times are too coarse.
    pub(super) fn of_file(file: &File) -> Option<Self> {
        let identity = Self::of(&file.metadata().ok()?);
        // A time without a fraction of a millisecond may be all that the file system keeps.
        let is_fine = identity.changed.1 % 1_000_000 != 0 && fs::has_fine_times(file.as_fd());
        is_fine.then_some(identity)
    }

    /// Returns whether the file was left alone for long enough before `now` that another change would show.
    fn is_settled(&self, now: SystemTime) -> bool {
        let (Ok(seconds), Ok(nanoseconds)) = (u64::try_from(self.changed.0), u32::try_from(self.changed.1)) else {
            return false;
        };
        let changed = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds);
        now.duration_since(changed).is_ok_and(|age| age >= TICK)
    }

    /// Returns the record's text: a version, then the numbers.
    fn text(&self) -> String {
        let Self { device, inode, size, modified, changed } = self;
        format!("1 {device} {inode} {size} {} {} {} {}\n", modified.0, modified.1, changed.0, changed.1)
    }
}

/// The records of a layout.
#[derive(Debug)]
pub(super) struct Verified {
    root: Directory,
    records: OnceLock<Directory>,
}

impl Verified {
    pub(super) fn new(root: Directory) -> Self {
        Self { root, records: OnceLock::new() }
    }

    /// Records that `file`, which has just got its name, has the content of `digest`.
    pub(super) fn note_written(&self, digest: Digest, file: &File) {
        if let Some(identity) = Identity::of_file(file) {
            self.note(digest, &identity);
        }
    }

    /// Records that `file` was read and has the content of `digest`; `before` is its identity before it was read.
    pub(super) fn note_read(&self, digest: Digest, file: &File, before: Option<Identity>) {
        if let (Some(before), Some(after)) = (before, Identity::of_file(file))
            && before == after
            && after.is_settled(SystemTime::now())
            && !self.has(digest, &after)
        {
            self.note(digest, &after);
        }
    }

    /// Returns whether `file` is the one whose content was hashed to `digest`.
    pub(super) fn knows(&self, digest: Digest, file: &File) -> bool {
        Identity::of_file(file).is_some_and(|identity| self.has(digest, &identity))
    }

    fn has(&self, digest: Digest, identity: &Identity) -> bool {
        let record = self.records(|root| root.child(RECORDS));
        let record = record.and_then(|records| records.read_regular(&digest.hex(), MAX_RECORD_BYTES));
        record.is_ok_and(|record| record == identity.text().as_bytes())
    }

    /// A record that cannot be written costs hashing the blob again, so a failure is not reported.
    fn note(&self, digest: Digest, identity: &Identity) {
        let _ = self.replace(digest, identity.text().as_bytes());
    }

    /// Replaces a record: whole or not at all for other processes, but not durable.
    fn replace(&self, digest: Digest, bytes: &[u8]) -> io::Result<()> {
        let records = self.records(|root| root.create_child(RECORDS))?;
        // In the temporary directory, where left-overs are swept.
        let mut file = self.root.create_child(TEMPORARY)?.temporary_file(BLOB_PREFIX)?;
        file.file.write_all(bytes)?;
        file.persist(records, digest.hex())
    }

    /// Forgets a blob that is removed.
    pub(super) fn forget(&self, digest: Digest) {
        if let Ok(records) = self.records(|root| root.child(RECORDS)) {
            let _ = records.remove_file(digest.hex());
        }
    }

    fn records(&self, open: impl Fn(&Directory) -> io::Result<Directory>) -> io::Result<&Directory> {
        if let Some(records) = self.records.get() {
            return Ok(records);
        }
        let records = open(&self.root)?;
        Ok(self.records.get_or_init(|| records))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::path::{Path, PathBuf};

    use super::super::ImageStore;
    use super::*;
    use crate::image::Descriptor;

    struct Kept {
        directory: tempfile::TempDir,
        store: ImageStore,
        blob: Descriptor,
    }

    /// A store with one blob, which was just written.
    fn kept() -> Kept {
        let directory = tempfile::tempdir().expect("a directory");
        let store = ImageStore::open(&directory.path().join("images")).expect("a store");
        let store = store.with_verified();
        let lease = store.lease().expect("a lease");
        let blob = store.put(&lease, "application/octet-stream", b"content").expect("stored");
        drop(lease);
        Kept { directory, store, blob }
    }

    impl Kept {
        fn path(&self) -> PathBuf {
            self.store.blob_path(self.blob.digest)
        }

        fn read(&self) -> io::Result<u64> {
            let mut reader = self.store.read_blob(&self.blob).expect("there");
            io::copy(&mut reader, &mut io::sink())
        }

        /// Waits until another change of the file would show.
        fn settle(&self) {
            let file = File::open(self.path()).expect("opened");
            while !Identity::of(&file.metadata().expect("there")).is_settled(SystemTime::now()) {
                std::thread::yield_now();
            }
        }
    }

    /// The tests need a file system whose times count: without one they would prove nothing.
    fn is_fine(kept: &Kept) -> bool {
        fs::has_fine_times(File::open(kept.directory.path()).expect("opened").as_fd())
    }

    #[test]
    fn a_blob_is_known_as_it_was_written_until_it_changes() {
        let kept = kept();
        assert!(is_fine(&kept), "tests run on a local file system");
        assert!(kept.store.is_verified(&kept.blob));
        kept.settle();
        let changes: [&dyn Fn(&Path); 5] = [
            &|path| OpenOptions::new().append(true).open(path).expect("opened").write_all(b"x").expect("written"),
            &|path| std::fs::write(path, b"CONTENT").expect("written"),
            // The same times, as far as anybody but the system can set them.
            &|path| {
                let modified = std::fs::metadata(path).expect("there").modified().expect("a time");
                let file = OpenOptions::new().write(true).truncate(true).open(path).expect("opened");
                (&file).write_all(b"CONTENT").expect("written");
                file.set_modified(modified).expect("set");
            },
            &|path| {
                std::fs::copy(path, path.with_extension("new")).expect("copied");
                std::fs::rename(path.with_extension("new"), path).expect("renamed");
            },
            &|path| std::fs::remove_file(path).expect("removed"),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let kept = self::kept();
            kept.settle();
            assert!(kept.store.is_verified(&kept.blob));
            change(&kept.path());
            assert!(!kept.store.is_verified(&kept.blob), "change {number}");
        }
    }

    #[test]
    fn reading_a_blob_to_its_end_makes_it_known_unless_it_is_damaged() {
        let kept = kept();
        let record = kept.store.path(RECORDS).join(kept.blob.digest.hex());
        std::fs::remove_file(&record).expect("noted");
        kept.settle();
        assert!(!kept.store.is_verified(&kept.blob));
        kept.read().expect("whole");
        assert!(kept.store.is_verified(&kept.blob));
        std::fs::write(kept.path(), b"CONTENT").expect("written");
        kept.settle();
        kept.read().expect_err("damaged");
        assert!(!kept.store.is_verified(&kept.blob));
    }

    #[test]
    fn records_of_other_blobs_and_damaged_records_say_nothing() {
        let kept = kept();
        let record = kept.store.path(RECORDS).join(kept.blob.digest.hex());
        let text = std::fs::read_to_string(&record).expect("noted");
        let other = Descriptor { size: kept.blob.size + 1, ..kept.blob.clone() };
        assert!(!kept.store.is_verified(&other), "another size");
        for damaged in ["", "1", &text[1..], &text.replace('1', "2"), &"1 ".repeat(1000)] {
            std::fs::write(&record, damaged).expect("written");
            assert!(!kept.store.is_verified(&kept.blob), "{damaged}");
        }
        std::fs::write(&record, &text).expect("written");
        assert!(kept.store.is_verified(&kept.blob));
        let without = ImageStore::open(kept.store.root()).expect("a store");
        assert!(!without.is_verified(&kept.blob), "a store without records");
    }

    #[test]
    fn a_blob_that_is_pruned_has_no_record() {
        let kept = kept();
        let record = kept.store.path(RECORDS).join(kept.blob.digest.hex());
        assert!(record.exists());
        kept.store.prune().expect("pruned");
        assert!(!kept.path().exists() && !record.exists());
    }

    #[test]
    fn what_has_the_name_of_the_records_is_not_followed() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = ImageStore::open(&directory.path().join("images")).expect("a store").with_verified();
        let elsewhere = directory.path().join("elsewhere");
        std::fs::create_dir(&elsewhere).expect("made");
        std::os::unix::fs::symlink(&elsewhere, store.path(RECORDS)).expect("linked");
        let lease = store.lease().expect("a lease");
        let blob = store.put(&lease, "application/octet-stream", b"content").expect("stored");
        assert!(!store.is_verified(&blob));
        assert_eq!(std::fs::read_dir(&elsewhere).expect("listed").count(), 0);
    }
}
