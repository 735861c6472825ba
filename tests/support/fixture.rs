//! Images in a temporary store, and shorthands for pushing and pulling them.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use idpbuilder_oci::credentials::{Credential, Secret};
use idpbuilder_oci::image::{Descriptor, Digest, Document, Index, Manifest, media_type};
use idpbuilder_oci::ops::pull::{PullConfig, PullError, PullOutcome, pull};
use idpbuilder_oci::ops::push::{DEFAULT_JOBS, Destination, PartialPush, PushConfig, PushError, PushOutcome, push};
use idpbuilder_oci::progress::{Event, Interrupt, Progress, Silent};
use idpbuilder_oci::registry::{
    BlobHosts, BlobSource, Limits, Meter, Proxies, RateLimits, Registry, RegistryConfig, RegistryError, RetryContext,
    RetryPolicy, Timeouts, Uploaded,
};
use idpbuilder_oci::store::ImageStore;
use idpbuilder_oci::tls::{TlsPolicy, TrustSources};

/// Bytes that do not compress, the same for the same seed.
pub fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}

/// A store that goes away with the test.
pub struct TestStore {
    /// The store.
    pub store: ImageStore,
    _directory: tempfile::TempDir,
}

impl Default for TestStore {
    fn default() -> Self {
        Self::new()
    }
}

impl TestStore {
    /// Makes an empty store.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = ImageStore::open(&directory.path().join("images")).expect("a store");
        Self { store, _directory: directory }
    }

    fn manifest(&self, architecture: &str, layers: &[Vec<u8>]) -> Document {
        let lease = self.store.lease().expect("a lease");
        let diff_ids: Vec<String> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
        let config = format!(
            r#"{{"architecture":"{architecture}","os":"linux","rootfs":{{"type":"layers","diff_ids":{diff_ids:?}}}}}"#
        );
        let put = |kind: &str, bytes: &[u8]| self.store.put(&lease, kind, bytes).expect("stored");
        let config = put(media_type::IMAGE_CONFIG, config.as_bytes());
        let layers = layers.iter().map(|layer| put(media_type::IMAGE_LAYER, layer)).collect();
        let document = Document::from_manifest(Manifest::new(config, layers, BTreeMap::new()));
        put(media_type::IMAGE_MANIFEST, &document.bytes);
        document
    }

    fn publish(&self, name: &str, document: &Document) {
        let lease = self.store.lease().expect("a lease");
        let name = name.parse().expect("a reference");
        self.store.publish(&lease, document, &[name], None).expect("published");
    }

    /// An image with those layers.
    pub fn image(&self, name: &str, layers: &[Vec<u8>]) -> Document {
        let document = self.manifest("amd64", layers);
        self.publish(name, &document);
        document
    }

    /// An index of one image for each architecture.
    pub fn index(&self, name: &str, architectures: &[&str]) -> Document {
        let manifests = architectures.iter().map(|architecture| {
            let document = self.manifest(architecture, &[architecture.as_bytes().to_vec()]);
            let platform = Some(format!("linux/{architecture}").parse().expect("a platform"));
            Descriptor { platform, ..document.descriptor }
        });
        let index = Index { manifests: manifests.collect(), ..Index::default() };
        let bytes = serde_json::to_vec(&index).expect("serialised");
        let document = Document::parse(Some(media_type::IMAGE_INDEX), bytes).expect("an index");
        let lease = self.store.lease().expect("a lease");
        self.store.put(&lease, media_type::IMAGE_INDEX, &document.bytes).expect("stored");
        self.publish(name, &document);
        document
    }

    /// Pushes from this store, without a listener and without a limit in time.
    pub async fn push(&self, config: PushConfig) -> Result<Vec<PushOutcome>, PushError> {
        push(config, &self.store, Arc::new(Silent), &Interrupt::default()).await.map_err(PartialPush::into_first)
    }

    /// Pulls into this store, without a listener and without a limit in time.
    pub async fn pull(&self, config: PullConfig) -> Result<PullOutcome, PullError> {
        pull(config, &self.store, Arc::new(Silent), &Interrupt::default()).await
    }
}

/// Returns a credential of a user name and a password.
pub fn login(username: &str, password: &str) -> Credential {
    Credential::Basic { username: username.to_owned(), secret: Secret::new(password.to_owned()) }
}

/// Limits short enough for tests of what happens when they pass.
pub fn patient() -> Timeouts {
    Timeouts { connect: Duration::from_secs(10), answer: Duration::from_secs(30), stall: Duration::from_secs(30) }
}

