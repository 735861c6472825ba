//! A request that failed, and the answer that refused it: without query and secrets.

use std::fmt;

use http::{Method, Uri};

use crate::registry::http::error_response::ErrorResponse;
use crate::registry::http::origin::Origin;
use crate::text;

/// A request without its query, which may hold the state of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestFacts(Box<Facts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    method: Method,
    host: String,
    path: String,
    plain: bool,
}

impl RequestFacts {
    pub(in crate::registry) fn of(method: &Method, uri: &Uri) -> Self {
        // `authority()` could carry userinfo; host and port cannot.
        let host = uri.host().unwrap_or_default();
        let host = uri.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Self(Box::new(Facts {
            method: method.clone(),
            host,
            path: text::plain(uri.path(), 400),
            plain: uri.scheme_str() == Some("http"),
        }))
    }

    /// Returns the method.
    pub fn method(&self) -> &Method {
        &self.0.method
    }

    /// Returns `host[:port]`.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// Returns whether it was sent without TLS.
    pub fn is_plain(&self) -> bool {
        self.0.plain
    }

    /// Returns the origin that the request was sent to.
    pub(super) fn origin(&self) -> Option<Origin> {
        let scheme = if self.is_plain() { "http" } else { "https" };
        Origin::of(&format!("{scheme}://{}/", self.host()).parse().ok()?)
    }

    /// Returns the path, without the query.
    pub fn path(&self) -> &str {
        &self.0.path
    }
}

impl fmt::Display for RequestFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.method(), self.host(), self.path())
    }
}

/// A request and the answer that refused it.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// What was asked.
    pub request: RequestFacts,
    /// The answer.
    pub response: ErrorResponse,
}

#[cfg(test)]
impl Refused {
    /// Returns the answer to a request for `path`, for tests of what is made of it.
    pub(crate) fn sample(method: &str, path: &str, status: u16, headers: &[(&'static str, &str)], body: &str) -> Self {
        let uri = format!("https://registry.example{path}").parse().expect("a path");
        let header = |(name, value): &(&'static str, &str)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_str(value).expect("a value"))
        };
        let headers = headers.iter().map(header).collect();
        let status = http::StatusCode::from_u16(status).expect("a status");
        let response = ErrorResponse::read(status, &headers, body.as_bytes(), jiff::Timestamp::UNIX_EPOCH);
        let method = method.parse().expect("a method");
        Self { request: RequestFacts::of(&method, &uri), response }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.request, self.response)?;
        // An answer to HEAD cannot explain itself.
        if self.response.is_mute() && self.request.method() != Method::HEAD {
            f.write_str(", without explanation")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_without_query_and_userinfo() {
        let uri = "https://user:secret@h.example:8443/v2/a/blobs/uploads/1?_state=secret".parse().expect("a URI");
        let request = RequestFacts::of(&Method::PUT, &uri);
        assert_eq!(request.to_string(), "PUT h.example:8443/v2/a/blobs/uploads/1");
        assert!(!format!("{request:?}").contains("secret"));
    }
}
