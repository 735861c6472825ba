//! The upload of one blob as a state machine (distribution-spec, "Pushing blobs"): no I/O, only what
//! each answer, or its absence, means for the session.
//!
//! Our own count of acknowledged bytes decides: registries differ in what `Range` says, and some say it wrongly. Only a
//! count well beyond ours is believed, because it saves sending those bytes again and the digest at the end reveals a
//! lie. A session in which a registry fails twice at one byte is poisoned: only a new session from the first byte
//! helps. A lost session is unknown to the registry and needs no clean-up. A session in which nothing was acknowledged
//! is given up without a loss.

use http::{StatusCode, Uri};

use super::range::Count;
use super::request_sizing::Requests;
use crate::registry::error::Violation;

/// An upload session and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::registry) struct UploadSession {
    size: u64,
    state: State,
    /// Where bytes were sent without being acknowledged.
    trouble: Option<u64>,
    /// Whether the offset is the registry's word alone.
    told: bool,
    /// The offset at which the registry did not take our count for its own.
    refused: Option<u64>,
}

/// Where a session stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// Waits for more bytes or, with all of them, for the commit.
    Open { location: Uri, offset: u64 },
    /// The bytes from `offset` to `end` are being sent.
    Sending { location: Uri, offset: u64, end: u64 },
    /// The commit is being sent, with the bytes from `offset` on if there are any left.
    Committing { location: Uri, offset: u64 },
    /// The registry has to be asked how far the session is.
    Unsure { location: Uri, offset: u64, doubt: Doubt },
    /// The session is gone, and the commit may be why.
    Vanished,
    /// The registry has the blob.
    Committed,
    /// Nothing was acknowledged, and the last request may have left some bytes: a new session has none.
    Unused { location: Uri },
    /// The session exists but will never become this blob.
    Poisoned { location: Uri },
    /// The registry knows no such session.
    Lost,
}

/// Why it is not known how far a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// The outcome of a chunk is unknown, or the session is an earlier run's.
    Bytes,
    /// The outcome of the commit is unknown.
    Commit,
    /// The registry denies that its bytes end where the request began. `chunk` has the bytes of the chunk that it refused
    /// so; `None` for a commit.
    Offset { chunk: Option<u64> },
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// PATCH the bytes `start..end` to `location`.
    Send { location: Uri, start: u64, end: u64 },
    /// PUT the bytes from `start` on, none if that is the size, and commit.
    Commit { location: Uri, start: u64 },
    /// GET the session's status.
    Inquire { location: Uri },
    /// HEAD the blob.
    Look,
    /// Nothing: the blob is there.
    Done,
    /// Nothing: a new session is as good, and nothing is lost.
    Renew,
    /// Nothing: only a new session can go on.
    StartOver,
}

impl UploadSession {
    /// Returns the session that the registry opened at `location` for a blob of `size` bytes.
    pub(in crate::registry) fn opened(location: Uri, size: u64) -> Self {
        Self { size, state: State::Open { location, offset: 0 }, trouble: None, told: false, refused: None }
    }

    /// Returns a session of an earlier run, in which `offset` bytes were acknowledged.
    pub(super) fn remembered(location: Uri, size: u64, offset: u64) -> Self {
        let state = State::Unsure { location, offset, doubt: Doubt::Bytes };
        Self { size, state, trouble: None, told: false, refused: None }
    }

    /// Returns where the session stands.
    #[cfg(test)]
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// Returns where the session can be reached, while the registry has one.
    pub(in crate::registry) fn location(&self) -> Option<&Uri> {
        match &self.state {
            State::Open { location, .. }
            | State::Sending { location, .. }
            | State::Committing { location, .. }
            | State::Unsure { location, .. }
            | State::Unused { location }
            | State::Poisoned { location } => Some(location),
            State::Vanished | State::Committed | State::Lost => None,
        }
    }

    /// Returns the bytes that were acknowledged, in a session that can go on.
    pub(super) fn offset(&self) -> Option<u64> {
        match &self.state {
            State::Open { offset, .. }
            | State::Sending { offset, .. }
            | State::Committing { offset, .. }
            | State::Unsure { offset, .. } => Some(*offset),
            State::Vanished | State::Committed | State::Unused { .. } | State::Poisoned { .. } | State::Lost => None,
        }
    }

    /// Returns the bytes of the request that is being sent.
    pub(super) fn in_flight(&self) -> u64 {
        match &self.state {
            State::Sending { offset, end, .. } => end - offset,
            State::Committing { offset, .. } => self.size - offset,
            _ => 0,
        }
    }

    /// Decides the next request, and counts it as being sent.
    ///
    /// A request that is being sent has to be answered first; calling this again before the answer starts over.
    pub(super) fn step(&mut self, requests: Requests) -> Step {
        match &self.state {
            State::Open { location, offset } => {
                let (location, offset) = (location.clone(), *offset);
                let left = self.size - offset;
                match requests.chunk {
                    Some(chunk) if left > 0 && (offset > 0 || self.size > requests.whole) => {
                        let end = self.size.min(offset.saturating_add(chunk.max(1)));
                        self.state = State::Sending { location: location.clone(), offset, end };
                        Step::Send { location, start: offset, end }
                    }
                    _ => {
                        self.state = State::Committing { location: location.clone(), offset };
                        Step::Commit { location, start: offset }
                    }
                }
            }
            State::Unsure { location, .. } => Step::Inquire { location: location.clone() },
            State::Vanished => Step::Look,
            State::Committed => Step::Done,
            State::Unused { .. } => Step::Renew,
            State::Sending { .. } | State::Committing { .. } | State::Poisoned { .. } | State::Lost => Step::StartOver,
        }
    }

