//! What a diagnosis asks: nothing is ever committed.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use idpbuilder_oci::ops::doctor::{Limits, Step, network};
use idpbuilder_oci::progress::Interrupt;
use idpbuilder_oci::registry::{GiteaVersion, RegistryError, Resolved};

use crate::fixture::registry;
use crate::scripted::{Reply, Scripted, answer, with};

#[tokio::test]
async fn a_probed_session_is_cancelled_and_nothing_is_sent_into_it() {
    let server = Scripted::start(|request| match request.method.as_str() {
        "POST" => with(202, "Location", "/v2/team/app/blobs/uploads/1"),
        "DELETE" => answer(204, ""),
        _ => answer(404, ""),
    });
    let waiting = std::future::pending;
    let permitted = registry(&server.host(), None).probe_push("team/app", waiting()).await;
    permitted.expect("an answer").expect("permitted");
    assert_eq!(server.log(), ["POST /v2/team/app/blobs/uploads/", "DELETE /v2/team/app/blobs/uploads/1"]);
    assert!(server.seen().iter().all(|request| request.body.is_empty()));

    let server = Scripted::start(|_| answer(403, ""));
    let error = registry(&server.host(), None).probe_push("team/app", waiting()).await.expect("an answer");
    let error = error.expect_err("refused");
    assert!(matches!(error, RegistryError::Denied(_)), "{error:?}");
    assert_eq!(server.log(), ["POST /v2/team/app/blobs/uploads/"]);
}

#[tokio::test]
async fn a_session_that_is_opened_too_late_is_cancelled_all_the_same() {
    let arrived = Arc::new(tokio::sync::Notify::new());
    let (go, gone) = std::sync::mpsc::channel();
    let (told, gone) = (Arc::clone(&arrived), Mutex::new(gone));
    let server = Scripted::start(move |request| match request.method.as_str() {
        "POST" => {
            told.notify_one();
            gone.lock().expect("unpoisoned").recv().expect("told to go on");
            with(202, "Location", "/v2/team/app/blobs/uploads/1")
        }
        "DELETE" => answer(204, ""),
        _ => answer(404, ""),
    });
    // The answer comes after nobody waits for it any more.
    let enough = async {
        arrived.notified().await;
        go.send(()).expect("the server waits");
    };
    assert!(registry(&server.host(), None).probe_push("team/app", enough).await.is_none());
    assert_eq!(server.log(), ["POST /v2/team/app/blobs/uploads/", "DELETE /v2/team/app/blobs/uploads/1"]);
}

#[tokio::test]
async fn neither_a_late_answer_nor_a_slow_cancel_is_awaited_for_long() {
    let begun = Instant::now();
    let silent = Scripted::start(|_| Reply::Silence);
    let slow = Scripted::start(|request| match request.method.as_str() {
        "POST" => with(202, "Location", "/v2/team/app/blobs/uploads/1"),
        _ => Reply::Silence,
    });
    let (first, second) = (registry(&silent.host(), None), registry(&slow.host(), None));
    let (first, second) = tokio::join!(
        first.probe_push("team/app", std::future::ready(())),
        second.probe_push("team/app", std::future::pending())
    );
    assert!(first.is_none() && matches!(second, Some(Ok(()))), "{first:?} {second:?}");
    assert_eq!(slow.log(), ["POST /v2/team/app/blobs/uploads/", "DELETE /v2/team/app/blobs/uploads/1"]);
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

/// Whether the step took too long.
fn overdue<T>(step: &Step<T>) -> bool {
    matches!(step, Step::Overdue(_))
}

#[tokio::test]
async fn all_steps_together_have_a_limit() {
    let begun = Instant::now();
    let limits = Limits { step: Duration::from_mins(10), total: Duration::from_millis(300) };
    let server = Scripted::start(|_| Reply::Silence);
    let found = network(&registry(&server.host(), None), Some("team/app"), limits, &Interrupt::default()).await;
    assert!(found.tcp.passed() && overdue(&found.tls), "{found:?}");
    assert!(matches!(found.authentication, Step::Skipped), "{found:?}");

    // What comes after the time is up is not tried.
    let server = Scripted::start(|request| match request.path() {
        "/v2/" => answer(200, ""),
        _ => Reply::Silence,
    });
    let found = network(&registry(&server.host(), None), Some("team/app"), limits, &Interrupt::default()).await;
    assert!(found.authentication.passed() && overdue(&found.push) && overdue(&found.gitea), "{found:?}");
    assert!(!server.log().iter().any(|line| line.contains("version")), "{:?}", server.log());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_interrupt_ends_the_step_and_begins_no_other() {
    let arrived = Arc::new(tokio::sync::Notify::new());
    let told = Arc::clone(&arrived);
    let server = Scripted::start(move |_| {
        told.notify_one();
        Reply::Silence
    });
    let limits = Limits { step: Duration::from_mins(10), total: Duration::from_mins(10) };
    let (interrupt, client) = (Interrupt::default(), registry(&server.host(), None));
    let (found, ()) = tokio::join!(network(&client, Some("team/app"), limits, &interrupt), async {
        arrived.notified().await;
        interrupt.request();
    });
    assert!(found.tcp.passed() && matches!(found.tls, Step::Skipped), "{found:?}");
    assert_eq!(server.log(), ["GET /v2/"]);
}

#[tokio::test]
async fn gitea_tells_its_version_and_others_tell_nothing() {
    let server = Scripted::start(|request| match request.path() {
        "/api/v1/version" => answer(200, r#"{"version":"1.24.3"}"#),
        _ => answer(404, ""),
    });
    let told = registry(&server.host(), None).gitea_version("").await.expect("an answer");
    assert_eq!(told, GiteaVersion::Told("1.24.3".to_owned()));
    let long = format!(r#"{{"version":"{}"}}"#, "1".repeat(100_000));
    for (status, body) in [(401, "{}"), (200, "<html>"), (200, long.as_str())] {
        let body = body.to_owned();
        let server = Scripted::start(move |_| answer(status, &body));
        let told = registry(&server.host(), None).gitea_version("").await.expect("an answer");
        assert!(matches!(told, GiteaVersion::NotTold(found) if found == status), "{told:?}");
    }

    let server = Scripted::start(|_| answer(404, "{}"));
    let told = registry(&server.host(), None).gitea_version("").await.expect("an answer");
    assert_eq!(told, GiteaVersion::Absent);

    // Where paths lead to it, it is below one of them.
    let routed = Scripted::start(|request| match request.path() {
        "/gitea/api/v1/version" => answer(200, r#"{"version":"1.22.0"}"#),
        "/v2/" => answer(200, ""),
        _ => answer(404, ""),
    });
    let limits = Limits { step: Duration::from_mins(1), total: Duration::from_mins(1) };
    let found = network(&registry(&routed.host(), None), None, limits, &Interrupt::default()).await;
    assert!(matches!(&found.gitea, Step::Passed(GiteaVersion::Told(version)) if version == "1.22.0"), "{found:?}");
}

#[tokio::test]
async fn names_resolve_and_connect_as_requests_do() {
    let server = Scripted::start(|_| answer(200, ""));
    let host = server.host();
    let port = host.rsplit(':').next().expect("a port");
    let client = registry(&format!("gitea.cnoe.localtest.me:{port}"), None);
    let Resolved { addresses, .. } = client.resolve().await.expect("this machine");
    let reached = client.connect(&addresses).await.expect("it listens");
    assert!(reached.ip().is_loopback() && reached.port().to_string() == port, "{reached}");
    assert!(!client.is_proxied() && client.presented().is_none());
}
