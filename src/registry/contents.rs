//! Blobs and manifests of a repository: blobs asked for, manifests received and stored.

use ::http::header::{ACCEPT, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, RANGE};
use ::http::{Method, StatusCode, Uri};

use bytes::Bytes;

use super::http::body::Payload;
use super::http::encoding::Encoding;
use super::http::{Call, Reply};
use super::retry::classification::Operation;
use super::{
    Access, Registry, RegistryError, Violation, check_digest, content_digest, content_length, content_type, empty,
    is_stored,
};
use crate::image::{Digest, Document, MAX_DOCUMENT_BYTES, media_type};

/// A manifest in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// By tag.
    Tag(&'a str),
    /// By digest.
    Digest(Digest),
}

impl std::fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// What a registry says of a manifest without sending it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestHead {
    /// Its digest; not all registries say.
    pub digest: Option<Digest>,
    /// Its media type.
    pub media_type: Option<String>,
    /// Its size in bytes.
    pub size: Option<u64>,
}

/// What a registry said to a manifest that it stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Whether it lists the manifest among the referrers of its subject; true where it has none.
    pub knows_subject: bool,
}

impl Registry {
    /// Size in bytes of a blob the repository has; `None` when it has not, or does not say how much of it.
    pub async fn head_blob(&self, repository: &str, digest: Digest) -> Result<Option<u64>, RegistryError> {
        let uri = self.uri(&format!("{repository}/blobs/{digest}"))?;
        let reply = self.retry(Operation::Ask, async || self.head(repository, head(&uri)).await).await?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        match size(&reply) {
            None if reply.method == Method::HEAD => self.measure(repository, &uri).await,
            size => Ok(size),
        }
    }

    /// Size in bytes of a blob that the registry has just said to have. Where HEAD does not know the blob, GET is asked.
    pub(super) async fn confirm_blob(&self, repository: &str, digest: Digest) -> Result<Option<u64>, RegistryError> {
        match self.head_blob(repository, digest).await? {
            None => self.measure(repository, &self.uri(&format!("{repository}/blobs/{digest}"))?).await,
            size => Ok(size),
        }
    }

    /// Size in bytes of a blob, by what the registry says when it is asked for the first of them.
    async fn measure(&self, repository: &str, uri: &Uri) -> Result<Option<u64>, RegistryError> {
        let ask = async || {
            let call = Call { headers: first_byte(), ..empty(Method::GET, uri.clone()) };
            self.call(Access::Push, repository, call).await
        };
        let reply = self.retry(Operation::Ask, ask).await?;
        // Otherwise it is not there after all, or not to be had: sending it is understood by everybody.
        Ok(size(&reply).filter(|_| matches!(reply.status, StatusCode::OK | StatusCode::PARTIAL_CONTENT)))
    }

    /// What the registry says of a manifest; `None` when it has none.
    pub async fn head_manifest(
        &self,
        repository: &str,
        target: Target<'_>,
    ) -> Result<Option<ManifestHead>, RegistryError> {
        let uri = self.uri(&format!("{repository}/manifests/{target}"))?;
        let ask = async || self.head(repository, Call { headers: accept_manifests(), ..head(&uri) }).await;
        let reply = self.retry(Operation::Ask, ask).await?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        Ok(Some(ManifestHead {
            digest: content_digest(&reply.headers),
            media_type: content_type(&reply.headers),
            size: content_length(&reply.headers),
        }))
    }

