//! The transport: the one place that names the HTTP library.
//!
//! HTTP/1.1 with kept connections; TLS by the host's policy; proxies and time limits as given; fixed
//! `Content-Length` always. An answer that comes while a body is still being sent is read and
//! returned, also when the peer has closed its side. Everything read is bounded.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue, LOCATION, PROXY_AUTHORIZATION, USER_AGENT};
use http::{Method, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{DefaultServerNameResolver, HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector, dns::Name};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower_service::Service;

use super::answer::MAX_BODY_BYTES;
use super::body::{Payload, SendBody, SendFault, Sending};
use super::error::{NetworkFault, RegistryError, RequestFacts, Violation, Wait};
use super::origin::{self, Origin};
use super::{Proxies, Timeouts};
use crate::progress::Interrupt;
use crate::tls::{self, ClientTls, TlsPolicy};

const MAX_REDIRECTIONS: usize = 5;
/// How often a waiting request looks at the interrupt and at its limits.
const TICK: Duration = Duration::from_millis(100);
/// How long DNS may take for a name that is known to mean this machine.
const LOOPBACK_DNS_LIMIT: Duration = Duration::from_secs(2);
/// Bytes of an unwanted body read to keep the connection.
const MAX_DISCARDED_BYTES: usize = 64 * 1024;
/// Links of an error's chain that are followed.
const MAX_DEPTH: usize = 32;

type BoxError = Box<dyn Error + Send + Sync>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A request that can be sent again.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) payload: Payload,
}

/// The client for one host and whom it sends us to.
pub(super) struct Transport {
    client: Client<Dialer, SendBody>,
    tls: Option<ClientTls>,
    proxies: Arc<Matcher>,
    own: Origin,
    timeouts: Timeouts,
    stop: [Interrupt; 2],
}

