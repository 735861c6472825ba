//! How a registry client goes on after faults, as a value.

use std::path::PathBuf;
use std::sync::Arc;

use super::clock::{Clock, SystemClock};
use super::policy::RetryPolicy;
use crate::progress::{Progress, Silent};

/// How to go on after faults.
#[derive(Clone)]
pub struct RetryContext {
    /// When to try again.
    pub policy: RetryPolicy,
    /// The directory for files that outlive the process; without one, everything is forgotten at its end.
    pub state: Option<PathBuf>,
    /// The listener of reports.
    pub progress: Arc<dyn Progress>,
    /// Measures the waits before further attempts.
    pub clock: Arc<dyn Clock>,
}

impl Default for RetryContext {
    /// Tries nothing again, keeps nothing, and reports to no listener.
    fn default() -> Self {
        Self { policy: RetryPolicy::NEVER, state: None, progress: Arc::new(Silent), clock: Arc::new(SystemClock) }
    }
}

impl From<RetryPolicy> for RetryContext {
    /// Tries again as `policy` says, keeps nothing, and reports to no listener.
    fn from(policy: RetryPolicy) -> Self {
        Self { policy, ..Self::default() }
    }
}

impl std::fmt::Debug for RetryContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RetryContext").field("policy", &self.policy).field("state", &self.state).finish_non_exhaustive()
    }
}
