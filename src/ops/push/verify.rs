//! Verifies beyond the registry's word that everything can be read back, with the credential of the push or without
//! one.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};

use super::PushError;
use super::run::{Run, label};
use crate::image::{Descriptor, Reference};
use crate::progress::{Event, Outcome, Phase, Progress};
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
        self.read_from(self.registry, blob, |_| {}).await
    }

    /// Reads a blob to its end, which proves its digest; nothing of it is kept.
    async fn read_from(&self, registry: &Registry, blob: &Descriptor, came: impl Fn(u64)) -> Result<(), RegistryError> {
        let mut reading = Reading::begin(self.progress.as_ref(), blob, &label(self.tree, blob));
        let mut download = registry.get_blob(self.repository, blob).await?;
        while let Some(bytes) = download.chunk().await? {
            let count = bytes.len() as u64;
            self.progress.emit(Event::Advance { key: &reading.key, bytes: count });
            came(count);
        }
        reading.outcome = Outcome::Done;
        Ok(())
    }

    /// Pulls without a credential until that works: every name, every manifest, and every blob to its end. A blob that
    /// arrived once is not requested again.
    pub(super) async fn wait_for(
        &self,
        anonymous: &Registry,
        references: &[&Reference],
        patience: Duration,
    ) -> Result<(), PushError> {
        let began = Instant::now();
        let mut pause = POLL.0;
        let mut missing = self.distinct_blobs();
        let size = missing.iter().map(|blob| blob.size).sum();
        let destination = || Box::new(references[0].clone());
        let mut met = None;
        loop {
            let read = AtomicU64::new(size - missing.iter().map(|blob| blob.size).sum::<u64>());
            let pull = self.pull(anonymous, references, &mut missing, &read);
            match tokio::time::timeout(patience.saturating_sub(began.elapsed()), pull).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(RegistryError::Interrupted)) => return Err(PushError::Interrupted),
                Ok(Err(error)) => met = Some(error),
                // The fault of an earlier attempt says more than the end of the time for a further one.
                Err(_) if met.is_some() => {}
                Err(_) => match read.into_inner() {
                    0 => met = Some(RegistryError::Overdue(patience)),
                    read => {
                        return Err(PushError::HalfPulled { destination: destination(), waited: patience, read, size });
                    }
                },
            }
            if began.elapsed() + pause >= patience {
                let source = met.expect("something was met");
                return Err(PushError::NotPullable { destination: destination(), waited: patience, source });
            }
            let cause = met.as_ref().map_or_else(String::new, ToString::to_string);
            self.progress.emit(Event::Detail(&format!("not pullable yet: {cause}")));
            anonymous.rest(pause).await.map_err(|error| self.failed(error))?;
            pause = (pause * 2).min(POLL.1);
        }
    }

    fn distinct_blobs(&self) -> Vec<Descriptor> {
        let mut seen = BTreeSet::new();
        self.tree.blobs.iter().filter(|blob| seen.insert(blob.digest)).cloned().collect()
    }

    /// Pulls all names, all manifests and the `missing` blobs, and takes the blobs that arrived out of `missing`.
    /// `read` counts the bytes.
    async fn pull(
        &self,
        anonymous: &Registry,
        references: &[&Reference],
        missing: &mut Vec<Descriptor>,
        read: &AtomicU64,
    ) -> Result<(), RegistryError> {
        let root = self.tree.root().digest();
        for tag in references.iter().filter_map(|reference| reference.tag()) {
            let found = anonymous.get_manifest(self.repository, Target::Tag(tag)).await?.digest();
            if found != root {
                return Err(RegistryError::Stale { expected: root, found });
            }
        }
        for document in &self.tree.documents {
            anonymous.get_manifest(self.repository, Target::Digest(document.digest())).await?;
        }
        let wanted = missing.clone();
        let came = |bytes| {
            read.fetch_add(bytes, Ordering::Relaxed);
        };
        let work = wanted
            .iter()
            .map(|blob| Box::pin(async move { self.read_from(anonymous, blob, came).await.map(|()| blob.digest) }));
        let failed = AtomicBool::new(false);
        let unless_failed = |_: &_| std::future::ready(!failed.load(Ordering::Relaxed));
        let mut running = pin!(stream::iter(work).take_while(unless_failed).buffer_unordered(self.jobs));
        let mut failure = Ok(());
        while let Some(result) = running.next().await {
            match result {
                Ok(whole) => missing.retain(|blob| blob.digest != whole),
                // Downloads under way may be large, so they are finished and not started again.
                Err(error) => {
                    failed.store(true, Ordering::Relaxed);
                    failure = failure.and(Err(error));
                }
            }
        }
        failure
    }
}

/// A blob that is being read. Its end is reported even if the reading is dropped.
struct Reading<'a> {
    progress: &'a dyn Progress,
    key: String,
    outcome: Outcome,
}

impl<'a> Reading<'a> {
    fn begin(progress: &'a dyn Progress, blob: &Descriptor, label: &str) -> Self {
        let key = blob.digest.to_string();
        progress.emit(Event::Begin { key: &key, label, phase: Phase::Verify, total: Some(blob.size) });
        Self { progress, key, outcome: Outcome::Failed }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.progress.emit(Event::End { key: &self.key, outcome: self.outcome.clone() });
    }
}
