//! The push: a stored image becomes a verified image in one or more registries.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt as _, stream};

use crate::credentials::Credential;
use crate::image::{Descriptor, Digest, Reference};
use crate::progress::{Event, Interrupt, Outcome, Phase, Progress};
use crate::registry::{
    Limits, Meter, Persistence, Proxies, Registry, RegistryConfig, RegistryError, RetryPolicy, Target, Timeouts,
    Uploaded,
};
use crate::store::{ImageStore, ImageTree, StoreError};
use crate::tls::{CertificateFacts, TlsPolicy};

/// Blobs sent at the same time when nobody says otherwise: what Gitea on `SQLite` takes well.
pub const DEFAULT_JOBS: usize = 3;

/// One place to push to.
#[derive(Debug, Clone)]
pub struct Destination {
    /// With its registry; without tag and digest it is tagged `latest`.
    pub reference: Reference,
    /// How connections to the registry are protected. Destinations of one registry share the
    /// policy and the credential of the first.
    pub policy: TlsPolicy,
    /// Who we are to the registry.
    pub credential: Option<Credential>,
}

/// What to push and where.
#[derive(Debug, Clone)]
pub struct PushConfig {
    /// The stored image: a name, an id, or a prefix of one.
    pub image: String,
    /// At least one.
    pub destinations: Vec<Destination>,
    /// Blobs sent at the same time.
    pub jobs: usize,
    /// Size limits of upload requests, to begin with.
    pub limits: Limits,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Proxies on the way.
    pub proxies: Proxies,
    /// When to try again.
    pub retry: RetryPolicy,
    /// The directory of what outlives the process; without one, the next push knows nothing of this one.
    pub state: Option<PathBuf>,
}

/// What became of one destination.
#[derive(Debug, Clone)]
pub struct PushOutcome {
    /// The destination, with the tag that was used.
    pub reference: Reference,
    /// What it stands for now: the digest of the image's manifest or index.
    pub digest: Digest,
    /// Bytes of blobs sent for this destination.
    pub bytes_uploaded: u64,
    /// Bytes of blobs the registry had.
    pub bytes_skipped: u64,
    /// The certificate that the registry showed; none without TLS.
    pub certificate: Option<CertificateFacts>,
    /// Each blob. Destinations that share a repository share one transfer, told with the first.
    pub blobs: Vec<BlobOutcome>,
}

/// What became of one blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobOutcome {
    /// The blob.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it was sent or there already.
    pub sent: bool,
    /// Bytes of it sent by this push: fewer than its size where an earlier one had sent the beginning.
    pub uploaded: u64,
}

/// Why an image was not pushed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The image cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A destination was given without a registry.
    #[error("`{0}` names no registry")]
    NoRegistry(Reference),
    /// A destination names the digest of another image.
    #[error("`{destination}` asks for {}, the image has {image}", destination.digest().map_or_else(String::new, |d| d.to_string()))]
    DigestDiffers {
        /// The destination.
        destination: Box<Reference>,
        /// The image's digest.
        image: Digest,
    },
    /// The registry did not do its part.
    #[error("cannot push to `{destination}`")]
    Registry {
        /// The destination.
        destination: Box<Reference>,
        /// Why.
        #[source]
        source: RegistryError,
    },
    /// The registry took everything, and then the name stands for something else.
    #[error("`{destination}` stands for {} after the push, not for {expected}", found.map_or_else(|| "nothing".to_owned(), |d| d.to_string()))]
    NotVerified {
        /// The destination.
        destination: Box<Reference>,
        /// What was pushed.
        expected: Digest,
        /// What is there.
        found: Option<Digest>,
    },
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// What a push has to do in one repository: pure data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushPlan {
    /// Each blob once, in the image's order.
    pub steps: Vec<(Descriptor, BlobStep)>,
}

/// What to do about a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobStep {
    /// The registry has it.
    Skip,
    /// It has to be sent.
    Upload,
}

