//! What a push can prove beyond the registry's word: that everything can be read back, by us or by anybody.

use std::time::{Duration, Instant};

use super::PushError;
use super::run::{Run, label};
use crate::image::{Descriptor, Reference};
use crate::progress::{Event, Outcome, Phase};
use crate::registry::{Registry, RegistryError, Target};

/// The waits between two attempts to pull, at first and at most.
const POLL: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

impl Run<'_> {
    /// Reads every manifest and blob back and compares their digests.
    pub(super) async fn read_back(&self) -> Result<(), PushError> {
        let failed = |error| self.failed(error);
        for document in &self.tree.documents {
            self.registry.get_manifest(self.repository, Target::Digest(document.digest())).await.map_err(failed)?;
        }
        let work = self.tree.blobs.iter().map(|blob| self.read_blob(blob));
        self.all(work, self.jobs).await.map(drop).map_err(failed)
    }

    async fn read_blob(&self, blob: &Descriptor) -> Result<(), RegistryError> {
        let key = blob.digest.to_string();
        let label = label(self.tree, blob);
        let total = Some(blob.size);
        self.progress.emit(Event::Begin { key: &key, label: &label, phase: Phase::Verify, total });
        let read = async {
            let mut download = self.registry.get_blob(self.repository, blob).await?;
            while let Some(bytes) = download.chunk().await? {
                self.progress.emit(Event::Advance { key: &key, bytes: bytes.len() as u64 });
            }
            Ok(())
        };
        let result = read.await;
        let outcome = if result.is_ok() { Outcome::Done } else { Outcome::Failed };
        self.progress.emit(Event::End { key: &key, outcome });
        result
    }

    /// Tries to pull as somebody without a credential until it works.
    pub(super) async fn wait_for(
        &self,
        anonymous: &Registry,
        reference: &Reference,
        patience: Duration,
    ) -> Result<(), PushError> {
        let began = Instant::now();
        let mut pause = POLL.0;
        loop {
            let error =
                match tokio::time::timeout(patience.saturating_sub(began.elapsed()), self.pull(anonymous, reference))
                    .await
                {
                    Ok(Ok(())) => return Ok(()),
                    Ok(Err(RegistryError::Interrupted)) => return Err(PushError::Interrupted),
                    Ok(Err(error)) => error,
                    Err(_) => RegistryError::Overdue(patience),
                };
            if began.elapsed() + pause >= patience {
                let destination = Box::new(reference.clone());
                return Err(PushError::NotPullable { destination, waited: patience, source: error });
            }
            self.progress.emit(Event::Detail(&format!("not pullable yet: {error}")));
            anonymous.rest(pause).await.map_err(|error| self.failed(error))?;
            pause = (pause * 2).min(POLL.1);
        }
    }

    /// All manifests, and the beginning of each blob.
    async fn pull(&self, anonymous: &Registry, reference: &Reference) -> Result<(), RegistryError> {
        let root = self.tree.root().digest();
        if let Some(tag) = reference.tag() {
            let found = anonymous.get_manifest(self.repository, Target::Tag(tag)).await?.digest();
            if found != root {
                return Err(RegistryError::Stale { expected: root, found });
            }
        }
        for document in &self.tree.documents {
            anonymous.get_manifest(self.repository, Target::Digest(document.digest())).await?;
        }
        for blob in &self.tree.blobs {
            anonymous.get_blob(self.repository, blob).await?.chunk().await?;
        }
        Ok(())
    }
}
