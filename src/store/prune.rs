//! Removing blobs that no entry of the index reaches.

use std::collections::BTreeSet;

use super::{ImageStore, LEASE_LOCK, StoreError};
use crate::fs::Hold;
use crate::image::{Content, Digest};

/// What pruning removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Number of manifests without a name that the embedded registry kept.
    pub manifests: usize,
    /// Number of blobs.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl ImageStore {
    /// Removes manifests kept by their digest alone, blobs that no entry reaches, left-overs of killed writers, and
    /// blobs received in part.
    ///
    /// Waits for the lease alone, so that no build or push loses a blob it counts on. An index or
    /// manifest that cannot be read stops it: what it needs is not known.
    pub fn prune(&self) -> Result<Pruned, StoreError> {
        let _alone = self.lock(LEASE_LOCK, Hold::Exclusive)?;
        // What is reachable is found out first: where that fails, nothing is removed.
        self.reachable()?;
        let forgotten = self.forget_kept();
        let mut pruned = self.prune_blobs()?;
        pruned.manifests = if let Ok(count) = forgotten {
            count
        } else {
            // A full disk had no room for the smaller index; it may have now.
            let count = self.forget_kept()?;
            let more = self.prune_blobs()?;
            (pruned.blobs, pruned.bytes) = (pruned.blobs + more.blobs, pruned.bytes + more.bytes);
            count
        };
        Ok(pruned)
    }

    fn prune_blobs(&self) -> Result<Pruned, StoreError> {
        let reachable = self.reachable()?;
        self.sweep_temporary(|_, _| false);
        let mut pruned = Pruned::default();
        let failed = |source| StoreError::io("read", &self.blob_directory(), source);
        let blobs = match self.blobs() {
            Ok(blobs) => blobs,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(pruned),
            Err(source) => return Err(failed(source)),
        };
        for found in blobs.names().map_err(failed)? {
            let digest = found.name.to_str().and_then(|name| Digest::from_hex(name).ok());
            // A file that is not named as a blob is not ours to remove.
            let Some(digest) = digest else { continue };
            if reachable.contains(&digest) {
                continue;
            }
            let size = u64::try_from(blobs.stat(&found.name).map_err(failed)?.st_size).unwrap_or_default();
            let removed = blobs.remove_file(&found.name);
            removed.map_err(|source| StoreError::io("remove", &self.blob_path(digest), source))?;
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
