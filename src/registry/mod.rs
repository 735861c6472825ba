//! The distribution-spec client: one registry, one policy, one credential. Knows nothing of the store.

mod answer;
mod auth;
mod body;
mod breaker;
mod challenge;
mod commits;
mod error;
mod flight;
mod http;
mod journal;
mod memory;
mod origin;
mod persist;
mod places;
mod probe;
mod reaction;
mod retry;
mod token;
mod upload;

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use ::http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use ::http::uri::Authority;
use ::http::{Method, StatusCode, Uri};

pub use answer::{OciFault, Refusal};
pub use body::{BlobSource, Meter};
pub use error::{NetworkFault, Refused, RegistryError, RequestFacts, Violation, Wait};
pub use origin::{Misdirection, Origin, is_internal, is_loopback_name};
pub use persist::Persistence;
pub use probe::{GiteaVersion, LATE_LIMIT, Resolved};
pub use retry::RetryPolicy;
pub use upload::{Limits, Uploaded};

use self::http::{Call, Reply, Transport};
use auth::{Authenticator, Shown, Verdict};
use body::Payload;
use breaker::Gate;
use commits::Commits;
use flight::Flights;
use journal::Journal;
use memory::Memory;
use places::Places;
use reaction::Operation;
use upload::{Learned, Pace};

use crate::credentials::Credential;
use crate::image::{Descriptor, Digest, Document, Hasher, MAX_DOCUMENT_BYTES, media_type};
use crate::progress::Interrupt;
use crate::tls::TlsPolicy;

/// Times one request is sent: without, with a remembered, and with a new token.
const MAX_AUTHORIZATIONS: usize = 3;

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection: name resolution, TCP and TLS.
    pub connect: Duration,
    /// For an answer, once the request is sent: some registries commit a large blob for minutes.
    pub answer: Duration,
    /// For the next byte of a body, either way.
    pub stall: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(15), answer: Duration::from_mins(10), stall: Duration::from_mins(1) }
    }
}

impl Timeouts {
    fn limit(&self, wait: Wait) -> Duration {
        match wait {
            Wait::Connect => self.connect,
            Wait::Stall => self.stall,
            Wait::Answer => self.answer,
        }
    }
}

/// Proxies by the values of the usual variables. What means this machine is never behind one.
#[derive(Clone, Default)]
pub struct Proxies {
    /// `HTTP_PROXY`.
    pub http: Option<String>,
    /// `HTTPS_PROXY`.
    pub https: Option<String>,
    /// `NO_PROXY`.
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

/// A manifest in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// By tag.
    Tag(&'a str),
    /// By digest.
    Digest(Digest),
}

impl std::fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// What a registry says of a manifest without sending it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestHead {
    /// Its digest; not all registries say.
    pub digest: Option<Digest>,
    /// Its media type.
    pub media_type: Option<String>,
    /// Its size in bytes.
    pub size: Option<u64>,
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
    own: Origin,
    authority: Authority,
    transport: Transport,
    auth: Authenticator,
    greeted: tokio::sync::OnceCell<()>,
    pace: Mutex<Pace>,
    memory: Mutex<Option<Memory>>,
    places: Mutex<Places>,
    journal: OnceLock<Journal>,
    /// Whether a blob was sent without a session, to see whether that works.
    probed: AtomicBool,
    flights: Flights,
    commits: Commits,
    abandoned: Interrupt,
    persistence: Persistence,
    gate: Gate,
    /// Whether it ever answered.
    met: AtomicBool,
}

