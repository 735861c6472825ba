//! Blobs that go to the registries while the rest of their image is still being made.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt as _, stream};
use tokio::sync::{mpsc, oneshot};

use super::courier::Courier;
use super::plan::BlobStep;
use super::{
    BlobOutcome, Clients, Group, PushConfig, PushError, PushOutcome, client_of, everywhere, failure, groups_of, lease,
};
use crate::image::{Descriptor, Digest};
use crate::progress::{Interrupt, Progress};
use crate::registry::{Registry, RegistryError};
use crate::store::ImageStore;

/// An image in the making.
#[derive(Debug)]
pub struct Feed {
    /// Blobs that are whole in the store. Ends when there are no more.
    pub blobs: mpsc::UnboundedReceiver<Descriptor>,
    /// The image's manifest or index, once it is stored; dropped if it never is.
    pub image: oneshot::Receiver<Digest>,
}

/// What was done ahead for one repository.
pub(super) type Ahead = BTreeMap<Digest, BlobOutcome>;

/// Pushes an image to all destinations while it is made: each blob as soon as it is stored, the rest as
/// [`super::push`] does once the image is whole. `config.image` is not looked at.
///
/// `Ok(None)` when the image is never made: whoever makes it knows why. Needs a runtime with I/O and time.
pub async fn push_ahead(
    config: PushConfig,
    store: &ImageStore,
    feed: Feed,
    progress: Arc<dyn Progress>,
    interrupt: &Interrupt,
) -> Result<Option<Vec<PushOutcome>>, PushError> {
    // What is on its way stays in the store, whatever becomes of its image.
    let _lease = lease(store).await?;
    let clients = Clients { config: &config, interrupt, progress: &progress };
    let groups = groups_of(&config.destinations)?;
    let registries = clients.registries(&groups)?;
    let Feed { blobs, image } = feed;
    let ahead = Box::pin(send(&clients, &groups, &registries, store, blobs)).await?;
    let Ok(digest) = image.await else { return Ok(None) };
    let config = PushConfig { image: digest.to_string(), ..config.clone() };
    let clients = Clients { config: &config, interrupt, progress: &progress };
    Box::pin(everywhere(&clients, &registries, store, &ahead)).await.map(Some)
}

/// Brings each blob to each repository; the answers by name of the repository.
async fn send(
    clients: &Clients<'_>,
    groups: &[Group<'_>],
    registries: &BTreeMap<&str, Registry>,
    store: &ImageStore,
    blobs: mpsc::UnboundedReceiver<Descriptor>,
) -> Result<BTreeMap<String, Ahead>, PushError> {
    let stopped = AtomicBool::new(false);
    let unless_stopped = |_: &_| std::future::ready(!stopped.load(Ordering::Relaxed));
    let blobs = stream::unfold(blobs, async |mut blobs| blobs.recv().await.map(|blob| (blob, blobs)));
    let work =
        blobs.take_while(unless_stopped).map(|blob| Box::pin(everywhere_one(clients, groups, registries, store, blob)));
    let mut running = pin!(work.buffer_unordered(clients.config.jobs.max(1)));
    let mut ahead: BTreeMap<String, Ahead> = BTreeMap::new();
    let mut failed = None;
    while let Some(result) = running.next().await {
        match result {
            Ok(outcomes) => {
                for (name, outcome) in outcomes {
                    ahead.entry(name).or_default().insert(outcome.digest, outcome);
                }
            }
            Err(error) => {
                stopped.store(true, Ordering::Relaxed);
                registries.values().for_each(Registry::abandon);
                // What the stop does to the others is not what went wrong.
                if matches!(failed, None | Some(PushError::Interrupted)) {
                    failed = Some(error);
                }
            }
        }
    }
    failed.map_or(Ok(ahead), Err)
}

async fn everywhere_one(
    clients: &Clients<'_>,
    groups: &[Group<'_>],
    registries: &BTreeMap<&str, Registry>,
    store: &ImageStore,
    blob: Descriptor,
) -> Result<Vec<(String, BlobOutcome)>, PushError> {
    let mut outcomes = Vec::new();
    for group in groups {
        let reference = &group[0].reference;
        let registry = client_of(registries, group);
        let courier = Courier { registry, repository: reference.repository(), store, progress: clients.progress };
        let outcome = bring(&courier, &blob).await.map_err(|error| match error {
            RegistryError::Source { digest, source } => courier.unreadable(digest, source),
            error => failure(reference, error),
        })?;
        outcomes.push((reference.name(), outcome));
    }
    Ok(outcomes)
}

async fn bring(courier: &Courier<'_>, blob: &Descriptor) -> Result<BlobOutcome, RegistryError> {
    let there = courier.registry.head_blob(courier.repository, blob.digest).await? == Some(blob.size);
    let step = if there { BlobStep::Skip } else { BlobStep::Upload };
    courier.bring(blob, &blob.digest.short(), &step).await
}
