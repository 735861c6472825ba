//! The upload of one blob as a state machine (distribution-spec, "Pushing blobs"): no I/O, only what
//! each answer means for the session.
//!
//! Our own count of acknowledged bytes is what counts: registries differ in what `Range` says, and
//! some say it wrongly. A session whose registry counts otherwise is poisoned: only a new session
//! from the first byte helps. A lost one is unknown to the registry and needs no clean-up.

use http::{StatusCode, Uri};

use super::error::Violation;

/// An upload session and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadSession {
    size: u64,
    state: State,
}

/// Where a session stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Waits for more bytes or, with all of them, for the commit.
    Open {
        /// Where to send to next.
        location: Uri,
        /// Bytes acknowledged.
        offset: u64,
    },
    /// The bytes from `offset` to `end` are on their way.
    Sending {
        /// Where they are sent.
        location: Uri,
        /// Bytes acknowledged before.
        offset: u64,
        /// Bytes there will be.
        end: u64,
    },
    /// The commit is on its way, with the bytes from `offset` on if there are any left.
    Committing {
        /// Where it is sent.
        location: Uri,
        /// Bytes acknowledged before.
        offset: u64,
    },
    /// The registry has the blob.
    Committed,
    /// The session exists but will never become this blob.
    Poisoned {
        /// Where to cancel it.
        location: Uri,
    },
    /// The registry knows no such session.
    Lost,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// PATCH the bytes `start..end` to `location`.
    Send {
        /// The session's address.
        location: Uri,
        /// First byte.
        start: u64,
        /// After the last byte.
        end: u64,
    },
    /// PUT the bytes from `start` on, none if that is the size, and commit.
    Commit {
        /// The session's address.
        location: Uri,
        /// First byte.
        start: u64,
    },
    /// Nothing: the blob is there.
    Done,
    /// Nothing: only a new session can go on.
    StartOver,
}

/// How much a request may carry, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Blobs up to this size are sent with the commit, in one request.
    pub monolithic: u64,
    /// Larger ones in chunks of this size.
    pub chunk: u64,
}

impl Default for Limits {
    /// Half of what idpbuilder's ingress lets through in one request.
    fn default() -> Self {
        Self { monolithic: 512 << 20, chunk: 64 << 20 }
    }
}

impl Limits {
    /// Chunks below this size are not worth a request; a registry that refuses them takes no blobs.
    pub const MIN_CHUNK: u64 = 64 << 10;

    /// Everything larger than `bytes` in chunks of that size.
    pub fn chunks_of(bytes: u64) -> Self {
        let bytes = bytes.max(Self::MIN_CHUNK);
        Self { monolithic: bytes, chunk: bytes }
    }

    /// The limits after a request with `refused` bytes was too large; `None` when no smaller one makes sense.
    #[must_use]
    pub fn halved(self, refused: u64) -> Option<Self> {
        let ceiling = refused / 2;
        (ceiling >= Self::MIN_CHUNK)
            .then(|| Self { monolithic: self.monolithic.min(ceiling), chunk: self.chunk.min(ceiling) })
    }
}

impl UploadSession {
    /// The session that the registry opened at `location` for a blob of `size` bytes.
    pub fn opened(location: Uri, size: u64) -> Self {
        Self { size, state: State::Open { location, offset: 0 } }
    }

    /// Where the session stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Where the session can be cancelled, while the registry has one.
    pub fn location(&self) -> Option<&Uri> {
        match &self.state {
            State::Open { location, .. }
            | State::Sending { location, .. }
            | State::Committing { location, .. }
            | State::Poisoned { location } => Some(location),
            State::Committed | State::Lost => None,
        }
    }

    /// Decides the next request and takes it as being on its way.
    ///
    /// A request that is on its way already has to be answered first; asking again then is to start over.
    pub fn step(&mut self, limits: Limits) -> Step {
        match &self.state {
            State::Open { location, offset } => {
                let (location, offset) = (location.clone(), *offset);
                if offset == self.size || (offset == 0 && self.size <= limits.monolithic) {
                    self.state = State::Committing { location: location.clone(), offset };
                    return Step::Commit { location, start: offset };
                }
                let end = self.size.min(offset.saturating_add(limits.chunk.max(1)));
                self.state = State::Sending { location: location.clone(), offset, end };
                Step::Send { location, start: offset, end }
            }
            State::Committed => Step::Done,
            State::Sending { .. } | State::Committing { .. } | State::Poisoned { .. } | State::Lost => Step::StartOver,
        }
    }

    /// The registry took what was on its way. `location` is the newest address, if it gave one;
    /// `range` is its own count of bytes, if it gave one.
    pub fn accepted(&mut self, location: Option<Uri>, range: Option<u64>) -> Result<(), Violation> {
        match &self.state {
            State::Committing { .. } => {
                self.state = State::Committed;
                Ok(())
            }
            State::Sending { location: old, end, .. } => {
                let (location, end) = (location.unwrap_or_else(|| old.clone()), *end);
                if let Some(found) = range.filter(|found| *found != end) {
                    self.state = State::Poisoned { location };
                    return Err(Violation::Offset { expected: end, found });
                }
                self.state = State::Open { location, offset: end };
                Ok(())
            }
            State::Open { .. } | State::Committed | State::Poisoned { .. } | State::Lost => Ok(()),
        }
    }