impl Transport {
    /// `stop` ends every request with [`RegistryError::Interrupted`] soon after one of them is requested.
    pub(super) fn new(
        own: Origin,
        policy: &TlsPolicy,
        proxies: &Proxies,
        timeouts: Timeouts,
        stop: [Interrupt; 2],
    ) -> Result<Self, RegistryError> {
        let tls = tls::client(policy)?;
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let matcher =
            Matcher::builder().http(text(&proxies.http)).https(text(&proxies.https)).no(text(&proxies.no)).build();
        let proxies = Arc::new(matcher);
        let mut tcp = HttpConnector::new_with_resolver(Resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        let dial = Dial { tcp, proxies: Arc::clone(&proxies) };
        let https = tls.as_ref().map(|tls| {
            let names = Arc::new(DefaultServerNameResolver::default());
            HttpsConnector::new(dial.clone(), Arc::clone(&tls.config), true, names)
        });
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .build(Dialer { dial, https, limit: timeouts.connect });
        Ok(Self { client, tls, proxies, own, timeouts, stop })
    }

    /// Sends a request and follows redirections: of GET and HEAD, and with the body of 307 and 308.
    /// `Authorization` goes to the request's own origin only.
    pub(super) async fn send(&self, call: Call) -> Result<Reply, RegistryError> {
        Box::pin(self.follow(call, true)).await
    }

    /// The same for clean-up: an interrupt does not end it, a short limit does.
    pub(super) async fn send_regardless(&self, call: Call, limit: Duration) -> Option<Reply> {
        tokio::time::timeout(limit, Box::pin(self.follow(call, false))).await.ok()?.ok()
    }

    async fn follow(&self, mut call: Call, interruptible: bool) -> Result<Reply, RegistryError> {
        let home = Origin::of(&call.uri);
        for _ in 0..=MAX_REDIRECTIONS {
            let reply = self.once(&call, interruptible).await?;
            let replays = matches!(reply.status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
            let reads = matches!(call.method, Method::GET | Method::HEAD)
                && matches!(reply.status, StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER);
            if !(replays || reads) {
                return Ok(reply);
            }
            let next = reply.location(&self.own)?;
            if Origin::of(&next) != home {
                call.headers.remove(AUTHORIZATION);
            }
            call.uri = next;
            reply.discard().await;
        }
        Err(RegistryError::protocol(&call.method, &call.uri, Violation::Redirections(MAX_REDIRECTIONS)))
    }

    async fn once(&self, call: &Call, interruptible: bool) -> Result<Reply, RegistryError> {
        self.check_interrupt(interruptible)?;
        let facts = || RequestFacts::of(&call.method, &call.uri);
        let (body, sending) = SendBody::start(&call.payload);
        let mut request = http::Request::new(body);
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = call.uri.clone();
        *request.headers_mut() = call.headers.clone();
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("idpbuilder-oci/", env!("CARGO_PKG_VERSION"))));
        if !matches!(call.method, Method::GET | Method::HEAD | Method::DELETE) {
            headers.insert(CONTENT_LENGTH, call.payload.len().into());
        }
        if call.uri.scheme_str() == Some("http")
            && let Some(proxy) = proxy_for(&self.proxies, &call.uri)
            && let Some(authorization) = proxy.basic_auth()
        {
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        let mut abandon = Abandon(Some(Arc::clone(&sending)));
        let mut answer = pin!(self.client.request(request));
        let mut watch = Watch::new(&sending);
        let response = loop {
            match tokio::time::timeout(TICK, &mut answer).await {
                Ok(Ok(response)) => break response,
                Ok(Err(error)) => return Err(self.failed(facts(), &sending, &call.payload, &error)),
                Err(_) => {
                    self.check_interrupt(interruptible)?;
                    if let Some(wait) = watch.overdue(&sending, &self.timeouts) {
                        let fault = NetworkFault::Timeout { wait, limit: self.timeouts.limit(wait) };
                        return Err(RegistryError::Network { request: facts(), fault, source: None });
                    }
                }
            }
        };
        // A fault of our own explains an early answer better than the answer does.
        if let Some(fault) = sending.take_fault() {
            return Err(source_error(fault, &call.payload).unwrap_or(RegistryError::Interrupted));
        }
        let (parts, body) = response.into_parts();
        if sending.is_complete() {
            abandon.0 = None;
        }
        Ok(Reply {
            status: parts.status,
            headers: parts.headers,
            uri: call.uri.clone(),
            method: call.method.clone(),
            body,
            stall: self.timeouts.stall,
            stop: interruptible.then(|| self.stop.clone()),
            _abandon: abandon,
        })
    }

    /// The addresses of `uri`'s host, and whether they are this machine's because DNS had none.
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

    /// Whether requests to `uri` go through a proxy.
    pub(super) fn is_proxied(&self, uri: &Uri) -> bool {
        proxy_for(&self.proxies, uri).is_some()
    }

    /// The chain the server showed last; `None` where there is no TLS.
    pub(super) fn presented(&self) -> Option<tls::Presented> {
        self.tls.as_ref().map(|tls| tls.presented.clone())
    }

    fn check_interrupt(&self, interruptible: bool) -> Result<(), RegistryError> {
        if interruptible && self.stop.iter().any(Interrupt::requested) {
            return Err(RegistryError::Interrupted);
        }
        Ok(())
    }

    fn failed(
        &self,
        request: RequestFacts,
        sending: &Sending,
        payload: &Payload,
        error: &(dyn Error + 'static),
    ) -> RegistryError {
        if let Some(error) = sending.take_fault().and_then(|fault| source_error(fault, payload)) {
            return error;
        }
        let mut fault = classify(error);
        match &mut fault {
            NetworkFault::Tls { chain, .. } => {
                *chain = self.tls.as_ref().map(|tls| tls.presented.chain()).unwrap_or_default();
            }
            NetworkFault::Timeout { limit, .. } => *limit = self.timeouts.connect,
            _ => {}
        }
        RegistryError::Network { request, fault, source: root_cause(error) }
    }
}

fn network(uri: &Uri, error: &(dyn Error + 'static)) -> RegistryError {
    let request = RequestFacts::of(&Method::GET, uri);
    RegistryError::Network { request, fault: classify(error), source: root_cause(error) }
}

/// The error a fault in reading our own blob stands for.
fn source_error(fault: SendFault, payload: &Payload) -> Option<RegistryError> {
    let Payload::Part(part) = payload else { return None };
    match fault {
        SendFault::Source(source) => Some(RegistryError::Source { digest: part.digest, source }),
        SendFault::Digest { expected, found } => Some(RegistryError::SourceDigest { expected, found }),
        SendFault::Abandoned => None,
    }
}

/// Stops the sending of a body when its request has ended, so that the connection is not kept.
struct Abandon(Option<Arc<Sending>>);

impl Drop for Abandon {
    fn drop(&mut self) {
        if let Some(sending) = &self.0 {
            sending.abandon();
        }
    }
}

/// Notices when neither bytes nor an answer move.
struct Watch {
    since: Instant,
    handed: u64,
    complete: bool,
}

impl Watch {
    fn new(sending: &Sending) -> Self {
        Self { since: Instant::now(), handed: 0, complete: sending.is_complete() }
    }

    fn overdue(&mut self, sending: &Sending, timeouts: &Timeouts) -> Option<Wait> {
        let (handed, complete) = (sending.handed(), sending.is_complete());
        if (handed, complete) != (self.handed, self.complete) {
            *self = Self { since: Instant::now(), handed, complete };
        }
        let (wait, limit) = match (complete, handed) {
            (true, _) => (Wait::Answer, timeouts.answer),
            // The connection may still be being made, which has its own limit.
            (false, 0) => (Wait::Stall, timeouts.connect + timeouts.stall),
            (false, _) => (Wait::Stall, timeouts.stall),
        };
        (self.since.elapsed() > limit).then_some(wait)
    }
}

/// An answer whose body has not been read.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Where it came from, after redirections.
    pub(super) uri: Uri,
    pub(super) method: Method,
    body: Incoming,
    stall: Duration,
    stop: Option<[Interrupt; 2]>,
    _abandon: Abandon,
}

impl Reply {
    pub(super) fn facts(&self) -> RequestFacts {
        RequestFacts::of(&self.method, &self.uri)
    }

    /// The `Location`, resolved and checked.
    pub(super) fn location(&self, own: &Origin) -> Result<Uri, RegistryError> {
        let violation = |violation| RegistryError::protocol(&self.method, &self.uri, violation);
        let value = self.headers.get(LOCATION).ok_or_else(|| violation(Violation::NoLocation))?;
        let value = value.to_str().map_err(|_| violation(Violation::Header("Location")))?;
        origin::resolve(own, &self.uri, value).map_err(|reason| violation(Violation::Location(reason)))
    }

    /// The next bytes of the body; `None` at its end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, RegistryError> {
        let since = Instant::now();
        loop {
            let failed = |fault, source| RegistryError::Network {
                request: RequestFacts::of(&self.method, &self.uri),
                fault,
                source,
            };
            match tokio::time::timeout(TICK, self.body.frame()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) if bytes.is_empty() => {}
                    Ok(bytes) => return Ok(Some(bytes)),
                    Err(_trailers) => {}
                },
                Ok(Some(Err(error))) => return Err(failed(classify(&error), root_cause(&error))),
                Err(_) if self.stop.iter().flatten().any(Interrupt::requested) => {
                    return Err(RegistryError::Interrupted);
                }
                Err(_) if since.elapsed() > self.stall => {
                    return Err(failed(NetworkFault::Timeout { wait: Wait::Stall, limit: self.stall }, None));
                }
                Err(_) => {}
            }
        }
    }

    /// The whole body, which must not be longer than `limit` bytes.
    pub(super) async fn bytes(mut self, limit: u64) -> Result<Bytes, RegistryError> {
        let mut bytes = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if (bytes.len() + chunk.len()) as u64 > limit {
                return Err(RegistryError::protocol(&self.method, &self.uri, Violation::TooLong(limit)));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }

    /// What there is of the body, up to the size of an error message.
    pub(super) async fn beginning(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < MAX_BODY_BYTES
            && let Ok(Some(chunk)) = self.chunk().await
        {
            bytes.extend_from_slice(&chunk);
        }
        bytes.truncate(MAX_BODY_BYTES);
        bytes
    }

    /// Reads a short body to its end, so that the connection can be used again.
    pub(super) async fn discard(mut self) {
        let mut read = 0;
        while read < MAX_DISCARDED_BYTES
            && let Ok(Some(chunk)) = self.chunk().await
        {
            read += chunk.len();
        }
    }
}

