//! The configuration of the most common push.

use super::{DEFAULT_JOBS, Destination, PushConfig};
use crate::registry::{BlobHosts, Limits, Proxies, RateLimits, RetryPolicy, Timeouts};
use crate::tls::TrustSources;

impl PushConfig {
    /// Returns the configuration of a push of a stored image to one destination, with every other setting at its
    /// default: no proxy, no files that outlive the process, and no wait after the push.
    #[must_use]
    pub fn new(image: String, destination: Destination) -> Self {
        Self {
            image,
            destinations: vec![destination],
            jobs: DEFAULT_JOBS,
            elsewhere: TrustSources::default(),
            blob_hosts: BlobHosts::default(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            rates: RateLimits::default(),
            proxies: Proxies::default(),
            retry: RetryPolicy::default(),
            state: None,
            verify: false,
            wait: None,
        }
    }
}
