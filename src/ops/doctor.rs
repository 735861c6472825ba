//! Looks at each step between here and a pushed image, and changes none of them.
//!
//! A step that depends on a failed one is not tried. What each fault means to a person is the caller's business.

use std::collections::BTreeSet;
use std::io;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;

use crate::image::Descriptor;
use crate::progress::Interrupt;
use crate::registry::{GiteaVersion, Registry, RegistryError, Resolved};
use crate::store::{ImageStore, Pruned, StoreError};
use crate::tls::{Anchor, CertificateFacts, Presented, TrustStore};

/// How long the steps may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Each.
    pub step: Duration,
    /// All together, without the time to cancel an upload session.
    pub total: Duration,
}

/// What became of a step.
#[derive(Debug)]
pub enum Step<T> {
    /// It went well.
    Passed(T),
    /// It did not.
    Failed(RegistryError),
    /// It took longer than this.
    Overdue(Duration),
    /// An earlier one failed, or it does not apply.
    Skipped,
}

impl<T> Step<T> {
    /// Returns whether later steps can be tried.
    pub fn passed(&self) -> bool {
        matches!(self, Self::Passed(_))
    }
}

/// The steps to a registry.
#[derive(Debug)]
pub struct Network {
    /// Whether a proxy resolves and connects in our place; both steps are skipped then.
    pub proxied: bool,
    /// The name's addresses.
    pub dns: Step<Resolved>,
    /// The address that answered.
    pub tcp: Step<SocketAddr>,
    /// The chain that was shown, `None` without TLS; with it, that the registry answers.
    pub tls: Step<Option<Presented>>,
    /// The credential is accepted, or none is needed.
    pub authentication: Step<()>,
    /// An upload session was opened, and cancelled.
    pub push: Step<()>,
    /// Gitea's version, if it reports one.
    pub gitea: Step<GiteaVersion>,
}

/// Where Gitea is below its host's root: alone, or where paths lead to it and to others.
const GITEA_PREFIXES: [&str; 2] = ["", "/gitea"];
/// How often a step that waits looks at the interrupt.
const TICK: Duration = Duration::from_millis(50);

/// Goes step by step to `registry`; permission to push is asked for `repository`, if there is one.
///
/// After an interrupt no step begins, and the one under way is skipped, but for cancelling an upload session.
pub async fn network(registry: &Registry, repository: Option<&str>, limits: Limits, interrupt: &Interrupt) -> Network {
    let limits = Waits { step: limits.step, end: Instant::now() + limits.total, interrupt };
    let proxied = registry.is_proxied();
    let mut network = Network {
        proxied,
        dns: Step::Skipped,
        tcp: Step::Skipped,
        tls: Step::Skipped,
        authentication: Step::Skipped,
        push: Step::Skipped,
        gitea: Step::Skipped,
    };
    if !proxied {
        network.dns = limits.step(registry.resolve()).await;
        let Step::Passed(resolved) = &network.dns else { return network };
        network.tcp = limits.step(registry.connect(&resolved.addresses)).await;
        if !network.tcp.passed() {
            return network;
        }
    }
    network.tls = match limits.step(registry.ping()).await {
        Step::Passed(()) => Step::Passed(registry.presented()),
        // An answer that refuses came over a good connection: the next step says what it means.
        Step::Failed(error) if error.error_response().is_some() => Step::Passed(registry.presented()),
        Step::Failed(error) => Step::Failed(error),
        Step::Overdue(limit) => Step::Overdue(limit),
        Step::Skipped => Step::Skipped,
    };
    if !network.tls.passed() {
        return network;
    }
    let name = repository.unwrap_or("idpbuilder-doctor");
    network.authentication = limits.step(registry.authenticate(name)).await;
    if let (true, Some(repository)) = (network.authentication.passed(), repository) {
        network.push = match registry.probe_push(repository, limits.over()).await {
            Some(Ok(())) => Step::Passed(()),
            Some(Err(error)) => Step::Failed(error),
            None => limits.given_up(),
        };
    }
    network.gitea = limits.step(gitea(registry)).await;
    network
}

