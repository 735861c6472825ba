//! The client of the distribution specification: one registry, one policy, one credential. It does not know the store.

mod answer;
mod auth;
mod blobs;
mod cache;
mod config;
mod error;
mod head;
mod http;
mod manifests;
mod meter;
mod probe;
mod request;
mod retry;
mod upload;

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use ::http::header::HeaderMap;
use ::http::uri::Authority;
use ::http::{Method, StatusCode};

pub use blobs::download::{BlobDownload, Piece};
pub use blobs::hosts::BlobHosts;
pub use config::{Proxies, RegistryConfig, Timeouts};
pub use error::{Absence, AskedScheme, LedBy, NetworkFault, Refused, RegistryError, RequestFacts, Violation, Wait};
pub use http::body::BlobSource;
pub use http::error_response::{ErrorResponse, OciFault};
pub use http::origin::{Misdirection, Origin, is_internal, is_loopback_name};
pub use http::proxy::{ProxyAddressError, ProxyProblem};
pub use manifests::{ManifestHead, Stored, Target};
pub use meter::Meter;
pub use oci_client::errors::OciErrorCode;
pub use probe::{GiteaVersion, LATE_LIMIT, Resolved};
pub use retry::clock::{Clock, SystemClock};
pub use retry::context::RetryContext;
pub use retry::policy::{DEFAULT_OUTAGE, RetryPolicy};
pub use retry::rates::RateLimits;
pub use upload::{Limits, Uploaded};

pub use self::http::Traffic;
use self::http::{Call, Transport};
use auth::Authenticator;
use cache::blob_info::BlobInfoCache;
use cache::capabilities::CapabilityCache;
use http::body::Payload;
use retry::circuit_breaker::CircuitBreaker;
use upload::commit_gate::Commits;
use upload::journal::Journal;
use upload::single_flight::SingleFlight;
use upload::{Capabilities, RequestSizing};

use crate::image::Descriptor;
use crate::progress::Interrupt;
use crate::tls::TlsPolicy;

/// The client of one registry.
pub struct Registry {
    host: String,
    /// The address under which caches know the registry: one, whatever its spelling.
    key: String,
    own: Origin,
    authority: Authority,
    transport: Transport,
    auth: Authenticator,
    greeted: tokio::sync::OnceCell<()>,
    sizing: Mutex<RequestSizing>,
    capability_cache: Mutex<Option<CapabilityCache>>,
    places: Mutex<BlobInfoCache>,
    journal: OnceLock<Journal>,
    /// Whether a blob was sent without a session, to see whether that works.
    probed: AtomicBool,
    uploads_in_flight: SingleFlight,
    commits: Commits,
    abandoned: Interrupt,
    /// Whether an upload of this run met a storage that is full.
    starved: AtomicBool,
    retry_context: RetryContext,
    breaker: CircuitBreaker,
    /// Whether it ever answered.
    met: AtomicBool,
    /// The traffic that was reported.
    told: Mutex<Traffic>,
}

