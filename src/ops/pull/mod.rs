//! The pull: an image of a registry becomes an image in the store.

mod blobs;
mod error;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::credentials::Credential;
use crate::image::{
    Answer, Choice, Content, Descriptor, Document, Hasher, ImageConfig, Index, MAX_DOCUMENT_BYTES, MAX_NESTING,
    Platform, Reference, media_type, strict,
};
use crate::progress::{Event, Interrupt, Progress};
use crate::registry::{
    BlobHosts, Limits, Piece, Proxies, RateLimits, Registry, RegistryConfig, RetryContext, RetryPolicy, Target,
    Timeouts,
};
use crate::store::{ImageStore, Lease, StoreError};
use crate::tls::{CertificateFacts, TlsPolicy, TrustSources};

use error::{failure, no_platform, not_chosen};

pub use error::PullError;

/// Manifests one index may lead to.
const MAX_MANIFESTS: usize = 1000;

/// What to pull.
#[derive(Debug, Clone)]
pub struct PullConfig {
    /// With its registry; without tag and digest it means `latest`.
    pub reference: Reference,
    /// How connections to the registry are protected.
    pub policy: TlsPolicy,
    /// How connections to other hosts are protected, to which the registry leads.
    pub elsewhere: TrustSources,
    /// Who we are to the registry.
    pub credential: Option<Credential>,
    /// The one image to take of an index; without it the index is kept whole.
    pub platform: Option<Platform>,
    /// Whether an image that is not in an index has to be for the platform.
    pub must_fit: bool,
    /// What to call it in the store. Without a name the image stays until the store is pruned.
    pub name: Option<Reference>,
    /// RFC 3339 time to note with the name.
    pub created: Option<String>,
    /// Blobs received at the same time.
    pub jobs: usize,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Hosts that the registry may send requests for blobs to without TLS and at internal addresses.
    pub blob_hosts: BlobHosts,
    /// Proxies on the way.
    pub proxies: Proxies,
    /// When to try again.
    pub retry: RetryPolicy,
    /// How fast bytes and requests may go.
    pub rates: RateLimits,
    /// Whether to read the blobs that the store has, also where their files did not change since they were hashed.
    pub verify: bool,
}

/// The result of a pull.
#[derive(Debug, Clone)]
pub struct PullOutcome {
    /// The name in the store, if it got one.
    pub name: Option<Reference>,
    /// The manifest or index.
    pub descriptor: Descriptor,
    /// The certificate that the registry showed; none without TLS.
    pub certificate: Option<CertificateFacts>,
    /// Bytes of blobs received.
    pub bytes_downloaded: u64,
    /// Bytes of blobs the store had.
    pub bytes_present: u64,
}

/// Pulls an image: documents first, then the blobs the store lacks, then the name.
///
/// Needs a runtime with I/O and time.
pub async fn pull(
    config: PullConfig,
    store: &ImageStore,
    progress: Arc<dyn Progress>,
    interrupt: &Interrupt,
) -> Result<PullOutcome, PullError> {
    let reference = config.reference.clone().with_default_tag();
    let Some(host) = reference.registry() else { return Err(PullError::NoRegistry(reference)) };
    let lease = {
        let store = store.clone();
        let lease = tokio::task::spawn_blocking(move || store.lease()).await;
        Arc::new(lease.expect("taking a lease does not panic")?)
    };
    let registry = Registry::open(RegistryConfig {
        host: host.to_owned(),
        policy: config.policy,
        elsewhere: config.elsewhere,
        credential: config.credential,
        proxies: config.proxies,
        timeouts: config.timeouts,
        limits: Limits::default(),
        rates: config.rates,
        blob_hosts: config.blob_hosts,
        retry: RetryContext { progress: Arc::clone(&progress), ..config.retry.into() },
        interrupt: interrupt.clone(),
    })
    .map_err(|source| failure(&reference, source))?;
    let jobs = config.jobs.max(1);
    let verify = config.verify;
    let run = Run { registry: &registry, reference: &reference, store, lease: &lease, interrupt, jobs, verify };
    let (documents, leaves) = run.documents(config.platform.as_ref(), config.must_fit, &progress).await?;
    let (bytes_downloaded, bytes_present) = run.blobs(&documents, &leaves, &progress).await?;
    let descriptor = documents.last().expect("the root is always among them").descriptor.clone();
    let (name, created) = (config.name.clone(), config.created);
    let store = store.clone();
    // Publishing waits for the disk and for the lock of the index, so it runs on another thread and signals are heard.
    let published = tokio::task::spawn_blocking(move || {
        for document in &documents {
            store.put(&lease, &document.descriptor.media_type, &document.bytes)?;
        }
        let root = documents.last().expect("the root is always among them");
        match name {
            Some(name) => store.publish(&lease, root, &[name], created.as_deref()).map(drop),
            None => Ok(()),
        }
    });
    published.await.expect("publishing does not panic")?;
    let certificate = registry.own_certificate();
    Ok(PullOutcome { name: config.name, descriptor, certificate, bytes_downloaded, bytes_present })
}

