//! The line of the access log for one request.

use std::net::SocketAddr;
use std::time::Duration;

/// One request, told when its answer is sent or given up. Query strings and headers are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLine {
    /// Who asked.
    pub peer: SocketAddr,
    /// The user whose password was right.
    pub user: Option<String>,
    /// The request's method.
    pub method: String,
    /// The request's path, cut to 300 bytes.
    pub path: String,
    /// The answer's status; `None` when the client left before there was one.
    pub status: Option<u16>,
    /// Bytes of the request's body that were received.
    pub received: u64,
    /// Bytes of the answer's body that were sent.
    pub sent: u64,
    /// From the request's head to the end of the answer.
    pub elapsed: Duration,
    /// What failed on our side, causes included.
    pub fault: Option<String>,
}
