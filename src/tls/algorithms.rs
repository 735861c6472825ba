//! Names the keys and signatures of certificates that cannot be verified.

use std::fmt;

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::Oid;
use x509_parser::public_key::PublicKey;

use crate::text::plain;

/// The smallest and largest RSA keys in bits (`ring`'s limits, and those of TLS 1.3's peers).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// The most characters of a subject that are shown.
const MAX_SUBJECT: usize = 100;

/// Curves of EC keys (SEC 2, RFC 5480, RFC 5639); the first three can be verified.
const CURVES: [(&str, &str); 8] = [
    ("1.2.840.10045.3.1.7", "P-256"),
    ("1.3.132.0.34", "P-384"),
    ("1.3.132.0.35", "P-521"),
    ("1.3.132.0.33", "P-224"),
    ("1.3.132.0.10", "secp256k1"),
    ("1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1"),
    ("1.3.36.3.3.2.8.1.1.11", "brainpoolP384r1"),
    ("1.3.36.3.3.2.8.1.1.13", "brainpoolP512r1"),
];
const VERIFIED_CURVES: usize = 3;

/// The kinds of keys other than RSA and EC; the first can be verified.
const KEYS: [(&str, &str); 7] = [
    ("1.3.101.112", "an Ed25519 key"),
    ("1.2.840.113549.1.1.10", "an RSA key for RSASSA-PSS alone"),
    ("1.3.101.113", "an Ed448 key"),
    ("1.2.840.10040.4.1", "a DSA key"),
    ("2.16.840.1.101.3.4.3.17", "an ML-DSA-44 key"),
    ("2.16.840.1.101.3.4.3.18", "an ML-DSA-65 key"),
    ("2.16.840.1.101.3.4.3.19", "an ML-DSA-87 key"),
];
const VERIFIED_KEYS: usize = 1;

/// Signature algorithms that certificates have and that are not verified.
const SIGNATURES: [(&str, &str); 14] = [
    ("1.2.840.113549.1.1.2", "RSA with MD2"),
    ("1.2.840.113549.1.1.4", "RSA with MD5"),
    ("1.2.840.113549.1.1.5", "RSA with SHA-1"),
    ("1.2.840.113549.1.1.14", "RSA with SHA-224"),
    ("1.2.840.10045.4.1", "ECDSA with SHA-1"),
    ("1.2.840.10045.4.3.1", "ECDSA with SHA-224"),
    ("1.2.840.10040.4.3", "DSA with SHA-1"),
    ("2.16.840.1.101.3.4.3.2", "DSA with SHA-256"),
    ("1.3.101.113", "Ed448"),
    ("1.2.156.10197.1.501", "SM2 with SM3"),
    ("2.16.840.1.101.3.4.3.10", "ECDSA with SHA3-256"),
    ("2.16.840.1.101.3.4.3.17", "ML-DSA-44"),
    ("2.16.840.1.101.3.4.3.18", "ML-DSA-65"),
    ("2.16.840.1.101.3.4.3.19", "ML-DSA-87"),
];
/// RSASSA-PSS, which is verified with SHA-256, SHA-384 and SHA-512 (RFC 4055).
const RSA_PSS: &str = "1.2.840.113549.1.1.10";

/// The part of a certificate that cannot be verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unverifiable {
    /// The key of the server's own certificate.
    Key(String),
    /// The signature that an authority gave the server's certificate or one above it.
    Signature(String),
    /// The key of an authority.
    AuthorityKey {
        /// The authority's name.
        authority: String,
        /// Its key.
        key: String,
    },
}

/// Formats a phrase that completes "its certificate ...".
impl fmt::Display for Unverifiable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "has {key}, which cannot be verified"),
            Self::Signature(signature) => write!(f, "is signed by {signature}, which cannot be verified"),
            Self::AuthorityKey { authority, key } => {
                write!(f, "is from `{authority}`, which has {key}, which cannot be verified")
            }
        }
    }
}

