//! The registry client and the push and pull built on it: against Debian's docker-registry, and
//! against a server that misbehaves as told.

mod auth;
mod docker;
mod encodings;
mod example;
mod faults;
mod heads;
mod http2;
mod plan;
mod probe;
mod proof;
mod proxies;
mod redirects;
mod referrers;
mod retries;
mod tls;

use testkit::{docker_registry, fixture, scripted};
