//! What the TLS libraries' errors say, in words that need no source code to be understood.

use std::sync::Arc;

use rustls::pki_types::pem;
use rustls::{CertificateError, InvalidMessage, PeerIncompatible};

/// Returns the meaning of a peer's alert (RFC 8446 section 6.2), by its name in the library.
pub(super) fn alert(name: &str) -> &'static str {
    match name {
        "CloseNotify" | "UserCanceled" => "it closed the connection",
        "HandshakeFailure" | "InsufficientSecurity" => "it shares no cipher suite or kind of key with this program",
        "ProtocolVersion" | "InappropriateFallback" => "it speaks neither TLS 1.2 nor TLS 1.3",
        "NoCertificate" | "CertificateRequired" => "it wants a client certificate",
        "BadCertificate" | "UnsupportedCertificate" | "CertificateUnknown" | "CertificateUnobtainable" => {
            "it does not accept the client certificate"
        }
        "CertificateRevoked" => "it says that the client certificate is revoked",
        "CertificateExpired" => "it says that the client certificate has expired",
        "UnknownCA" => "it does not know the authority of the client certificate",
        "AccessDenied" => "it denies access",
        "UnrecognisedName" => "it serves no host of that name",
        "NoApplicationProtocol" => "it speaks none of the offered versions of HTTP",
        "InternalError" => "it met an error of its own",
        "UnknownPSKIdentity" => "it does not know the session",
        "EncryptedClientHelloRequired" => "it wants an encrypted greeting (ECH)",
        "MissingExtension" | "UnsupportedExtension" => "it does not accept what was offered in the handshake",
        "UnexpectedMessage"
        | "BadRecordMac"
        | "DecryptionFailed"
        | "RecordOverflow"
        | "DecompressionFailure"
        | "IllegalParameter"
        | "DecodeError"
        | "DecryptError"
        | "ExportRestriction"
        | "NoRenegotiation"
        | "BadCertificateStatusResponse"
        | "BadCertificateHashValue" => "it could not read what it was sent; something on the way may have changed it",
        _ => "it gave a reason that is not known",
    }
}

/// Returns what the client and the server do not have in common.
pub(super) fn incompatible(what: &PeerIncompatible) -> &'static str {
    match what {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::NullCompressionRequired => "it speaks neither TLS 1.2 nor TLS 1.3",
        PeerIncompatible::NoCipherSuitesInCommon => "it has no cipher suite in common with this program",
        PeerIncompatible::NoKxGroupsInCommon
        | PeerIncompatible::NamedGroupsExtensionRequired
        | PeerIncompatible::KeyShareExtensionRequired
        | PeerIncompatible::NoEcPointFormatsInCommon
        | PeerIncompatible::EcPointsExtensionRequired
        | PeerIncompatible::UncompressedEcPointsRequired => "it has no key exchange in common with this program",
        PeerIncompatible::NoSignatureSchemesInCommon
        | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon
        | PeerIncompatible::SignatureAlgorithmsExtensionRequired => {
            "it has no signature algorithm in common with this program"
        }
        _ => "it does not speak TLS as this program does",
    }
}

/// Returns what is wrong with a certificate. Faults that have a type of their own are not asked for here.
pub(super) fn certificate(reason: &CertificateError) -> String {
    let text = match reason {
        CertificateError::BadEncoding => "its certificate is damaged",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet"
        }
        CertificateError::Revoked => "its certificate is revoked",
        CertificateError::UnhandledCriticalExtension => {
            "its certificate has a critical extension that this program does not know"
        }
        CertificateError::UnknownIssuer => "its certificate is from an issuer that is not trusted",
        CertificateError::UnknownRevocationStatus
        | CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. } => "whether its certificate is revoked is not known",
        CertificateError::BadSignature => "its certificate or its handshake has a wrong signature",
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "its certificate has a signature of a kind that is not verified"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "its certificate is not one for servers (extended key usage)"
        }
        CertificateError::InvalidOcspResponse => "the proof that its certificate is not revoked is damaged",
        CertificateError::Other(inner) => match inner.0.downcast_ref::<webpki::Error>() {
            Some(error) => chain(error),
            None => "its certificate is not acceptable",
        },
        _ => "its certificate is not acceptable",
    };
    text.to_owned()
}

