//! Answers requests: authenticates the user, chooses the endpoint, and returns its answer.

use std::sync::Arc;

use http::header::{HOST, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::json;
use tokio::sync::Semaphore;

use super::body::Body;
use super::error_response::{Code, ErrorResponse};
use super::limits::Limits;
use super::login::{Basic, Login, Users};
use super::names::{self, Repository};
use super::query::{Page, Query};
use super::reply::Reply;
use super::route::Route;
use super::sessions::Sessions;
use crate::store::{ImageStore, Lease, StoreError};

const READ: &str = "GET, HEAD";
const BLOB: &str = "GET, HEAD";
const UPLOADS: &str = "POST";
const UPLOAD: &str = "GET, PATCH, PUT, DELETE";
const MANIFEST: &str = "GET, HEAD, PUT, DELETE";

/// A request whose body has not been read.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    /// The server's address in the request line, if it has one.
    pub(super) authority: Option<String>,
    pub(super) body: Body,
}

impl Request {
    /// Returns `host` or `host:port` as the client addresses this server.
    pub(super) fn host(&self) -> Option<&str> {
        self.authority.as_deref().or_else(|| self.header(HOST.as_str()))
    }

    /// Returns a header's value, when it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The registry over one store.
pub(super) struct Registry {
    pub(super) store: ImageStore,
    /// `None` in read-only mode, which writes nothing that pruning could remove.
    pub(super) lease: Option<Arc<Lease>>,
    pub(super) users: Option<Arc<Users>>,
    pub(super) sessions: Sessions,
    /// Permits for large manifests, each of which is in memory as a whole.
    pub(super) turns: Arc<Semaphore>,
    pub(super) limits: Limits,
}

impl Registry {
    /// Answers a request; never fails.
    pub(super) async fn answer(self: Arc<Self>, request: Request) -> Reply {
        let user = match self.admit(&request).await {
            Ok(user) => user,
            Err(refusal) => return refusal.into(),
        };
        let reply = self.dispatch(request).await.unwrap_or_else(Reply::from);
        Reply { user, ..reply }
    }

    async fn admit(&self, request: &Request) -> Result<Option<String>, ErrorResponse> {
        let Some(users) = &self.users else { return Ok(None) };
        let header = request.headers.get(http::header::AUTHORIZATION);
        if let Some(basic) = header.and_then(|value| Basic::parse(value.as_bytes())) {
            let user = basic.user.clone();
            match users.admit(basic).await {
                Login::Admitted => return Ok(Some(user)),
                Login::Refused => {}
                Login::Busy => return Err(ErrorResponse::busy("too many logins are being checked")),
            }
        }
        let message = if header.is_some() { "user or password is wrong" } else { "authentication is required" };
        Err(ErrorResponse::new(StatusCode::UNAUTHORIZED, Code::Unauthorized, message)
            .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"idpbuilder\"")))
    }

    async fn dispatch(self: &Arc<Self>, request: Request) -> Result<Reply, ErrorResponse> {
        let route = Route::parse(&request.path)?;
        let method = request.method.clone();
        let read = matches!(method, Method::GET | Method::HEAD);
        if !read && self.lease.is_none() {
            return Err(ErrorResponse::not_allowed(READ, "this registry is read-only"));
        }
        match route {
            Route::Base if read => Ok(Reply::json(&json!({}))),
            Route::Catalog if read => self.catalog(&request).await,
            Route::Tags { repository } if read => self.tags(&request, repository).await,
            Route::Referrers if read => {
                // By the specification, a 404 makes clients use the referrers tag schema.
                Err(ErrorResponse::not_found(Code::Unsupported, "the referrers API is not supported"))
            }
            Route::Base | Route::Catalog | Route::Tags { .. } | Route::Referrers => Err(ErrorResponse::method(READ)),
            Route::Manifest { repository, reference } => match method {
                Method::GET | Method::HEAD => self.get_manifest(&request, repository, reference).await,
                Method::PUT => self.put_manifest(request, repository, reference).await,
                Method::DELETE => self.delete_manifest(&request, repository, reference).await,
                _ => Err(ErrorResponse::method(MANIFEST)),
            },
            Route::Blob { digest, .. } => match method {
                Method::GET | Method::HEAD => self.get_blob(&request, digest).await,
                Method::DELETE => Err(ErrorResponse::not_allowed(
                    BLOB,
                    "blobs are not deleted one by one; delete the manifest and prune the store",
                )),
                _ => Err(ErrorResponse::method(BLOB)),
            },
            Route::Uploads { repository } => match method {
                Method::POST => self.start_upload(request, repository).await,
                _ => Err(ErrorResponse::method(UPLOADS)),
            },
            Route::Upload { repository, id } => match method {
                Method::GET | Method::HEAD => self.upload_status(&repository, &id),
                Method::PATCH => self.continue_upload(request, &repository, &id).await,
                Method::PUT => self.finish_upload(request, &repository, &id).await,
                Method::DELETE => self.cancel_upload(&repository, &id).await,
                _ => Err(ErrorResponse::method(UPLOAD)),
            },
        }
    }

    async fn catalog(self: &Arc<Self>, request: &Request) -> Result<Reply, ErrorResponse> {
        let page = Page::of(&request.query, self.limits.page)?;
        let host = request.host().map(str::to_owned);
        let names = self.work(move |registry| Ok(names::catalog(&registry.entries()?, host.as_deref()))).await?;
        let (names, link) = page.cut(names, "/v2/_catalog");
        Ok(linked(Reply::json(&json!({ "repositories": names })), link))
    }

    async fn tags(self: &Arc<Self>, request: &Request, repository: String) -> Result<Reply, ErrorResponse> {
        let page = Page::of(&request.query, self.limits.page)?;
        let host = request.host().map(str::to_owned);
        let name = repository.clone();
        let tags = self
            .work(move |registry| {
                let entries = registry.entries()?;
                let found = Repository::find(&entries, &name, host.as_deref());
                let found = found.ok_or_else(|| {
                    ErrorResponse::not_found(Code::NameUnknown, "there is no such repository")
                        .with_detail(&json!({ "name": name }))
                })?;
                Ok(found.tags.into_keys().collect::<Vec<_>>())
            })
            .await?;
        let (tags, link) = page.cut(tags, &format!("/v2/{repository}/tags/list"));
        Ok(linked(Reply::json(&json!({ "name": repository, "tags": tags })), link))
    }

    /// Runs `work`, which may wait for the disk, on the blocking thread pool.
    pub(super) async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, ErrorResponse> + Send + 'static,
    ) -> Result<T, ErrorResponse> {
        let registry = Arc::clone(self);
        match tokio::task::spawn_blocking(move || work(&registry)).await {
            Ok(result) => result,
            Err(error) => Err(ErrorResponse::fault(&error)),
        }
    }

    pub(super) fn entries(&self) -> Result<Vec<crate::store::Entry>, ErrorResponse> {
        self.store.entries().map_err(|error| ErrorResponse::fault(&error))
    }

    /// Returns the lease that every write needs; requests that write are refused earlier without one.
    pub(super) fn lease(&self) -> Result<&Lease, ErrorResponse> {
        self.lease.as_deref().ok_or_else(|| ErrorResponse::not_allowed(READ, "this registry is read-only"))
    }
}

/// Converts an error of the store that no mistake of the client explains.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
pub(super) fn fault(error: StoreError) -> ErrorResponse {
    ErrorResponse::fault(&error)
}

fn linked(reply: Reply, link: Option<HeaderValue>) -> Reply {
    match link {
        Some(link) => reply.with(http::header::LINK, link),
        None => reply,
    }
}
