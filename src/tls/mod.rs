//! Which servers to trust: one policy for each host, with the origin of each trusted certificate.
//!
//! A server is trusted if its chain leads to a root, or if its certificate equals one that was configured for the
//! host. The second way exists for idpbuilder, whose certificate is its own issuer (`CA:TRUE`) and is also served as
//! the leaf, which the chain rules refuse. Both ways check the name, the validity and the handshake's signature. The
//! caller passes all paths.

mod algorithms;
mod certificate;
mod ecdsa;
mod error;
mod fault;
mod host;
mod identity;
mod pem;
mod system_roots;
#[cfg(test)]
mod tests;
mod trust;
mod trust_sources;
mod verifier;
mod words;

use std::sync::Arc;

pub use rustls::ClientConfig;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::sign::SingleCertAndKey;
use tokio::io::{AsyncRead, AsyncWrite};

pub use algorithms::Unverifiable;
pub use certificate::{CertificateFacts, Presented, UnreadableCertificate};
pub use error::{Origin, TlsError};
pub use fault::{HandshakeFault, classify};
pub use host::{InvalidHost, RegistryHost};
pub use identity::ClientIdentity;
pub use pem::{MAX_CERTIFICATES, MAX_PEM_BYTES, certificates_of, read_certificates, to_pem};
pub use system_roots::{ReadRoots, SystemRoots, UnreadRoots};
pub use trust::{Anchor, Chosen, TrustStore};
pub use trust_sources::TrustSources;

/// How connections to one host are protected. It is always chosen explicitly, never inferred from the address.
#[derive(Debug, Clone)]
pub enum TlsPolicy {
    /// TLS, and the server must be trusted.
    Verify(TrustStore),
    /// TLS that accepts any certificate. The handshake's signature is still checked, so that the recorded
    /// certificate is the one of the peer.
    SkipVerify,
    /// No TLS at all.
    Plaintext,
}

/// What a connector needs to speak TLS to one host.
#[derive(Debug, Clone)]
pub struct ClientTls {
    /// The configuration; ALPN is left to the connector.
    pub config: Arc<ClientConfig>,
    /// The chain the server showed last.
    pub presented: Presented,
    /// What it might have shown instead.
    pub chosen: Vec<Chosen>,
    /// The system's roots, where they count and are read when they are needed.
    system: Option<SystemRoots>,
}

impl ClientTls {
    /// Reads the system's roots on another thread, where nothing but them can decide. Call it before each handshake.
    pub async fn before_handshake(&self) {
        if self.chosen.is_empty() {
            self.read_system_roots().await;
        }
    }

    /// Returns whether a handshake failed for want of the system's roots, which are read on another thread then. The
    /// next handshake has them.
    pub async fn wanted_roots(&self) -> bool {
        let wanted = self.system.as_ref().is_some_and(|roots| roots.are_wanted() && !roots.are_known());
        if wanted {
            self.read_system_roots().await;
        }
        wanted
    }

    async fn read_system_roots(&self) {
        if let Some(roots) = &self.system {
            roots.read_elsewhere().await;
        }
    }
}

/// Returns the client side of TLS under a policy; `None` when the policy is to use none.
pub fn client(policy: &TlsPolicy) -> Result<Option<ClientTls>, TlsError> {
    let provider = provider();
    let presented = Presented::default();
    let verifier = match policy {
        TlsPolicy::Plaintext => return Ok(None),
        TlsPolicy::SkipVerify => verifier::HostVerifier::accepting_any(&provider, presented.clone()),
        TlsPolicy::Verify(trust) => verifier::HostVerifier::trusting(trust, &provider, presented.clone()),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Provider(words::tls(&error)))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    // Client certificates go only to verified hosts: without verification, none is sent.
    let identity = match policy {
        TlsPolicy::Verify(trust) => trust.identity(),
        TlsPolicy::SkipVerify | TlsPolicy::Plaintext => None,
    };
    let chosen = match policy {
        TlsPolicy::Verify(trust) => trust.chosen(),
        TlsPolicy::SkipVerify | TlsPolicy::Plaintext => Vec::new(),
    };
    let system = match policy {
        TlsPolicy::Verify(trust) => trust.system_roots_at_need().cloned(),
        TlsPolicy::SkipVerify | TlsPolicy::Plaintext => None,
    };
    let config = match identity {
        Some(identity) => config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.key.clone()))),
        None => config.with_no_client_auth(),
    };
    Ok(Some(ClientTls { config: Arc::new(config), presented, chosen, system }))
}

/// Returns whether a server that shows `chain`, its own certificate first, is trusted as `host` now. No connection is
/// made. Reads the system's roots where they count.
pub fn judge(trust: &TrustStore, chain: &[CertificateDer<'_>], host: &RegistryHost) -> Result<(), HandshakeFault> {
    if let Some(roots) = trust.system_roots_at_need() {
        roots.read();
    }
    let verifier = verifier::HostVerifier::trusting(trust, &provider(), Presented::default());
    let (Some((own, others)), Some(name)) = (chain.split_first(), host.server_name()) else {
        return Err(HandshakeFault::UnknownIssuer);
    };
    let verdict = verifier.verify_server_cert(own, others, &name, &[], UnixTime::now());
    verdict.map(|_| ()).map_err(|error| fault::fault(&error))
}

/// Performs a handshake as `host` and nothing else: no byte is sent after it. The chain is in
/// [`ClientTls::presented`], also when the handshake failed after it was shown.
pub async fn handshake(
    tls: &ClientTls,
    host: &RegistryHost,
    stream: impl AsyncRead + AsyncWrite + Unpin,
) -> std::io::Result<()> {
    let invalid = || std::io::Error::from(std::io::ErrorKind::InvalidInput);
    let name = host.server_name().ok_or_else(invalid)?;
    tls.read_system_roots().await;
    tokio_rustls::TlsConnector::from(Arc::clone(&tls.config)).connect(name, stream).await.map(drop)
}

/// Returns the one cryptography provider: `ring`, and the verification of ECDSA signatures that it lacks. Named at each
/// use: a process-wide default would be set by the first library that needs one.
pub fn provider() -> Arc<CryptoProvider> {
    ecdsa::provider()
}
