//! Gives requests up: bodies without a receiver, waits that take too long.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::legacy::connect::CaptureConnection;
use tokio::time::Instant;

use super::super::Timeouts;
use super::super::error::{NetworkFault, RegistryError, Wait};
use super::TICK;
use super::body::Sending;
use super::wire::Life;

/// Waits, unless an interrupt asks to stop.
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

/// How long an answer may take that takes no registry long: all but a commit's.
const QUESTION: Duration = Duration::from_mins(1);

/// Returns what is waited for, and how long. Only a `commit`, after which a registry may have a large blob to put in
/// its place, has the whole limit for its answer.
fn limit(limits: &Timeouts, commit: bool, complete: bool, handed: u64) -> (Wait, Duration) {
    match (complete, handed) {
        (true, _) if commit => (Wait::Answer, limits.answer),
        (true, _) => (Wait::Answer, limits.answer.min(QUESTION)),
        // The connection may still be in the making, which has its own limit.
        (false, 0) => (Wait::Stall, limits.connect + limits.stall),
        (false, _) => (Wait::Stall, limits.stall),
    }
}

/// Notices when neither bytes nor an answer move.
pub(super) struct Watch {
    limits: Timeouts,
    commit: bool,
    since: Instant,
    handed: u64,
    complete: bool,
}

impl Watch {
    pub(super) fn new(sending: &Sending, limits: Timeouts, commit: bool) -> Self {
        Self { limits, commit, since: Instant::now(), handed: 0, complete: sending.is_complete() }
    }

    /// Returns what has taken too long.
    pub(super) fn overdue(&mut self, sending: &Sending) -> Option<NetworkFault> {
        let (handed, complete) = (sending.handed(), sending.is_complete());
        if (handed, complete) != (self.handed, self.complete) {
            (self.since, self.handed, self.complete) = (Instant::now(), handed, complete);
        }
        let (wait, limit) = limit(&self.limits, self.commit, complete, handed);
        (self.since.elapsed() > limit).then_some(NetworkFault::Timeout { wait, limit })
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

    /// Returns whether the connection has ended without an answer. The caller asks repeatedly. `dialing` says that
    /// another connection may be about to take the request.
    pub(super) fn is_one(&mut self, dialing: bool) -> bool {
        self.judge(self.life().is_some_and(|life| life.is_over()), dialing)
    }

    /// Returns the life of the connection that the request was given to, once there is one.
    pub(super) fn life(&self) -> Option<Life> {
        let mut extras = http::Extensions::new();
        self.connection.connection_metadata().as_ref()?.get_extras(&mut extras);
        extras.remove()
    }

    /// Returns true at the second look only, because an answer may be on its way from the connection to the request.
    fn judge(&mut self, over: bool, dialing: bool) -> bool {
        std::mem::replace(&mut self.seen, over && !dialing) && self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_commit_may_be_answered_late() {
        let of = |answer| Timeouts { answer: Duration::from_secs(answer), ..Timeouts::default() };
        for (answer, commit, complete, handed, expected) in [
            (600, true, true, 9, (Wait::Answer, 600)),
            (600, false, true, 9, (Wait::Answer, 60)),
            (600, false, true, 0, (Wait::Answer, 60)),
            (5, true, true, 9, (Wait::Answer, 5)),
            (5, false, true, 0, (Wait::Answer, 5)),
            (600, true, false, 0, (Wait::Stall, 75)),
            (600, true, false, 9, (Wait::Stall, 60)),
            (600, false, false, 9, (Wait::Stall, 60)),
        ] {
            let (wait, limit) = limit(&of(answer), commit, complete, handed);
            assert_eq!((wait, limit.as_secs()), expected, "{answer} {commit} {complete} {handed}");
        }
    }

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
