//! Pushes: a stored image becomes a verified image in one or more registries.

mod blob_uploader;
mod defaults;
mod partial;
mod plan;
mod preview;
mod run;
mod streaming;
mod tag_case;
mod verify;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::credentials::Credential;
use crate::image::{Digest, Reference};
use crate::progress::{Interrupt, Progress};
pub use crate::registry::Uploaded;
use crate::registry::{
    BlobHosts, Limits, Proxies, RateLimits, Registry, RegistryConfig, RegistryError, RetryContext, RetryPolicy,
    Timeouts, Traffic,
};
use crate::store::{ImageStore, ImageTree, Lease, StoreError};
use crate::text;
use crate::tls::{CertificateFacts, TlsPolicy, TrustSources};
use blob_uploader::UploadedBlobs;
use partial::Outcomes;
pub use partial::{FailedDestination, PartialPush};
use plan::{groups, groups_of, references};
pub use preview::{Preview, PreviewStep, preview};
use run::Run;
pub use streaming::{LayerStream, push_while_building};

/// Blobs sent at the same time by default: a number that Gitea on `SQLite` handles well.
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

impl Destination {
    /// Returns the reference with the tag that is used.
    fn name(&self) -> Reference {
        self.reference.clone().with_default_tag()
    }
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
    /// How connections to other hosts are protected, to which a registry leads.
    pub elsewhere: TrustSources,
    /// Hosts that the registry may keep its blobs at. It redirects questions about blobs there, and downloads of them.
    pub blob_hosts: BlobHosts,
    /// Size limits of upload requests, to begin with.
    pub limits: Limits,
    /// Time limits.
    pub timeouts: Timeouts,
    /// How fast bytes and requests may go.
    pub rates: RateLimits,
    /// Proxies between here and the registries.
    pub proxies: Proxies,
    /// When to try again.
    pub retry: RetryPolicy,
    /// The directory for files that outlive the process; without one, the next push knows nothing of this one.
    pub state: Option<PathBuf>,
    /// Whether to read everything back from the registry in the end.
    pub verify: bool,
    /// How long to wait until the image can be pulled without a credential; without it, the push does not wait.
    pub wait: Option<Duration>,
}

/// What became of one destination.
#[derive(Debug, Clone)]
pub struct PushOutcome {
    /// The destination, with the tag that was used.
    pub reference: Reference,
    /// What it stands for now: the digest of the image's manifest or index.
    pub digest: Digest,
    /// Requests and bytes on the wire for this destination, whatever came of them.
    pub traffic: Traffic,
    /// The certificate that the registry showed; none without TLS.
    pub certificate: Option<CertificateFacts>,
    /// The outcome of each blob. Destinations that share a repository share one transfer, which is reported with the
    /// first.
    pub blobs: Vec<BlobOutcome>,
}

/// What became of one blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobOutcome {
    /// The blob.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// How the registry came by it.
    pub how: Uploaded,
    /// Bytes of it that this push sent, each counted once: fewer than its size where an earlier one had sent the beginning.
    pub uploaded: u64,
}

impl BlobOutcome {
    /// Returns the outcome of a blob that was sent twice. Each time it was sent from some offset to its end, so the
    /// larger count includes every byte that was sent.
    fn repaired(self, again: Self) -> Self {
        Self { uploaded: self.uploaded.max(again.uploaded), ..again }
    }
}

/// Bytes of blobs by what was done about them; together they are the image's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sent by this push.
    pub uploaded: u64,
    /// There already.
    pub skipped: u64,
    /// Taken from another repository.
    pub mounted: u64,
    /// Sent by an earlier push that was stopped.
    pub resumed: u64,
}

impl PushOutcome {
    /// Returns the blobs' bytes by what was done about them.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for blob in &self.blobs {
            let rest = blob.size.saturating_sub(blob.uploaded);
            totals.uploaded += blob.uploaded;
            match blob.how {
                Uploaded::Exists => totals.skipped += rest,
                Uploaded::Mounted => totals.mounted += rest,
                Uploaded::Sent { .. } => totals.resumed += rest,
            }
        }
        totals
    }
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
    /// Pushed and verified, but there was no time to pull all of it without a credential.
    #[error(
        "`{destination}` is pushed, but only {read} of {} could be pulled without a credential in {}",
        text::counted(*size, "byte"),
        text::duration(*waited)
    )]
    HalfPulled {
        /// The destination.
        destination: Box<Reference>,
        /// How long it was tried.
        waited: Duration,
        /// Bytes of blobs that came and were what they should be, or may have become that.
        read: u64,
        /// Bytes of all blobs.
        size: u64,
    },
    /// Pushed and verified, but not yet pullable without a credential.
    #[error("`{destination}` is pushed, but cannot be pulled without a credential after {}", text::duration(*waited))]
    NotPullable {
        /// The destination.
        destination: Box<Reference>,
        /// How long it was tried.
        waited: Duration,
        /// What the last attempt met.
        #[source]
        source: RegistryError,
    },
    /// The work was asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// Pushes a stored image to all destinations, one repository after the other: blobs first, then
/// manifests, children before parents, by digest and then by tag; at last each tag is asked for. Where the
/// first look finds everything in its place, nothing is sent.
///
/// What was pushed stays, and a destination that fails does not keep the others from being tried; an interrupt
/// does. Needs a runtime with I/O and time.
///
/// # Errors
///
/// [`PartialPush`] where any destination failed; it has what became of the others.
pub async fn push(
    config: PushConfig,
    store: &ImageStore,
    progress: Arc<dyn Progress>,
    interrupt: &Interrupt,
) -> Result<Vec<PushOutcome>, PartialPush> {
    let clients = Clients { config: &config, interrupt, progress: &progress };
    let nothing = |error| PartialPush::nothing(&config.destinations, error);
    let groups = groups_of(&config.destinations).map_err(nothing)?;
    let registries = clients.registries(&groups).map_err(nothing)?;
    Box::pin(everywhere(&clients, registries, store, BTreeMap::new())).await
}