impl Registry {
    /// Prepares to talk; nothing is sent yet.
    pub fn open(config: RegistryConfig) -> Result<Self, RegistryError> {
        let address = || RegistryError::Address(config.host.chars().take(200).collect());
        // The name in references and the machine that answers differ for Docker Hub alone.
        let host = match config.host.as_str() {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            host => host,
        };
        let authority: Authority = host.parse().map_err(|_| address())?;
        if authority.as_str().contains('@') {
            return Err(RegistryError::Address("(with user name)".to_owned()));
        }
        let https = !matches!(config.policy, TlsPolicy::Plaintext);
        let uri = origin::absolute(https, &authority, "/v2/").map_err(|_| address())?;
        let own = Origin::of(&uri).ok_or_else(address)?;
        let abandoned = Interrupt::default();
        let stop = [config.interrupt, abandoned.clone()];
        let transport = Transport::new(own.clone(), &config.policy, &config.proxies, config.timeouts, stop)?;
        Ok(Self {
            host: config.host,
            authority,
            transport,
            auth: Authenticator::new(own.clone(), config.credential),
            own,
            greeted: tokio::sync::OnceCell::new(),
            pace: Mutex::new(Pace::new(config.limits, Learned::default())),
            memory: Mutex::default(),
            places: Mutex::default(),
            journal: OnceLock::new(),
            probed: AtomicBool::new(false),
            flights: Flights::default(),
            commits: Commits::default(),
            abandoned,
            gate: Gate::new(Persistence::default().first_pause()),
            persistence: Persistence::default(),
            met: AtomicBool::new(false),
        })
    }

    /// The same registry, which goes on after faults that may pass.
    #[must_use]
    pub fn persisting(mut self, persistence: Persistence) -> Self {
        self.gate = Gate::new(persistence.first_pause());
        let memory = persistence.state.as_deref().map(|state| Memory::open(state, &self.host, jiff::Timestamp::now()));
        if let Some(memory) = &memory {
            *self.pace.get_mut().unwrap_or_else(PoisonError::into_inner).learned_mut() = memory.learned();
        }
        self.memory = Mutex::new(memory);
        self.places = Mutex::new(Places::new(persistence.state.as_deref(), &self.host));
        self.persistence = persistence;
        self
    }

    /// `host` or `host:port`, as given.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Writes down which repositories were seen to have which blobs, for mounts in later runs.
    pub fn keep_places(&self) {
        self.places().save();
    }

    fn places(&self) -> MutexGuard<'_, Places> {
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

    /// Size in bytes of a blob the repository has; `None` when it has not.
    pub async fn head_blob(&self, repository: &str, digest: Digest) -> Result<Option<u64>, RegistryError> {
        let uri = self.uri(&format!("{repository}/blobs/{digest}"))?;
        let reply = self.persist(Operation::Ask, async || self.head(repository, head(&uri)).await).await?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let size = number(&reply.headers, CONTENT_LENGTH.as_str());
        size.map(Some).ok_or_else(|| RegistryError::Protocol {
            request: reply.facts(),
            violation: Violation::Header("Content-Length"),
        })
    }

    /// Starts to receive a blob.
    pub async fn get_blob(&self, repository: &str, blob: &Descriptor) -> Result<BlobDownload, RegistryError> {
        let uri = self.uri(&format!("{repository}/blobs/{}", blob.digest))?;
        let begin = async || {
            let mut reply = self.call(Access::Pull, repository, empty(Method::GET, uri.clone())).await?;
            if reply.status == StatusCode::OK { Ok(reply) } else { Err(self.refused(&mut reply).await) }
        };
        let reply = self.persist(Operation::Ask, begin).await?;
        Ok(BlobDownload { reply, expected: (blob.digest, blob.size), hasher: Hasher::default() })
    }

    /// What the registry says of a manifest; `None` when it has none.
    pub async fn head_manifest(
        &self,
        repository: &str,
        target: Target<'_>,
    ) -> Result<Option<ManifestHead>, RegistryError> {
        let uri = self.uri(&format!("{repository}/manifests/{target}"))?;
        let ask = async || self.head(repository, Call { headers: accept_manifests(), ..head(&uri) }).await;
        let reply = self.persist(Operation::Ask, ask).await?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        Ok(Some(ManifestHead {
            digest: content_digest(&reply.headers),
            media_type: content_type(&reply.headers),
            size: number(&reply.headers, CONTENT_LENGTH.as_str()),
        }))
    }

