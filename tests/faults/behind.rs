//! Debian's docker-registry and nginx, and links that break before them.

use std::net::SocketAddr;

use idpbuilder_oci::push::PushConfig;
use idpbuilder_oci::registry::{Limits, Target};

use crate::docker_registry::{DockerRegistry, Options};
use crate::fixture::{TestStore, noise, push_config, registry};
use crate::lab::proxy::{FaultProxy, Link};
use crate::nginx::{self, Nginx};
use crate::pushing::{KIB, MIB};

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
    local.push(PushConfig { limits: Limits::chunks_of(chunks), ..config }).await.expect("pushed");
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
async fn docker_registry_behind_a_slow_link() {
    let server = DockerRegistry::start(&Options::default());
    let proxy = FaultProxy::start(address(&server.host()), Link { rate: Some(8 * MIB), ..Link::default() });
    Box::pin(pushed_through(&proxy.host(), &server.host(), 512 * MIB, &[3 * MIB])).await;
}

const INGRESS: nginx::Options = nginx::Options { max_body: 2 * MIB, read_timeout: 2 };

#[tokio::test]
async fn an_ingress_that_limits_bodies_is_learned() {
    let server = DockerRegistry::start(&Options::default());
    let ingress = Nginx::start(address(&server.host()), &INGRESS);
    Box::pin(pushed_through(&ingress.host(), &server.host(), 512 * MIB, &[9 * MIB, 300 * KIB])).await;
}
