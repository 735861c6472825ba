//! Verification of the ECDSA signatures that `ring` lacks: keys on P-521, and SHA-512 with keys on P-256 and P-384.
//!
//! All inputs are public, so timing reveals no secret. Signing stays with `ring`.

use std::sync::{Arc, LazyLock};

use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use rustls::SignatureScheme;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// Bytes of a number below the order of P-521.
const P521_BYTES: usize = 66;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
    P521,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// ECDSA (FIPS 186-5 section 6) with keys on one curve and one hash function.
#[derive(Debug)]
struct Ecdsa {
    curve: Curve,
    hash: Hash,
}

static P256_SHA512: Ecdsa = Ecdsa { curve: Curve::P256, hash: Hash::Sha512 };
static P384_SHA512: Ecdsa = Ecdsa { curve: Curve::P384, hash: Hash::Sha512 };
static P521_SHA256: Ecdsa = Ecdsa { curve: Curve::P521, hash: Hash::Sha256 };
static P521_SHA384: Ecdsa = Ecdsa { curve: Curve::P521, hash: Hash::Sha384 };
static P521_SHA512: Ecdsa = Ecdsa { curve: Curve::P521, hash: Hash::Sha512 };

impl SignatureVerificationAlgorithm for Ecdsa {
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let digest = match self.hash {
            Hash::Sha256 => Sha256::digest(message).to_vec(),
            Hash::Sha384 => Sha384::digest(message).to_vec(),
            Hash::Sha512 => Sha512::digest(message).to_vec(),
        };
        macro_rules! verify {
            ($curve:ident, $digest:expr) => {{
                let key = $curve::ecdsa::VerifyingKey::from_sec1_bytes(public_key).map_err(|_| InvalidSignature)?;
                let signature = $curve::ecdsa::DerSignature::try_from(signature).map_err(|_| InvalidSignature)?;
                key.verify_prehash($digest, &signature).map_err(|_| InvalidSignature)
            }};
        }
        match self.curve {
            Curve::P256 => verify!(p256, &digest),
            Curve::P384 => verify!(p384, &digest),
            Curve::P521 => {
                // A hash that is shorter than the order is padded with leading zeros, since the crate refuses short
                // ones.
                let mut number = [0; P521_BYTES];
                number[P521_BYTES - digest.len()..].copy_from_slice(&digest);
                verify!(p521, &number)
            }
        }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        match self.curve {
            Curve::P256 => alg_id::ECDSA_P256,
            Curve::P384 => alg_id::ECDSA_P384,
            Curve::P521 => alg_id::ECDSA_P521,
        }
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        match self.hash {
            Hash::Sha256 => alg_id::ECDSA_SHA256,
            Hash::Sha384 => alg_id::ECDSA_SHA384,
            Hash::Sha512 => alg_id::ECDSA_SHA512,
        }
    }
}

/// Returns `ring`'s provider with the algorithms above added, the common ones first.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = rustls::crypto::ring::default_provider();
        provider.signature_verification_algorithms = extended(&provider.signature_verification_algorithms);
        Arc::new(provider)
    });
    Arc::clone(&PROVIDER)
}

/// The list is made once, and lives as long as the process: rustls takes it in static form only.
fn extended(ring: &WebPkiSupportedAlgorithms) -> WebPkiSupportedAlgorithms {
    type Algorithms = Vec<&'static dyn SignatureVerificationAlgorithm>;
    let added: [&'static dyn SignatureVerificationAlgorithm; 5] =
        [&P256_SHA512, &P384_SHA512, &P521_SHA256, &P521_SHA384, &P521_SHA512];
    let all: Algorithms = ring.all.iter().copied().chain(added).collect();
    let mut mapping: Vec<(SignatureScheme, &'static [&'static dyn SignatureVerificationAlgorithm])> = Vec::new();
    for (scheme, algorithms) in ring.mapping {
        // TLS 1.2 fixes the hash alone (RFC 8422 section 5.4); TLS 1.3 looks at the first of each list.
        let further: Algorithms = match *scheme {
            SignatureScheme::ECDSA_NISTP256_SHA256 => vec![&P521_SHA256],
            SignatureScheme::ECDSA_NISTP384_SHA384 => vec![&P521_SHA384],
            _ => Vec::new(),
        };
        let algorithms: Algorithms = algorithms.iter().copied().chain(further).collect();
        mapping.push((*scheme, algorithms.leak()));
    }
    let sha512: Algorithms = vec![&P521_SHA512, &P384_SHA512, &P256_SHA512];
    mapping.push((SignatureScheme::ECDSA_NISTP521_SHA512, sha512.leak()));
    WebPkiSupportedAlgorithms { all: all.leak(), mapping: mapping.leak() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_curve_goes_with_every_hash_and_is_offered() {
        let algorithms = provider().signature_verification_algorithms;
        for key in [alg_id::ECDSA_P256, alg_id::ECDSA_P384, alg_id::ECDSA_P521] {
            for signature in [alg_id::ECDSA_SHA256, alg_id::ECDSA_SHA384, alg_id::ECDSA_SHA512] {
                let fits = |algorithm: &&&dyn SignatureVerificationAlgorithm| {
                    algorithm.public_key_alg_id() == key && algorithm.signature_alg_id() == signature
                };
                assert_eq!(algorithms.all.iter().filter(fits).count(), 1, "{key:?} {signature:?}");
            }
        }
        let schemes = algorithms.supported_schemes();
        assert_eq!(schemes.first(), Some(&SignatureScheme::ECDSA_NISTP384_SHA384), "ring's come first");
        assert_eq!(schemes.last(), Some(&SignatureScheme::ECDSA_NISTP521_SHA512));
    }

    #[test]
    fn tls_13_takes_each_scheme_with_its_own_curve() {
        let mapping = provider().signature_verification_algorithms.mapping;
        for (scheme, curve) in [
            (SignatureScheme::ECDSA_NISTP256_SHA256, alg_id::ECDSA_P256),
            (SignatureScheme::ECDSA_NISTP384_SHA384, alg_id::ECDSA_P384),
            (SignatureScheme::ECDSA_NISTP521_SHA512, alg_id::ECDSA_P521),
        ] {
            let (_, algorithms) = mapping.iter().find(|(name, _)| *name == scheme).expect("it is offered");
            assert_eq!(algorithms[0].public_key_alg_id(), curve, "{scheme:?}");
        }
    }

    proptest! {
        #[test]
        fn garbage_is_refused_without_a_panic(key: Vec<u8>, message: Vec<u8>, signature: Vec<u8>) {
            for algorithm in [&P256_SHA512, &P384_SHA512, &P521_SHA256, &P521_SHA384, &P521_SHA512] {
                prop_assert!(algorithm.verify_signature(&key, &message, &signature).is_err());
            }
        }
    }
}
