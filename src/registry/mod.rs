//! The distribution-spec client: one registry, one policy, one credential. Knows nothing of the store.

mod auth;
mod blobs;
mod cache;
mod contents;
mod error;
mod http;
mod meter;
mod probe;
mod referrers;
mod retry;
mod upload;

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use ::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use ::http::uri::Authority;
use ::http::{Method, StatusCode, Uri};

pub use blobs::download::{BlobDownload, Piece};
pub use blobs::hosts::BlobHosts;
pub use contents::{ManifestHead, Stored, Target};
pub use error::{Absence, AskedScheme, LedBy, NetworkFault, Refused, RegistryError, RequestFacts, Violation, Wait};
pub use http::body::BlobSource;
pub use http::error_response::{ErrorResponse, OciFault};
pub use http::origin::{Misdirection, Origin, is_internal, is_loopback_name};
pub use http::proxy::{ProxyAddressError, ProxyProblem};
pub use meter::Meter;
pub use oci_client::errors::OciErrorCode;
pub use probe::{GiteaVersion, LATE_LIMIT, Resolved};
pub use retry::RetryContext;
pub use retry::clock::{Clock, SystemClock};
pub use retry::policy::{DEFAULT_OUTAGE, RetryPolicy};
pub use retry::rates::RateLimits;
pub use upload::{Limits, Uploaded};

pub use self::http::Traffic;
use self::http::{Call, Reply, Transport};
use auth::decision::{AuthDecision, SentAuth};
use auth::{Authenticator, PasswordTurn};
use cache::blob_info::BlobInfoCache;
use cache::capabilities::CapabilityCache;
use http::body::Payload;
use http::encoding::Encoding;
use http::origin::Carried;
use retry::circuit_breaker::CircuitBreaker;
use upload::commit_gate::Commits;
use upload::journal::Journal;
use upload::single_flight::SingleFlight;
use upload::{Capabilities, RequestSizing};

use crate::credentials::Credential;
use crate::image::{Descriptor, Digest};
use crate::progress::{Event, Interrupt};
use crate::tls::{TlsPolicy, TrustSources};

/// Times one request is sent: without, with a remembered, and with two new tokens.
const MAX_AUTHORIZATIONS: usize = 4;

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection: name resolution, TCP and TLS.
    pub connect: Duration,
    /// For the answer to a commit, once it is sent: some registries take minutes to store a large blob. Any other
    /// answer has a minute at most.
    pub answer: Duration,
    /// For the next byte of a body, either way.
    pub stall: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(15), answer: Duration::from_mins(10), stall: Duration::from_mins(1) }
    }
}

/// Proxies by the values of the usual variables. What means this machine is never behind one.
#[derive(Clone, Default)]
pub struct Proxies {
    /// `HTTP_PROXY`.
    pub http: Option<String>,
    /// `HTTPS_PROXY`.
    pub https: Option<String>,
    /// `NO_PROXY`, read as `registry/http/proxy` says.
    pub no: Option<String>,
}

/// Proxy URLs may hold passwords; only what is set is shown.
impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxies")
            .field("http", &self.http.is_some())
            .field("https", &self.https.is_some())
            .field("no", &self.no)
            .finish()
    }
}

/// What it takes to talk to one registry.
#[derive(Debug, Clone)]
pub struct RegistryConfig {
    /// `host` or `host:port`.
    pub host: String,
    /// How its connections are protected.
    pub policy: TlsPolicy,
    /// How connections to other origins are protected, to which it leads.
    pub elsewhere: TrustSources,
    /// Who we are to it.
    pub credential: Option<Credential>,
    /// Proxies on the way.
    pub proxies: Proxies,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Size limits of upload requests, to begin with.
    pub limits: Limits,
    /// Ends all requests when requested.
    pub interrupt: Interrupt,
}

/// What a token must permit.
#[derive(Debug, Clone, Copy)]
enum Access {
    Pull,
    Push,
}

/// A registry.
pub struct Registry {
    host: String,
    /// The address that is remembered, the same however it is written.
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
    /// The traffic that was told.
    told: Mutex<Traffic>,
}