impl PushPlan {
    /// Decides from what the registry says to have: sizes in bytes by digest.
    ///
    /// A blob there with another size is damaged or a different thing: it is sent again.
    pub fn new(blobs: &[Descriptor], present: &BTreeMap<Digest, u64>) -> Self {
        let mut steps: Vec<(Descriptor, BlobStep)> = Vec::new();
        for blob in blobs {
            if steps.iter().any(|(seen, _)| seen.digest == blob.digest) {
                continue;
            }
            let step = match present.get(&blob.digest) {
                Some(size) if *size == blob.size => BlobStep::Skip,
                _ => BlobStep::Upload,
            };
            steps.push((blob.clone(), step));
        }
        Self { steps }
    }

    /// Bytes of all blobs with that step.
    pub fn bytes(&self, step: BlobStep) -> u64 {
        self.steps.iter().filter(|(_, what)| *what == step).map(|(blob, _)| blob.size).sum()
    }
}

/// Pushes a stored image to all destinations, one repository after the other: blobs first, then
/// manifests, children before parents, by digest and then by tag; at last each tag is asked for.
///
/// The first failure ends it; what was pushed stays. Needs a runtime with I/O and time.
pub async fn push(
    config: PushConfig,
    store: &ImageStore,
    progress: Arc<dyn Progress>,
    interrupt: &Interrupt,
) -> Result<Vec<PushOutcome>, PushError> {
    let lease = {
        // Waits for whoever prunes, so not on a thread of the runtime.
        let store = store.clone();
        tokio::task::spawn_blocking(move || store.lease()).await.expect("taking a lease does not panic")?
    };
    let selection = store.resolve(&config.image)?;
    let tree = store.tree(&selection.descriptor)?;
    let digest = tree.root().digest();
    let mut outcomes = Vec::new();
    for group in groups(&config.destinations, digest)? {
        let first = group[0];
        let failed = |source| failure(&first.reference, source);
        let registry = Registry::open(RegistryConfig {
            host: first.reference.registry().unwrap_or_default().to_owned(),
            policy: first.policy.clone(),
            credential: first.credential.clone(),
            proxies: config.proxies.clone(),
            timeouts: config.timeouts,
            limits: config.limits,
            interrupt: interrupt.clone(),
        })
        .map_err(failed)?
        .persisting(Persistence {
            retry: config.retry,
            state: config.state.clone(),
            progress: Arc::clone(&progress),
        });
        let run = Run { registry: &registry, repository: first.reference.repository(), jobs: config.jobs.max(1) };
        let mut blobs = run.blobs(store, &tree, &progress).await.map_err(|error| match error {
            RegistryError::Source { digest, source } => {
                PushError::Store(StoreError::io("read", &store.blob_path(digest), source))
            }
            other => failed(other),
        })?;
        for document in &tree.documents {
            run.registry
                .put_manifest(run.repository, Target::Digest(document.digest()), document)
                .await
                .map_err(failed)?;
        }
        for destination in group {
            let reference = destination.reference.clone().with_default_tag();
            run.name(&tree, &reference).await?;
            outcomes.push(PushOutcome {
                bytes_uploaded: blobs.iter().map(|blob| blob.uploaded).sum(),
                bytes_skipped: blobs.iter().map(|blob| blob.size - blob.uploaded).sum(),
                reference,
                digest,
                certificate: registry.own_certificate(),
                blobs: blobs.clone(),
            });
            for blob in &mut blobs {
                (blob.sent, blob.uploaded) = (false, 0);
            }
        }
    }
    drop(lease);
    Ok(outcomes)
}

