//! Classifies why a handshake failed, by the types in the connection's error.

use std::error::Error;
use std::fmt;
use std::io;

use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{CertificateError, InvalidMessage};

use super::algorithms::Unverifiable;
use super::words;

/// The most links of an error's chain that are followed.
const MAX_DEPTH: usize = 32;

/// Why there is no TLS connection. Shown as a sentence about the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandshakeFault {
    /// No trusted certificate signed the server's certificate.
    UnknownIssuer,
    /// No trusted root signed the certificate, and this part of the roots that the user named could not be read.
    UnreadableRoots(String),
    /// A self-made certificate authority's own certificate, not configured for this host. To the
    /// person this is the same as an unknown issuer.
    CaUsedAsEndEntity,
    /// The chain ends before a trusted certificate: the next one was not sent and is not trusted.
    MissingIssuer {
        /// The name of the authority whose certificate is missing.
        issuer: String,
    },
    /// The certificate is valid for other names.
    NotValidForName {
        /// The names it is made for; empty where they are not known.
        names: Vec<String>,
    },
    /// The certificate has no names: a common name does not count (RFC 9525 section 2).
    NoNames {
        /// Its subject.
        subject: String,
    },
    /// The certificate has expired.
    Expired {
        /// When it expired, if known.
        not_after: Option<Timestamp>,
    },
    /// The certificate is not valid yet, or the local clock is slow.
    NotYetValid {
        /// When it becomes valid, if known.
        not_before: Option<Timestamp>,
    },
    /// The certificate, or one above it, has a key or a signature of an unsupported kind.
    Unverifiable(Box<Unverifiable>),
    /// The server does not speak TLS.
    NotTls,
    /// The peer ended the handshake: the name of its alert (RFC 8446 section 6.2).
    PeerRefused(String),
    /// The server and this client have no version of TLS, cipher suite or kind of key in common.
    Incompatible(String),
    /// Anything else, in words.
    Other(String),
}

impl fmt::Display for HandshakeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownIssuer => f.write_str("its certificate is from an issuer that is not trusted"),
            Self::UnreadableRoots(failure) => {
                write!(f, "its certificate is from an issuer that is not trusted, and of the roots: {failure}")
            }
            Self::CaUsedAsEndEntity => {
                f.write_str("its self-signed certificate is not among those trusted for this host")
            }
            Self::MissingIssuer { issuer } => write!(
                f,
                "its certificate is from `{issuer}`, whose own certificate it did not send and which is not trusted here"
            ),
            Self::NotValidForName { names } if names.is_empty() => f.write_str("its certificate is for another name"),
            Self::NotValidForName { names } => write!(f, "its certificate is for another name ({})", names.join(", ")),
            Self::NoNames { subject } => {
                let subject =
                    if subject.is_empty() { "" } else { &format!(" (its subject, {subject}, does not count)") };
                write!(f, "its certificate is for no host name or address{subject}")
            }
            Self::Expired { not_after: Some(time) } => write!(f, "its certificate expired at {time}"),
            Self::Expired { not_after: None } => f.write_str("its certificate has expired"),
            Self::NotYetValid { not_before: Some(time) } => write!(f, "its certificate is valid only from {time}"),
            Self::NotYetValid { not_before: None } => f.write_str("its certificate is not valid yet"),
            Self::Unverifiable(what) => write!(f, "its certificate {what}"),
            Self::NotTls => f.write_str("it does not answer with TLS"),
            Self::PeerRefused(alert) => write!(f, "it ended the TLS handshake: {}", words::alert(alert)),
            Self::Incompatible(text) | Self::Other(text) => write!(f, "no TLS connection: {text}"),
        }
    }
}

/// A fault that our own verifier found, on its way through rustls.
#[derive(Debug, Clone)]
pub(super) struct Verdict(pub(super) HandshakeFault);

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Verdict {}

/// Returns the fault behind an error, if TLS is behind it at all.
///
/// The chain of sources is followed, also through [`io::Error`], whose content is not its source.
pub fn classify(error: &(dyn Error + 'static)) -> Option<HandshakeFault> {
    let mut link = Some(error);
    for _ in 0..MAX_DEPTH {
        let current = link?;
        if let Some(tls) = current.downcast_ref::<rustls::Error>() {
            return Some(fault(tls));
        }
        link = match current.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => current.source(),
        };
    }
    None
}

pub(super) fn fault(error: &rustls::Error) -> HandshakeFault {
    match error {
        rustls::Error::InvalidCertificate(reason) => certificate_fault(reason),
        // The first bytes of an answer in another protocol, read as a record's header.
        rustls::Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge,
        ) => HandshakeFault::NotTls,
        rustls::Error::AlertReceived(alert) => HandshakeFault::PeerRefused(format!("{alert:?}")),
        rustls::Error::PeerIncompatible(what) => HandshakeFault::Incompatible(words::incompatible(what).to_owned()),
        other => HandshakeFault::Other(words::tls(other)),
    }
}

fn certificate_fault(reason: &CertificateError) -> HandshakeFault {
    let timestamp =
        |time: &UnixTime| i64::try_from(time.as_secs()).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    match reason {
        CertificateError::UnknownIssuer => HandshakeFault::UnknownIssuer,
        CertificateError::NotValidForName => HandshakeFault::NotValidForName { names: Vec::new() },
        CertificateError::NotValidForNameContext { presented, .. } => {
            HandshakeFault::NotValidForName { names: presented.clone() }
        }
        CertificateError::Expired => HandshakeFault::Expired { not_after: None },
        CertificateError::ExpiredContext { not_after, .. } => {
            HandshakeFault::Expired { not_after: timestamp(not_after) }
        }
        CertificateError::NotValidYet => HandshakeFault::NotYetValid { not_before: None },
        CertificateError::NotValidYetContext { not_before, .. } => {
            HandshakeFault::NotYetValid { not_before: timestamp(not_before) }
        }
        CertificateError::Other(inner) => match inner.0.downcast_ref::<Verdict>() {
            Some(Verdict(fault)) => fault.clone(),
            None => HandshakeFault::Other(words::certificate(reason)),
        },
        other => HandshakeFault::Other(words::certificate(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot connect")]
    struct Outer(#[source] Box<dyn Error + Send + Sync>);

    #[test]
    fn the_tls_error_is_found_below_others_and_inside_io_errors() {
        let tls = rustls::Error::from(CertificateError::UnknownIssuer);
        assert_eq!(classify(&tls), Some(HandshakeFault::UnknownIssuer));
        let nested = io::Error::other(Outer(Box::new(io::Error::other(tls))));
        assert_eq!(classify(&Outer(Box::new(nested))), Some(HandshakeFault::UnknownIssuer));
    }

    #[test]
    fn other_errors_are_not_tls_faults() {
        assert_eq!(classify(&io::Error::from(io::ErrorKind::ConnectionRefused)), None);
        assert_eq!(classify(&Outer("UnknownIssuer".into())), None);
    }

    #[test]
    fn alerts_keep_their_name() {
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
        let fault = classify(&alert).expect("TLS");
        assert_eq!(fault, HandshakeFault::PeerRefused("CertificateRequired".into()));
        assert_eq!(fault.to_string(), "it ended the TLS handshake: it wants a client certificate");
    }
}
