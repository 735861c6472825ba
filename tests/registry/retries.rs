//! What is asked again, how often, and what people are told.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use idpbuilder_oci::image::Digest;
use idpbuilder_oci::registry::{
    NetworkFault, Registry, RegistryConfig, RegistryError, RetryContext, RetryPolicy, Target, Timeouts,
};

use crate::fixture::{eager, noise, persistent, registry, registry_config, upload};
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

/// Answers once, and from then on the smallest question alone, and that after it was asked `deaf` times.
fn dying(deaf: usize) -> Scripted {
    let (asked, pings) = (AtomicUsize::new(0), AtomicUsize::new(0));
    Scripted::start(move |request| {
        let pinged = if request.path() == "/v2/" { pings.fetch_add(1, Ordering::Relaxed) } else { 0 };
        let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
        if first || pinged >= deaf || pings.load(Ordering::Relaxed) > deaf { answer(404, "") } else { Reply::Close }
    })
}

async fn ask_many(registry: &Registry) -> Vec<Result<Option<u64>, RegistryError>> {
    let blobs: Vec<Digest> = (0..20u8).map(|n| Digest::of(&[n])).collect();
    registry.head_manifest("team/app", Target::Tag("v1")).await.expect("it is there");
    join_all(blobs.iter().map(|blob| registry.head_blob("team/app", *blob))).await
}

#[tokio::test]
async fn a_registry_that_dies_costs_everybody_together_what_it_costs_one() {
    let server = dying(usize::MAX);
    let (registry, told) = persistent(&server.host());
    for result in ask_many(&registry).await {
        let error = result.expect_err("nobody answers");
        assert!(matches!(error, RegistryError::Network { fault: NetworkFault::Closed, .. }), "{error:?}");
    }
    let lines = told.lines();
    let about_all: Vec<&String> = lines.iter().filter(|line| line.contains("/v2/:")).collect();
    assert_eq!((lines.len(), about_all.len()), (2 + 5, 4), "two by themselves, then one for all: {lines:#?}");
    let pings = server.log().iter().filter(|line| *line == "GET /v2/").count();
    assert_eq!(pings, 5, "{:#?}", server.log());
    let before = server.seen().len();
    registry.head_blob("team/app", Digest::of(b"late")).await.expect_err("it is known by now");
    assert_eq!(server.seen().len(), before);
}

#[tokio::test]
async fn everybody_goes_on_when_a_registry_is_back() {
    let server = dying(2);
    let (registry, told) = persistent(&server.host());
    for result in ask_many(&registry).await {
        assert_eq!(result.expect("it is back"), None);
    }
    let lines = told.lines();
    assert_eq!(lines.len(), 2 + 3, "{lines:#?}");
}

#[tokio::test]
async fn a_kept_connection_that_is_closed_as_it_is_used_costs_nothing() {
    let closing = |closed: &'static [usize]| {
        let count = AtomicUsize::new(0);
        Scripted::start(move |_| {
            if closed.contains(&count.fetch_add(1, Ordering::Relaxed)) { Reply::Close } else { answer(404, "") }
        })
    };
    let blob = Digest::of(b"blob");
    // Without a policy: nothing else is tried again.
    let server = closing(&[1]);
    let once = registry(&server.host(), None);
    for _ in 0..2 {
        assert_eq!(once.head_blob("team/app", blob).await.expect("an answer"), None);
    }
    assert_eq!(server.seen().len(), 3);

    let server = closing(&[1, 2]);
    let once = registry(&server.host(), None);
    once.head_blob("team/app", blob).await.expect("an answer");
    once.head_blob("team/app", blob).await.expect_err("the new connection was closed too");
    assert_eq!(server.seen().len(), 3);

    let server = closing(&[0]);
    registry(&server.host(), None).head_blob("team/app", blob).await.expect_err("it was never of use");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn bytes_sent_by_a_connection_that_was_closed_are_asked_about_at_once() {
    let puts = AtomicUsize::new(0);
    let session = || ("Location", "/v2/team/app/blobs/uploads/1".to_owned());
    let server = Scripted::start(move |request| match request.method.as_str() {
        "POST" => Reply::Answer(202, vec![session()], Vec::new()),
        "GET" => Reply::Answer(204, vec![session(), ("Range", "0-0".to_owned())], Vec::new()),
        "PUT" if puts.fetch_add(1, Ordering::Relaxed) == 0 => Reply::Close,
        _ => answer(201, ""),
    });
    let (registry, told) = persistent(&server.host());
    upload(&registry, &noise(50, 10_000)).await.expect("taken");
    let retries = told.lines().into_iter().filter(|line| line.starts_with("retry")).collect::<Vec<_>>();
    assert!(retries.is_empty(), "{retries:?}");
    let methods = server.seen().into_iter().map(|request| request.method).collect::<Vec<_>>();
    assert_eq!(methods.iter().filter(|method| *method == "PUT").count(), 2, "{methods:?}");
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
        let config = RegistryConfig { timeouts, retry: RetryContext::from(retry), ..config.clone() };
        Registry::open(config).expect("an address")
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
