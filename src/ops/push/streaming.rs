//! Uploads blobs to the registries while the rest of their image is still being built.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt as _, stream};
use tokio::sync::{mpsc, oneshot};

use super::blob_uploader::{BlobUploader, UploadedBlobs};
use super::plan::{BlobStep, references};
use super::{
    BlobOutcome, Clients, FailedDestination, Group, PartialPush, PushConfig, PushError, PushOutcome, Registries,
    client_of, everywhere, failure, groups_of, lease,
};
use crate::image::{Descriptor, Digest};
use crate::progress::{Interrupt, Progress};
use crate::registry::RegistryError;
use crate::store::ImageStore;

/// An image in the making.
#[derive(Debug)]
pub struct LayerStream {
    /// Blobs that are whole in the store. Ends when there are no more.
    pub blobs: mpsc::UnboundedReceiver<Descriptor>,
    /// The image's manifest or index, once it is stored; dropped if it never is.
    pub image: oneshot::Receiver<Digest>,
}

/// Pushes an image to all destinations while it is made: each blob as soon as it is stored, the rest as
/// [`super::push`] does once the image is whole. `config.image` is not looked at.
///
/// Returns `Ok(None)` when the image is never made; the build has the reason. Needs a runtime with I/O and time.
///
/// # Errors
///
/// [`PartialPush`] where any destination failed; it has what became of the others.
pub async fn push_while_building(
    config: PushConfig,
    store: &ImageStore,
    feed: LayerStream,
    progress: Arc<dyn Progress>,
    interrupt: &Interrupt,
) -> Result<Option<Vec<PushOutcome>>, PartialPush> {
    let nothing = |error| PartialPush::nothing(&config.destinations, error);
    // Blobs that are being uploaded stay in the store, even if their image is never made.
    let _lease = lease(store).await.map_err(|error| nothing(error.into()))?;
    let clients = Clients { config: &config, interrupt, progress: &progress };
    let groups = groups_of(&config.destinations).map_err(nothing)?;
    let registries = clients.registries(&groups).map_err(nothing)?;
    let LayerStream { blobs, image } = feed;
    let ahead = Box::pin(send(&clients, &groups, &registries, store, blobs)).await;
    if groups.iter().all(|group| matches!(ahead.get(&group[0].reference.name()), Some(Err(_)))) {
        return Err(all_failed(&groups, ahead));
    }
    let Ok(digest) = image.await else { return Ok(None) };
    let config = PushConfig { image: digest.to_string(), ..config.clone() };
    let clients = Clients { config: &config, interrupt, progress: &progress };
    Box::pin(everywhere(&clients, registries, store, ahead)).await.map(Some)
}

fn all_failed(groups: &[Group<'_>], mut ahead: BTreeMap<String, Result<UploadedBlobs, PushError>>) -> PartialPush {
    let undone = groups.iter().filter_map(|group| match ahead.remove(&group[0].reference.name()) {
        Some(Err(error)) => Some(FailedDestination::new(references(group), error)),
        _ => None,
    });
    PartialPush { done: Vec::new(), failed: undone.collect() }
}

/// Brings each blob to each repository; the answers, or what failed first, by name of the repository. Nothing more is
/// sent to a repository once something failed.
async fn send(
    clients: &Clients<'_>,
    groups: &[Group<'_>],
    registries: &Registries<'_>,
    store: &ImageStore,
    blobs: mpsc::UnboundedReceiver<Descriptor>,
) -> BTreeMap<String, Result<UploadedBlobs, PushError>> {
    let given_up: Vec<AtomicBool> = groups.iter().map(|_| AtomicBool::new(false)).collect();
    let is_given_up = |at: usize| given_up[at].load(Ordering::Relaxed);
    let is_over = || (0..groups.len()).all(is_given_up);
    let unless_over = |_: &_| std::future::ready(!is_over());
    let blobs = stream::unfold(blobs, async |mut blobs| blobs.recv().await.map(|blob| (blob, blobs)));
    let upload_everywhere = |blob: Descriptor| {
        Box::pin(async move {
            let mut results = Vec::new();
            for (at, group) in groups.iter().enumerate().filter(|(at, _)| !is_given_up(*at)) {
                results.push((at, upload_to(clients, group, registries, store, &blob).await));
            }
            results
        })
    };
    let work = blobs.take_while(unless_over).map(upload_everywhere);
    let mut running = pin!(work.buffer_unordered(clients.config.jobs.max(1)));
    let mut ahead: BTreeMap<String, Result<UploadedBlobs, PushError>> = BTreeMap::new();
    while let Some(results) = running.next().await {
        for (at, result) in results {
            let known = ahead.entry(groups[at][0].reference.name()).or_insert_with(|| Ok(UploadedBlobs::new()));
            match (result, &mut *known) {
                (Ok(outcome), Ok(known)) => drop(known.insert(outcome.digest, outcome)),
                // Cancellations caused by the first failure are not reported.
                (Err(error), Ok(_) | Err(PushError::Interrupted)) => *known = Err(error),
                (_, Err(_)) => {}
            }
            if known.is_err() && !given_up[at].swap(true, Ordering::Relaxed) {
                // A client is stopped when everything that it worked for has failed.
                let host = groups[at][0].reference.registry();
                let shared =
                    |(other, group): (usize, &Group<'_>)| group[0].reference.registry() == host && !is_given_up(other);
                if !groups.iter().enumerate().any(shared) {
                    client_of(registries, &groups[at]).abandon();
                }
            }
        }
    }
    ahead
}

async fn upload_to(
    clients: &Clients<'_>,
    group: &Group<'_>,
    registries: &Registries<'_>,
    store: &ImageStore,
    blob: &Descriptor,
) -> Result<BlobOutcome, PushError> {
    let reference = &group[0].reference;
    let registry = client_of(registries, group);
    let uploader = BlobUploader { registry, repository: reference.repository(), store, progress: clients.progress };
    upload(&uploader, blob).await.map_err(|error| match error {
        RegistryError::Source { digest, source } => uploader.unreadable(digest, source),
        error => failure(reference, error),
    })
}

async fn upload(uploader: &BlobUploader<'_>, blob: &Descriptor) -> Result<BlobOutcome, RegistryError> {
    let there = uploader.registry.head_blob(uploader.repository, blob.digest).await? == Some(blob.size);
    let step = if there { BlobStep::Skip } else { BlobStep::Upload };
    uploader.upload(blob, &blob.digest.short(), step).await
}
