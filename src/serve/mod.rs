//! The embedded registry: the image store over the distribution API 1.1, HTTP/1.1, TLS when asked.
//!
//! ```text
//! server     binds, accepts, stops
//! http       connections to requests, answers to connections; the only file that names the HTTP crates
//! registry   who may ask, and which endpoint is meant
//! manifests, blobs, uploads    the endpoints, over the store
//! sessions   uploads between requests      names   entries of the store as repositories and tags
//! connections   whose place a new client gets      pace   how slow a client may be
//! framing, route, query, range, login, htpasswd     pure: what clients and files say, parsed and bounded
//! ```
//!
//! Whatever waits for the disk runs on threads made for waiting. Memory is bounded by connections
//! times what one may hold, whatever the size of a blob. Not offered, and said so in the protocol's
//! own words: deleting single blobs (405) and the referrers API (404, so clients use its tag scheme).

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