/// Returns what is wrong with a chain of certificates, where rustls has no type for it.
fn chain(error: &webpki::Error) -> &'static str {
    use webpki::Error;
    match error {
        Error::CaUsedAsEndEntity => "its certificate is a certificate authority's own",
        Error::EndEntityUsedAsCa => "its certificate is signed by a certificate that is not an authority's",
        Error::NameConstraintViolation
        | Error::MalformedNameConstraint
        | Error::InvalidNetworkMaskConstraint
        | Error::MaximumNameConstraintComparisonsExceeded => "its authority may not vouch for that name",
        Error::PathLenConstraintViolated
        | Error::MaximumPathDepthExceeded
        | Error::MaximumPathBuildCallsExceeded
        | Error::MaximumSignatureChecksExceeded => "there are more authorities above its certificate than are allowed",
        Error::UnsupportedCertVersion => "its certificate is older than version 3 (X.509)",
        Error::SignatureAlgorithmMismatch => "its certificate names two kinds of signature",
        Error::EmptyEkuExtension => "its certificate has an empty extended key usage",
        Error::CertDistrusted => "its authority is distrusted",
        Error::UnsupportedCriticalExtension => {
            "its certificate has a critical extension that this program does not know"
        }
        _ => "its certificate is damaged",
    }
}

/// Returns what is wrong with a PEM text.
pub(super) fn pem(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a line BEGIN has no line END",
        pem::Error::IllegalSectionStart { .. } => "a line BEGIN is damaged",
        pem::Error::Base64Decode(_) => "what is between BEGIN and END is not base64",
        pem::Error::NoItemsFound => "it has no line BEGIN",
        pem::Error::SectionTooLarge => "it is too large",
        _ => "it cannot be read",
    }
}

