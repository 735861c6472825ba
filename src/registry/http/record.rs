//! Records each request: its exchange without its secrets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http::header::{HeaderMap, HeaderName, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use http::{StatusCode, Uri, Version};

use super::super::error::RegistryError;
use super::Call;
use super::body::Sending;
use super::secrets::{HIDDEN, Secrets};
use crate::progress::{Event, Exchange, Progress};
use crate::text;

/// The header that names a request to the registry and to proxies before it, which write it into their logs.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longer values are cut.
const MAX_VALUE_CHARACTERS: usize = 400;
/// Parameters that are questions, and never the state of a session or a signature.
const SHOWN_PARAMETERS: [&str; 9] =
    ["account", "artifactType", "digest", "from", "last", "mount", "n", "scope", "service"];
/// Headers that hold no secret, besides those of the specification's own prefixes.
const SHOWN_HEADERS: [&str; 25] = [
    "accept",
    "accept-ranges",
    "age",
    "allow",
    "cache-control",
    "connection",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "etag",
    "range",
    "retry-after",
    "server",
    "transfer-encoding",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "x-amzn-requestid",
    "x-content-type-options",
    "x-github-request-id",
    "x-ms-request-id",
    "x-request-id",
];
const SHOWN_PREFIXES: [&str; 4] = ["docker-", "oci-", "ratelimit-", "x-ratelimit-"];

/// Requests and bytes of bodies, whatever came of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests, those that were repeated or redirected among them.
    pub requests: u64,
    /// Bytes of bodies handed to connections.
    pub sent: u64,
}

impl Traffic {
    /// Returns the traffic after `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { requests: self.requests - earlier.requests, sent: self.sent - earlier.sent }
    }
}

/// Counts requests, gives them names, and reports them to a listener.
pub(super) struct Recorder {
    /// Distinguishes this client's requests from those of others.
    prefix: String,
    requests: AtomicU64,
    sent: AtomicU64,
    listener: Arc<dyn Progress>,
}

impl Recorder {
    /// Returns a recorder that reports every exchange to `listener`.
    pub(super) fn new(listener: Arc<dyn Progress>) -> Self {
        let prefix = format!("{:08x}", fastrand::u32(..));
        Self { prefix, requests: AtomicU64::new(0), sent: AtomicU64::new(0), listener }
    }

    pub(super) fn traffic(&self) -> Traffic {
        Traffic { requests: self.requests.load(Ordering::Relaxed), sent: self.sent.load(Ordering::Relaxed) }
    }

    /// Begins the record of a request to be sent with `headers`, which get its name where `named`.
    pub(super) fn begin(
        self: &Arc<Self>,
        call: &Call,
        headers: &mut HeaderMap,
        sending: &Arc<Sending>,
        named: bool,
    ) -> Record {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let id = format!("{}-{number}", self.prefix);
        if named {
            headers.insert(REQUEST_ID, HeaderValue::from_str(&id).expect("hexadecimal digits and a dash"));
        }
        let exchange = Exchange {
            id,
            began: jiff::Timestamp::now().as_nanosecond(),
            method: call.method.to_string(),
            url: shown_uri(&call.uri),
            protocol: None,
            status: None,
            fault: None,
            request: shown_headers(headers),
            response: Vec::new(),
            sent: 0,
            received: 0,
            answered: None,
            took: std::time::Duration::ZERO,
        };
        let (secrets, since) = (Secrets::of(call), Instant::now());
        Record { recorder: Arc::clone(self), exchange, since, sending: Arc::clone(sending), secrets }
    }
}

/// A request under way. It is reported when it ends, even if it is dropped.
pub(super) struct Record {
    recorder: Arc<Recorder>,
    exchange: Exchange,
    since: Instant,
    sending: Arc<Sending>,
    secrets: Secrets,
}

impl Record {
    pub(super) fn answered(&mut self, version: Version, status: StatusCode, headers: &HeaderMap) {
        self.exchange.protocol = Some(format!("{version:?}"));
        self.exchange.status = Some(status.as_u16());
        self.exchange.response = shown_headers(headers);
        for (_, value) in &mut self.exchange.response {
            *value = self.secrets.hide(value);
        }
        self.exchange.answered = Some(self.since.elapsed());
    }

    pub(super) fn failed(&mut self, error: &RegistryError) {
        self.exchange.fault = Some(match error {
            RegistryError::Network { fault, .. } => fault.to_string(),
            error => error.to_string(),
        });
    }

    /// Returns the text without the secrets that the request had shown.
    pub(super) fn hide(&self, text: &str) -> String {
        self.secrets.hide(text)
    }

    pub(super) fn received(&mut self, bytes: usize) {
        self.exchange.received += bytes as u64;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let exchange = &mut self.exchange;
        exchange.sent = self.sending.handed();
        exchange.took = self.since.elapsed();
        if exchange.status.is_none() && exchange.fault.is_none() {
            exchange.fault = Some("given up".to_owned());
        }
        self.recorder.sent.fetch_add(exchange.sent, Ordering::Relaxed);
        self.recorder.listener.emit(Event::Exchange(exchange));
    }
}

