//! Drives an [`UploadSession`] over the wire.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::http::header::{AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RANGE};
use ::http::{Method, StatusCode, Uri};

use super::body::{BlobSource, Meter, Part, Payload};
use super::error::{RegistryError, Violation};
use super::http::{Call, Reply};
use super::reaction::Operation;
use super::upload::{Limits, State, Step, UploadSession, received};
use super::{Access, Registry, check_digest, empty, is_stored, origin, scope};
use crate::image::{Descriptor, Hasher};

/// How long cancelling a session may take; the registry forgets sessions by itself.
const CANCEL_LIMIT: Duration = Duration::from_secs(5);

/// What an upload came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uploaded {
    /// The bytes were sent and the registry committed the blob.
    Sent,
    /// The registry had the blob when asked for a session.
    Exists,
}

/// A blob to send, as far as it is hashed.
struct Blob<'a> {
    repository: &'a str,
    descriptor: &'a Descriptor,
    source: Arc<dyn BlobSource>,
    meter: &'a Meter,
    /// Has seen all acknowledged bytes.
    hasher: Hasher,
}

impl Registry {
    /// Sends a blob and has it committed: in one request up to the limit, in ordered chunks above it.
    /// A blob whose content has another digest is never committed. A session that fails is cancelled.
    ///
    /// 413 teaches a smaller limit, kept for all blobs of this registry.
    pub async fn upload_blob(
        &self,
        repository: &str,
        blob: &Descriptor,
        source: Arc<dyn BlobSource>,
        meter: &Meter,
    ) -> Result<Uploaded, RegistryError> {
        loop {
            let limits = self.limits();
            let Some(mut session) = self.open_session(repository, blob).await? else { return Ok(Uploaded::Exists) };
            let source = Arc::clone(&source);
            let hasher = Hasher::default();
            let mut upload = Blob { repository, descriptor: blob, source, meter, hasher };
            let Err(error) = self.drive(&mut session, limits, &mut upload).await else {
                return Ok(Uploaded::Sent);
            };
            let refused = in_flight(&session, blob.size);
            session.failed(error.refusal().map(|refused| refused.refusal.status));
            self.cancel(repository, &session).await;
            match limits.halved(refused) {
                Some(smaller) if matches!(error, RegistryError::TooLarge(_)) => self.learn_limits(smaller),
                _ => return Err(error),
            }
        }
    }

    /// Asks for a session; `None` when the registry answers that it has the blob.
    pub(super) async fn open_session(
        &self,
        repository: &str,
        blob: &Descriptor,
    ) -> Result<Option<UploadSession>, RegistryError> {
        let uri = self.uri(&format!("{repository}/blobs/uploads/"))?;
        let post = async || {
            let mut reply = self.call(Access::Push, repository, empty(Method::POST, uri.clone())).await?;
            match reply.status {
                StatusCode::CREATED => Ok(None),
                status if is_stored(status) => {
                    let location = reply.location(&self.own)?;
                    reply.discard().await;
                    Ok(Some(UploadSession::opened(location, blob.size)))
                }
                _ => Err(self.refused(&mut reply).await),
            }
        };
        self.persist(Operation::Open, post).await
    }

    async fn drive(
        &self,
        session: &mut UploadSession,
        limits: Limits,
        blob: &mut Blob<'_>,
    ) -> Result<(), RegistryError> {
        loop {
            let reply = match session.step(limits) {
                Step::Send { location, start, end } => self.patch(location, start, end, blob).await?,
                Step::Commit { location, start } => {
                    let reply = self.commit(&location, start, blob).await?;
                    check_digest(&reply, blob.descriptor.digest)?;
                    reply
                }
                Step::Done => return Ok(()),
                Step::StartOver => unreachable!("every failure ends the loop before the session is asked again"),
            };
            // A commit's Location is the blob's address and of no use here.
            let moves = matches!(session.state(), State::Sending { .. }) && reply.headers.contains_key(LOCATION);
            let location = if moves { Some(reply.location(&self.own)?) } else { None };
            let range = reply.headers.get(RANGE).and_then(|value| received(value.to_str().ok()?));
            let request = reply.facts();
            reply.discard().await;
            session.accepted(location, range).map_err(|violation| RegistryError::Protocol { request, violation })?;
        }
    }

    async fn patch(&self, location: Uri, start: u64, end: u64, blob: &mut Blob<'_>) -> Result<Reply, RegistryError> {
        let mut headers = octets();
        let range = HeaderValue::from_str(&format!("{start}-{}", end - 1)).expect("digits and a dash");
        headers.insert(CONTENT_RANGE, range);
        self.send_part(Method::PATCH, location, headers, (start, end), blob).await
    }

    async fn commit(&self, location: &Uri, start: u64, blob: &mut Blob<'_>) -> Result<Reply, RegistryError> {
        let Descriptor { digest, size, .. } = *blob.descriptor;
        let uri = origin::with_query(location, "digest", &digest.to_string())
            .map_err(|reason| RegistryError::protocol(&Method::PUT, location, Violation::Location(reason)))?;
        if start == size {
            let found = blob.hasher.clone().finish().0;
            if found != digest {
                return Err(RegistryError::SourceDigest { expected: digest, found });
            }
            let call = Call { method: Method::PUT, uri, headers: octets(), payload: Payload::Empty };
            let mut reply = self.call(Access::Push, blob.repository, call).await?;
            if is_stored(reply.status) {
                return Ok(reply);
            }
            return Err(self.refused(&mut reply).await);
        }
        self.send_part(Method::PUT, uri, octets(), (start, size), blob).await
    }

    async fn send_part(
        &self,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        (start, end): (u64, u64),
        blob: &mut Blob<'_>,
    ) -> Result<Reply, RegistryError> {
        let Descriptor { digest, size, .. } = *blob.descriptor;
        let advanced = Arc::new(Mutex::new(None));
        let payload = Payload::Part(Part {
            source: Arc::clone(&blob.source),
            start,
            end,
            hasher: blob.hasher.clone(),
            digest,
            last: end == size,
            meter: blob.meter.clone(),
            advanced: Arc::clone(&advanced),
        });
        let call = Call { method, uri, headers, payload };
        let mut reply = self.call(Access::Push, blob.repository, call).await?;
        if !is_stored(reply.status) {
            return Err(self.refused(&mut reply).await);
        }
        let advanced = advanced.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(hasher) = advanced else {
            // Accepted before all of it was sent: whatever was stored, it is not this blob.
            return Err(RegistryError::Protocol { request: reply.facts(), violation: Violation::Status(reply.status) });
        };
        blob.hasher = hasher;
        Ok(reply)
    }

    /// Tells the registry to forget a session. What comes of it does not matter.
    pub(super) async fn cancel(&self, repository: &str, session: &UploadSession) {
        let Some(location) = session.location() else { return };
        let mut call = empty(Method::DELETE, location.clone());
        if origin::Origin::of(location).as_ref() == Some(&self.own)
            && let Ok((value, _)) = self.auth.authorize(&self.transport, &scope(Access::Push, repository)).await
        {
            call.headers.extend(value.map(|value| (AUTHORIZATION, value)));
        }
        if let Some(reply) = self.transport.send_regardless(call, CANCEL_LIMIT).await {
            reply.discard().await;
        }
    }
}

/// Bytes of the request a session waits for.
fn in_flight(session: &UploadSession, size: u64) -> u64 {
    match session.state() {
        State::Sending { offset, end, .. } => end - offset,
        State::Committing { offset, .. } => size - offset,
        State::Open { .. } | State::Committed | State::Poisoned { .. } | State::Lost => 0,
    }
}

fn octets() -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))])
}
