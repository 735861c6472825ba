//! Handshakes between our client configuration and a rustls server, in memory.

mod chain;
mod client;

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;

const HOST: &str = "gitea.cnoe.localtest.me";

/// What a server shows and the key it signs with, which need not belong together.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

/// A certificate of idpbuilder's form: its own issuer, `CA:TRUE`, served as the leaf.
fn own_issuer(years: (i32, i32)) -> (Identity, String) {
    let key = KeyPair::generate().expect("a key");
    let names = ["cnoe.localtest.me", "*.cnoe.localtest.me"].map(str::to_owned);
    let mut params = CertificateParams::new(names).expect("names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    let certificate = params.self_signed(&key).expect("signed");
    (Identity { chain: vec![certificate.der().clone()], key }, certificate.pem())
}

fn leaf_of_an_authority() -> (Identity, String) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "authority");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(vec![HOST.to_owned()]).expect("a name");
    let leaf = leaf.signed_by(&key, &authority).expect("signed");
    (Identity { chain: vec![leaf.der().clone(), authority.der().clone()], key }, authority.pem())
}

fn trusting(pem: &str) -> TlsPolicy {
    let mut trust = TrustStore::empty();
    trust.add_pem(pem.as_bytes(), Origin::File("ca.pem".into())).expect("certificates");
    TlsPolicy::Verify(trust)
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// A server's account of one connection: the first bytes of application data it got.
type Received = Result<Vec<u8>, std::io::Error>;

/// Connects to `identity` as `host` and sends `hello` once the handshake is done. The answers are the
/// client's fault if any, what the server received, and the chain that was recorded.
async fn handshake(
    policy: &TlsPolicy,
    identity: &Identity,
    host: &str,
    version: &'static SupportedProtocolVersion,
) -> (Option<HandshakeFault>, Received, Vec<CertificateFacts>) {
    let der = PrivatePkcs8KeyDer::from(identity.key.serialize_der());
    let signer = provider().key_provider.load_private_key(der.into()).expect("a usable key");
    // `CertifiedKey::new` does not compare key and certificate, as an impostor would not.
    let shown = Arc::new(CertifiedKey::new(identity.chain.clone(), signer));
    let server = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .expect("a version the provider has")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Always(shown)));
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
        let name = ServerName::try_from(host.to_owned()).expect("a name");
        let mut stream = TlsConnector::from(tls.config.clone()).connect(name, near).await?;
        stream.write_all(b"hello").await?;
        stream.read_to_end(&mut Vec::new()).await
    };
    let (received, sent) = tokio::join!(serve, connect);
    let fault = sent.err().map(|error| classify(&error).expect("a TLS fault"));
    (fault, received, tls.presented.chain())
}

async fn refused(policy: &TlsPolicy, identity: &Identity, host: &str) -> HandshakeFault {
    let mut faults = Vec::new();
    for version in [&TLS12, &TLS13] {
        let (fault, received, presented) = handshake(policy, identity, host, version).await;
        faults.push(fault.expect("refused"));
        assert!(received.is_err(), "nothing is sent before the server is trusted: {received:?}");
        assert_eq!(presented.len(), identity.chain.len(), "the refused chain can be shown");
    }
    assert_eq!(faults[0], faults[1], "both protocol versions judge alike");
    faults.swap_remove(0)
}

async fn accepted(policy: &TlsPolicy, identity: &Identity, host: &str) {
    for version in [&TLS12, &TLS13] {
        let (fault, received, presented) = handshake(policy, identity, host, version).await;
        assert_eq!(fault, None, "{version:?}");
        assert_eq!(received.expect("served"), b"hello");
        assert_eq!(presented[0].fingerprint, crate::image::Digest::of(&identity.chain[0]).to_string());
    }
}

#[tokio::test]
async fn a_configured_own_issuer_certificate_is_trusted_as_it_is() {
    let (identity, pem) = own_issuer((2020, 4000));
    accepted(&trusting(&pem), &identity, HOST).await;
    accepted(&trusting(&pem), &identity, "cnoe.localtest.me").await;
}

#[tokio::test]
async fn a_configured_certificate_is_refused_for_other_names() {
    let (identity, pem) = own_issuer((2020, 4000));
    let names = vec!["cnoe.localtest.me".to_owned(), "*.cnoe.localtest.me".to_owned()];
    for host in ["evil.example", "a.b.cnoe.localtest.me", "127.0.0.1"] {
        let fault = refused(&trusting(&pem), &identity, host).await;
        assert_eq!(fault, HandshakeFault::NotValidForName { names: names.clone() }, "{host}");
    }
}

