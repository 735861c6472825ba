//! Removes blobs that no entry of the index reaches.

use std::collections::BTreeSet;

use rustix::fs::FileType;

use super::index::is_among;
use super::names::LEASE_LOCK;
use super::{Entry, ImageStore, StoreError};
use crate::fs::Hold;
use crate::image::{Content, Descriptor, Digest, media_type};

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
    /// Acquires the lease exclusively, so that no build or push loses a blob that it relies on.
    ///
    /// # Errors
    ///
    /// Fails, and removes nothing, if the index or a manifest cannot be read: the blobs that it needs are unknown.
    pub fn prune(&self) -> Result<Pruned, StoreError> {
        let _alone = self.lock(LEASE_LOCK, Hold::Exclusive)?;
        // Reachable blobs are determined first: if that fails, nothing is removed.
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
        self.remove_unless(&reachable)
    }

    /// Counts the blobs that no entry reaches, as [`Self::prune`] would remove them.
    pub fn unreferenced(&self) -> Result<Pruned, StoreError> {
        let reachable = self.reachable()?;
        let mut found = Pruned::default();
        for (_, size) in self.unreached(&reachable)? {
            found.blobs += 1;
            found.bytes += size;
        }
        Ok(found)
    }

    /// Makes room on a full disk: removes blobs that no entry, or only a doomed one, reaches.
    ///
    /// Returns false if another process uses the store, or if the blobs that the entries need cannot be determined.
    pub(super) fn make_room(&self, doomed: &[Entry]) -> bool {
        let Ok(_alone) = self.lock(LEASE_LOCK, Hold::Exclusive) else { return false };
        let Ok(index) = self.read_index() else { return false };
        let kept = index.manifests.into_iter().filter(|descriptor| !is_among(doomed, descriptor)).collect();
        let Ok(reachable) = self.reachable_from(kept) else { return false };
        self.sweep_temporary(|_, _| false);
        self.remove_unless(&reachable).is_ok()
    }

    fn remove_unless(&self, reachable: &BTreeSet<Digest>) -> Result<Pruned, StoreError> {
        let mut pruned = Pruned::default();
        for (digest, size) in self.unreached(reachable)? {
            if let Some(verified) = &self.verified {
                verified.forget(digest);
            }
            let removed = self.blobs().and_then(|blobs| blobs.remove_file(digest.hex()));
            removed.map_err(|source| StoreError::io("remove", &self.blob_path(digest), source))?;
            pruned.blobs += 1;
            pruned.bytes += size;
        }
        Ok(pruned)
    }

    /// Returns the stored blobs that are not `reachable`, with their sizes. Files with other names
    /// are left out.
    pub(super) fn unreached(&self, reachable: &BTreeSet<Digest>) -> Result<Vec<(Digest, u64)>, StoreError> {
        let failed = |source| StoreError::io("read", &self.blob_directory(), source);
        let blobs = match self.blobs() {
            Ok(blobs) => blobs,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(failed(source)),
        };
        let mut unreached = Vec::new();
        for found in blobs.names().map_err(failed)? {
            let digest = found.name.to_str().and_then(|name| Digest::from_hex(name).ok());
            let Some(digest) = digest.filter(|digest| !reachable.contains(digest)) else { continue };
            let stat = blobs.stat(&found.name).map_err(failed)?;
            // A directory is no blob, whatever its name.
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                continue;
            }
            let size = u64::try_from(stat.st_size).unwrap_or_default();
            unreached.push((digest, size));
        }
        Ok(unreached)
    }

    /// Returns the digests of everything that the entries need.
    pub(super) fn reachable(&self) -> Result<BTreeSet<Digest>, StoreError> {
        self.reachable_from(self.read_index()?.manifests)
    }

    pub(super) fn reachable_from(&self, mut pending: Vec<Descriptor>) -> Result<BTreeSet<Digest>, StoreError> {
        let mut reachable = BTreeSet::new();
        while let Some(descriptor) = pending.pop() {
            if !reachable.insert(descriptor.digest) {
                continue;
            }
            let document = match self.document(&descriptor) {
                Ok(document) => document,
                // A child manifest that was never fetched refers to no blobs.
                Err(StoreError::MissingBlob(_)) => continue,
                // A blob that is not a document is kept and refers to nothing.
                Err(_) if !media_type::is_document(&descriptor.media_type) => continue,
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
