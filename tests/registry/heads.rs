//! HEAD that fails where GET answers.

use std::sync::atomic::{AtomicBool, Ordering};

use idpbuilder_oci::image::{Descriptor, Digest};
use idpbuilder_oci::registry::{RegistryError, Target};

use crate::fixture::{TestStore, push_config, registry};
use crate::scripted::{Reply, Request, Scripted, answer, with};

const BLOB: &[u8] = b"hello, world";

/// Refuses HEAD with `status`; GET answers, with the range where `ranges`.
fn refusing(status: u16, ranges: bool) -> Scripted {
    Scripted::start(move |request| match (request.method.as_str(), request.path().contains("/blobs/")) {
        ("HEAD", _) => answer(status, ""),
        (_, true) if ranges && request.header("range") == Some("bytes=0-0") => {
            let range = format!("bytes 0-0/{}", BLOB.len());
            Reply::Answer(206, vec![("Content-Range", range)], BLOB[..1].to_vec())
        }
        (_, true) => Reply::Answer(200, Vec::new(), BLOB.to_vec()),
        _ => Reply::Answer(200, vec![("Docker-Content-Digest", Digest::of(BLOB).to_string())], BLOB.to_vec()),
    })
}

#[tokio::test]
async fn get_is_asked_where_head_is_refused() {
    for status in [400, 403, 405, 500, 501] {
        for ranges in [true, false] {
            let server = refusing(status, ranges);
            let registry = registry(&server.host(), None);
            let size = registry.head_blob("team/app", Digest::of(BLOB)).await.expect("an answer");
            assert_eq!(size, Some(BLOB.len() as u64), "{status}");
            let head = registry.head_manifest("team/app", Target::Tag("v1")).await.expect("an answer");
            assert_eq!(head.and_then(|head| head.digest), Some(Digest::of(BLOB)), "{status}");
        }
    }
}

#[tokio::test]
async fn a_refusal_of_both_is_told_with_its_reason() {
    let server = Scripted::start(|request| match request.method.as_str() {
        "HEAD" => answer(403, ""),
        _ => answer(403, r#"{"errors":[{"code":"DENIED","message":"not yours"}]}"#),
    });
    let error = registry(&server.host(), None).head_blob("team/app", Digest::of(BLOB)).await.expect_err("denied");
    assert!(error.to_string().contains("not yours"), "{error}");
    let throttled = Scripted::start(|_| answer(429, ""));
    let error = registry(&throttled.host(), None).head_blob("team/app", Digest::of(BLOB)).await.expect_err("busy");
    assert!(matches!(error, RegistryError::RateLimited(_)), "{error:?}");
    assert!(throttled.seen().iter().all(|request| request.method != "GET" || request.path() == "/v2/"));
}

/// A registry that takes everything, and to which HEAD finds nothing of what it took.
fn forgetful() -> Scripted {
    let named = AtomicBool::new(false);
    let manifest = std::sync::Mutex::new(Vec::new());
    Scripted::start_reading(move |request: &Request| match (request.method.as_str(), request.path()) {
        ("POST", _) => with(202, "Location", "/v2/team/app/blobs/uploads/1"),
        ("PUT", path) if path.contains("/manifests/") => {
            manifest.lock().expect("unpoisoned").clone_from(&request.body);
            named.store(true, Ordering::Relaxed);
            with(201, "Docker-Content-Digest", Digest::of(&request.body).to_string())
        }
        ("PUT", _) => answer(201, ""),
        ("GET", path) if path.contains("/manifests/") && named.load(Ordering::Relaxed) => {
            let kind = "application/vnd.oci.image.manifest.v1+json".to_owned();
            Reply::Answer(200, vec![("Content-Type", kind)], manifest.lock().expect("unpoisoned").clone())
        }
        ("GET", "/v2/") => answer(200, ""),
        _ => answer(404, ""),
    })
}

#[tokio::test]
async fn a_404_after_a_201_is_asked_again_with_get() {
    let server = forgetful();
    let local = TestStore::new();
    let image = local.image("app", &[BLOB.to_vec()]);
    let name = format!("{}/team/app:v1", server.host());
    let outcome = local.push(push_config("app", &[&name], None)).await.expect("pushed");
    assert_eq!(outcome[0].digest, image.digest());
}

#[tokio::test]
async fn what_neither_finds_is_not_there() {
    let server = Scripted::start(|_| answer(404, ""));
    let registry = registry(&server.host(), None);
    assert_eq!(registry.confirm_manifest("team/app", Target::Tag("v1")).await.expect("an answer"), None);
    let blob = Descriptor::of("application/octet-stream", BLOB);
    assert_eq!(registry.head_blob("team/app", blob.digest).await.expect("an answer"), None);
}
