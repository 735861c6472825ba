//! Connections: HTTP requests are parsed, given to the registry, and its answers are sent.
//!
//! Only this file and `body` name the HTTP library.

use std::convert::Infallible;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderName, HeaderValue};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::access::AccessLine;
use super::body::Body;
use super::connections::{Busy, Place};
use super::error_response::ErrorResponse;
use super::framing;
use super::limits::Limits;
use super::pace::MinimumRate;
use super::query::Query;
use super::registry::{Registry, Request};
use super::reply::{Content, Reply};
use super::stream::Patient;

/// The callback that receives a line for each request.
pub(super) type Log = Arc<dyn Fn(&AccessLine) + Send + Sync>;

/// How much of a file is in memory for one download.
const READ_BYTES: usize = 128 << 10;

/// What one connection holds of a request's body at most.
const BUFFER_BYTES: usize = 256 << 10;

/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// The answer to a client that speaks HTTP on an HTTPS port. It is sent before an HTTP connection exists.
const SPEAK_TLS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 22\r\nconnection: close\r\n\r\nthis port speaks HTTPS";

/// Headers of one request.
const MAX_HEADERS: usize = 100;

/// Bytes of a path in the log.
const MAX_LOGGED_PATH: usize = 300;

const API_VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("docker-distribution-api-version"), HeaderValue::from_static("registry/2.0"));

/// The state that all connections share.
pub(super) struct Connections {
    registry: Arc<Registry>,
    tls: Option<TlsAcceptor>,
    log: Log,
    limits: Limits,
}

impl Connections {
    pub(super) fn new(registry: Arc<Registry>, tls: Option<Arc<ServerConfig>>, log: Log, limits: Limits) -> Self {
        Self { registry, tls: tls.map(TlsAcceptor::from), log, limits }
    }

    /// Serves one connection to its end, or until it has to make room for another.
    pub(super) async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, place: Place, stop: Watcher) {
        let place = Arc::new(place);
        tokio::select! {
            () = self.converse(stream, peer, &place, stop) => {}
            () = place.must_leave() => {}
        }
    }

    fn patient(&self, stream: TcpStream, place: &Place) -> Patient<TcpStream> {
        Patient::new(stream, self.limits.idle, self.limits.least, place.writing())
    }

    async fn converse(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, place: &Arc<Place>, stop: Watcher) {
        // Answers are written in one piece, so Nagle's algorithm would only delay them.
        let _ = stream.set_nodelay(true);
        let Some(tls) = self.tls.clone() else {
            let stream = self.patient(stream, place);
            return self.speak(stream, peer, place, stop).await;
        };
        let handshake = async {
            let mut first = [0];
            let plain = stream.peek(&mut first).await? > 0 && first[0] != TLS_HANDSHAKE;
            let mut stream = self.patient(stream, place);
            if plain {
                stream.write_all(SPEAK_TLS).await?;
                stream.shutdown().await?;
                return Err(io::ErrorKind::InvalidData.into());
            }
            tls.accept(stream).await
        };
        // A failed handshake is left to the client to report: it knows which server it meant.
        if let Ok(Ok(stream)) = tokio::time::timeout(self.limits.head_time, handshake).await {
            Arc::clone(&self).speak(stream, peer, place, stop).await;
        }
    }

    async fn speak<S>(self: Arc<Self>, stream: S, peer: SocketAddr, place: &Arc<Place>, stop: Watcher)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
    {
        let this = &self;
        let service = service_fn(move |request| {
            let (this, place) = (Arc::clone(this), Arc::clone(place));
            async move {
                let Some(busy) = place.begin() else {
                    // The connection is about to be dropped: the client repeats the request on another.
                    return std::future::pending().await;
                };
                Ok::<_, Infallible>(this.respond(request, peer, busy).await)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_time)
            .max_header_size(self.limits.head_bytes)
            .max_buf_size(self.limits.head_bytes.max(BUFFER_BYTES))
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(stream), service);
        // Errors here mean that the client left or does not speak HTTP.
        let _ = stop.watch(connection).await;
    }

    async fn respond(
        &self,
        request: http::Request<Incoming>,
        peer: SocketAddr,
        busy: Busy,
    ) -> http::Response<Outgoing> {
        let (head, incoming) = request.into_parts();
        let received = Arc::new(AtomicU64::new(0));
        let path = head.uri.path().to_owned();
        let account = Account::new(Arc::clone(&self.log), peer, head.method.as_str(), &path, &received, busy);
        if let Err(refusal) = framing::check(&head.method, &head.uri, head.version, &head.headers) {
            return response(
                Reply::from(refusal).with(http::header::CONNECTION, HeaderValue::from_static("close")),
                account,
            );
        }
        let request = Request {
            query: Query::parse(head.uri.query()),
            path,
            authority: head.uri.authority().map(ToString::to_string),
            method: head.method,
            headers: head.headers,
            body: Body { incoming, pace: MinimumRate::new(self.limits.idle, self.limits.least), received },
        };
        // A separate task, so that a client that disconnects cannot cancel it between taking an
        // upload's file and putting it back, and so that a panic costs one request.
        let reply = tokio::spawn(Arc::clone(&self.registry).answer(request)).await;
        let reply: Reply = reply.unwrap_or_else(|error| ErrorResponse::fault(&error).into());
        response(reply, account)
    }
}

