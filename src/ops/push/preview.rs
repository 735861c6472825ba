//! Finds out what a push would do without sending anything into the registry.

use std::sync::Arc;

use super::partial::Outcomes;
use super::plan::{BlobStep, PushPlan, groups, references};
use super::run::{Run, names};
use super::{Clients, FailedDestination, Group, PartialPush, PushConfig, PushError, client_of, lease};
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
    /// Each blob once, in the image's order, and what would become of it.
    pub steps: Vec<(Descriptor, PreviewStep)>,
    /// Manifests and indexes, children first.
    pub documents: Vec<Descriptor>,
    /// Whether nothing is left to do.
    pub complete: bool,
}

/// What a push would do about a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PreviewStep {
    /// The repository has the blob.
    Skip,
    /// Another repository of the registry has the blob; the push sends it only if the registry does not take it from
    /// there.
    Mount {
        /// The other repository.
        from: String,
    },
    /// The push sends the blob.
    Upload,
}

impl Preview {
    /// Returns the bytes of all blobs with such a step.
    pub fn bytes(&self, of: impl Fn(&PreviewStep) -> bool) -> u64 {
        self.steps.iter().filter(|(_, step)| of(step)).map(|(blob, _)| blob.size).sum()
    }
}

/// Looks what a push to each destination would do, and whether it would be let in: an upload session is opened
/// and cancelled. No content is sent, nothing is stored, no tag changes. A destination that fails does not keep the
/// others from being asked.
///
/// Needs a runtime with I/O and time.
///
/// # Errors
///
/// [`PartialPush`] where any destination failed; it has the previews of the others.
pub async fn preview(
    config: PushConfig,
    store: &ImageStore,
    progress: Arc<dyn Progress>,
    interrupt: &Interrupt,
) -> Result<Vec<Preview>, PartialPush<Preview>> {
    let nothing = |error: PushError| PartialPush::nothing(&config.destinations, error);
    let _lease = lease(store).await.map_err(|error| nothing(error.into()))?;
    let tree = store
        .resolve(&config.image)
        .and_then(|selection| store.tree(&selection.descriptor))
        .map_err(|error| nothing(error.into()))?;
    let clients = Clients { config: &config, interrupt, progress: &progress };
    let groups = groups(&config.destinations, tree.root().digest()).map_err(nothing)?;
    let mut registries = clients.registries(&groups).map_err(nothing)?;
    let mut outcomes = Outcomes::default();
    let mut waiting = groups.into_iter();
    for group in waiting.by_ref() {
        let registry = client_of(&registries, &group);
        match survey(&clients.run(registry, &group, store, &tree), &group).await {
            Ok(mut previews) => outcomes.done.append(&mut previews),
            Err(error) => {
                outcomes.failed.push(FailedDestination::new(references(&group), error));
                if outcomes.is_over() {
                    break;
                }
                clients.renew(&mut registries, group[0]);
            }
        }
    }
    outcomes.result(waiting.flat_map(|group| references(&group)))
}

/// Looks at the destinations that share a repository.
async fn survey(run: &Run<'_>, group: &Group<'_>) -> Result<Vec<Preview>, PushError> {
    let digest = run.tree.root().digest();
    let references = references(group);
    let tags: Vec<&str> = references.iter().filter_map(Reference::tag).collect();
    let survey = run.survey(&tags).await?;
    let plan = PushPlan::new(&run.tree.blobs, &survey.blobs);
    let mut steps = Vec::new();
    for (blob, step) in &plan.steps {
        let step = match step {
            BlobStep::Skip => PreviewStep::Skip,
            BlobStep::Upload => {
                let from = run.registry.mountable(run.repository, blob).await.map_err(|error| run.failed(error))?;
                from.map_or(PreviewStep::Upload, |from| PreviewStep::Mount { from })
            }
        };
        steps.push((blob.clone(), step));
    }
    let permitted = run.registry.probe_push(run.repository, std::future::pending()).await;
    permitted.expect("there is no end to wait for").map_err(|error| run.failed(error))?;
    let documents = &run.tree.documents;
    let previews = references.iter().map(|reference| {
        let tag: Vec<&str> = reference.tag().into_iter().collect();
        let name = names(&tag, digest);
        Preview {
            reference: reference.clone(),
            digest,
            current: survey.stands_for(&name[0]),
            complete: survey.is_complete(&plan, documents, &name),
            steps: steps.clone(),
            documents: documents.iter().map(|document| document.descriptor.clone()).collect(),
        }
    });
    Ok(previews.collect())
}