/// Destinations by registry and repository, in the order given.
fn groups(destinations: &[Destination], image: Digest) -> Result<Vec<Vec<&Destination>>, PushError> {
    let mut groups: Vec<Vec<&Destination>> = Vec::new();
    for destination in destinations {
        let reference = &destination.reference;
        if reference.registry().is_none() {
            return Err(PushError::NoRegistry(reference.clone()));
        }
        if reference.digest().is_some_and(|digest| digest != image) {
            return Err(PushError::DigestDiffers { destination: Box::new(reference.clone()), image });
        }
        match groups.iter_mut().find(|group| group[0].reference.name() == reference.name()) {
            Some(group) => group.push(destination),
            None => groups.push(vec![destination]),
        }
    }
    Ok(groups)
}

/// The error to show: what is wrong with the image here is told as the store tells it.
fn failure(destination: &Reference, source: RegistryError) -> PushError {
    match source {
        RegistryError::SourceDigest { expected, found } => PushError::Store(StoreError::BlobDigest { expected, found }),
        RegistryError::Interrupted => PushError::Interrupted,
        source => PushError::Registry { destination: Box::new(destination.clone()), source },
    }
}

/// One repository of one registry.
struct Run<'a> {
    registry: &'a Registry,
    repository: &'a str,
    jobs: usize,
}

impl Run<'_> {
    /// Sees to it that the repository has all blobs.
    async fn blobs(
        &self,
        store: &ImageStore,
        tree: &ImageTree,
        progress: &Arc<dyn Progress>,
    ) -> Result<Vec<BlobOutcome>, RegistryError> {
        let heads = tree.blobs.iter().map(|blob| async move {
            Ok(self.registry.head_blob(self.repository, blob.digest).await?.map(|size| (blob.digest, size)))
        });
        let present = self.all(heads).await?.into_iter().flatten().collect();
        let plan = PushPlan::new(&tree.blobs, &present);
        let work = plan.steps.iter().map(|(blob, step)| async move {
            let key = blob.digest.to_string();
            let label = label(tree, blob);
            progress.emit(Event::Begin { key: &key, label: &label, phase: Phase::Upload, total: Some(blob.size) });
            let result = match step {
                BlobStep::Skip => Ok(Uploaded::Exists),
                BlobStep::Upload => {
                    let path = store.blob_path(blob.digest);
                    let source = move |offset| {
                        let mut file = File::open(&path)?;
                        file.seek(SeekFrom::Start(offset))?;
                        Ok(Box::new(file) as Box<dyn Read + Send>)
                    };
                    let meter = Meter::new(Arc::clone(progress), &key);
                    self.registry.upload_blob(self.repository, blob, Arc::new(source), &meter).await
                }
            };
            let outcome = match &result {
                Ok(Uploaded::Sent { .. }) => Outcome::Done,
                Ok(Uploaded::Exists) => Outcome::Exists,
                Ok(Uploaded::Mounted) => Outcome::Mounted,
                Err(_) => Outcome::Failed,
            };
            progress.emit(Event::End { key: &key, outcome });
            let uploaded = match result? {
                Uploaded::Sent { resumed } => Some(blob.size - resumed),
                Uploaded::Exists | Uploaded::Mounted => None,
            };
            let sent = uploaded.is_some();
            Ok(BlobOutcome { digest: blob.digest, size: blob.size, sent, uploaded: uploaded.unwrap_or(0) })
        });
        self.all(work).await
    }

    /// Runs all, some at a time. The first failure stops the others, which clean up after themselves.
    async fn all<T, F>(&self, work: impl Iterator<Item = F>) -> Result<Vec<T>, RegistryError>
    where
        F: Future<Output = Result<T, RegistryError>>,
    {
        let stopped = AtomicBool::new(false);
        let unless_stopped = |_: &_| std::future::ready(!stopped.load(Ordering::Relaxed));
        let work = work.enumerate().map(|(at, work)| async move { (at, work.await) });
        let mut running = pin!(stream::iter(work).take_while(unless_stopped).buffer_unordered(self.jobs));
        let mut done = BTreeMap::new();
        let mut failure = None;
        while let Some((at, result)) = running.next().await {
            match result {
                Ok(value) => drop(done.insert(at, value)),
                Err(error) => {
                    stopped.store(true, Ordering::Relaxed);
                    self.registry.abandon();
                    // What the stop does to the others is not what went wrong.
                    if matches!(failure, None | Some(RegistryError::Interrupted)) {
                        failure = Some(error);
                    }
                }
            }
        }
        failure.map_or_else(|| Ok(done.into_values().collect()), Err)
    }

    /// Gives the pushed image its tag and asks whether it has it.
    async fn name(&self, tree: &ImageTree, reference: &Reference) -> Result<(), PushError> {
        let failed = |source| failure(reference, source);
        let root = tree.root();
        let target = match reference.tag() {
            Some(tag) => Target::Tag(tag),
            None => Target::Digest(root.digest()),
        };
        if let Target::Tag(_) = target {
            self.registry.put_manifest(self.repository, target, root).await.map_err(failed)?;
        }
        let head = self.registry.head_manifest(self.repository, target).await.map_err(failed)?;
        let found = match head {
            // Registries that do not tell the digest have to send the document.
            Some(head) if head.digest.is_none() => {
                Some(self.registry.get_manifest(self.repository, target).await.map_err(failed)?.digest())
            }
            head => head.and_then(|head| head.digest),
        };
        if found != Some(root.digest()) {
            return Err(PushError::NotVerified {
                destination: Box::new(reference.clone()),
                expected: root.digest(),
                found,
            });
        }
        Ok(())
    }
}

