//! Removes the blobs that an operation wrote and did not publish when the operation ends.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::names::LEASE_LOCK;
use super::{ImageStore, Layout, Lease};
use crate::fs::{FileLock, Hold};
use crate::image::{Digest, Document};

/// The blobs that are new since an operation began. When the last user of it is gone, those that no entry of the index
/// reaches are removed, unless another process uses the store: it may have found them meanwhile. `prune` removes what
/// stays then.
#[derive(Debug)]
pub(super) struct Unpublished {
    layout: Arc<Layout>,
    blobs: Mutex<BTreeSet<Digest>>,
}

impl Unpublished {
    /// Records a blob that was not stored before.
    pub(super) fn note(&self, digest: Digest) {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner).insert(digest);
    }

    fn is_empty(&self) -> bool {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn forget<'a>(&self, digests: impl IntoIterator<Item = &'a Digest>) {
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        for digest in digests {
            blobs.remove(digest);
        }
    }
}

impl Drop for Unpublished {
    fn drop(&mut self) {
        let doomed = std::mem::take(self.blobs.get_mut().unwrap_or_else(PoisonError::into_inner));
        if doomed.is_empty() {
            return;
        }
        let store = ImageStore::on(Arc::clone(&self.layout));
        // Held exclusively: a process that uses one of the blobs holds the lease until its image is published.
        let Ok(Some(_alone)) = FileLock::try_acquire_in(&self.layout.root, LEASE_LOCK, Hold::Exclusive) else { return };
        // An index or a document that cannot be read may need any of them.
        let (Ok(reachable), Ok(blobs)) = (store.reachable(), store.blobs()) else { return };
        for digest in doomed.difference(&reachable) {
            let _ = blobs.remove_file(digest.hex());
        }
    }
}

impl ImageStore {
    /// Returns this store for one operation: blobs that it writes and does not publish are removed when it and its
    /// leases are dropped. Beginnings of blobs that are received stay, as do the blobs of [`Self::resume_blob`].
    #[must_use]
    pub fn removing_unpublished(&self) -> Self {
        let layout = Arc::clone(&self.layout);
        Self { unpublished: Some(Arc::new(Unpublished { layout, blobs: Mutex::default() })), ..self.clone() }
    }

    /// Keeps a blob beyond the operation although nothing is published that needs it, because a later one looks for it.
    pub fn keep_unpublished(&self, digest: Digest) {
        if let Some(unpublished) = &self.unpublished {
            unpublished.forget([&digest]);
        }
    }