    /// Sends a HEAD; its answer is 200 or 404. An answer to HEAD cannot say why it refuses, so a
    /// refusal is asked for its reason with GET, unless asking again would make things worse.
    async fn head(&self, repository: &str, call: Call) -> Result<Reply, RegistryError> {
        let (uri, headers) = (call.uri.clone(), call.headers.clone());
        let again = Call { method: Method::GET, uri, headers, payload: Payload::Empty };
        let error = match self.call(Access::Push, repository, call).await {
            Ok(reply) if matches!(reply.status, StatusCode::OK | StatusCode::NOT_FOUND) => return Ok(reply),
            Ok(mut reply) => self.refused(&mut reply).await,
            Err(error) => error,
        };
        let hurts = |status| matches!(status, StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS);
        if error.refusal().is_none_or(|refused| hurts(refused.refusal.status)) {
            return Err(error);
        }
        match self.call(Access::Push, repository, again).await {
            Ok(mut reply) if reply.status.is_client_error() || reply.status.is_server_error() => {
                Err(self.refused(&mut reply).await)
            }
            Err(explained) if explained.refusal().is_some() => Err(explained),
            _ => Err(error),
        }
    }

    /// Receives a manifest or index; its digest is checked against the target's or the registry's.
    pub async fn get_manifest(&self, repository: &str, target: Target<'_>) -> Result<Document, RegistryError> {
        self.persist(Operation::Ask, async || self.fetch_manifest(repository, target).await).await
    }

