//! Partially received blobs, kept by digest for a day so that the next run can continue them.
//!
//! Their bytes are not trusted: a run that continues one hashes the existing part first, and only the digest of the
//! whole makes it a blob. A file belongs to the process that holds its lock.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use super::names::PARTIAL_PREFIX;
use crate::fs::Directory;
use crate::image::{Digest, Hasher};

/// How long the beginning of a blob is kept.
const AGE: Duration = Duration::from_hours(24);
/// How often the file is opened again after another process has just finished it.
const MAX_LOOKS: usize = 8;

/// The file of a blob that may outlive this process.
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) file: File,
    pub(super) directory: Directory,
    pub(super) name: String,
}

impl Partial {
    /// Opens or creates the file of a blob; returns `None` if another process holds it.
    pub(super) fn open(directory: Directory, digest: Digest) -> io::Result<Option<Self>> {
        let name = format!("{PARTIAL_PREFIX}{}", digest.hex());
        for _ in 0..MAX_LOOKS {
            let file = directory.open_writable(&name)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            let own = file.metadata()?;
            if own.nlink() > 1 {
                // The file has another name elsewhere, so writing would change a file that is not a download.
                directory.remove_file(&name)?;
                continue;
            }
            // Between open and lock, another process may have committed it as a blob, which must not change.
            if directory.is_name_of(&name, &own) {
                return Ok(Some(Self { file, directory, name }));
            }
        }
        Ok(None)
    }

    /// Hashes the existing part; one that is too old or longer than the blob is discarded. Returns `None` when
    /// `stopped`.
    pub(super) fn read(
        &mut self,
        size: u64,
        now: SystemTime,
        stopped: impl Fn() -> bool,
    ) -> io::Result<Option<Hasher>> {
        let there = self.file.metadata()?;
        let age = now.duration_since(there.modified()?).unwrap_or_default();
        if age > AGE || there.len() > size {
            self.clear()?;
        }
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; 128 << 10];
        loop {
            if stopped() {
                return Ok(None);
            }
            match self.file.read(&mut buffer) {
                Ok(0) => return Ok(Some(hasher)),
                Ok(count) => hasher.update(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Discards all bytes.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0)).map(drop)
    }
}

/// Returns whether a temporary file is a partial blob that another run may continue.
pub(super) fn is_of_use(directory: &Directory, name: &str, now: SystemTime) -> bool {
    let changed = || directory.open_regular(name).and_then(|file| file.metadata()?.modified()).ok();
    name.starts_with(PARTIAL_PREFIX)
        && changed().and_then(|time| now.duration_since(time).ok()).is_some_and(|age| age <= AGE)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::ImageStore;
    use super::super::names::TEMPORARY;
    use super::*;
    use crate::image::Descriptor;

    fn store() -> (tempfile::TempDir, ImageStore) {
        let directory = tempfile::tempdir().expect("a directory");
        let store = ImageStore::open(&directory.path().join("images")).expect("a store");
        (directory, store)
    }

    fn content() -> Vec<u8> {
        (0u32..).flat_map(u32::to_le_bytes).take(3 << 20).collect()
    }

    fn files(store: &ImageStore) -> usize {
        std::fs::read_dir(store.path(TEMPORARY)).map_or(0, Iterator::count)
    }

    #[test]
    fn what_was_dropped_is_there_for_the_next_writer() {
        let (_directory, store) = store();
        let content = content();
        let blob = Descriptor::of("application/octet-stream", &content);
        let lease = store.lease().expect("a lease");
        let mut writer = store.resume_blob(&lease, &blob).expect("a writer");
        assert_eq!(writer.prefix().count(), 0);
        writer.write_all(&content[..1_000_000]).expect("written");
        let mut beside = store.resume_blob(&lease, &blob).expect("another writer");
        assert_eq!(beside.prefix().count(), 0, "one at a time");
        beside.write_all(&content).expect("written");
        beside.commit_as(&blob).expect("whole");
        drop(writer);
        let mut again = store.resume_blob(&lease, &blob).expect("a writer");
        assert_eq!(again.prefix().finish(), (Digest::of(&content[..1_000_000]), 1_000_000));
        again.write_all(&content[1_000_000..]).expect("written");
        again.commit_as(&blob).expect("whole");
        assert_eq!(files(&store), 0);
        store.check_blob(&blob).expect("stored");
        assert_eq!(std::fs::read(store.blob_path(blob.digest)).expect("there"), content);
    }

    #[test]
    fn what_is_wrong_begins_again_and_is_never_a_blob() {
        let (_directory, store) = store();
        let content = content();
        let blob = Descriptor::of("application/octet-stream", &content);
        let lease = store.lease().expect("a lease");
        let mut writer = store.resume_blob(&lease, &blob).expect("a writer");
        writer.write_all(&vec![7; content.len()]).expect("written");
        writer.commit_as(&blob).expect_err("damaged");
        assert_eq!((files(&store), store.blob_size(blob.digest).expect("asked")), (0, None));
        let mut writer = store.resume_blob(&lease, &blob).expect("a writer");
        writer.write_all(b"something else").expect("written");
        writer.restart().expect("emptied");
        writer.write_all(&content).expect("written");
        writer.commit_as(&blob).expect("whole");
        // A part that is longer than the blob cannot be its beginning.
        let path = store.path(TEMPORARY).join(format!("{PARTIAL_PREFIX}{}", blob.digest.hex()));
        std::fs::write(path, vec![0; content.len() + 1]).expect("written");
        assert_eq!(store.resume_blob(&lease, &blob).expect("a writer").prefix().count(), 0);
    }

    #[test]
    fn a_day_is_the_end_and_pruning_too() {
        let (_directory, store) = store();
        let blob = Descriptor::of("application/octet-stream", &content());
        let leave = || {
            let lease = store.lease().expect("a lease");
            let mut writer = store.resume_blob(&lease, &blob).expect("a writer");
            writer.restart().expect("emptied");
            writer.write_all(b"beginning").expect("written");
        };
        leave();
        let now = SystemTime::now();
        drop(store.lease().expect("sweeps"));
        assert_eq!(files(&store), 1);
        let mut partial =
            Partial::open(store.make_temporary().expect("made"), blob.digest).expect("opened").expect("free");
        let later = now + AGE + Duration::from_secs(9);
        let read = |partial: &mut Partial, now| partial.read(blob.size, now, || false).expect("read");
        assert_eq!(read(&mut partial, now).expect("not stopped").count(), 9);
        assert_eq!(read(&mut partial, later).expect("not stopped").count(), 0);
        drop(partial);
        store.sweep_temporary(|directory, name| is_of_use(directory, name, later));
        assert_eq!(files(&store), 0);
        leave();
        store.prune().expect("pruned");
        assert_eq!(files(&store), 0);
    }
}
