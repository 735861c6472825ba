//! Requests that are given up: bodies nobody waits for, waits that take too long.

use std::sync::Arc;

use tokio::time::Instant;

use super::super::Timeouts;
use super::super::body::Sending;
use super::super::error::Wait;

/// Stops the sending of a body when its request has ended, so that the connection is not kept.
pub(super) struct Abandon(pub(super) Option<Arc<Sending>>);

impl Drop for Abandon {
    fn drop(&mut self) {
        if let Some(sending) = &self.0 {
            sending.abandon();
        }
    }
}

/// Notices when neither bytes nor an answer move.
pub(super) struct Watch {
    since: Instant,
    handed: u64,
    complete: bool,
}

impl Watch {
    pub(super) fn new(sending: &Sending) -> Self {
        Self { since: Instant::now(), handed: 0, complete: sending.is_complete() }
    }

    pub(super) fn overdue(&mut self, sending: &Sending, timeouts: &Timeouts) -> Option<Wait> {
        let (handed, complete) = (sending.handed(), sending.is_complete());
        if (handed, complete) != (self.handed, self.complete) {
            *self = Self { since: Instant::now(), handed, complete };
        }
        let (wait, limit) = match (complete, handed) {
            (true, _) => (Wait::Answer, timeouts.answer),
            // The connection may still be being made, which has its own limit.
            (false, 0) => (Wait::Stall, timeouts.connect + timeouts.stall),
            (false, _) => (Wait::Stall, timeouts.stall),
        };
        (self.since.elapsed() > limit).then_some(wait)
    }
}