/// What to call a blob in front of people.
fn label(tree: &ImageTree, blob: &Descriptor) -> String {
    let is_config = tree
        .documents
        .iter()
        .filter_map(|document| document.manifest())
        .any(|manifest| manifest.config.digest == blob.digest);
    if is_config { "config".to_owned() } else { blob.digest.short() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(content: &str) -> Descriptor {
        Descriptor::of("application/octet-stream", content.as_bytes())
    }

    #[test]
    fn plans_skip_what_is_there_and_send_each_blob_once() {
        let (a, b, c) = (blob("a"), blob("bb"), blob("ccc"));
        let present = BTreeMap::from([(a.digest, 1), (c.digest, 4)]);
        let plan = PushPlan::new(&[a.clone(), b.clone(), a.clone(), c.clone(), b.clone()], &present);
        assert_eq!(plan.steps, [(a, BlobStep::Skip), (b, BlobStep::Upload), (c, BlobStep::Upload)]);
        assert_eq!((plan.bytes(BlobStep::Skip), plan.bytes(BlobStep::Upload)), (1, 5));
    }

    fn destination(reference: &str) -> Destination {
        Destination { reference: reference.parse().expect(reference), policy: TlsPolicy::Plaintext, credential: None }
    }

    #[test]
    fn destinations_of_one_repository_go_together() {
        let given = ["r.io/a:1", "r.io/b:1", "r.io/a:2", "s.io/a:1"].map(destination);
        let groups = groups(&given, Digest::of(b"")).expect("all have a registry");
        let names: Vec<Vec<String>> =
            groups.iter().map(|group| group.iter().map(|d| d.reference.to_string()).collect()).collect();
        assert_eq!(names, [vec!["r.io/a:1", "r.io/a:2"], vec!["r.io/b:1"], vec!["s.io/a:1"]]);
    }

    #[test]
    fn destinations_that_cannot_be() {
        let image = Digest::of(b"image");
        let local = destination("a:1");
        let refused = groups(std::slice::from_ref(&local), image);
        assert!(matches!(refused, Err(PushError::NoRegistry(_))), "{refused:?}");
        let other = destination(&format!("r.io/a@{}", Digest::of(b"other")));
        let refused = groups(std::slice::from_ref(&other), image);
        assert!(matches!(refused, Err(PushError::DigestDiffers { .. })), "{refused:?}");
        groups(&[destination(&format!("r.io/a@{image}"))], image).expect("the same image");
    }
}
