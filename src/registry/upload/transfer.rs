//! The requests of a session: chunks, the commit, its status, its end.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::http::header::{AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RANGE};
use ::http::{Method, Uri};

use super::range::{Count, Whereabouts};
use super::session::UploadSession;
use super::state::Upload;
use crate::image::Descriptor;
use crate::registry::answer::{check_digest, is_stored};
use crate::registry::http::body::{Part, Payload};
use crate::registry::http::origin::{self, Carried};
use crate::registry::http::{self, Call, Reply};
use crate::registry::request::{Access, empty, scope};
use crate::registry::{Registry, RegistryError, Violation};

/// How long cancelling a session may take; the registry forgets sessions by itself.
const CANCEL_LIMIT: Duration = Duration::from_secs(5);

impl Upload<'_> {
    /// Returns the bytes `start..end`, to be read when they are sent.
    pub(super) fn part(&self, start: u64, end: u64) -> Part {
        let Descriptor { digest, size, .. } = *self.blob;
        Part {
            source: Arc::clone(&self.source),
            start,
            end,
            hasher: self.hasher.clone(),
            digest,
            last: end == size,
            meter: self.meter.clone(),
            advanced: Arc::new(Mutex::new(None)),
        }
    }
}

impl Registry {
    /// PATCHes `bytes` of the blob; answers the session's newest address and its count of bytes.
    pub(super) async fn patch(
        &self,
        location: Uri,
        bytes: Range<u64>,
        upload: &mut Upload<'_>,
    ) -> Result<Whereabouts, RegistryError> {
        let reply = self.send_part(Method::PATCH, location, bytes, upload).await?;
        let answer = self.whereabouts(&reply)?;
        reply.discard().await;
        Ok(answer)
    }

    /// PUTs the bytes from `start` on and has the blob committed.
    pub(super) async fn commit(
        &self,
        location: &Uri,
        start: u64,
        upload: &mut Upload<'_>,
    ) -> Result<(), RegistryError> {
        let Descriptor { digest, size, .. } = *upload.blob;
        let uri = http::location::with_query(location, "digest", &digest.to_string())
            .map_err(|reason| RegistryError::protocol(&Method::PUT, location, Violation::Location(reason)))?;
        let reply = if start == size {
            let found = upload.hasher.digest(digest);
            if found != digest {
                return Err(RegistryError::SourceDigest { expected: digest, found });
            }
            let call = Call { headers: octets(), ..empty(Method::PUT, uri) };
            let mut reply = self.call(Access::Push, upload.repository, call).await?;
            if !is_stored(reply.status) {
                return Err(self.refused(&mut reply).await);
            }
            reply
        } else {
            self.send_part(Method::PUT, uri, start..size, upload).await?
        };
        check_digest(&reply, digest)?;
        // The Location is the blob's address, which is not needed.
        reply.discard().await;
        Ok(())
    }

    /// GETs the session's status; answers its newest address and its count of bytes.
    pub(super) async fn status(&self, repository: &str, location: &Uri) -> Result<Whereabouts, RegistryError> {
        let mut reply = self.call(Access::Push, repository, empty(Method::GET, location.clone())).await?;
        if !is_stored(reply.status) {
            return Err(self.refused(&mut reply).await);
        }
        let answer = self.whereabouts(&reply)?;
        reply.discard().await;
        Ok(answer)
    }

    fn whereabouts(&self, reply: &Reply) -> Result<Whereabouts, RegistryError> {
        let location = if reply.headers.contains_key(LOCATION) { Some(reply.location(&self.own)?) } else { None };
        let count = Count::parse(reply.headers.get(RANGE).and_then(|value| value.to_str().ok()));
        Ok(Whereabouts { location, count })
    }

    async fn send_part(
        &self,
        method: Method,
        uri: Uri,
        Range { start, end }: Range<u64>,
        upload: &mut Upload<'_>,
    ) -> Result<Reply, RegistryError> {
        let mut headers = octets();
        if end > start && (method == Method::PATCH || start > 0) {
            let range = HeaderValue::from_str(&format!("{start}-{}", end - 1)).expect("digits and a dash");
            headers.insert(CONTENT_RANGE, range);
        }
        upload.meter.set(start);
        let part = upload.part(start, end);
        let advanced = Arc::clone(&part.advanced);
        let call = Call { method, uri, headers, payload: Payload::Part(part) };
        let mut reply = self.call(Access::Push, upload.repository, call).await?;
        if !is_stored(reply.status) {
            return Err(self.refused(&mut reply).await);
        }
        let advanced = advanced.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(hasher) = advanced else {
            // The registry accepted the request before all of it was sent: whatever it stored, it may not be this blob.
            return Err(RegistryError::Protocol { request: reply.facts(), violation: Violation::Status(reply.status) });
        };
        upload.hasher = hasher;
        Ok(reply)
    }

    /// Asks the registry to forget a session; the answer does not matter.
    pub(in crate::registry) async fn cancel(&self, repository: &str, session: &UploadSession) {
        let Some(location) = session.location() else { return };
        let mut call = empty(Method::DELETE, location.clone());
        if origin::carries(Carried::Header, &self.own, location)
            && let Ok((value, _)) = self.auth.authorize(&self.transport, &scope(Access::Push, repository)).await
        {
            call.headers.extend(value.map(|value| (AUTHORIZATION, value)));
        }
        if let Some(reply) = self.transport.send_regardless(call, CANCEL_LIMIT).await {
            reply.discard().await;
        }
    }
}

pub(super) fn octets() -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))])
}
