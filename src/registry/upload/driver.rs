//! Drives one blob from its source to a committed blob, whatever comes between.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::limits::{Learned, Pace};
use super::open::Begun;
use super::range::Count;
use super::session::{Step, UploadSession};
use crate::image::{Descriptor, Hasher};
use crate::registry::Registry;
use crate::registry::body::{BlobSource, Meter};
use crate::registry::error::{RegistryError, Violation};
use crate::registry::journal::Entry;
use crate::registry::reaction::{Fault, Operation, Reaction};
use crate::registry::retry::Budget;

/// Bytes that a commit may have to send and still be waited for by others.
const QUICK: u64 = 1 << 20;

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
    pub(super) hasher: Hasher,
    pub(super) budget: Budget,
    /// Its place in the journal, if it has one.
    pub(super) entry: Option<Entry>,
    /// First requests so far: those after the first are plain.
    pub(super) starts: u32,
    /// Whether a mount was answered with less than it promised.
    pub(super) misled: bool,
    /// Bytes that an earlier run had sent.
    pub(super) resumed: u64,
    /// Whether the registry was asked for its count again since the last progress, because ours was not its own.
    realigned: bool,
    /// Whether a commit failed while others were under way.
    crowded: bool,
    /// The last fault of a transfer.
    cause: Option<RegistryError>,
    /// The farthest that any session came.
    best: u64,
    /// Bytes sent since the connection last broke.
    between: u64,
}

/// An error and what it happened to.
struct Mishap {
    operation: Operation,
    error: RegistryError,
    began: Instant,
}

impl Registry {
    /// Sends a blob and has it committed, going on after every fault that may pass as long as the policy
    /// allows: at the byte the registry has, or from the first where the session is no good any more.
    ///
    /// A blob whose content has another digest is never committed. A session that fails for good is
    /// cancelled, unless the next run can go on with it. What is learned about the registry is kept.
    pub async fn upload_blob(
        &self,
        repository: &str,
        blob: &Descriptor,
        source: Arc<dyn BlobSource>,
        meter: &Meter,
    ) -> Result<Uploaded, RegistryError> {
        let turn = self.flights.enter(blob.digest).await;
        if turn.waited && self.head_blob(repository, blob.digest).await? == Some(blob.size) {
            return Ok(Uploaded::Exists);
        }
        let mut upload = Upload {
            repository,
            blob,
            source,
            meter,
            hasher: Hasher::default(),
            budget: Budget::new(self.persistence.retry),
            entry: self.entry(repository, blob),
            starts: 0,
            misled: false,
            resumed: 0,
            realigned: false,
            crowded: false,
            cause: None,
            best: 0,
            between: 0,
        };
        let uploaded = Box::pin(self.bring(&mut upload)).await?;
        if let Some(entry) = &mut upload.entry {
            entry.forget();
        }
        self.places().add(repository, blob.digest);
        Ok(uploaded)
    }

    async fn bring(&self, upload: &mut Upload<'_>) -> Result<Uploaded, RegistryError> {
        let mut session = match self.remembered(upload) {
            Some(session) => session,
            None => match self.begin(upload).await? {
                Begun::Done(how) => return Ok(how),
                Begun::Session(session) => session,
            },
        };
        self.note(&session, upload);
        loop {
            let step = session.step(self.pace(|pace| pace.requests(upload.blob.size)));
            if step == Step::Done {
                return Ok(Uploaded::Sent { resumed: upload.resumed });
            }
            let done = if step == Step::StartOver {
                self.cancel(upload.repository, &session).await;
                upload.forget();
                match self.begin(upload).await? {
                    Begun::Done(how) => return Ok(how),
                    Begun::Session(new) => session = new,
                }
                Ok(())
            } else {
                self.perform(step, &mut session, upload).await
            };
            match done {
                Ok(()) => self.note(&session, upload),
                Err(mishap) => {
                    if let Err(error) = self.react(mishap, &mut session, upload).await {
                        self.give_up(&session, upload, &error).await;
                        return Err(error);
                    }
                }
            }
        }
    }

    async fn perform(&self, step: Step, session: &mut UploadSession, upload: &mut Upload<'_>) -> Result<(), Mishap> {
        let began = Instant::now();
        let failed = |operation| move |error| Mishap { operation, error, began };
        match step {
            Step::Send { location, start, end } => {
                self.hash_up_to(start, upload).await.map_err(failed(Operation::Send))?;
                let answer = self.patch(location, (start, end), upload).await.map_err(failed(Operation::Send))?;
                let request = self.request_of(session, upload);
                session
                    .accepted(answer.0, answer.1)
                    .map_err(|violation| failed(Operation::Send)(RegistryError::Protocol { request, violation }))?;
                self.arrived(end - start, began, upload);
                upload.got_to(end);
            }
            Step::Commit { location, start } => {
                self.hash_up_to(start, upload).await.map_err(failed(Operation::Commit))?;
                // A long transfer is nothing to wait for.
                let alone = self.learned().serial && upload.blob.size - start <= QUICK;
                let turn = self.commits.enter(alone).await;
                let result = self.commit(&location, start, upload).await;
                upload.crowded |= turn.was_shared() && result.as_ref().is_err_and(is_overload);
                drop(turn);
                result.map_err(failed(Operation::Commit))?;
                if upload.crowded {
                    // Too much beside others, and possible again.
                    self.learn(|pace| pace.learned_mut().serial = true);
                }
                self.arrived(upload.blob.size - start, began, upload);
                let _ = session.accepted(None, Count::Unsaid);
            }
            Step::Inquire { location } => {
                let answer = self.status(upload.repository, &location).await.map_err(failed(Operation::Status))?;
                session.answered(answer.0, answer.1);
                let offset = session.offset().unwrap_or(0);
                upload.resume_at(offset);
                upload.got_to(offset);
            }
            Step::Look => {
                let found = self.head_blob(upload.repository, upload.blob.digest).await;
                session.looked(found.map_err(failed(Operation::Ask))? == Some(upload.blob.size));
            }
            Step::Done | Step::StartOver => {}
        }
        Ok(())
    }

