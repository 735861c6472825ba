//! Finds out whether a repository has a blob.

use ::http::header::{CONTENT_RANGE, HeaderMap};
use ::http::{Method, StatusCode, Uri};

use crate::image::Digest;
use crate::registry::answer::content_length;
use crate::registry::head::{first_byte, head};
use crate::registry::http::{Call, Reply};
use crate::registry::request::{Access, empty};
use crate::registry::retry::classification::Operation;
use crate::registry::{Registry, RegistryError};

impl Registry {
    /// Returns the size in bytes of a blob the repository has; `None` when it has not, or does not say how much of it.
    ///
    /// # Errors
    ///
    /// Any fault of the request but 404.
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

    /// Returns the size in bytes of a blob that the registry has just said to have. Where HEAD does not know the blob,
    /// GET is asked.
    pub(in crate::registry) async fn confirm_blob(
        &self,
        repository: &str,
        digest: Digest,
    ) -> Result<Option<u64>, RegistryError> {
        match self.head_blob(repository, digest).await? {
            None => self.measure(repository, &self.uri(&format!("{repository}/blobs/{digest}"))?).await,
            size => Ok(size),
        }
    }

    /// Returns the size in bytes of a blob, by what the registry says when it is asked for the first of them.
    async fn measure(&self, repository: &str, uri: &Uri) -> Result<Option<u64>, RegistryError> {
        let ask = async || {
            let call = Call { headers: first_byte(), ..empty(Method::GET, uri.clone()) };
            self.call(Access::Push, repository, call).await
        };
        let reply = self.retry(Operation::Ask, ask).await?;
        // Otherwise the registry does not have the blob after all, or does not hand it out: then it is sent, which
        // every registry understands.
        Ok(size(&reply).filter(|_| matches!(reply.status, StatusCode::OK | StatusCode::PARTIAL_CONTENT)))
    }
}

/// Returns the size in bytes that an answer to HEAD or GET states.
fn size(reply: &Reply) -> Option<u64> {
    if !reply.encoding().is_identity() {
        return None;
    }
    if reply.status == StatusCode::PARTIAL_CONTENT { whole(&reply.headers) } else { content_length(&reply.headers) }
}

/// Returns the size in bytes of the content of which an answer is a part (RFC 9110 section 14.4).
fn whole(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_RANGE)?.to_str().ok()?.rsplit_once('/')?.1.parse().ok()
}
