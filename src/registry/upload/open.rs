//! Begins an upload: in one request, by a mount, or with a session.

use std::sync::atomic::Ordering;

use ::http::{Method, StatusCode, Uri};
use oci_client::errors::OciErrorCode;

use super::session::UploadSession;
use super::state::{Upload, Uploaded};
use super::transfer::octets;
use crate::image::Descriptor;
use crate::registry::answer::{check_digest, is_stored, number};
use crate::registry::http::body::{Part, Payload};
use crate::registry::http::{Call, Reply, location};
use crate::registry::request::{Access, empty, scope};
use crate::registry::retry::classification::Operation;
use crate::registry::{Meter, Registry, RegistryError, Violation};

/// The largest blob that is sent with the POST, where that is known to work: larger ones are better off with a
/// session, which can go on after a fault.
const SINGLE: u64 = 64 << 10;
/// The largest with which it is found out, once a registry: where it does not work, so much is sent twice.
const FIRST_SINGLE: u64 = 4 << 10;

/// What the first request came to.
pub(super) enum Begun {
    /// The registry has the blob.
    Done(Uploaded),
    /// It waits for the bytes.
    Session(UploadSession),
}

impl Registry {
    /// Returns the size in bytes up to which a blob goes with the POST.
    fn largest_single(&self) -> u64 {
        match self.capabilities().single {
            Some(true) => SINGLE,
            Some(false) => 0,
            None => FIRST_SINGLE,
        }
    }

    /// Returns whether an upload of the blob should start without a HEAD: the registry looks for the blob by itself when
    /// it opens a session, and no earlier run saw the blob there. A POST that carries the blob would send its bytes for
    /// nothing if the registry has them, so small blobs are asked for.
    pub fn is_likely_new(&self, blob: &Descriptor) -> bool {
        let known = self.capabilities();
        let mounts = known.finds && known.mounts != Some(false);
        mounts && blob.size > self.largest_single() && !self.blob_info().knows(blob.digest)
    }

    /// Asks for a session, or for the blob to be taken without one.
    pub(super) async fn begin(&self, upload: &mut Upload<'_>) -> Result<Begun, RegistryError> {
        let largest = self.largest_single();
        let first = upload.starts == 0;
        upload.starts += 1;
        let at_once = first
            && upload.blob.size <= largest
            && (self.capabilities().single.is_some() || !self.probed.swap(true, Ordering::Relaxed));
        let mounting = first && !at_once && self.capabilities().mounts != Some(false);
        let begun = match (at_once, mounting) {
            (true, _) => self.at_once(upload).await?,
            (_, true) => self.mount(upload).await?,
            _ => None,
        };
        if let Some(begun) = begun {
            return Ok(begun);
        }
        let opened = self.open_session(upload.repository, upload.blob.size).await?;
        // The registry understands the plain request, so it did not understand the other one.
        match (upload.misled, at_once, mounting) {
            (false, true, _) => self.learn(|sizing| sizing.capabilities_mut().single = Some(false)),
            (false, false, true) => self.learn(|sizing| sizing.capabilities_mut().mounts = Some(false)),
            _ => {}
        }
        Ok(opened.map_or(Begun::Done(Uploaded::Exists), Begun::Session))
    }

    /// Asks for a session; `None` when the registry answers that it has the blob.
    pub(in crate::registry) async fn open_session(
        &self,
        repository: &str,
        size: u64,
    ) -> Result<Option<UploadSession>, RegistryError> {
        let uri = self.uri(&format!("{repository}/blobs/uploads/"))?;
        let post = async || {
            let mut reply = self.call(Access::Push, repository, empty(Method::POST, uri.clone())).await?;
            match reply.status {
                StatusCode::CREATED => Ok(None),
                status if is_stored(status) => self.opened(reply, size).await.map(Some),
                _ => Err(self.refused(&mut reply).await),
            }
        };
        self.retry(Operation::Open, post).await
    }

    async fn opened(&self, reply: Reply, size: u64) -> Result<UploadSession, RegistryError> {
        let location = reply.location(&self.own)?;
        if let Some(least) = number(&reply.headers, "oci-chunk-min-length") {
            self.learn(|sizing| sizing.at_least(least));
        }
        reply.discard().await;
        Ok(UploadSession::opened(location, size))
    }