    /// Forgets published blobs, so that they are neither removed nor searched for in the index.
    pub(super) fn note_published(&self, _lease: &Lease, document: &Document) {
        let Some(unpublished) = self.unpublished.as_ref().filter(|unpublished| !unpublished.is_empty()) else { return };
        // If the tree cannot be read, the index is searched at the end.
        if let Ok(tree) = self.tree(&document.descriptor) {
            unpublished.forget(tree.blobs.iter().map(|blob| &blob.digest));
            unpublished.forget(tree.documents.iter().map(|document| &document.descriptor.digest));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::super::StoreError;
    use super::*;
    use crate::image::{Descriptor, Manifest, Reference, media_type};

    fn store() -> (tempfile::TempDir, ImageStore) {
        let directory = tempfile::tempdir().expect("a directory");
        let store = ImageStore::open(&directory.path().join("images")).expect("a store");
        (directory, store.with_patience(Duration::ZERO))
    }

    /// Stores an image in `store` and does not publish it.
    fn image(store: &ImageStore, lease: &Lease) -> Document {
        let config = store.put(lease, media_type::IMAGE_CONFIG, b"{}").expect("stored");
        let layer = store.put(lease, media_type::IMAGE_LAYER, b"layer").expect("stored");
        let document = Document::from_manifest(Manifest::new(config, vec![layer], BTreeMap::new()));
        store.put(lease, media_type::IMAGE_MANIFEST, &document.bytes).expect("stored");
        document
    }

    fn publish(store: &ImageStore, lease: &Lease, document: &Document) {
        let name = "app:v1".parse::<Reference>().expect("a name");
        store.publish(lease, document, &[name], None).expect("published");
    }

    fn blobs(store: &ImageStore) -> usize {
        store.blobs().and_then(crate::fs::Directory::names).expect("listed").len()
    }

    #[test]
    fn what_an_operation_does_not_publish_goes_with_it() {
        let (_directory, store) = store();
        let before = store.put(&store.lease().expect("a lease"), "text/plain", b"before").expect("stored");
        let operation = store.removing_unpublished();
        let lease = operation.lease().expect("a lease");
        image(&operation, &lease);
        operation.put(&lease, "text/plain", b"before").expect("there already");
        let kept = operation.put(&lease, "text/plain", b"kept").expect("stored");
        operation.keep_unpublished(kept.digest);
        assert_eq!(blobs(&store), 5);
        drop(lease);
        drop(operation);
        store.check_blob(&before).expect("not of this operation");
        store.check_blob(&kept).expect("kept on purpose");
        assert_eq!(blobs(&store), 2);
    }

    #[test]
    fn what_is_published_stays_and_what_came_along_goes() {
        let (_directory, store) = store();
        let operation = store.removing_unpublished();
        let lease = operation.lease().expect("a lease");
        let document = image(&operation, &lease);
        publish(&operation, &lease, &document);
        assert!(operation.unpublished.as_ref().expect("noted").is_empty());
        operation.put(&lease, "text/plain", b"along").expect("stored");
        drop(lease);
        drop(operation);
        store.tree(&document.descriptor).expect("whole");
        assert_eq!(blobs(&store), 3);
    }

    #[test]
    fn a_blob_that_another_process_found_meanwhile_stays() {
        let (_directory, store) = store();
        let operation = store.removing_unpublished();
        let lease = operation.lease().expect("a lease");
        let document = image(&operation, &lease);
        // Another process that counts on the blobs, and has not published yet.
        let other = ImageStore::open(store.root()).expect("a store");
        let others = other.lease().expect("a lease");
        drop(lease);
        drop(operation);
        assert_eq!(blobs(&store), 3);
        publish(&other, &others, &document);
        drop(others);
        other.tree(&document.descriptor).expect("whole");
    }

    #[test]
    fn a_blob_that_another_process_published_meanwhile_stays() {
        let (_directory, store) = store();
        let operation = store.removing_unpublished();
        let lease = operation.lease().expect("a lease");
        let document = image(&operation, &lease);
        let other = ImageStore::open(store.root()).expect("a store");
        publish(&other, &other.lease().expect("a lease"), &document);
        drop(lease);
        drop(operation);
        store.tree(&document.descriptor).expect("whole");
    }

    #[test]
    fn where_the_index_cannot_be_read_nothing_is_removed() {
        let (_directory, store) = store();
        let operation = store.removing_unpublished();
        let lease = operation.lease().expect("a lease");
        image(&operation, &lease);
        std::fs::write(store.root().join("index.json"), "{").expect("damaged");
        drop(lease);
        drop(operation);
        assert_eq!(blobs(&store), 3);
    }

    #[test]
    fn the_beginning_of_a_blob_that_is_received_stays() {
        use std::io::Write as _;
        let (_directory, store) = store();
        let operation = store.removing_unpublished();
        let lease = operation.lease().expect("a lease");
        let content = vec![7; 2 << 20];
        let blob = Descriptor::of(media_type::IMAGE_LAYER, &content);
        let mut writer = operation.resume_blob(&lease, &blob).expect("a writer");
        writer.write_all(&content).expect("written");
        writer.commit_as(&blob).expect("whole");
        drop(lease);
        drop(operation);
        store.check_blob(&blob).expect("found by the next run");
        assert!(matches!(store.check_blob(&Descriptor::of("text/plain", b"x")), Err(StoreError::MissingBlob(_))));
    }
}