#[tokio::test]
async fn a_configured_certificate_is_refused_out_of_its_time() {
    let (identity, pem) = own_issuer((1960, 2001));
    let expired = HandshakeFault::Expired { not_after: Some("2001-01-01T00:00:00Z".parse().expect("a time")) };
    assert_eq!(refused(&trusting(&pem), &identity, HOST).await, expired);
    let (identity, pem) = own_issuer((3000, 4000));
    let early = HandshakeFault::NotYetValid { not_before: Some("3000-01-01T00:00:00Z".parse().expect("a time")) };
    assert_eq!(refused(&trusting(&pem), &identity, HOST).await, early);
}

#[tokio::test]
async fn the_configured_certificate_without_its_key_is_refused() {
    let (identity, pem) = own_issuer((2020, 4000));
    let impostor = Identity { chain: identity.chain, key: KeyPair::generate().expect("a key") };
    let fault = refused(&trusting(&pem), &impostor, HOST).await;
    assert!(matches!(fault, HandshakeFault::Other(_)), "{fault:?}");
    let fault = refused(&TlsPolicy::SkipVerify, &impostor, HOST).await;
    assert!(matches!(fault, HandshakeFault::Other(_)), "{fault:?}");
}

#[tokio::test]
async fn another_certificate_with_the_same_names_is_refused() {
    let (_, pem) = own_issuer((2020, 4000));
    let (impostor, _) = own_issuer((2020, 4000));
    assert_eq!(refused(&trusting(&pem), &impostor, HOST).await, HandshakeFault::CaUsedAsEndEntity);
}

#[tokio::test]
async fn a_certificate_signed_by_a_configured_authority_is_judged_by_its_chain() {
    let (identity, authority) = leaf_of_an_authority();
    accepted(&trusting(&authority), &identity, HOST).await;
    let fault = refused(&trusting(&authority), &identity, "evil.example").await;
    assert_eq!(fault, HandshakeFault::NotValidForName { names: vec![HOST.to_owned()] });
}

#[tokio::test]
async fn who_is_vouched_for_by_nobody_is_refused() {
    let (identity, _) = leaf_of_an_authority();
    let (_, other) = leaf_of_an_authority();
    // `other` has the same name as the authority that signed, as after a cluster is created again.
    assert_eq!(refused(&trusting(&other), &identity, HOST).await, HandshakeFault::UnknownIssuer);
    let (_, unrelated) = own_issuer((2020, 4000));
    assert_eq!(refused(&trusting(&unrelated), &identity, HOST).await, HandshakeFault::UnknownIssuer);
    let trusts_none = TlsPolicy::Verify(TrustStore::empty());
    assert_eq!(refused(&trusts_none, &identity, HOST).await, HandshakeFault::UnknownIssuer);
}

#[tokio::test]
async fn a_root_of_the_system_is_not_compared_but_chained_to() {
    let (identity, pem) = own_issuer((2020, 4000));
    let mut trust = TrustStore::empty();
    trust.add_pem(pem.as_bytes(), Origin::System).expect("a certificate");
    let policy = TlsPolicy::Verify(trust);
    assert_eq!(refused(&policy, &identity, HOST).await, HandshakeFault::CaUsedAsEndEntity);
}

#[tokio::test]
async fn skipping_verification_accepts_anybody_and_records_whom() {
    let (identity, _) = own_issuer((1980, 2001));
    accepted(&TlsPolicy::SkipVerify, &identity, "evil.example").await;
}

#[test]
fn chains_are_kept_by_server() {
    let presented = Presented::default();
    let name = |host: &str| ServerName::try_from(host.to_owned()).expect("a name");
    let chain_of = |host: &str| presented.chain_of(&host.parse().expect("a host"));
    let (first, _) = own_issuer((2020, 4000));
    let (second, _) = own_issuer((2020, 4000));
    presented.record(&name("a.example"), &first.chain[0], &[]);
    presented.record(&name("b.example"), &second.chain[0], &[first.chain[0].clone()]);
    assert_eq!([chain_of("a.example:1").len(), chain_of("b.example").len(), chain_of("c.example").len()], [1, 2, 0]);
    assert_eq!(presented.chain().len(), 2, "the last one");
    for number in 0..100 {
        presented.record(&name(&format!("{number}.example")), &first.chain[0], &[]);
    }
    assert!(chain_of("a.example").is_empty(), "there is a limit");
    assert_eq!(chain_of("99.example").len(), 1);
}