impl Registry {
    /// Prepares to talk; nothing is sent yet.
    pub fn open(config: RegistryConfig) -> Result<Self, RegistryError> {
        let address = || RegistryError::Address(config.host.chars().take(200).collect());
        // The name in references and the machine that answers differ for Docker Hub alone.
        let host = match config.host.to_ascii_lowercase().trim_end_matches(":443") {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            _ => config.host.as_str(),
        };
        let known = Capabilities::of_host(host);
        let authority: Authority = host.parse().map_err(|_| address())?;
        if authority.as_str().contains('@') {
            return Err(RegistryError::Address("(with user name)".to_owned()));
        }
        let https = !matches!(config.policy, TlsPolicy::Plaintext);
        let uri = http::origin::absolute(https, &authority, "/v2/").map_err(|_| address())?;
        let own = Origin::of(&uri).ok_or_else(address)?;
        let abandoned = Interrupt::default();
        let stop = [config.interrupt, abandoned.clone()];
        let transport =
            Transport::new(own.clone(), (&config.policy, config.elsewhere), &config.proxies, config.timeouts, stop)?;
        Ok(Self {
            key: own.short_authority(),
            host: config.host,
            authority,
            transport,
            auth: Authenticator::new(own.clone(), config.credential),
            own,
            greeted: tokio::sync::OnceCell::new(),
            sizing: Mutex::new(RequestSizing::new(config.limits, known)),
            capability_cache: Mutex::default(),
            places: Mutex::default(),
            journal: OnceLock::new(),
            probed: AtomicBool::new(false),
            uploads_in_flight: SingleFlight::default(),
            commits: Commits::default(),
            abandoned,
            starved: AtomicBool::new(false),
            breaker: CircuitBreaker::default(),
            retry_context: RetryContext::default(),
            met: AtomicBool::new(false),
            told: Mutex::default(),
        })
    }

    /// The same registry, which goes on after faults that may pass.
    #[must_use]
    pub fn retrying(mut self, retry_context: RetryContext) -> Self {
        let capability_cache =
            retry_context.state.as_deref().map(|state| CapabilityCache::open(state, &self.key, jiff::Timestamp::now()));
        if let Some(capability_cache) = &capability_cache {
            let sizing = self.sizing.get_mut().unwrap_or_else(PoisonError::into_inner);
            *sizing = sizing.knowing(capability_cache.capabilities());
        }
        self.capability_cache = Mutex::new(capability_cache);
        self.transport.report_to(std::sync::Arc::clone(&retry_context.progress));
        self.places = Mutex::new(BlobInfoCache::new(retry_context.state.as_deref(), &self.key));
        self.retry_context = retry_context;
        self
    }

    /// The same registry, at no more than these rates.
    #[must_use]
    pub fn limited(mut self, rates: RateLimits) -> Self {
        self.transport.limit(rates);
        self
    }

    /// The same registry, which may send requests for blobs to these hosts without TLS and at internal addresses.
    #[must_use]
    pub fn taking_blobs_from(mut self, hosts: BlobHosts) -> Self {
        self.transport.take_blobs_from(hosts);
        self
    }