/// As often as people get it, without their waits, and without waiting for a registry that is away.
pub fn eager() -> RetryPolicy {
    RetryPolicy { delay: Duration::from_millis(1), away: Some(Duration::ZERO), ..RetryPolicy::default() }
}

/// Returns the configuration of a push over plain http, with few and quick retries.
pub fn push_config(image: &str, destinations: &[&str], credential: Option<&Credential>) -> PushConfig {
    let destinations = destinations.iter().map(|reference| Destination {
        reference: reference.parse().expect("a reference"),
        policy: TlsPolicy::Plaintext,
        credential: credential.cloned(),
    });
    PushConfig {
        image: image.to_owned(),
        destinations: destinations.collect(),
        elsewhere: TrustSources::default(),
        blob_hosts: BlobHosts::default(),
        jobs: DEFAULT_JOBS,
        limits: Limits::default(),
        timeouts: patient(),
        proxies: Proxies::default(),
        retry: eager(),
        rates: RateLimits::default(),
        state: None,
        verify: false,
        wait: None,
    }
}

/// Returns the configuration of a pull over plain http that stores the image as `name`.
pub fn pull_config(reference: &str, name: &str) -> PullConfig {
    PullConfig {
        reference: reference.parse().expect("a reference"),
        policy: TlsPolicy::Plaintext,
        credential: None,
        platform: None,
        must_fit: false,
        name: Some(name.parse().expect("a reference")),
        created: None,
        elsewhere: TrustSources::default(),
        jobs: DEFAULT_JOBS,
        timeouts: patient(),
        blob_hosts: BlobHosts::default(),
        proxies: Proxies::default(),
        retry: eager(),
        rates: RateLimits::default(),
        verify: false,
    }
}

/// Returns the configuration of a client over plain http.
pub fn registry_config(host: &str, credential: Option<Credential>) -> RegistryConfig {
    RegistryConfig {
        credential,
        timeouts: patient(),
        ..RegistryConfig::new(host, TlsPolicy::Plaintext, TrustSources::default())
    }
}

/// Opens a client over plain http.
pub fn registry(host: &str, credential: Option<Credential>) -> Registry {
    Registry::open(registry_config(host, credential)).expect("an address")
}

/// What was reported, a line for each event that people are told in words.
#[derive(Default)]
pub struct Told(Mutex<Vec<String>>);

impl Told {
    /// Returns the reported lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().expect("unpoisoned").clone()
    }
}

impl Progress for Told {
    fn emit(&self, event: Event<'_>) {
        let line = match event {
            Event::Retry { cause, attempt, of, .. } => format!("retry {attempt} of {of}: {cause}"),
            Event::Resume { offset, .. } => format!("resume from {offset}"),
            Event::Rewind { offset, .. } => format!("rewind to {offset}"),
            Event::Away { cause, limit } => format!("away for {} s: {cause}", limit.as_secs()),
            Event::Expired { key } => format!("expired: {key}"),
            Event::Warning(text) => format!("warning: {text}"),
            _ => return,
        };
        self.0.lock().expect("unpoisoned").push(line);
    }
}

/// One that is asked again, and who hears of it.
pub fn persistent(host: &str) -> (Registry, Arc<Told>) {
    let told = Arc::new(Told::default());
    let retry = RetryContext { progress: Arc::clone(&told) as _, ..eager().into() };
    (Registry::open(RegistryConfig { retry, ..registry_config(host, None) }).expect("an address"), told)
}

/// Returns a blob source over bytes in memory, which opens at any offset.
pub fn source(bytes: Vec<u8>) -> Arc<dyn BlobSource> {
    let bytes: Arc<[u8]> = bytes.into();
    Arc::new(move |offset: u64| {
        let mut cursor = std::io::Cursor::new(Arc::clone(&bytes));
        cursor.set_position(offset);
        Ok(Box::new(cursor) as Box<dyn Read + Send>)
    })
}

/// Uploads bytes as one blob of the repository `team/app`.
pub async fn upload(registry: &Registry, bytes: &[u8]) -> Result<Uploaded, RegistryError> {
    let blob = Descriptor::of("application/octet-stream", bytes);
    registry.upload_blob("team/app", &blob, source(bytes.to_vec()), &Meter::silent()).await
}

/// The registry's part of a push error.
pub fn registry_error(error: PushError) -> RegistryError {
    match error {
        PushError::Registry { source, .. } => source,
        other => panic!("not the registry's error: {other:?}"),
    }
}