/// Pushes a stored image. `ahead` has the blobs that were uploaded during the build, or the first failure, by the name
/// of the repository.
async fn everywhere(
    clients: &Clients<'_>,
    mut registries: Registries<'_>,
    store: &ImageStore,
    mut ahead: BTreeMap<String, Result<UploadedBlobs, PushError>>,
) -> Result<Vec<PushOutcome>, PartialPush> {
    let destinations = &clients.config.destinations;
    let nothing = |error: PushError| PartialPush::nothing(destinations, error);
    let _lease = lease(store).await.map_err(|error| nothing(error.into()))?;
    let tree = store
        .resolve(&clients.config.image)
        .and_then(|selection| store.tree(&selection.descriptor))
        .map_err(|error| nothing(error.into()))?;
    let mut outcomes = Outcomes::default();
    let mut waiting = groups(destinations, tree.root().digest()).map_err(nothing)?.into_iter();
    for group in waiting.by_ref() {
        let before = outcomes.failed.len();
        match ahead.remove(&group[0].reference.name()).unwrap_or_else(|| Ok(UploadedBlobs::new())) {
            Ok(ahead) => {
                let run = clients.run(client_of(&registries, &group), &group, store, &tree);
                run.group(clients, &group, &ahead, &mut outcomes).await;
            }
            Err(error) => outcomes.failed.push(FailedDestination::new(references(&group), error)),
        }
        if outcomes.is_over() {
            break;
        }
        if outcomes.failed.len() > before {
            // The failure may have stopped everything that this client could do.
            clients.renew(&mut registries, group[0]);
        }
    }
    outcomes.result(waiting.flat_map(|group| references(&group)))
}

async fn lease(store: &ImageStore) -> Result<Lease, StoreError> {
    // The lease may have to wait for a prune, so it is not taken on a thread of the runtime.
    let store = store.clone();
    tokio::task::spawn_blocking(move || store.lease()).await.expect("taking a lease does not panic")
}

/// Destinations that share a repository.
type Group<'a> = Vec<&'a Destination>;

/// The clients of registries by `host[:port]`.
type Registries<'a> = BTreeMap<&'a str, Registry>;

/// Returns the client of a group's registry.
fn client_of<'a>(registries: &'a Registries<'_>, group: &Group<'_>) -> &'a Registry {
    &registries[group[0].reference.registry().unwrap_or_default()]
}

/// How the clients of a push are made.
struct Clients<'a> {
    config: &'a PushConfig,
    interrupt: &'a Interrupt,
    progress: &'a Arc<dyn Progress>,
}

impl Clients<'_> {
    /// Returns one client a registry, so that each repository profits from what the one before it learned and received.
    fn registries<'g>(&self, groups: &[Group<'g>]) -> Result<Registries<'g>, PushError> {
        let mut registries = Registries::new();
        for group in groups {
            let first = group[0];
            let host = first.reference.registry().unwrap_or_default();
            if !registries.contains_key(host) {
                let opened = self.open(first, first.credential.clone());
                registries.insert(host, opened.map_err(|source| failure(&first.reference, source))?);
            }
        }
        Ok(registries)
    }

    /// Gives the destination's registry a new client, for the destinations that are yet to come.
    fn renew(&self, registries: &mut Registries<'_>, destination: &Destination) {
        let host = destination.reference.registry().unwrap_or_default();
        if let Some(client) = registries.get_mut(host)
            && let Ok(renewed) = self.open(destination, destination.credential.clone())
        {
            *client = renewed;
        }
    }

    fn run<'a>(
        &'a self,
        registry: &'a Registry,
        group: &Group<'a>,
        store: &'a ImageStore,
        tree: &'a ImageTree,
    ) -> Run<'a> {
        Run {
            registry,
            repository: group[0].reference.repository(),
            jobs: self.config.jobs.max(1),
            store,
            tree,
            progress: self.progress,
            destination: &group[0].reference,
        }
    }

    /// Returns the client for a destination.
    fn open(&self, destination: &Destination, credential: Option<Credential>) -> Result<Registry, RegistryError> {
        let config = self.config;
        let (policy, state, progress) = (config.retry, config.state.clone(), Arc::clone(self.progress));
        Registry::open(RegistryConfig {
            host: destination.reference.registry().unwrap_or_default().to_owned(),
            policy: destination.policy.clone(),
            elsewhere: config.elsewhere.clone(),
            credential,
            proxies: config.proxies.clone(),
            timeouts: config.timeouts,
            limits: config.limits,
            rates: config.rates,
            blob_hosts: config.blob_hosts.clone(),
            retry: RetryContext { policy, state, progress, ..RetryContext::default() },
            interrupt: self.interrupt.clone(),
        })
    }
}

/// Returns the error to show. Damage of the local image is reported by the store's error.
fn failure(destination: &Reference, source: RegistryError) -> PushError {
    match source {
        RegistryError::SourceDigest { expected, found } => PushError::Store(StoreError::BlobDigest { expected, found }),
        RegistryError::Interrupted => PushError::Interrupted,
        source => PushError::Registry { destination: Box::new(destination.clone()), source },
    }
}