struct Run<'a> {
    registry: &'a Registry,
    reference: &'a Reference,
    store: &'a ImageStore,
    lease: &'a Arc<Lease>,
    interrupt: &'a Interrupt,
    jobs: usize,
    verify: bool,
}

impl Run<'_> {
    async fn document(&self, target: Target<'_>) -> Result<Document, PullError> {
        let document = self.registry.get_manifest(self.reference.repository(), target).await;
        document.map_err(|source| failure(self.reference, source))
    }

    /// Chooses the image of an index that suits the platform best; reads the configurations of those whose platform the
    /// index does not say.
    async fn choose(&self, index: &Index, wanted: &Platform) -> Result<Descriptor, PullError> {
        let mut choice = Choice::new(index, Some(wanted));
        while let Some(needed) = choice.needed() {
            let answer = match self.document(Target::Digest(needed.digest)).await?.content {
                Content::Index(index) => Answer::Index(index),
                Content::Manifest(manifest) if manifest.artifact_kind().is_some() => Answer::Other,
                Content::Manifest(manifest) => Answer::Image(self.config(&manifest.config).await?.platform()),
            };
            choice.answer(answer);
        }
        choice.choose().map_err(|reason| not_chosen(self.reference, wanted, reason))
    }

    /// Receives a configuration into memory.
    async fn config(&self, config: &Descriptor) -> Result<ImageConfig, PullError> {
        let failed = |source| failure(self.reference, source);
        if config.size > MAX_DOCUMENT_BYTES {
            return Err(StoreError::DocumentSize { digest: config.digest, size: config.size }.into());
        }
        let mut bytes = Vec::new();
        let hasher = Hasher::default();
        let mut download = self.registry.resume_blob(self.reference.repository(), config, hasher).map_err(failed)?;
        while let Some(piece) = download.next().await.map_err(failed)? {
            match piece {
                Piece::Bytes(piece) => bytes.extend_from_slice(&piece),
                Piece::Restart => bytes.clear(),
            }
        }
        strict::from_slice(&bytes).map_err(|source| StoreError::config(config, source).into())
    }

    /// Returns all manifests and indexes, the one to be named last; then what indexes refer to that is neither.
    async fn documents(
        &self,
        platform: Option<&Platform>,
        must_fit: bool,
        progress: &Arc<dyn Progress>,
    ) -> Result<(Vec<Document>, Vec<Descriptor>), PullError> {
        let target = match (self.reference.digest(), self.reference.tag()) {
            (Some(digest), _) => Target::Digest(digest),
            (None, tag) => Target::Tag(tag.unwrap_or("latest")),
        };
        let mut root = self.document(target).await?;
        match (platform, &root.content) {
            (Some(wanted), Content::Index(index)) => {
                let child = self.choose(index, wanted).await?;
                let others = child.platform.as_ref().map(Platform::normalised);
                if let Some(found) = others.filter(|has| has.architecture != wanted.normalised().architecture) {
                    progress.emit(Event::Warning(&format!(
                        "`{}` has no image for {wanted}; the one for {found}, which runs there, is taken",
                        self.reference
                    )));
                }
                root = self.document(Target::Digest(child.digest)).await?;
            }
            (Some(wanted), Content::Manifest(manifest)) if must_fit && manifest.artifact_kind().is_none() => {
                let config = self.config(&manifest.config).await?;
                let found = config.platform().without_features();
                if !config.architecture.is_empty() && !wanted.accepts(&found) {
                    return Err(no_platform(self.reference, wanted, &[found]));
                }
            }
            _ => {}
        }
        // Level by level, which bounds the depth; in the end the root goes last.
        let mut seen = BTreeSet::from([root.digest()]);
        let (mut documents, mut leaves) = (vec![root], Vec::new());
        let mut next = 0;
        let mut depth_ends = 1;
        let mut depth = 0;
        while next < documents.len() {
            if next == depth_ends {
                depth += 1;
                depth_ends = documents.len();
            }
            let children: Vec<Descriptor> = match &documents[next].content {
                Content::Index(index) => index.manifests.clone(),
                Content::Manifest(_) => Vec::new(),
            };
            let (children, others): (Vec<_>, Vec<_>) =
                children.into_iter().partition(|child| media_type::is_document(&child.media_type));
            leaves.extend(others.into_iter().filter(|leaf| seen.insert(leaf.digest)));
            if !children.is_empty() && (depth >= MAX_NESTING || documents.len() + children.len() > MAX_MANIFESTS) {
                return Err(PullError::TooManyManifests(self.reference.clone()));
            }
            for child in children {
                if seen.insert(child.digest) {
                    documents.push(self.document(Target::Digest(child.digest)).await?);
                }
            }
            next += 1;
        }
        documents.reverse();
        Ok((documents, leaves))
    }
}
