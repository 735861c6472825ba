//! What a diagnosis asks: nothing is ever committed.

use idpbuilder_oci::registry::{RegistryError, Resolved};

use crate::fixture::registry;
use crate::scripted::{Scripted, answer, with};

#[tokio::test]
async fn a_probed_session_is_cancelled_and_nothing_is_sent_into_it() {
    let server = Scripted::start(|request| match request.method.as_str() {
        "POST" => with(202, "Location", "/v2/team/app/blobs/uploads/1"),
        "DELETE" => answer(204, ""),
        _ => answer(404, ""),
    });
    registry(&server.host(), None).probe_push("team/app").await.expect("permitted");
    assert_eq!(server.log(), ["POST /v2/team/app/blobs/uploads/", "DELETE /v2/team/app/blobs/uploads/1"]);
    assert!(server.seen().iter().all(|request| request.body.is_empty()));

    let server = Scripted::start(|_| answer(403, ""));
    let error = registry(&server.host(), None).probe_push("team/app").await.expect_err("refused");
    assert!(matches!(error, RegistryError::Denied(_)), "{error:?}");
    assert_eq!(server.log(), ["POST /v2/team/app/blobs/uploads/"]);
}

#[tokio::test]
async fn gitea_tells_its_version_and_others_tell_nothing() {
    let server = Scripted::start(|request| match request.path() {
        "/api/v1/version" => answer(200, r#"{"version":"1.24.3"}"#),
        _ => answer(404, ""),
    });
    assert_eq!(registry(&server.host(), None).gitea_version().await.as_deref(), Some("1.24.3"));
    let long = format!(r#"{{"version":"{}"}}"#, "1".repeat(100_000));
    for (status, body) in [(404, "{}"), (200, "<html>"), (200, long.as_str())] {
        let body = body.to_owned();
        let server = Scripted::start(move |_| answer(status, &body));
        assert_eq!(registry(&server.host(), None).gitea_version().await, None);
    }
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