    /// `host` or `host:port`, as given.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What was sent to it, and to whom it sent us, since this was asked the last time.
    pub fn new_traffic(&self) -> Traffic {
        let now = self.transport.traffic();
        now.since(std::mem::replace(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner), now))
    }

    /// A repository was found to have a blob: a mount can come from there, and an upload of it that an earlier run
    /// left open is of no use any more.
    pub fn has(&self, repository: &str, blob: &Descriptor) {
        self.blob_info().add(repository, blob.digest);
        self.settle(repository, blob);
    }

    /// Another repository that has the blob, as far as earlier runs know and the registry confirms.
    pub async fn mountable(&self, repository: &str, blob: &Descriptor) -> Result<Option<String>, RegistryError> {
        let Some(from) = self.blob_info().elsewhere(repository, blob.digest) else { return Ok(None) };
        match self.head_blob(&from, blob.digest).await {
            Ok(size) => Ok((size == Some(blob.size)).then_some(from)),
            // Not permitted to look there, which a push would find out as well and survive.
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

    /// Asks, without credentials, whether a registry is there, and learns how to identify to it.
    pub async fn ping(&self) -> Result<(), RegistryError> {
        let uri = self.uri("")?;
        let call = Call { method: Method::GET, uri, headers: HeaderMap::new(), payload: Payload::Empty };
        let mut reply = self.reach(call).await?;
        match reply.status {
            StatusCode::UNAUTHORIZED => {
                let (base, facts) = (reply.uri.clone(), reply.facts());
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
            _ => Err(auth::refused(&mut reply, false).await),
        }
    }

    fn uri(&self, path: &str) -> Result<Uri, RegistryError> {
        http::origin::absolute(self.own.is_https(), &self.authority, &format!("/v2/{path}"))
            .map_err(|_| RegistryError::Address(self.host.clone()))
    }

    async fn call(&self, access: Access, repository: &str, call: Call) -> Result<Reply, RegistryError> {
        // What waits is moved about before it starts, the cheaper the smaller it is: so this is boxed, and so is, on its
        // way, what is seldom needed.
        Box::pin(self.call_within(&scope(access, repository), call)).await
    }

    /// Sends a request with what the registry wants to see, again if a 401 says that this helps.
    async fn call_within(&self, scope: &str, call: Call) -> Result<Reply, RegistryError> {
        self.authorized(scope, call).await.map_err(|error| error.led_by(LedBy::Location, &self.own))
    }

    async fn authorized(&self, scope: &str, call: Call) -> Result<Reply, RegistryError> {
        // With TLS the ping also finds out by which protocol the others go, before many connections are made.
        if self.auth.has_credential() || self.own.is_https() {
            // A registry that refuses the ping can still be asked for other things.
            let greet = || {
                Box::pin(async {
                    match self.ping().await {
                        Err(error) if error.error_response().is_some() => Ok(()),
                        other => other,
                    }
                })
            };
            self.greeted.get_or_try_init(greet).await?;
        }
        // Another origin, where a Location led us, is none of the registry's credentials' business.
        let is_own = |uri: &Uri| http::origin::carries(Carried::Header, &self.own, uri);
        let mut sent = 0;
        let mut again = false;
        loop {
            let mut headers = call.headers.clone();
            let mut carried = SentAuth::Nothing;
            let password = self.auth.shows_password();
            if is_own(&call.uri) {
                let (value, what) = match self.auth.authorize(&self.transport, scope).await {
                    Err(RegistryError::Unauthorized { credentials: true, .. }) if self.turn_to_password(password) => {
                        continue;
                    }
                    authorized => authorized?,
                };
                headers.extend(value.map(|value| (AUTHORIZATION, value)));
                carried = what;
            }
            let (method, uri, payload) = (call.method.clone(), call.uri.clone(), call.payload.clone());
            let mut reply = self.reach(Call { method, uri, headers, payload }).await?;
            sent += 1;
            if reply.status != StatusCode::UNAUTHORIZED || !is_own(&reply.uri) {
                return Ok(reply);
            }
            let response = auth::error_response(&mut reply).await;
            let decision = self
                .auth
                .decide((carried, again), scope, &reply.uri, &reply.headers, &response)
                .await
                .map_err(|violation| RegistryError::Protocol { request: reply.facts(), violation })?;
            again |= carried.is_fresh_token();
            let credentials = carried != SentAuth::Nothing && self.auth.has_credential();
            match decision {
                AuthDecision::Retry | AuthDecision::Renew if sent < MAX_AUTHORIZATIONS => {
                    if let Payload::Part(part) = &call.payload {
                        let error = RegistryError::refused(reply.facts(), response, credentials);
                        self.sent_for_nothing(part, &error, sent);
                    }
                }
                AuthDecision::Denied | AuthDecision::DeniedForGood if credentials => {
                    return Err(RegistryError::Denied(Box::new(Refused { request: reply.facts(), response })));
                }
                AuthDecision::Unauthorized if carried == SentAuth::Password && self.turn_to_password(password) => {}
                _ if carried == SentAuth::Nothing
                    && let Some(asked) = self.auth.unanswerable(&reply.headers) =>
                {
                    let refused = Box::new(Refused { request: reply.facts(), response });
                    return Err(RegistryError::UnknownScheme { refused, asked });
                }
                _ => return Err(RegistryError::refused(reply.facts(), response, credentials)),
            }
        }
    }

    /// Whether a request is sent again with the password, because the token of the same place was refused; says so once.
    fn turn_to_password(&self, already: bool) -> bool {
        let turn = self.auth.turn_to_password(already);
        if let PasswordTurn::First(place) = turn {
            self.retry_context.progress.emit(Event::Warning(&format!(
                "{} does not accept the token of {place}; the password there is used instead",
                self.host
            )));
        }
        turn != PasswordTurn::None
    }

    /// Whether a token was refused, and the password of the same place is shown instead.
    pub fn shows_password(&self) -> bool {
        self.auth.shows_password()
    }

    async fn refused(&self, reply: &mut Reply) -> RegistryError {
        // Elsewhere nothing of the credential was sent.
        let is_own = http::origin::carries(Carried::Header, &self.own, &reply.uri);
        let error = auth::refused(reply, is_own && self.auth.has_credential()).await;
        error.led_by(LedBy::Location, &self.own)
    }
}

fn empty(method: Method, uri: Uri) -> Call {
    Call { method, uri, headers: HeaderMap::new(), payload: Payload::Empty }
}

fn scope(access: Access, repository: &str) -> String {
    if repository.is_empty() {
        return String::new();
    }
    let actions = match access {
        Access::Pull => "pull",
        Access::Push => "pull,push",
    };
    format!("repository:{repository}:{actions}")
}

/// Whether a status says that something was stored; registries are not of one mind.
fn is_stored(status: StatusCode) -> bool {
    matches!(status, StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED | StatusCode::NO_CONTENT)
}

/// The media type without parameters.
fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next()?.trim().to_owned())
}

/// `Content-Length` of the content itself, which an encoded body does not have.
fn content_length(headers: &HeaderMap) -> Option<u64> {
    number(headers, CONTENT_LENGTH.as_str()).filter(|_| Encoding::of(headers).is_identity())
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

/// `Docker-Content-Digest`, if it is one of ours.
fn content_digest(headers: &HeaderMap) -> Option<Digest> {
    headers.get("docker-content-digest")?.to_str().ok()?.parse().ok()
}

/// Fails when the answer names another digest than what was sent.
fn check_digest(reply: &Reply, expected: Digest) -> Result<(), RegistryError> {
    match content_digest(&reply.headers) {
        Some(found) if found != expected => {
            Err(RegistryError::DigestMismatch { request: reply.facts(), expected, found })
        }
        _ => Ok(()),
    }
}
