//! From the HTTP library's errors to typed facts.

use std::collections::BTreeSet;
use std::error::Error;
use std::io;
use std::time::Duration;

use hyper_util::client::legacy;

use super::super::error::{NetworkFault, RegistryError, Wait};
use super::body::{Payload, SendFault};
use super::connect::{DialError, DialFault};
use super::origin::Misdirection;
use super::wire::Life;
use crate::text::plain;
use crate::tls::{self, HandshakeFault};

/// Characters kept of a cause that no type has.
const MAX_CAUSE: usize = 200;
/// Links of an error's chain that are followed.
const MAX_DEPTH: usize = 32;

/// Returns the error a fault in reading our own blob stands for.
pub(super) fn source_error(fault: SendFault, payload: &Payload) -> Option<RegistryError> {
    let Payload::Part(part) = payload else { return None };
    match fault {
        SendFault::Source(source) => Some(RegistryError::Source { digest: part.digest, source }),
        SendFault::Digest { expected, found } => Some(RegistryError::SourceDigest { expected, found }),
        SendFault::Abandoned => None,
    }
}

/// Returns the address that a connection was not made to, because the registry must not lead there.
pub(super) fn misled(error: &(dyn Error + 'static)) -> Option<Misdirection> {
    links(error).find_map(|link| match link.downcast_ref() {
        Some(DialError(DialFault::Internal { to, address }, _)) => {
            Some(Misdirection::Internal { to: to.clone(), address: *address })
        }
        _ => None,
    })
}

/// Returns the network fault that an error stands for, by type; the caller fills in limits.
pub(super) fn classify(error: &(dyn Error + 'static)) -> NetworkFault {
    if let Some(fault) = tls::classify(error) {
        return NetworkFault::Tls { fault, chain: Vec::new(), chosen: Vec::new() };
    }
    for link in links(error) {
        if let Some(DialError(fault, _)) = link.downcast_ref() {
            return match fault {
                DialFault::Dns => NetworkFault::Dns,
                DialFault::Timeout => NetworkFault::Timeout { wait: Wait::Connect, limit: Duration::ZERO },
                DialFault::Proxy { proxy, answer } => NetworkFault::Proxy { proxy: proxy.clone(), answer: *answer },
                // [`misled`] has the details.
                DialFault::Internal { .. } => NetworkFault::Unreachable,
            };
        }
        if let Some(error) = link.downcast_ref::<hyper::Error>() {
            if error.is_incomplete_message() {
                return NetworkFault::Closed;
            }
            if error.is_parse_too_large() {
                return NetworkFault::Verbose;
            }
            if error.is_parse() {
                return NetworkFault::NotHttp;
            }
        }
        if let Some(error) = link.downcast_ref::<h2::Error>() {
            match error.reason() {
                Some(h2::Reason::HTTP_1_1_REQUIRED) => return NetworkFault::Http11Required,
                // A stream beyond the last one of a connection that closes in order, or a refused stream: the server
                // promises that it processed neither.
                Some(h2::Reason::NO_ERROR) if error.is_go_away() && error.is_remote() => {
                    return NetworkFault::Unprocessed;
                }
                Some(h2::Reason::REFUSED_STREAM) if error.is_reset() && error.is_remote() => {
                    return NetworkFault::Unprocessed;
                }
                // The connection ends in order, as for a server that restarts.
                Some(h2::Reason::NO_ERROR) => return NetworkFault::Closed,
                Some(reason) => return NetworkFault::Http2(format!("{reason:?}")),
                None => {}
            }
        }
    }
    let io = |link: &(dyn Error + 'static)| match link.downcast_ref::<h2::Error>() {
        Some(error) => error.get_io().map(io::Error::kind),
        None => link.downcast_ref::<io::Error>().map(io::Error::kind),
    };
    let kinds: BTreeSet<_> = links(error).filter_map(io).collect();
    for kind in kinds {
        match kind {
            io::ErrorKind::ConnectionRefused => return NetworkFault::Refused,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                return NetworkFault::Reset;
            }
            io::ErrorKind::UnexpectedEof => return NetworkFault::Closed,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => {
                return NetworkFault::Unreachable;
            }
            // The system's limit on unacknowledged bytes: on a connection that was made, a stall like any other.
            io::ErrorKind::TimedOut => {
                let connecting = |link: &(dyn Error + 'static)| {
                    link.downcast_ref::<legacy::Error>().is_some_and(legacy::Error::is_connect)
                };
                let wait = if links(error).any(connecting) { Wait::Connect } else { Wait::Stall };
                return NetworkFault::Timeout { wait, limit: Duration::ZERO };
            }
            _ => {}
        }
    }
    let text = root_cause(error).map(|cause| cause.to_string()).unwrap_or_default();
    // The number helps only programmers.
    NetworkFault::Other(plain(text.split(" (os error").next().unwrap_or_default(), MAX_CAUSE))
}

/// Returns the error as a stale connection if the connection had answered a request before: it was probably kept too
/// long. A new connection has not answered before, so a request meets this at most once.
pub(super) fn kept_too_long(mut error: RegistryError, life: Option<&Life>) -> RegistryError {
    if let RegistryError::Network { fault: fault @ (NetworkFault::Closed | NetworkFault::Reset), .. } = &mut error
        && life.is_some_and(Life::has_answered)
    {
        *fault = NetworkFault::Stale;
    }
    error
}

/// Returns whether a server refused to speak HTTP/1.1 (RFC 7301 section 3.2).
pub(super) fn speaks_http2_alone(error: &RegistryError) -> bool {
    let RegistryError::Network { fault: NetworkFault::Tls { fault: HandshakeFault::PeerRefused(alert), .. }, .. } =
        error
    else {
        return false;
    };
    alert == "NoApplicationProtocol"
}

/// Returns the chain of sources, through `io::Error` too, whose content is not its source.
fn links<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    fn next<'a>(link: &&'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
        let link: &'a (dyn Error + 'static) = *link;
        match link.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => link.source(),
        }
    }
    std::iter::successors(Some(error), next).take(MAX_DEPTH)
}

