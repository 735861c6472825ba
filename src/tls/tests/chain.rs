//! Tests of judging a chain without a connection.

use super::*;

#[test]
fn a_chain_is_judged_without_a_connection() {
    let (identity, pem) = own_issuer((2020, 4000));
    let TlsPolicy::Verify(trust) = trusting(&pem) else { panic!("verified") };
    let judged = |trust: &TrustStore, host: &str| judge(trust, &identity.chain, &host.parse().expect("a host"));
    assert_eq!(judged(&trust, HOST), Ok(()));
    assert!(matches!(judged(&trust, "evil.example"), Err(HandshakeFault::NotValidForName { .. })));
    assert_eq!(judged(&TrustStore::empty(), HOST), Err(HandshakeFault::UnknownIssuer));
}

/// The certificates of `fixtures/tls-chains/NAME.pem`, made by openssl: the server's, then its authority's.
fn chain_of_file(name: &str) -> Vec<CertificateDer<'static>> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/tls-chains/{name}.pem"));
    read_certificates(&path).expect(name)
}

/// What becomes of a chain of that file whose authority is trusted, for the name that it was made for.
fn verdict(name: &str) -> String {
    let chain = chain_of_file(name);
    let mut trust = TrustStore::empty();
    trust.add_pem(to_pem(&chain[1..]).as_bytes(), Origin::File("ca.pem".into())).expect("an authority");
    let host = "registry.example".parse().expect("a host");
    judge(&trust, &chain[..1], &host).map_or_else(|fault| fault.to_string(), |()| "accepted".to_owned())
}

#[test]
fn every_kind_of_key_and_signature_is_verified_or_named() {
    let key = |what: &str| format!("its certificate has {what}, which cannot be verified");
    let signature = |what: &str| format!("its certificate is signed by {what}, which cannot be verified");
    let authority = |name: &str, what: &str| {
        format!("its certificate is from `CN=Authority {name}`, which has {what}, which cannot be verified")
    };
    for curve in ["prime256v1", "secp384r1", "secp521r1"] {
        for (hash, expected) in [
            ("sha256", "accepted".to_owned()),
            ("sha384", "accepted".to_owned()),
            ("sha512", "accepted".to_owned()),
            ("sha1", signature("ECDSA with SHA-1")),
            ("sha224", signature("ECDSA with SHA-224")),
        ] {
            assert_eq!(verdict(&format!("ecdsa-{curve}-{hash}")), expected, "{curve} {hash}");
        }
    }
    for (name, expected) in [
        ("rsa-2048-sha256", "accepted".to_owned()),
        ("rsa-sha512", "accepted".to_owned()),
        ("ed25519", "accepted".to_owned()),
        ("rsa-1024-sha256", authority("rsa-1024-sha256", "an RSA key of 1024 bits instead of at least 2048")),
        ("rsa-leaf-1024", key("an RSA key of 1024 bits instead of at least 2048")),
        ("rsa-sha1", signature("RSA with SHA-1")),
        ("rsa-md5", signature("RSA with MD5")),
        ("ed448", key("an Ed448 key")),
        ("secp256k1-sha256", key("an EC key on secp256k1")),
        ("brainpool-sha256", key("an EC key on brainpoolP256r1")),
    ] {
        assert_eq!(verdict(name), expected, "{name}");
    }
}

#[test]
fn a_changed_signature_of_each_curve_is_refused() {
    for curve in ["prime256v1", "secp384r1", "secp521r1"] {
        let chain = chain_of_file(&format!("ecdsa-{curve}-sha512"));
        let mut changed = chain[0].to_vec();
        *changed.last_mut().expect("a signature") ^= 1;
        let mut trust = TrustStore::empty();
        trust.add_pem(to_pem(&chain[1..]).as_bytes(), Origin::File("ca.pem".into())).expect("an authority");
        let host = "registry.example".parse().expect("a host");
        let fault = judge(&trust, &[changed.into()], &host).expect_err("refused");
        assert_eq!(fault, HandshakeFault::UnknownIssuer, "{curve}");
    }
}

#[test]
fn the_name_is_judged_before_the_issuer_and_the_missing_certificate_is_named() {
    let sign = |names: &[&str], cn: &str, is_ca: bool, by: Option<&CertifiedIssuer<'_, KeyPair>>| {
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).expect("names");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, cn);
        if is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let key = KeyPair::generate().expect("a key");
        match by {
            None => CertifiedIssuer::self_signed(params, key).expect("signed"),
            Some(issuer) => CertifiedIssuer::signed_by(params, key, issuer).expect("signed"),
        }
    };
    let root = sign(&[], "Root", true, None);
    let intermediate = sign(&[], "Intermediate", true, Some(&root));
    let leaf = sign(&[HOST], "leaf", false, Some(&intermediate));
    let own = sign(&[HOST], "own", false, None);
    let nameless = sign(&[], "registry", false, None);
    let of_address = sign(&["127.0.0.1"], "address", false, None);
    let der = |issuer: &CertifiedIssuer<'_, KeyPair>| issuer.der().clone();
    let trusted = |issuer: Option<&CertifiedIssuer<'_, KeyPair>>| {
        let mut trust = TrustStore::empty();
        if let Some(issuer) = issuer {
            trust.add_pem(issuer.pem().as_bytes(), Origin::File("ca.pem".into())).expect("a certificate");
        }
        trust
    };
    let missing = |issuer: &str| HandshakeFault::MissingIssuer { issuer: issuer.to_owned() };
    let misnamed = |names: &[&str]| HandshakeFault::NotValidForName {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    };
    let nameless_fault = || HandshakeFault::NoNames { subject: "CN=registry".to_owned() };
    for (chain, host, trust, expected) in [
        (vec![&leaf, &intermediate], HOST, Some(&root), Ok(())),
        (vec![&leaf], HOST, Some(&root), Err(missing("CN=Intermediate"))),
        (vec![&leaf], HOST, None, Err(missing("CN=Intermediate"))),
        (vec![&leaf, &intermediate], HOST, None, Err(missing("CN=Root"))),
        // In any order, with a stranger among them.
        (vec![&leaf, &own, &intermediate], HOST, None, Err(missing("CN=Root"))),
        (vec![&leaf, &intermediate, &root], HOST, None, Err(HandshakeFault::UnknownIssuer)),
        (vec![&own], HOST, None, Err(HandshakeFault::UnknownIssuer)),
        (vec![&leaf], "127.0.0.1", None, Err(misnamed(&[HOST]))),
        (vec![&own], "evil.example", None, Err(misnamed(&[HOST]))),
        (vec![&own], "evil.example", Some(&own), Err(misnamed(&[HOST]))),
        (vec![&of_address], HOST, None, Err(misnamed(&["127.0.0.1"]))),
        (vec![&of_address], "127.0.0.1", Some(&of_address), Ok(())),
        (vec![&nameless], HOST, None, Err(nameless_fault())),
        (vec![&nameless], HOST, Some(&nameless), Err(nameless_fault())),
        (vec![&nameless], "127.0.0.1", None, Err(nameless_fault())),
    ] {
        let shown: Vec<_> = chain.iter().map(|certificate| der(certificate)).collect();
        let verdict = judge(&trusted(trust), &shown, &host.parse().expect("a host"));
        assert_eq!(verdict, expected, "{host} {:?}", chain.len());
    }
}
