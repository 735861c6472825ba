//! The body of a request, read at a minimum rate and within limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error_response::{Code, ErrorResponse};
use super::limits::SMALL_DOCUMENT;
use super::pace::MinimumRate;
use crate::text;

/// The body of a request.
pub(super) struct Body {
    pub(super) incoming: Incoming,
    /// The rate below which the body is given up.
    pub(super) pace: MinimumRate,
    /// Bytes received so far, for the access log.
    pub(super) received: Arc<AtomicU64>,
}

/// Why a body ended early.
#[derive(Debug, Clone, Copy)]
pub(super) enum BodyError {
    /// The client sent less than the minimum rate for too long.
    Idle,
    /// The connection broke, or the body is not valid HTTP.
    Broken,
}

impl BodyError {
    /// Returns the answer for clients that are still connected.
    pub(super) fn refusal(self, code: Code) -> ErrorResponse {
        match self {
            Self::Idle => ErrorResponse::new(StatusCode::REQUEST_TIMEOUT, code, "the request's body stalled"),
            Self::Broken => ErrorResponse::bad(code, "the request's body broke off"),
        }
    }
}

impl Body {
    /// Returns the next bytes, at least one; `None` at the body's proper end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            let began = Instant::now();
            let frame = tokio::time::timeout(self.pace.left(), self.incoming.frame());
            let frame = frame.await.map_err(|_| BodyError::Idle)?;
            let waited = began.elapsed();
            let Some(frame) = frame else { return Ok(None) };
            // Trailers are not used by the distribution API.
            let Ok(bytes) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
            self.pace.note(bytes.len() as u64, waited);
            if !bytes.is_empty() {
                self.received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                return Ok(Some(bytes));
            }
        }
    }

    /// Returns a manifest's whole body, if it has at most `limit` bytes and arrives before `deadline`.
    ///
    /// A large body comes with a permit that the caller holds as long as the bytes.
    pub(super) async fn whole(
        &mut self,
        limit: u64,
        turns: &Arc<Semaphore>,
        deadline: tokio::time::Instant,
    ) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), ErrorResponse> {
        let too_large = || {
            ErrorResponse::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                Code::SizeInvalid,
                format!("a manifest may have {} at most", text::size(limit)),
            )
        };
        if http_body::Body::size_hint(&self.incoming).lower() > limit {
            return Err(too_large());
        }
        let mut whole = Vec::new();
        let mut turn = None;
        loop {
            let next = tokio::time::timeout_at(deadline, self.next()).await.unwrap_or(Err(BodyError::Idle));
            let Some(bytes) = next.map_err(|error| error.refusal(Code::ManifestInvalid))? else { break };
            let length = (whole.len() + bytes.len()) as u64;
            if length > limit {
                return Err(too_large());
            }
            if length > SMALL_DOCUMENT && turn.is_none() {
                turn = Some(take_turn(turns, deadline).await?);
            }
            whole.extend_from_slice(&bytes);
        }
        Ok((whole, turn))
    }
}

/// Waits until another large manifest may be in memory.
pub(super) async fn take_turn(
    turns: &Arc<Semaphore>,
    deadline: tokio::time::Instant,
) -> Result<OwnedSemaphorePermit, ErrorResponse> {
    match tokio::time::timeout_at(deadline, Arc::clone(turns).acquire_owned()).await {
        Ok(Ok(turn)) => Ok(turn),
        _ => Err(ErrorResponse::busy("too many large manifests are on their way")),
    }
}
