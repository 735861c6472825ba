//! Manifests by tag and by digest.
//!
//! A manifest belongs to a repository from its push, by tag or by digest, until it is deleted by
//! digest or the store is pruned; the store's index records it, so a tag that moves and a restart change
//! nothing. Manifests that an index of the repository refers to belong to it too.

use std::sync::Arc;

use http::StatusCode;
use serde_json::json;

use super::body::take_turn;
use super::error_response::{Code, ErrorResponse};
use super::limits::SMALL_DOCUMENT;
use super::names::{self, Repository};
use super::registry::{Registry, Request, fault};
use super::reply::{Content, Reply};
use super::route::ManifestReference;
use crate::image::{self, Descriptor, Digest, Document, DocumentError, MAX_DOCUMENT_BYTES, media_type};
use crate::store::StoreError;

/// How deep indexes within indexes are followed.
const MAX_NESTING: usize = 4;

/// How many missing blobs one error lists.
const MAX_NAMED: usize = 100;

impl Registry {
    pub(super) async fn get_manifest(
        self: &Arc<Self>,
        request: &Request,
        repository: String,
        reference: ManifestReference,
    ) -> Result<Reply, ErrorResponse> {
        let host = request.host().map(str::to_owned);
        let head = request.method == http::Method::HEAD;
        let missing = unknown(&repository, &reference);
        let found = self.work(move |registry| {
            let found = registry.find(&repository, &reference, host.as_deref())?;
            let descriptor = found.ok_or_else(|| unknown(&repository, &reference))?;
            let is_large = descriptor.size > SMALL_DOCUMENT;
            Ok(if is_large { (descriptor, None) } else { (descriptor.clone(), Some(registry.read(&descriptor)?)) })
        });
        let (descriptor, mut content) = found.await?;
        if content.is_none() {
            let deadline = tokio::time::Instant::now() + self.limits.document_time;
            let turn = take_turn(&self.turns, deadline).await?;
            let large = descriptor.clone();
            content = Some(self.work(move |registry| registry.read(&large)).await?);
            drop(turn);
        }
        let content = content.flatten().ok_or(missing)?;
        let length = descriptor.size;
        let content = if head { Content::Empty } else { content };
        Ok(Reply::new(StatusCode::OK)
            .about(descriptor.digest)
            .with(http::header::ETAG, super::reply::text(&super::reply::entity_tag(descriptor.digest)))
            .with_content(&descriptor.media_type, length, content))
    }

    /// Reads a manifest and checks its digest; returns `None` if it is not stored.
    ///
    /// A large manifest is sent from its file, so that a slow client holds no memory.
    fn read(&self, descriptor: &Descriptor) -> Result<Option<Content>, ErrorResponse> {
        let bytes = match self.store.read_document(descriptor) {
            Ok(bytes) => bytes,
            Err(StoreError::MissingBlob(_)) => return Ok(None),
            Err(error) => return Err(fault(error)),
        };
        if bytes.len() as u64 <= SMALL_DOCUMENT {
            return Ok(Some(Content::Bytes(bytes)));
        }
        let file = self.store.open_blob(descriptor.digest).map_err(fault)?;
        Ok(file.map(|file| Content::File { file, length: descriptor.size }))
    }

    fn find(
        &self,
        repository: &str,
        reference: &ManifestReference,
        host: Option<&str>,
    ) -> Result<Option<Descriptor>, ErrorResponse> {
        let entries = self.entries()?;
        let found = Repository::find(&entries, repository, host).unwrap_or_default();
        match reference {
            ManifestReference::Invalid(_) => Ok(None),
            ManifestReference::Tag(tag) => Ok(found.tags.get(tag).map(|entry| entry.descriptor.clone())),
            ManifestReference::Digest(digest) => self.below(found.descriptors().cloned().collect(), *digest),
        }
    }

