//! A relay in front of anything, which breaks connections at a byte.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::record::PATIENCE;
use super::script::Break;
use super::wire::{Wire, gone};

/// Bytes that are passed on at a time.
const PIECE: usize = 64 << 10;

/// Which way the bytes go that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// A break: after so many bytes that way, counted over all connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The direction whose bytes count.
    pub way: Way,
    /// Bytes that pass before the break.
    pub after: u64,
    /// How the connection breaks.
    pub how: Break,
}

/// What a relay does to what passes.
#[derive(Debug, Clone, Default)]
pub struct Link {
    /// In the order of their bytes.
    pub cuts: Vec<Cut>,
    /// Resets again and again, after so many more bytes to the server.
    pub every: Option<u64>,
    /// Bytes a second to the server.
    pub rate: Option<u64>,
}

#[derive(Default)]
struct Counts {
    to_server: u64,
    to_client: u64,
    broken: u64,
    connections: u64,
}

struct Shared {
    upstream: SocketAddr,
    link: Mutex<Link>,
    counts: Mutex<Counts>,
    changed: Condvar,
    next_every: AtomicU64,
}

/// A running relay; ends when dropped.
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl FaultProxy {
    /// Starts a relay on a free port of loopback.
    pub fn start(upstream: SocketAddr, link: Link) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        listener.set_nonblocking(true).expect("set");
        let next_every = AtomicU64::new(link.every.unwrap_or(u64::MAX));
        let shared = Arc::new(Shared {
            upstream,
            link: Mutex::new(link),
            counts: Mutex::default(),
            changed: Condvar::new(),
            next_every,
        });
        let accepting = Arc::clone(&shared);
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&accepting).relay(Wire::new(stream)));
            }
        });
        Self { address, shared, runtime: Some(runtime) }
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Bytes that passed that way.
    pub fn passed(&self, way: Way) -> u64 {
        let counts = self.shared.counts.lock().expect("unpoisoned");
        match way {
            Way::ToServer => counts.to_server,
            Way::ToClient => counts.to_client,
        }
    }

    /// Connections that it broke.
    pub fn broken(&self) -> u64 {
        self.shared.counts.lock().expect("unpoisoned").broken
    }

    /// Connections that it took.
    pub fn connections(&self) -> u64 {
        self.shared.counts.lock().expect("unpoisoned").connections
    }

    /// From now on nothing is broken any more.
    pub fn heal(&self) {
        *self.shared.link.lock().expect("unpoisoned") = Link::default();
        self.shared.next_every.store(u64::MAX, Ordering::Relaxed);
    }

    /// Waits until so many bytes have passed that way.
    #[track_caller]
    pub fn wait_for(&self, way: Way, bytes: u64) {
        let deadline = Instant::now() + PATIENCE;
        let mut counts = self.shared.counts.lock().expect("unpoisoned");
        loop {
            let passed = if way == Way::ToServer { counts.to_server } else { counts.to_client };
            if passed >= bytes {
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "only {passed} of {bytes} bytes passed");
            counts = self.shared.changed.wait_timeout(counts, left).expect("unpoisoned").0;
        }
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    async fn relay(self: Arc<Self>, client: Wire) {
        self.counts.lock().expect("unpoisoned").connections += 1;
        let Ok(server) = TcpStream::connect(self.upstream).await else { return client.reset() };
        let server = Wire::new(server);
        let broken = Arc::new(Notify::new());
        let how: Arc<Mutex<Option<Break>>> = Arc::default();
        let ways = [(Way::ToServer, client.clone(), server.clone()), (Way::ToClient, server.clone(), client.clone())];
        let pumps = ways.map(|(way, from, to)| {
            let (shared, broken, how) = (Arc::clone(&self), Arc::clone(&broken), Arc::clone(&how));
            async move {
                if let Some(found) = shared.pump(way, from, to).await {
                    *how.lock().expect("unpoisoned") = Some(found);
                    broken.notify_one();
                }
            }
        });
        tokio::select! {
            () = async { futures_util::future::join_all(pumps).await; } => {}
            () = broken.notified() => {}
        }
        let how = how.lock().expect("unpoisoned").take();
        match how {
            Some(Break::Reset) => {
                client.reset();
                server.reset();
            }
            Some(Break::Stall) => gone(&client).await,
            Some(Break::Close) => {
                server.reset();
                client.finish().await;
            }
            None => {}
        }
    }

    /// Passes bytes one way; answers how that ended if by a cut.
    async fn pump(&self, way: Way, mut from: Wire, mut to: Wire) -> Option<Break> {
        let mut buffer = vec![0; PIECE];
        loop {
            let count = match from.read(&mut buffer).await {
                Ok(0) => {
                    // The other way may still have something to say.
                    to.half_close();
                    return None;
                }
                Ok(count) => count as u64,
                // What one side resets is reset on the other.
                Err(_) => return Some(Break::Reset),
            };
            let (pass, how) = self.next(way, count);
            let bytes = &buffer[..usize::try_from(pass).expect("a piece")];
            if to.write_all(bytes).await.is_err() {
                return Some(Break::Reset);
            }
            let rate = self.link.lock().expect("unpoisoned").rate.filter(|_| way == Way::ToServer);
            if let Some(rate) = rate {
                let nanos = pass.saturating_mul(1_000_000_000) / rate.max(1);
                tokio::time::sleep(Duration::from_nanos(nanos)).await;
            }
            if how.is_some() {
                self.counts.lock().expect("unpoisoned").broken += 1;
                return how;
            }
        }
    }

    /// How many of `count` bytes may pass, and what comes then.
    fn next(&self, way: Way, count: u64) -> (u64, Option<Break>) {
        let mut link = self.link.lock().expect("unpoisoned");
        let mut counts = self.counts.lock().expect("unpoisoned");
        let passed = if way == Way::ToServer { &mut counts.to_server } else { &mut counts.to_client };
        let mut pass = count;
        let mut how = None;
        if let Some(place) = link.cuts.iter().position(|cut| cut.way == way && *passed + count >= cut.after) {
            let cut = link.cuts.remove(place);
            pass = cut.after.saturating_sub(*passed).min(count);
            how = Some(cut.how);
        } else if let Some(every) = link.every.filter(|_| way == Way::ToServer) {
            let next = self.next_every.load(Ordering::Relaxed);
            if *passed + count >= next {
                pass = next.saturating_sub(*passed).min(count);
                how = Some(Break::Reset);
                self.next_every.store(next + every, Ordering::Relaxed);
            }
        }
        *passed += pass;
        self.changed.notify_all();
        (pass, how)
    }
}