/// Returns what keeps signatures by the server's own key from being verified.
pub(super) fn key_fault(certificate: &CertificateDer<'_>) -> Option<Unverifiable> {
    unverifiable_key(&parse(certificate)?).map(Unverifiable::Key)
}

/// Returns what keeps a chain from being verified: the certificates that the server showed, its own first, and those
/// that are trusted.
pub(super) fn chain_fault<'a>(
    shown: &[CertificateDer<'_>],
    trusted: impl Iterator<Item = &'a CertificateDer<'static>>,
) -> Option<Unverifiable> {
    let (own, others) = shown.split_first()?;
    if let Some(fault) = key_fault(own) {
        return Some(fault);
    }
    // A root's signature of itself is not verified.
    let vouched = shown.iter().filter_map(parse).filter(|certificate| certificate.subject() != certificate.issuer());
    let issuers: Vec<Vec<u8>> = vouched.map(|certificate| certificate.issuer().as_raw().to_vec()).collect();
    for authority in others.iter().filter_map(parse) {
        if let Some(fault) = authority_fault(&authority) {
            return Some(fault);
        }
    }
    for authority in trusted.filter_map(|certificate| parse(certificate)) {
        if issuers.iter().any(|issuer| issuer == authority.subject().as_raw())
            && let Some(fault) = authority_fault(&authority)
        {
            return Some(fault);
        }
    }
    let mut vouched =
        shown.iter().filter_map(parse).filter(|certificate| certificate.subject() != certificate.issuer());
    vouched.find_map(|certificate| unverifiable_signature(&certificate)).map(Unverifiable::Signature)
}

fn authority_fault(authority: &X509Certificate<'_>) -> Option<Unverifiable> {
    let key = unverifiable_key(authority)?;
    Some(Unverifiable::AuthorityKey { authority: plain(&authority.subject().to_string(), MAX_SUBJECT), key })
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    x509_parser::parse_x509_certificate(certificate).ok().map(|(_, certificate)| certificate)
}

/// Returns the key in words, if signatures by it are not verified.
fn unverifiable_key(certificate: &X509Certificate<'_>) -> Option<String> {
    let key = certificate.public_key();
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => {
            let bits = rsa.key_size();
            if RSA_BITS.contains(&bits) {
                return None;
            }
            let limit =
                if bits < *RSA_BITS.start() { ("at least", RSA_BITS.start()) } else { ("at most", RSA_BITS.end()) };
            Some(format!("an RSA key of {bits} bits instead of {} {}", limit.0, limit.1))
        }
        Ok(PublicKey::EC(_)) => {
            let curve = key.algorithm.parameters().and_then(|curve| curve.as_oid().ok());
            let Some(curve) = curve else { return Some("an EC key on a curve without a name".to_owned()) };
            named(&CURVES, VERIFIED_CURVES, &curve, "another curve").map(|curve| format!("an EC key on {curve}"))
        }
        _ => named(&KEYS, VERIFIED_KEYS, &key.algorithm.algorithm, "a key of an unknown kind").map(str::to_owned),
    }
}

/// Returns the signature in words, if it is of a kind that is not verified.
fn unverifiable_signature(certificate: &X509Certificate<'_>) -> Option<String> {
    let algorithm = certificate.signature_algorithm.algorithm.to_id_string();
    if algorithm == RSA_PSS {
        return None;
    }
    SIGNATURES.iter().find(|(id, _)| *id == algorithm).map(|(_, name)| (*name).to_owned())
}

/// Returns the name of an object identifier; none for the first `verified` rows of the table.
fn named(
    table: &[(&str, &'static str)],
    verified: usize,
    oid: &Oid<'_>,
    unknown: &'static str,
) -> Option<&'static str> {
    let id = oid.to_id_string();
    match table.iter().position(|(known, _)| *known == id) {
        Some(row) if row < verified => None,
        Some(row) => Some(table[row].1),
        None => Some(unknown),
    }
}
