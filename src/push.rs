//! The push: a stored image becomes a verified image in one or more registries.

mod plan;
mod proof;
mod run;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::credentials::Credential;
use crate::image::{Digest, Reference};
use crate::progress::{Interrupt, Progress};
use crate::registry::{Limits, Persistence, Proxies, Registry, RegistryConfig, RegistryError, RetryPolicy, Timeouts};
use crate::store::{ImageStore, StoreError};
use crate::tls::{CertificateFacts, TlsPolicy};
use plan::groups;
pub use plan::{BlobStep, PushPlan};
use run::Run;

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
    /// Whether to read everything back from the registry in the end.
    pub verify: bool,
    /// How long to wait until anybody can pull the image; not at all without it.
    pub wait: Option<Duration>,
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
    /// Pushed and verified, but nobody without a credential can pull it yet.
    #[error("`{destination}` is pushed, but cannot be pulled without a credential after {} s", waited.as_secs())]
    NotPullable {
        /// The destination.
        destination: Box<Reference>,
        /// How long it was tried.
        waited: Duration,
        /// What the last attempt met.
        #[source]
        source: RegistryError,
    },
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// Pushes a stored image to all destinations, one repository after the other: blobs first, then
/// manifests, children before parents, by digest and then by tag; at last each tag is asked for. Where the
/// first look finds everything in its place, nothing is sent.
///
/// The first failure ends it; what was pushed stays. Needs a runtime with I/O and time.
pub async fn push(
    config: PushConfig,
    store: &ImageStore,
    progress: Arc<dyn Progress>,
    interrupt: &Interrupt,
) -> Result<Vec<PushOutcome>, PushError> {
    Box::pin(everywhere(config, store, progress, interrupt)).await
}

async fn everywhere(
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
        let registry = open(&config, first, first.credential.clone(), interrupt, &progress).map_err(failed)?;
        let run = Run {
            registry: &registry,
            repository: first.reference.repository(),
            jobs: config.jobs.max(1),
            store,
            tree: &tree,
            progress: &progress,
            destination: &first.reference,
        };
        let references: Vec<Reference> =
            group.iter().map(|destination| destination.reference.clone().with_default_tag()).collect();
        let tags: Vec<&str> = references.iter().filter_map(Reference::tag).collect();
        let survey = run.survey(&tags).await?;
        let plan = PushPlan::new(&tree.blobs, &survey.blobs);
        let names: Vec<String> =
            if tags.is_empty() { vec![digest.to_string()] } else { tags.iter().map(|tag| (*tag).to_owned()).collect() };
        let complete = survey.is_complete(&plan, &tree.documents, &names);
        let mut blobs = run.blobs(&plan).await?;
        if !complete {
            for repaired in run.documents().await? {
                let of_it = |blob: &&mut BlobOutcome| blob.digest == repaired.digest;
                if let Some(blob) = blobs.iter_mut().find(of_it) {
                    *blob = BlobOutcome { uploaded: blob.uploaded + repaired.uploaded, ..repaired };
                }
            }
        }
        for reference in references {
            if !complete {
                run.name(&reference).await?;
            }
            if config.verify {
                run.read_back().await?;
            }
            if let Some(patience) = config.wait {
                let anonymous = open(&config, first, None, interrupt, &progress).map_err(failed)?;
                run.wait_for(&anonymous, &reference, patience).await?;
            }
            outcomes.push(PushOutcome {
                bytes_uploaded: blobs.iter().map(|blob| blob.uploaded).sum(),
                bytes_skipped: blobs.iter().map(|blob| blob.size.saturating_sub(blob.uploaded)).sum(),
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

/// The client for a destination.
fn open(
    config: &PushConfig,
    destination: &Destination,
    credential: Option<Credential>,
    interrupt: &Interrupt,
    progress: &Arc<dyn Progress>,
) -> Result<Registry, RegistryError> {
    let registry = Registry::open(RegistryConfig {
        host: destination.reference.registry().unwrap_or_default().to_owned(),
        policy: destination.policy.clone(),
        credential,
        proxies: config.proxies.clone(),
        timeouts: config.timeouts,
        limits: config.limits,
        interrupt: interrupt.clone(),
    })?;
    let (retry, state, progress) = (config.retry, config.state.clone(), Arc::clone(progress));
    Ok(registry.persisting(Persistence { retry, state, progress }))
}

/// The error to show: what is wrong with the image here is told as the store tells it.
fn failure(destination: &Reference, source: RegistryError) -> PushError {
    match source {
        RegistryError::SourceDigest { expected, found } => PushError::Store(StoreError::BlobDigest { expected, found }),
        RegistryError::Interrupted => PushError::Interrupted,
        source => PushError::Registry { destination: Box::new(destination.clone()), source },
    }
}
