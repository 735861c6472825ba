//! Tests of client certificates.

use super::*;

/// A server that demands a certificate of `authority`; returns what it received.
async fn demanding(policy: &TlsPolicy, identity: &Identity, authority: &str, version: Version) -> Received {
    use rustls::pki_types::pem::PemObject as _;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).expect("PEM")).expect("an authority");
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let der = PrivatePkcs8KeyDer::from(identity.key.serialize_der());
    let server = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .expect("a version the provider has")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(identity.chain.clone(), der.into())
        .expect("a pair");
    let tls = client(policy).expect("a configuration").expect("with TLS");
    let (near, far) = tokio::io::duplex(64 * 1024);
    let serve = async {
        let mut stream = TlsAcceptor::from(Arc::new(server)).accept(far).await?;
        let mut received = vec![0; 5];
        stream.read_exact(&mut received).await?;
        stream.shutdown().await?;
        Ok(received)
    };
    let connect = async {
        let name = ServerName::try_from(HOST).expect("a name");
        let mut stream = TlsConnector::from(tls.config.clone()).connect(name, near).await?;
        stream.write_all(b"hello").await?;
        // Until the server is done: it may still be sending session tickets.
        stream.read_to_end(&mut Vec::new()).await
    };
    tokio::join!(serve, connect).0
}

type Version = &'static SupportedProtocolVersion;

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_trusted_host_that_demands_one() {
    let (identity, pem) = own_issuer((2020, 4000));
    let (ours, authority) = leaf_of_an_authority_for_clients();
    let pkcs8 = ours.key.serialize_der();
    // The inner structure of a P-256 key in PKCS#8 is the same key in SEC1.
    let inner = pkcs8.windows(3).position(|bytes| bytes == [0x04, 0x6d, 0x30]).expect("a P-256 key") + 2;
    let armoured = |label: &str, der: &[u8]| {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    };
    let sec1 = armoured("EC PRIVATE KEY", &pkcs8[inner..]);
    for key in [ours.key.serialize_pem(), sec1] {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("written");
        write("ca.crt", &pem);
        write("client.cert", &to_pem(&ours.chain[..1]));
        write("client.key", &key);
        let mut trust = TrustStore::empty();
        assert!(trust.add_client_directory(dir.path()).is_empty());
        for version in [&TLS12, &TLS13] {
            let shown = demanding(&TlsPolicy::Verify(trust.clone()), &identity, &authority, version).await;
            assert_eq!(shown.expect("served"), b"hello");
            let unidentified = demanding(&trusting(&pem), &identity, &authority, version).await;
            assert!(unidentified.is_err(), "{unidentified:?}");
            let unverified = demanding(&TlsPolicy::SkipVerify, &identity, &authority, version).await;
            assert!(unverified.is_err(), "an unverified host gets no certificate: {unverified:?}");
        }
    }
}

fn leaf_of_an_authority_for_clients() -> (Identity, String) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
    let key = KeyPair::generate().expect("a key");
    let mut leaf = CertificateParams::new(vec!["client.example".to_owned()]).expect("a name");
    leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = leaf.signed_by(&key, &authority).expect("signed");
    (Identity { chain: vec![leaf.der().clone()], key }, authority.pem())
}

#[test]
fn what_is_wrong_with_a_client_directory_is_told_and_the_rest_is_used() {
    let (ours, pem) = own_issuer((2020, 4000));
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("written");
    write("a.crt", "no certificate");
    write("b.crt", &pem);
    write("alone.cert", &pem);
    write("hollow.cert", &pem);
    write("hollow.key", "no key");
    write("other.cert", &pem);
    write("other.key", &KeyPair::generate().expect("a key").serialize_pem());
    write("single.key", &ours.key.serialize_pem());
    let mut trust = TrustStore::empty();
    let errors = trust.add_client_directory(dir.path());
    assert!(
        matches!(
            errors[..],
            [
                TlsError::NoCertificate { .. },
                TlsError::Unpaired { .. },
                TlsError::NoKey(_),
                TlsError::Identity { .. },
                TlsError::Unpaired { .. }
            ]
        ),
        "{errors:?}"
    );
    assert_eq!(trust.anchors().len(), 1);
    assert!(trust.identity().is_none());
    let absent = TrustStore::empty().add_client_directory(&dir.path().join("absent"));
    assert!(matches!(absent[..], [TlsError::Read { .. }]));
}
