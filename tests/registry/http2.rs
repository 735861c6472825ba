//! HTTP/2 that ends: in order, and for requests that have to go by HTTP/1.1.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use idpbuilder_oci::image::Digest;
use idpbuilder_oci::registry::{Registry, RegistryConfig, RetryContext};
use idpbuilder_oci::tls::TlsPolicy;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::sync::Notify;

use crate::fixture::{Told, eager, noise, registry_config, upload};

/// What a server with HTTP/2 and HTTP/1.1 does to requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// HTTP/2 connections end in order (GOAWAY with NO_ERROR) after so many requests.
    EndsAfter(usize),
    /// Every HTTP/2 request but the ping is refused with HTTP_1_1_REQUIRED.
    WantsHttp1,
    /// Every second HTTP/2 request is refused before it is looked at (REFUSED_STREAM).
    RefusesStreams,
}

/// Versions of the requests that were answered.
type Answered = Arc<Mutex<Vec<http::Version>>>;

/// A registry over TLS in which every blob has five bytes.
async fn start(manner: Manner) -> (SocketAddr, Answered, Arc<AtomicUsize>) {
    let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let pair = rcgen::KeyPair::generate().expect("a key");
    let chain: Vec<CertificateDer<'static>> = vec![parameters.self_signed(&pair).expect("signed").der().clone()];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pair.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder.expect("versions").with_no_client_auth().with_single_cert(chain, key).expect("a pair");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let (answered, connections) = (Answered::default(), Arc::new(AtomicUsize::new(0)));
    let (seen, made) = (Arc::clone(&answered), Arc::clone(&connections));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, seen, made) = (acceptor.clone(), Arc::clone(&seen), Arc::clone(&made));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                made.fetch_add(1, Ordering::Relaxed);
                let by_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let (enough, count) = (Arc::new(Notify::new()), AtomicUsize::new(0));
                let ending = Arc::clone(&enough);
                let service = service_fn(move |request: http::Request<Incoming>| {
                    let number = count.fetch_add(1, Ordering::Relaxed) + 1;
                    let refused = match manner {
                        Manner::WantsHttp1 if by_http2 && request.uri().path() != "/v2/" => {
                            Some(h2::Reason::HTTP_1_1_REQUIRED)
                        }
                        Manner::RefusesStreams if number % 2 == 0 => Some(h2::Reason::REFUSED_STREAM),
                        _ => None,
                    };
                    if manner == Manner::EndsAfter(number) {
                        ending.notify_one();
                    }
                    if refused.is_none() {
                        seen.lock().expect("unpoisoned").push(request.version());
                    }
                    async move {
                        if let Some(reason) = refused {
                            return Err(h2::Error::from(reason));
                        }
                        let answer = http::Response::builder();
                        let answer = match request.method().as_str() {
                            "HEAD" => answer.header("content-length", "5"),
                            "POST" => answer.status(202).header("location", "/v2/team/app/blobs/uploads/1"),
                            "PUT" => {
                                let body = request.into_body().collect().await.expect("a body").to_bytes();
                                assert_eq!(body.len(), 9000);
                                answer.status(201)
                            }
                            _ => answer,
                        };
                        Ok(answer.body(Empty::<Bytes>::new()).expect("valid"))
                    }
                });
                let io = TokioIo::new(stream);
                if !by_http2 {
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
                    return;
                }
                let connection =
                    hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service);
                let mut connection = std::pin::pin!(connection);
                tokio::select! {
                    _ = &mut connection => return,
                    () = enough.notified() => {}
                }
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            });
        }
    });
    (address, answered, connections)
}

fn client(address: SocketAddr) -> Registry {
    client_with(address, RetryContext::default())
}

fn client_with(address: SocketAddr, retry: RetryContext) -> Registry {
    let config = RegistryConfig { policy: TlsPolicy::SkipVerify, retry, ..registry_config(&address.to_string(), None) };
    Registry::open(config).expect("an address")
}

#[tokio::test]
async fn a_connection_that_ends_in_order_costs_nothing() {
    let (address, answered, connections) = start(Manner::EndsAfter(3)).await;
    let registry = client(address);
    for number in 0..20u8 {
        let size = registry.head_blob("a/b", Digest::of(&[number])).await;
        assert_eq!(size.expect("an answer"), Some(5), "{number}");
    }
    assert!(answered.lock().expect("unpoisoned").iter().all(|version| *version == http::Version::HTTP_2));
    assert!(connections.load(Ordering::Relaxed) >= 5, "they did end");
}

#[tokio::test]
async fn many_requests_at_once_survive_connections_that_end_in_order() {
    let (address, answered, _) = start(Manner::EndsAfter(5)).await;
    // Nothing is tried again: it costs no attempt.
    let registry = client(address);
    let asked = (0..50u8).map(|number| {
        let digest = Digest::of(&[number]);
        let registry = &registry;
        async move { registry.head_blob("a/b", digest).await }
    });
    for size in join_all(asked).await {
        assert_eq!(size.expect("an answer"), Some(5));
    }
    assert!(answered.lock().expect("unpoisoned").len() >= 50);
}

#[tokio::test]
async fn refused_streams_are_sent_again_untold() {
    let (address, answered, _) = start(Manner::RefusesStreams).await;
    let told = Arc::new(Told::default());
    let retry = RetryContext { progress: Arc::clone(&told) as _, ..eager().into() };
    for registry in [client(address), client_with(address, retry)] {
        for number in 0..9u8 {
            let size = registry.head_blob("a/b", Digest::of(&[number])).await;
            assert_eq!(size.expect("an answer"), Some(5), "{number}");
        }
        // The bytes of a blob, too: nobody has looked at them.
        for seed in 0..3 {
            upload(&registry, &noise(seed, 9000)).await.expect("committed");
        }
    }
    assert_eq!(told.lines(), Vec::<String>::new());
    assert!(answered.lock().expect("unpoisoned").iter().all(|version| *version == http::Version::HTTP_2));
}

#[tokio::test]
async fn a_server_that_wants_http_1_has_it() {
    let (address, answered, _) = start(Manner::WantsHttp1).await;
    let registry = client(address);
    for number in 0..3u8 {
        let size = registry.head_blob("a/b", Digest::of(&[number])).await;
        assert_eq!(size.expect("an answer"), Some(5), "{number}");
    }
    let answered = answered.lock().expect("unpoisoned");
    assert_eq!(answered.first(), Some(&http::Version::HTTP_2), "the ping");
    assert_eq!(answered.iter().filter(|version| **version == http::Version::HTTP_11).count(), 3);
}
