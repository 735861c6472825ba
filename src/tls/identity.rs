//! The client certificate that is shown to a host that asks for one.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::error::{Origin, TlsError};
use super::pem::{certificates_of, read, read_certificates};
use super::words;

/// A client certificate with its key.
#[derive(Clone)]
pub struct ClientIdentity {
    /// The certificate's file.
    pub path: PathBuf,
    /// The key's file, if every user of this machine may read it.
    pub exposed_key: Option<PathBuf>,
    pub(super) key: Arc<CertifiedKey>,
}

/// Omits the key.
impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity").field("path", &self.path).finish_non_exhaustive()
    }
}

impl ClientIdentity {
    /// Reads a certificate and its key from two PEM files.
    pub(super) fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        if !key.exists() {
            return Err(TlsError::Unpaired { path: certificate.to_owned(), other: key.to_owned() });
        }
        let chain = read_certificates(certificate)?;
        let text = zeroize::Zeroizing::new(read(key)?);
        let pair = pair(chain, &text, certificate, key)?;
        let mode = std::fs::metadata(key).map(|metadata| metadata.permissions().mode());
        let mode = mode.map_err(|source| TlsError::Read { path: key.to_owned(), source })?;
        let exposed_key = (mode & 0o004 != 0).then(|| key.to_owned());
        Ok(Self { path: certificate.to_owned(), exposed_key, key: Arc::new(pair) })
    }

    /// Returns an identity from PEM texts that the caller read; `place` names both in messages.
    pub(super) fn from_pem(certificate: &[u8], key: &[u8], place: &Path) -> Result<Self, TlsError> {
        let chain = certificates_of(certificate, &Origin::File(place.to_owned()))?;
        let pair = pair(chain, key, place, place)?;
        Ok(Self { path: place.to_owned(), exposed_key: None, key: Arc::new(pair) })
    }
}

/// Returns a client's chain with the key of its first certificate; the paths are for messages.
fn pair(
    chain: Vec<CertificateDer<'static>>,
    text: &[u8],
    certificate: &Path,
    key: &Path,
) -> Result<CertifiedKey, TlsError> {
    let private = PrivateKeyDer::from_pem_slice(text).map_err(|_| TlsError::NoKey(key.to_owned()))?;
    let failed = |error| TlsError::Identity { path: certificate.to_owned(), reason: words::tls(&error) };
    CertifiedKey::from_der(chain, private, &super::provider()).map_err(failed)
}
