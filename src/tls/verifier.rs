//! The rustls verifier for the certificates of one host.

use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};

use super::algorithms::{chain_fault, key_fault};
use super::certificate::{CertificateFacts, Presented};
use super::error::Origin;
use super::fault::{HandshakeFault, Verdict};
use super::trust::TrustStore;

#[derive(Debug)]
enum Rule {
    AnyCertificate,
    Trusted {
        /// Certificates that are trusted by equality, without a chain.
        exact: Vec<CertificateDer<'static>>,
        /// Certificates that other certificates chain to.
        chained: Chained,
    },
}

/// The verifier of chains, made when the first chain has to be verified.
#[derive(Debug)]
struct Chained {
    trust: TrustStore,
    provider: Arc<CryptoProvider>,
    /// `None` inside when there is no root to chain to.
    verifier: OnceLock<Result<Option<Arc<WebPkiServerVerifier>>, String>>,
}

impl Chained {
    /// Returns the verifier of chains; `None` if there is no root.
    ///
    /// # Errors
    ///
    /// Fails if the system's roots are needed and not read yet: reading them blocks on the disk, and this thread serves
    /// other connections. The caller reads them, and connects again.
    fn verifier(&self) -> Result<Option<&Arc<WebPkiServerVerifier>>, rustls::Error> {
        let system = match self.trust.system_roots_at_need() {
            Some(roots) => {
                let unread = || rustls::Error::General("the system's roots were not read yet".to_owned());
                Some(roots.known().ok_or_else(unread)?)
            }
            None => None,
        };
        let made = self.verifier.get_or_init(|| {
            let mut roots = RootCertStore::empty();
            let system = system.iter().flat_map(|read| &read.certificates);
            let anchors = self.trust.anchors().iter().map(|anchor| &anchor.certificate);
            // A certificate that webpki cannot use as a root (X.509 v1) can still be trusted by equality.
            roots.add_parsable_certificates(system.chain(anchors).cloned());
            if roots.is_empty() {
                return Ok(None);
            }
            let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone());
            builder.build().map(Some).map_err(|error| error.to_string())
        });
        made.as_ref().map(Option::as_ref).map_err(|error| rustls::Error::General(error.clone()))
    }

    /// Returns why no root vouches for a certificate, where roots that a person named could not be read. Where a
    /// certificate was chosen for the host, that another one is shown comes first.
    fn unreadable_roots(&self) -> Option<HandshakeFault> {
        let named =
            self.trust.system_roots_at_need().filter(|roots| self.trust.chosen().is_empty() && roots.are_named());
        let failure = named?.known()?.failures.first()?;
        Some(HandshakeFault::UnreadableRoots(failure.to_string()))
    }
}

/// Records the server's chain, then verifies it.
#[derive(Debug)]
pub(super) struct HostVerifier {
    rule: Rule,
    algorithms: WebPkiSupportedAlgorithms,
    presented: Presented,
}

impl HostVerifier {
    pub(super) fn accepting_any(provider: &CryptoProvider, presented: Presented) -> Self {
        Self { rule: Rule::AnyCertificate, algorithms: provider.signature_verification_algorithms, presented }
    }

    pub(super) fn trusting(trust: &TrustStore, provider: &Arc<CryptoProvider>, presented: Presented) -> Self {
        // System roots are never server certificates, so only configured certificates are compared.
        let configured = trust.anchors().iter().filter(|anchor| anchor.origin != Origin::System);
        let exact = configured.map(|anchor| anchor.certificate.clone()).collect();
        let chained = Chained { trust: trust.clone(), provider: provider.clone(), verifier: OnceLock::new() };
        let algorithms = provider.signature_verification_algorithms;
        Self { rule: Rule::Trusted { exact, chained }, algorithms, presented }
    }
}

