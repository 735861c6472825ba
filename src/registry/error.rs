//! What can go wrong between us and a registry, as facts. Never a query string, never a secret.

use std::fmt;
use std::io;
use std::time::Duration;

use http::{Method, StatusCode, Uri};
use oci_client::errors::OciErrorCode;

use super::http::error_response::ErrorResponse;
use super::http::origin::{Misdirection, Origin};
use super::http::proxy::ProxyAddressError;
use super::retry::outage::Absence;
use crate::image::{Digest, DocumentError};
use crate::text;
use crate::tls::{CertificateFacts, Chosen, HandshakeFault, TlsError};

/// A request, as far as it may be told: without its query, which may hold the state of a session.
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
    pub(super) fn of(method: &Method, uri: &Uri) -> Self {
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

    /// The method.
    pub fn method(&self) -> &Method {
        &self.0.method
    }

    /// `host[:port]`.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// Whether it was sent without TLS.
    pub fn is_plain(&self) -> bool {
        self.0.plain
    }

    /// Where it was sent.
    fn origin(&self) -> Option<Origin> {
        let scheme = if self.is_plain() { "http" } else { "https" };
        Origin::of(&format!("{scheme}://{}/", self.host()).parse().ok()?)
    }

    /// The path, without the query.
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
    /// What was said.
    pub response: ErrorResponse,
}

#[cfg(test)]
impl Refused {
    /// The answer to a request for `path`, for tests of what is made of it.
    pub(crate) fn sample(method: &str, path: &str, status: u16, headers: &[(&'static str, &str)], body: &str) -> Self {
        let uri = format!("https://registry.example{path}").parse().expect("a path");
        let header = |(name, value): &(&'static str, &str)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_str(value).expect("a value"))
        };
        let headers = headers.iter().map(header).collect();
        let status = StatusCode::from_u16(status).expect("a status");
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

/// Which wait was too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Name resolution, TCP and TLS together.
    Connect,
    /// The other side took or gave no byte of a body.
    Stall,
    /// The whole request was sent and no answer began.
    Answer,
    /// The body of an answer arrives, and too slowly.
    Slow,
}

/// Why a request did not get an answer.
#[derive(Debug, Clone)]
pub enum NetworkFault {
    /// The host's name has no address.
    Dns,
    /// Nothing listens there.
    Refused,
    /// There is no way to that address.
    Unreachable,
    /// The connection was cut.
    Reset,
    /// The connection was closed in the middle or before an answer.
    Closed,
    /// The connection was kept from an earlier request, and ended before a byte of this answer.
    Stale,
    /// No TLS connection.
    Tls {
        /// Why.
        fault: HandshakeFault,
        /// The certificates shown, the server's own first; empty when it came to none.
        chain: Vec<CertificateFacts>,
        /// What was chosen for the host, the system's roots apart.
        chosen: Vec<Chosen>,
    },
    /// Something took too long.
    Timeout {
        /// What.
        wait: Wait,
        /// The limit.
        limit: Duration,
    },
    /// The proxy cannot be reached, or did not pass the request on.
    Proxy {
        /// `host:port` of the proxy.
        proxy: String,
        /// The status it answered with, if it answered.
        answer: Option<StatusCode>,
    },
    /// The server ended a request by HTTP/2 before it looked at it (RFC 9113 section 8.7): it can be sent again.
    Unprocessed,
    /// The other side ended an HTTP/2 request, for the reason of that name (RFC 9113 section 7).
    Http2(String),
    /// The other side wants this request by HTTP/1.1.
    Http11Required,
    /// What answered does not speak HTTP.
    NotHttp,
    /// The answer has more headers, or longer ones, than are read.
    Verbose,
    /// Anything else, in the system's or a library's words; empty where there are none.
    Other(String),
}

impl fmt::Display for NetworkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = |f: &mut fmt::Formatter<'_>, what: &str, limit: &Duration| write!(f, "{what} for {limit:?}");
        match self {
            Self::Dns => f.write_str("the name does not resolve"),
            Self::Refused => f.write_str("connection refused"),
            Self::Unreachable => f.write_str("no route to it"),
            Self::Reset => f.write_str("the connection was cut"),
            Self::Closed => f.write_str("the connection was closed before the answer was complete"),
            Self::Stale => f.write_str("the connection, kept from an earlier request, was closed"),
            Self::Tls { fault, .. } => fault.fmt(f),
            Self::Timeout { wait: Wait::Connect, limit: time } => limit(f, "not connected", time),
            Self::Timeout { wait: Wait::Stall, limit: time } => limit(f, "no byte moved", time),
            Self::Timeout { wait: Wait::Answer, limit: time } => limit(f, "no answer", time),
            Self::Timeout { wait: Wait::Slow, limit: time } => {
                write!(f, "the answer arrives too slowly, and is not whole after {} s", time.as_secs())
            }
            Self::Http2(reason) => write!(f, "the server ended the HTTP/2 request ({reason})"),
            Self::Http11Required => f.write_str("the server takes this request by HTTP/1.1 only"),
            Self::Unprocessed => f.write_str("the server ended the HTTP/2 request before it looked at it"),
            Self::Proxy { proxy, answer: None } => write!(f, "the proxy {proxy} did not connect"),
            Self::Proxy { proxy, answer: Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED) } => {
                write!(f, "the proxy {proxy} wants to know who asks (407 Proxy Authentication Required)")
            }
            Self::Proxy { proxy, answer: Some(status) } => {
                write!(f, "the proxy {proxy} did not pass the request on ({status})")
            }
            Self::Verbose => f.write_str("the answer has more headers than are read"),
            Self::NotHttp => f.write_str("what answered does not speak HTTP"),
            Self::Other(text) if text.is_empty() => f.write_str("the connection failed"),
            Self::Other(text) => write!(f, "the connection failed ({text})"),
        }
    }
}

