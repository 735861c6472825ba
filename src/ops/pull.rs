//! The pull: an image of a registry becomes an image in the store.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;

use crate::credentials::Credential;
use crate::image::{
    Answer, Choice, Content, Descriptor, Digest, Document, Hasher, ImageConfig, Index, MAX_DOCUMENT_BYTES, MAX_NESTING,
    Manifest, NoChoice, Platform, Reference, media_type, strict,
};
use crate::progress::{Event, Interrupt, Outcome, Phase, Progress};
use crate::registry::{
    BlobHosts, Limits, Piece, Proxies, RateLimits, Registry, RegistryConfig, RegistryError, RetryContext, RetryPolicy,
    Target, Timeouts,
};
use crate::store::{BlobWriter, ImageStore, Lease, StoreError};
use crate::text;
use crate::tls::{CertificateFacts, TlsPolicy, TrustSources};

/// Manifests one index may lead to.
const MAX_MANIFESTS: usize = 1000;
/// Addresses of a foreign layer that are shown, and characters of each.
const MAX_URLS: usize = 3;
const MAX_URL: usize = 200;
/// Chunks between the connection and the disk.
const QUEUE: usize = 4;

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
    /// What to call it in the store. Without a name it is there as long as somebody holds a lease, or until it is
    /// pruned.
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

/// What a pull came to.
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

/// Why an image was not pulled.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The image cannot be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The reference was given without a registry.
    #[error("`{0}` names no registry")]
    NoRegistry(Reference),
    /// The registry did not do its part.
    #[error("cannot pull `{reference}`")]
    Registry {
        /// The reference.
        reference: Box<Reference>,
        /// Why.
        #[source]
        source: RegistryError,
    },
    /// The index has no image for the platform.
    #[error(
        "`{reference}` has no image for {wanted} (it has {})",
        crate::text::listed(available, "no image of a container")
    )]
    Platform {
        /// The reference.
        reference: Box<Reference>,
        /// The platform asked for.
        wanted: String,
        /// What there is.
        available: Vec<String>,
    },
    /// A layer that registries need not keep is to be had elsewhere only (image-spec, "Non-distributable layers").
    #[error(
        "layer {digest} of `{reference}` is a foreign layer: the registry does not keep it, and leads to {}",
        urls.join(", ")
    )]
    ForeignLayer {
        /// The reference.
        reference: Box<Reference>,
        /// The layer.
        digest: Digest,
        /// Where its manifest says that it is, fit to be shown.
        urls: Vec<String>,
    },
    /// More manifests, or deeper, than any image has.
    #[error("`{0}` is an index of too many manifests")]
    TooManyManifests(Reference),
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
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
    // Waits for the disk and for whoever changes the index: a signal must be heard meanwhile.
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

fn failure(reference: &Reference, source: RegistryError) -> PullError {
    match source {
        RegistryError::Interrupted => PullError::Interrupted,
        source => PullError::Registry { reference: Box::new(reference.clone()), source },
    }
}

/// What is to be said of a blob that the registry does not keep and whose descriptor leads elsewhere.
fn foreign(reference: &Reference, blob: &Descriptor, error: &RegistryError) -> Option<PullError> {
    let urls = blob.urls.as_deref().filter(|urls| !urls.is_empty())?;
    let is_absent = matches!(error, RegistryError::NotFound(_));
    is_absent.then(|| PullError::ForeignLayer {
        reference: Box::new(reference.clone()),
        digest: blob.digest,
        urls: urls.iter().take(MAX_URLS).map(|url| text::plain(&text::without_user_info(url), MAX_URL)).collect(),
    })
}

/// Why no image of an index was taken.
fn not_chosen(reference: &Reference, wanted: &Platform, reason: NoChoice) -> PullError {
    match reason {
        NoChoice::Nesting(_) => PullError::TooManyManifests(reference.clone()),
        NoChoice::Platform(available) => no_platform(reference, wanted, &available),
    }
}

fn no_platform(reference: &Reference, wanted: &Platform, available: &[Platform]) -> PullError {
    PullError::Platform {
        reference: Box::new(reference.clone()),
        wanted: wanted.full(),
        available: available.iter().map(Platform::full).collect(),
    }
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

    /// All manifests and indexes, the one to be named last; then what indexes refer to that is neither.
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

    /// Receives the blobs that the store lacks; returns bytes received and bytes present before. A leaf that the
    /// registry does not have as a blob is left out, with a warning.
    async fn blobs(
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
                    let media_type = crate::text::plain(&blob.media_type, 120);
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

    /// Whether the store has the blob whole. A damaged one is fetched again, which heals it.
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

    /// Receives one blob; answers how many bytes came.
    async fn blob(&self, blob: &Descriptor, progress: &Arc<dyn Progress>) -> Result<u64, PullError> {
        let key = blob.digest.to_string();
        let label = blob.digest.short();
        progress.emit(Event::Begin { key: &key, label: &label, phase: Phase::Download, total: Some(blob.size) });
        let result = self.receive(blob, &key, progress).await;
        let outcome = if result.is_ok() { Outcome::Done } else { Outcome::Failed };
        progress.emit(Event::End { key: &key, outcome });
        result
    }

    /// From the connection through a short queue to a thread that writes.
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
                    // A writer that is gone tells why below.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_index_has_is_told() {
        let reference: Reference = "r.io/a:1".parse().expect("a reference");
        let platform = |text: &str| text.parse::<Platform>().expect("a platform");
        let told = |available: &[Platform]| {
            not_chosen(&reference, &platform("linux/riscv64"), NoChoice::Platform(available.to_vec())).to_string()
        };
        assert_eq!(
            told(&[platform("linux/amd64"), platform("windows(10.0.17763)/amd64")]),
            "`r.io/a:1` has no image for linux/riscv64 (it has linux/amd64, windows(10.0.17763)/amd64)"
        );
        assert_eq!(told(&[]), "`r.io/a:1` has no image for linux/riscv64 (it has no image of a container)");
    }
}