impl ServerCertVerifier for HostVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.presented.record(server_name, end_entity, intermediates);
        // The handshake's signature could not be verified: no certificate is worth more than its key.
        let key = key_fault(end_entity).map(|fault| HandshakeFault::Unverifiable(Box::new(fault)));
        let Rule::Trusted { exact, chained } = &self.rule else {
            return match key {
                None => Ok(ServerCertVerified::assertion()),
                Some(fault) => Err(fault_as_error(fault)),
            };
        };
        let verdict = if exact.contains(end_entity) {
            verify_exact(end_entity, server_name, now)
        } else if let Some(chained) = chained.verifier()? {
            chained.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        } else {
            Err(CertificateError::UnknownIssuer.into())
        };
        match (verdict, key) {
            (Ok(verified), None) => Ok(verified),
            (Ok(_), Some(fault)) => Err(fault_as_error(fault)),
            (Err(error), key) => {
                let shown: Vec<_> = std::iter::once(end_entity).chain(intermediates).cloned().collect();
                Err(explain(error, key, &shown, server_name, chained))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Checks name and dates of a certificate that equals a configured one byte for byte.
///
/// No issuer has to sign it, and the handshake's signature proves that the peer holds its key.
fn verify_exact(
    certificate: &CertificateDer<'_>,
    server_name: &ServerName<'_>,
    now: UnixTime,
) -> Result<ServerCertVerified, rustls::Error> {
    rustls::client::verify_server_name(&ParsedCertificate::try_from(certificate)?, server_name)?;
    let facts = CertificateFacts::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    // Dates before 1970 are as far in the past as 1970 is.
    let unix = |time: jiff::Timestamp| u64::try_from(time.as_second()).unwrap_or(0);
    let (not_before, not_after) = (unix(facts.not_before), unix(facts.not_after));
    let moment = |seconds| UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    if now.as_secs() < not_before {
        return Err(CertificateError::NotValidYetContext { time: now, not_before: moment(not_before) }.into());
    }
    if now.as_secs() > not_after {
        return Err(CertificateError::ExpiredContext { time: now, not_after: moment(not_after) }.into());
    }
    Ok(ServerCertVerified::assertion())
}

/// Puts what webpki says untyped or in debug form into types that [`super::classify`] knows. Of several faults, the one
/// comes first that has to be mended whatever becomes of the others: a name that does not fit, then a key that cannot
/// be verified.
fn explain(
    error: rustls::Error,
    key: Option<HandshakeFault>,
    shown: &[CertificateDer<'_>],
    server_name: &ServerName<'_>,
    chained: &Chained,
) -> rustls::Error {
    let rustls::Error::InvalidCertificate(reason) = &error else { return error };
    let Ok(facts) = CertificateFacts::from_der(&shown[0]) else { return error };
    let misnamed = ParsedCertificate::try_from(&shown[0])
        .is_ok_and(|certificate| rustls::client::verify_server_name(&certificate, server_name).is_err());
    if misnamed && facts.names.is_empty() {
        return fault_as_error(HandshakeFault::NoNames { subject: facts.subject });
    }
    if misnamed {
        let expected = server_name.to_owned();
        return CertificateError::NotValidForNameContext { expected, presented: facts.names }.into();
    }
    if let Some(fault) = key {
        return fault_as_error(fault);
    }
    match reason {
        CertificateError::UnknownIssuer => {
            let fault = chained.unreadable_roots().or_else(|| missing_issuer(shown, &chained.trust));
            fault.map_or(error, fault_as_error)
        }
        CertificateError::BadSignature
        | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            match chain_fault(shown, chained.trust.anchors().iter().map(|anchor| &anchor.certificate)) {
                Some(fault) => fault_as_error(HandshakeFault::Unverifiable(Box::new(fault))),
                // A trusted issuer has this name but another key: the authority was created again.
                None if *reason == CertificateError::BadSignature => CertificateError::UnknownIssuer.into(),
                None => error,
            }
        }
        CertificateError::Other(_) if facts.is_ca => fault_as_error(HandshakeFault::CaUsedAsEndEntity),
        _ => error,
    }
}

/// Returns the authority at which a chain ends that was not shown to its root, if its name is not a trusted one's.
fn missing_issuer(shown: &[CertificateDer<'_>], trust: &TrustStore) -> Option<HandshakeFault> {
    let facts = |certificate: &CertificateDer<'_>| CertificateFacts::from_der(certificate).ok();
    let mut others: Vec<_> = shown.iter().skip(1).filter_map(facts).collect();
    let mut last = facts(&shown[0])?;
    // Each certificate is used once, so that a circle of them ends.
    while let Some(at) = others.iter().position(|other| other.subject == last.issuer) {
        if last.self_signed {
            break;
        }
        last = others.swap_remove(at);
    }
    let is_trusted = |issuer: &str| {
        trust.anchors().iter().filter_map(|anchor| facts(&anchor.certificate)).any(|anchor| anchor.subject == issuer)
    };
    (!last.self_signed && !is_trusted(&last.issuer)).then_some(HandshakeFault::MissingIssuer { issuer: last.issuer })
}

fn fault_as_error(fault: HandshakeFault) -> rustls::Error {
    CertificateError::Other(OtherError(Arc::new(Verdict(fault)))).into()
}
