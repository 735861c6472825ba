//! Progress and cancellation of the work on one layer.

use std::sync::atomic::{AtomicBool, Ordering};

use super::FollowedSymlink;
use crate::progress::{Event, Interrupt, Progress};

/// Bytes that a report covers at least, so that small files do not each cause one.
const REPORT_BYTES: u64 = 64 << 10;

/// Reports the bytes that one layer has read, and says when its work has to end.
pub struct Monitor<'a> {
    progress: &'a dyn Progress,
    key: &'a str,
    unreported: u64,
    interrupt: &'a Interrupt,
    stop: Option<&'a AtomicBool>,
}

impl<'a> Monitor<'a> {
    /// Returns a monitor that advances the transfer `key`. Its caller begins and ends the transfer.
    pub fn new(progress: &'a dyn Progress, key: &'a str, interrupt: &'a Interrupt) -> Self {
        Self { progress, key, unreported: 0, interrupt, stop: None }
    }

    /// Makes the work end once `stop` is set, too.
    #[must_use]
    pub fn unless(mut self, stop: &'a AtomicBool) -> Self {
        self.stop = Some(stop);
        self
    }

    /// Returns whether the work has to end. Long loops ask between reads.
    pub(super) fn stopped(&self) -> bool {
        self.interrupt.requested() || self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    /// Warns of a symbolic link that was followed.
    pub(super) fn warn(&self, followed: &FollowedSymlink) {
        self.progress.emit(Event::Warning(&followed.to_string()));
    }

    /// Counts bytes that were read, and reports them in steps of at least [`REPORT_BYTES`].
    pub(super) fn advance(&mut self, bytes: u64) {
        self.unreported += bytes;
        if self.unreported >= REPORT_BYTES {
            self.report();
        }
    }

    /// Reports the bytes that were counted since the last report.
    pub(super) fn report(&mut self) {
        let bytes = std::mem::take(&mut self.unreported);
        if bytes > 0 {
            self.progress.emit(Event::Advance { key: self.key, bytes });
        }
    }
}
