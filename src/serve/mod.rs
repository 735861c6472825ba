//! The embedded registry: the image store over the distribution API 1.1, HTTP/1.1, TLS when asked.
//!
//! ```text
//! server     binds, accepts, stops
//! http       connections to requests, answers to connections (with body the only file that names the HTTP crates)
//! body       a request's body, at a minimum rate
//! registry   authentication, and dispatch to the endpoints
//! manifests, blobs, uploads    the endpoints, over the store
//! sessions   uploads between requests      names   entries of the store as repositories and tags
//! connections   the limit on connections      pace   the minimum rate of a client
//! framing, route, query, range, login, htpasswd     pure parsers with limits
//! ```
//!
//! Disk access runs on the blocking thread pool. Memory is bounded by the number of connections times the buffer of
//! one, whatever the size of a blob. Two endpoints are not offered: deleting single blobs (405), and the referrers API
//! (404, so that clients use its tag scheme).

mod access;
mod blobs;
mod body;
mod certificate;
mod connections;
mod error_response;
mod framing;
mod htpasswd;
mod http;
mod limits;
mod login;
mod manifests;
mod names;
mod pace;
mod query;
mod range;
mod registry;
mod reply;
mod route;
mod server;
mod sessions;
mod stream;
mod uploads;

pub use access::AccessLine;
pub use certificate::CertificateError;
pub use htpasswd::{HashKind, HtpasswdError};
pub use limits::Limits;
pub use server::{ServeConfig, ServeError, ServeTls, Server};
