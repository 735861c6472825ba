//! The configuration of the client of one registry, as plain data.

use std::time::Duration;

use super::blobs::hosts::BlobHosts;
use super::retry::context::RetryContext;
use super::retry::rates::RateLimits;
use super::upload::Limits;
use crate::credentials::Credential;
use crate::progress::Interrupt;
use crate::tls::{TlsPolicy, TrustSources};

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection: name resolution, TCP and TLS.
    pub connect: Duration,
    /// For the answer to a commit, once it is sent: some registries take minutes to store a large blob. Any other
    /// answer has a minute at most.
    pub answer: Duration,
    /// For the next byte of a body, in either direction.
    pub stall: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(15), answer: Duration::from_mins(10), stall: Duration::from_mins(1) }
    }
}

/// Proxies by the values of the usual variables. What means this machine is never behind one.
#[derive(Clone, Default)]
pub struct Proxies {
    /// `HTTP_PROXY`.
    pub http: Option<String>,
    /// `HTTPS_PROXY`.
    pub https: Option<String>,
    /// `NO_PROXY`, read as `registry/http/proxy` says.
    pub no: Option<String>,
}

/// Proxy URLs may hold passwords; only what is set is shown.
impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxies")
            .field("http", &self.http.is_some())
            .field("https", &self.https.is_some())
            .field("no", &self.no)
            .finish()
    }
}

/// The configuration of the client of one registry, as plain data.
#[derive(Debug, Clone)]
pub struct RegistryConfig {
    /// `host` or `host:port`.
    pub host: String,
    /// How its connections are protected.
    pub policy: TlsPolicy,
    /// How connections to other origins are protected, to which it leads.
    pub elsewhere: TrustSources,
    /// Who we are to it.
    pub credential: Option<Credential>,
    /// Proxies between here and the registry.
    pub proxies: Proxies,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Size limits of upload requests, to begin with.
    pub limits: Limits,
    /// How fast bytes and requests may go.
    pub rates: RateLimits,
    /// Hosts to which requests for blobs may go without TLS and at internal addresses.
    pub blob_hosts: BlobHosts,
    /// How to go on after faults.
    pub retry: RetryContext,
    /// Ends all requests when requested.
    pub interrupt: Interrupt,
}

impl RegistryConfig {
    /// Returns the configuration for the registry at `host` with nothing but its protection chosen: no credential, no
    /// proxies, no rate limits, and no further attempts.
    pub fn new(host: impl Into<String>, policy: TlsPolicy, elsewhere: TrustSources) -> Self {
        Self {
            host: host.into(),
            policy,
            elsewhere,
            credential: None,
            proxies: Proxies::default(),
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            rates: RateLimits::default(),
            blob_hosts: BlobHosts::default(),
            retry: RetryContext::default(),
            interrupt: Interrupt::default(),
        }
    }
}
