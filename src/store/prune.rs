//! Removing blobs that no entry of the index reaches.

use std::collections::BTreeSet;

use super::{ImageStore, StoreError};
use crate::fs::Hold;
use crate::image::{Content, Digest};

/// What pruning removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Number of blobs.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl ImageStore {
    /// Removes blobs that no entry reaches, left-overs of killed writers, and blobs received in part.
    ///
    /// Waits for the lease alone, so that no build or push loses a blob it counts on. An index or
    /// manifest that cannot be read stops it: what it needs is not known.
    pub fn prune(&self) -> Result<Pruned, StoreError> {
        let _alone = self.lock(&self.lease_path(), Hold::Exclusive)?;
        let reachable = self.reachable()?;
        self.sweep_temporary(|_| false);
        let mut pruned = Pruned::default();
        let directory = self.blob_directory();
        let io = |source| StoreError::io("read", &directory, source);
        for entry in std::fs::read_dir(&directory).map_err(io)? {
            let entry = entry.map_err(io)?;
            let digest = entry.file_name().to_str().and_then(|name| Digest::from_hex(name).ok());
            // A file that is not named as a blob is not ours to remove.
            let Some(digest) = digest else { continue };
            if reachable.contains(&digest) {
                continue;
            }
            let path = entry.path();
            let size = entry.metadata().map_err(io)?.len();
            std::fs::remove_file(&path).map_err(|source| StoreError::io("remove", &path, source))?;
            pruned.blobs += 1;
            pruned.bytes += size;
        }
        Ok(pruned)
    }

    /// The digests of everything that the entries need.
    pub(super) fn reachable(&self) -> Result<BTreeSet<Digest>, StoreError> {
        let mut reachable = BTreeSet::new();
        let mut pending: Vec<_> = self.read_index()?.manifests;
        while let Some(descriptor) = pending.pop() {
            if !reachable.insert(descriptor.digest) {
                continue;
            }
            let document = match self.document(&descriptor) {
                Ok(document) => document,
                // A child manifest that was never fetched keeps nothing alive.
                Err(StoreError::MissingBlob(_)) => continue,
                Err(error) => return Err(error),
            };
            match document.content {
                Content::Manifest(manifest) => reachable.extend(manifest.blobs().map(|blob| blob.digest)),
                Content::Index(index) => pending.extend(index.manifests),
            }
        }
        Ok(reachable)
    }
}
