//! Pushing blobs (distribution-spec, "Pushing blobs"): at once, in chunks, or by mounting.

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderName};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use super::body::{Body, BodyError};
use super::error_response::{Code, ErrorResponse};
use super::range::{self, Chunk};
use super::registry::{Registry, Request, fault};
use super::reply::{self, Reply};
use super::route;
use super::sessions::{self, Session};
use crate::image::{Descriptor, Digest};
use crate::store::{BlobWriter, StoreError};

/// Bytes that are collected in memory before they are written.
const BATCH_BYTES: usize = 256 << 10;

/// Older clients read the session's id here.
const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// Why a body was not written to a blob completely. The bytes before the failure are kept.
enum Torn {
    Body(BodyError),
    Superseded,
    TooLong,
    Write(std::io::Error),
}

impl Registry {
    pub(super) async fn start_upload(
        self: &Arc<Self>,
        mut request: Request,
        repository: String,
    ) -> Result<Reply, ErrorResponse> {
        if let Some(mount) = request.query.get("mount") {
            let digest = route::digest(mount)?;
            // All repositories share one store, so `from` is not needed.
            if self.work(move |registry| registry.store.blob_size(digest).map_err(fault)).await?.is_some() {
                return Ok(created(&repository, digest));
            }
        }
        let digest = request.query.get("digest").map(route::digest).transpose()?;
        let writer = self.work(|registry| registry.store.write_blob(registry.lease()?).map_err(fault)).await?;
        if let Some(digest) = digest {
            let (writer, received) = receive(writer, &mut request.body, None, |_| {}, std::future::pending()).await;
            received.map_err(|torn| refuse(torn, None))?;
            self.commit(writer?, digest).await?;
            return Ok(created(&repository, digest));
        }
        let (id, evicted) = self.sessions.open(&repository, writer, Instant::now())?;
        if evicted.is_some() {
            // Dropping it removes its file, which waits for the disk.
            self.discard(evicted).await?;
        }
        Ok(progress(StatusCode::ACCEPTED, &repository, &id, 0))
    }

    pub(super) fn upload_status(&self, repository: &str, id: &str) -> Result<Reply, ErrorResponse> {
        let session = self.sessions.find(repository, id)?;
        Ok(progress(StatusCode::NO_CONTENT, repository, id, session.offset()))
    }

    pub(super) async fn continue_upload(
        self: &Arc<Self>,
        request: Request,
        repository: &str,
        id: &str,
    ) -> Result<Reply, ErrorResponse> {
        let session = self.sessions.find(repository, id)?;
        let writer = self.append(request, repository, id, &session).await?;
        drop(writer);
        Ok(progress(StatusCode::ACCEPTED, repository, id, session.offset()))
    }

    pub(super) async fn finish_upload(
        self: &Arc<Self>,
        request: Request,
        repository: &str,
        id: &str,
    ) -> Result<Reply, ErrorResponse> {
        let session = self.sessions.find(repository, id)?;
        let digest = request.query.get("digest").map(route::digest).transpose()?;
        let Some(digest) = digest else {
            return Err(ErrorResponse::bad(Code::DigestInvalid, "the upload's digest is missing"));
        };
        let mut claim = self.append(request, repository, id, &session).await?;
        let Some(writer) = claim.writer.take() else {
            return Err(ErrorResponse::fault(&std::io::Error::other("an upload lost its file")));
        };
        // A failure up to here leaves the session unchanged; after here the session ends in any case.
        let committed = self.commit(writer, digest).await;
        self.discard(self.sessions.close(id)).await?;
        committed?;
        Ok(created(repository, digest))
    }

    pub(super) async fn cancel_upload(self: &Arc<Self>, repository: &str, id: &str) -> Result<Reply, ErrorResponse> {
        let session = self.sessions.find(repository, id)?;
        let mut claim = session.claim().await?;
        let writer = claim.writer.take();
        self.discard((self.sessions.close(id), writer)).await?;
        Ok(Reply::new(StatusCode::NO_CONTENT))
    }

    /// Drops a value with a file on the blocking thread pool.
    async fn discard(self: &Arc<Self>, files: impl Send + 'static) -> Result<(), ErrorResponse> {
        self.work(move |_| {
            drop(files);
            Ok(())
        })
        .await
    }

    /// Adds the request's body to the session, which then belongs to the caller.
    async fn append(
        self: &Arc<Self>,
        mut request: Request,
        repository: &str,
        id: &str,
        session: &Session,
    ) -> Result<sessions::Claim, ErrorResponse> {
        let chunk = announced(&request)?;
        let mut claim = session.claim().await?;
        let Some(writer) = claim.writer.take() else {
            return Err(ErrorResponse::fault(&std::io::Error::other("an upload lost its file")));
        };
        let start = writer.written();
        if let Some(chunk) = chunk
            && chunk.start != start
        {
            *claim.writer = Some(writer);
            let message = "the chunk does not start where the upload stands";
            return Err(ErrorResponse::new(StatusCode::RANGE_NOT_SATISFIABLE, Code::RangeInvalid, message)
                .with_detail(&json!({ "offset": start, "start": chunk.start }))
                .with_header(http::header::RANGE, reply::held(start))
                .with_header(http::header::LOCATION, reply::text(&location(repository, id))));
        }
        let limit = chunk.map(|chunk| chunk.length);
        let (writer, received) =
            receive(writer, &mut request.body, limit, |offset| session.advance(offset), claim.superseded()).await;
        match writer {
            // On a full disk, the partial blob would take space from blobs that can still be stored.
            Ok(writer) if matches!(received, Err(Torn::Write(_))) => {
                self.discard((self.sessions.close(id), writer)).await?;
                return received.map_err(|torn| refuse(torn, None)).map(|()| claim);
            }
            Ok(writer) => *claim.writer = Some(writer),
            Err(refusal) => {
                self.discard(self.sessions.close(id)).await?;
                return Err(refusal);
            }
        }
        let offset = session.offset();
        received.map_err(|torn| refuse(torn, Some(offset)))?;
        if limit.is_some_and(|limit| offset - start != limit) {
            let message = "the body is shorter than its content range says";
            return Err(
                ErrorResponse::bad(Code::SizeInvalid, message).with_header(http::header::RANGE, reply::held(offset))
            );
        }
        Ok(claim)
    }

