//! What clients may use of the server.

use std::time::Duration;

/// Bounds of the server. The defaults suit a developer's machine.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections served at once; others wait to be accepted.
    pub connections: usize,
    /// Bytes of a request's head, the request line included.
    pub head_bytes: usize,
    /// How long a request's head, the wait for the next request, or a TLS handshake may take.
    pub head_time: Duration,
    /// How long a body may pause, in either direction.
    pub idle: Duration,
    /// Upload sessions open at once.
    pub sessions: usize,
    /// How long an upload session is kept without a byte.
    pub session_idle: Duration,
    /// Entries of one page of a list.
    pub page: usize,
    /// How long requests in flight may go on after the server was told to stop.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            head_bytes: 64 << 10,
            head_time: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            sessions: 256,
            session_idle: Duration::from_hours(1),
            page: 1000,
            grace: Duration::from_secs(5),
        }
    }
}
