//! HEAD, and GET where a registry refuses it.

use ::http::header::{HeaderMap, HeaderValue, RANGE};
use ::http::{Method, StatusCode, Uri};

use super::Registry;
use super::error::RegistryError;
use super::http::body::Payload;
use super::http::{Call, Reply};
use super::request::{Access, empty};

impl Registry {
    /// Sends a HEAD; the answer is 200 or 404, or 206 to a GET that was sent instead.
    ///
    /// Some registries and the proxies before them refuse HEAD where they answer GET, and an answer to HEAD cannot say why
    /// it refuses. So a refusal is asked again with GET, unless that would make things worse: its answer is taken, or
    /// its reason.
    pub(super) async fn head(&self, repository: &str, call: Call) -> Result<Reply, RegistryError> {
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
            // A different refusal than before explains nothing: the fault has passed.
            Ok(mut reply) if Some(reply.status) == error.error_response().map(|refused| refused.response.status) => {
                Err(self.refused(&mut reply).await)
            }
            Err(explained) if explained.error_response().is_some() => Err(explained),
            _ => Err(error),
        }
    }
}

pub(super) fn first_byte() -> HeaderMap {
    HeaderMap::from_iter([(RANGE, HeaderValue::from_static("bytes=0-0"))])
}

pub(super) fn head(uri: &Uri) -> Call {
    empty(Method::HEAD, uri.clone())
}
