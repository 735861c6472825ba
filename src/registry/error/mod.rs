//! Errors between us and a registry, as facts. They hold neither query strings nor secrets.

mod absence;
mod network;
mod request;
mod violation;

use std::fmt;
use std::io;
use std::time::Duration;

use http::{Method, StatusCode, Uri};
use oci_client::errors::OciErrorCode;

use crate::image::{Digest, DocumentError};
use crate::registry::http::error_response::ErrorResponse;
use crate::registry::http::origin::{Misdirection, Origin};
use crate::registry::http::proxy::ProxyAddressError;
use crate::text;
use crate::tls::TlsError;
pub use absence::Absence;
pub(in crate::registry) use absence::is_gateway_fault;
pub use network::{NetworkFault, Wait};
pub use request::{Refused, RequestFacts};
pub use violation::Violation;

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
    /// 401: the request carried no credential, or one that the registry does not know.
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
    /// 401 to a request without a credential: the registry asks for it by a scheme that is not supported.
    #[error("{} {asked} ({refused})", refused.request.host())]
    UnknownScheme {
        /// The answer.
        refused: Box<Refused>,
        /// What it asks for.
        asked: AskedScheme,
    },
    /// 403, or 401 to a user that the registry knows: not permitted.
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
        /// The digest of the content that the registry has.
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
    #[error("the registry is away ({why}), and did not come back within {}", text::duration(*waited))]
    Away {
        /// What the last probe met.
        why: Box<Absence>,
        /// How long it was waited for.
        waited: Duration,
    },
    /// A deadline of ours passed before there was an answer.
    #[error("no answer within {}", text::duration(*.0))]
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
    /// The work was asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl RegistryError {
    /// Returns the error that an answer with a refusing status stands for.
    pub(in crate::registry) fn refused(request: RequestFacts, response: ErrorResponse, credentials: bool) -> Self {
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

    pub(in crate::registry) fn protocol(method: &Method, uri: &Uri, violation: Violation) -> Self {
        Self::Protocol { request: RequestFacts::of(method, uri), violation }
    }

    /// Returns the response, when there was an answer.
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

    /// Returns the error with the way that led to the address, if the request failed at the registry's host without the
    /// registry's port.
    pub(in crate::registry) fn led_by(self, by: LedBy, own: &Origin) -> Self {
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

    /// Returns whether a connection was kept too long, which says nothing about the registry.
    pub(in crate::registry) fn is_stale(&self) -> bool {
        matches!(self, Self::Network { fault: NetworkFault::Stale, .. })
    }

    /// Returns whether a manifest was refused because of what it names.
    pub fn misses_content(&self) -> bool {
        let codes = [OciErrorCode::BlobUnknown, OciErrorCode::ManifestBlobUnknown];
        self.error_response().is_some_and(|refused| codes.iter().any(|code| refused.response.names(code)))
    }

    /// Returns how long the registry asked us to wait.
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
