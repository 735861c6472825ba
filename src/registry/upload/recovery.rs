//! Decides how an upload goes on after a fault.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ::http::{Method, StatusCode};

use super::attempts::Cause;
use super::journal::Entry;
use super::range::Whereabouts;
use super::request_sizing::RequestSizing;
use super::session::UploadSession;
use super::state::{Upload, UploadFailure};
use crate::progress::Event;
use crate::registry::Registry;
use crate::registry::error::{Refused, RegistryError, Violation};
use crate::registry::retry::Next;
use crate::registry::retry::classification::{FailureClass, Operation, Recovery};

/// Times a blob's size that may be given up with sessions that broke, whatever the progress.
const MOST_GIVEN_UP: u64 = 6;

impl Registry {
    /// Decides how to go on, waits if there is something to wait for, and brings the session there.
    pub(super) async fn react(
        &self,
        UploadFailure { operation, error, began }: UploadFailure,
        session: &mut UploadSession,
        upload: &mut Upload<'_>,
    ) -> Result<(), RegistryError> {
        let in_flight = session.in_flight();
        let mut torn = None;
        match self.recovery(operation, &error) {
            // Not every registry says how many bytes it has; then our own count has to do.
            Recovery::Fail if operation == Operation::Status && is_unknown(&error) => {
                self.report(session, upload, Whereabouts::default());
                return Ok(());
            }
            Recovery::Fail => return Err(error),
            Recovery::ShrinkRequests => {
                if !self.learn(|sizing| sizing.too_large(in_flight)) {
                    return Err(error);
                }
                session.too_large();
                return self.adjust(upload, error).await.map(drop);
            }
            Recovery::SyncOffset if operation == Operation::Send && session.offset() == Some(0) => {
                // The chunk begins at the right offset, so its size is wrong.
                if !self.learn(|sizing| sizing.chunk_too_large(in_flight)) {
                    return Err(error);
                }
                session.too_large();
                return self.adjust(upload, error).await.map(drop);
            }
            Recovery::SyncOffset => {
                session.misaligned();
                // The registry may still have been receiving the request when it was asked: ask again at once.
                if !session.is_over() && !std::mem::replace(&mut upload.attempts.realigned, true) {
                    return self.adjust(upload, error).await.map(drop);
                }
            }
            Recovery::QueryOffset => {
                let sent = upload.meter.position().saturating_sub(session.offset().unwrap_or(0)).min(in_flight);
                if in_flight > 0
                    && !matches!(FailureClass::of(&error), FailureClass::Status(status) if status.as_u16() < 500)
                {
                    torn = Some((sent, began.elapsed()));
                }
                let status = error.error_response().map(|refused| refused.response.status);
                upload.attempts.torn |= status.is_none_or(|status| status.as_u16() != 500);
                session.unanswered(status);
            }
            Recovery::SessionLost => session.gone(),
            Recovery::Restart => {
                session.spoiled();
                let chunks = matches!(FailureClass::of(&error), FailureClass::Unsupported)
                    || matches!(&error, RegistryError::Protocol { violation: Violation::Offset { .. }, .. });
                if chunks {
                    self.learn(RequestSizing::not_put_together);
                }
                if chunks && self.sizing(|sizing| sizing.requests(upload.blob.size)).chunk.is_none() {
                    let error = self.adjust(upload, error).await?;
                    upload.attempts.cause = Some(Cause { error, already_counted: true });
                    return Ok(());
                }
            }
            Recovery::Retry => {}
        }
        let asked = matches!(operation, Operation::Status | Operation::Ask);
        if session.is_over() || session.has_vanished() {
            self.broke(torn, upload);
            // Where a status request found it out, the fault that led to the request is counted already.
            if !asked || upload.attempts.cause.is_none() {
                upload.attempts.cause = Some(Cause { error, already_counted: false });
            }
            return Ok(());
        }
        let next = self.recover(&mut upload.attempts.retries, upload.meter.key(), &error).await?;
        if next == Next::AfterOutage {
            // Neither the link nor the number of commits was the reason.
            upload.crowded = false;
        } else {
            self.broke(torn, upload);
        }
        // The fault of a transfer explains more than the fault of a question about it.
        let error = match upload.attempts.cause.take() {
            Some(cause) if asked => cause.error,
            _ => error,
        };
        if next == Next::Stop {
            return Err(error);
        }
        // A stale connection explains nothing.
        upload.attempts.cause = Some(Cause { error, already_counted: true }).filter(|cause| !cause.error.is_stale());
        Ok(())
    }

    /// Notes that a request broke of which so many bytes went out in that time.
    fn broke(&self, torn: Option<(u64, Duration)>, upload: &mut Upload<'_>) {
        let Some((sent, time)) = torn else { return };
        let between = std::mem::take(&mut upload.between) + sent;
        self.learn(|sizing| sizing.broke(sent, time, between));
    }

    /// Reports why the next request is made otherwise.
    async fn adjust(&self, upload: &mut Upload<'_>, error: RegistryError) -> Result<RegistryError, RegistryError> {
        upload.attempts.cause = None;
        let may = self.pause(&mut upload.attempts.adjustments, upload.meter.key(), &error).await?;
        if may { Ok(error) } else { Err(error) }
    }

    /// Takes in the registry's answer to how much it has.
    pub(super) fn report(
        &self,
        session: &mut UploadSession,
        upload: &mut Upload<'_>,
        Whereabouts { location, count }: Whereabouts,
    ) {
        if let Some(bytes) = session.answered(location, count)
            && self.learn(|sizing| sizing.chunk_too_large(bytes))
        {
            session.begins_right();
            upload.attempts.realigned = false;
        }
    }

