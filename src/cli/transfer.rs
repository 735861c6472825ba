//! Arguments about transfers: how patient they are.

use std::time::Duration;

use super::size::time;
use crate::registry::{RetryPolicy, Timeouts};

/// How patient a transfer is.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Transfer options")]
pub(super) struct TransferArgs {
    /// Times to try again without any progress between them
    #[arg(long, value_name = "N", default_value_t = RetryPolicy::default().attempts, value_parser = clap::value_parser!(u32).range(0..=100))]
    retry: u32,
    /// Longest wait before the first of them; it doubles with each, up to 30s [default: 500ms]
    #[arg(long, value_name = "TIME", value_parser = time)]
    retry_delay: Option<Duration>,
    /// Give a connection up on which no byte moved for so long, while there were some to move [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = time)]
    stall_timeout: Option<Duration>,
}

impl TransferArgs {
    /// When to try again.
    pub(super) fn retry(&self) -> RetryPolicy {
        let default = RetryPolicy::default();
        RetryPolicy { attempts: self.retry, delay: self.retry_delay.unwrap_or(default.delay), ..default }
    }

    /// The same limits with what is said here.
    pub(super) fn timeouts(&self, timeouts: Timeouts) -> Timeouts {
        Timeouts { stall: self.stall_timeout.unwrap_or(timeouts.stall), ..timeouts }
    }
}
