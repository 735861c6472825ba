//! Why a request got no answer.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::text;
use crate::tls::{CertificateFacts, Chosen, HandshakeFault};

/// Which wait was too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Name resolution, TCP and TLS together.
    Connect,
    /// The other side took or gave no byte of a body.
    Stall,
    /// The whole request was sent and no answer began.
    Answer,
    /// The body of an answer arrives, and too slowly.
    Slow,
}

/// Why a request did not get an answer.
#[derive(Debug, Clone)]
pub enum NetworkFault {
    /// The host's name has no address.
    Dns,
    /// Nothing listens there.
    Refused,
    /// There is no way to that address.
    Unreachable,
    /// The connection was cut.
    Reset,
    /// The connection was closed in the middle or before an answer.
    Closed,
    /// The connection was kept from an earlier request, and ended before a byte of this answer.
    Stale,
    /// No TLS connection.
    Tls {
        /// Why.
        fault: HandshakeFault,
        /// The certificates shown, the server's own first; empty when it came to none.
        chain: Vec<CertificateFacts>,
        /// What was chosen for the host, the system's roots apart.
        chosen: Vec<Chosen>,
    },
    /// Something took too long.
    Timeout {
        /// What.
        wait: Wait,
        /// The limit.
        limit: Duration,
    },
    /// The proxy cannot be reached, or did not pass the request on.
    Proxy {
        /// `host:port` of the proxy.
        proxy: String,
        /// The status it answered with, if it answered.
        answer: Option<StatusCode>,
    },
    /// The server ended a request by HTTP/2 before it looked at it (RFC 9113 section 8.7): it can be sent again.
    Unprocessed,
    /// The other side ended an HTTP/2 request, for the reason of that name (RFC 9113 section 7).
    Http2(String),
    /// The other side wants this request by HTTP/1.1.
    Http11Required,
    /// What answered does not speak HTTP.
    NotHttp,
    /// The answer has more headers, or longer ones, than are read.
    Verbose,
    /// Anything else, in the system's or a library's words; empty where there are none.
    Other(String),
}

impl fmt::Display for NetworkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = |f: &mut fmt::Formatter<'_>, what: &str, limit: &Duration| write!(f, "{what} for {limit:?}");
        match self {
            Self::Dns => f.write_str("the name does not resolve"),
            Self::Refused => f.write_str("connection refused"),
            Self::Unreachable => f.write_str("no route to it"),
            Self::Reset => f.write_str("the connection was cut"),
            Self::Closed => f.write_str("the connection was closed before the answer was complete"),
            Self::Stale => f.write_str("the connection, kept from an earlier request, was closed"),
            Self::Tls { fault, .. } => fault.fmt(f),
            Self::Timeout { wait: Wait::Connect, limit: time } => limit(f, "not connected", time),
            Self::Timeout { wait: Wait::Stall, limit: time } => limit(f, "no byte moved", time),
            Self::Timeout { wait: Wait::Answer, limit: time } => limit(f, "no answer", time),
            Self::Timeout { wait: Wait::Slow, limit: time } => {
                write!(f, "the answer arrives too slowly, and is not whole after {}", text::duration(*time))
            }
            Self::Http2(reason) => write!(f, "the server ended the HTTP/2 request ({reason})"),
            Self::Http11Required => f.write_str("the server takes this request by HTTP/1.1 only"),
            Self::Unprocessed => f.write_str("the server ended the HTTP/2 request before it looked at it"),
            Self::Proxy { proxy, answer: None } => write!(f, "the proxy {proxy} did not connect"),
            Self::Proxy { proxy, answer: Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED) } => {
                write!(f, "the proxy {proxy} wants to know who asks (407 Proxy Authentication Required)")
            }
            Self::Proxy { proxy, answer: Some(status) } => {
                write!(f, "the proxy {proxy} did not pass the request on ({status})")
            }
            Self::Verbose => f.write_str("the answer has more headers than are read"),
            Self::NotHttp => f.write_str("what answered does not speak HTTP"),
            Self::Other(text) if text.is_empty() => f.write_str("the connection failed"),
            Self::Other(text) => write!(f, "the connection failed ({text})"),
        }
    }
}