    /// Returns the descriptor of `digest` among `level` or in the indexes there.
    fn below(&self, mut level: Vec<Descriptor>, digest: Digest) -> Result<Option<Descriptor>, ErrorResponse> {
        for _ in 0..=MAX_NESTING {
            if let Some(found) = level.iter().find(|descriptor| descriptor.digest == digest) {
                return Ok(Some(found.clone()));
            }
            level.retain(|descriptor| media_type::is_index(&descriptor.media_type));
            level.sort_by_key(|descriptor| descriptor.digest);
            level.dedup_by_key(|descriptor| descriptor.digest);
            let mut next = Vec::new();
            for descriptor in level {
                match self.store.document(&descriptor) {
                    Ok(Document { content: image::Content::Index(index), .. }) => next.extend(index.manifests),
                    Ok(_) | Err(StoreError::MissingBlob(_)) => {}
                    Err(error) => return Err(fault(error)),
                }
            }
            level = next;
        }
        Ok(None)
    }

    pub(super) async fn put_manifest(
        self: &Arc<Self>,
        mut request: Request,
        repository: String,
        reference: ManifestReference,
    ) -> Result<Reply, ErrorResponse> {
        if let ManifestReference::Invalid(tag) = &reference {
            return Err(ErrorResponse::bad(Code::ManifestInvalid, "this is not a valid tag")
                .with_detail(&json!({ "tag": tag })));
        }
        let deadline = tokio::time::Instant::now() + self.limits.document_time;
        let (bytes, turn) = request.body.whole(MAX_DOCUMENT_BYTES, &self.turns, deadline).await?;
        let declared = request.header("content-type").map(str::to_owned);
        let (digest, location) =
            self.work(move |registry| registry.keep(&repository, &reference, declared.as_deref(), bytes)).await?;
        drop(turn);
        Ok(Reply::new(StatusCode::CREATED).about(digest).at(&location))
    }

    fn keep(
        &self,
        repository: &str,
        reference: &ManifestReference,
        declared: Option<&str>,
        bytes: Vec<u8>,
    ) -> Result<(Digest, String), ErrorResponse> {
        let lease = self.lease()?;
        let document = parse(declared, bytes)?;
        let digest = document.digest();
        if let ManifestReference::Digest(wanted) = reference
            && *wanted != digest
        {
            return Err(ErrorResponse::bad(Code::DigestInvalid, "the manifest has another digest than its URL says")
                .with_detail(&json!({ "expected": wanted, "found": digest })));
        }
        let mut missing = Vec::new();
        for descriptor in document.references() {
            match self.store.check_blob(descriptor) {
                Ok(()) => {}
                Err(StoreError::MissingBlob(digest)) => missing.push(digest),
                Err(StoreError::BlobSize { digest, expected, found }) => {
                    return Err(ErrorResponse::bad(
                        Code::SizeInvalid,
                        "the manifest gives a blob another size than it has",
                    )
                    .with_detail(&json!({ "digest": digest, "expected": expected, "found": found })));
                }
                Err(error) => return Err(fault(error)),
            }
        }
        if !missing.is_empty() {
            missing.truncate(MAX_NAMED);
            return Err(ErrorResponse::missing(&missing));
        }
        // A client may have pushed a configuration or manifest as a blob, whose content is unchecked so far.
        self.store.check_documents([&document]).map_err(|error| match error {
            StoreError::Document { digest, source } => invalid(Some(digest), &source),
            error @ (StoreError::Nesting(_) | StoreError::DocumentSize { .. }) => {
                ErrorResponse::bad(Code::ManifestInvalid, error.to_string())
            }
            error => fault(error),
        })?;
        self.store.put(lease, &document.descriptor.media_type, &document.bytes).map_err(fault)?;
        let (name, place) = match reference {
            ManifestReference::Tag(tag) => {
                let name = names::stored(repository, tag)
                    .map_err(|error| ErrorResponse::bad(Code::NameInvalid, error.to_string()))?;
                (Some(name), tag.clone())
            }
            ManifestReference::Digest(_) | ManifestReference::Invalid(_) => (None, digest.to_string()),
        };
        self.store.publish_in(lease, &document, repository, name.as_ref(), Some(&now())).map_err(fault)?;
        Ok((digest, format!("/v2/{repository}/manifests/{place}")))
    }

