//! A connection that stops in the middle: a relay that passes so many bytes on and then none.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that may still pass, over all connections.
#[derive(Debug)]
pub(crate) struct Relay {
    address: SocketAddr,
    passed: Arc<AtomicU64>,
    limit: Arc<AtomicU64>,
}

/// Which way the bytes go that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

impl Relay {
    /// Begins to relay to `upstream`; after `limit` bytes one way, nothing passes any more that way.
    pub(crate) fn start(upstream: SocketAddr, way: Way, limit: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let passed = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&passed);
        let limit = Arc::new(AtomicU64::new(limit));
        let limited = Arc::clone(&limit);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(upstream)) else { break };
                let unlimited = Arc::new(AtomicU64::new(0));
                for (from, to, this) in [(&client, &server, Way::ToServer), (&server, &client, Way::ToClient)] {
                    let from = from.try_clone().expect("another handle");
                    let to = to.try_clone().expect("another handle");
                    let no_limit = Arc::new(AtomicU64::new(u64::MAX));
                    let (counter, limit) = if this == way {
                        (Arc::clone(&counter), Arc::clone(&limited))
                    } else {
                        (Arc::clone(&unlimited), no_limit)
                    };
                    std::thread::spawn(move || relay(from, to, &counter, &limit));
                }
            }
        });
        Self { address, passed, limit }
    }

    /// `127.0.0.1:port`.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// From now on everything passes on new connections.
    pub(crate) fn open(&self) {
        self.limit.store(u64::MAX, Ordering::Relaxed);
    }

    /// Bytes that passed the counted way.
    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }
}

fn relay(mut from: TcpStream, mut to: TcpStream, passed: &AtomicU64, limit: &AtomicU64) {
    let mut buffer = [0; 16 << 10];
    // No connection loses bytes in its middle, so what has swallowed once passes nothing more.
    let mut is_cut = false;
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 {
            break;
        }
        is_cut |= passed.load(Ordering::Relaxed) >= limit.load(Ordering::Relaxed);
        if is_cut {
            // Swallowed: the sender believes that all is well, the receiver waits.
            continue;
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
        passed.fetch_add(count as u64, Ordering::Relaxed);
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}
