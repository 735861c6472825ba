//! Does the work in one repository: surveys it, sends blobs and manifests, sets the tags, and verifies them.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::Either;
use futures_util::{StreamExt as _, stream};

use super::blob_uploader::{BlobUploader, UploadedBlobs};
use super::plan::{BlobStep, PushPlan, Survey, references};
use super::{BlobOutcome, Clients, Destination, FailedDestination, Outcomes, PushError, PushOutcome, failure};
use crate::image::{Descriptor, Digest, Reference};
use crate::progress::{Event, Progress, Summary};
use crate::registry::{Registry, RegistryError, Target, Traffic, Uploaded};
use crate::store::{ImageStore, ImageTree};

/// Requests for a survey at the same time. They cost the registry little, and a push of an image that the registry has
/// already needs one round of them.
const QUESTIONS: usize = 8;

/// One repository of one registry, and the image that goes there.
pub(super) struct Run<'a> {
    pub(super) registry: &'a Registry,
    pub(super) repository: &'a str,
    pub(super) jobs: usize,
    pub(super) store: &'a ImageStore,
    pub(super) tree: &'a ImageTree,
    pub(super) progress: &'a Arc<dyn Progress>,
    /// Where errors say that it went.
    pub(super) destination: &'a Reference,
}

impl Run<'_> {
    /// Does the work for all destinations of one repository: blobs and manifests once, then each name.
    pub(super) async fn group(
        &self,
        clients: &Clients<'_>,
        group: &[&Destination],
        ahead: &UploadedBlobs,
        outcomes: &mut Outcomes,
    ) {
        let references = references(group);
        let (blobs, complete) = match self.content(&references, ahead).await {
            Ok(found) => found,
            Err(error) => return outcomes.failed.push(FailedDestination::new(references, error)),
        };
        let mut named = Vec::new();
        for reference in references {
            match if complete { Ok(()) } else { self.name(&reference).await } {
                Ok(()) => named.push((reference, self.registry.new_traffic())),
                Err(error) => outcomes.failed.push(FailedDestination::new(vec![reference], error)),
            }
        }
        if named.is_empty() {
            return;
        }
        if let Err(error) = self.verify(clients, group[0], &named).await {
            let named = named.into_iter().map(|(reference, _)| reference).collect();
            return outcomes.failed.push(FailedDestination::new(named, error));
        }
        // The verification is of the content, so its traffic is reported with the first name.
        let proof = self.registry.new_traffic();
        named[0].1.requests += proof.requests;
        named[0].1.sent += proof.sent;
        self.report(named, blobs, outcomes);
    }

    /// Brings blobs and manifests to where they are to be named: what became of the blobs, and whether the names are
    /// there as well.
    async fn content(&self, names: &[Reference], ahead: &UploadedBlobs) -> Result<(Vec<BlobOutcome>, bool), PushError> {
        let tags: Vec<&str> = names.iter().filter_map(Reference::tag).collect();
        let survey = self.survey_before_upload(&tags).await?;
        let plan = PushPlan::new(&self.tree.blobs, &survey.blobs);
        let complete = survey.is_complete(&plan, &self.tree.documents, &self::names(&tags, self.tree.root().digest()));
        let mut blobs = self.blobs(&plan, ahead).await?;
        if !complete {
            for repaired in self.documents().await? {
                let of_it = |blob: &&mut BlobOutcome| blob.digest == repaired.digest;
                if let Some(blob) = blobs.iter_mut().find(of_it) {
                    *blob = blob.repaired(repaired);
                }
            }
        }
        Ok((blobs, complete))
    }

    /// Makes sure of what was asked for beyond the registry's word.
    async fn verify(
        &self,
        clients: &Clients<'_>,
        destination: &Destination,
        named: &[(Reference, Traffic)],
    ) -> Result<(), PushError> {
        if clients.config.verify {
            self.read_back().await?;
        }
        if let Some(patience) = clients.config.wait {
            let anonymous = clients.open(destination, None).map_err(|error| self.failed(error))?;
            let references: Vec<&Reference> = named.iter().map(|(reference, _)| reference).collect();
            self.wait_for(&anonymous, &references, patience).await?;
        }
        Ok(())
    }

    /// Reports what was done for each name; the blobs are reported with the first.
    fn report(&self, named: Vec<(Reference, Traffic)>, mut blobs: Vec<BlobOutcome>, outcomes: &mut Outcomes) {
        for (reference, traffic) in named {
            let outcome = PushOutcome {
                reference,
                digest: self.tree.root().digest(),
                traffic,
                certificate: self.registry.own_certificate(),
                blobs: blobs.clone(),
            };
            self.summarise(&outcome);
            outcomes.done.push(outcome);
            for blob in &mut blobs {
                (blob.how, blob.uploaded) = (Uploaded::Exists, 0);
            }
        }
    }

    fn summarise(&self, outcome: &PushOutcome) {
        let totals = outcome.totals();
        self.progress.emit(Event::Summary(&Summary {
            destination: outcome.reference.to_string(),
            digest: outcome.digest.to_string(),
            requests: outcome.traffic.requests,
            sent: outcome.traffic.sent,
            uploaded: totals.uploaded,
            skipped: totals.skipped,
            mounted: totals.mounted,
            resumed: totals.resumed,
        }));
    }
}