#[tokio::test]
async fn a_plain_http_server_is_recognised() {
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    let tls = client(&TlsPolicy::Verify(TrustStore::empty())).expect("a configuration").expect("with TLS");
    far.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await.expect("written");
    let name = ServerName::try_from(HOST).expect("a name");
    let error = TlsConnector::from(tls.config).connect(name, near).await.expect_err("no TLS");
    assert_eq!(classify(&error), Some(HandshakeFault::NotTls));
    assert!(tls.presented.chain().is_empty());
}

#[test]
fn plaintext_needs_no_configuration() {
    assert!(client(&TlsPolicy::Plaintext).expect("no error").is_none());
}

#[test]
fn the_systems_roots_are_listed_as_such() {
    let mut trust = TrustStore::empty();
    trust.add_system_roots(&SystemRoots::default());
    let (origin, count) = trust.sources().first().expect("recorded").clone();
    assert_eq!((origin, count), (Origin::System, trust.anchors().len()));
    client(&TlsPolicy::Verify(trust)).expect("a configuration");
}

#[test]
fn the_systems_roots_count_when_nothing_else_is_enough() {
    let mut trust = TrustStore::empty();
    trust.use_system_roots_at_need(&SystemRoots::default());
    assert!(trust.anchors().is_empty(), "not read yet");
    assert!(!trust.system_roots_at_need().expect("they count").are_known());
    assert!(TrustStore::empty().system_roots_at_need().is_none(), "they were not requested");
}

#[tokio::test]
async fn the_systems_roots_are_read_between_two_handshakes_and_their_faults_are_told() {
    let (identity, pem) = own_issuer((2020, 4000));
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("roots"), &pem).expect("written");
    let (leaf, authority) = leaf_of_an_authority();
    std::fs::write(at("authority"), &authority).expect("written");
    rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("made");
    let using = |name: &str, chosen: Option<&str>| {
        let mut trust = TrustStore::empty();
        trust.use_system_roots_at_need(&SystemRoots::new(Some(at(name)), vec![]));
        if let Some(chosen) = chosen {
            trust.add_pem(chosen.as_bytes(), Origin::File("chosen".into())).expect("added");
        }
        client(&TlsPolicy::Verify(trust)).expect("a configuration").expect("with TLS")
    };
    let server = |identity: &Identity| {
        let der = PrivatePkcs8KeyDer::from(identity.key.serialize_der());
        let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let config = config.expect("versions").with_no_client_auth();
        Arc::new(config.with_single_cert(identity.chain.clone(), der.into()).expect("a pair"))
    };
    let connect = async |tls: &ClientTls, identity: &Identity| {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let name = ServerName::try_from(HOST).expect("a name");
        let accept = TlsAcceptor::from(server(identity)).accept(far);
        let connect = TlsConnector::from(Arc::clone(&tls.config)).connect(name, near);
        tokio::join!(connect, accept).0.map(drop)
    };
    // What was chosen decides alone; the roots are neither read nor wanted.
    let tls = using("pipe", Some(&pem));
    tls.before_handshake().await;
    connect(&tls, &identity).await.expect("it is the chosen one");
    assert!(!tls.wanted_roots().await);
    // What was chosen does not decide: a second handshake has the roots.
    let tls = using("authority", Some(&pem));
    tls.before_handshake().await;
    connect(&tls, &leaf).await.expect_err("not read yet");
    assert!(tls.wanted_roots().await);
    connect(&tls, &leaf).await.expect("an authority among the roots vouches for it");
    assert!(!tls.wanted_roots().await, "they are read once");
    // Nothing was chosen: the first handshake has them.
    let tls = using("authority", None);
    tls.before_handshake().await;
    connect(&tls, &leaf).await.expect("an authority among the roots vouches for it");
    // What cannot be read is the cause.
    let tls = using("pipe", None);
    tls.before_handshake().await;
    let fault = classify(&connect(&tls, &leaf).await.expect_err("no root signed it"));
    let told = format!("cannot read certificates from `{}`: it is a pipe, not a regular file", at("pipe").display());
    assert_eq!(fault, Some(HandshakeFault::UnreadableRoots(told)));
}