    pub(super) async fn delete_manifest(
        self: &Arc<Self>,
        request: &Request,
        repository: String,
        reference: ManifestReference,
    ) -> Result<Reply, ErrorResponse> {
        let host = request.host().map(str::to_owned);
        self.work(move |registry| registry.forget(&repository, &reference, host.as_deref())).await?;
        Ok(Reply::new(StatusCode::ACCEPTED))
    }

    fn forget(&self, repository: &str, reference: &ManifestReference, host: Option<&str>) -> Result<(), ErrorResponse> {
        let entries = self.entries()?;
        let found = Repository::find(&entries, repository, host).unwrap_or_default();
        let removed = match reference {
            ManifestReference::Invalid(_) => Ok(Vec::new()),
            ManifestReference::Tag(tag) => self.store.untag(&found.tagged(tag), repository),
            ManifestReference::Digest(digest) => self.store.remove(&found.holding(*digest)),
        };
        if !removed.map_err(fault)?.is_empty() {
            return Ok(());
        }
        if self.find(repository, reference, host)?.is_some() {
            return Err(ErrorResponse::not_allowed(
                "GET, HEAD, PUT",
                "the manifest is part of an index; delete the index",
            ));
        }
        Err(unknown(repository, reference))
    }
}

/// Parses a pushed manifest, which must be of the type that it is declared to be.
fn parse(declared: Option<&str>, bytes: Vec<u8>) -> Result<Document, ErrorResponse> {
    // Parameters such as a charset say nothing about the type.
    let declared = declared.map(|text| text.split(';').next().unwrap_or_default().trim());
    let own = Document::parse(None, bytes).map_err(|error| invalid(None, &error))?;
    let kind = &own.descriptor.media_type;
    let known = |text: &&str| media_type::is_index(text) || media_type::is_manifest(text);
    match declared.filter(known) {
        Some(declared) if declared != kind => Err(ErrorResponse::bad(
            Code::ManifestInvalid,
            format!("the content type is `{declared}`, the manifest's own is `{kind}`"),
        )),
        _ => Ok(own),
    }
}

/// Refuses a manifest because of its content, or the content of a document that it needs.
fn invalid(document: Option<Digest>, error: &DocumentError) -> ErrorResponse {
    let reason = std::error::Error::source(error).map(ToString::to_string);
    let detail = match document {
        Some(digest) => json!({ "digest": digest, "reason": reason }),
        None => json!({ "reason": reason }),
    };
    ErrorResponse::bad(Code::ManifestInvalid, error.to_string()).with_detail(&detail)
}

fn unknown(repository: &str, reference: &ManifestReference) -> ErrorResponse {
    let reference = match reference {
        ManifestReference::Tag(text) | ManifestReference::Invalid(text) => text.clone(),
        ManifestReference::Digest(digest) => digest.to_string(),
    };
    ErrorResponse::not_found(Code::ManifestUnknown, "there is no such manifest")
        .with_detail(&json!({ "name": repository, "reference": reference }))
}

/// Formats a time by RFC 3339 in whole seconds.
fn now() -> String {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::image::Manifest;

    #[test]
    fn the_declared_type_must_be_the_own_type() {
        let config = Descriptor::of(media_type::IMAGE_CONFIG, b"{}");
        let bytes = Document::from_manifest(Manifest::new(config, Vec::new(), BTreeMap::new())).bytes;
        for fine in [None, Some("application/json"), Some(media_type::IMAGE_MANIFEST), Some("")] {
            parse(fine, bytes.clone()).unwrap_or_else(|refusal| panic!("{fine:?}: {refusal:?}"));
        }
        parse(Some(&format!("{}; charset=utf-8", media_type::IMAGE_MANIFEST)), bytes.clone()).expect("parameters");
        for wrong in [media_type::DOCKER_MANIFEST, media_type::IMAGE_INDEX] {
            assert_eq!(parse(Some(wrong), bytes.clone()).expect_err(wrong).status, StatusCode::BAD_REQUEST);
        }
    }
}
