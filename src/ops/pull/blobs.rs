//! The blobs of a pull: those that the store lacks are received in parallel.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;

use super::error::{failure, foreign};
use super::{PullError, Run};
use crate::image::{Descriptor, Digest, Document, Manifest};
use crate::progress::{Event, Outcome, Phase, Progress};
use crate::registry::{Piece, RegistryError};
use crate::store::{BlobWriter, StoreError};
use crate::text;

/// Chunks between the connection and the disk.
const QUEUE: usize = 4;

impl Run<'_> {
    /// Receives the blobs that the store lacks; returns bytes received and bytes present before. A leaf that the
    /// registry does not have as a blob is left out, with a warning.
    pub(super) async fn blobs(
        &self,
        documents: &[Document],
        leaves: &[Descriptor],
        progress: &Arc<dyn Progress>,
    ) -> Result<(u64, u64), PullError> {
        let mut seen = BTreeSet::new();
        let mut missing = Vec::new();
        let mut present = 0;
        let is_leaf: BTreeSet<Digest> = leaves.iter().map(|leaf| leaf.digest).collect();
        for blob in documents.iter().filter_map(Document::manifest).flat_map(Manifest::blobs).chain(leaves) {
            if !seen.insert(blob.digest) {
                continue;
            }
            if self.has(blob).await? {
                present += blob.size;
            } else {
                missing.push(blob);
            }
        }
        let stopped = AtomicBool::new(false);
        let unless_stopped = |_: &_| std::future::ready(!stopped.load(Ordering::Relaxed));
        let work = missing.iter().map(|blob| async {
            match self.blob(blob, progress).await {
                Err(PullError::Registry { source: RegistryError::NotFound(_), .. }) if is_leaf.contains(&blob.digest) => {
                    let media_type = text::plain(&blob.media_type, 120);
                    let digest = blob.digest;
                    progress.emit(Event::Warning(&format!(
                        "the registry has no blob {digest}, which the index refers to as `{media_type}`; the index is kept without it"
                    )));
                    Ok(0)
                }
                received => received,
            }
        });
        let mut running = pin!(stream::iter(work).take_while(unless_stopped).buffer_unordered(self.jobs));
        let mut failure = None;
        let mut downloaded = 0;
        while let Some(result) = running.next().await {
            match result {
                Ok(received) => downloaded += received,
                Err(error) => {
                    stopped.store(true, Ordering::Relaxed);
                    self.registry.abandon();
                    if matches!(failure, None | Some(PullError::Interrupted)) {
                        failure = Some(error);
                    }
                }
            }
        }
        failure.map_or(Ok((downloaded, present)), Err)
    }

    /// Returns whether the store has the blob whole. A damaged one is fetched again, which heals it.
    async fn has(&self, blob: &Descriptor) -> Result<bool, PullError> {
        if !self.verify && self.store.is_verified(blob) {
            return Ok(true);
        }
        let (store, blob, interrupt) = (self.store.clone(), blob.clone(), self.interrupt.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let mut reader = match store.read_blob(&blob) {
                Ok(reader) => reader,
                Err(StoreError::MissingBlob(_) | StoreError::BlobSize { .. }) => return Ok(false),
                Err(error) => return Err(error.into()),
            };
            let mut buffer = vec![0; 128 << 10];
            loop {
                if interrupt.requested() {
                    return Err(PullError::Interrupted);
                }
                match reader.read(&mut buffer) {
                    Ok(0) => return Ok(true),
                    Ok(_) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => match reader.explain(error) {
                        StoreError::BlobSize { .. } | StoreError::BlobDigest { .. } => return Ok(false),
                        error => return Err(error.into()),
                    },
                }
            }
        });
        reading.await.expect("reading does not panic")
    }

    /// Receives one blob; returns how many bytes came.
    async fn blob(&self, blob: &Descriptor, progress: &Arc<dyn Progress>) -> Result<u64, PullError> {
        let key = blob.digest.to_string();
        let label = blob.digest.short();
        progress.emit(Event::Begin { key: &key, label: &label, phase: Phase::Download, total: Some(blob.size) });
        let result = self.receive(blob, &key, progress).await;
        let outcome = if result.is_ok() { Outcome::Done } else { Outcome::Failed };
        progress.emit(Event::End { key: &key, outcome });
        result
    }

    /// Moves a blob from the connection through a short queue to a thread that writes.
    async fn receive(&self, blob: &Descriptor, key: &str, progress: &Arc<dyn Progress>) -> Result<u64, PullError> {
        let failed = |source| failure(self.reference, source);
        let mut writer = {
            let (store, lease, blob) = (self.store.clone(), Arc::clone(self.lease), blob.clone());
            // What an earlier run left is hashed first.
            let opening = tokio::task::spawn_blocking(move || store.resume_blob(&lease, &blob));
            opening.await.expect("opening does not panic")?
        };
        let prefix = writer.prefix();
        if prefix.count() > 0 {
            progress.emit(Event::Resume { key, offset: prefix.count() });
        }
        let mut download = self.registry.resume_blob(self.reference.repository(), blob, prefix).map_err(failed)?;
        let root = self.store.root().to_owned();
        let (sender, mut receiver) = mpsc::channel::<Piece>(QUEUE);
        let writing = tokio::task::spawn_blocking(move || -> Result<BlobWriter, StoreError> {
            while let Some(piece) = receiver.blocking_recv() {
                let written = match piece {
                    Piece::Bytes(bytes) => writer.write_all(&bytes),
                    Piece::Restart => writer.restart(),
                };
                written.map_err(|source| StoreError::io("write a blob in", &root, source))?;
            }
            Ok(writer)
        });
        let mut arrived = 0;
        let mut download_result = Ok(());
        loop {
            match download.next().await {
                Ok(Some(piece)) => {
                    let count = match &piece {
                        Piece::Bytes(bytes) => Some(bytes.len() as u64),
                        Piece::Restart => None,
                    };
                    // The writer's result, read below, has the reason.
                    if sender.send(piece).await.is_err() {
                        break;
                    }
                    arrived += count.unwrap_or(0);
                    progress.emit(match count {
                        Some(bytes) => Event::Advance { key, bytes },
                        None => Event::Rewind { key, offset: 0 },
                    });
                }
                Ok(None) => break,
                Err(error) => {
                    download_result = Err(error);
                    break;
                }
            }
        }
        drop(sender);
        let writer = writing.await.expect("writing does not panic")?;
        if let Err(error) = download_result {
            if matches!(error, RegistryError::DigestMismatch { .. } | RegistryError::Protocol { .. }) {
                writer.discard();
            }
            return Err(foreign(self.reference, blob, &error).unwrap_or_else(|| failed(error)));
        }
        let blob = blob.clone();
        tokio::task::spawn_blocking(move || writer.commit_as(&blob)).await.expect("committing does not panic")?;
        Ok(arrived)
    }
}