/// Returns the first answer that tells a version, else the first.
async fn gitea(registry: &Registry) -> Result<GiteaVersion, RegistryError> {
    let mut first = None;
    for prefix in GITEA_PREFIXES {
        let answer = registry.gitea_version(prefix).await;
        if matches!(answer, Ok(GiteaVersion::Told(_)) | Err(_)) {
            return answer;
        }
        first = first.or(answer.ok());
    }
    Ok(first.expect("there are prefixes"))
}

/// What ends the wait for a step.
#[derive(Clone, Copy)]
struct Waits<'a> {
    /// How long one may take.
    step: Duration,
    /// When all have to be done.
    end: Instant,
    interrupt: &'a Interrupt,
}

impl Waits<'_> {
    async fn step<T>(&self, work: impl Future<Output = Result<T, RegistryError>>) -> Step<T> {
        tokio::select! {
            biased;
            () = self.over() => self.given_up(),
            result = work => match result {
                Ok(value) => Step::Passed(value),
                Err(error) => Step::Failed(error),
            },
        }
    }

    /// Waits until a step that begins now exceeds its limit, or the user interrupts.
    async fn over(&self) {
        let end = self.end.min(Instant::now() + self.step);
        while !self.interrupt.requested() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            // A signal sets a flag, which wakes no task.
            tokio::time::sleep(left.min(TICK)).await;
        }
    }

    fn given_up<T>(&self) -> Step<T> {
        if self.interrupt.requested() { Step::Skipped } else { Step::Overdue(self.step) }
    }
}

/// Returns the trusted certificate that vouches for a chain that was accepted: the server's own, else one of the
/// chain's, else the one that its last certificate names as its issuer.
pub fn anchor<'a>(trust: &'a TrustStore, presented: &Presented) -> Option<&'a Anchor> {
    let chain = presented.certificates();
    let find = |der: &CertificateDer<'_>| trust.anchors().iter().find(|anchor| anchor.certificate == *der);
    chain.iter().find_map(find).or_else(|| {
        let issuer = presented.chain().pop()?.issuer;
        let subject = |anchor: &&Anchor| CertificateFacts::from_der(&anchor.certificate).map(|facts| facts.subject);
        trust.anchors().iter().find(|anchor| subject(anchor).as_ref() == Ok(&issuer))
    })
}

/// Room on a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// For us.
    pub free: u64,
    /// Altogether.
    pub total: u64,
}

/// Returns the free space of the file system that holds, or would hold, `path`.
pub fn room(path: &Path) -> io::Result<Room> {
    let there = path.ancestors().find(|path| path.exists()).unwrap_or(path);
    let stat = rustix::fs::statvfs(there)?;
    Ok(Room { free: stat.f_bavail.saturating_mul(stat.f_frsize), total: stat.f_blocks.saturating_mul(stat.f_frsize) })
}

/// What a look at the store found.
#[derive(Debug, Default)]
pub struct Health {
    /// Entries of the index.
    pub images: usize,
    /// Different blobs they need, documents among them.
    pub blobs: usize,
    /// Bytes of those.
    pub bytes: u64,
    /// What is wrong with which image.
    pub damaged: Vec<(String, StoreError)>,
    /// Entries that were not looked at because time was up.
    pub left: usize,
    /// Blobs that no entry needs; not counted where something is damaged or was not looked at.
    pub unreferenced: Pruned,
}

/// Checks every blob that the store's index leads to: documents whole, others by size or, `deep`, whole as well.
///
/// Makes no store: `None` where there is none yet.
pub fn store_health(
    root: &Path,
    deep: bool,
    limit: Option<Duration>,
    interrupt: &Interrupt,
) -> Result<Option<Health>, StoreError> {
    let is_empty = || match std::fs::read_dir(root) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if is_empty() {
        return Ok(None);
    }
    let store = ImageStore::open(root)?;
    let entries = store.entries()?;
    let end = limit.map(|limit| Instant::now() + limit);
    let mut health = Health { images: entries.len(), ..Health::default() };
    let mut seen = BTreeSet::new();
    for (number, entry) in entries.iter().enumerate() {
        if interrupt.requested() || end.is_some_and(|end| Instant::now() > end) {
            health.left = entries.len() - number;
            break;
        }
        let looked = store.stored_tree(&entry.descriptor).and_then(|tree| {
            for blob in tree.blobs.iter().chain(tree.documents.iter().map(|document| &document.descriptor)) {
                if seen.insert(blob.digest) {
                    health.blobs += 1;
                    health.bytes += blob.size;
                    if deep {
                        hash(&store, blob, interrupt)?;
                    }
                }
            }
            Ok(())
        });
        if let Err(error) = looked {
            let name = entry.name.clone().unwrap_or_else(|| entry.descriptor.digest.to_string());
            health.damaged.push((name, error));
        }
    }
    if health.left == 0 && health.damaged.is_empty() {
        health.unreferenced = store.unreferenced()?;
    }
    Ok(Some(health))
}

