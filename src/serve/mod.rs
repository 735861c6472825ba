//! The embedded registry: the image store over the distribution API 1.1.

mod htpasswd;
mod login;
mod query;
mod range;
mod refusal;
mod route;

pub use htpasswd::{HashKind, HtpasswdError};
