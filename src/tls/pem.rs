//! Certificates as text (RFC 7468): read with limits, written as others read them.

use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::certificate::CertificateFacts;
use super::error::{Origin, TlsError};
use super::words;
use crate::fs::{Links, Unreadable, read_regular};

/// The largest file of certificates, in bytes.
pub const MAX_PEM_BYTES: u64 = 1024 * 1024;
/// The most certificates of a file.
pub const MAX_CERTIFICATES: usize = 1000;

/// Reads a regular file of at most [`MAX_PEM_BYTES`]; a pipe is refused.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    read_regular(path, MAX_PEM_BYTES, Links::Follow).map_err(|source| match Unreadable::of(&source) {
        Some(Unreadable::TooLarge { .. }) => {
            TlsError::TooLarge { origin: Origin::File(path.to_owned()), limit: MAX_PEM_BYTES }
        }
        _ => TlsError::Read { path: path.to_owned(), source },
    })
}

/// Returns every certificate of a PEM file, checked, in the file's order.
///
/// # Errors
///
/// Fails if the file cannot be read, is too large, or holds a damaged certificate, too many or none.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    certificates_of(&read(path)?, &Origin::File(path.to_owned()))
}

/// Formats certificates as a PEM text that [`read_certificates`] and other programs read.
pub fn to_pem(certificates: &[CertificateDer<'_>]) -> String {
    use base64::Engine as _;
    let mut text = String::new();
    for certificate in certificates {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let mut rest = base64::engine::general_purpose::STANDARD.encode(certificate);
        // RFC 7468 section 2: lines of 64 characters.
        while !rest.is_empty() {
            let tail = rest.split_off(rest.len().min(64));
            text.push_str(&rest);
            text.push('\n');
            rest = tail;
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

/// Returns every certificate of a PEM text, checked, in the text's order; `origin` is for messages.
///
/// # Errors
///
/// Fails if the text is too large, or holds a damaged certificate, too many or none.
pub fn certificates_of(text: &[u8], origin: &Origin) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    if text.len() as u64 > MAX_PEM_BYTES {
        return Err(TlsError::TooLarge { origin: origin.clone(), limit: MAX_PEM_BYTES });
    }
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(text) {
        let certificate =
            certificate.map_err(|error| TlsError::Pem { origin: origin.clone(), reason: words::pem(&error) })?;
        let number = certificates.len() + 1;
        if number > MAX_CERTIFICATES {
            return Err(TlsError::TooMany { origin: origin.clone(), limit: MAX_CERTIFICATES });
        }
        CertificateFacts::from_der(&certificate).map_err(|source| TlsError::Certificate {
            origin: origin.clone(),
            number,
            source,
        })?;
        certificates.push(certificate);
    }
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate { origin: origin.clone() });
    }
    Ok(certificates)
}