/// Reads a blob to its end, which checks its digest.
fn hash(store: &ImageStore, blob: &Descriptor, interrupt: &Interrupt) -> Result<(), StoreError> {
    let mut reader = store.read_blob(blob)?;
    let mut buffer = vec![0; 1 << 20];
    while !interrupt.requested() {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => return Err(reader.explain(error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Document, Manifest, media_type};

    fn store() -> (tempfile::TempDir, ImageStore, Descriptor) {
        let directory = tempfile::tempdir().expect("a directory");
        let store = ImageStore::open(&directory.path().join("images")).expect("a store");
        let lease = store.lease().expect("a lease");
        let config = store.put(&lease, media_type::IMAGE_CONFIG, b"{}").expect("stored");
        let layer = store.put(&lease, media_type::IMAGE_LAYER, b"layer").expect("stored");
        let document =
            Document::from_manifest(Manifest::new(config, vec![layer.clone()], std::collections::BTreeMap::new()));
        store.put(&lease, media_type::IMAGE_MANIFEST, &document.bytes).expect("stored");
        store.publish(&lease, &document, &["app:v1".parse().expect("a name")], None).expect("published");
        (directory, store, layer)
    }

    fn inspect(store: &ImageStore, deep: bool) -> Health {
        store_health(store.root(), deep, None, &Interrupt::default()).expect("readable").expect("there")
    }

    #[test]
    fn damage_of_the_same_size_is_seen_only_by_hashing() {
        let (_directory, store, layer) = store();
        let lease = store.lease().expect("a lease");
        store.put(&lease, "text/plain", b"unneeded").expect("stored");
        let whole = inspect(&store, true);
        assert_eq!((whole.unreferenced.blobs, whole.unreferenced.bytes), (1, 8));
        assert_eq!((whole.images, whole.blobs, whole.left, whole.damaged.len()), (1, 3, 0, 0));
        std::fs::write(store.blob_path(layer.digest), b"LAYER").expect("written");
        assert!(inspect(&store, false).damaged.is_empty());
        assert!(
            matches!(&inspect(&store, true).damaged[..], [(name, StoreError::BlobDigest { .. })] if name == "app:v1")
        );
        std::fs::write(store.blob_path(layer.digest), b"cut").expect("written");
        assert!(matches!(&inspect(&store, false).damaged[..], [(_, StoreError::BlobSize { .. })]));
        std::fs::remove_file(store.blob_path(layer.digest)).expect("removed");
        assert!(matches!(&inspect(&store, false).damaged[..], [(_, StoreError::MissingBlob(_))]));
    }

    #[test]
    fn looking_makes_no_store_and_stops_when_time_is_up() {
        let (directory, store, _) = store();
        let absent = directory.path().join("absent");
        assert!(store_health(&absent, false, None, &Interrupt::default()).expect("no store").is_none());
        assert!(!absent.exists());
        let stopped = Interrupt::default();
        stopped.request();
        let health = store_health(store.root(), false, None, &stopped).expect("readable").expect("there");
        assert_eq!((health.left, health.blobs), (1, 0));
    }

    #[test]
    fn room_is_told_for_what_is_not_there_yet() {
        let directory = tempfile::tempdir().expect("a directory");
        let room = room(&directory.path().join("a/b/c")).expect("a file system");
        assert!(room.total >= room.free && room.total > 0);
    }
}
