//! Against Debian's docker-registry.

use std::sync::{Arc, Mutex};

use idpbuilder_oci::image::Digest;
use idpbuilder_oci::ops::pull::PullError;
use idpbuilder_oci::ops::push::{BlobOutcome, PushError, Uploaded, push};
use idpbuilder_oci::progress::{Event, Interrupt, Outcome, Progress, Silent};
use idpbuilder_oci::registry::{Limits, RegistryError};
use idpbuilder_oci::store::StoreError;

use crate::docker_registry::{DockerRegistry, Options};
use crate::fixture::{TestStore, login, noise, pull_config, push_config, registry, registry_error};

#[tokio::test]
async fn a_pushed_image_is_what_another_client_reads() {
    let server = DockerRegistry::start(&Options::default());
    let local = TestStore::new();
    let layers = [noise(1, 700_000), noise(2, 10), Vec::new(), noise(1, 700_000)];
    let image = local.image("app:v1", &layers);
    let name = format!("{}/team/app:v1", server.host());
    let outcome = local.push(push_config("app:v1", &[&name], None)).await.expect("pushed").remove(0);
    assert_eq!((outcome.reference.to_string(), outcome.digest), (name.clone(), image.digest()));
    let config_size = image.manifest().expect("a manifest").config.size;
    assert_eq!((outcome.totals().uploaded, outcome.totals().skipped), (700_010 + config_size, 0));

    let protocol = oci_client::client::ClientProtocol::Http;
    let config = oci_client::client::ClientConfig { protocol, ..Default::default() };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = oci_client::Client::try_from(config).expect("a client");
    let reference: oci_client::Reference = name.parse().expect("a reference");
    let anonymous = oci_client::secrets::RegistryAuth::Anonymous;
    let (manifest, digest) = client.pull_image_manifest(&reference, &anonymous).await.expect("a manifest");
    assert_eq!(digest, image.digest().to_string());
    for (layer, expected) in manifest.layers.iter().zip(&layers) {
        let mut bytes = Vec::new();
        client.pull_blob(&reference, layer, &mut bytes).await.expect("a blob");
        assert!(bytes == *expected, "layer {}", layer.digest);
    }

    let again = local.push(push_config("app:v1", &[&name], None)).await.expect("pushed again").remove(0);
    assert_eq!((again.totals().uploaded, again.totals().skipped), (0, 700_010 + config_size));
    assert!(again.blobs.iter().all(|blob| blob.how == Uploaded::Exists));
}

#[tokio::test]
async fn chunks_arrive_as_one_blob_and_come_back_the_same() {
    let server = DockerRegistry::start(&Options::default());
    let (local, other) = (TestStore::new(), TestStore::new());
    let image = local.image("app", &[noise(3, 1_000_000), noise(4, 64 << 10), noise(5, (64 << 10) + 1)]);
    let name = format!("{}/team/app:v1", server.host());
    let mut config = push_config("app", &[&name], None);
    config.limits = Limits::chunks_of(64 << 10);
    local.push(config).await.expect("pushed");

    let outcome = other.pull(pull_config(&name, "mine:1")).await.expect("pulled");
    assert_eq!((outcome.descriptor.digest, outcome.bytes_present), (image.digest(), 0));
    let found = other.store.resolve("mine:1").expect("named");
    for blob in other.store.tree(&found.descriptor).expect("whole").blobs {
        let bytes = |store: &TestStore| std::fs::read(store.store.blob_path(blob.digest)).expect("stored");
        assert!(bytes(&local) == bytes(&other), "blob {}", blob.digest);
    }
    let again = other.pull(pull_config(&name, "mine:2")).await.expect("pulled again");
    assert_eq!((again.bytes_downloaded, again.bytes_present), (0, outcome.bytes_downloaded));

    let layer = &image.manifest().expect("a manifest").layers[1];
    std::fs::write(other.store.blob_path(layer.digest), vec![0; 64 << 10]).expect("damaged, of the same size");
    let healed = other.pull(pull_config(&name, "mine:3")).await.expect("pulled once more");
    assert_eq!(healed.bytes_downloaded, layer.size);
    std::io::copy(&mut other.store.read_blob(layer).expect("there"), &mut std::io::sink()).expect("whole");
}

