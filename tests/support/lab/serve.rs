//! Listeners, TLS and connections: what carries a [`Registry`] to its clients.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::access::{Login, Tokens};
use super::handler::{Body, Crowd, Outcome, Registry};
use super::profile::Profile;
use super::record::{Exchange, Record, Site};
use super::request::{Reply, Request, route};
use super::script::{Break, Playing, Rule, Script};
use super::state::State;
use super::wire::{Wire, gone};

/// What a laboratory is started with.
#[derive(Clone)]
pub struct Setup {
    /// The registry's behaviour.
    pub profile: Profile,
    /// The faults.
    pub script: Script,
    /// Whom it asks for; nobody by default.
    pub login: Option<Login>,
    /// Whether the origins speak TLS.
    pub tls: bool,
}

impl Setup {
    /// Returns the setup of a registry without faults, login and TLS.
    pub fn of(profile: Profile) -> Self {
        Self { profile, script: Script::new(), login: None, tls: false }
    }

    /// Adds rules to the script.
    #[must_use]
    pub fn script(mut self, script: impl IntoIterator<Item = Rule>) -> Self {
        self.script = script.into_iter().collect();
        self
    }

    /// Requires a login.
    #[must_use]
    pub fn login(mut self, login: Login) -> Self {
        self.login = Some(login);
        self
    }

    /// Serves both origins over TLS.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }
}

struct Certificate {
    pem: String,
    config: Arc<ServerConfig>,
}

impl Certificate {
    /// Of idpbuilder's kind: signed by itself, an authority, and used as a server's.
    fn new() -> Self {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut parameters = rcgen::CertificateParams::new(names).expect("names");
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = parameters.self_signed(&key).expect("signed");
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .expect("a pair");
        Self { pem: certificate.pem(), config: Arc::new(config) }
    }
}

struct Shared {
    registry: Registry,
    certificate: Mutex<Option<Certificate>>,
    /// Grows with each certificate; connections of an older one are ended.
    generation: AtomicU64,
    connections: AtomicU64,
}

/// A running laboratory: a registry, and another origin; both end when dropped.
pub struct Lab {
    shared: Arc<Shared>,
    addresses: [SocketAddr; 2],
    runtime: Option<tokio::runtime::Runtime>,
}

