//! Refuses ambiguous requests, which a proxy could read differently than this server (request smuggling).
//!
//! Two servers may disagree on where a request ends or which host it is for. The HTTP library refuses requests that it
//! cannot parse; this module refuses those that parse but can be read in several ways (RFC 9112 sections 3.2 and 6,
//! RFC 9110 sections 8.4 and 10.1.1).

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, EXPECT, HOST, HeaderName, IF_RANGE,
    RANGE, TRANSFER_ENCODING,
};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};

use super::error_response::{Code, ErrorResponse};

/// Headers that may occur once: of two, another server may use the other one.
const SINGLE: [HeaderName; 8] =
    [HOST, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, EXPECT, IF_RANGE, RANGE];

/// Refuses a request whose head is ambiguous, or that requires an extension that the server does not have.
///
/// The connection must be closed after a refusal, because the end of the body is uncertain.
pub(super) fn check(method: &Method, uri: &Uri, version: Version, headers: &HeaderMap) -> Result<(), ErrorResponse> {
    for name in SINGLE {
        if headers.get_all(&name).iter().count() > 1 {
            return Err(bad(format!("the request has more than one {name} header")));
        }
    }
    check_host(uri, version, headers.get(HOST))?;
    check_transfer(headers)?;
    if headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH) {
        return Err(bad("the request has a content-length and a transfer-encoding header"));
    }
    if headers.get(EXPECT).is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        let message = "the only expectation supported is 100-continue";
        return Err(ErrorResponse::new(StatusCode::EXPECTATION_FAILED, Code::Unsupported, message));
    }
    let stores = [Method::POST, Method::PUT, Method::PATCH].contains(method);
    let coded = headers.get_all(CONTENT_ENCODING).iter().any(|value| !is(value, b"identity"));
    if stores && coded {
        // Stored in its encoded form, the content would not have the client's digest.
        let message = "content codings are not decoded; send the content without content-encoding";
        return Err(ErrorResponse::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::Unsupported, message));
    }
    Ok(())
}

/// Checks the Host header. An absolute request target takes precedence over it (RFC 9112 section 3.2.2).
fn check_host(uri: &Uri, version: Version, host: Option<&HeaderValue>) -> Result<(), ErrorResponse> {
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(bad("the request target has a user name"));
    }
    let Some(host) = host else {
        return if version == Version::HTTP_11 { Err(bad("the request has no host header")) } else { Ok(()) };
    };
    let valid = host.to_str().is_ok_and(|host| {
        host.is_empty() || host.parse::<Authority>().is_ok_and(|authority| !authority.as_str().contains('@'))
    });
    if valid { Ok(()) } else { Err(bad("the host header is not valid")) }
}

fn check_transfer(headers: &HeaderMap) -> Result<(), ErrorResponse> {
    let fields = || headers.get_all(TRANSFER_ENCODING).iter();
    let codings = || fields().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    if fields().next().is_none() {
        return Ok(());
    }
    let other = codings().map(<[u8]>::trim_ascii).any(|coding| !coding.eq_ignore_ascii_case(b"chunked"));
    if other {
        let message = "the only transfer coding that is decoded is chunked";
        return Err(ErrorResponse::new(StatusCode::NOT_IMPLEMENTED, Code::Unsupported, message));
    }
    if codings().count() > 1 {
        return Err(bad("the request is chunked more than once"));
    }
    Ok(())
}

fn is(value: &HeaderValue, expected: &[u8]) -> bool {
    value.as_bytes().trim_ascii().eq_ignore_ascii_case(expected)
}