/// What of an error concerns the network, by type.
fn classify(error: &(dyn Error + 'static)) -> NetworkFault {
    if let Some(fault) = tls::classify(error) {
        return NetworkFault::Tls { fault, chain: Vec::new() };
    }
    for link in links(error) {
        if let Some(DialError(fault, _)) = link.downcast_ref() {
            return match fault {
                DialFault::Dns => NetworkFault::Dns,
                DialFault::Timeout => NetworkFault::Timeout { wait: Wait::Connect, limit: Duration::ZERO },
                DialFault::Proxy(proxy) => NetworkFault::Proxy { proxy: proxy.clone() },
            };
        }
        if let Some(error) = link.downcast_ref::<hyper::Error>() {
            if error.is_incomplete_message() {
                return NetworkFault::Closed;
            }
            if error.is_parse() {
                return NetworkFault::NotHttp;
            }
        }
    }
    let kinds: BTreeSet<_> =
        links(error).filter_map(|link| link.downcast_ref::<io::Error>()).map(io::Error::kind).collect();
    for kind in kinds {
        match kind {
            io::ErrorKind::ConnectionRefused => return NetworkFault::Refused,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                return NetworkFault::Reset;
            }
            io::ErrorKind::UnexpectedEof => return NetworkFault::Closed,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => {
                return NetworkFault::Unreachable;
            }
            io::ErrorKind::TimedOut => {
                return NetworkFault::Timeout { wait: Wait::Connect, limit: Duration::ZERO };
            }
            _ => {}
        }
    }
    NetworkFault::Other
}

