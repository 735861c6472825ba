//! Proxies: what goes through them, and what they say for themselves.

use idpbuilder_oci::image::Digest;
use idpbuilder_oci::registry::{NetworkFault, Proxies, ProxyProblem, Registry, RegistryConfig, RegistryError};
use idpbuilder_oci::tls::TlsPolicy;

use crate::fixture::{eager, registry_config};
use crate::scripted::{Scripted, answer, with};

/// A client of `host` with that proxy for everything but `no_proxy`.
fn client(host: &str, proxy: &str, no_proxy: &str, policy: TlsPolicy) -> Registry {
    let proxies = Proxies { http: Some(proxy.into()), https: Some(proxy.into()), no: Some(no_proxy.into()) };
    let config = RegistryConfig { policy, proxies, retry: eager().into(), ..registry_config(host, None) };
    Registry::open(config).expect("an address")
}

#[tokio::test]
async fn a_request_without_tls_goes_through_the_proxy() {
    let proxy = Scripted::start(|_| with(200, "Content-Length", "5"));
    let address = format!("http://user:p%40ss@{}", proxy.host());
    let registry = client("reg.example:5000", &address, "", TlsPolicy::Plaintext);
    assert_eq!(registry.head_blob("a/b", Digest::of(b"")).await.expect("an answer"), Some(5));
    let seen = proxy.seen();
    assert!(seen.iter().all(|request| request.target.starts_with("http://reg.example:5000/v2/")), "{seen:?}");
    assert!(seen.iter().all(|request| request.header("proxy-authorization") == Some("Basic dXNlcjpwQHNz")));
}

#[tokio::test]
async fn what_a_proxy_says_for_itself_is_the_proxys() {
    for (status, policy, told, most) in [
        (403, TlsPolicy::SkipVerify, "did not pass the request on (403 Forbidden)", 1),
        (407, TlsPolicy::SkipVerify, "wants to know who asks (407 Proxy Authentication Required)", 1),
        (407, TlsPolicy::Plaintext, "wants to know who asks (407 Proxy Authentication Required)", 1),
    ] {
        let proxy = Scripted::start(move |_| answer(status, "<html><title>no</title></html>"));
        let registry = client("reg.example:5000", &proxy.host(), "", policy.clone());
        let error = registry.head_blob("a/b", Digest::of(b"")).await.expect_err("not let through");
        let RegistryError::Network { fault: NetworkFault::Proxy { proxy: name, answer }, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!((name.as_str(), answer.map(|status| status.as_u16())), (proxy.host().as_str(), Some(status)));
        assert!(error.to_string().ends_with(&format!("the proxy {} {told}", proxy.host())), "{error}");
        assert_eq!(proxy.log().len(), most, "a refusal is not asked again: {:?}", proxy.log());
        let connects = !matches!(policy, TlsPolicy::Plaintext);
        assert_eq!(proxy.log()[0].starts_with("CONNECT reg.example:5000"), connects, "{:?}", proxy.log());
    }
}

#[tokio::test]
async fn a_proxy_that_cannot_reach_the_registry_says_so_with_its_status() {
    let proxy = Scripted::start(|_| answer(502, ""));
    let error = client("reg.example:5000", &proxy.host(), "", TlsPolicy::SkipVerify)
        .head_blob("a/b", Digest::of(b""))
        .await
        .expect_err("not reached");
    assert!(error.to_string().ends_with("did not pass the request on (502 Bad Gateway)"), "{error}");
}

#[tokio::test]
async fn an_address_that_cannot_be_used_is_an_error_and_nothing_is_sent() {
    for (address, problem) in [
        ("socks5://user:hunter2@127.0.0.1:1", ProxyProblem::Scheme),
        ("https://127.0.0.1:1", ProxyProblem::Scheme),
        ("127.0.0.1:port", ProxyProblem::Malformed),
    ] {
        let error = client("reg.example:5000", address, "", TlsPolicy::SkipVerify)
            .head_blob("a/b", Digest::of(b""))
            .await
            .expect_err("no proxy");
        let RegistryError::ProxyAddress(found) = &error else { panic!("{error:?}") };
        assert_eq!((found.variable, found.problem), ("HTTPS_PROXY", problem));
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn a_registry_on_this_machine_needs_no_proxy() {
    let server = Scripted::start(|_| with(200, "Content-Length", "5"));
    let registry = client(&server.host(), "socks5://127.0.0.1:1", "", TlsPolicy::Plaintext);
    assert_eq!(registry.head_blob("a/b", Digest::of(b"")).await.expect("an answer"), Some(5));
}
