//! Manifests of a repository: asked for, received and stored.

mod referrers;

use ::http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use ::http::{Method, StatusCode};
use bytes::Bytes;

use super::answer::{check_digest, content_digest, content_length, content_type, is_stored};
use super::head::head;
use super::http::Call;
use super::http::body::Payload;
use super::http::encoding::Encoding;
use super::request::{Access, empty};
use super::retry::classification::Operation;
use super::{Registry, RegistryError, Violation};
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
    /// Returns what the registry says of a manifest; `None` when it has none.
    ///
    /// # Errors
    ///
    /// Any fault of the request but 404.
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

    /// Returns the digest of a manifest that the registry has just said to have stored; `None` when it has none. Where
    /// HEAD does not know the manifest or does not tell the digest, GET is asked.
    ///
    /// # Errors
    ///
    /// Any fault of the request but 404.
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

    /// Receives a manifest or index; its digest is checked against the target's or the registry's.
    ///
    /// # Errors
    ///
    /// [`RegistryError::NotFound`]; [`RegistryError::DigestMismatch`] where the content has another digest;
    /// [`RegistryError::Document`] where it is no manifest; any other fault of the request.
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
    ///
    /// # Errors
    ///
    /// [`RegistryError::DigestMismatch`] where the registry answers with another digest; any other fault of the
    /// request.
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

/// Returns the bytes of a document, decoded where the answer names an encoding and they are not the document as they
/// are.
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

fn accept_manifests() -> HeaderMap {
    [media_type::IMAGE_MANIFEST, media_type::IMAGE_INDEX, media_type::DOCKER_MANIFEST, media_type::DOCKER_MANIFEST_LIST]
        .into_iter()
        .map(|kind| (ACCEPT, HeaderValue::from_static(kind)))
        .collect()
}
