//! Why a handshake failed, found by type in whatever error came out of the connection.

use std::error::Error;
use std::io;

use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{CertificateError, InvalidMessage};

/// Links of an error's chain that are followed.
const MAX_DEPTH: usize = 32;

/// A certificate that may sign others was shown as a server's own and is not among those configured
/// for the host. What idpbuilder serves has this form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server's certificate is a certificate authority's own and is not trusted as it is")]
pub(super) struct CaUsedAsEndEntity;

/// No root vouches for the certificate, and the roots that a person named cannot all be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct UnreadableRoots(pub(super) String);

/// Why there is no TLS connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandshakeFault {
    /// Nobody we trust vouches for the certificate.
    UnknownIssuer,
    /// Nobody we trust vouches for it, and this could not be read of the roots that a person named.
    UnreadableRoots(String),
    /// A self-made certificate authority's own certificate, not configured for this host. To the
    /// person this is the same as an unknown issuer.
    CaUsedAsEndEntity,
    /// Trusted, but made for other names.
    NotValidForName {
        /// The names it is made for.
        names: Vec<String>,
    },
    /// Its time is over.
    Expired {
        /// When it ended, where known.
        not_after: Option<Timestamp>,
    },
    /// Its time has not come, or our clock is slow.
    NotYetValid {
        /// When it begins, where known.
        not_before: Option<Timestamp>,
    },
    /// What answered does not speak TLS.
    NotTls,
    /// The peer ended the handshake: the name of its alert (RFC 8446 section 6.2).
    PeerRefused(String),
    /// Anything else, in the TLS library's words.
    Other(String),
}

/// The fault behind an error, if TLS is behind it at all.
///
/// Follows the chain of sources, also through [`io::Error`], whose content is not its source.
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
        other => HandshakeFault::Other(other.to_string()),
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
        CertificateError::Other(inner) if inner.0.is::<CaUsedAsEndEntity>() => HandshakeFault::CaUsedAsEndEntity,
        CertificateError::Other(inner) if inner.0.is::<UnreadableRoots>() => {
            HandshakeFault::UnreadableRoots(inner.0.to_string())
        }
        other => HandshakeFault::Other(rustls::Error::InvalidCertificate(other.clone()).to_string()),
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
        assert_eq!(classify(&alert), Some(HandshakeFault::PeerRefused("CertificateRequired".into())));
        let other = rustls::Error::InvalidCertificate(CertificateError::Revoked);
        assert!(matches!(classify(&other), Some(HandshakeFault::Other(text)) if text.contains("Revoked")));
    }
}