    /// Sends one POST with all bytes. Returns `None` where the registry does not take blobs so.
    async fn at_once(&self, upload: &mut Upload<'_>) -> Result<Option<Begun>, RegistryError> {
        let digest = upload.blob.digest;
        let uri =
            self.uploads(upload.repository, &[("mount", &digest.to_string()), ("digest", &digest.to_string())])?;
        // The bytes count once the registry has accepted them.
        let part =
            Part { hasher: upload.hasher.restarted(), meter: Meter::silent(), ..upload.part(0, upload.blob.size) };
        let post = async || {
            let payload = Payload::Part(part.clone());
            let call = Call { method: Method::POST, uri: uri.clone(), headers: octets(), payload };
            self.attempted(self.call(Access::Push, upload.repository, call).await?).await
        };
        let reply = match self.retry_transfer(upload.meter.key(), Operation::Open, post).await.flatten() {
            Ok(reply) => reply,
            // The answer to the other request explains more.
            Err(error) if is_misunderstood(&error) => return Ok(None),
            // The fault may have passed by the next time, so nothing is learned from it.
            Err(error) if is_internal(&error) => {
                upload.misled = true;
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let taken = reply.status != StatusCode::ACCEPTED;
        self.learn(|sizing| sizing.capabilities_mut().single = Some(taken));
        if !taken {
            return self.opened(reply, upload.blob.size).await.map(|session| Some(Begun::Session(session)));
        }
        check_digest(&reply, digest)?;
        reply.discard().await;
        upload.meter.advance(upload.blob.size);
        Ok(Some(Begun::Done(Uploaded::Sent { resumed: 0 })))
    }

    /// Asks the registry to take the blob from another of its repositories. `None` when the question itself is
    /// not understood, or was answered with a blob that is not there.
    async fn mount(&self, upload: &mut Upload<'_>) -> Result<Option<Begun>, RegistryError> {
        let digest = upload.blob.digest;
        // A registry that finds mounts by itself looks in all repositories.
        let from = if self.capabilities().finds { None } else { self.blob_info().elsewhere(upload.repository, digest) };
        let text = digest.to_string();
        let mut query = vec![("mount", text.as_str())];
        let mut scope = scope(Access::Push, upload.repository);
        if let Some(from) = &from {
            query.push(("from", from));
            scope = format!("{scope} repository:{from}:pull");
        }
        let uri = self.uploads(upload.repository, &query)?;
        let post = async || self.attempted(self.call_within(&scope, empty(Method::POST, uri.clone())).await?).await;
        let reply = match self.retry_transfer(upload.meter.key(), Operation::Open, post).await.flatten() {
            Ok(reply) => reply,
            Err(error) if is_misunderstood(&error) => return Ok(None),
            // The fault may have passed by the next time, so nothing is learned from it.
            Err(error) if is_internal(&error) => {
                upload.misled = true;
                return Ok(None);
            }
            // The credential does not permit a mount from there.
            Err(error) if from.is_some() && error.error_response().is_some() => {
                upload.misled = true;
                self.blob_info().remove(from.as_deref().unwrap_or_default(), digest);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if reply.status != StatusCode::CREATED {
            if let Some(from) = from {
                self.blob_info().remove(&from, digest);
            }
            return self.opened(reply, upload.blob.size).await.map(|session| Some(Begun::Session(session)));
        }
        check_digest(&reply, digest)?;
        reply.discard().await;
        // Some registries answer so without having the blob.
        if self.confirm_blob(upload.repository, digest).await? != Some(upload.blob.size) {
            upload.misled = true;
            return Ok(None);
        }
        if from.is_none() {
            self.learn(|sizing| sizing.capabilities_mut().finds = true);
        }
        Ok(Some(Begun::Done(Uploaded::Mounted)))
    }

    /// Returns the outcome of a POST that asks for more than a session. One that fails inside of the registry is not
    /// repeated: asked for less, it may work.
    async fn attempted(&self, mut reply: Reply) -> Result<Result<Reply, RegistryError>, RegistryError> {
        match reply.status {
            StatusCode::INTERNAL_SERVER_ERROR => Ok(Err(self.refused(&mut reply).await)),
            status if is_stored(status) => Ok(Ok(reply)),
            _ => Err(self.refused(&mut reply).await),
        }
    }

    fn uploads(&self, repository: &str, query: &[(&str, &str)]) -> Result<Uri, RegistryError> {
        let mut uri = self.uri(&format!("{repository}/blobs/uploads/"))?;
        for (key, value) in query {
            uri = location::with_query(&uri, key, value)
                .map_err(|reason| RegistryError::protocol(&Method::POST, &uri, Violation::Location(reason)))?;
        }
        Ok(uri)
    }
}

/// Returns whether something failed inside of the registry.
fn is_internal(error: &RegistryError) -> bool {
    error.error_response().is_some_and(|refused| refused.response.status == StatusCode::INTERNAL_SERVER_ERROR)
}

/// Returns whether a refusal may be about the form of the question alone.
fn is_misunderstood(error: &RegistryError) -> bool {
    let Some(refused) = error.error_response() else { return false };
    let about_form = |code: &OciErrorCode| matches!(code, OciErrorCode::Unsupported | OciErrorCode::Other(_));
    matches!(refused.response.status.as_u16(), 400 | 405 | 411 | 415 | 422 | 501)
        && refused.response.errors.iter().all(|error| about_form(&error.code))
}
