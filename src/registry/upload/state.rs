//! One upload: the blob, how far it is hashed, and what it took so far.

use std::sync::Arc;
use std::time::Instant;

use super::attempts::Attempts;
use super::content_check::ContentCheck;
use super::journal::Entry;
use crate::image::Descriptor;
use crate::registry::Meter;
use crate::registry::error::RegistryError;
use crate::registry::http::body::BlobSource;
use crate::registry::retry::classification::Operation;

/// What an upload came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uploaded {
    /// The bytes were sent and the registry committed the blob.
    Sent {
        /// Bytes that an earlier run had sent already.
        resumed: u64,
    },
    /// The registry had the blob when asked for a session.
    Exists,
    /// The registry took it from another of its repositories.
    Mounted,
}

/// A blob to send, as far as it is hashed, and what it took so far.
pub(super) struct Upload<'a> {
    pub(super) repository: &'a str,
    pub(super) blob: &'a Descriptor,
    pub(super) source: Arc<dyn BlobSource>,
    pub(super) meter: &'a Meter,
    /// Has seen all acknowledged bytes.
    pub(super) hasher: ContentCheck,
    pub(super) attempts: Attempts,
    /// Its place in the journal, if it has one.
    pub(super) entry: Option<Entry>,
    /// First requests so far: those after the first are plain.
    pub(super) starts: u32,
    /// Whether more than a session was asked for in vain, for a reason that says nothing about the registry.
    pub(super) misled: bool,
    /// Bytes that an earlier run had sent.
    pub(super) resumed: u64,
    /// Whether a commit failed while others were under way.
    pub(super) crowded: bool,
    /// Bytes sent since the connection last broke.
    pub(super) between: u64,
}

impl Upload<'_> {
    /// Starts over without anything of the last session; `again` where that is a loss.
    pub(super) fn forget(&mut self, again: bool) {
        self.hasher = self.hasher.restarted();
        self.resumed = 0;
        if again {
            self.meter.start_over();
        } else {
            self.meter.set(0);
        }
        if let Some(entry) = &mut self.entry {
            entry.forget();
        }
    }

    /// Takes in the first answer about a session of an earlier run: this run goes on at `offset`.
    pub(super) fn resume_at(&mut self, offset: u64) {
        if self.starts == 0 && offset > 0 {
            self.starts = 1;
            self.resumed = offset;
            self.meter.resume(offset);
        }
    }
}

/// An error, the operation that failed, and when it began.
pub(super) struct UploadFailure {
    pub(super) operation: Operation,
    pub(super) error: RegistryError,
    pub(super) began: Instant,
}
