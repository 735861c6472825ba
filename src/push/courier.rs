//! One blob on its way from the store to one repository, and what is told of it.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use super::plan::BlobStep;
use super::{BlobOutcome, PushError};
use crate::image::{Descriptor, Digest};
use crate::progress::{Event, Outcome, Phase, Progress};
use crate::registry::{Meter, Registry, RegistryError, Uploaded};
use crate::store::{ImageStore, StoreError};

/// Where blobs come from and go to.
pub(super) struct Courier<'a> {
    pub(super) registry: &'a Registry,
    pub(super) repository: &'a str,
    pub(super) store: &'a ImageStore,
    pub(super) progress: &'a Arc<dyn Progress>,
}

impl Courier<'_> {
    /// Does what the plan says about a blob, which people see as `label`.
    pub(super) async fn bring(
        &self,
        blob: &Descriptor,
        label: &str,
        step: &BlobStep,
    ) -> Result<BlobOutcome, RegistryError> {
        let key = blob.digest.to_string();
        let total = Some(blob.size);
        self.progress.emit(Event::Begin { key: &key, label, phase: Phase::Upload, total });
        let result = match step {
            BlobStep::Skip => {
                self.registry.has(self.repository, blob);
                Ok(Uploaded::Exists)
            }
            BlobStep::Mount { .. } | BlobStep::Upload => {
                let (store, digest, size) = (self.store.clone(), blob.digest, blob.size);
                let source = move |offset| {
                    let file = store.open_blob(digest).map_err(StoreError::into_io)?;
                    let mut file = file.ok_or(io::ErrorKind::NotFound)?;
                    file.seek(SeekFrom::Start(offset))?;
                    Ok(Box::new(file.take(size.saturating_sub(offset))) as Box<dyn Read + Send>)
                };
                let meter = Meter::new(Arc::clone(self.progress), &key);
                self.registry.upload_blob(self.repository, blob, Arc::new(source), &meter).await
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

    /// The error for a blob of the store that cannot be read.
    pub(super) fn unreadable(&self, digest: Digest, source: io::Error) -> PushError {
        PushError::Store(StoreError::io("read", &self.store.blob_path(digest), source))
    }
}
