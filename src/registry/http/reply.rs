//! Answers: their headers first, their bodies bounded and under the stall limit.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{HeaderMap, LOCATION};
use http::{Method, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::super::answer::MAX_BODY_BYTES;
use super::super::error::{NetworkFault, RegistryError, RequestFacts, Violation, Wait};
use super::super::origin::{self, Origin};
use super::super::throttle::Throttle;
use super::TICK;
use super::fault::{classify, root_cause};
use super::record::Record;
use super::watch::{Abandon, rest};
use crate::progress::Interrupt;

/// Bytes of an unwanted body read to keep the connection.
const MAX_DISCARDED_BYTES: usize = 64 * 1024;
/// How long an explanation, or what nobody wants to know, is listened to as a whole.
const PATIENCE: Duration = Duration::from_secs(5);

/// An answer whose body has not been read.
pub(in crate::registry) struct Reply {
    pub(in crate::registry) status: StatusCode,
    pub(in crate::registry) headers: HeaderMap,
    /// Where it came from, after redirections.
    pub(in crate::registry) uri: Uri,
    pub(in crate::registry) method: Method,
    pub(super) body: Incoming,
    pub(super) stall: Duration,
    pub(super) stop: Option<[Interrupt; 2]>,
    pub(super) record: Record,
    pub(super) throttle: Arc<Throttle>,
    pub(super) _abandon: Abandon,
}

impl Reply {
    pub(in crate::registry) fn facts(&self) -> RequestFacts {
        RequestFacts::of(&self.method, &self.uri)
    }

    /// The `Location`, resolved and checked.
    pub(in crate::registry) fn location(&self, own: &Origin) -> Result<Uri, RegistryError> {
        let violation = |violation| RegistryError::protocol(&self.method, &self.uri, violation);
        let value = self.headers.get(LOCATION).ok_or_else(|| violation(Violation::NoLocation))?;
        let value = value.to_str().map_err(|_| violation(Violation::Header("Location")))?;
        origin::resolve(own, &self.uri, value).map_err(|reason| violation(Violation::Location(reason)))
    }

    /// The next bytes of the body; `None` at its end.
    pub(in crate::registry) async fn chunk(&mut self) -> Result<Option<Bytes>, RegistryError> {
        let result = self.next().await;
        match &result {
            Ok(bytes) => {
                let count = bytes.as_ref().map_or(0, Bytes::len);
                self.record.received(count);
                let wait = self.throttle.bytes(count, std::time::Instant::now());
                rest(wait, || self.stop.iter().flatten().any(Interrupt::requested)).await?;
            }
            Err(error) => self.record.failed(error),
        }
        result
    }

    async fn next(&mut self) -> Result<Option<Bytes>, RegistryError> {
        let since = Instant::now();
        loop {
            let failed = |fault, source| RegistryError::Network {
                request: RequestFacts::of(&self.method, &self.uri),
                fault,
                source,
            };
            match tokio::time::timeout(TICK, self.body.frame()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) if bytes.is_empty() => {}
                    Ok(bytes) => return Ok(Some(bytes)),
                    Err(_trailers) => {}
                },
                Ok(Some(Err(error))) => {
                    let mut fault = classify(&error);
                    if let NetworkFault::Timeout { limit, .. } = &mut fault {
                        *limit = self.stall;
                    }
                    return Err(failed(fault, root_cause(&error)));
                }
                Err(_) if self.stop.iter().flatten().any(Interrupt::requested) => {
                    return Err(RegistryError::Interrupted);
                }
                Err(_) if since.elapsed() > self.stall => {
                    return Err(failed(NetworkFault::Timeout { wait: Wait::Stall, limit: self.stall }, None));
                }
                Err(_) => {}
            }
        }
    }

    /// The whole body, which must not be longer than `limit` bytes.
    pub(in crate::registry) async fn bytes(mut self, limit: u64) -> Result<Bytes, RegistryError> {
        let mut bytes = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if (bytes.len() + chunk.len()) as u64 > limit {
                return Err(RegistryError::protocol(&self.method, &self.uri, Violation::TooLong(limit)));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }

    /// What there is of the body before long, up to the size of an error message, without what we showed.
    pub(in crate::registry) async fn beginning(&mut self) -> String {
        let mut bytes = Vec::new();
        let limit = PATIENCE.min(self.stall);
        let reading = async {
            while bytes.len() < MAX_BODY_BYTES
                && let Ok(Some(chunk)) = self.chunk().await
            {
                bytes.extend_from_slice(&chunk);
            }
        };
        // What came by then has to do.
        let _ = tokio::time::timeout(limit, reading).await;
        bytes.truncate(MAX_BODY_BYTES);
        self.record.hide(&String::from_utf8_lossy(&bytes))
    }

    /// Reads a short body to its end, so that the connection can be used again.
    pub(in crate::registry) async fn discard(mut self) {
        let limit = PATIENCE.min(self.stall);
        let reading = async {
            let mut read = 0;
            while read < MAX_DISCARDED_BYTES
                && let Ok(Some(chunk)) = self.chunk().await
            {
                read += chunk.len();
            }
        };
        // A new connection is sooner there than the end of a body that drips.
        let _ = tokio::time::timeout(limit, reading).await;
    }
}
