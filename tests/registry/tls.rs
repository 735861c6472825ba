//! Against docker-registry with idpbuilder's kind of certificate: self-signed, `CA:TRUE`, served as the leaf.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use idpbuilder_oci::ops::pull::pull as pull_from;
use idpbuilder_oci::ops::push::push as push_to;
use idpbuilder_oci::progress::{Event, Exchange, Interrupt, Progress};
use idpbuilder_oci::registry::{NetworkFault, Registry, RegistryConfig, RegistryError, Uploaded};
use idpbuilder_oci::tls::{HandshakeFault, Origin, TlsPolicy, TrustStore};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::docker_registry::{DockerRegistry, Options};
use crate::fixture::{TestStore, login, noise, pull_config, push_config, registry_config, registry_error, upload};

/// Certificate and key for that name.
fn certificate(name: &str) -> (String, String) {
    let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().expect("a key");
    (parameters.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
}

fn trusting(pem: &str) -> TlsPolicy {
    let mut trust = TrustStore::empty();
    trust.add_pem(pem.as_bytes(), Origin::File("test.crt".into())).expect("a certificate");
    TlsPolicy::Verify(trust)
}

async fn push(local: &TestStore, host: &str, policy: TlsPolicy) -> Result<(), RegistryError> {
    let mut config = push_config("app", &[&format!("{host}/team/app")], Some(&login("u", "hunter2")));
    config.destinations[0].policy = policy;
    local.push(config).await.map(drop).map_err(registry_error)
}

#[tokio::test]
async fn idpbuilders_certificate_is_trusted_when_pinned_and_refused_when_not() {
    let (pem, key) = certificate("*.cnoe.localtest.me");
    let options = Options { login: Some(("u", "hunter2")), tls: Some((pem.clone(), key)) };
    let server = DockerRegistry::start(&options);
    let local = TestStore::new();
    local.image("app", &[noise(20, 2_000_000)]);
    // Resolves to this machine without DNS.
    let host = format!("gitea.cnoe.localtest.me:{}", server.port());

    let error = push(&local, &host, TlsPolicy::Verify(TrustStore::empty())).await.expect_err("unknown");
    let RegistryError::Network { fault: NetworkFault::Tls { fault, chain, .. }, .. } = error else {
        panic!("{error:?}")
    };
    assert!(matches!(fault, HandshakeFault::UnknownIssuer | HandshakeFault::CaUsedAsEndEntity), "{fault:?}");
    assert_eq!(chain[0].names, ["*.cnoe.localtest.me"]);

    let error = push(&local, &server.host(), trusting(&pem)).await.expect_err("another name");
    assert!(
        matches!(
            &error,
            RegistryError::Network {
                fault: NetworkFault::Tls { fault: HandshakeFault::NotValidForName { .. }, .. },
                ..
            }
        ),
        "{error:?}"
    );

    push(&local, &host, trusting(&pem)).await.expect("pinned");
    push(&local, &server.host(), TlsPolicy::SkipVerify).await.expect("nobody looks");

    let error = push(&local, &host, TlsPolicy::Plaintext).await.expect_err("TLS is spoken there");
    assert!(matches!(error, RegistryError::Refused(_)), "{error:?}");
}

#[derive(Default)]
struct Protocols(Mutex<Vec<(String, Option<String>, u64)>>);

impl Progress for Protocols {
    fn emit(&self, event: Event<'_>) {
        if let Event::Exchange(Exchange { method, protocol, sent, .. }) = event {
            self.0.lock().expect("unpoisoned").push((method.clone(), protocol.clone(), *sent));
        }
    }
}

#[tokio::test]
async fn questions_go_by_http_2_and_the_bytes_of_blobs_by_connections_of_their_own() {
    let (pem, key) = certificate("*.cnoe.localtest.me");
    let server = DockerRegistry::start(&Options { login: None, tls: Some((pem.clone(), key)) });
    let local = TestStore::new();
    local.image("app", &[noise(22, 2_000_000), noise(23, 2_000_000)]);
    let host = format!("gitea.cnoe.localtest.me:{}", server.port());
    let mut config = push_config("app", &[&format!("{host}/team/app")], None);
    config.destinations[0].policy = trusting(&pem);
    let protocols = Arc::new(Protocols::default());
    push_to(config, &local.store, protocols.clone(), &Interrupt::default()).await.expect("pushed");
    let seen = std::mem::take(&mut *protocols.0.lock().expect("unpoisoned"));
    let by = |protocol: &'static str| seen.iter().filter(move |(_, spoken, _)| spoken.as_deref() == Some(protocol));
    assert!(by("HTTP/2.0").any(|(method, ..)| method == "HEAD"), "{seen:?}");
    assert!(by("HTTP/2.0").all(|(.., sent)| *sent < 100_000), "{seen:?}");
    assert_eq!(by("HTTP/1.1").map(|(.., sent)| sent).sum::<u64>(), 4_000_000, "{seen:?}");

    let mut config = pull_config(&format!("{host}/team/app"), "pulled");
    config.policy = trusting(&pem);
    let other = TestStore::new();
    pull_from(config, &other.store, protocols.clone(), &Interrupt::default()).await.expect("pulled");
    let seen = std::mem::take(&mut *protocols.0.lock().expect("unpoisoned"));
    let by_http_1 = seen.iter().filter(|(_, spoken, _)| spoken.as_deref() == Some("HTTP/1.1")).count();
    assert_eq!(by_http_1, 3, "two layers and the configuration: {seen:?}");
}

/// A registry that takes every blob, by HTTP/2 and nothing else; the sizes of the bodies it takes.
async fn http_2_alone() -> (SocketAddr, Arc<Mutex<Vec<usize>>>) {
    async fn serve(
        request: http::Request<Incoming>,
        taken: Arc<Mutex<Vec<usize>>>,
    ) -> Result<http::Response<Empty<Bytes>>, Infallible> {
        let status = match request.method().as_str() {
            "HEAD" => 404,
            "POST" => 202,
            "PUT" => 201,
            _ => 200,
        };
        let body = request.into_body().collect().await.expect("a whole body").to_bytes();
        if status == 201 {
            taken.lock().expect("unpoisoned").push(body.len());
        }
        let answer = http::Response::builder().status(status).header("location", "/v2/team/app/blobs/uploads/1");
        Ok(answer.body(Empty::new()).expect("valid"))
    }
    let (pem, key) = certificate("localhost");
    let chain = vec![CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder.expect("versions").with_no_client_auth().with_single_cert(chain, key).expect("a pair");
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let taken = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&taken);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, taken) = (acceptor.clone(), Arc::clone(&taken));
            tokio::spawn(async move {
                // Who speaks HTTP/1.1 is refused here.
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(move |request| serve(request, Arc::clone(&taken)));
                let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                // The client ends it.
                let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (address, seen)
}

#[tokio::test]
async fn where_nothing_but_http_2_is_spoken_the_bytes_of_blobs_go_by_it_too() {
    let (address, taken) = http_2_alone().await;
    let config = RegistryConfig { policy: TlsPolicy::SkipVerify, ..registry_config(&address.to_string(), None) };
    let registry = Registry::open(config).expect("an address");
    for (seed, size) in [(48, 300_000), (49, 400_000)] {
        let uploaded = upload(&registry, &noise(seed, size)).await.expect("taken");
        assert_eq!(uploaded, Uploaded::Sent { resumed: 0 });
    }
    assert_eq!(*taken.lock().expect("unpoisoned"), [300_000, 400_000]);
}

#[tokio::test]
async fn tls_to_a_plain_registry_says_so() {
    let server = DockerRegistry::start(&Options::default());
    let local = TestStore::new();
    local.image("app", &[noise(21, 10)]);
    let error = push(&local, &server.host(), TlsPolicy::SkipVerify).await.expect_err("no TLS there");
    assert!(
        matches!(&error, RegistryError::Network { fault: NetworkFault::Tls { fault: HandshakeFault::NotTls, .. }, .. }),
        "{error:?}"
    );
}