/// Returns an address without user and password, and without parameters that may be secret.
fn shown_uri(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("http");
    let host = uri.host().unwrap_or_default();
    let port = uri.port_u16().map_or_else(String::new, |port| format!(":{port}"));
    let query = uri.query().map_or_else(String::new, |query| format!("?{}", shown_query(query)));
    cut(&format!("{scheme}://{host}{port}{}{query}", uri.path()))
}

fn shown_query(query: &str) -> String {
    let parameter = |parameter: &str| match parameter.split_once('=') {
        Some((key, _)) if !SHOWN_PARAMETERS.contains(&key) => format!("{key}={HIDDEN}"),
        None if !SHOWN_PARAMETERS.contains(&parameter) => HIDDEN.to_owned(),
        _ => parameter.to_owned(),
    };
    query.split('&').map(parameter).collect::<Vec<_>>().join("&")
}

fn shown_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.to_string(), shown_value(name, value))).collect()
}

fn shown_value(name: &HeaderName, value: &HeaderValue) -> String {
    let Ok(text) = value.to_str() else { return HIDDEN.to_owned() };
    if value.is_sensitive() {
        return HIDDEN.to_owned();
    }
    if *name == LOCATION {
        return cut(&shown_address(text));
    }
    if *name == WWW_AUTHENTICATE {
        // Addresses are between quotation marks, or end with the parameter.
        let shown = |part: &str| part.split(',').map(shown_address).collect::<Vec<_>>().join(",");
        return cut(&text.split('"').map(shown).collect::<Vec<_>>().join("\""));
    }
    let known =
        SHOWN_HEADERS.contains(&name.as_str()) || SHOWN_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix));
    if known { cut(text) } else { HIDDEN.to_owned() }
}

/// Removes the parameters that may be secret from an address or a path as it was written.
fn shown_address(text: &str) -> String {
    match text.split_once('?') {
        Some((address, query)) => format!("{}?{}", without_user(address), shown_query(query)),
        None => without_user(text),
    }
}

/// Returns an address or a path without the user information before an `@` in its authority.
fn without_user(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("//") else { return address.to_owned() };
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}//{host}{path}")
}

fn cut(text: &str) -> String {
    text::plain(text, MAX_VALUE_CHARACTERS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_keep_what_is_asked_and_lose_what_is_secret() {
        for (uri, expected) in [
            (
                "https://u:p@r.example:8443/v2/a/blobs/uploads/1?_state=abc",
                "https://r.example:8443/v2/a/blobs/uploads/1?_state=[hidden]",
            ),
            (
                "http://r/v2/a/blobs/uploads/?mount=sha256:1&from=b",
                "http://r/v2/a/blobs/uploads/?mount=sha256:1&from=b",
            ),
            (
                "https://s3/x?X-Amz-Signature=1&digest=2&token",
                "https://s3/x?X-Amz-Signature=[hidden]&digest=2&[hidden]",
            ),
        ] {
            assert_eq!(shown_uri(&uri.parse().expect("a URI")), expected);
        }
    }

    #[test]
    fn headers_are_hidden_unless_known() {
        let shown = |name: &'static str, value: &'static str| {
            shown_value(&HeaderName::from_static(name), &HeaderValue::from_static(value))
        };
        assert_eq!(shown("authorization", "Bearer abc"), HIDDEN);
        assert_eq!(shown("set-cookie", "session=abc"), HIDDEN);
        assert_eq!(shown("x-amz-security-token", "abc"), HIDDEN);
        assert_eq!(shown("docker-content-digest", "sha256:1"), "sha256:1");
        assert_eq!(shown("content-range", "0-5"), "0-5");
        assert_eq!(shown("location", "/v2/a?_state=x&digest=y"), "/v2/a?_state=[hidden]&digest=y");
        assert_eq!(shown("location", "https://u:p@h/v2/a"), "https://h/v2/a");
        for (value, expected) in [
            (
                "Bearer realm=\"https://u:p@h/t?api_key=K&service=s\",service=\"x\",error=\"y\"",
                "Bearer realm=\"https://h/t?api_key=[hidden]&service=s\",service=\"x\",error=\"y\"",
            ),
            ("Bearer realm=https://h/t?api_key=K, service=x", "Bearer realm=https://h/t?api_key=[hidden], service=x"),
            ("Basic realm=\"Registry Realm\"", "Basic realm=\"Registry Realm\""),
        ] {
            assert_eq!(shown("www-authenticate", value), expected);
        }
        let mut secret = HeaderValue::from_static("text/plain");
        secret.set_sensitive(true);
        assert_eq!(shown_value(&HeaderName::from_static("accept"), &secret), HIDDEN);
    }

    proptest! {
        #[test]
        fn nothing_of_an_unknown_parameter_is_shown(key in "[a-z_]{3,12}", value in "[A-Z0-9]{8,20}") {
            prop_assume!(!SHOWN_PARAMETERS.contains(&key.as_str()));
            let uri = format!("https://r.example/v2/?n=1&{key}={value}&last=x").parse().expect("a URI");
            prop_assert!(!shown_uri(&uri).contains(&value));
            let location = HeaderValue::from_str(&format!("/v2/a?{key}={value}")).expect("ASCII");
            prop_assert!(!shown_value(&LOCATION, &location).contains(&value));
        }
    }
}
