//! Parses a request's path into an endpoint (distribution-spec, "Endpoints"), without I/O.

use percent_encoding::percent_decode_str;

use super::error_response::{Code, ErrorResponse};
use crate::image::{Digest, Reference};

/// The longest path, in bytes, that can hold an accepted repository name.
const MAX_PATH_BYTES: usize = 1024;

/// An endpoint with the parameters from the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Base,
    Catalog,
    Tags { repository: String },
    Manifest { repository: String, reference: ManifestReference },
    Blob { repository: String, digest: Digest },
    Uploads { repository: String },
    Upload { repository: String, id: String },
    Referrers,
}

/// The reference of a manifest in a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ManifestReference {
    Tag(String),
    Digest(Digest),
    /// Text that is not a valid tag: no manifest has it, and none may be pushed under it.
    Invalid(String),
}

impl Route {
    pub(super) fn parse(path: &str) -> Result<Self, ErrorResponse> {
        let unknown = || ErrorResponse::not_found(Code::Unsupported, "there is no such endpoint");
        if path.len() > MAX_PATH_BYTES {
            return Err(ErrorResponse::new(http::StatusCode::URI_TOO_LONG, Code::NameInvalid, "the path is too long"));
        }
        let rest = match path.strip_prefix("/v2") {
            Some("" | "/") => return Ok(Self::Base),
            Some(rest) => rest.strip_prefix('/').ok_or_else(unknown)?,
            None => return Err(unknown()),
        };
        let mut segments = Vec::new();
        for segment in rest.split('/') {
            let decoded = percent_decode_str(segment).decode_utf8().ok().filter(|text| !text.contains('/'));
            segments.push(decoded.ok_or_else(|| ErrorResponse::bad(Code::NameInvalid, "the path is not valid"))?);
        }
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        match segments.as_slice() {
            ["_catalog"] => Ok(Self::Catalog),
            [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", ""] => {
                Ok(Self::Uploads { repository: repository(name)? })
            }
            [name @ .., "blobs", "uploads", id] => {
                Ok(Self::Upload { repository: repository(name)?, id: (*id).to_owned() })
            }
            [name @ .., "tags", "list"] => Ok(Self::Tags { repository: repository(name)? }),
            [name @ .., "manifests", reference] => {
                Ok(Self::Manifest { repository: repository(name)?, reference: manifest_reference(reference)? })
            }
            [name @ .., "blobs", text] => Ok(Self::Blob { repository: repository(name)?, digest: digest(text)? }),
            [name @ .., "referrers", text] => {
                repository(name)?;
                digest(text)?;
                Ok(Self::Referrers)
            }
            _ => Err(unknown()),
        }
    }
}

/// Returns a digest as a client wrote it.
pub(super) fn digest(text: &str) -> Result<Digest, ErrorResponse> {
    text.parse().map_err(|error: crate::image::DigestError| ErrorResponse::bad(Code::DigestInvalid, error.to_string()))
}

fn repository(segments: &[&str]) -> Result<String, ErrorResponse> {
    let name = segments.join("/");
    match Reference::from_parts(None, &name, None) {
        Ok(_) => Ok(name),
        Err(error) => Err(ErrorResponse::bad(Code::NameInvalid, error.to_string())),
    }
}

