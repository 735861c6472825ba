//! What a push would do, found out without sending anything into the registry.

use std::sync::Arc;

use super::plan::{BlobStep, PushPlan, groups};
use super::run::{names, references};
use super::{Clients, PushConfig, PushError, client_of, lease};
use crate::image::{Descriptor, Digest, Reference};
use crate::progress::{Interrupt, Progress};
use crate::store::ImageStore;

/// What a push to one destination would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The destination, with the tag that would be used.
    pub reference: Reference,
    /// The digest of the image's manifest or index.
    pub digest: Digest,
    /// What the tag stands for now; without a tag, the digest where it is there.
    pub current: Option<Digest>,
    /// What would become of the blobs.
    pub plan: PushPlan,
    /// Manifests and indexes, children first.
    pub documents: Vec<Descriptor>,
    /// Whether nothing is left to do.
    pub complete: bool,
}

/// Looks what a push to each destination would do, and whether it would be let in: an upload session is opened
/// and cancelled. No content is sent, nothing is stored, no tag changes.
///
/// Needs a runtime with I/O and time.
pub async fn preview(
    config: PushConfig,
    store: &ImageStore,
    progress: Arc<dyn Progress>,
    interrupt: &Interrupt,
) -> Result<Vec<Preview>, PushError> {
    let _lease = lease(store).await?;
    let selection = store.resolve(&config.image)?;
    let tree = store.tree(&selection.descriptor)?;
    let digest = tree.root().digest();
    let clients = Clients { config: &config, interrupt, progress: &progress };
    let groups = groups(&config.destinations, digest)?;
    let registries = clients.registries(&groups)?;
    let mut previews = Vec::new();
    for group in groups {
        let registry = client_of(&registries, &group);
        let run = clients.run(registry, &group, store, &tree);
        let references = references(&group);
        let tags: Vec<&str> = references.iter().filter_map(Reference::tag).collect();
        let survey = run.survey(&tags).await?;
        let mut plan = PushPlan::new(&tree.blobs, &survey.blobs);
        for (blob, step) in plan.steps.iter_mut().filter(|(_, step)| *step == BlobStep::Upload) {
            let from = registry.mountable(run.repository, blob).await.map_err(|error| run.failed(error))?;
            if let Some(from) = from {
                *step = BlobStep::Mount { from };
            }
        }
        let permitted = registry.probe_push(run.repository, std::future::pending()).await;
        permitted.expect("there is no end to wait for").map_err(|error| run.failed(error))?;
        for reference in &references {
            let tag: Vec<&str> = reference.tag().into_iter().collect();
            let name = names(&tag, digest);
            previews.push(Preview {
                reference: reference.clone(),
                digest,
                current: survey.stands_for(&name[0]),
                complete: survey.is_complete(&plan, &tree.documents, &name),
                plan: plan.clone(),
                documents: tree.documents.iter().map(|document| document.descriptor.clone()).collect(),
            });
        }
    }
    Ok(previews)
}