/// Returns the meaning of any other error of the TLS library.
pub(super) fn tls(error: &rustls::Error) -> String {
    use rustls::Error;
    let text = match error {
        Error::InvalidCertificate(reason) => return certificate(reason),
        Error::AlertReceived(description) => return alert(&format!("{description:?}")).to_owned(),
        Error::PeerIncompatible(what) => incompatible(what),
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge,
        ) => "it does not answer with TLS",
        Error::InvalidMessage(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::PeerMisbehaved(_)
        | Error::PeerSentOversizedRecord => "it breaks the rules of TLS",
        Error::DecryptError => "what arrived cannot be decrypted; something on the way may have changed it",
        Error::NoCertificatesPresented => "it shows no certificate",
        Error::NoApplicationProtocol => "it speaks none of the offered versions of HTTP",
        Error::InconsistentKeys(_) => "the key is not the one of the certificate",
        Error::FailedToGetCurrentTime => "this machine does not tell the time",
        Error::FailedToGetRandomBytes => "this machine gives no random numbers",
        // Says of a private key which kinds there are.
        Error::General(reason) if reason.contains("private key") => {
            "the key is damaged, or of a kind that is not supported (RSA, P-256, P-384 and Ed25519 are)"
        }
        Error::Other(inner) => match Arc::clone(&inner.0).downcast_ref::<webpki::Error>() {
            Some(error) => chain(error),
            None => "the TLS library gives no reason",
        },
        _ => "the TLS library gives no reason",
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::{ServerName, UnixTime, alg_id};
    use rustls::{AlertDescription, Error, InconsistentKeys, OtherError, PeerMisbehaved};

    use super::super::fault::fault;
    use super::*;

    /// Words as a person reads them: no name out of a program, no object identifier, no number of the system.
    fn is_plain(text: &str) -> bool {
        let humps = |word: &str| {
            let letters = word.trim_matches(|letter: char| !letter.is_alphanumeric());
            let mut changes = letters.as_bytes().windows(2);
            changes.any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
        };
        let numbers =
            |word: &str| word.matches('.').count() >= 3 && word.starts_with(|first: char| first.is_ascii_digit());
        let shout = |word: &str| word.contains("::") || word.contains("((");
        !text.is_empty()
            && !text.contains("os error")
            && !text.split_whitespace().any(|word| humps(word) || numbers(word) || shout(word))
    }

    #[test]
    fn no_error_of_a_library_is_told_in_its_own_terms() {
        let other = |error: webpki::Error| CertificateError::Other(OtherError(Arc::new(error)));
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1));
        let context = CertificateError::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: alg_id::ED448.as_ref().to_vec(),
            supported_algorithms: vec![alg_id::ED25519],
        };
        let certificates = [
            CertificateError::BadEncoding,
            CertificateError::BadSignature,
            CertificateError::Expired,
            CertificateError::ExpiredContext { time, not_after: time },
            CertificateError::NotValidYet,
            CertificateError::Revoked,
            CertificateError::UnhandledCriticalExtension,
            CertificateError::UnknownIssuer,
            CertificateError::UnknownRevocationStatus,
            CertificateError::ExpiredRevocationList,
            CertificateError::NotValidForName,
            CertificateError::NotValidForNameContext {
                expected: ServerName::try_from("a.example").expect("a name"),
                presented: vec!["b.example".to_owned()],
            },
            CertificateError::InvalidPurpose,
            CertificateError::InvalidOcspResponse,
            CertificateError::ApplicationVerificationFailure,
            context,
            CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
                signature_algorithm_id: alg_id::ECDSA_SHA512.as_ref().to_vec(),
                public_key_algorithm_id: alg_id::ECDSA_P384.as_ref().to_vec(),
            },
            other(webpki::Error::CaUsedAsEndEntity),
            other(webpki::Error::EndEntityUsedAsCa),
            other(webpki::Error::NameConstraintViolation),
            other(webpki::Error::PathLenConstraintViolated),
            other(webpki::Error::UnsupportedCertVersion),
            other(webpki::Error::MalformedExtensions),
            other(webpki::Error::InvalidSerialNumber),
            other(webpki::Error::SignatureAlgorithmMismatch),
            CertificateError::Other(OtherError(Arc::new(std::io::Error::from_raw_os_error(111)))),
        ];
        let mut errors: Vec<Error> = certificates.into_iter().map(Error::from).collect();
        errors.extend([
            Error::InvalidMessage(InvalidMessage::InvalidContentType),
            Error::InvalidMessage(InvalidMessage::InvalidCertRequest),
            Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedKxGroup),
            Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13),
            Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
            Error::PeerIncompatible(PeerIncompatible::NoKxGroupsInCommon),
            Error::PeerIncompatible(PeerIncompatible::ExtendedMasterSecretExtensionRequired),
            Error::NoCertificatesPresented,
            Error::DecryptError,
            Error::EncryptError,
            Error::PeerSentOversizedRecord,
            Error::NoApplicationProtocol,
            Error::FailedToGetRandomBytes,
            Error::General("failed to parse private key as RSA, ECDSA, or EdDSA".to_owned()),
            Error::General("OtherError(Whatever)".to_owned()),
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch),
            Error::Other(OtherError(Arc::new(webpki::Error::CaUsedAsEndEntity))),
        ]);
        for number in 0..=255 {
            errors.push(Error::AlertReceived(AlertDescription::from(number)));
        }
        for error in errors {
            for text in [tls(&error), fault(&error).to_string()] {
                assert!(is_plain(&text), "{error:?}: {text}");
            }
        }
    }

    #[test]
    fn names_of_programs_are_seen() {
        for text in
            ["UnknownIssuer", "a (CaUsedAsEndEntity)", "Other(x)((", "1.2.840.113549.1.1.5", "x (os error 5)", ""]
        {
            assert!(!is_plain(text), "{text}");
        }
        for text in ["it speaks neither TLS 1.2 nor TLS 1.3", "an RSA key of 1024 bits", "SHA-1", "10.0.0 is"] {
            assert!(is_plain(text), "{text}");
        }
    }
}