fn bad(message: impl Into<String>) -> ErrorResponse {
    ErrorResponse::bad(Code::Unsupported, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the status a request is refused with; 200 where it is let through.
    fn status(version: Version, method: &str, target: &str, headers: &[(&str, &str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().expect("a name");
            map.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
        }
        let method = method.parse().expect("a method");
        check(&method, &target.parse().expect("a target"), version, &map)
            .map_or_else(|refusal| refusal.status.as_u16(), |()| 200)
    }

    #[test]
    fn hosts() {
        for (version, target, hosts, expected) in [
            (Version::HTTP_11, "/v2/", &["a"][..], 200),
            (Version::HTTP_11, "/v2/", &["localhost:5000"], 200),
            (Version::HTTP_11, "/v2/", &["[::1]:5000"], 200),
            (Version::HTTP_11, "/v2/", &[""], 200),
            (Version::HTTP_11, "/v2/", &[], 400),
            (Version::HTTP_10, "/v2/", &[], 200),
            (Version::HTTP_10, "/v2/", &["a", "a"], 400),
            (Version::HTTP_11, "/v2/", &["a", "b"], 400),
            (Version::HTTP_11, "/v2/", &["a", "a"], 400),
            (Version::HTTP_11, "/v2/", &["a, b"], 400),
            (Version::HTTP_11, "/v2/", &["a b"], 400),
            (Version::HTTP_11, "/v2/", &["a/b"], 400),
            (Version::HTTP_11, "/v2/", &["user@a"], 400),
            (Version::HTTP_11, "/v2/", &["\u{e9}"], 400),
            (Version::HTTP_11, "http://a/v2/", &["b"], 200),
            (Version::HTTP_11, "http://a/v2/", &[], 400),
            (Version::HTTP_11, "http://user@a/v2/", &["a"], 400),
        ] {
            let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
            assert_eq!(status(version, "GET", target, &headers), expected, "{target} {hosts:?}");
        }
    }

    #[test]
    fn transfer_codings() {
        for (codings, expected) in [
            (&["chunked"][..], 200),
            (&["Chunked"], 200),
            (&[" chunked"], 200),
            (&["gzip, chunked"], 501),
            (&["gzip", "chunked"], 501),
            (&["identity, chunked"], 501),
            (&["chunked, identity"], 501),
            (&["gzip"], 501),
            (&["identity"], 501),
            (&["chunked;q=1"], 501),
            (&["xchunked"], 501),
            (&[""], 501),
            (&["chunked,"], 501),
            (&["chunked", "chunked"], 400),
            (&["chunked, chunked"], 400),
        ] {
            let mut headers = vec![("host", "a")];
            headers.extend(codings.iter().map(|coding| ("transfer-encoding", *coding)));
            assert_eq!(status(Version::HTTP_11, "PUT", "/v2/", &headers), expected, "{codings:?}");
        }
    }

    #[test]
    fn headers_that_say_two_things() {
        for (headers, expected) in [
            (&[("content-length", "1")][..], 200),
            (&[("content-length", "1"), ("content-length", "1")], 400),
            (&[("content-length", "1"), ("transfer-encoding", "chunked")], 400),
            (&[("authorization", "Basic YTpi"), ("authorization", "Basic YTpi")], 400),
            (&[("content-range", "0-1"), ("content-range", "0-2")], 400),
            (&[("content-type", "a/b"), ("content-type", "a/c")], 400),
            (&[("range", "bytes=0-1"), ("range", "bytes=0-2")], 400),
            (&[("if-range", "\"a\""), ("if-range", "\"b\"")], 400),
            (&[("accept", "a/b"), ("accept", "a/c")], 200),
            (&[("expect", "100-continue")], 200),
            (&[("expect", "100-Continue")], 200),
            (&[("expect", "100-continue"), ("expect", "100-continue")], 400),
            (&[("expect", "")], 417),
            (&[("expect", "200-ok")], 417),
            (&[("expect", "100-continue, x")], 417),
        ] {
            let headers = [&[("host", "a")], headers].concat();
            assert_eq!(status(Version::HTTP_11, "PUT", "/v2/", &headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn content_codings() {
        for (method, codings, expected) in [
            ("PUT", &["identity"][..], 200),
            ("PUT", &["Identity "], 200),
            ("PUT", &["gzip"], 415),
            ("PATCH", &["zstd"], 415),
            ("POST", &["identity, gzip"], 415),
            ("POST", &["identity", "br"], 415),
            ("PUT", &[""], 415),
            ("GET", &["gzip"], 200),
            ("DELETE", &["gzip"], 200),
        ] {
            let mut headers = vec![("host", "a")];
            headers.extend(codings.iter().map(|coding| ("content-encoding", *coding)));
            assert_eq!(status(Version::HTTP_11, method, "/v2/", &headers), expected, "{method} {codings:?}");
        }
    }
}