fn response(reply: Reply, mut account: Account) -> http::Response<Outgoing> {
    account.line.status = Some(reply.status.as_u16());
    account.line.user = reply.user;
    account.line.fault = reply.fault;
    let mut response = http::Response::new(Outgoing::new(reply.content, account));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    response.headers_mut().insert(API_VERSION.0, API_VERSION.1);
    response
}

/// Asks all connections to finish their current request.
pub(super) struct Stop(GracefulShutdown);

impl Stop {
    pub(super) fn new() -> Self {
        Self(GracefulShutdown::new())
    }

    pub(super) fn watcher(&self) -> Watcher {
        self.0.watcher()
    }

    /// Waits until all connections have finished.
    pub(super) async fn finish(self) {
        self.0.shutdown().await;
    }
}

/// A request's line of the access log, written when the answer is sent or abandoned.
struct Account {
    line: AccessLine,
    started: Instant,
    received: Arc<AtomicU64>,
    log: Log,
    _busy: Busy,
}

impl Account {
    fn new(log: Log, peer: SocketAddr, method: &str, path: &str, received: &Arc<AtomicU64>, busy: Busy) -> Self {
        let line = AccessLine {
            peer,
            user: None,
            method: method.chars().take(20).collect(),
            path: path.chars().take(MAX_LOGGED_PATH).collect(),
            status: None,
            received: 0,
            sent: 0,
            elapsed: Duration::ZERO,
            fault: None,
        };
        Self { line, started: Instant::now(), received: Arc::clone(received), log, _busy: busy }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.line.received = self.received.load(Ordering::Relaxed);
        self.line.elapsed = self.started.elapsed();
        (self.log)(&self.line);
    }
}

type Chunks = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// The body of an answer on its way.
struct Outgoing {
    content: OutgoingContent,
    /// Bytes still to come.
    left: u64,
    account: Account,
}

enum OutgoingContent {
    Bytes(Bytes),
    File(Chunks),
}

impl Outgoing {
    fn new(content: Content, account: Account) -> Self {
        let (content, left) = match content {
            Content::Empty => (OutgoingContent::Bytes(Bytes::new()), 0),
            Content::Bytes(bytes) => {
                let left = bytes.len() as u64;
                (OutgoingContent::Bytes(bytes.into()), left)
            }
            Content::File { file, length } => (OutgoingContent::File(chunks(file, length)), length),
        };
        Self { content, left, account }
    }
}

/// Returns `length` bytes of a file as a stream, read piece by piece on the blocking thread pool.
fn chunks(file: std::fs::File, length: u64) -> Chunks {
    let pieces = stream::unfold(Some((file, length)), |state| async move {
        let (mut file, left) = state.filter(|(_, left)| *left > 0)?;
        let read = tokio::task::spawn_blocking(move || {
            let want = usize::try_from(left).unwrap_or(READ_BYTES).min(READ_BYTES);
            let mut buffer = vec![0; want];
            file.read_exact(&mut buffer)?;
            Ok((file, Bytes::from(buffer)))
        });
        match read.await.map_err(io::Error::other).flatten() {
            Ok((file, bytes)) => {
                let left = left - bytes.len() as u64;
                Some((Ok(bytes), Some((file, left))))
            }
            Err(error) => Some((Err(error), None)),
        }
    });
    pieces.boxed()
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        let next = match &mut this.content {
            OutgoingContent::Bytes(bytes) if bytes.is_empty() => None,
            OutgoingContent::Bytes(bytes) => Some(Ok(std::mem::take(bytes))),
            OutgoingContent::File(chunks) => match chunks.as_mut().poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(next) => next,
            },
        };
        Poll::Ready(next.map(|piece| match piece {
            Ok(bytes) => {
                this.left = this.left.saturating_sub(bytes.len() as u64);
                this.account.line.sent += bytes.len() as u64;
                Ok(Frame::data(bytes))
            }
            Err(error) => {
                this.account.line.fault = Some(error.to_string());
                Err(error)
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