    async fn fetch_manifest(&self, repository: &str, target: Target<'_>) -> Result<Document, RegistryError> {
        let uri = self.uri(&format!("{repository}/manifests/{target}"))?;
        let mut call = empty(Method::GET, uri);
        call.headers = accept_manifests();
        let mut reply = self.call(Access::Pull, repository, call).await?;
        if reply.status != StatusCode::OK {
            return Err(self.refused(&mut reply).await);
        }
        let request = reply.facts();
        let declared = content_type(&reply.headers);
        let expected = match target {
            Target::Digest(digest) => Some(digest),
            Target::Tag(_) => content_digest(&reply.headers),
        };
        let bytes = reply.bytes(MAX_DOCUMENT_BYTES).await?;
        let found = Digest::of(&bytes);
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(RegistryError::DigestMismatch { request, expected, found });
        }
        Document::parse(declared.as_deref(), bytes.into()).map_err(|source| RegistryError::Document { request, source })
    }

    /// Stores exactly the document's bytes; the digest the registry answers with must be theirs.
    pub async fn put_manifest(
        &self,
        repository: &str,
        target: Target<'_>,
        document: &Document,
    ) -> Result<(), RegistryError> {
        let uri = self.uri(&format!("{repository}/manifests/{target}"))?;
        let mut headers = HeaderMap::new();
        let kind = HeaderValue::from_str(&document.descriptor.media_type)
            .map_err(|_| RegistryError::protocol(&Method::PUT, &uri, Violation::Header("Content-Type")))?;
        headers.insert(CONTENT_TYPE, kind);
        let put = async || {
            let payload = Payload::Bytes(document.bytes.clone().into());
            let call = Call { method: Method::PUT, uri: uri.clone(), headers: headers.clone(), payload };
            let mut reply = self.call(Access::Push, repository, call).await?;
            if !is_stored(reply.status) {
                return Err(self.refused(&mut reply).await);
            }
            check_digest(&reply, document.digest())?;
            reply.discard().await;
            Ok(())
        };
        self.persist(Operation::Name, put).await
    }

    fn uri(&self, path: &str) -> Result<Uri, RegistryError> {
        origin::absolute(self.own.is_https(), &self.authority, &format!("/v2/{path}"))
            .map_err(|_| RegistryError::Address(self.host.clone()))
    }

    async fn call(&self, access: Access, repository: &str, call: Call) -> Result<Reply, RegistryError> {
        self.call_within(&scope(access, repository), call).await
    }

    /// Sends a request with what the registry wants to see, again if a 401 says that this helps.
    async fn call_within(&self, scope: &str, call: Call) -> Result<Reply, RegistryError> {
        if self.auth.has_credential() {
            // A registry that refuses the ping can still be asked for other things.
            let greet = || async {
                match self.ping().await {
                    Err(error) if error.refusal().is_some() => Ok(()),
                    other => other,
                }
            };
            self.greeted.get_or_try_init(greet).await?;
        }
        // Another origin, where a Location led us, is none of the registry's credentials' business.
        let is_own = |uri: &Uri| Origin::of(uri).as_ref() == Some(&self.own);
        let mut sent = 0;
        loop {
            let mut headers = call.headers.clone();
            let mut shown = Shown::Nothing;
            if is_own(&call.uri) {
                let (value, what) = self.auth.authorize(&self.transport, scope).await?;
                headers.extend(value.map(|value| (AUTHORIZATION, value)));
                shown = what;
            }
            let (method, uri, payload) = (call.method.clone(), call.uri.clone(), call.payload.clone());
            let mut reply = self.reach(Call { method, uri, headers, payload }).await?;
            sent += 1;
            if reply.status != StatusCode::UNAUTHORIZED || !is_own(&reply.uri) {
                return Ok(reply);
            }
            let refusal = auth::refusal(&mut reply).await;
            let verdict = self
                .auth
                .verdict(shown, scope, &reply.uri, &reply.headers, &refusal)
                .await
                .map_err(|violation| RegistryError::Protocol { request: reply.facts(), violation })?;
            match verdict {
                Verdict::Retry if sent < MAX_AUTHORIZATIONS => {}
                Verdict::Denied => {
                    return Err(RegistryError::Denied(Box::new(Refused { request: reply.facts(), refusal })));
                }
                Verdict::Retry | Verdict::Unauthorized => {
                    let credentials = self.auth.has_credential();
                    return Err(RegistryError::refused(reply.facts(), refusal, credentials));
                }
            }
        }
    }

    async fn refused(&self, reply: &mut Reply) -> RegistryError {
        auth::refused(reply, self.auth.has_credential()).await
    }
}

/// A blob on its way to us.
pub struct BlobDownload {
    reply: Reply,
    expected: (Digest, u64),
    hasher: Hasher,
}

impl BlobDownload {
    /// The next bytes; `None` once the blob is whole and has the size and digest it should.
    pub async fn chunk(&mut self) -> Result<Option<bytes::Bytes>, RegistryError> {
        let (expected, size) = self.expected;
        let next = self.reply.chunk().await?;
        let protocol = |violation| RegistryError::Protocol { request: self.reply.facts(), violation };
        let Some(bytes) = next else {
            let (found, count) = self.hasher.clone().finish();
            if count != size {
                return Err(protocol(Violation::Size { expected: size, found: count }));
            }
            if found != expected {
                return Err(RegistryError::DigestMismatch { request: self.reply.facts(), expected, found });
            }
            return Ok(None);
        };
        if self.hasher.count() + bytes.len() as u64 > size {
            return Err(protocol(Violation::TooLong(size)));
        }
        self.hasher.update(&bytes);
        Ok(Some(bytes))
    }
}

fn head(uri: &Uri) -> Call {
    empty(Method::HEAD, uri.clone())
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

fn accept_manifests() -> HeaderMap {
    [media_type::IMAGE_MANIFEST, media_type::IMAGE_INDEX, media_type::DOCKER_MANIFEST, media_type::DOCKER_MANIFEST_LIST]
        .into_iter()
        .map(|kind| (ACCEPT, HeaderValue::from_static(kind)))
        .collect()
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