/// What an answer has that the distribution-spec does not allow.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A status that means nothing here.
    #[error("status {0} is no answer to this request, or comes before all of it was sent")]
    Status(StatusCode),
    /// An upload without the address of its session.
    #[error("the answer has no Location")]
    NoLocation,
    /// A `Location` that must not be followed.
    #[error("the Location is not acceptable")]
    Location(#[source] Misdirection),
    /// A token service that must not be asked.
    #[error("the realm of its token service is not acceptable")]
    Realm(#[source] Misdirection),
    /// More redirections than anybody needs.
    #[error("more than {0} redirections")]
    Redirections(usize),
    /// A body that is encoded, although it was asked for as it is, in a way that is not decoded.
    #[error("the answer is encoded ({0}), although it was asked for as it is")]
    Encoding(String),
    /// More bytes than announced or allowed.
    #[error("the answer has more than {0} bytes")]
    TooLong(u64),
    /// Fewer bytes than announced.
    #[error("the answer has {found} bytes instead of {expected}")]
    Size {
        /// Bytes announced.
        expected: u64,
        /// Bytes received.
        found: u64,
    },
    /// The token service's answer holds no token.
    #[error("the token service's answer holds no token")]
    NoToken,
    /// A header with a value that is none.
    #[error("the header `{0}` is not valid")]
    Header(&'static str),
    /// The registry's count of received bytes does not follow ours.
    #[error("it counts {found} bytes of the upload where {expected} were taken")]
    Offset {
        /// Bytes it acknowledged, by our count.
        expected: u64,
        /// Bytes it says to have.
        found: u64,
    },
}

/// How a registry wants to be shown a credential, where it cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskedScheme {
    /// By these schemes, none of which is Basic or a Bearer with a token service. Empty where it does not say.
    Other(Vec<String>),
    /// By user name and password, and there is a token.
    Password,
}

impl fmt::Display for AskedScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(names) if names.is_empty() => {
                f.write_str("does not say how it wants to be shown a credential; none was sent")
            }
            Self::Other(names) => {
                write!(f, "asks for {}, which is not supported; no credential was sent", names.join(", "))
            }
            Self::Password => f.write_str("asks for a user name and a password; the token was not sent"),
        }
    }
}

/// By what a registry led a request to another address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedBy {
    /// The `Location` of an answer.
    Location,
    /// The realm of a challenge, which is where its token service is.
    Realm,
}

impl fmt::Display for LedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Location => "with a Location",
            Self::Realm => "for a token",
        })
    }
}

