//! Against docker-registry with idpbuilder's kind of certificate: self-signed, `CA:TRUE`, served as the leaf.

use std::sync::{Arc, Mutex};

use idpbuilder_oci::progress::{Event, Exchange, Interrupt, Progress};
use idpbuilder_oci::pull::pull as pull_from;
use idpbuilder_oci::push::push as push_to;
use idpbuilder_oci::registry::{NetworkFault, RegistryError};
use idpbuilder_oci::tls::{HandshakeFault, Origin, TlsPolicy, TrustStore};

use crate::docker_registry::{DockerRegistry, Options};
use crate::fixture::{TestStore, login, noise, pull_config, push_config, registry_error};

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