    /// The digest of a manifest that the registry has just said to have stored; `None` when it has none. Where HEAD does
    /// not know the manifest or does not tell the digest, GET is asked.
    pub async fn confirm_manifest(
        &self,
        repository: &str,
        target: Target<'_>,
    ) -> Result<Option<Digest>, RegistryError> {
        if let Some(digest) = self.head_manifest(repository, target).await?.and_then(|head| head.digest) {
            return Ok(Some(digest));
        }
        match self.get_manifest(repository, target).await {
            Ok(document) => Ok(Some(document.digest())),
            Err(RegistryError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends a HEAD; the answer is 200 or 404, or 206 to a GET that was sent instead.
    ///
    /// Some registries and the proxies before them refuse HEAD where they answer GET, and an answer to HEAD cannot say why
    /// it refuses. So a refusal is asked again with GET, unless that would make things worse: its answer is taken, or
    /// its reason.
    async fn head(&self, repository: &str, call: Call) -> Result<Reply, RegistryError> {
        let (uri, mut headers) = (call.uri.clone(), call.headers.clone());
        let error = match self.call(Access::Push, repository, call).await {
            Ok(reply) if matches!(reply.status, StatusCode::OK | StatusCode::NOT_FOUND) => return Ok(reply),
            Ok(mut reply) => Box::pin(self.refused(&mut reply)).await,
            Err(error) => error,
        };
        let hurts = |status| matches!(status, StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS);
        if error.error_response().is_none_or(|refused| hurts(refused.response.status)) {
            return Err(error);
        }
        if uri.path().contains("/blobs/") {
            headers.extend(first_byte());
        }
        let again = Call { method: Method::GET, uri, headers, payload: Payload::Empty };
        Box::pin(self.ask_again(repository, again, error)).await
    }

    /// Asks with GET what HEAD was refused for with `error`; fails with the reason that GET has, if it is refused as well.
    async fn ask_again(&self, repository: &str, again: Call, error: RegistryError) -> Result<Reply, RegistryError> {
        match self.call(Access::Push, repository, again).await {
            Ok(reply)
                if matches!(reply.status, StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_FOUND) =>
            {
                Ok(reply)
            }
            // Another refusal than before explains nothing: the fault has passed.
            Ok(mut reply) if Some(reply.status) == error.error_response().map(|refused| refused.response.status) => {
                Err(self.refused(&mut reply).await)
            }
            Err(explained) if explained.error_response().is_some() => Err(explained),
            _ => Err(error),
        }
    }

    /// Receives a manifest or index; its digest is checked against the target's or the registry's.
    pub async fn get_manifest(&self, repository: &str, target: Target<'_>) -> Result<Document, RegistryError> {
        self.retry(Operation::Ask, async || self.fetch_manifest(repository, target).await).await
    }

    async fn fetch_manifest(&self, repository: &str, target: Target<'_>) -> Result<Document, RegistryError> {
        let uri = self.uri(&format!("{repository}/manifests/{target}"))?;
        let mut call = empty(Method::GET, uri);
        call.headers = accept_manifests();
        let mut reply = self.call(Access::Pull, repository, call).await?;
        if reply.status != StatusCode::OK {
            return Err(self.refused(&mut reply).await);
        }
        let request = reply.facts();
        let declared = content_type(&reply.headers);
        let expected = match target {
            Target::Digest(digest) => Some(digest),
            Target::Tag(_) => content_digest(&reply.headers),
        };
        let encoding = reply.encoding();
        let bytes = decoded(reply.bytes(MAX_DOCUMENT_BYTES).await?, &encoding, expected);
        let found = Digest::of(&bytes);
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(RegistryError::DigestMismatch { request, expected, found });
        }
        Document::parse(declared.as_deref(), bytes.into()).map_err(|source| RegistryError::Document { request, source })
    }

    /// Stores exactly the document's bytes; the digest the registry answers with must be theirs.
    pub async fn put_manifest(
        &self,
        repository: &str,
        target: Target<'_>,
        document: &Document,
    ) -> Result<Stored, RegistryError> {
        let uri = self.uri(&format!("{repository}/manifests/{target}"))?;
        let mut headers = HeaderMap::new();
        let kind = HeaderValue::from_str(&document.descriptor.media_type)
            .map_err(|_| RegistryError::protocol(&Method::PUT, &uri, Violation::Header("Content-Type")))?;
        headers.insert(CONTENT_TYPE, kind);
        let put = async || {
            let payload = Payload::Bytes(document.bytes.clone().into());
            let call = Call { method: Method::PUT, uri: uri.clone(), headers: headers.clone(), payload };
            let mut reply = self.call(Access::Push, repository, call).await?;
            if !is_stored(reply.status) {
                return Err(self.refused(&mut reply).await);
            }
            check_digest(&reply, document.digest())?;
            let knows_subject = document.subject().is_none() || reply.headers.contains_key("oci-subject");
            reply.discard().await;
            Ok(Stored { knows_subject })
        };
        self.retry(Operation::Name, put).await
    }
}

/// The bytes of a document, decoded where the answer names an encoding and they are not the document as they are.
fn decoded(bytes: Bytes, encoding: &Encoding, expected: Option<Digest>) -> Bytes {
    let is_raw = match expected {
        Some(expected) => Digest::of(&bytes) == expected,
        None => bytes.trim_ascii_start().starts_with(b"{"),
    };
    if is_raw {
        return bytes;
    }
    encoding.decode(&bytes, MAX_DOCUMENT_BYTES).map_or(bytes, Bytes::from)
}

/// How much there is of what was asked for.
fn size(reply: &Reply) -> Option<u64> {
    if !reply.encoding().is_identity() {
        return None;
    }
    if reply.status == StatusCode::PARTIAL_CONTENT { whole(&reply.headers) } else { content_length(&reply.headers) }
}

fn first_byte() -> HeaderMap {
    HeaderMap::from_iter([(RANGE, HeaderValue::from_static("bytes=0-0"))])
}

/// How much there is of what an answer is a part of (RFC 9110 section 14.4).
fn whole(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_RANGE)?.to_str().ok()?.rsplit_once('/')?.1.parse().ok()
}

fn head(uri: &Uri) -> Call {
    empty(Method::HEAD, uri.clone())
}

fn accept_manifests() -> HeaderMap {
    [media_type::IMAGE_MANIFEST, media_type::IMAGE_INDEX, media_type::DOCKER_MANIFEST, media_type::DOCKER_MANIFEST_LIST]
        .into_iter()
        .map(|kind| (ACCEPT, HeaderValue::from_static(kind)))
        .collect()
}
