//! A temporary store among the temporary files of another store, removed with them.

use super::names::SCRATCH_PREFIX;
use super::{ImageStore, Lease, StoreError};
use crate::fs::TemporaryDirectory;

/// An empty store inside another one, removed when dropped or, after a crash, when the other is next swept.
#[derive(Debug)]
pub struct Scratch {
    store: ImageStore,
    _directory: TemporaryDirectory,
    // Declared last, so that the lease is held until the directory is removed.
    _lease: Lease,
}

impl Scratch {
    /// Returns the store.
    pub fn store(&self) -> &ImageStore {
        &self.store
    }
}

impl ImageStore {
    /// Makes an empty store on this one's file system, out of readers' sight.
    pub fn scratch(&self) -> Result<Scratch, StoreError> {
        let lease = self.lease()?;
        let temporary = self.make_temporary()?;
        let failed = |source| StoreError::io("create a directory in", temporary.path(), source);
        let directory = temporary.temporary_directory(SCRATCH_PREFIX).map_err(failed)?;
        let store = Self {
            patience: self.patience,
            interrupt: self.interrupt.clone(),
            ..Self::at(directory.directory().clone())
        };
        store.create()?;
        Ok(Scratch { store, _directory: directory, _lease: lease })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, ImageStore) {
        let directory = tempfile::tempdir().expect("a directory");
        let store = ImageStore::open(&directory.path().join("images")).expect("a store");
        (directory, store)
    }

    #[test]
    fn what_is_in_it_is_nobody_elses_and_goes_with_it() {
        let (_directory, store) = store();
        let scratch = store.scratch().expect("made");
        let inner = scratch.store().clone();
        let lease = inner.lease().expect("a lease");
        let blob = inner.put(&lease, "text/plain", b"content").expect("stored");
        assert_eq!(inner.read_document(&blob).expect("there"), b"content");
        assert_eq!(store.blob_size(blob.digest).expect("read"), None);
        drop((lease, scratch));
        assert!(!inner.root().exists());
        assert_eq!(std::fs::read_dir(store.path(super::super::names::TEMPORARY)).expect("there").count(), 0);
    }

    #[test]
    fn one_that_a_killed_process_left_is_swept_unless_somebody_works() {
        let (_directory, store) = store();
        let scratch = store.scratch().expect("made");
        drop(store.lease().expect("shared"));
        assert!(scratch.store().root().exists(), "it is in use");
        drop(scratch);
        let left = store.path(super::super::names::TEMPORARY).join("store-left/blobs/sha256");
        std::fs::create_dir_all(&left).expect("made");
        std::fs::write(left.join("00"), "x").expect("written");
        drop(store.lease().expect("alone at first"));
        assert!(!store.path(super::super::names::TEMPORARY).join("store-left").exists());
    }
}
