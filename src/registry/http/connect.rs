//! Connections: names to addresses, proxies, TLS, and a stream that still reads when it cannot write.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector, dns::Name};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::super::origin;
use super::refusal::{Noting, Refusals};

/// How long DNS may take for a name that is known to mean this machine.
const LOOPBACK_DNS_LIMIT: Duration = Duration::from_secs(2);

type BoxError = Box<dyn Error + Send + Sync>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A fault that only the dialer knows.
#[derive(Debug)]
pub(super) enum DialFault {
    Dns,
    Timeout,
    Proxy(String),
}

#[derive(Debug)]
pub(super) struct DialError(pub(super) DialFault, pub(super) Option<BoxError>);

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
pub(super) fn proxy_for(matcher: &Matcher, uri: &Uri) -> Option<hyper_util::client::proxy::matcher::Intercept> {
    if origin::is_loopback(uri.host()?) { None } else { matcher.intercept(uri) }
}

/// System DNS; names that mean this machine resolve without it.
#[derive(Clone)]
pub(super) struct Resolver;

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
pub(super) async fn lookup(name: &str) -> Result<(Vec<SocketAddr>, bool), DialError> {
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
pub(super) struct Dial {
    pub(super) tcp: HttpConnector<Resolver>,
    pub(super) proxies: Arc<Matcher>,
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
pub(super) struct Dialer {
    pub(super) dial: Dial,
    /// Absent under a plaintext policy, which then connects without TLS only.
    pub(super) https: Option<HttpsConnector<Dial>>,
    pub(super) limit: Duration,
    pub(super) dialing: Dialing,
    pub(super) refusals: Refusals,
}

/// How many connections are being made.
#[derive(Clone, Default)]
pub(super) struct Dialing(Arc<AtomicUsize>);

impl Dialing {
    /// Whether one is.
    pub(super) fn is_under_way(&self) -> bool {
        self.0.load(Ordering::Acquire) > 0
    }

    fn begin(&self) -> impl Drop + Send + 'static {
        struct End(Dialing);
        impl Drop for End {
            fn drop(&mut self) {
                self.0.0.fetch_sub(1, Ordering::AcqRel);
            }
        }
        self.0.fetch_add(1, Ordering::AcqRel);
        End(self.clone())
    }
}

impl Service<Uri> for Dialer {
    type Response = Noting;
    type Error = BoxError;
    type Future = BoxFuture<Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.dial.poll_ready(cx)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let connecting: BoxFuture<Result<MaybeHttpsStream<Wire>, BoxError>> = match &mut self.https {
            Some(https) => https.call(target),
            None if target.scheme_str() == Some("http") => {
                let connecting = self.dial.call(target);
                Box::pin(async move { connecting.await.map(MaybeHttpsStream::Http) })
            }
            None => Box::pin(async { Err("TLS is switched off for this registry".into()) }),
        };
        let limit = self.limit;
        let under_way = self.dialing.begin();
        let refusals = self.refusals.clone();
        Box::pin(async move {
            let _under_way = under_way;
            match tokio::time::timeout(limit, connecting).await {
                Ok(result) => result.map(|stream| Noting { stream, refusals }),
                Err(_) => Err(Box::new(DialError(DialFault::Timeout, None)) as BoxError),
            }
        })
    }
}

/// Whether a connection is still held by whoever drives it, and whether it was of use before.
#[derive(Debug, Clone, Default)]
pub(super) struct Life(Arc<Marks>);

#[derive(Debug, Default)]
struct Marks {
    over: AtomicBool,
    answered: AtomicBool,
}

impl Life {
    /// Nobody will read or write it any more.
    pub(super) fn is_over(&self) -> bool {
        self.0.over.load(Ordering::Acquire)
    }

    /// A request had its answer by it.
    pub(super) fn answer(&self) {
        self.0.answered.store(true, Ordering::Release);
    }

    /// Whether one had. The peer may then have closed it in the moment in which it was used again.
    pub(super) fn has_answered(&self) -> bool {
        self.0.answered.load(Ordering::Acquire)
    }
}

/// A TCP connection on which a failing write does not hide an answer that has already arrived: the
/// write side then stays silent and the read side tells how it ends.
pub(super) struct Wire {
    io: TokioIo<TcpStream>,
    proxied: bool,
    deaf: bool,
    life: Life,
}

impl Wire {
    fn new(io: TokioIo<TcpStream>, proxied: bool) -> Self {
        Self { io, proxied, deaf: false, life: Life::default() }
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
        self.io.connected().proxy(self.proxied).extra(self.life.clone())
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.life.0.over.store(true, Ordering::Release);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_dialing_is_counted() {
        let dialing = Dialing::default();
        assert!(!dialing.is_under_way());
        let (one, two) = (dialing.begin(), dialing.clone().begin());
        drop(one);
        assert!(dialing.is_under_way());
        drop(two);
        assert!(!dialing.is_under_way());
    }

    #[tokio::test]
    async fn a_connection_tells_when_it_is_let_go() {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let stream = TcpStream::connect(server.local_addr().expect("bound")).await.expect("connected");
        let wire = Wire::new(TokioIo::new(stream), false);
        let mut extras = http::Extensions::new();
        wire.connected().get_extras(&mut extras);
        let life = extras.get::<Life>().expect("every connection has one").clone();
        assert!(!life.is_over());
        drop(wire);
        assert!(life.is_over());
    }
}
