//! Reads answers: status and headers, and the body of a refusing one.

use ::http::StatusCode;
use ::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};

use super::error::RegistryError;
use super::http::Reply;
use super::http::encoding::Encoding;
use super::http::error_response::ErrorResponse;
use crate::image::Digest;

/// Returns whether a status says that something was stored; registries use several.
pub(super) fn is_stored(status: StatusCode) -> bool {
    matches!(status, StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED | StatusCode::NO_CONTENT)
}

/// Returns the media type without parameters.
pub(super) fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next()?.trim().to_owned())
}

/// Returns the `Content-Length` of the content itself, which an encoded body does not have.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    number(headers, CONTENT_LENGTH.as_str()).filter(|_| Encoding::of(headers).is_identity())
}

pub(super) fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

/// Returns the `Docker-Content-Digest`, if its algorithm is supported.
pub(super) fn content_digest(headers: &HeaderMap) -> Option<Digest> {
    headers.get("docker-content-digest")?.to_str().ok()?.parse().ok()
}

/// Fails when the answer names another digest than what was sent.
pub(super) fn check_digest(reply: &Reply, expected: Digest) -> Result<(), RegistryError> {
    match content_digest(&reply.headers) {
        Some(found) if found != expected => {
            Err(RegistryError::DigestMismatch { request: reply.facts(), expected, found })
        }
        _ => Ok(()),
    }
}

/// Reads the body of a refusing answer, and returns the error that the answer stands for.
pub(super) async fn refused(reply: &mut Reply, credentials: bool) -> RegistryError {
    RegistryError::refused(reply.facts(), error_response(reply).await, credentials)
}

/// Reads the body of a refusing answer, and returns the whole response.
pub(super) async fn error_response(reply: &mut Reply) -> ErrorResponse {
    let body = reply.beginning().await;
    ErrorResponse::read(reply.status, &reply.headers, body.as_bytes(), jiff::Timestamp::now())
}
