//! Requests that are given up: bodies nobody waits for, waits that take too long.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::legacy::connect::CaptureConnection;
use tokio::time::Instant;

use super::super::Timeouts;
use super::super::body::Sending;
use super::super::error::{RegistryError, Wait};
use super::TICK;
use super::connect::Life;

/// Waits, unless somebody asks to stop.
pub(in crate::registry) async fn rest(time: Duration, is_stopped: impl Fn() -> bool) -> Result<(), RegistryError> {
    let end = Instant::now() + time;
    loop {
        if is_stopped() {
            return Err(RegistryError::Interrupted);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        tokio::time::sleep(left.min(TICK)).await;
    }
}

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

/// Notices a request whose connection has ended without telling.
///
/// A connection may end in the very moment in which a request is handed to it from another thread. What
/// drives the connection then sees no request any more, and the request hears of no end: it would wait for
/// its whole limit.
pub(super) struct Orphan {
    connection: CaptureConnection,
    seen: bool,
}

impl Orphan {
    pub(super) fn new(connection: CaptureConnection) -> Self {
        Self { connection, seen: false }
    }

    /// To be asked now and then. `dialing`: another connection may be on its way to take the request.
    pub(super) fn is_one(&mut self, dialing: bool) -> bool {
        let mut extras = http::Extensions::new();
        if let Some(connected) = self.connection.connection_metadata().as_ref() {
            connected.get_extras(&mut extras);
        }
        self.judge(extras.get::<Life>().is_some_and(Life::is_over), dialing)
    }

    /// An answer may be on its way from the connection to the request: true at the second look only.
    fn judge(&mut self, over: bool, dialing: bool) -> bool {
        std::mem::replace(&mut self.seen, over && !dialing) && self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orphans_are_told_at_the_second_look() {
        let mut request = http::Request::new(());
        let mut orphan = Orphan::new(hyper_util::client::legacy::connect::capture_connection(&mut request));
        assert!(!orphan.is_one(false), "no connection yet");
        let looks = [(false, false), (true, false), (true, true), (true, false), (false, false), (true, false)];
        assert!(looks.iter().all(|(over, dialing)| !orphan.judge(*over, *dialing)));
        assert!(orphan.judge(true, false));
        assert!(orphan.judge(true, false));
    }
}