/// Why the registry did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// 401: nobody, or somebody unknown, asked.
    #[error(
        "{} {} ({refused})",
        refused.request.host(),
        if *credentials { "does not accept the credential" } else { "wants to know who asks" }
    )]
    Unauthorized {
        /// The answer.
        refused: Box<Refused>,
        /// Whether a credential was sent.
        credentials: bool,
    },
    /// 401 to a request without a credential: the registry asks for it in a way that is not spoken here.
    #[error("{} {asked} ({refused})", refused.request.host())]
    UnknownScheme {
        /// The answer.
        refused: Box<Refused>,
        /// What it asks for.
        asked: AskedScheme,
    },
    /// 403, or 401 to somebody known: not permitted.
    #[error("no permission ({0})")]
    Denied(Box<Refused>),
    /// 404.
    #[error("not found ({0})")]
    NotFound(Box<Refused>),
    /// 413: more bytes than it takes in one request.
    #[error("too large for the registry or a proxy before it ({0})")]
    TooLarge(Box<Refused>),
    /// 429.
    #[error("too many requests ({0})")]
    RateLimited(Box<Refused>),
    /// 408 and 5xx.
    #[error("the registry is not able to do it now ({0})")]
    Unavailable(Box<Refused>),
    /// Any other response.
    #[error("the registry refused ({0})")]
    Refused(Box<Refused>),
    /// An answer against the specification.
    #[error("{request}: the answer is not what the distribution specification asks for")]
    Protocol {
        /// What was asked.
        request: RequestFacts,
        /// What is wrong with the answer.
        #[source]
        violation: Violation,
    },
    /// The registry led to where it must not lead; nothing was sent there.
    #[error("{request} was not sent: the registry must not lead there")]
    Misled {
        /// What would have been asked.
        request: RequestFacts,
        /// Whether that would have been the bytes of a blob.
        blob: bool,
        /// Where it leads.
        #[source]
        source: Misdirection,
    },
    /// The registry led to its own host at another port, which failed there.
    #[error("{from} led to {to} {by}: its own port is missing")]
    LostPort {
        /// The registry.
        from: Origin,
        /// Where it led.
        to: Origin,
        /// By what.
        by: LedBy,
        /// What happened there.
        #[source]
        source: Box<RegistryError>,
    },
    /// The request has to go through a proxy whose address cannot be used.
    #[error(transparent)]
    ProxyAddress(#[from] ProxyAddressError),
    /// A manifest that is none.
    #[error("{request} did not give a usable manifest")]
    Document {
        /// What was asked.
        request: RequestFacts,
        /// Why.
        #[source]
        source: DocumentError,
    },
    /// The registry has, or says to have, other content than the digest stands for.
    #[error("{request}: the content has digest {found} instead of {expected}")]
    DigestMismatch {
        /// What was asked.
        request: RequestFacts,
        /// The digest asked for or sent.
        expected: Digest,
        /// The digest of what is there.
        found: Digest,
    },
    /// A name stands for something else.
    #[error("it stands for {found} instead of {expected}")]
    Stale {
        /// What it should stand for.
        expected: Digest,
        /// What it stands for.
        found: Digest,
    },
    /// The list of a manifest's referrers, which clients keep where the registry keeps none, cannot be brought up to date.
    #[error("the list of referrers `{repository}:{tag}` cannot be kept: {why}")]
    Referrers {
        /// The repository.
        repository: String,
        /// The tag that the list has.
        tag: String,
        /// Why not.
        why: &'static str,
    },
    /// The registry did not come back within the time that it was waited for.
    #[error("the registry is away ({why}), and did not come back within {} s", waited.as_secs())]
    Away {
        /// What the last probe met.
        why: Box<Absence>,
        /// How long it was waited for.
        waited: Duration,
    },
    /// A deadline of ours passed before there was an answer.
    #[error("no answer within {} s", .0.as_secs())]
    Overdue(Duration),
    /// No answer.
    #[error("{request}: {fault}")]
    Network {
        /// What was asked.
        request: RequestFacts,
        /// Why there is no answer.
        fault: NetworkFault,
        /// The system's reason.
        #[source]
        source: Option<io::Error>,
    },
    /// Our own copy of a blob cannot be read.
    #[error("blob {digest} cannot be read")]
    Source {
        /// The blob.
        digest: Digest,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Our own copy of a blob is damaged; nothing was committed.
    #[error("content of blob {expected} is damaged: it hashes to {found}")]
    SourceDigest {
        /// What it should be.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// The host is not `host` or `host:port`.
    #[error("`{0}` is not a registry address")]
    Address(String),
    /// The TLS policy cannot be put into effect.
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsError),
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl RegistryError {
    /// The error an answer with a refusing status stands for.
    pub(super) fn refused(request: RequestFacts, response: ErrorResponse, credentials: bool) -> Self {
        let status = response.status;
        let refused = Box::new(Refused { request, response });
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthorized { refused, credentials },
            StatusCode::FORBIDDEN => Self::Denied(refused),
            StatusCode::NOT_FOUND => Self::NotFound(refused),
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge(refused),
            StatusCode::TOO_MANY_REQUESTS => Self::RateLimited(refused),
            StatusCode::REQUEST_TIMEOUT => Self::Unavailable(refused),
            status if status.is_server_error() => Self::Unavailable(refused),
            status if status.is_client_error() => Self::Refused(refused),
            status => Self::Protocol { request: refused.request, violation: Violation::Status(status) },
        }
    }

    pub(super) fn protocol(method: &Method, uri: &Uri, violation: Violation) -> Self {
        Self::Protocol { request: RequestFacts::of(method, uri), violation }
    }

    /// The response, when there was an answer.
    pub fn error_response(&self) -> Option<&Refused> {
        match self {
            Self::Unauthorized { refused, .. }
            | Self::UnknownScheme { refused, .. }
            | Self::Denied(refused)
            | Self::NotFound(refused)
            | Self::TooLarge(refused)
            | Self::RateLimited(refused)
            | Self::Unavailable(refused)
            | Self::Refused(refused) => Some(refused),
            _ => None,
        }
    }

    /// The same with who led there, where a request failed at the registry's host without the registry's port.
    pub(super) fn led_by(self, by: LedBy, own: &Origin) -> Self {
        let request = match &self {
            Self::Network { fault: NetworkFault::Stale, .. } => None,
            Self::Network { request, .. } | Self::Protocol { request, .. } => Some(request),
            other => other.error_response().map(|refused| &refused.request),
        };
        match request.and_then(RequestFacts::origin).filter(|to| to.lost_the_port_of(own)) {
            Some(to) => Self::LostPort { from: own.clone(), to, by, source: Box::new(self) },
            None => self,
        }
    }

    /// Whether a connection was kept too long, which says nothing about the registry.
    pub(super) fn is_stale(&self) -> bool {
        matches!(self, Self::Network { fault: NetworkFault::Stale, .. })
    }

    /// Whether a manifest was refused because of what it names.
    pub fn misses_content(&self) -> bool {
        let codes = [OciErrorCode::BlobUnknown, OciErrorCode::ManifestBlobUnknown];
        self.error_response().is_some_and(|refused| codes.iter().any(|code| refused.response.names(code)))
    }

    /// How long the registry asked us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.error_response()?.response.retry_after
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn request() -> RequestFacts {
        let uri = "https://user:secret@h.example:8443/v2/a/blobs/uploads/1?_state=secret".parse().expect("a URI");
        RequestFacts::of(&Method::PUT, &uri)
    }

    #[test]
    fn requests_are_told_without_query_and_userinfo() {
        assert_eq!(request().to_string(), "PUT h.example:8443/v2/a/blobs/uploads/1");
        assert!(!format!("{:?}", request()).contains("secret"));
    }

    #[test]
    fn who_led_to_an_address_without_the_port_is_told() {
        let failed = |uri: &str, fault| {
            let request = RequestFacts::of(&Method::PATCH, &uri.parse().expect("a URI"));
            let own = Origin::of(&"https://reg.example:8443/".parse().expect("a URI")).expect("absolute");
            RegistryError::Network { request, fault, source: None }.led_by(LedBy::Location, &own)
        };
        let told = failed("https://reg.example/v2/a/blobs/uploads/1", NetworkFault::Refused);
        let expected =
            "https://reg.example:8443 led to https://reg.example:443 with a Location: its own port is missing";
        assert_eq!(told.to_string(), expected);
        for (uri, fault) in [
            ("https://reg.example:8443/v2/a", NetworkFault::Refused),
            ("https://cdn.example/a", NetworkFault::Refused),
            ("https://reg.example/v2/a", NetworkFault::Stale),
        ] {
            assert!(matches!(failed(uri, fault), RegistryError::Network { .. }), "{uri}");
        }
    }

    #[test]
    fn statuses_become_types() {
        let kind = |status: u16| {
            let status = StatusCode::from_u16(status).expect("a status");
            let response = ErrorResponse::read(status, &HeaderMap::new(), b"", jiff::Timestamp::UNIX_EPOCH);
            let error = RegistryError::refused(request(), response, true);
            let name = format!("{error:?}");
            name.split(['(', ' ']).next().unwrap_or_default().to_owned()
        };
        for (status, name) in [
            (401, "Unauthorized"),
            (403, "Denied"),
            (404, "NotFound"),
            (408, "Unavailable"),
            (413, "TooLarge"),
            (429, "RateLimited"),
            (400, "Refused"),
            (416, "Refused"),
            (500, "Unavailable"),
            (504, "Unavailable"),
            (302, "Protocol"),
            (200, "Protocol"),
        ] {
            assert_eq!(kind(status), name, "{status}");
        }
    }
}
