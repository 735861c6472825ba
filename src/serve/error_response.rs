//! Error responses: a status and the envelope of the distribution spec ("Error Codes").

use http::header::{ALLOW, HeaderName, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::image::Digest;

/// The codes of the distribution spec 1.1, and of Docker's registry API where the spec has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameInvalid,
    NameUnknown,
    PaginationNumberInvalid,
    RangeInvalid,
    SizeInvalid,
    TooManyRequests,
    Unauthorized,
    Unknown,
    Unsupported,
}

impl Code {
    fn text(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::PaginationNumberInvalid => "PAGINATION_NUMBER_INVALID",
            Self::RangeInvalid => "RANGE_INVALID",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::TooManyRequests => "TOOMANYREQUESTS",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Unknown => "UNKNOWN",
            Self::Unsupported => "UNSUPPORTED",
        }
    }
}

/// A response that refuses a request.
#[derive(Debug)]
pub(super) struct ErrorResponse {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// What failed in the server. It is logged and never sent.
    pub(super) fault: Option<String>,
    errors: Vec<Value>,
}

impl ErrorResponse {
    pub(super) fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        let error = json!({ "code": code.text(), "message": message.into(), "detail": null });
        Self { status, headers: Vec::new(), fault: None, errors: vec![error] }
    }

    pub(super) fn bad(code: Code, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(super) fn not_found(code: Code, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// Adds machine-readable facts to the message.
    pub(super) fn with_detail(mut self, detail: &Value) -> Self {
        for error in &mut self.errors {
            error["detail"] = detail.clone();
        }
        self
    }

    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Returns a 405 for a path that exists; `allowed` lists its methods.
    pub(super) fn method(allowed: &'static str) -> Self {
        Self::not_allowed(allowed, "the method is not supported here")
    }

    /// Returns a 405 with the reason.
    pub(super) fn not_allowed(allowed: &'static str, message: &str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, Code::Unsupported, message)
            .with_header(ALLOW, HeaderValue::from_static(allowed))
    }

    pub(super) fn busy(message: &str) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, Code::TooManyRequests, message)
            .with_header(RETRY_AFTER, HeaderValue::from_static("5"))
    }

    /// Returns a 500 for a failure of the server; only the log has its reason.
    pub(super) fn fault(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut fault = error.to_string();
        let mut full = storage_full(error);
        let mut source = error.source();
        while let Some(cause) = source {
            fault = format!("{fault}: {cause}");
            full = full || storage_full(cause);
            source = cause.source();
        }
        let (status, message) = if full {
            (StatusCode::INSUFFICIENT_STORAGE, "the registry's disk is full")
        } else {
            (StatusCode::INTERNAL_SERVER_ERROR, "the registry failed; its log says why")
        };
        Self { fault: Some(fault), ..Self::new(status, Code::Unknown, message) }
    }

    /// Returns one error for each blob or manifest that `repository` would need.
    pub(super) fn missing(digests: &[Digest]) -> Self {
        let error = |digest: &Digest| {
            json!({
                "code": Code::ManifestBlobUnknown.text(),
                "message": format!("the manifest refers to {digest}, which is not stored"),
                "detail": { "digest": digest },
            })
        };
        Self {
            status: StatusCode::NOT_FOUND,
            headers: Vec::new(),
            fault: None,
            errors: digests.iter().map(error).collect(),
        }
    }

    /// Returns the error envelope as JSON.
    pub(super) fn body(&self) -> Vec<u8> {
        json!({ "errors": self.errors }).to_string().into_bytes()
    }
}

fn storage_full(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| {
        matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_has_code_message_and_detail() {
        let refusal = ErrorResponse::bad(Code::DigestInvalid, "no").with_detail(&json!({ "a": 1 }));
        assert_eq!(
            serde_json::from_slice::<Value>(&refusal.body()).expect("JSON"),
            json!({ "errors": [{ "code": "DIGEST_INVALID", "message": "no", "detail": { "a": 1 } }] })
        );
    }

    #[test]
    fn a_fault_tells_the_log_and_not_the_client() {
        let inner = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let error = crate::store::StoreError::io("read", std::path::Path::new("/secret/place"), inner);
        let refusal = ErrorResponse::fault(&error);
        assert_eq!(refusal.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!String::from_utf8(refusal.body()).expect("text").contains("/secret"));
        assert!(refusal.fault.expect("told").contains("/secret/place`: permission denied"));
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let error = crate::store::StoreError::io("write", std::path::Path::new("x"), full);
        assert_eq!(ErrorResponse::fault(&error).status, StatusCode::INSUFFICIENT_STORAGE);
    }

    #[test]
    fn everything_missing_is_named() {
        let digests = [Digest::of(b"a"), Digest::of(b"b")];
        let body = String::from_utf8(ErrorResponse::missing(&digests).body()).expect("text");
        assert!(digests.iter().all(|digest| body.contains(&digest.to_string())), "{body}");
    }
}
