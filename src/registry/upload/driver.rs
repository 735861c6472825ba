//! Drives one blob from its source to a committed blob, whatever comes between.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::attempts::Attempts;
use super::content_check::ContentCheck;
use super::limits::Capabilities;
use super::open::Begun;
use super::range::Count;
use super::request_sizing::{RequestSizing, Sent};
use super::session::{Step, UploadSession};
use super::state::{Upload, UploadFailure, Uploaded};
use crate::image::Descriptor;
use crate::registry::error::RegistryError;
use crate::registry::http::body::BlobSource;
use crate::registry::retry::classification::{FailureClass, Operation};
use crate::registry::{Meter, Registry};

/// Bytes that a commit may have to send and still be waited for by others.
const QUICK: u64 = 1 << 20;

impl Registry {
    /// Sends a blob and has it committed, going on after every fault that may pass as long as the policy
    /// allows: at the byte the registry has, or from the first where the session is no good any more.
    ///
    /// A blob whose content has another digest is never committed. A session that fails for good is
    /// cancelled, unless the next run can go on with it. What is learned about the registry is kept.
    ///
    /// # Errors
    ///
    /// The fault after which no further attempt is left; [`RegistryError::SourceDigest`] where the source has other
    /// content; [`RegistryError::Source`] where it cannot be read.
    pub async fn upload_blob(
        &self,
        repository: &str,
        blob: &Descriptor,
        source: Arc<dyn BlobSource>,
        meter: &Meter,
    ) -> Result<Uploaded, RegistryError> {
        let permit = self.uploads_in_flight.enter(blob.digest).await;
        if permit.waited && self.head_blob(repository, blob.digest).await? == Some(blob.size) {
            return Ok(Uploaded::Exists);
        }
        let hasher = ContentCheck::new(source.is_verified());
        let mut upload = Upload {
            repository,
            blob,
            source,
            meter,
            hasher,
            attempts: Attempts::new(self.retry_context.policy, blob.size),
            entry: self.entry(repository, blob),
            starts: 0,
            misled: false,
            resumed: 0,
            crowded: false,
            between: 0,
        };
        let uploaded = Box::pin(self.transfer(&mut upload)).await?;
        if let Some(entry) = &mut upload.entry {
            entry.forget();
        }
        self.blob_info().add(repository, blob.digest);
        Ok(uploaded)
    }

    async fn transfer(&self, upload: &mut Upload<'_>) -> Result<Uploaded, RegistryError> {
        let mut session = match self.remembered(upload) {
            Some(session) => session,
            None => match self.begin(upload).await? {
                Begun::Done(how) => return Ok(how),
                Begun::Session(session) => session,
            },
        };
        self.note(&session, upload);
        loop {
            let step = session.step(self.sizing(|sizing| sizing.requests(upload.blob.size)));
            if step == Step::Done {
                return Ok(Uploaded::Sent { resumed: upload.resumed });
            }
            let done = if matches!(step, Step::StartOver | Step::Renew) {
                // An expired session of an earlier run is reported once, by an event of its own.
                let again = step == Step::StartOver && upload.starts > 0;
                if step == Step::StartOver
                    && let Err(error) = self.start_over(&session, upload).await
                {
                    self.give_up(&session, upload, &error).await;
                    return Err(error);
                }
                self.cancel(upload.repository, &session).await;
                upload.forget(again);
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

    async fn perform(
        &self,
        step: Step,
        session: &mut UploadSession,
        upload: &mut Upload<'_>,
    ) -> Result<(), UploadFailure> {
        let began = Instant::now();
        let failed = |operation| move |error| UploadFailure { operation, error, began };
        match step {
            Step::Send { location, start, end } => {
                self.hash_up_to(start, upload).await.map_err(failed(Operation::Send))?;
                let answer = self.patch(location, start..end, upload).await.map_err(failed(Operation::Send))?;
                let request = self.request_of(session, upload);
                session
                    .accepted(answer.location, answer.count)
                    .map_err(|violation| failed(Operation::Send)(RegistryError::Protocol { request, violation }))?;
                self.arrived(Sent::Chunk(end - start), began, upload);
                upload.attempts.got_to(end);
            }
            Step::Commit { location, start } => {
                self.hash_up_to(start, upload).await.map_err(failed(Operation::Commit))?;
                // A commit with a long transfer must not block others.
                let alone = self.capabilities().serial && upload.blob.size - start <= QUICK;
                let permit = self.commits.enter(alone).await;
                let result = self.commit(&location, start, upload).await;
                upload.crowded |= permit.was_shared() && result.as_ref().is_err_and(is_overload);
                drop(permit);
                result.map_err(failed(Operation::Commit))?;
                if upload.crowded {
                    // The commit failed beside others and succeeded alone.
                    self.learn(|sizing| sizing.capabilities_mut().serial = true);
                }
                self.arrived(Sent::Rest(upload.blob.size - start), began, upload);
                let _ = session.accepted(None, Count::Unsaid);
            }
            Step::Inquire { location } => {
                let answer = self.status(upload.repository, &location).await.map_err(failed(Operation::Status))?;
                self.report(session, upload, answer);
                let offset = session.offset().unwrap_or(0);
                upload.resume_at(offset);
                upload.attempts.got_to(offset);
            }
            Step::Look => {
                let found = self.confirm_blob(upload.repository, upload.blob.digest).await;
                session.looked(found.map_err(failed(Operation::Ask))? == Some(upload.blob.size));
            }
            Step::Done | Step::Renew | Step::StartOver => {}
        }
        Ok(())
    }

    fn arrived(&self, sent: Sent, began: Instant, upload: &mut Upload<'_>) {
        let (Sent::Chunk(bytes) | Sent::Rest(bytes)) = sent;
        upload.between += bytes;
        self.learn(|sizing| sizing.arrived(sent, began.elapsed()));
    }

    /// Returns what is known of the registry.
    pub(in crate::registry) fn capabilities(&self) -> Capabilities {
        self.sizing(|sizing| *sizing.capabilities())
    }

    pub(super) fn sizing<T>(&self, look: impl FnOnce(&RequestSizing) -> T) -> T {
        look(&self.sizing.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the sizing by what the registry showed, and saves what was learned.
    pub(in crate::registry) fn learn<T>(&self, take: impl FnOnce(&mut RequestSizing) -> T) -> T {
        let (value, learned) = {
            let mut sizing = self.sizing.lock().unwrap_or_else(PoisonError::into_inner);
            (take(&mut sizing), *sizing.capabilities())
        };
        if let Some(capability_cache) = self.capability_cache.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            capability_cache.keep(&learned);
        }
        value
    }
}

/// Returns whether too many commits at once may be the reason.
fn is_overload(error: &RegistryError) -> bool {
    match FailureClass::of(error) {
        FailureClass::TimedOut => true,
        FailureClass::Status(status) => matches!(status.as_u16(), 500 | 502 | 503 | 504),
        _ => false,
    }
}