fn manifest_reference(text: &str) -> Result<ManifestReference, ErrorResponse> {
    if text.contains(':') {
        return Ok(ManifestReference::Digest(digest(text)?));
    }
    Ok(match Reference::from_parts(None, "x", Some(text)) {
        Ok(_) => ManifestReference::Tag(text.to_owned()),
        Err(_) => ManifestReference::Invalid(text.chars().take(128).collect()),
    })
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn endpoints() {
        let digest = Digest::of(b"");
        let name = |text: &str| text.to_owned();
        let tag = |text: &str| ManifestReference::Tag(text.to_owned());
        for (path, expected) in [
            ("/v2".to_owned(), Route::Base),
            ("/v2/".to_owned(), Route::Base),
            ("/v2/_catalog".to_owned(), Route::Catalog),
            ("/v2/app/tags/list".to_owned(), Route::Tags { repository: name("app") }),
            ("/v2/a/b/c/manifests/v1".to_owned(), Route::Manifest { repository: name("a/b/c"), reference: tag("v1") }),
            (
                format!("/v2/app/manifests/{digest}"),
                Route::Manifest { repository: name("app"), reference: ManifestReference::Digest(digest) },
            ),
            (
                "/v2/app/manifests/.x".to_owned(),
                Route::Manifest { repository: name("app"), reference: ManifestReference::Invalid(name(".x")) },
            ),
            (format!("/v2/app/blobs/{digest}"), Route::Blob { repository: name("app"), digest }),
            (format!("/v2/app/blobs/{digest}").replace(':', "%3A"), Route::Blob { repository: name("app"), digest }),
            ("/v2/app/blobs/uploads".to_owned(), Route::Uploads { repository: name("app") }),
            ("/v2/app/blobs/uploads/".to_owned(), Route::Uploads { repository: name("app") }),
            ("/v2/app/blobs/uploads/0a".to_owned(), Route::Upload { repository: name("app"), id: name("0a") }),
            ("/v2/blobs/uploads/blobs/uploads/".to_owned(), Route::Uploads { repository: name("blobs/uploads") }),
            (
                "/v2/manifests/manifests/tags".to_owned(),
                Route::Manifest { repository: name("manifests"), reference: tag("tags") },
            ),
            (format!("/v2/app/referrers/{digest}"), Route::Referrers),
        ] {
            assert_eq!(Route::parse(&path).unwrap_or_else(|refusal| panic!("{path}: {refusal:?}")), expected, "{path}");
        }
    }

    #[test]
    fn refusals() {
        for (path, status) in [
            ("/".to_owned(), StatusCode::NOT_FOUND),
            ("/v1/".to_owned(), StatusCode::NOT_FOUND),
            ("/v2x".to_owned(), StatusCode::NOT_FOUND),
            ("/v2/app".to_owned(), StatusCode::NOT_FOUND),
            ("/v2/App/tags/list".to_owned(), StatusCode::BAD_REQUEST),
            ("/v2//tags/list".to_owned(), StatusCode::BAD_REQUEST),
            ("/v2/a//b/tags/list".to_owned(), StatusCode::BAD_REQUEST),
            ("/v2/../x/tags/list".to_owned(), StatusCode::BAD_REQUEST),
            ("/v2/a%2Fb/tags/list".to_owned(), StatusCode::BAD_REQUEST),
            ("/v2/%ff/tags/list".to_owned(), StatusCode::BAD_REQUEST),
            ("/v2/app/blobs/sha256:12".to_owned(), StatusCode::BAD_REQUEST),
            ("/v2/app/blobs/nothing".to_owned(), StatusCode::BAD_REQUEST),
            ("/v2/app/manifests/sha256:12".to_owned(), StatusCode::BAD_REQUEST),
            (format!("/v2/{}/tags/list", "a".repeat(256)), StatusCode::BAD_REQUEST),
            (format!("/v2/{}/tags/list", "a".repeat(2000)), StatusCode::URI_TOO_LONG),
        ] {
            let refusal = Route::parse(&path).expect_err(&path);
            assert_eq!(refusal.status, status, "{path}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(path in ".{0,200}") {
            let _ = Route::parse(&path);
            let _ = Route::parse(&format!("/v2/{path}"));
        }

        #[test]
        fn whatever_is_accepted_has_a_valid_name(path in "/v2/[a-z./%_:-]{0,30}/(manifests|blobs|tags|uploads)/[a-z:/]{0,8}") {
            let Ok(
                Route::Tags { repository: name }
                | Route::Manifest { repository: name, .. }
                | Route::Blob { repository: name, .. }
                | Route::Uploads { repository: name }
                | Route::Upload { repository: name, .. },
            ) = Route::parse(&path)
            else {
                return Ok(());
            };
            prop_assert!(Reference::from_parts(None, &name, Some("v1")).is_ok());
        }
    }
}
