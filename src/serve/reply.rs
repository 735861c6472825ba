//! Answers, before they are serialized.

use std::fs::File;

use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, IntoHeaderName, LOCATION, RANGE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::error_response::ErrorResponse;
use crate::image::Digest;

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Content {
    Empty,
    Bytes(Vec<u8>),
    /// `length` bytes of a file from its current position.
    File {
        file: File,
        length: u64,
    },
}

/// An answer's status, headers and body, with further facts for the log.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) content: Content,
    pub(super) user: Option<String>,
    pub(super) fault: Option<String>,
}

impl Reply {
    pub(super) fn new(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), content: Content::Empty, user: None, fault: None }
    }

    pub(super) fn with(mut self, name: impl IntoHeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(super) fn with_content(mut self, media_type: &str, length: u64, content: Content) -> Self {
        // A stored media type may be any text; one that is not a valid header value is left out.
        let media_type =
            HeaderValue::from_str(media_type).unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"));
        self.headers.insert(CONTENT_TYPE, media_type);
        self.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        self.content = content;
        self
    }

    pub(super) fn json(value: &serde_json::Value) -> Self {
        let bytes = value.to_string().into_bytes();
        let length = bytes.len() as u64;
        Self::new(StatusCode::OK).with_content("application/json", length, Content::Bytes(bytes))
    }

    /// Adds the digest of the content that the answer is about.
    pub(super) fn about(self, digest: Digest) -> Self {
        self.with(CONTENT_DIGEST, text(&digest.to_string()))
    }

    /// Adds the content's digest as its validator, and the offer of ranges.
    pub(super) fn validated(self, digest: Digest) -> Self {
        let tag = entity_tag(digest);
        self.with(ETAG, text(&tag)).with(ACCEPT_RANGES, HeaderValue::from_static("bytes"))
    }

    /// Adds a relative `Location`: only the client knows under which name and scheme it reached the server.
    pub(super) fn at(self, location: &str) -> Self {
        self.with(LOCATION, text(location))
    }

    /// Adds the range of an upload that the server holds.
    pub(super) fn holding(self, offset: u64) -> Self {
        self.with(RANGE, held(offset))
    }
}

impl From<ErrorResponse> for Reply {
    fn from(mut refusal: ErrorResponse) -> Self {
        let body = refusal.body();
        let length = body.len() as u64;
        let mut reply = Self::new(refusal.status).with_content("application/json", length, Content::Bytes(body));
        reply.headers.extend(refusal.headers.drain(..));
        reply.fault = refusal.fault;
        reply
    }
}

/// Returns `0-<last>` for `offset` bytes; an empty upload is written as `0-0`, as the specification requires.
pub(super) fn held(offset: u64) -> HeaderValue {
    text(&format!("0-{}", offset.saturating_sub(1)))
}

pub(super) fn entity_tag(digest: Digest) -> String {
    format!("\"{digest}\"")
}

/// Converts text of names and numbers into a header value.
pub(super) fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).expect("names, digests and numbers are visible ASCII")
}
