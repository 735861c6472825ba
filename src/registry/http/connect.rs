//! Connections: names to addresses, proxies and TLS.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{StatusCode, Uri};
use hyper_rustls::{DefaultServerNameResolver, HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{HttpConnector, dns::Name};
use tower_service::Service;

use super::address::literal;
use super::admission::{Admitted, Home};
use super::alerts::{Noting, PeerAlerts};
use super::origin::{self, Origin};
use super::origin_tls::OriginTls;
use super::proxy::ProxyTable;
use super::tunnel::{self, TunnelError};
use super::wire::Wire;
use crate::tls;

/// How long DNS may take for a name that is known to mean this machine.
const LOOPBACK_DNS_LIMIT: Duration = Duration::from_secs(2);

type BoxError = Box<dyn Error + Send + Sync>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A fault that only the dialer knows.
#[derive(Debug)]
pub(super) enum DialFault {
    Dns,
    Timeout,
    Proxy {
        /// `host:port`.
        proxy: String,
        /// The status with which it refused.
        answer: Option<StatusCode>,
    },
    /// The registry led to an address that it must not lead to.
    Internal {
        to: Origin,
        address: IpAddr,
    },
}

#[derive(Debug)]
pub(super) struct DialError(pub(super) DialFault, pub(super) Option<BoxError>);

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            DialFault::Dns => "the name has no address",
            DialFault::Timeout => "not connected in time",
            DialFault::Proxy { .. } => "the proxy did not connect",
            DialFault::Internal { .. } => "the address is an internal one",
        })
    }
}

impl Error for DialError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|source| source as _)
    }
}

/// System DNS, of which only admitted addresses are used; names that mean this machine resolve without it.
#[derive(Clone)]
struct Resolver {
    admitted: Admitted,
    target: Origin,
}

impl Resolver {
    /// Returns the addresses that may be connected to; an error when there are only others.
    fn judge(&self, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, DialError> {
        let first = found.first().map(SocketAddr::ip);
        let admitted: Vec<_> = found.into_iter().filter(|address| self.admitted.has(address.ip())).collect();
        match first {
            Some(address) if admitted.is_empty() => Err(internal(&self.target, address)),
            _ => Ok(admitted),
        }
    }
}

fn internal(to: &Origin, address: IpAddr) -> DialError {
    DialError(DialFault::Internal { to: to.clone(), address }, None)
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = DialError;
    type Future = BoxFuture<Result<Self::Response, DialError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = self.clone();
        Box::pin(async move { Ok(resolver.judge(lookup(name.as_str()).await?.0)?.into_iter()) })
    }
}

/// Returns the addresses of a name, and whether they are this machine's because DNS had none.
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
    pub(super) proxies: Arc<ProxyTable>,
    pub(super) home: Home,
    /// Bytes that left us and that no machine acknowledges for so long end the connection.
    pub(super) stall: Duration,
    /// Who was connected to, where that was not a proxy.
    pub(super) peer: Arc<OnceLock<IpAddr>>,
}

impl Dial {
    fn tcp(&self, admitted: Admitted, target: &Origin) -> HttpConnector<Resolver> {
        let mut tcp = HttpConnector::new_with_resolver(Resolver { admitted, target: target.clone() });
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        // Bytes that no machine acknowledges are a stall too, even if they were the last ones and a registry may take
        // its time to answer.
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(self.stall));
        tcp
    }
}

impl Service<Uri> for Dial {
    type Response = Wire;
    type Error = BoxError;
    type Future = BoxFuture<Result<Wire, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let Some(origin) = Origin::of(&target) else {
            return Box::pin(async { Err("not an http address".into()) });
        };
        let admitted = self.home.admitted(&origin);
        // A host that is an address is not looked up, and a proxy would not ask us where it is.
        if let Some(address) = literal(origin.host()).filter(|address| !admitted.has(*address)) {
            return Box::pin(async move { Err(Box::new(internal(&origin, address)) as BoxError) });
        }
        // The address of a proxy that cannot be used was refused before.
        let Ok(Some(proxy)) = self.proxies.route(&target) else {
            let connecting = self.tcp(admitted, &origin).call(target);
            let peer = Arc::clone(&self.peer);
            return Box::pin(async move {
                let io = connecting.await?;
                if let Ok(address) = io.inner().peer_addr() {
                    let _ = peer.set(address.ip());
                }
                Ok(Wire::new(io, false))
            });
        };
        let (proxy, connecting) = (proxy.clone(), self.tcp(Admitted::Any, &origin).call(proxy.uri.clone()));
        Box::pin(async move {
            let name = proxy.name();
            let failed = |answer, error: BoxError| {
                Box::new(DialError(DialFault::Proxy { proxy: name.clone(), answer }, Some(error))) as BoxError
            };
            let io = connecting.await.map_err(|error| failed(None, error.into()))?;
            if target.scheme_str() == Some("http") {
                return Ok(Wire::new(io, true));
            }
            match tunnel::open(io, &target, proxy.authorization).await {
                Ok(io) => Ok(Wire::new(io, false)),
                Err(error) => {
                    let answer = if let TunnelError::Refused(status) = error { Some(status) } else { None };
                    Err(failed(answer, error.into()))
                }
            }
        })
    }
}

/// The dialer with TLS by the target's policy, under one limit for DNS, TCP, proxy and TLS.
#[derive(Clone)]
pub(super) struct Dialer {
    pub(super) dial: Dial,
    pub(super) tls: OriginTls,
    /// What is offered in the handshake, the preferred first (ALPN).
    pub(super) protocols: &'static [&'static str],
    pub(super) limit: Duration,
    pub(super) dialing: Dialing,
    pub(super) alerts: PeerAlerts,
}

impl Dialer {
    async fn connect(self, target: Uri) -> Result<MaybeHttpsStream<Wire>, BoxError> {
        let Some(origin) = Origin::of(&target) else { return Err("not an http address".into()) };
        let mut dial = Dial { peer: Arc::default(), ..self.dial.clone() };
        let peer = Arc::clone(&dial.peer);
        let stream = if origin.is_https() {
            let Some(tls) = self.tls.of(&origin).await? else {
                return Err("TLS is switched off for this registry".into());
            };
            let mut config = tls::ClientConfig::clone(&tls.config);
            config.alpn_protocols = self.protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
            let config = Arc::new(config);
            let connect = || {
                let names = Arc::new(DefaultServerNameResolver::default());
                HttpsConnector::new(dial.clone(), Arc::clone(&config), true, names).call(target.clone())
            };
            tls.before_handshake().await;
            match connect().await {
                Ok(stream) => stream,
                Err(_) if tls.wanted_roots().await => connect().await?,
                Err(error) => return Err(error),
            }
        } else {
            MaybeHttpsStream::Http(dial.call(target).await?)
        };
        if let Some(peer) = peer.get() {
            self.dial.home.met(&origin, *peer);
        }
        Ok(stream)
    }
}

/// How many connections are being made.
#[derive(Clone, Default)]
pub(super) struct Dialing(Arc<AtomicUsize>);

impl Dialing {
    /// Returns whether one is.
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

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let (limit, alerts, under_way) = (self.limit, self.alerts.clone(), self.dialing.begin());
        let connecting = self.clone().connect(target);
        Box::pin(async move {
            let _under_way = under_way;
            match tokio::time::timeout(limit, connecting).await {
                Ok(result) => result.map(|stream| Noting { stream, alerts }),
                Err(_) => Err(Box::new(DialError(DialFault::Timeout, None)) as BoxError),
            }
        })
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
}