impl Lab {
    /// Starts one.
    pub fn start(setup: Setup) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("lab")
            .enable_all()
            .build()
            .expect("a runtime");
        let listeners = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").expect("a free port"));
        let addresses = [0, 1].map(|index| listeners[index].local_addr().expect("bound"));
        let scheme = if setup.tls { "https" } else { "http" };
        let registry = Registry {
            profile: setup.profile,
            login: setup.login,
            playing: Mutex::new(Playing::new(setup.script)),
            state: Mutex::new(State::default()),
            tokens: Mutex::new(Tokens::default()),
            record: Record::default(),
            crowd: Crowd::default(),
            breaks: AtomicU64::new(0),
            bases: addresses.map(|address| format!("{scheme}://{address}")),
        };
        let shared = Arc::new(Shared {
            registry,
            certificate: Mutex::new(setup.tls.then(Certificate::new)),
            generation: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        });
        for (listener, site) in listeners.into_iter().zip([Site::Registry, Site::Elsewhere]) {
            listener.set_nonblocking(true).expect("set");
            let shared = Arc::clone(&shared);
            runtime.spawn(async move {
                let listener = TcpListener::from_std(listener).expect("a listener");
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(Arc::clone(&shared).connected(Wire::new(stream), site));
                }
            });
        }
        Self { shared, addresses, runtime: Some(runtime) }
    }

    /// `127.0.0.1:port` of the registry.
    pub fn host(&self) -> String {
        self.addresses[0].to_string()
    }

    /// Where the registry listens.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// The certificate that is shown now.
    pub fn certificate(&self) -> Option<String> {
        let certificate = self.shared.certificate.lock().expect("unpoisoned");
        certificate.as_ref().map(|certificate| certificate.pem.clone())
    }

    /// Returns the registry behind the origins.
    pub fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    /// Returns the record of every request.
    pub fn record(&self) -> &Record {
        &self.shared.registry.record
    }

    /// All exchanges so far.
    pub fn seen(&self) -> Vec<Exchange> {
        self.record().all()
    }

    /// All exchanges so far, a line each.
    pub fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Exchange::line).collect()
    }

    /// Another rule, after those that are there.
    pub fn add(&self, rule: Rule) {
        self.shared.registry.playing.lock().expect("unpoisoned").add(rule);
    }

    /// Locks and returns what the registry stores.
    pub fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.shared.registry.state.lock().expect("unpoisoned")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    async fn connected(self: Arc<Self>, wire: Wire, site: Site) {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let config = self.certificate.lock().expect("unpoisoned").as_ref().map(|found| Arc::clone(&found.config));
        match config {
            None => self.converse(wire.clone(), wire, site, number).await,
            Some(config) => {
                let accepted = tokio_rustls::TlsAcceptor::from(config).accept(wire.clone()).await;
                // Whoever does not like the certificate goes.
                if let Ok(stream) = accepted {
                    self.converse(stream, wire, site, number).await;
                }
            }
        }
    }

    /// Serves requests until one breaks the connection or the peer has gone.
    async fn converse<S>(self: Arc<Self>, stream: S, wire: Wire, site: Site, number: u64)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let generation = self.generation.load(Ordering::Relaxed);
        let ended = Arc::new(Notify::new());
        let how: Arc<Mutex<Option<Outcome>>> = Arc::default();
        let service = hyper::service::service_fn(|request| {
            let (shared, ended, how) = (Arc::clone(&self), Arc::clone(&ended), Arc::clone(&how));
            async move {
                match shared.answer(request, site, (number, generation)).await {
                    Outcome::Answer { reply, cut, last } => {
                        let last = last || shared.generation.load(Ordering::Relaxed) != generation;
                        Ok::<_, std::convert::Infallible>(response(reply, cut, last))
                    }
                    outcome => {
                        *how.lock().expect("unpoisoned") = Some(outcome);
                        ended.notify_one();
                        std::future::pending().await
                    }
                }
            }
        });
        let mut connection =
            std::pin::pin!(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        let broken = tokio::select! {
            // An answer that was cut short is an error here, and meant.
            _ = &mut connection => false,
            () = ended.notified() => true,
        };
        if !broken {
            wire.finish().await;
            return;
        }
        let how = how.lock().expect("unpoisoned").take();
        match how {
            Some(Outcome::Break(Break::Reset)) => wire.reset(),
            Some(Outcome::Break(Break::Stall)) => gone(&wire).await,
            Some(Outcome::Rotate) => {
                *self.certificate.lock().expect("unpoisoned") = Some(Certificate::new());
                self.generation.fetch_add(1, Ordering::Relaxed);
                wire.finish().await;
            }
            _ => wire.finish().await,
        }
    }

    async fn answer(&self, request: http::Request<Incoming>, site: Site, connection: (u64, u64)) -> Outcome {
        let (parts, body) = request.into_parts();
        let headers: Vec<(String, String)> = parts
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let find = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let own = &self.registry.bases[usize::from(site == Site::Elsewhere)];
        let scheme = own.split("://").next().unwrap_or_default();
        // A proxy in front has another address than the listener.
        let base = find("host").map_or_else(|| own.clone(), |host| format!("{scheme}://{host}"));
        let (op, repository, name, session) = route(parts.method.as_str(), parts.uri.path());
        let request = Request {
            site,
            base,
            op,
            method: parts.method.as_str(),
            target: parts.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            repository,
            name,
            session,
            announced: find("content-length").and_then(|text| text.parse().ok()).unwrap_or(0),
            headers,
        };
        self.registry.handle(&request, connection, Taking(body)).await
    }
}

struct Taking(Incoming);

impl Body for Taking {
    async fn piece(&mut self) -> Option<Result<Bytes, ()>> {
        loop {
            match self.0.frame().await? {
                Ok(frame) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Some(Ok(bytes));
                    }
                }
                Err(_) => return Some(Err(())),
            }
        }
    }
}

/// An answer's body, which may end before it should.
struct Giving {
    bytes: Option<Bytes>,
    announced: u64,
    broken: bool,
}

impl hyper::body::Body for Giving {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match self.bytes.take() {
            Some(bytes) if !bytes.is_empty() => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            _ if self.broken => Poll::Ready(Some(Err(std::io::Error::other("the script ends it here")))),
            _ => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        !self.broken && self.bytes.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.announced)
    }
}

fn response(reply: Reply, cut: Option<usize>, last: bool) -> http::Response<Giving> {
    let announced = reply.body.len();
    let mut bytes = Bytes::from(reply.body);
    if let Some(cut) = cut {
        bytes.truncate(cut);
    }
    let broken = bytes.len() < announced;
    let mut response = http::Response::new(Giving { bytes: Some(bytes), announced: announced as u64, broken });
    *response.status_mut() = http::StatusCode::from_u16(reply.status).expect("a status");
    for (name, value) in reply.headers {
        let name = HeaderName::try_from(name.to_ascii_lowercase()).expect("a header's name");
        response.headers_mut().append(name, HeaderValue::try_from(value).expect("a header's value"));
    }
    let has_length = response.headers().contains_key(CONTENT_LENGTH);
    if !has_length && !matches!(reply.status, 100..=199 | 204 | 304) {
        response.headers_mut().insert(CONTENT_LENGTH, announced.into());
    }
    if last {
        response.headers_mut().insert("connection", HeaderValue::from_static("close"));
    }
    response
}
