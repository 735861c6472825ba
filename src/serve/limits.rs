//! Limits on what clients may use of the server.

use std::time::Duration;

/// Manifests of up to this many bytes need no permit for their memory.
pub(super) const SMALL_DOCUMENT: u64 = 64 << 10;

/// The server's limits. The defaults suit a developer's machine.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once; when all are in use, the longest idle one makes room.
    pub connections: usize,
    /// Bytes of a request's head, the request line included.
    pub head_bytes: usize,
    /// How long a request's head, the wait for the next request, or a TLS handshake may take.
    pub head_time: Duration,
    /// How long a client may take to send or accept `least` bytes of a body.
    pub idle: Duration,
    /// The bytes for which a client has `idle`.
    pub least: u64,
    /// Manifests of more than 64 KiB in memory at once.
    pub documents: usize,
    /// How long a manifest may take to arrive, including a large one's wait for its permit.
    pub document_time: Duration,
    /// Upload sessions open at once; the one that was idle longest makes room.
    pub sessions: usize,
    /// How long an upload session must be idle before it makes room for another.
    pub session_spared: Duration,
    /// How long an upload session is kept without receiving a byte.
    pub session_idle: Duration,
    /// Entries of one page of a list.
    pub page: usize,
    /// How long requests in flight may continue after the server is asked to stop.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            head_bytes: 64 << 10,
            head_time: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            least: 32 << 10,
            documents: 8,
            document_time: Duration::from_mins(1),
            sessions: 256,
            session_spared: Duration::from_mins(1),
            session_idle: Duration::from_hours(1),
            page: 1000,
            grace: Duration::from_secs(5),
        }
    }
}
