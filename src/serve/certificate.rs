//! The server's TLS certificate: read from files, or generated at start.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, DnsName, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::fs::{self, Links};

/// The largest certificate or key file that is read, in bytes.
const MAX_PEM_BYTES: u64 = 1 << 20;

/// Why there is no TLS identity.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The file holds no PEM certificate.
    #[error("`{}` holds no PEM certificate", .0.display())]
    NoCertificate(PathBuf),
    /// The file holds no PEM private key.
    #[error("`{}` holds no PEM private key", .0.display())]
    NoKey(PathBuf),
    /// Certificate and key do not match, or are of an unsupported kind.
    #[error("the certificate and key cannot be used")]
    Unusable(#[source] rustls::Error),
    /// A name that no certificate can carry.
    #[error("`{0}` is neither a host name nor an IP address")]
    Name(String),
    /// The certificate could not be made.
    #[error("cannot make a certificate")]
    Make(#[source] rcgen::Error),
}

/// A certificate and its key, ready to serve.
pub(super) struct Identity {
    pub(super) config: Arc<ServerConfig>,
    /// The PEM of a generated certificate.
    pub(super) pem: Option<String>,
}

impl Identity {
    /// Returns an ECDSA P-256 certificate that is its own authority, for `names`, loopback and `listen`,
    /// valid for a year. The key exists in memory only.
    pub(super) fn self_signed(names: &[String], listen: IpAddr) -> Result<Self, CertificateError> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = alternative_names(names, listen)?;
        params.distinguished_name.push(DnType::CommonName, "idpbuilder-serve");
        // Clients that look for an authority (Go's among them) accept a leaf only if it is one.
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        // A day of grace for clients whose clock is behind.
        let (year, month, day) = civil(today.yesterday().unwrap_or(today));
        params.not_before = rcgen::date_time_ymd(year, month, day);
        let (year, month, day) = civil(today.saturating_add(jiff::Span::new().years(1)));
        params.not_after = rcgen::date_time_ymd(year, month, day);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(CertificateError::Make)?;
        let certificate = params.self_signed(&key).map_err(CertificateError::Make)?;
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = server_config(vec![certificate.der().clone()], private)?;
        Ok(Self { config, pem: Some(certificate.pem()) })
    }

    /// Returns a chain, leaf first, and its key, both PEM.
    pub(super) fn from_files(certificate: &Path, key: &Path) -> Result<Self, CertificateError> {
        let chain = CertificateDer::pem_slice_iter(&read(certificate)?)
            .collect::<Result<Vec<_>, _>>()
            .ok()
            .filter(|chain| !chain.is_empty())
            .ok_or_else(|| CertificateError::NoCertificate(certificate.to_owned()))?;
        let private = PrivateKeyDer::from_pem_slice(&zeroize::Zeroizing::new(read(key)?))
            .map_err(|_| CertificateError::NoKey(key.to_owned()))?;
        Ok(Self { config: server_config(chain, private)?, pem: None })
    }
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, CertificateError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(CertificateError::Unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn alternative_names(names: &[String], listen: IpAddr) -> Result<Vec<SanType>, CertificateError> {
    let mut found = Vec::new();
    let mut add = |name: SanType| {
        if !found.contains(&name) {
            found.push(name);
        }
    };
    for name in names.iter().map(String::as_str).chain(["localhost"]) {
        let wrong = || CertificateError::Name(name.chars().take(253).collect());
        if let Ok(address) = name.parse() {
            add(SanType::IpAddress(address));
            continue;
        }
        DnsName::try_from(name.strip_prefix("*.").unwrap_or(name)).map_err(|_| wrong())?;
        add(SanType::DnsName(name.to_ascii_lowercase().try_into().map_err(|_| wrong())?));
    }
    for address in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST), listen] {
        if !address.is_unspecified() {
            add(SanType::IpAddress(address));
        }
    }
    Ok(found)
}

fn civil(date: jiff::civil::Date) -> (i32, u8, u8) {
    (i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    // Kubernetes mounts secrets as links.
    fs::read_regular(path, MAX_PEM_BYTES, Links::Follow)
        .map_err(|source| CertificateError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

    use super::*;

    fn made(names: &[&str]) -> (String, Vec<u8>) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let identity = Identity::self_signed(&names, IpAddr::from([10, 0, 0, 1])).expect("made");
        let pem = identity.pem.expect("its own");
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM").to_vec();
        (pem, der)
    }

    #[test]
    fn a_made_certificate_is_a_leaf_and_an_authority_for_all_its_names() {
        let (pem, der) = made(&["Registry.example", "*.cnoe.localtest.me", "192.0.2.1", "localhost"]);
        assert!(!pem.contains("PRIVATE"));
        let (_, certificate) = X509Certificate::from_der(&der).expect("DER");
        assert!(certificate.is_ca());
        let names = certificate.subject_alternative_name().expect("read").expect("there");
        let mut found: Vec<String> = Vec::new();
        for name in &names.value.general_names {
            match name {
                GeneralName::DNSName(name) => found.push((*name).to_owned()),
                GeneralName::IPAddress(bytes) => found.push(format!("{bytes:?}")),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(found.len(), 7, "{found:?}");
        for name in [
            "registry.example",
            "*.cnoe.localtest.me",
            "localhost",
            "[192, 0, 2, 1]",
            "[127, 0, 0, 1]",
            "[10, 0, 0, 1]",
        ] {
            assert!(found.iter().any(|found| found == name), "{name} in {found:?}");
        }
        let validity = certificate.validity();
        assert!(validity.is_valid());
        let days = (validity.not_after.timestamp() - validity.not_before.timestamp()) / 86_400;
        assert!((365..=367).contains(&days), "{days}");
        assert_eq!(certificate.public_key().algorithm.algorithm.to_id_string(), "1.2.840.10045.2.1");
    }

    #[test]
    fn names_that_are_none_are_refused() {
        for name in ["", "a b", "host:5000", "*", "a/b"] {
            let refused = Identity::self_signed(&[name.to_owned()], IpAddr::V4(Ipv4Addr::LOCALHOST));
            assert!(matches!(refused, Err(CertificateError::Name(_))), "{name}");
        }
    }

    #[test]
    fn files_are_read_and_refused_by_what_they_lack() {
        let directory = tempfile::tempdir().expect("a directory");
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let other = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let certificate =
            CertificateParams::new(vec!["x.example".to_owned()]).expect("params").self_signed(&key).expect("made");
        let file = |name: &str, text: String| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let good = file("cert.pem", certificate.pem());
        let good_key = file("key.pem", key.serialize_pem());
        let other_key = file("other.pem", other.serialize_pem());
        let empty = file("empty.pem", String::new());
        let load = |certificate: &Path, key: &Path| Identity::from_files(certificate, key).map(|identity| identity.pem);
        assert_eq!(load(&good, &good_key).expect("a pair"), None);
        assert!(matches!(load(&good, &other_key), Err(CertificateError::Unusable(_))));
        assert!(matches!(load(&good, &empty), Err(CertificateError::NoKey(_))));
        assert!(matches!(load(&empty, &good_key), Err(CertificateError::NoCertificate(_))));
        assert!(matches!(load(&directory.path().join("none"), &good_key), Err(CertificateError::Read { .. })));
    }
}