/// Returns the names under which the image can be found: its tags, or its digest if it has none.
pub(super) fn names(tags: &[&str], digest: Digest) -> Vec<String> {
    if tags.is_empty() { vec![digest.to_string()] } else { tags.iter().map(|tag| (*tag).to_owned()).collect() }
}

/// An answer to one question.
enum Found {
    Blob(Digest, Option<u64>),
    Manifest(String, Option<Digest>),
}

impl Run<'_> {
    /// Asks what [`Self::survey`] asks, except for blobs that the upload's first request looks for.
    ///
    /// If all names already stand for the image, probably nothing has to be uploaded, and those blobs are asked for too.
    async fn survey_before_upload(&self, tags: &[&str]) -> Result<Survey, PushError> {
        let likely_new = |blob: &&Descriptor| self.registry.is_likely_new(blob);
        let (left, asked): (Vec<&Descriptor>, Vec<&Descriptor>) = self.tree.blobs.iter().partition(likely_new);
        let mut survey = self.ask(asked, self.targets(tags)).await?;
        let root = self.tree.root().digest();
        if !left.is_empty() && names(tags, root).iter().all(|name| survey.stands_for(name) == Some(root)) {
            survey.blobs.extend(self.ask(left, Vec::new()).await?.blobs);
        }
        Ok(survey)
    }

    /// Asks for all blobs, for the manifests below the root, and for what the tags stand for.
    pub(super) async fn survey(&self, tags: &[&str]) -> Result<Survey, PushError> {
        self.ask(self.tree.blobs.iter().collect(), self.targets(tags)).await
    }

    /// Returns the manifests below the root and the tags, or the root if there are no tags.
    fn targets<'t>(&self, tags: &[&'t str]) -> Vec<Target<'t>> {
        let children = self.tree.documents.split_last().map_or(&[][..], |(_, children)| children);
        let digests = children.iter().map(|child| Target::Digest(child.digest()));
        let root = tags.is_empty().then(|| Target::Digest(self.tree.root().digest()));
        digests.chain(root).chain(tags.iter().map(|tag| Target::Tag(tag))).collect()
    }

    /// Asks for these blobs and manifests, some at a time.
    async fn ask(&self, blobs: Vec<&Descriptor>, targets: Vec<Target<'_>>) -> Result<Survey, PushError> {
        let blobs = blobs.into_iter().map(|blob| {
            let asked = async move {
                let size = self.registry.head_blob(self.repository, blob.digest).await?;
                Ok(Found::Blob(blob.digest, size))
            };
            Either::Left(asked)
        });
        let manifests = targets.into_iter().map(|target| {
            let asked = async move {
                // A failed question costs sending the manifest, and that failure has the better explanation.
                let found = match self.registry.head_manifest(self.repository, target).await {
                    Ok(head) => head.and_then(|head| head.digest),
                    Err(RegistryError::Interrupted) => return Err(RegistryError::Interrupted),
                    Err(_) => None,
                };
                Ok(Found::Manifest(target.to_string(), found))
            };
            Either::Right(asked)
        });
        let questions = blobs.chain(manifests);
        let found = self.all(questions, self.jobs.max(QUESTIONS)).await.map_err(|error| self.failed(error))?;
        let mut survey = Survey::default();
        for answer in found {
            match answer {
                Found::Blob(digest, size) => survey.blobs.extend(size.map(|size| (digest, size))),
                Found::Manifest(name, digest) => survey.manifests.extend(digest.map(|digest| (name, digest))),
            }
        }
        Ok(survey)
    }

    /// Uploads all blobs of the plan that the repository does not have. Blobs that were uploaded `ahead` and still
    /// exist keep their outcome and are not reported again.
    pub(super) async fn blobs(&self, plan: &PushPlan, ahead: &UploadedBlobs) -> Result<Vec<BlobOutcome>, PushError> {
        let uploader = self.uploader();
        let work = plan.steps.iter().map(|(blob, step)| {
            let done = ahead.get(&blob.digest).filter(|_| *step == BlobStep::Skip);
            let uploader = &uploader;
            async move {
                match done {
                    Some(done) => Ok(*done),
                    None => uploader.upload(blob, &label(self.tree, blob), *step).await,
                }
            }
        });
        let outcomes = self.all(work, self.jobs).await.map_err(|error| self.failed(error));
        self.registry.keep_places();
        outcomes
    }

    fn uploader(&self) -> BlobUploader<'_> {
        let Self { registry, repository, store, progress, .. } = *self;
        BlobUploader { registry, repository, store, progress }
    }

    /// Stores all manifests by digest, children before parents. Blobs and manifests that the registry turns out
    /// not to have, although it said so, are sent again, once.
    pub(super) async fn documents(&self) -> Result<Vec<BlobOutcome>, PushError> {
        let mut repaired = Vec::new();
        let mut once = false;
        let mut next = 0;
        while let Some(document) = self.tree.documents.get(next) {
            let target = Target::Digest(document.digest());
            match self.registry.put_manifest(self.repository, target, document).await {
                Ok(stored) => {
                    if !stored.knows_subject {
                        let listed = self.registry.add_referrer(self.repository, document).await;
                        listed.map_err(|error| self.failed(error))?;
                    }
                    next += 1;
                }
                Err(error) if !once && error.misses_content() => {
                    once = true;
                    next = 0;
                    self.progress.emit(Event::Warning(&format!(
                        "the registry misses a part of {} that it had or was sent; looking for it",
                        self.destination
                    )));
                    let survey = self.survey(&[]).await?;
                    let plan = PushPlan::new(&self.tree.blobs, &survey.blobs);
                    let missing = plan.steps.into_iter().filter(|(_, step)| *step == BlobStep::Upload).collect();
                    repaired = self.blobs(&PushPlan { steps: missing }, &UploadedBlobs::new()).await?;
                }
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(repaired)
    }

    pub(super) fn failed(&self, error: RegistryError) -> PushError {
        match error {
            RegistryError::Source { digest, source } => self.uploader().unreadable(digest, source),
            other => failure(self.destination, other),
        }
    }

    /// Runs all, some at a time. The first failure stops the others, which clean up after themselves.
    pub(super) async fn all<T, F>(&self, work: impl Iterator<Item = F>, jobs: usize) -> Result<Vec<T>, RegistryError>
    where
        F: Future<Output = Result<T, RegistryError>>,
    {
        let stopped = AtomicBool::new(false);
        let unless_stopped = |_: &_| std::future::ready(!stopped.load(Ordering::Relaxed));
        let work = work.enumerate().map(|(at, work)| async move { (at, Box::pin(work).await) });
        let mut running = pin!(stream::iter(work).take_while(unless_stopped).buffer_unordered(jobs));
        let mut done = BTreeMap::new();
        let mut failure = None;
        while let Some((at, result)) = running.next().await {
            match result {
                Ok(value) => drop(done.insert(at, value)),
                Err(error) => {
                    stopped.store(true, Ordering::Relaxed);
                    self.registry.abandon();
                    // Cancellations caused by the first failure are not reported.
                    if matches!(failure, None | Some(RegistryError::Interrupted)) {
                        failure = Some(error);
                    }
                }
            }
        }
        failure.map_or_else(|| Ok(done.into_values().collect()), Err)
    }

    /// Gives the pushed image its tag and asks whether it has it.
    pub(super) async fn name(&self, reference: &Reference) -> Result<(), PushError> {
        let failed = |source| failure(reference, source);
        let root = self.tree.root();
        let target = match reference.tag() {
            Some(tag) => Target::Tag(tag),
            None => Target::Digest(root.digest()),
        };
        let lower = self.lower_case(reference.tag()).await.map_err(failed)?;
        if let Target::Tag(_) = target {
            self.registry.put_manifest(self.repository, target, root).await.map_err(failed)?;
        }
        let found = self.registry.confirm_manifest(self.repository, target).await.map_err(failed)?;
        if found != Some(root.digest()) {
            return Err(PushError::NotVerified {
                destination: Box::new(reference.clone()),
                expected: root.digest(),
                found,
            });
        }
        match (reference.tag(), lower) {
            (Some(tag), Some(lower)) => self.report_case(tag, lower, root.digest()).await.map_err(failed),
            _ => Ok(()),
        }
    }
}

/// Returns the label under which people see a blob.
pub(super) fn label(tree: &ImageTree, blob: &Descriptor) -> String {
    let is_config = tree
        .documents
        .iter()
        .filter_map(|document| document.manifest())
        .any(|manifest| manifest.config.digest == blob.digest);
    if is_config { "config".to_owned() } else { blob.digest.short() }
}