    /// Returns whether an upload whose session is no good any more may begin again, and waits for it; else the reason.
    pub(super) async fn start_over(
        &self,
        session: &UploadSession,
        upload: &mut Upload<'_>,
    ) -> Result<(), RegistryError> {
        let (sent, key) = (upload.meter.position(), upload.meter.key());
        let attempts = &mut upload.attempts;
        if upload.starts == 0 && session.is_lost() {
            // The session was an earlier run's. The registry has removed it since, as all registries do.
            attempts.cause = None;
            if let Some(key) = key {
                self.retry_context.progress.emit(Event::Expired { key });
            }
        }
        if let Some(Cause { error, already_counted }) = attempts.cause.take() {
            let may = attempts.given_up < attempts.size.saturating_mul(MOST_GIVEN_UP)
                && (already_counted
                    || (attempts.torn && self.pause(&mut attempts.retries, key, &error).await?)
                    || self.pause(&mut attempts.restarts, key, &error).await?);
            if !may {
                return Err(error);
            }
        }
        attempts.gave_up(sent);
        if upload.starts == 0 {
            // The session was another run's.
            attempts.restarts.recover();
        }
        Ok(())
    }

    /// Ends an upload that failed. A session that the next run can go on with is kept.
    pub(super) async fn give_up(&self, session: &UploadSession, upload: &mut Upload<'_>, error: &RegistryError) {
        let fate = fate(error);
        // The first upload that meets a full storage stops the others, because their bytes need room too.
        let starved = self.starved.fetch_or(fate == Fate::FreesStorage, Ordering::Relaxed);
        let kept = upload.entry.as_ref().is_some_and(Entry::is_kept);
        if fate == Fate::Keep
            && !starved
            && kept
            && let Some(offset) = session.offset()
        {
            if let Some(key) = upload.meter.key() {
                self.retry_context.progress.emit(Event::Kept { key, offset });
            }
            return;
        }
        self.cancel(upload.repository, session).await;
        if let Some(entry) = &mut upload.entry {
            entry.forget();
        }
    }
}

/// What becomes of the session of an upload that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The fault may pass: the next run goes on with the session.
    Keep,
    /// No run can go on with it.
    Cancel,
    /// The registry's storage is full, or probably is. The bytes of all sessions of this run are given back.
    FreesStorage,
}

/// Returns the fate of a session by the error that ended its upload.
///
/// A commit that fails with 500 to the last attempt is how Gitea shows a full volume: it copies the session's bytes,
/// which then stand on the volume twice, and gives no reason. Where the reason is another one, the next run has to send
/// the blob again; a session that is kept takes up the room that every other push needs, for a day.
fn fate(error: &RegistryError) -> Fate {
    let failed_commit = |refused: &Refused| {
        refused.response.status == StatusCode::INTERNAL_SERVER_ERROR
            && refused.request.method() == Method::PUT
            && refused.request.path().contains("/uploads/")
    };
    if error.error_response().is_some_and(|refused| refused.response.storage_full || failed_commit(refused)) {
        return Fate::FreesStorage;
    }
    match FailureClass::of(error) {
        FailureClass::Cancelled
        | FailureClass::Unreachable
        | FailureClass::TimedOut
        | FailureClass::Disconnected
        | FailureClass::WrongProtocol => Fate::Keep,
        FailureClass::Status(status) if status.is_server_error() || matches!(status.as_u16(), 401 | 408 | 429) => {
            Fate::Keep
        }
        _ => Fate::Cancel,
    }
}

/// Returns whether a status request was refused for what it is.
fn is_unknown(error: &RegistryError) -> bool {
    let status = error.error_response().map(|refused| refused.response.status.as_u16());
    status.is_some_and(|status| !matches!(status, 401 | 403))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::error::RequestFacts;
    use crate::registry::http::error_response::ErrorResponse;

    #[test]
    fn what_becomes_of_a_session_whose_upload_failed() {
        let refused = |method: &Method, path: &str, status: u16, body: &str| {
            let uri = format!("http://h{path}").parse().expect("a URI");
            let (status, now) = (StatusCode::from_u16(status).expect("a status"), jiff::Timestamp::UNIX_EPOCH);
            let refusal = ErrorResponse::read(status, &::http::HeaderMap::new(), body.as_bytes(), now);
            fate(&RegistryError::refused(RequestFacts::of(method, &uri), refusal, true))
        };
        let (session, full) = ("/v2/a/blobs/uploads/1", "write: no space left on device");
        for (method, path, status, body, expected) in [
            (Method::PUT, session, 500, "", Fate::FreesStorage),
            (Method::PUT, session, 500, "<html><title>Internal Server Error - Gitea</title>", Fate::FreesStorage),
            (Method::PUT, session, 507, "", Fate::FreesStorage),
            (Method::PATCH, session, 500, full, Fate::FreesStorage),
            // The registry may be away, or the proxy impatient.
            (Method::PUT, session, 502, "", Fate::Keep),
            (Method::PUT, session, 503, "", Fate::Keep),
            (Method::PUT, session, 504, "", Fate::Keep),
            (Method::PUT, session, 429, "", Fate::Keep),
            (Method::PATCH, session, 500, "", Fate::Keep),
            (Method::GET, session, 500, "", Fate::Keep),
            (Method::PUT, "/v2/a/manifests/v1", 500, "", Fate::Keep),
            (Method::PUT, session, 400, "", Fate::Cancel),
            (Method::PUT, session, 403, "", Fate::Cancel),
        ] {
            assert_eq!(refused(&method, path, status, body), expected, "{method} {path} {status} {body}");
        }
        assert_eq!(fate(&RegistryError::Interrupted), Fate::Keep);
    }
}
