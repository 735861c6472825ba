//! Pools of connections, and which of them a request goes by.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Version;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::Call;
use super::admission::Home;
use super::body::SendBody;
use super::connect::{Dial, Dialer};
use super::fault::speaks_http2_alone;
use super::origin::Origin;
use crate::registry::blobs::hosts::BlobHosts;
use crate::registry::error::{NetworkFault, RegistryError};

/// The protocols offered in the handshake where any will do (ALPN).
pub(super) const ALL_PROTOCOLS: &[&str] = &["h2", "http/1.1"];
const HTTP1: &[&str] = &["http/1.1"];

/// By which connections a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pool {
    /// Kept ones, HTTP/2 where it is offered.
    Shared,
    /// HTTP/1.1, where the kept ones are HTTP/2.
    Http1,
    /// A new one.
    Fresh,
    /// To a host that the person named for blobs, by HTTP/1.1.
    Storage,
}

/// The connections to one registry and to where it leads, by what they are for.
pub(super) struct Pools {
    /// HTTP/2 where it is offered.
    shared: Client<Dialer, SendBody>,
    /// For the bytes of blobs, where `shared` speaks HTTP/2.
    http1: Client<Dialer, SendBody>,
    /// Keeps no connection.
    fresh: Client<Dialer, SendBody>,
    /// To the hosts that were named for blobs, and to no other.
    storage: Option<(BlobHosts, Client<Dialer, SendBody>)>,
    /// Whether a server answered by HTTP/2.
    multiplexes: AtomicBool,
    /// Whether it refused to speak anything else.
    http2_only: AtomicBool,
    /// Whether it asked for HTTP/1.1.
    wants_http1: AtomicBool,
    /// Whether a kept connection turned out to be closed when a blob was sent by it: the next had better have a new one.
    reused_was_closed: AtomicBool,
}

impl Pools {
    /// Returns pools without connections, which `dialer` makes; those to `blob_hosts` it makes wherever they are.
    pub(super) fn new(dialer: &Dialer, own: &Origin, blob_hosts: &BlobHosts) -> Self {
        let client = |protocols, kept| pooled(Dialer { protocols, ..dialer.clone() }, kept);
        let storage = (!blob_hosts.is_empty()).then(|| {
            let home = Home::with_blobs_at(own.clone(), blob_hosts.clone());
            let dial = Dial { home, peer: Arc::default(), ..dialer.dial.clone() };
            (blob_hosts.clone(), pooled(Dialer { dial, protocols: HTTP1, ..dialer.clone() }, usize::MAX))
        });
        Self {
            shared: client(ALL_PROTOCOLS, usize::MAX),
            http1: client(HTTP1, usize::MAX),
            fresh: client(ALL_PROTOCOLS, 0),
            storage,
            multiplexes: AtomicBool::new(false),
            http2_only: AtomicBool::new(false),
            wants_http1: AtomicBool::new(false),
            reused_was_closed: AtomicBool::new(false),
        }
    }

    /// Returns whether the person named that origin for blobs.
    pub(super) fn takes_blobs_at(&self, origin: &Origin) -> bool {
        self.storage.as_ref().is_some_and(|(hosts, _)| hosts.has(origin))
    }

    /// Returns the client that uses `pool`.
    pub(super) fn client(&self, pool: Pool) -> &Client<Dialer, SendBody> {
        match pool {
            Pool::Storage => self.storage.as_ref().map_or(&self.shared, |(_, client)| client),
            Pool::Shared => &self.shared,
            Pool::Http1 => &self.http1,
            Pool::Fresh => &self.fresh,
        }
    }

    /// Takes in the protocol of an answer.
    pub(super) fn saw(&self, version: Version) {
        if version == Version::HTTP_2 {
            self.multiplexes.store(true, Ordering::Relaxed);
        }
    }

    /// Returns the pool by which a request is tried first; `bulk` where it moves the bytes of a blob.
    pub(super) fn first(&self, call: &Call, bulk: bool) -> Pool {
        if !call.repeats() && self.reused_was_closed.swap(false, Ordering::Relaxed) {
            return Pool::Fresh;
        }
        let apart = bulk && self.multiplexes.load(Ordering::Relaxed) && !self.http2_only.load(Ordering::Relaxed);
        if apart || self.wants_http1.load(Ordering::Relaxed) { Pool::Http1 } else { Pool::Shared }
    }

    /// Returns the pool by which a request is tried again that failed by `pool`, and takes in what the failure shows of
    /// the server; `None` when the failure has nothing to do with the connection.
    pub(super) fn next(&self, call: &Call, pool: Pool, error: &RegistryError) -> Option<Pool> {
        let fault = match error {
            RegistryError::Network { fault, .. } => Some(fault),
            _ => None,
        };
        match (pool, fault) {
            (Pool::Storage, Some(NetworkFault::Stale)) => Some(Pool::Storage),
            (Pool::Storage, _) => None,
            (Pool::Http1, _) if speaks_http2_alone(error) => {
                self.http2_only.store(true, Ordering::Relaxed);
                Some(Pool::Shared)
            }
            (Pool::Shared | Pool::Fresh, Some(NetworkFault::Http11Required)) => {
                self.wants_http1.store(true, Ordering::Relaxed);
                call.repeats().then_some(Pool::Http1)
            }
            (_, Some(NetworkFault::Stale)) if call.repeats() => Some(Pool::Fresh),
            // The server processed nothing of the request, the bytes of a blob included.
            (_, Some(NetworkFault::Unprocessed)) => Some(Pool::Fresh),
            (_, Some(NetworkFault::Stale)) => {
                self.reused_was_closed.store(true, Ordering::Relaxed);
                None
            }
            _ => None,
        }
    }
}

/// Returns a client that keeps up to `kept` idle connections for each host.
fn pooled(dialer: Dialer, kept: usize) -> Client<Dialer, SendBody> {
    let alive = dialer.dial.stall / 3;
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(kept)
        .http2_keep_alive_interval(alive)
        .http2_keep_alive_timeout(alive)
        .build(dialer)
}