    /// What was on its way was refused with `status`, or got no answer.
    pub fn failed(&mut self, status: Option<StatusCode>) {
        if let Some(location) = self.location().cloned() {
            self.state = match status {
                Some(StatusCode::NOT_FOUND | StatusCode::GONE) => State::Lost,
                _ => State::Poisoned { location },
            };
        }
    }
}

/// Bytes received according to a `Range` header: `0-` and the offset of the last byte.
///
/// `None` for what says nothing: no or an odd value, and `0-0`, which stands for none as well as for one.
pub(super) fn received(range: &str) -> Option<u64> {
    let range = range.trim();
    let (start, end) = range.strip_prefix("bytes=").unwrap_or(range).split_once('-')?;
    let end = end.parse::<u64>().ok()?;
    (start.parse::<u64>().ok()? == 0 && end > 0).then(|| end.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(n: u32) -> Uri {
        format!("http://h/u/{n}").parse().expect("a URI")
    }

    const LIMITS: Limits = Limits { monolithic: 10, chunk: 8 };

    #[test]
    fn small_blobs_go_with_the_commit() {
        for size in [0, 1, 10] {
            let mut session = UploadSession::opened(at(1), size);
            assert_eq!(session.step(LIMITS), Step::Commit { location: at(1), start: 0 });
            session.accepted(None, None).expect("committed");
            assert_eq!(session.step(LIMITS), Step::Done);
            assert_eq!(session.location(), None);
        }
    }

    #[test]
    fn large_blobs_go_in_chunks_each_to_the_newest_location() {
        let mut session = UploadSession::opened(at(1), 20);
        assert_eq!(session.step(LIMITS), Step::Send { location: at(1), start: 0, end: 8 });
        session.accepted(Some(at(2)), Some(8)).expect("acknowledged");
        assert_eq!(session.step(LIMITS), Step::Send { location: at(2), start: 8, end: 16 });
        session.accepted(None, None).expect("acknowledged");
        assert_eq!(session.step(LIMITS), Step::Send { location: at(2), start: 16, end: 20 });
        session.accepted(Some(at(4)), Some(20)).expect("acknowledged");
        assert_eq!(session.step(LIMITS), Step::Commit { location: at(4), start: 20 });
        session.accepted(None, None).expect("committed");
        assert_eq!(session.state(), &State::Committed);
    }

    #[test]
    fn another_count_of_bytes_poisons() {
        for found in [4, 9] {
            let mut session = UploadSession::opened(at(1), 20);
            session.step(LIMITS);
            let refused = session.accepted(Some(at(2)), Some(found));
            assert_eq!(refused, Err(Violation::Offset { expected: 8, found }));
            assert_eq!(session.state(), &State::Poisoned { location: at(2) });
            assert_eq!(session.step(LIMITS), Step::StartOver);
        }
    }

    #[test]
    fn failures_poison_or_lose_the_session() {
        for (status, lost) in
            [(Some(404), true), (Some(410), true), (Some(500), false), (Some(416), false), (None, false)]
        {
            let mut session = UploadSession::opened(at(1), 20);
            session.step(LIMITS);
            session.failed(status.map(|status| StatusCode::from_u16(status).expect("a status")));
            assert_eq!(session.state() == &State::Lost, lost, "{status:?}");
            assert_eq!(session.location().is_none(), lost, "{status:?}");
            assert_eq!(session.step(LIMITS), Step::StartOver);
        }
    }

    #[test]
    fn a_second_step_without_an_answer_starts_over() {
        let mut session = UploadSession::opened(at(1), 20);
        session.step(LIMITS);
        assert_eq!(session.step(LIMITS), Step::StartOver);
    }

    #[test]
    fn ranges_in_the_wild() {
        for (text, expected) in [
            ("0-1048575", Some(1_048_576)),
            ("bytes=0-9", Some(10)),
            ("0-0", None),
            ("bytes=0--1", None),
            ("5-9", None),
            ("", None),
            ("x-y", None),
            ("0-18446744073709551615", Some(u64::MAX)),
        ] {
            assert_eq!(received(text), expected, "{text}");
        }
    }

    #[test]
    fn a_refused_size_halves_the_limits() {
        let mebi = 1 << 20;
        let limits = Limits::default().halved(40 * mebi).expect("smaller");
        assert_eq!(limits, Limits { monolithic: 20 * mebi, chunk: 20 * mebi });
        assert_eq!(limits.halved(100 * mebi), Some(limits));
        assert_eq!(limits.halved(Limits::MIN_CHUNK), None);
        assert_eq!(Limits::chunks_of(1).chunk, Limits::MIN_CHUNK);
    }

    proptest! {
        #[test]
        fn every_byte_is_sent_once_and_in_order(size in 0u64..200, monolithic in 0u64..50, chunk in 0u64..50) {
            let limits = Limits { monolithic, chunk };
            let mut session = UploadSession::opened(at(0), size);
            let mut sent = 0;
            loop {
                match session.step(limits) {
                    Step::Send { start, end, .. } => {
                        prop_assert!(start == sent && end > start && end <= size);
                        sent = end;
                        session.accepted(None, Some(end)).expect("our count");
                    }
                    Step::Commit { start, .. } => {
                        prop_assert_eq!(start, sent);
                        sent = size;
                        session.accepted(None, None).expect("committed");
                    }
                    Step::Done => break,
                    Step::StartOver => prop_assert!(false, "nothing failed"),
                }
            }
            prop_assert_eq!(sent, size);
        }

        #[test]
        fn ranges_never_panic(text in "\\PC{0,40}") {
            let _ = received(&text);
        }
    }
}
