//! The transport: the one folder that names the HTTP library.
//!
//! Requests use HTTP/2 where a server offers it, else HTTP/1.1 with kept connections. The bytes of blobs use HTTP/1.1
//! in either case, where each has a connection of its own: HTTP/2 would put them all behind one window and lose them
//! all with one connection. Where a server offers nothing else, they use HTTP/2 too. TLS follows the host's policy;
//! proxies and time limits are those of the configuration; `Content-Length` is always fixed. An answer that comes while
//! a body is still being sent is read and returned, even if the peer has closed its side. Everything read is bounded.
//!
//! A server that closes an HTTP/2 connection in order leaves the requests beyond the last one unprocessed (RFC 9113
//! section 8.7). They are sent again at once, even those with a body.
//!
//! The peer may close a kept connection just as it is used again. Neither side is at fault: the request is sent once
//! more by a new connection, before any caller hears of it (RFC 9112 section 9.3.1).

pub(super) mod address;
mod admission;
mod alerts;
pub(super) mod body;
mod buffers;
mod call;
mod connect;
pub(super) mod encoding;
pub(super) mod error_response;
mod fault;
pub(super) mod location;
pub(super) mod origin;
mod origin_tls;
mod pools;
pub(super) mod proxy;
mod record;
mod reply;
mod secrets;
mod tunnel;
mod watch;
mod wire;

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use http::{Method, StatusCode, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::capture_connection;
use tokio::net::TcpStream;

use super::config::{RegistryConfig, Timeouts};
use super::error::{NetworkFault, RegistryError, RequestFacts, Violation, Wait};
use super::retry::rates::Throttle;
use crate::progress::Interrupt;
use crate::tls;
use admission::Home;
use alerts::PeerAlerts;
use body::{SendBody, Sending};
pub(super) use call::Call;
use connect::{Dial, Dialer, Dialing, lookup};
use fault::{classify, kept_too_long, misled, root_cause, source_error};
use origin::{Carried, Misdirection, Origin, Passage, passage};
use origin_tls::OriginTls;
use pools::{Pool, Pools};
use proxy::ProxyTable;
use record::Recorder;
pub use record::Traffic;
pub(super) use reply::Reply;
pub(super) use watch::rest;
use watch::{Abandon, Orphan, Watch};

const MAX_REDIRECTIONS: usize = 5;
/// Connections by which one request is tried: one that was kept too long, one of each protocol.
const MAX_ATTEMPTS: usize = 4;
/// How often a waiting request looks at the interrupt and at its limits.
const TICK: Duration = Duration::from_millis(100);

/// The client for one registry and the hosts that it leads to.
pub(super) struct Transport {
    pools: Pools,
    tls: OriginTls,
    proxies: Arc<ProxyTable>,
    dialing: Dialing,
    alerts: PeerAlerts,
    own: Origin,
    timeouts: Timeouts,
    stop: [Interrupt; 2],
    recorder: Arc<Recorder>,
    throttle: Arc<Throttle>,
}

impl Transport {
    /// Prepares to talk to `own` as `config` says. `stop` ends every request with [`RegistryError::Interrupted`] soon after
    /// one of them is requested.
    pub(super) fn new(own: Origin, config: &RegistryConfig, stop: [Interrupt; 2]) -> Result<Self, RegistryError> {
        let timeouts = config.timeouts;
        let tls = OriginTls::new(own.clone(), &config.policy, config.elsewhere.clone())?;
        let proxies = Arc::new(ProxyTable::new(&config.proxies));
        let home = Home::new(own.clone());
        let dial = Dial { proxies: Arc::clone(&proxies), home, stall: timeouts.stall, peer: Arc::default() };
        let dialing = Dialing::default();
        let alerts = PeerAlerts::default();
        let dialer = Dialer {
            dial,
            tls: tls.clone(),
            protocols: pools::ALL_PROTOCOLS,
            limit: timeouts.connect,
            dialing: dialing.clone(),
            alerts: alerts.clone(),
        };
        Ok(Self {
            pools: Pools::new(&dialer, &own, &config.blob_hosts),
            tls,
            proxies,
            dialing,
            alerts,
            own,
            timeouts,
            stop,
            recorder: Arc::new(Recorder::new(Arc::clone(&config.retry.progress))),
            throttle: Arc::new(Throttle::new(config.rates, Instant::now())),
        })
    }

    /// Returns what was sent so far.
    pub(super) fn traffic(&self) -> Traffic {
        self.recorder.traffic()
    }

    /// Sends a request and follows redirections: of GET and HEAD, and with the body of 307 and 308.
    /// What goes along to another origin is [`passage`]'s decision.
    pub(super) async fn send(&self, call: Call) -> Result<Reply, RegistryError> {
        Box::pin(self.follow(call, true)).await
    }

    /// Sends a request for clean-up: an interrupt does not end it, a short limit does.
    pub(super) async fn send_regardless(&self, call: Call, limit: Duration) -> Option<Reply> {
        tokio::time::timeout(limit, Box::pin(self.follow(call, false))).await.ok()?.ok()
    }

    async fn follow(&self, mut call: Call, interruptible: bool) -> Result<Reply, RegistryError> {
        let (bulk, blob) = (call.moves_a_blob(), call.asks_for_a_blob());
        let open = |origin: &Origin| blob && *origin != self.own && self.pools.takes_blobs_at(origin);
        let mut stored = false;
        for _ in 0..=MAX_REDIRECTIONS {
            let first = if stored { Some(Pool::Storage) } else { None };
            let reply = self.once(&call, first, bulk, interruptible).await.map_err(|error| match error {
                RegistryError::Misled { request, source, .. } => RegistryError::Misled { request, blob, source },
                other => other,
            })?;
            let replays = matches!(reply.status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
            let reads = matches!(call.method, Method::GET | Method::HEAD)
                && matches!(reply.status, StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER);
            if !(replays || reads) {
                return Ok(reply);
            }
            let next = reply.location_unless(&self.own, open)?;
            let refused = |why| RegistryError::protocol(&call.method, &call.uri, Violation::Location(why));
            let origin = |uri| Origin::of(uri).ok_or_else(|| refused(Misdirection::Malformed));
            let (from, to) = (origin(&call.uri)?, origin(&next)?);
            stored = open(&to);
            if !stored && passage(call.body(), &from, &to) != Passage::Carry {
                return Err(refused(Misdirection::Secret(to)));
            }
            if passage(Carried::Header, &from, &to) != Passage::Carry {
                call.headers.remove(AUTHORIZATION);
            }
            call.uri = next;
            reply.discard().await;
        }
        Err(RegistryError::protocol(&call.method, &call.uri, Violation::Redirections(MAX_REDIRECTIONS)))
    }

    /// Sends one request by one pool after the other, because a connection may be closed as it is used again and a
    /// server may speak HTTP/2 alone. `first` is the pool to begin with, where that is not the call's own matter.
    async fn once(
        &self,
        call: &Call,
        first: Option<Pool>,
        bulk: bool,
        interruptible: bool,
    ) -> Result<Reply, RegistryError> {
        let mut pool = first.unwrap_or_else(|| self.pools.first(call, bulk));
        for _ in 1..MAX_ATTEMPTS {
            let error = match self.attempt(call, pool, interruptible).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            match self.pools.next(call, pool, &error) {
                Some(next) => pool = next,
                None => return Err(error),
            }
        }
        // A server that accepts neither protocol is not asked forever.
        self.attempt(call, pool, interruptible).await
    }

    async fn attempt(&self, call: &Call, pool: Pool, interruptible: bool) -> Result<Reply, RegistryError> {
        let proxy = self.proxies.route(&call.uri)?.filter(|_| call.uri.scheme_str() == Some("http"));
        self.await_turn(interruptible).await?;
        let (body, sending) = SendBody::start(&call.payload, &self.throttle);
        let mut request = http::Request::new(body);
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = call.uri.clone();
        *request.headers_mut() = call.headers.clone();
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("idpbuilder-oci/", env!("CARGO_PKG_VERSION"))));
        if !matches!(call.method, Method::GET | Method::HEAD | Method::DELETE) {
            headers.insert(CONTENT_LENGTH, call.payload.len().into());
        }
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(authorization) = proxy.and_then(|proxy| proxy.authorization.as_ref()) {
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        // The registry's logs use the names. Other hosts have signatures that an unknown header might break.
        let is_own = Origin::of(&call.uri).as_ref() == Some(&self.own);
        let mut record = self.recorder.begin(call, headers, &sending, is_own);
        let client = self.pools.client(pool);
        let result = self.answer(client, call, request, &sending, interruptible).await;
        let response = result.inspect_err(|error| record.failed(error))?;
        record.answered(response.version(), response.status(), response.headers());
        // No registry answers this: it is about the proxy's own password.
        if let Some(proxy) = proxy.filter(|_| response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED) {
            let fault = NetworkFault::Proxy { proxy: proxy.name(), answer: Some(response.status()) };
            let request = RequestFacts::of(&call.method, &call.uri);
            return Err(RegistryError::Network { request, fault, source: None });
        }
        self.pools.saw(response.version());
        let (parts, body) = response.into_parts();
        let abandon = Abandon((!sending.is_complete()).then_some(sending));
        Ok(Reply {
            status: parts.status,
            headers: parts.headers,
            uri: call.uri.clone(),
            method: call.method.clone(),
            body,
            stall: self.timeouts.stall,
            flow: reply::Flow::default(),
            stop: interruptible.then(|| self.stop.clone()),
            record,
            throttle: Arc::clone(&self.throttle),
            _abandon: abandon,
        })
    }

    /// Waits until one more request may go.
    async fn await_turn(&self, interruptible: bool) -> Result<(), RegistryError> {
        let wait = self.throttle.request(Instant::now());
        rest(wait, || interruptible && self.is_stopped()).await
    }

    /// Waits for the answer's head, however early it comes.
    async fn answer(
        &self,
        client: &Client<Dialer, SendBody>,
        call: &Call,
        mut request: http::Request<SendBody>,
        sending: &Arc<Sending>,
        interruptible: bool,
    ) -> Result<http::Response<Incoming>, RegistryError> {
        let facts = || RequestFacts::of(&call.method, &call.uri);
        let mut abandon = Abandon(Some(Arc::clone(sending)));
        let mut orphan = Orphan::new(capture_connection(&mut request));
        let mut answer = pin!(client.request(request));
        // A PUT commits what it sends.
        let mut watch = Watch::new(sending, self.timeouts, call.method == Method::PUT);
        let response = loop {
            match tokio::time::timeout(TICK, &mut answer).await {
                Ok(Ok(response)) => break response,
                Ok(Err(error)) => {
                    let error = self.failed(call, sending, &error);
                    return Err(kept_too_long(error, orphan.life().as_ref()));
                }
                Err(_) => {
                    self.check_interrupt(interruptible)?;
                    if orphan.is_one(self.dialing.is_under_way()) {
                        let fault = NetworkFault::Closed;
                        let error = RegistryError::Network { request: facts(), fault, source: None };
                        let error = self.explained(&call.uri, error);
                        return Err(kept_too_long(error, orphan.life().as_ref()));
                    }
                    if let Some(fault) = watch.overdue(sending) {
                        return Err(RegistryError::Network { request: facts(), fault, source: None });
                    }
                }
            }
        };
        // A fault of our own explains an early answer better than the answer does.
        if let Some(fault) = sending.take_fault() {
            return Err(source_error(fault, &call.payload).unwrap_or(RegistryError::Interrupted));
        }
        if let Some(life) = orphan.life() {
            life.answer();
        }
        // A server that answers has not refused the connection.
        self.alerts.take();
        // The owner of the answer decides what becomes of the rest of the body.
        abandon.0 = None;
        Ok(response)
    }

    /// Returns how long making a connection may take.
    pub(super) fn connect_limit(&self) -> Duration {
        self.timeouts.connect
    }

    /// Returns the addresses of `uri`'s host, and whether they are this machine's because DNS had none.
    pub(super) async fn resolve(&self, uri: &Uri) -> Result<(Vec<IpAddr>, bool), RegistryError> {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let found = lookup(host).await.map_err(|error| network(uri, &error))?;
        let mut addresses: Vec<IpAddr> = found.0.iter().map(SocketAddr::ip).collect();
        addresses.dedup();
        Ok((addresses, found.1))
    }

    /// Connects to the first of the addresses that answers, and lets go.
    pub(super) async fn connect(&self, uri: &Uri, addresses: &[SocketAddr]) -> Result<SocketAddr, RegistryError> {
        match TcpStream::connect(addresses).await {
            Ok(stream) => stream.peer_addr().map_err(|error| network(uri, &error)),
            Err(error) => Err(network(uri, &error)),
        }
    }

    /// Returns whether requests to `uri` go through a proxy.
    pub(super) fn is_proxied(&self, uri: &Uri) -> bool {
        self.proxies.route(uri).is_ok_and(|proxy| proxy.is_some())
    }

    /// Returns the chain the server showed last; `None` where there is no TLS.
    pub(super) fn presented(&self) -> Option<tls::Presented> {
        self.tls.own().map(|tls| tls.presented.clone())
    }

    /// Returns the interrupts that stop requests.
    pub(super) fn stop(&self) -> [Interrupt; 2] {
        self.stop.clone()
    }

    /// Returns whether the work was asked to stop.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.iter().any(Interrupt::requested)
    }

    fn check_interrupt(&self, interruptible: bool) -> Result<(), RegistryError> {
        if interruptible && self.is_stopped() {
            return Err(RegistryError::Interrupted);
        }
        Ok(())
    }

    fn failed(&self, call: &Call, sending: &Sending, error: &(dyn Error + 'static)) -> RegistryError {
        if let Some(error) = sending.take_fault().and_then(|fault| source_error(fault, &call.payload)) {
            return error;
        }
        let request = RequestFacts::of(&call.method, &call.uri);
        if let Some(source) = misled(error) {
            return RegistryError::Misled { request, blob: false, source };
        }
        let fault = classify(error);
        self.explained(&call.uri, RegistryError::Network { request, fault, source: root_cause(error) })
    }

    /// Returns the error with the facts that only the transport knows: certificates, limits, and why a connection was
    /// closed.
    fn explained(&self, uri: &Uri, mut error: RegistryError) -> RegistryError {
        let RegistryError::Network { fault, source, .. } = &mut error else { return error };
        if matches!(fault, NetworkFault::Other(_) | NetworkFault::Closed | NetworkFault::Reset)
            && let Some(refusal) = self.alerts.take()
        {
            *fault = NetworkFault::Tls { fault: refusal, chain: Vec::new(), chosen: Vec::new() };
            *source = None;
        }
        match fault {
            NetworkFault::Tls { chain, chosen, .. } => {
                let tls = Origin::of(uri).and_then(|origin| self.tls.known(&origin));
                *chain = tls.as_ref().map(|tls| tls.presented.chain()).unwrap_or_default();
                *chosen = tls.map(|tls| tls.chosen).unwrap_or_default();
            }
            // The system has one limit for a connection and for its making.
            NetworkFault::Timeout { wait: Wait::Connect, limit }
                if source.as_ref().is_some_and(|source| source.kind() == std::io::ErrorKind::TimedOut) =>
            {
                *limit = self.timeouts.connect.min(self.timeouts.stall);
            }
            NetworkFault::Timeout { wait: Wait::Connect, limit } => *limit = self.timeouts.connect,
            NetworkFault::Timeout { limit, .. } => *limit = self.timeouts.stall,
            _ => {}
        }
        error
    }
}

fn network(uri: &Uri, error: &(dyn Error + 'static)) -> RegistryError {
    let request = RequestFacts::of(&Method::GET, uri);
    RegistryError::Network { request, fault: classify(error), source: root_cause(error) }
}