impl Registry {
    /// Prepares to talk; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Address`] where the host is not `host` or `host:port`; [`RegistryError::Tls`] where the TLS
    /// policy cannot be put into effect.
    pub fn open(config: RegistryConfig) -> Result<Self, RegistryError> {
        let address = || RegistryError::Address(config.host.chars().take(200).collect());
        // Docker Hub alone has a name in references that differs from its host.
        let host = match config.host.to_ascii_lowercase().trim_end_matches(":443") {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            _ => config.host.as_str(),
        };
        let authority: Authority = host.parse().map_err(|_| address())?;
        if authority.as_str().contains('@') {
            return Err(RegistryError::Address("(with user name)".to_owned()));
        }
        let https = !matches!(config.policy, TlsPolicy::Plaintext);
        let uri = http::location::absolute(https, &authority, "/v2/").map_err(|_| address())?;
        let own = Origin::of(&uri).ok_or_else(address)?;
        let key = own.short_authority();
        let state = config.retry.state.as_deref();
        let capability_cache = state.map(|state| CapabilityCache::open(state, &key, jiff::Timestamp::now()));
        let known = match &capability_cache {
            Some(capability_cache) => capability_cache.capabilities(),
            None => Capabilities::of_host(host),
        };
        let abandoned = Interrupt::default();
        let stop = [config.interrupt.clone(), abandoned.clone()];
        Ok(Self {
            authority,
            transport: Transport::new(own.clone(), &config, stop)?,
            auth: Authenticator::new(own.clone(), config.credential),
            own,
            greeted: tokio::sync::OnceCell::new(),
            sizing: Mutex::new(RequestSizing::new(config.limits, known)),
            capability_cache: Mutex::new(capability_cache),
            places: Mutex::new(BlobInfoCache::new(state, &key)),
            journal: OnceLock::new(),
            probed: AtomicBool::new(false),
            uploads_in_flight: SingleFlight::default(),
            commits: Commits::default(),
            abandoned,
            starved: AtomicBool::new(false),
            breaker: CircuitBreaker::default(),
            retry_context: config.retry,
            met: AtomicBool::new(false),
            told: Mutex::default(),
            key,
            host: config.host,
        })
    }

    /// Returns `host` or `host:port`, as given.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the traffic since the last call: to the registry, and to hosts that it led to.
    pub fn new_traffic(&self) -> Traffic {
        let now = self.transport.traffic();
        now.since(std::mem::replace(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner), now))
    }

    /// Notes that a repository has a blob: mounts can come from there, and an upload of it that an earlier run left
    /// open is needless.
    pub fn has(&self, repository: &str, blob: &Descriptor) {
        self.blob_info().add(repository, blob.digest);
        self.settle(repository, blob);
    }

    /// Returns another repository that has the blob, as far as earlier runs know and the registry confirms.
    ///
    /// # Errors
    ///
    /// Any fault of the request but a refusal, which means that no mount is possible.
    pub async fn mountable(&self, repository: &str, blob: &Descriptor) -> Result<Option<String>, RegistryError> {
        let Some(from) = self.blob_info().elsewhere(repository, blob.digest) else { return Ok(None) };
        match self.head_blob(&from, blob.digest).await {
            Ok(size) => Ok((size == Some(blob.size)).then_some(from)),
            // The credential does not permit the question; a push would find that out as well and send the blob.
            Err(error) if error.error_response().is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes down which repositories were seen to have which blobs, for mounts in later runs.
    pub fn keep_places(&self) {
        self.blob_info().save();
    }

    fn blob_info(&self) -> MutexGuard<'_, BlobInfoCache> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all requests that are under way, as an interrupt does.
    pub fn abandon(&self) {
        self.abandoned.request();
    }

    /// Sends a request without credentials, and learns from the answer how the registry wants to be shown one.
    ///
    /// # Errors
    ///
    /// Any fault of the request, and any answer but success and 401.
    pub async fn ping(&self) -> Result<(), RegistryError> {
        let uri = self.uri("")?;
        let call = Call { method: Method::GET, uri, headers: HeaderMap::new(), payload: Payload::Empty };
        let mut reply = self.reach(call).await?;
        match reply.status {
            StatusCode::UNAUTHORIZED => {
                let (base, facts) = (reply.uri.clone(), reply.facts());
                if http::error_response::is_giteas_challenge(&reply.headers) {
                    self.learn(|sizing| sizing.capabilities_mut().finds = true);
                }
                self.auth
                    .learn(&base, &reply.headers)
                    .map_err(|violation| RegistryError::Protocol { request: facts, violation })?;
                reply.discard().await;
                Ok(())
            }
            status if status.is_success() => {
                reply.discard().await;
                Ok(())
            }
            _ => Err(answer::refused(&mut reply, false).await),
        }
    }
}