#[tokio::test]
async fn passwords_are_asked_for_and_checked() {
    let server = DockerRegistry::start(&Options { login: Some(("giteaAdmin", "hunter2")), ..Options::default() });
    let local = TestStore::new();
    local.image("app", &[noise(6, 300_000)]);
    let name = format!("{}/team/app", server.host());
    let push = |credential| local.push(push_config("app", &[&name], credential));

    let error = registry_error(push(None).await.expect_err("nobody"));
    assert!(matches!(error, RegistryError::Unauthorized { credentials: false, .. }), "{error:?}");
    let wrong = login("giteaAdmin", "wr0ng-secret");
    let error = registry_error(push(Some(&wrong)).await.expect_err("a wrong password"));
    assert!(matches!(error, RegistryError::Unauthorized { credentials: true, .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("wr0ng-secret"));
    let outcome = push(Some(&login("giteaAdmin", "hunter2"))).await.expect("pushed").remove(0);
    assert_eq!(outcome.reference.tag(), Some("latest"));
}

#[tokio::test]
async fn a_damaged_local_blob_is_never_committed() {
    let server = DockerRegistry::start(&Options::default());
    for limits in [Limits::default(), Limits::chunks_of(64 << 10)] {
        let local = TestStore::new();
        let layer = noise(7, 700_000);
        local.image("app", std::slice::from_ref(&layer));
        let digest = Digest::of(&layer);
        let mut damaged = layer;
        damaged[350_000] ^= 1;
        std::fs::write(local.store.blob_path(digest), &damaged).expect("damaged");
        let mut config = push_config("app", &[&format!("{}/team/app:v1", server.host())], None);
        config.limits = limits;
        let error = local.push(config).await.expect_err("damaged");
        let PushError::Store(StoreError::BlobDigest { expected, found }) = error else { panic!("{error:?}") };
        assert_eq!((expected, found), (digest, Digest::of(&damaged)));
        let registry = registry(&server.host(), None);
        for digest in [digest, Digest::of(&damaged)] {
            assert_eq!(registry.head_blob("team/app", digest).await.expect("an answer"), None);
        }
    }
}

#[tokio::test]
async fn several_destinations_share_the_blobs_of_a_repository() {
    let server = DockerRegistry::start(&Options::default());
    let local = TestStore::new();
    let image = local.image("app", &[noise(8, 100_000)]);
    let names = ["team/app:v1", "team/app:v2", "team/other:v1"].map(|name| format!("{}/{name}", server.host()));
    let names = names.each_ref().map(String::as_str);
    let outcomes = local.push(push_config("app", &names, None)).await.expect("pushed");
    let sent: Vec<bool> = outcomes.iter().map(|outcome| outcome.totals().uploaded > 0).collect();
    assert_eq!(sent, [true, false, false]);
    let mounted = |blob: &BlobOutcome| blob.how == Uploaded::Mounted;
    assert!(outcomes[2].blobs.iter().all(mounted), "another repository takes them over: {:?}", outcomes[2].blobs);
    for (outcome, name) in outcomes.iter().zip(names) {
        assert_eq!((outcome.reference.to_string().as_str(), outcome.digest), (name, image.digest()));
    }
}

#[tokio::test]
async fn an_index_goes_up_whole_and_comes_down_whole_or_in_part() {
    let server = DockerRegistry::start(&Options::default());
    let (local, whole, part) = (TestStore::new(), TestStore::new(), TestStore::new());
    let index = local.index("app", &["amd64", "arm64"]);
    let name = format!("{}/team/app:v1", server.host());
    local.push(push_config("app", &[&name], None)).await.expect("pushed");
    assert_eq!(whole.pull(pull_config(&name, "app")).await.expect("pulled").descriptor.digest, index.digest());
    assert_eq!(whole.store.tree(&index.descriptor).expect("whole").blobs.len(), 4);

    let mut config = pull_config(&name, "app");
    config.platform = Some("linux/arm64".parse().expect("a platform"));
    let digest = part.pull(config.clone()).await.expect("pulled").descriptor.digest;
    assert_eq!(digest, index.references()[1].digest);
    config.platform = Some("linux/s390x".parse().expect("a platform"));
    let error = part.pull(config).await.expect_err("no such image");
    assert!(matches!(error, PullError::Platform { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = DockerRegistry::start(&Options::default());
    let local = TestStore::new();
    let error = local.pull(pull_config(&format!("{}/team/none:v1", server.host()), "x")).await.expect_err("absent");
    assert!(
        matches!(&error, PullError::Registry { source: RegistryError::NotFound(refused), .. }
        if refused.response.names(&oci_client::errors::OciErrorCode::ManifestUnknown)),
        "{error:?}"
    );
}

#[derive(Default)]
struct Recorder(Mutex<(u64, Vec<Outcome>)>);

impl Progress for Recorder {
    fn emit(&self, event: Event<'_>) {
        let mut state = self.0.lock().expect("unpoisoned");
        match event {
            Event::Advance { bytes, .. } => state.0 += bytes,
            Event::End { outcome, .. } => state.1.push(outcome),
            _ => {}
        }
    }
}

#[tokio::test]
async fn progress_counts_the_bytes_sent() {
    let server = DockerRegistry::start(&Options::default());
    let local = TestStore::new();
    local.image("app", &[noise(9, 600_000)]);
    let config = || push_config("app", &[&format!("{}/team/app", server.host())], None);
    let recorder = Arc::new(Recorder::default());
    let outcome =
        push(config(), &local.store, recorder.clone(), &Interrupt::default()).await.expect("pushed").remove(0);
    let (bytes, ends) = std::mem::take(&mut *recorder.0.lock().expect("unpoisoned"));
    assert_eq!((bytes, ends), (outcome.totals().uploaded, vec![Outcome::Done; 2]));
    push(config(), &local.store, recorder.clone(), &Interrupt::default()).await.expect("pushed");
    assert_eq!(*recorder.0.lock().expect("unpoisoned"), (0, vec![Outcome::Exists; 2]));
}

#[tokio::test]
async fn an_interrupt_stops_before_anything_is_sent() {
    let server = DockerRegistry::start(&Options::default());
    let local = TestStore::new();
    local.image("app", &[noise(10, 1000)]);
    let interrupt = Interrupt::default();
    interrupt.request();
    let config = push_config("app", &[&format!("{}/team/app", server.host())], None);
    let error = push(config, &local.store, Arc::new(Silent), &interrupt).await.expect_err("interrupted").into_first();
    assert!(matches!(error, PushError::Interrupted), "{error:?}");
}