/// Returns the innermost reason: the wrappers around it say what the fault says already. None where the TLS library
/// gives it: the fault has it in words.
pub(super) fn root_cause(error: &(dyn Error + 'static)) -> Option<io::Error> {
    if tls::classify(error).is_some() {
        return None;
    }
    let root = links(error).last()?;
    let kind = root.downcast_ref::<io::Error>().map_or(io::ErrorKind::Other, io::Error::kind);
    Some(io::Error::new(kind, root.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::super::error::RequestFacts;
    use super::*;

    #[test]
    fn the_systems_limit_on_unacknowledged_bytes_is_a_stall() {
        let late = io::Error::other(io::Error::from(io::ErrorKind::TimedOut));
        let fault = classify(&late);
        assert!(matches!(fault, NetworkFault::Timeout { wait: Wait::Stall, .. }), "{fault:?}");
        let late = DialError(DialFault::Timeout, None);
        let fault = classify(&late);
        assert!(matches!(fault, NetworkFault::Timeout { wait: Wait::Connect, .. }), "{fault:?}");
    }

    #[test]
    fn the_cause_of_a_failure_is_kept() {
        let says = |error: &(dyn Error + 'static)| classify(error).to_string();
        let h2 = |reason: h2::Reason| h2::Error::from(reason);
        for (error, expected) in [
            (
                &h2(h2::Reason::HTTP_1_1_REQUIRED) as &(dyn Error + 'static),
                "the server takes this request by HTTP/1.1 only",
            ),
            (&h2(h2::Reason::NO_ERROR), "the connection was closed before the answer was complete"),
            (&h2(h2::Reason::REFUSED_STREAM), "the server ended the HTTP/2 request (REFUSED_STREAM)"),
            (&h2(h2::Reason::ENHANCE_YOUR_CALM), "the server ended the HTTP/2 request (ENHANCE_YOUR_CALM)"),
            (&io::Error::from(io::ErrorKind::ConnectionReset), "the connection was cut"),
            (
                &io::Error::from(io::ErrorKind::UnexpectedEof),
                "the connection was closed before the answer was complete",
            ),
            (&io::Error::other("no buffer space left"), "the connection failed (no buffer space left)"),
            (&io::Error::from_raw_os_error(105), "the connection failed (No buffer space available)"),
        ] {
            assert_eq!(says(error), expected, "{error:?}");
        }
    }

    #[test]
    fn only_a_connection_of_use_was_kept_too_long() {
        let uri = "http://h/".parse().expect("a URI");
        let ended =
            |fault| RegistryError::Network { request: RequestFacts::of(&http::Method::GET, &uri), fault, source: None };
        let (young, old) = (Life::default(), Life::default());
        old.answer();
        assert!(!kept_too_long(ended(NetworkFault::Closed), None).is_stale());
        assert!(!kept_too_long(ended(NetworkFault::Reset), Some(&young)).is_stale());
        assert!(kept_too_long(ended(NetworkFault::Reset), Some(&old)).is_stale());
        assert!(!kept_too_long(ended(NetworkFault::Refused), Some(&old)).is_stale());
    }
}