    /// Takes in that the registry accepted the last request. `location` is the newest address, if it gave one; `count`
    /// is its own count of bytes.
    pub(super) fn accepted(&mut self, location: Option<Uri>, count: Count) -> Result<(), Violation> {
        match &self.state {
            State::Committing { .. } => {
                self.state = State::Committed;
                Ok(())
            }
            State::Sending { location: old, end, .. } => {
                let (location, end) = (location.unwrap_or_else(|| old.clone()), *end);
                // Some registries count one too many.
                if let Count::Bytes(found) = count
                    && found != end
                    && found != end + 1
                {
                    self.state = State::Poisoned { location };
                    return Err(Violation::Offset { expected: end, found });
                }
                self.state = State::Open { location, offset: end };
                (self.trouble, self.told, self.refused) = (None, false, None);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Takes in that the outcome of the last request is unknown. `status` is that of the answer, if there was one; the
    /// next answer may be another.
    pub(super) fn unanswered(&mut self, status: Option<StatusCode>) {
        let (location, offset, doubt) = match &self.state {
            State::Sending { location, offset, .. } => (location.clone(), *offset, Doubt::Bytes),
            State::Committing { location, offset } => (location.clone(), *offset, Doubt::Commit),
            _ => return,
        };
        // A commit without bytes cannot tear anything.
        let again = offset < self.size && self.trouble.replace(offset) == Some(offset);
        if again && status == Some(StatusCode::INTERNAL_SERVER_ERROR) {
            self.state = State::Poisoned { location };
            return;
        }
        self.state = State::Unsure { location, offset, doubt };
    }

    /// Takes in that the registry refused the last request for its size. It may have kept some of the bytes.
    pub(super) fn too_large(&mut self) {
        let (State::Sending { location, offset, .. } | State::Committing { location, offset }) = &self.state else {
            return;
        };
        let (location, offset) = (location.clone(), *offset);
        self.state = match offset {
            0 => State::Unused { location },
            _ => State::Unsure { location, offset, doubt: Doubt::Bytes },
        };
    }

    /// Takes in that the registry says the bytes of the last request do not begin where its own bytes end.
    pub(super) fn misaligned(&mut self) {
        let (location, offset, chunk) = match &self.state {
            State::Sending { location, offset, end } => (location.clone(), *offset, Some(end - offset)),
            State::Committing { location, offset } => (location.clone(), *offset, None),
            _ => return,
        };
        self.state = if self.told && offset > 1 {
            // The offset was the registry's own word, and some registries count one too many.
            self.told = false;
            State::Open { location, offset: offset - 1 }
        } else if offset == 0 || self.refused.replace(offset) == Some(offset) {
            State::Poisoned { location }
        } else {
            State::Unsure { location, offset, doubt: Doubt::Offset { chunk } }
        };
    }

    /// Takes in how many bytes the registry says to have; none at all counts as not having said it.
    ///
    /// Returns the size of a chunk that the registry refused although the chunk began at the registry's own offset: its
    /// size was the reason.
    pub(super) fn answered(&mut self, location: Option<Uri>, count: Count) -> Option<u64> {
        let State::Unsure { location: old, offset, doubt } = &self.state else { return None };
        let (location, ours, doubt) = (location.unwrap_or_else(|| old.clone()), *offset, *doubt);
        let (denied, chunk) = match doubt {
            Doubt::Offset { chunk } => (true, chunk),
            Doubt::Bytes | Doubt::Commit => (false, None),
        };
        let offset = match count {
            Count::Bytes(held) if held == self.size.saturating_add(1) => self.size,
            Count::Bytes(held) if held > self.size => {
                self.state = State::Poisoned { location };
                return None;
            }
            Count::Bytes(held) if held > ours.saturating_add(1) || held == self.size || denied => held,
            Count::Bytes(_) | Count::AtMostOne | Count::Unsaid => ours,
        };
        self.told = offset != ours;
        self.state =
            if offset == 0 && self.size > 0 { State::Unused { location } } else { State::Open { location, offset } };
        chunk.filter(|_| count == Count::Bytes(ours))
    }

    /// Takes in that a chunk was refused for its size alone: its offset is beyond doubt again.
    pub(super) fn begins_right(&mut self) {
        self.refused = None;
    }

    /// Takes in that the registry knows no such session.
    pub(super) fn gone(&mut self) {
        self.state = match &self.state {
            State::Committing { .. } | State::Unsure { doubt: Doubt::Commit, .. } => State::Vanished,
            State::Committed => return,
            _ => State::Lost,
        };
    }

    /// Takes in whether the blob exists after all.
    pub(super) fn looked(&mut self, found: bool) {
        if self.state == State::Vanished {
            self.state = if found { State::Committed } else { State::Lost };
        }
    }

    /// Returns whether only a new session can go on.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Poisoned { .. } | State::Lost)
    }

    /// Returns whether the registry knows no such session.
    pub(super) fn is_lost(&self) -> bool {
        self.state == State::Lost
    }

    /// Returns whether the session is gone, possibly because its commit succeeded.
    pub(super) fn has_vanished(&self) -> bool {
        self.state == State::Vanished
    }

    /// Gives the session up: only a new one can become the blob.
    pub(super) fn spoiled(&mut self) {
        if let Some(location) = self.location() {
            self.state = State::Poisoned { location: location.clone() };
        }
    }
}

#[cfg(test)]
mod tests;
