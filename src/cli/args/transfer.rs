//! Arguments about transfers: how patient and how fast they are, and who may look on.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::size::{bytes, time, time_or_zero};
use crate::cli::failure::{Failure, Kind};
use crate::cli::terminal::Ui;
use crate::cli::terminal::progress::Traced;
use crate::fs::create_private_file;
use crate::progress::Progress;
use crate::registry::{RateLimits, RetryPolicy, Timeouts};

/// How patient a transfer is.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Transfer options")]
pub(crate) struct TransferArgs {
    /// Times to try again without any progress between them
    #[arg(long, value_name = "N", default_value_t = RetryPolicy::default().attempts, value_parser = clap::value_parser!(u32).range(0..=100))]
    retry: u32,
    /// Longest wait before the first of them; it doubles with each, up to 30s [default: 500ms]
    #[arg(long, value_name = "TIME", value_parser = time)]
    retry_delay: Option<Duration>,
    /// Give a connection up on which no byte moved for so long, while there were some to move [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = time)]
    stall_timeout: Option<Duration>,
    /// Wait up to TIME for a registry that is away, 0 not at all [default: 2m, once it has answered]
    #[arg(long, value_name = "TIME", value_parser = time_or_zero)]
    wait_for_registry: Option<Duration>,
    /// Move no more than RATE bytes a second, either way, in all transfers together
    #[arg(long, value_name = "RATE", value_parser = bytes)]
    limit_rate: Option<u64>,
    /// Send no more than N requests a second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit_requests: Option<u32>,
    /// Write every HTTP exchange into FILE as a line of JSON, without secrets
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

impl TransferArgs {
    /// When to try again.
    pub(crate) fn retry(&self) -> RetryPolicy {
        let default = RetryPolicy::default();
        RetryPolicy {
            attempts: self.retry,
            delay: self.retry_delay.unwrap_or(default.delay),
            away: self.wait_for_registry,
            ..default
        }
    }

    /// How fast it may go.
    pub(crate) fn rates(&self) -> RateLimits {
        RateLimits { bytes: self.limit_rate, requests: self.limit_requests }
    }

    /// The listener, which also writes the trace if one is wanted.
    pub(crate) fn traced(&self, ui: &Ui, progress: Arc<dyn Progress>) -> Result<Arc<dyn Progress>, Failure> {
        let Some(path) = &self.trace else { return Ok(progress) };
        let path = ui.surroundings.absolute(path);
        // The file holds no secret, but the addresses of a user's pushes are private.
        let file = create_private_file(&path).map_err(|source| {
            Failure::new(Kind::Failed, format!("cannot write the trace `{}`: {source}", path.display()))
        })?;
        Ok(Arc::new(Traced::new(progress, file)))
    }

    /// Returns `timeouts` with the limits that these flags set.
    pub(crate) fn timeouts(&self, timeouts: Timeouts) -> Timeouts {
        Timeouts { stall: self.stall_timeout.unwrap_or(timeouts.stall), ..timeouts }
    }
}
