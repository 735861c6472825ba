//! The embedded registry from outside: every endpoint and refusal over raw HTTP, and real clients.
//!
//! Each test starts its own server on a free loopback port over its own store. Clients that are
//! missing fail a test; bin/test installs them and runs the ignored tests, too.

mod access;
mod blobs;
mod clients;
mod framing;
mod lifecycle;
mod lists;
mod manifests;
mod strangers;
mod support;
mod uploads;
