//! What a push tells and what it is told: plans, counters, traces, limits.

use std::time::{Duration, Instant};

use idpbuilder_oci::ops::push::{Preview, PreviewStep, PushConfig, Uploaded, preview};
use idpbuilder_oci::registry::{RateLimits, RegistryError};

use crate::docker_registry::{DockerRegistry, Options};
use crate::fixture::{TestStore, login, noise, push_config, registry, registry_error};

async fn previewed(local: &TestStore, config: PushConfig) -> Vec<Preview> {
    let silent = std::sync::Arc::new(idpbuilder_oci::progress::Silent);
    let never = idpbuilder_oci::progress::Interrupt::default();
    Box::pin(preview(config, &local.store, silent, &never)).await.expect("a plan")
}

fn uploads(preview: &Preview) -> u64 {
    preview.bytes(|step| *step == PreviewStep::Upload)
}

#[tokio::test]
async fn a_plan_is_what_the_push_then_does_and_sends_nothing() {
    let server = DockerRegistry::start(&Options::default());
    let local = TestStore::new();
    let image = local.image("app", &[noise(1, 300_000), noise(2, 10)]);
    let state = tempfile::tempdir().expect("a directory");
    let config = |name: &str| {
        let config = push_config("app", &[&format!("{}/{name}", server.host())], None);
        PushConfig { state: Some(state.path().to_owned()), ..config }
    };
    let plan = previewed(&local, config("team/app:v1")).await.remove(0);
    let size: u64 = image.references().iter().map(|blob| blob.size).sum();
    assert_eq!((uploads(&plan), plan.current, plan.complete), (size, None, false));
    let client = registry(&server.host(), None);
    for blob in image.references() {
        assert_eq!(client.head_blob("team/app", blob.digest).await.expect("asked"), None, "nothing was sent");
    }

    let done = local.push(config("team/app:v1")).await.expect("pushed").remove(0);
    assert_eq!(done.totals().uploaded, size);
    assert!(done.traffic.sent >= size && done.traffic.requests >= 6, "{:?}", done.traffic);

    let plan = previewed(&local, config("team/app:v1")).await.remove(0);
    assert_eq!((uploads(&plan), plan.current, plan.complete), (0, Some(image.digest()), true));

    let plan = previewed(&local, config("other/app:v2")).await.remove(0);
    let from = PreviewStep::Mount { from: "team/app".to_owned() };
    assert!(plan.steps.iter().all(|(_, step)| *step == from), "{plan:?}");
    let done = local.push(config("other/app:v2")).await.expect("pushed").remove(0);
    let large = |how| done.blobs.iter().filter(|blob| blob.size > 100_000).all(|blob| blob.how == how);
    assert!(large(Uploaded::Mounted), "{:?}", done.blobs);
}

#[tokio::test]
async fn a_plan_tells_where_a_push_is_not_permitted_and_looks_at_the_other_destinations() {
    let closed = DockerRegistry::start(&Options { login: Some(("u", "hunter2")), ..Options::default() });
    let open = DockerRegistry::start(&Options::default());
    let local = TestStore::new();
    local.image("app", &[noise(1, 1000)]);
    let [first, last] = [closed.host(), open.host()].map(|host| format!("{host}/team/app:latest"));
    let config = push_config("app", &[&first, &last], Some(&login("u", "wr0ng")));
    let silent = std::sync::Arc::new(idpbuilder_oci::progress::Silent);
    let never = idpbuilder_oci::progress::Interrupt::default();
    let some = Box::pin(preview(config, &local.store, silent, &never)).await.expect_err("not permitted everywhere");
    assert_eq!(some.done.iter().map(|plan| plan.reference.to_string()).collect::<Vec<_>>(), [last]);
    assert_eq!(some.failed.len(), 1);
    assert_eq!(some.failed[0].references.iter().map(ToString::to_string).collect::<Vec<_>>(), [first]);
    assert!(matches!(registry_error(some.into_first()), RegistryError::Unauthorized { .. }));
}

#[tokio::test]
async fn several_repositories_of_a_registry_get_the_bytes_once() {
    let server = DockerRegistry::start(&Options::default());
    let local = TestStore::new();
    let image = local.image("app", &[noise(3, 6_000_000)]);
    let names = ["a/app:v1", "b/app:v1", "c/app:v2"].map(|name| format!("{}/{name}", server.host()));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let outcomes = local.push(push_config("app", &names, None)).await.expect("pushed");
    let sent: u64 = outcomes.iter().map(|outcome| outcome.traffic.sent).sum();
    let layer: u64 = image.references().iter().map(|blob| blob.size).max().expect("a layer");
    assert!(sent < layer + 100_000, "{sent} bytes sent of {layer}");
    for name in ["b/app", "c/app"] {
        for blob in image.references() {
            let found = registry(&server.host(), None).head_blob(name, blob.digest).await.expect("asked");
            assert_eq!(found, Some(blob.size));
        }
    }
}

#[tokio::test]
async fn bytes_and_requests_go_no_faster_than_allowed() {
    let server = DockerRegistry::start(&Options::default());
    let local = TestStore::new();
    local.image("app", &[noise(4, 200_000), noise(5, 200_000)]);
    let config =
        |name: &str, rates| PushConfig { rates, ..push_config("app", &[&format!("{}/{name}", server.host())], None) };
    let began = Instant::now();
    let rates = RateLimits { bytes: Some(400_000), requests: None };
    let outcome = local.push(config("team/slow", rates)).await.expect("pushed").remove(0);
    let (sent, took) = (outcome.traffic.sent, began.elapsed());
    // A tenth of a second's bytes may go at once.
    assert!(sent >= 400_000 && took >= Duration::from_millis(850), "{sent} bytes in {took:?}");
    let began = Instant::now();
    let rates = RateLimits { bytes: None, requests: Some(20) };
    let outcome = local.push(config("team/rare", rates)).await.expect("pushed").remove(0);
    let least = Duration::from_millis(50) * u32::try_from(outcome.traffic.requests - 1).expect("few");
    assert!(began.elapsed() >= least, "{} requests in {:?}", outcome.traffic.requests, began.elapsed());
}
