//! What is asked again, how often, and what people are told.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use idpbuilder_oci::image::Digest;
use idpbuilder_oci::registry::{NetworkFault, Persistence, Registry, RegistryError, RetryPolicy, Target, Timeouts};

use crate::fixture::{eager, persistent, registry, registry_config};
use crate::scripted::{Reply, Scripted, answer, with};

/// Answers the first requests with `fault`, all others with 404.
fn recovering(faults: usize, fault: impl Fn() -> Reply + Send + Sync + 'static) -> Scripted {
    let count = AtomicUsize::new(0);
    Scripted::start(move |_| if count.fetch_add(1, Ordering::Relaxed) < faults { fault() } else { answer(404, "") })
}

#[tokio::test]
async fn what_may_pass_is_asked_again_and_told_once() {
    let server = recovering(2, || with(429, "Retry-After", "0"));
    let (registry, told) = persistent(&server.host());
    let blob = Digest::of(b"blob");
    assert_eq!(registry.head_blob("team/app", blob).await.expect("an answer"), None);
    let cause = format!("too many requests (HEAD {}/v2/team/app/blobs/{blob}: 429 Too Many Requests)", server.host());
    assert_eq!(told.lines(), [format!("retry 1 of 5: {cause}"), format!("retry 2 of 5: {cause}")]);
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn connections_that_close_are_made_again() {
    let server = recovering(3, || Reply::Close);
    let (registry, told) = persistent(&server.host());
    assert!(registry.head_manifest("team/app", Target::Tag("v1")).await.expect("an answer").is_none());
    assert_eq!(told.lines().len(), 3);
}

#[tokio::test]
async fn what_does_not_pass_is_told_when_the_attempts_are_used_up() {
    let server = Scripted::start(|_| answer(503, ""));
    let (registry, told) = persistent(&server.host());
    let error = registry.get_manifest("team/app", Target::Tag("v1")).await.expect_err("never");
    assert!(matches!(error, RegistryError::Unavailable(_)), "{error:?}");
    assert_eq!((told.lines().len(), server.seen().len()), (5, 6));
}

#[tokio::test]
async fn what_is_refused_for_good_is_asked_once() {
    for status in [400, 403, 405, 501] {
        let server = Scripted::start(move |_| answer(status, ""));
        let (registry, told) = persistent(&server.host());
        registry.get_manifest("team/app", Target::Tag("v1")).await.expect_err("refused");
        assert_eq!((told.lines().len(), server.seen().len()), (0, 1), "{status}");
    }
}

#[tokio::test]
async fn a_wait_longer_than_patience_is_not_begun() {
    let server = Scripted::start(|_| with(503, "Retry-After", "3600"));
    let (registry, told) = persistent(&server.host());
    let error = registry.head_blob("team/app", Digest::of(b"")).await.expect_err("an hour");
    assert_eq!(error.retry_after(), Some(Duration::from_hours(1)));
    assert!(told.lines().is_empty());
}

#[tokio::test]
async fn where_nobody_ever_answered_the_first_failure_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let free = listener.local_addr().expect("an address").to_string();
    drop(listener);
    let (registry, told) = persistent(&free);
    let error = registry.head_blob("team/app", Digest::of(b"")).await.expect_err("nobody");
    assert!(matches!(error, RegistryError::Network { fault: NetworkFault::Refused, .. }), "{error:?}");
    assert!(told.lines().is_empty());
}

#[tokio::test]
async fn a_registry_that_was_there_is_waited_for() {
    let server =
        Scripted::start(|request| if request.path().ends_with("/v1") { answer(404, "") } else { Reply::Silence });
    let short = Duration::from_millis(300);
    let config = registry_config(&server.host(), None);
    let timeouts = Timeouts { connect: short, answer: short, stall: short };
    let open = |retry| {
        let config = idpbuilder_oci::registry::RegistryConfig { timeouts, ..config.clone() };
        Registry::open(config).expect("an address").persisting(Persistence { retry, ..Persistence::default() })
    };
    let patient = open(RetryPolicy { attempts: 1, ..eager() });
    assert!(patient.head_manifest("a/b", Target::Tag("v1")).await.expect("an answer").is_none());
    patient.head_manifest("a/b", Target::Tag("v2")).await.expect_err("silence, twice");
    assert_eq!(server.seen().len(), 3);
    open(eager()).head_manifest("a/b", Target::Tag("v2")).await.expect_err("silence at the first contact");
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn without_a_policy_nothing_is_asked_again() {
    let server = Scripted::start(|_| answer(503, ""));
    registry(&server.host(), None).get_manifest("a/b", Target::Tag("v1")).await.expect_err("once");
    assert_eq!(server.seen().len(), 1);
}
