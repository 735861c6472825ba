//! What a registry saw: every exchange, as facts to assert on.

use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use super::script::Op;

/// How long a test waits for something that has to come.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Which of a laboratory's origins was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Site {
    /// The registry itself.
    Registry,
    /// Another origin, where a `Location` or a realm may lead.
    Elsewhere,
}

/// One request and what came of it.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The origin that received the request.
    pub site: Site,
    /// Counts the connections of the laboratory.
    pub connection: u64,
    /// Counts the certificates: which one the connection was made with.
    pub certificate: u64,
    /// What the request asked for.
    pub op: Op,
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The session, if the request was about one.
    pub session: Option<String>,
    /// The session's count of bytes before the request.
    pub offset: u64,
    /// Bytes of the body taken.
    pub received: u64,
    /// The status; none when no answer was given.
    pub status: Option<u16>,
    /// The fault it met.
    pub fault: Option<String>,
    /// Bytes of other requests that were lost with it.
    pub lost: u64,
    /// When it came.
    pub at: Instant,
}

impl Exchange {
    /// Returns a request header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Bytes that the request announced.
    pub fn announced(&self) -> u64 {
        self.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Operation and status, and the range of a body: `Patch 0-65535 202`.
    pub fn line(&self) -> String {
        let range = self.header("content-range").map(|range| format!(" {range}")).unwrap_or_default();
        let status = self.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
        format!("{:?}{range} {status}", self.op)
    }
}

/// The record of a laboratory.
#[derive(Debug, Default)]
pub struct Record {
    exchanges: Mutex<Vec<Exchange>>,
    changed: Condvar,
}

impl Record {
    /// Notes a request when its head is there; answers its place.
    pub fn begin(&self, exchange: Exchange) -> usize {
        let mut exchanges = self.exchanges.lock().expect("unpoisoned");
        exchanges.push(exchange);
        self.changed.notify_all();
        exchanges.len() - 1
    }

    /// Changes the exchange with that number.
    pub fn update(&self, place: usize, change: impl FnOnce(&mut Exchange)) {
        change(&mut self.exchanges.lock().expect("unpoisoned")[place]);
        self.changed.notify_all();
    }

    /// Returns every exchange so far.
    pub fn all(&self) -> Vec<Exchange> {
        self.exchanges.lock().expect("unpoisoned").clone()
    }

    /// Waits until the exchanges are as wanted.
    #[track_caller]
    pub fn wait_until(&self, what: &str, wanted: impl Fn(&[Exchange]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut exchanges = self.exchanges.lock().expect("unpoisoned");
        while !wanted(&exchanges) {
            let left = deadline.saturating_duration_since(Instant::now());
            let lines = || exchanges.iter().map(Exchange::line).collect::<Vec<_>>().join("\n");
            assert!(!left.is_zero(), "{what} did not come; seen:\n{}", lines());
            exchanges = self.changed.wait_timeout(exchanges, left).expect("unpoisoned").0;
        }
    }
}

/// Bytes of bodies that carry blobs.
pub fn blob_bytes(exchanges: &[Exchange]) -> u64 {
    exchanges.iter().filter(|exchange| carries_blobs(exchange.op)).map(|exchange| exchange.received).sum()
}

/// Whether bodies of such requests are blobs.
pub fn carries_blobs(op: Op) -> bool {
    matches!(op, Op::Open | Op::Patch | Op::Commit)
}