/// The chain of sources, through `io::Error` too, whose content is not its source.
fn links<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    fn next<'a>(link: &&'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
        let link: &'a (dyn Error + 'static) = *link;
        match link.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => link.source(),
        }
    }
    std::iter::successors(Some(error), next).take(MAX_DEPTH)
}

/// The innermost reason: the wrappers around it say what the fault says already.
fn root_cause(error: &(dyn Error + 'static)) -> Option<io::Error> {
    let root = links(error).last()?;
    let kind = root.downcast_ref::<io::Error>().map_or(io::ErrorKind::Other, io::Error::kind);
    Some(io::Error::new(kind, root.to_string()))
}

/// A fault that only the dialer knows.
#[derive(Debug)]
enum DialFault {
    Dns,
    Timeout,
    Proxy(String),
}

#[derive(Debug)]
struct DialError(DialFault, Option<BoxError>);

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            DialFault::Dns => "the name has no address",
            DialFault::Timeout => "not connected in time",
            DialFault::Proxy(_) => "only http proxies are supported",
        })
    }
}

impl Error for DialError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|source| source as _)
    }
}

/// The proxy for a URI. What is this machine is never behind one.
fn proxy_for(matcher: &Matcher, uri: &Uri) -> Option<hyper_util::client::proxy::matcher::Intercept> {
    if origin::is_loopback(uri.host()?) { None } else { matcher.intercept(uri) }
}

/// System DNS; names that mean this machine resolve without it.
#[derive(Clone)]
struct Resolver;

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = DialError;
    type Future = BoxFuture<Result<Self::Response, DialError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move { Ok(lookup(name.as_str()).await?.0.into_iter()) })
    }
}

