//! Debian's docker-registry and nginx, and links that break before them.

use std::net::SocketAddr;
use std::time::Duration;

use idpbuilder_oci::ops::pull::PullConfig;
use idpbuilder_oci::ops::push::{Destination, PushConfig};
use idpbuilder_oci::registry::{Limits, RetryPolicy, Target};
use idpbuilder_oci::tls::TlsPolicy;

use crate::docker_registry::{DockerRegistry, Options};
use crate::fixture::{TestStore, noise, pull_config, push_config, registry};
use crate::lab::invariants;
use crate::lab::profile;
use crate::lab::proxy::{Cut, FaultProxy, Link, Way};
use crate::lab::record::blob_bytes;
use crate::lab::script::{self, Break, Fault, Op};
use crate::lab::serve::Setup;
use crate::nginx::{self, Nginx};
use crate::pushing::{KIB, MIB, Pushing};

fn address(host: &str) -> SocketAddr {
    host.parse().expect("an address")
}

/// Pushes through `host` and asks the registry itself for what came of it.
async fn pushed_through(host: &str, direct: &str, chunks: u64, layers: &[u64]) {
    let local = TestStore::new();
    let layers: Vec<Vec<u8>> =
        layers.iter().zip(1..).map(|(size, seed)| noise(seed, usize::try_from(*size).expect("small"))).collect();
    let image = local.image("app", &layers);
    let config = push_config("app", &[&format!("{host}/team/app:v1")], None);
    Box::pin(local.push(PushConfig { limits: Limits::chunks_of(chunks), ..config })).await.expect("pushed");
    let client = registry(direct, None);
    let found = client.get_manifest("team/app", Target::Tag("v1")).await.expect("there");
    assert_eq!(found.digest(), image.digest());
    for blob in found.manifest().expect("a manifest").blobs() {
        let mut download = client.get_blob("team/app", blob).await.expect("there");
        // Size and digest are checked on the way.
        while download.chunk().await.expect("whole").is_some() {}
    }
}

#[tokio::test]
async fn docker_registry_behind_a_link_that_breaks() {
    for how in [Break::Reset, Break::Close] {
        for way in [Way::ToServer, Way::ToClient] {
            let server = DockerRegistry::start(&Options::default());
            let after = if way == Way::ToServer { [300, 900, 1500] } else { [1, 2, 4] };
            let cuts = after.map(|kib| Cut { way, after: kib * KIB, how }).to_vec();
            let proxy = FaultProxy::start(address(&server.host()), Link { cuts, ..Link::default() });
            pushed_through(&proxy.host(), &server.host(), 128 * KIB, &[MIB, 600 * KIB]).await;
            assert!(proxy.broken() > 0, "nothing was broken");
        }
    }
}

#[tokio::test]
async fn docker_registry_behind_a_link_that_breaks_again_and_again() {
    let server = DockerRegistry::start(&Options::default());
    let proxy = FaultProxy::start(address(&server.host()), Link { every: Some(3 * MIB), ..Link::default() });
    pushed_through(&proxy.host(), &server.host(), 256 * KIB, &[2 * MIB, 2 * MIB, 2 * MIB, 2 * MIB]).await;
    assert!(proxy.broken() >= 2, "{} breaks", proxy.broken());
}

#[tokio::test]
async fn docker_registry_behind_a_slow_link() {
    let server = DockerRegistry::start(&Options::default());
    let proxy = FaultProxy::start(address(&server.host()), Link { rate: Some(8 * MIB), ..Link::default() });
    pushed_through(&proxy.host(), &server.host(), 512 * MIB, &[3 * MIB]).await;
}

const INGRESS: nginx::Options = nginx::Options { max_body: 2 * MIB, read_timeout: 2, http2: None };

#[tokio::test]
async fn an_ingress_that_limits_bodies_is_learned() {
    let server = DockerRegistry::start(&Options::default());
    let ingress = Nginx::start(address(&server.host()), &INGRESS);
    pushed_through(&ingress.host(), &server.host(), 512 * MIB, &[9 * MIB, 300 * KIB]).await;
}

#[tokio::test]
async fn an_ingress_keeps_torn_chunks_from_gitea() {
    // The third chunk breaks off on its way to nginx, which has not passed on a byte of it.
    let pushing = Pushing::of(Setup::of(profile::GITEA_1_24_3), &[6 * MIB]).in_chunks_of(MIB);
    let ingress = Nginx::start(pushing.lab.address(), &INGRESS);
    let cut = Cut { way: Way::ToServer, after: 3 * MIB + 300 * KIB, how: Break::Reset };
    let proxy = FaultProxy::start(ingress.address(), Link { cuts: vec![cut], ..Link::default() });
    let config = push_config("app", &[&format!("{}/team/app:v1", proxy.host())], None);
    pushing.push_with(PushConfig { limits: pushing.limits, ..config }).await.expect("pushed");
    assert_eq!(invariants::stored(&pushing.lab, "team/app", "v1", &pushing.image), Vec::<String>::new());
    assert_eq!(blob_bytes(&pushing.lab.seen()), pushing.size(), "no byte reached the registry twice");
    assert_eq!(proxy.broken(), 1);
}

