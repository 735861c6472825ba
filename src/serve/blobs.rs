//! Downloads of blobs, whole or in part, from their files.
//!
//! Every stored blob is available under every valid repository name: blobs are named by content, and the store has
//! one owner.

use std::io::{Seek, SeekFrom};
use std::sync::Arc;

use http::header::{CONTENT_RANGE, IF_RANGE, RANGE};
use http::{HeaderValue, Method, StatusCode};
use serde_json::json;

use super::error_response::{Code, ErrorResponse};
use super::range::{self, Wanted};
use super::registry::{Registry, Request, fault};
use super::reply::{self, Content, Reply};
use crate::image::Digest;
use crate::store::StoreError;

impl Registry {
    pub(super) async fn get_blob(self: &Arc<Self>, request: &Request, digest: Digest) -> Result<Reply, ErrorResponse> {
        let head = request.method == Method::HEAD;
        let current = request.header(IF_RANGE.as_str()).is_none_or(|tag| tag == reply::entity_tag(digest));
        let range = request.header(RANGE.as_str()).filter(|_| !head && current).map(str::to_owned);
        self.work(move |registry| {
            let path = registry.store.blob_path(digest);
            let failed = |source| fault(StoreError::io("read", &path, source));
            let Some(mut file) = registry.store.open_blob(digest).map_err(fault)? else {
                return Err(ErrorResponse::not_found(Code::BlobUnknown, "the blob is not stored")
                    .with_detail(&json!({ "digest": digest })));
            };
            let size = file.metadata().map_err(failed)?.len();
            let (status, start, length) = match range.as_deref().map_or(Wanted::Whole, |text| range::wanted(text, size))
            {
                Wanted::Whole => (StatusCode::OK, 0, size),
                Wanted::Part { start, length } => (StatusCode::PARTIAL_CONTENT, start, length),
                Wanted::Nothing => {
                    return Err(ErrorResponse::new(
                        StatusCode::RANGE_NOT_SATISFIABLE,
                        Code::RangeInvalid,
                        "the range lies outside of the blob",
                    )
                    .with_header(CONTENT_RANGE, reply::text(&format!("bytes */{size}"))));
                }
            };
            let content = if head {
                Content::Empty
            } else {
                file.seek(SeekFrom::Start(start)).map_err(failed)?;
                Content::File { file, length }
            };
            let mut reply = Reply::new(status)
                .about(digest)
                .validated(digest)
                .with("x-content-type-options", HeaderValue::from_static("nosniff"))
                .with_content("application/octet-stream", length, content);
            if status == StatusCode::PARTIAL_CONTENT {
                let range = format!("bytes {start}-{}/{size}", start + length - 1);
                reply = reply.with(CONTENT_RANGE, reply::text(&range));
            }
            Ok(reply)
        })
        .await
    }
}