/// The addresses of a name, and whether they are this machine's because DNS had none.
async fn lookup(name: &str) -> Result<(Vec<SocketAddr>, bool), DialError> {
    let asked = async {
        let found = tokio::net::lookup_host((name, 0)).await?;
        Ok::<_, io::Error>(found.collect::<Vec<_>>())
    };
    if origin::is_loopback_name(name) {
        let here = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        return Ok(match tokio::time::timeout(LOOPBACK_DNS_LIMIT, asked).await {
            Ok(Ok(found)) if !found.is_empty() => (found, false),
            _ => (here.map(|address| SocketAddr::new(address, 0)).to_vec(), true),
        });
    }
    let found = asked.await.map_err(|error| DialError(DialFault::Dns, Some(error.into())))?;
    if found.is_empty() {
        return Err(DialError(DialFault::Dns, None));
    }
    Ok((found, false))
}

/// TCP to the host or its proxy.
#[derive(Clone)]
struct Dial {
    tcp: HttpConnector<Resolver>,
    proxies: Arc<Matcher>,
}

impl Service<Uri> for Dial {
    type Response = Wire;
    type Error = BoxError;
    type Future = BoxFuture<Result<Wire, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let mut tcp = self.tcp.clone();
        let Some(proxy) = proxy_for(&self.proxies, &target) else {
            let connecting = tcp.call(target);
            return Box::pin(async move { Ok(Wire::new(connecting.await?, false)) });
        };
        let name = proxy
            .uri()
            .authority()
            .map(|authority| authority.as_str().rsplit('@').next().unwrap_or_default().to_owned());
        let name = name.unwrap_or_default();
        let failed = move |error: Option<BoxError>| Box::new(DialError(DialFault::Proxy(name), error)) as BoxError;
        if proxy.uri().scheme_str() != Some("http") {
            return Box::pin(async move { Err(failed(None)) });
        }
        if target.scheme_str() == Some("http") {
            let connecting = tcp.call(proxy.uri().clone());
            return Box::pin(async move {
                connecting.await.map(|io| Wire::new(io, true)).map_err(|error| failed(Some(error.into())))
            });
        }
        let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
        if let Some(authorization) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        let connecting = tunnel.call(target);
        Box::pin(async move {
            connecting.await.map(|io| Wire::new(io, false)).map_err(|error| failed(Some(Box::new(error))))
        })
    }
}

/// The dialer with TLS where the policy has it, under one limit for DNS, TCP, proxy and TLS.
#[derive(Clone)]
struct Dialer {
    dial: Dial,
    /// Absent under a plaintext policy, which then connects without TLS only.
    https: Option<HttpsConnector<Dial>>,
    limit: Duration,
}

impl Service<Uri> for Dialer {
    type Response = MaybeHttpsStream<Wire>;
    type Error = BoxError;
    type Future = BoxFuture<Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.dial.poll_ready(cx)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let connecting: Self::Future = match &mut self.https {
            Some(https) => https.call(target),
            None if target.scheme_str() == Some("http") => {
                let connecting = self.dial.call(target);
                Box::pin(async move { connecting.await.map(MaybeHttpsStream::Http) })
            }
            None => Box::pin(async { Err("TLS is switched off for this registry".into()) }),
        };
        let limit = self.limit;
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(result) => result,
                Err(_) => Err(Box::new(DialError(DialFault::Timeout, None)) as BoxError),
            }
        })
    }
}

/// A TCP connection on which a failing write does not hide an answer that has already arrived: the
/// write side then stays silent and the read side tells how it ends.
struct Wire {
    io: TokioIo<TcpStream>,
    proxied: bool,
    deaf: bool,
}

impl Wire {
    fn new(io: TokioIo<TcpStream>, proxied: bool) -> Self {
        Self { io, proxied, deaf: false }
    }

    fn written(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Err(error))
                if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) =>
            {
                self.deaf = true;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            other => other,
        }
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        self.io.connected().proxy(self.proxied)
    }
}

impl Read for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Pending;
        }
        let result = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.written(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Pending;
        }
        let result = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
