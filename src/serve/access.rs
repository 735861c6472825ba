//! The line of the access log for one request.

use std::net::SocketAddr;
use std::time::Duration;

/// One request, logged when its answer is sent or abandoned. Query strings and headers are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLine {
    /// The client's address.
    pub peer: SocketAddr,
    /// The authenticated user.
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
    /// The time from the request's head to the end of the answer.
    pub elapsed: Duration,
    /// What failed in the server, with its causes.
    pub fault: Option<String>,
}