    async fn commit(self: &Arc<Self>, writer: BlobWriter, digest: Digest) -> Result<(), ErrorResponse> {
        self.work(move |_| {
            let expected = Descriptor::new("application/octet-stream", digest, writer.written());
            writer.commit_as(&expected).map_err(|error| match error {
                StoreError::BlobDigest { expected, found } => {
                    ErrorResponse::bad(Code::DigestInvalid, "the upload has another digest than its URL says")
                        .with_detail(&json!({ "expected": expected, "found": found }))
                }
                error => fault(error),
            })
        })
        .await
    }
}

/// Returns the chunk that the headers announce; `None` when they leave it open.
fn announced(request: &Request) -> Result<Option<Chunk>, ErrorResponse> {
    let Some(header) = request.headers.get(CONTENT_RANGE) else { return Ok(None) };
    let chunk = header.to_str().ok().and_then(range::chunk);
    let chunk =
        chunk.ok_or_else(|| ErrorResponse::bad(Code::BlobUploadInvalid, "the content range is not `start-end`"))?;
    let length = request.header(CONTENT_LENGTH.as_str()).and_then(|text| text.parse::<u64>().ok());
    if length.is_some_and(|length| length != chunk.length) {
        return Err(ErrorResponse::bad(Code::SizeInvalid, "content length and content range differ")
            .with_detail(&json!({ "length": length, "range": chunk.length })));
    }
    Ok(Some(chunk))
}

/// Writes a body to a blob, at most `limit` bytes of it, until it ends, tears or `stop` comes.
///
/// The writer is returned even if the body was incomplete, so that the client can continue from there. It is lost only
/// if its thread panicked.
async fn receive(
    writer: BlobWriter,
    body: &mut Body,
    limit: Option<u64>,
    advance: impl Fn(u64),
    stop: impl Future<Output = ()>,
) -> (Result<BlobWriter, ErrorResponse>, Result<(), Torn>) {
    let mut stop = std::pin::pin!(stop);
    let mut writer = writer;
    let mut room = limit.unwrap_or(u64::MAX);
    let mut end = None;
    while end.is_none() {
        let mut batch: Vec<Bytes> = Vec::new();
        let mut gathered = 0;
        while end.is_none() && gathered < BATCH_BYTES {
            let frame = tokio::select! {
                biased;
                () = &mut stop => Err(Torn::Superseded),
                frame = body.next() => frame.map_err(Torn::Body),
            };
            match frame {
                Err(torn) => end = Some(Err(torn)),
                Ok(None) => end = Some(Ok(())),
                Ok(Some(mut bytes)) => {
                    if bytes.len() as u64 > room {
                        bytes.truncate(usize::try_from(room).unwrap_or(usize::MAX));
                        end = Some(Err(Torn::TooLong));
                    }
                    room -= bytes.len() as u64;
                    gathered += bytes.len();
                    batch.push(bytes);
                }
            }
        }
        let written = tokio::task::spawn_blocking(move || {
            let result = batch.iter().try_for_each(|bytes| writer.write_all(bytes));
            (writer, result)
        });
        match written.await {
            Ok((returned, result)) => {
                writer = returned;
                advance(writer.written());
                if let Err(error) = result {
                    return (Ok(writer), Err(Torn::Write(error)));
                }
            }
            Err(error) => return (Err(ErrorResponse::fault(&error)), Ok(())),
        }
    }
    (Ok(writer), end.unwrap_or(Ok(())))
}

fn refuse(torn: Torn, offset: Option<u64>) -> ErrorResponse {
    let refusal = match torn {
        Torn::Body(error) => error.refusal(Code::BlobUploadInvalid),
        Torn::Superseded => sessions::superseded(),
        Torn::TooLong => ErrorResponse::bad(Code::SizeInvalid, "the body is longer than its content range says"),
        Torn::Write(error) => ErrorResponse::fault(&error),
    };
    match offset {
        Some(offset) => refusal.with_header(http::header::RANGE, reply::held(offset)),
        None => refusal,
    }
}

fn location(repository: &str, id: &str) -> String {
    format!("/v2/{repository}/blobs/uploads/{id}")
}

fn progress(status: StatusCode, repository: &str, id: &str, offset: u64) -> Reply {
    let id_value = HeaderValue::from_str(id).expect("ids are hexadecimal digits");
    Reply::new(status).at(&location(repository, id)).holding(offset).with(UPLOAD_ID, id_value)
}

fn created(repository: &str, digest: Digest) -> Reply {
    Reply::new(StatusCode::CREATED).about(digest).at(&format!("/v2/{repository}/blobs/{digest}"))
}
