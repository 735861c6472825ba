//! Brings one blob from the store to one repository, and reports its progress.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use super::plan::BlobStep;
use super::{BlobOutcome, PushError};
use crate::image::{Descriptor, Digest};
use crate::progress::{Event, Outcome, Phase, Progress};
use crate::registry::{BlobSource, Meter, Registry, RegistryError, Uploaded};
use crate::store::{ImageStore, StoreError};

/// What was done ahead for one repository.
pub(super) type UploadedBlobs = BTreeMap<Digest, BlobOutcome>;

/// Where blobs come from and go to.
pub(super) struct BlobUploader<'a> {
    pub(super) registry: &'a Registry,
    pub(super) repository: &'a str,
    pub(super) store: &'a ImageStore,
    pub(super) progress: &'a Arc<dyn Progress>,
}

impl BlobUploader<'_> {
    /// Does what the plan says about a blob, which people see as `label`.
    pub(super) async fn upload(
        &self,
        blob: &Descriptor,
        label: &str,
        step: BlobStep,
    ) -> Result<BlobOutcome, RegistryError> {
        let key = blob.digest.to_string();
        let total = Some(blob.size);
        self.progress.emit(Event::Begin { key: &key, label, phase: Phase::Upload, total });
        let result = match step {
            BlobStep::Skip => {
                self.registry.has(self.repository, blob);
                Ok(Uploaded::Exists)
            }
            BlobStep::Upload => {
                let is_verified = self.store.is_verified(blob);
                let hashing = if is_verified { None } else { self.store.hashing(blob) };
                let source = StoredBlob { store: self.store.clone(), blob: blob.clone(), is_verified };
                let meter = Meter::new(Arc::clone(self.progress), &key);
                let uploaded = self.registry.upload_blob(self.repository, blob, Arc::new(source), &meter).await;
                // All bytes were hashed, also those that an earlier run had sent.
                if let (Ok(Uploaded::Sent { .. }), Some(hashing)) = (&uploaded, hashing) {
                    hashing.passed();
                }
                uploaded
            }
        };
        let outcome = match &result {
            Ok(Uploaded::Sent { .. }) => Outcome::Done,
            Ok(Uploaded::Exists) => Outcome::Exists,
            Ok(Uploaded::Mounted) => Outcome::Mounted,
            Err(_) => Outcome::Failed,
        };
        self.progress.emit(Event::End { key: &key, outcome });
        let how = result?;
        let uploaded = match how {
            Uploaded::Sent { resumed } => blob.size - resumed,
            Uploaded::Exists | Uploaded::Mounted => 0,
        };
        Ok(BlobOutcome { digest: blob.digest, size: blob.size, how, uploaded })
    }

    /// Returns the error for a blob of the store that cannot be read.
    pub(super) fn unreadable(&self, digest: Digest, source: io::Error) -> PushError {
        PushError::Store(StoreError::io("read", &self.store.blob_path(digest), source))
    }
}

/// A blob of the store as a source of bytes.
struct StoredBlob {
    store: ImageStore,
    blob: Descriptor,
    /// Whether its file was the one that was hashed when it was written.
    is_verified: bool,
}

impl BlobSource for StoredBlob {
    fn open(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let file = self.store.open_blob(self.blob.digest).map_err(StoreError::into_io)?;
        let mut file = file.ok_or(io::ErrorKind::NotFound)?;
        if self.is_verified && !self.store.is_verified_file(&self.blob, &file) {
            return Err(io::Error::other("the file changed while it was sent"));
        }
        file.seek(SeekFrom::Start(offset))?;
        Ok(Box::new(file.take(self.blob.size.saturating_sub(offset))))
    }

    fn is_verified(&self) -> bool {
        self.is_verified
    }
}
