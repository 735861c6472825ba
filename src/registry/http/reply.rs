//! Answers: their headers first, their bodies bounded and under the stall limit.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{HeaderMap, LOCATION};
use http::{Method, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::super::error::{NetworkFault, RegistryError, RequestFacts, Violation, Wait};
use super::TICK;
use super::encoding::Encoding;
use super::error_response::MAX_BODY_BYTES;
use super::fault::{classify, root_cause};
use super::location;
use super::origin::Origin;
use super::record::Record;
use super::watch::{Abandon, rest};
use crate::progress::Interrupt;
use crate::registry::retry::rates::Throttle;

/// Bytes of an unwanted body read to keep the connection.
const MAX_DISCARDED_BYTES: usize = 64 * 1024;
/// How long an error message, or an unwanted body, is read as a whole.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes that a body has to bring within the stall limit: less is no progress.
const LEAST: u64 = 1 << 10;
/// Bytes a second at which a document has to arrive in the mean, once the stall limit is over.
const SLOWEST: u64 = 16 << 10;

/// How fast a body arrives, by the time that was waited for it.
#[derive(Debug, Default)]
pub(super) struct Flow {
    waited: Duration,
    bytes: u64,
    /// Time waited and bytes received since the minimum was last met.
    recent: (Duration, u64),
}

impl Flow {
    /// Takes in a piece; the time after which the body counts as stalled, if that is now.
    fn take(&mut self, waited: Duration, bytes: u64, stall: Duration) -> Option<Duration> {
        self.waited += waited;
        self.bytes += bytes;
        self.recent = (self.recent.0 + waited, self.recent.1 + bytes);
        if self.recent.1 >= LEAST {
            self.recent = (Duration::ZERO, 0);
        }
        (self.recent.0 > stall).then_some(self.recent.0)
    }

    /// Returns the time after which a document, which has to arrive whole, counts as stalled, if that is now.
    fn is_late(&self, stall: Duration) -> Option<Duration> {
        let allowed = stall + Duration::from_secs(self.bytes / SLOWEST);
        (self.waited > allowed).then_some(self.waited)
    }
}

/// An answer whose body has not been read.
pub(in crate::registry) struct Reply {
    pub(in crate::registry) status: StatusCode,
    pub(in crate::registry) headers: HeaderMap,
    /// Where it came from, after redirections.
    pub(in crate::registry) uri: Uri,
    pub(in crate::registry) method: Method,
    pub(super) body: Incoming,
    pub(super) stall: Duration,
    pub(super) flow: Flow,
    pub(super) stop: Option<[Interrupt; 2]>,
    pub(super) record: Record,
    pub(super) throttle: Arc<Throttle>,
    pub(super) _abandon: Abandon,
}

impl Reply {
    pub(in crate::registry) fn facts(&self) -> RequestFacts {
        RequestFacts::of(&self.method, &self.uri)
    }

    /// Returns the `Location`, resolved and checked.
    pub(in crate::registry) fn location(&self, own: &Origin) -> Result<Uri, RegistryError> {
        self.location_unless(own, |_| false)
    }

    /// Returns the `Location` like [`Self::location`], but accepts any origin for which `open` returns true, whatever
    /// the scheme.
    pub(super) fn location_unless(&self, own: &Origin, open: impl Fn(&Origin) -> bool) -> Result<Uri, RegistryError> {
        let violation = |violation| RegistryError::protocol(&self.method, &self.uri, violation);
        let value = self.headers.get(LOCATION).ok_or_else(|| violation(Violation::NoLocation))?;
        let value = value.to_str().map_err(|_| violation(Violation::Header("Location")))?;
        location::resolve_unless(own, &self.uri, value, open).map_err(|reason| violation(Violation::Location(reason)))
    }

    /// Returns the next bytes of the body; `None` at its end.
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
            // Frames without bytes are no progress, however many come.
            if since.elapsed() > self.stall {
                let fault = NetworkFault::Timeout { wait: Wait::Stall, limit: self.stall };
                let request = RequestFacts::of(&self.method, &self.uri);
                return Err(RegistryError::Network { request, fault, source: None });
            }
            let failed = |fault, source| RegistryError::Network {
                request: RequestFacts::of(&self.method, &self.uri),
                fault,
                source,
            };
            match tokio::time::timeout(TICK, self.body.frame()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) if !bytes.is_empty() => {
                        let slow = self.flow.take(since.elapsed(), bytes.len() as u64, self.stall);
                        return slow.map_or(Ok(Some(bytes)), |waited| Err(self.slow(waited)));
                    }
                    // Trailers, or nothing.
                    _ if self.stop.iter().flatten().any(Interrupt::requested) => {
                        return Err(RegistryError::Interrupted);
                    }
                    _ => {}
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
                Err(_) => {}
            }
        }
    }

    fn slow(&self, waited: Duration) -> RegistryError {
        let fault = NetworkFault::Timeout { wait: Wait::Slow, limit: waited };
        RegistryError::Network { request: self.facts(), fault, source: None }
    }

    /// Returns the whole body, which must not be longer than `limit` bytes nor arrive too slowly.
    pub(in crate::registry) async fn bytes(mut self, limit: u64) -> Result<Bytes, RegistryError> {
        let mut bytes = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if (bytes.len() + chunk.len()) as u64 > limit {
                return Err(RegistryError::protocol(&self.method, &self.uri, Violation::TooLong(limit)));
            }
            bytes.extend_from_slice(&chunk);
            if let Some(waited) = self.flow.is_late(self.stall) {
                return Err(self.slow(waited));
            }
        }
        Ok(bytes.freeze())
    }

    /// Returns how the body is encoded.
    pub(in crate::registry) fn encoding(&self) -> Encoding {
        Encoding::of(&self.headers)
    }

    /// Returns a whole document of which no digest is known, decoded where it is encoded; see [`Self::bytes`].
    pub(in crate::registry) async fn document(self, limit: u64) -> Result<Bytes, RegistryError> {
        let encoding = self.encoding();
        let bytes = self.bytes(limit).await?;
        Ok(encoding.decode(&bytes, limit).map_or(bytes, Bytes::from))
    }

    /// Returns the beginning of the body that arrives in a short time, up to the size of an error message, without the
    /// secrets of the request.
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
        // The bytes that arrived in time have to do.
        let _ = tokio::time::timeout(limit, reading).await;
        bytes.truncate(MAX_BODY_BYTES);
        let encoding = self.encoding();
        if let Some(decoded) = encoding.decode_beginning(&bytes, MAX_BODY_BYTES as u64).filter(|text| !text.is_empty())
        {
            bytes = decoded;
        }
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
        // A new connection is faster than the end of a body that drips.
        let _ = tokio::time::timeout(limit, reading).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALL: Duration = Duration::from_mins(1);

    /// Returns after how many seconds a body is given up that brings so many bytes in each, as a stream and as a
    /// document.
    fn given_up(rate: u64) -> [Option<u64>; 2] {
        let mut flow = Flow::default();
        let mut found = [None; 2];
        for second in 1..=600 {
            let stream = flow.take(Duration::from_secs(1), rate, STALL);
            let document = flow.is_late(STALL);
            for (found, now) in found.iter_mut().zip([stream, document]) {
                *found = found.or(now.map(|_| second));
            }
        }
        found
    }

    #[test]
    fn a_body_that_drips_is_given_up() {
        for (rate, expected) in [
            (0, [Some(61), Some(61)]),
            (1, [Some(61), Some(61)]),
            (16, [Some(61), Some(61)]),
            // As slow as a modem: good enough for a blob, and for a document of a few hundred kilobytes.
            (1 << 10, [None, Some(65)]),
            (8 << 10, [None, Some(121)]),
            (16 << 10, [None, None]),
        ] {
            assert_eq!(given_up(rate), expected, "{rate} bytes a second");
        }
    }

    #[test]
    fn only_waiting_counts() {
        let mut flow = Flow::default();
        for _ in 0..10_000 {
            assert_eq!(flow.take(Duration::from_millis(10), 256 << 10, STALL), None);
        }
        assert_eq!(flow.is_late(STALL), None);
    }
}