    /// Decides how to go on, waits if there is something to wait for, and brings the session there.
    async fn react(
        &self,
        Mishap { operation, error, began }: Mishap,
        session: &mut UploadSession,
        upload: &mut Upload<'_>,
    ) -> Result<(), RegistryError> {
        let reaction = self.reaction(operation, &error);
        let in_flight = session.in_flight();
        match reaction {
            // Not every registry tells how far it is; our own count has to do.
            Reaction::Fail if operation == Operation::Status && is_unknown(&error) => {
                session.answered(None, Count::Unsaid);
                return Ok(());
            }
            Reaction::Fail => return Err(error),
            Reaction::Shrink => {
                if !self.learn(|pace| pace.too_large(in_flight)) {
                    return Err(error);
                }
                session.spoiled();
                return Ok(());
            }
            Reaction::Realign if session.offset() == Some(0) => {
                // It begins where it should: what is wrong is its size.
                if !self.learn(|pace| pace.chunk_too_large(in_flight)) {
                    return Err(error);
                }
                session.spoiled();
                return Ok(());
            }
            Reaction::Realign => {
                session.misaligned();
                // A registry may still have been taking in what was on the way when it was asked: ask at once.
                if !std::mem::replace(&mut upload.realigned, true) {
                    return Ok(());
                }
            }
            Reaction::Inquire => {
                let sent = upload.meter.position().saturating_sub(session.offset().unwrap_or(0)).min(in_flight);
                if in_flight > 0 && !matches!(Fault::of(&error), Fault::Status(status) if status.as_u16() < 500) {
                    let between = upload.between + sent;
                    self.learn(|pace| pace.broke(sent, began.elapsed(), between));
                    upload.between = 0;
                }
                session.unanswered(error.refusal().map(|refused| refused.refusal.status));
            }
            Reaction::Gone if operation == Operation::Status => {
                // What led to the question was paid for.
                session.gone();
                return Ok(());
            }
            Reaction::Gone => session.gone(),
            Reaction::Restart => {
                if Fault::of(&error) == Fault::Unsupported {
                    self.learn(Pace::not_put_together);
                }
                if let RegistryError::Protocol { violation: Violation::Offset { .. }, .. } = &error {
                    self.learn(Pace::not_put_together);
                }
                session.spoiled();
            }
            Reaction::Again => {}
        }
        let paused = self.pause(&mut upload.budget, upload.meter.key(), &error).await?;
        // What happened to the bytes says more than what happened to a question about them.
        let cause = match upload.cause.take() {
            Some(cause) if operation == Operation::Status || operation == Operation::Ask => cause,
            _ => error,
        };
        if !paused {
            return Err(cause);
        }
        upload.cause = Some(cause).filter(|cause| !cause.is_stale());
        Ok(())
    }

    /// The end of an upload that failed. What the next run can go on with is kept.
    async fn give_up(&self, session: &UploadSession, upload: &mut Upload<'_>, error: &RegistryError) {
        let passing = match Fault::of(error) {
            Fault::Stopped | Fault::Unreachable | Fault::Late | Fault::Cut | Fault::Misplaced => true,
            Fault::Status(status) => status.is_server_error() || matches!(status.as_u16(), 401 | 408 | 429),
            _ => false,
        };
        let kept = upload.entry.as_ref().is_some_and(Entry::is_kept);
        if passing && kept && session.offset().is_some() {
            return;
        }
        self.cancel(upload.repository, session).await;
        if let Some(entry) = &mut upload.entry {
            entry.forget();
        }
    }

    fn arrived(&self, bytes: u64, began: Instant, upload: &mut Upload<'_>) {
        upload.between += bytes;
        self.learn(|pace| pace.arrived(bytes, began.elapsed()));
    }

    /// What is known of the registry.
    pub(super) fn learned(&self) -> Learned {
        self.pace(|pace| *pace.learned())
    }

    pub(super) fn pace<T>(&self, look: impl FnOnce(&Pace) -> T) -> T {
        look(&self.pace.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes in what the registry showed, and keeps it.
    pub(super) fn learn<T>(&self, take: impl FnOnce(&mut Pace) -> T) -> T {
        let (value, learned) = {
            let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
            (take(&mut pace), *pace.learned())
        };
        if let Some(memory) = self.memory.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            memory.keep(&learned);
        }
        value
    }
}

impl Upload<'_> {
    /// The registry has so many bytes: more than ever is progress.
    fn got_to(&mut self, offset: u64) {
        if offset > self.best {
            self.best = offset;
            self.realigned = false;
            self.budget.recover();
        }
    }

    /// Nothing of the last session is of any use.
    fn forget(&mut self) {
        self.hasher = Hasher::default();
        self.resumed = 0;
        self.meter.set(0);
        if let Some(entry) = &mut self.entry {
            entry.forget();
        }
    }
}

/// Whether a status request was refused for what it is.
fn is_unknown(error: &RegistryError) -> bool {
    let status = error.refusal().map(|refused| refused.refusal.status.as_u16());
    status.is_some_and(|status| !matches!(status, 401 | 403))
}

/// Whether too much at the same time may be the reason.
fn is_overload(error: &RegistryError) -> bool {
    match Fault::of(error) {
        Fault::Late => true,
        Fault::Status(status) => matches!(status.as_u16(), 500 | 502 | 503 | 504),
        _ => false,
    }
}
