//! The facts of a certificate that users check: names, dates, fingerprint.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, ServerName};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use super::host::RegistryHost;
use crate::image::Digest;
use crate::text::plain;

/// The most certificates of a presented chain that are kept.
const MAX_CHAIN: usize = 10;
/// The most servers whose chains are kept.
const MAX_SERVERS: usize = 16;
/// The most names of one certificate that are kept.
const MAX_NAMES: usize = 100;
/// The most characters of one subject or name that are kept.
const MAX_TEXT: usize = 256;

/// The bytes are not an X.509 certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a readable X.509 certificate")]
pub struct UnreadableCertificate;

/// A certificate's content. Its texts are chosen by its issuer: control characters are replaced
/// and lengths limited, so that they can be shown on a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The subject (RFC 4514, in the encoded order).
    pub subject: String,
    /// The issuer that the certificate names.
    pub issuer: String,
    /// DNS names and IP addresses it is valid for (subjectAltName; a common name does not count).
    pub names: Vec<String>,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
    /// `sha256:` and the hexadecimal SHA-256 of its DER form.
    pub fingerprint: String,
    /// Whether it is a certificate authority (basicConstraints).
    pub is_ca: bool,
    /// Whether subject and issuer are the same.
    pub self_signed: bool,
}

impl CertificateFacts {
    /// Reads a certificate in DER form.
    pub fn from_der(der: &[u8]) -> Result<Self, UnreadableCertificate> {
        let certificate = parse(der)?;
        let time = |time: x509_parser::time::ASN1Time| {
            Timestamp::from_second(time.timestamp()).map_err(|_| UnreadableCertificate)
        };
        Ok(Self {
            subject: clean(&certificate.subject().to_string()),
            issuer: clean(&certificate.issuer().to_string()),
            names: names(&certificate),
            not_before: time(certificate.validity().not_before)?,
            not_after: time(certificate.validity().not_after)?,
            fingerprint: Digest::of(der).to_string(),
            is_ca: certificate.is_ca(),
            self_signed: certificate.subject().as_raw() == certificate.issuer().as_raw(),
        })
    }
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, UnreadableCertificate> {
    match x509_parser::parse_x509_certificate(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(UnreadableCertificate),
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let text = |name: &GeneralName<'_>| match name {
        // A DNS entry matches no IP address, which has entries of its own kind (RFC 9525 section 6.5).
        GeneralName::DNSName(name) if name.parse::<IpAddr>().is_ok() => Some(format!("DNS:{}", clean(name))),
        GeneralName::DNSName(name) => Some(clean(name)),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| Ipv4Addr::from(bytes).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| Ipv6Addr::from(bytes).to_string()),
            _ => None,
        },
        _ => None,
    };
    extension.value.general_names.iter().filter_map(text).take(MAX_NAMES).collect()
}

fn clean(text: &str) -> String {
    plain(text, MAX_TEXT)
}

/// A chain as the server sent it, its own certificate first.
type Chain = Vec<CertificateDer<'static>>;

/// The chains that servers showed, recorded before they are judged and also when they are refused.
#[derive(Debug, Clone, Default)]
pub struct Presented(Arc<Mutex<Vec<(ServerName<'static>, Chain)>>>);

impl Presented {
    /// Returns the facts of the certificates of the last chain, the server's own first. Unreadable ones are left out;
    /// empty before the first handshake.
    pub fn chain(&self) -> Vec<CertificateFacts> {
        facts(&self.certificates())
    }

    /// Returns the certificates of the last chain in DER form, the server's own first.
    pub fn certificates(&self) -> Vec<CertificateDer<'static>> {
        self.seen().last().map(|(_, chain)| chain.clone()).unwrap_or_default()
    }

    /// Returns the last chain of the server with that name, as [`Self::chain`] does: one connector may meet several.
    pub fn chain_of(&self, host: &RegistryHost) -> Vec<CertificateFacts> {
        let Some(name) = host.server_name() else { return Vec::new() };
        let seen = self.seen();
        seen.iter().find(|(server, _)| *server == name).map(|(_, chain)| facts(chain)).unwrap_or_default()
    }

    pub(super) fn record(&self, server: &ServerName<'_>, leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>]) {
        let chain = std::iter::once(leaf).chain(others).take(MAX_CHAIN);
        let chain = chain.map(|der| der.clone().into_owned()).collect();
        let mut seen = self.seen();
        seen.retain(|(name, _)| name != server);
        if seen.len() == MAX_SERVERS {
            seen.remove(0);
        }
        seen.push((server.to_owned(), chain));
    }

    fn seen(&self) -> MutexGuard<'_, Vec<(ServerName<'static>, Chain)>> {
        // A poisoned lock is usable: a panic elsewhere cannot leave a chain half replaced.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn facts(chain: &[CertificateDer<'_>]) -> Vec<CertificateFacts> {
    chain.iter().filter_map(|der| CertificateFacts::from_der(der).ok()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_certificate_tells_its_names_dates_and_fingerprint() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let names = ["cnoe.localtest.me", "*.cnoe.localtest.me", "127.0.0.1", "::1"].map(str::to_owned);
        let mut params = rcgen::CertificateParams::new(names).expect("names");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.not_before = rcgen::date_time_ymd(2020, 2, 29);
        params.not_after = rcgen::date_time_ymd(2021, 3, 1);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "cnoe\u{1b}[31m.io");
        let certificate = params.self_signed(&key).expect("signed");
        let facts = CertificateFacts::from_der(certificate.der()).expect("readable");
        assert_eq!(
            facts,
            CertificateFacts {
                subject: "O=cnoe\u{fffd}[31m.io".into(),
                issuer: "O=cnoe\u{fffd}[31m.io".into(),
                names: ["cnoe.localtest.me", "*.cnoe.localtest.me", "127.0.0.1", "::1"].map(str::to_owned).into(),
                not_before: "2020-02-29T00:00:00Z".parse().expect("a time"),
                not_after: "2021-03-01T00:00:00Z".parse().expect("a time"),
                fingerprint: Digest::of(certificate.der()).to_string(),
                is_ca: true,
                self_signed: true,
            }
        );
        let mut longer = certificate.der().to_vec();
        longer.push(0);
        assert_eq!(CertificateFacts::from_der(&longer), Err(UnreadableCertificate));
    }

    proptest! {
        #[test]
        fn reading_never_panics(bytes: Vec<u8>) {
            let _ = CertificateFacts::from_der(&bytes);
        }

        /// Damaged in one place, most of a certificate still reaches the inner parsers.
        #[test]
        fn reading_a_damaged_certificate_never_panics(place: prop::sample::Index, value: u8) {
            static WHOLE: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
                let names = vec!["a.example".to_owned(), "10.0.0.1".to_owned()];
                rcgen::generate_simple_self_signed(names).expect("signed").cert.der().to_vec()
            });
            let mut der = WHOLE.clone();
            let place = place.index(der.len());
            der[place] = value;
            let _ = CertificateFacts::from_der(&der);
        }
    }
}