#[tokio::test]
async fn a_stopped_push_behind_an_ingress_sends_little_again() {
    // Sent in one request, all of it would be sent again: nginx passes on nothing of a request that it has not whole.
    let pushing = Pushing::of(Setup::of(profile::GITEA_1_24_3), &[20 * MIB]);
    let options = nginx::Options { max_body: 512 * MIB, read_timeout: 60, ..INGRESS };
    let ingress = Nginx::start(pushing.lab.address(), &options);
    let proxy = FaultProxy::start(ingress.address(), Link { rate: Some(3 * MIB), ..Link::default() });
    let name = format!("{}/team/app:v1", proxy.host());
    let config = || PushConfig { state: Some(pushing.state.path().to_owned()), ..push_config("app", &[&name], None) };
    let stopped = async {
        let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
        while proxy.passed(Way::ToServer) < 11 * MIB && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        result = pushing.push_with(config()) => panic!("it was not stopped: {result:?}"),
        () = stopped => {}
    }
    proxy.heal();
    pushing.push_with(config()).await.expect("pushed");
    assert_eq!(invariants::stored(&pushing.lab, "team/app", "v1", &pushing.image), Vec::<String>::new());
    let again = proxy.passed(Way::ToServer) - pushing.size();
    assert!(again <= 5 * MIB, "{again} bytes were sent again");
    assert_eq!(blob_bytes(&pushing.lab.seen()), pushing.size(), "no byte reached the registry twice");
}

#[tokio::test]
async fn a_commit_that_takes_longer_than_the_ingress_waits_is_found_by_asking() {
    let setup = Setup::of(profile::GITEA_1_24_3).script([script::first(Op::Commit, Fault::Pause(3000))]);
    let pushing = Pushing::of(setup, &[6 * MIB]).in_chunks_of(MIB);
    let ingress = Nginx::start(pushing.lab.address(), &INGRESS);
    let config = push_config("app", &[&format!("{}/team/app:v1", ingress.host())], None);
    let config = PushConfig { limits: pushing.limits, jobs: 1, ..config };
    // The registry is at it for another second when nginx gives up.
    let retry = RetryPolicy { delay: Duration::from_secs(1), ..config.retry };
    pushing.push_with(PushConfig { retry, ..config }).await.expect("pushed");
    assert_eq!(invariants::stored(&pushing.lab, "team/app", "v1", &pushing.image), Vec::<String>::new());
    assert_eq!(blob_bytes(&pushing.lab.seen()), pushing.size(), "no byte was sent twice");
    pushing.met();
}

/// nginx that ends each HTTP/2 connection after `requests`, before `upstream`.
fn ending(upstream: SocketAddr, requests: u32) -> Nginx {
    let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let key = rcgen::KeyPair::generate().expect("a key");
    let pair = (parameters.self_signed(&key).expect("signed").pem(), key.serialize_pem());
    let http2 = Some(nginx::Http2 { pair, requests });
    Nginx::start(upstream, &nginx::Options { max_body: 64 * MIB, read_timeout: 30, http2 })
}

#[tokio::test]
async fn connections_that_nginx_ends_in_order_cost_no_attempt() {
    let server = DockerRegistry::start(&Options::default());
    let ingress = ending(address(&server.host()), 5);
    let local = TestStore::new();
    let layers: Vec<Vec<u8>> =
        (0..12).map(|seed| noise(seed, 40_000 + usize::try_from(seed).expect("small"))).collect();
    let image = local.image("app", &layers);
    let name = format!("{}/team/app:v1", ingress.host());
    let config = push_config("app", &[&name], None);
    let destinations = config.destinations.into_iter().map(|to| Destination { policy: TlsPolicy::SkipVerify, ..to });
    let config = PushConfig { destinations: destinations.collect(), retry: RetryPolicy::NEVER, ..config };
    Box::pin(local.push(config)).await.expect("pushed, and nothing was tried again");
    let other = TestStore::new();
    let config = pull_config(&name, "app");
    let config = PullConfig { policy: TlsPolicy::SkipVerify, retry: RetryPolicy::NEVER, ..config };
    let outcome = Box::pin(other.pull(config)).await.expect("pulled, and nothing was tried again");
    assert_eq!(outcome.descriptor.digest, image.digest());
}
