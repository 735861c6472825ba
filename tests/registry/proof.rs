//! What a push finds there already, repairs, proves and waits for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use idpbuilder_oci::ops::push::{PushConfig, PushError, push};
use idpbuilder_oci::progress::Interrupt;
use idpbuilder_oci::registry::{RateLimits, RegistryError};

use crate::docker_registry::{DockerRegistry, Options};
use crate::fixture::{TestStore, Told, noise, push_config, registry};
use crate::scripted::{Reply, Request, Scripted, answer};

/// A registry that keeps what it is given, in one repository; `before` may answer instead.
fn keeping(before: impl Fn(&Request, &mut Kept) -> Option<Reply> + Send + Sync + 'static) -> Scripted {
    let kept = Arc::new(Mutex::new(Kept::default()));
    Scripted::start_reading(move |request| {
        let mut kept = kept.lock().expect("unpoisoned");
        before(request, &mut kept).unwrap_or_else(|| kept.answer(request))
    })
}

#[derive(Default)]
struct Kept {
    blobs: BTreeMap<String, Vec<u8>>,
    manifests: BTreeMap<String, Vec<u8>>,
}

impl Kept {
    fn answer(&mut self, request: &Request) -> Reply {
        let name = request.path().rsplit('/').next().unwrap_or_default().to_owned();
        let is_manifest = request.path().contains("/manifests/");
        match request.method.as_str() {
            "POST" => Reply::Answer(202, vec![("Location", "/v2/team/app/blobs/uploads/1".into())], Vec::new()),
            "PUT" if is_manifest => {
                let digest = idpbuilder_oci::image::Digest::of(&request.body).to_string();
                for name in [name, digest] {
                    self.manifests.insert(name, request.body.clone());
                }
                answer(201, "")
            }
            "PUT" => {
                let digest = request.target.split("digest=").nth(1).unwrap_or_default().to_owned();
                self.blobs.insert(digest, request.body.clone());
                answer(201, "")
            }
            "HEAD" | "GET" => {
                let found = if is_manifest { self.manifests.get(&name) } else { self.blobs.get(&name) };
                let Some(bytes) = found else { return answer(404, "") };
                let kind =
                    if is_manifest { "application/vnd.oci.image.manifest.v1+json" } else { "application/octet-stream" };
                let digest = idpbuilder_oci::image::Digest::of(bytes).to_string();
                let mut headers = vec![("Docker-Content-Digest", digest), ("Content-Type", kind.to_owned())];
                if request.method == "HEAD" {
                    headers.push(("Content-Length", bytes.len().to_string()));
                }
                Reply::Answer(200, headers, bytes.clone())
            }
            _ => answer(204, ""),
        }
    }
}

fn config(server: &Scripted) -> PushConfig {
    push_config("app", &[&format!("{}/team/app:v1", server.host())], None)
}

#[tokio::test]
async fn what_is_there_under_every_name_takes_one_round_of_questions() {
    let server = keeping(|_, _| None);
    let local = TestStore::new();
    local.image("app", &[noise(70, 1000), noise(71, 9000)]);
    local.push(config(&server)).await.expect("pushed");
    let cold = server.seen().len();
    let outcome = local.push(config(&server)).await.expect("pushed again").remove(0);
    let warm: Vec<String> = server.seen().drain(cold..).map(|request| request.method).collect();
    assert_eq!(warm, ["HEAD"; 4], "three blobs and the tag");
    assert_eq!(outcome.totals().uploaded, 0);
    let other = PushConfig {
        destinations: push_config("app", &[&format!("{}/team/app:v2", server.host())], None).destinations,
        ..config(&server)
    };
    local.push(other).await.expect("pushed by another name");
    assert!(server.log().contains(&"PUT /v2/team/app/manifests/v2".to_owned()));
}

#[tokio::test]
async fn blobs_that_were_there_and_are_not_are_sent_again_once() {
    for (code, status) in [("BLOB_UNKNOWN", 404), ("MANIFEST_BLOB_UNKNOWN", 400)] {
        let lost = AtomicBool::new(false);
        let server = keeping(move |request, kept| {
            let is_manifest = request.method == "PUT" && request.path().contains("/manifests/");
            (is_manifest && !lost.swap(true, Ordering::Relaxed)).then(|| {
                kept.blobs.clear();
                answer(status, &format!(r#"{{"errors":[{{"code":"{code}","message":""}}]}}"#))
            })
        });
        let local = TestStore::new();
        local.image("app", &[noise(72, 5000)]);
        let told = Arc::new(Told::default());
        let outcome = push(config(&server), &local.store, Arc::clone(&told) as _, &Interrupt::default()).await;
        let outcome = outcome.expect("repaired").remove(0);
        assert_eq!(told.lines().len(), 1, "{:?}", told.lines());
        assert_eq!(
            outcome.totals().uploaded,
            outcome.blobs.iter().map(|blob| blob.size).sum::<u64>(),
            "each byte counts once"
        );
        assert!(outcome.traffic.sent > 2 * outcome.totals().uploaded, "and went twice");
        for blob in &outcome.blobs {
            let found = registry(&server.host(), None).head_blob("team/app", blob.digest).await.expect("an answer");
            assert_eq!(found, Some(blob.size));
        }
    }
}

#[tokio::test]
async fn a_registry_that_always_misses_something_is_not_repaired_for_ever() {
    let server = keeping(|request, _| {
        let is_manifest = request.method == "PUT" && request.path().contains("/manifests/");
        is_manifest.then(|| answer(404, r#"{"errors":[{"code":"BLOB_UNKNOWN","message":""}]}"#))
    });
    let local = TestStore::new();
    local.image("app", &[noise(73, 500)]);
    let error = local.push(config(&server)).await.expect_err("it never works");
    assert!(matches!(&error, PushError::Registry { source, .. } if source.misses_content()), "{error:?}");
    assert_eq!(server.log().iter().filter(|line| line.starts_with("PUT /v2/team/app/manifests/")).count(), 2);
}

#[tokio::test]
async fn what_was_pushed_is_read_back_when_asked_for() {
    let damage = Arc::new(AtomicBool::new(false));
    let damaging = Arc::clone(&damage);
    let server = keeping(move |request, kept| {
        if request.method == "GET" && damaging.swap(false, Ordering::Relaxed) {
            for bytes in kept.blobs.values_mut().filter(|bytes| bytes.len() == 7000) {
                bytes[3] ^= 1;
            }
        }
        None
    });
    let local = TestStore::new();
    local.image("app", &[noise(74, 7000)]);
    let verifying = || PushConfig { verify: true, ..config(&server) };
    local.push(verifying()).await.expect("as it should be");
    assert_eq!(server.log().iter().filter(|line| line.starts_with("GET")).count(), 3);
    damage.store(true, Ordering::Relaxed);
    let error = local.push(verifying()).await.expect_err("damaged");
    let PushError::Registry { source: RegistryError::DigestMismatch { .. }, .. } = error else { panic!("{error:?}") };
}

#[tokio::test]
async fn docker_registry_gives_back_what_it_got() {
    let server = DockerRegistry::start(&Options::default());
    let local = TestStore::new();
    local.image("app", &[noise(75, 3 << 20), noise(76, 10)]);
    let name = format!("{}/team/app:v1", server.host());
    let wait = Some(Duration::from_secs(20));
    for _ in 0..2 {
        local.push(PushConfig { verify: true, wait, ..push_config("app", &[&name], None) }).await.expect("proven");
    }
}

#[tokio::test]
async fn an_image_is_waited_for_until_anybody_can_pull_it() {
    let asked = AtomicUsize::new(0);
    let server = keeping(move |request, _| {
        let first = request.method == "GET" && asked.fetch_add(1, Ordering::Relaxed) < 2;
        first.then(|| answer(401, "not yet"))
    });
    let local = TestStore::new();
    local.image("app", &[noise(77, 500)]);
    local.push(PushConfig { wait: Some(Duration::from_secs(20)), ..config(&server) }).await.expect("in the end");

    let private = keeping(|request, _| (request.method == "GET").then(|| answer(401, "")));
    let wait = Some(Duration::from_millis(600));
    let error = local.push(PushConfig { wait, ..config(&private) }).await.expect_err("never");
    // It asks for a credential without saying how.
    let PushError::NotPullable { source: RegistryError::UnknownScheme { .. }, .. } = error else { panic!("{error:?}") };
}

#[tokio::test]
async fn what_is_waited_for_is_pulled_to_its_end() {
    let read_to_the_end = |request: &Request| request.method == "GET" && request.path().contains("/blobs/");
    let damaged = AtomicUsize::new(0);
    let server = keeping(move |request, kept| {
        let name = request.path().rsplit('/').next().unwrap_or_default();
        let bytes = kept.blobs.get(name).filter(|bytes| bytes.len() == 700_000)?;
        // Twice the last byte is not what it was.
        (read_to_the_end(request) && damaged.fetch_add(1, Ordering::Relaxed) < 2).then(|| {
            let mut bytes = bytes.clone();
            *bytes.last_mut().expect("not empty") ^= 1;
            Reply::Answer(200, Vec::new(), bytes)
        })
    });
    let local = TestStore::new();
    local.image("app", &[noise(90, 700_000), noise(91, 500)]);
    local.push(PushConfig { wait: Some(Duration::from_secs(20)), ..config(&server) }).await.expect("in the end");
    let mut asked: BTreeMap<String, usize> = BTreeMap::new();
    for request in server.seen().iter().filter(|request| read_to_the_end(request)) {
        *asked.entry(request.path().to_owned()).or_default() += 1;
    }
    let mut asked: Vec<usize> = asked.into_values().collect();
    asked.sort_unstable();
    assert_eq!(asked, [1, 1, 3], "what came once is not asked for again");

    let damaging = keeping(move |request, kept| {
        let name = request.path().rsplit('/').next().unwrap_or_default();
        let bytes = kept.blobs.get(name).filter(|_| read_to_the_end(request))?;
        Some(Reply::Answer(200, Vec::new(), vec![0; bytes.len()]))
    });
    let wait = Some(Duration::from_millis(600));
    let error = local.push(PushConfig { wait, ..config(&damaging) }).await.expect_err("never whole");
    let PushError::NotPullable { source: RegistryError::DigestMismatch { .. }, .. } = error else {
        panic!("{error:?}")
    };
}

#[tokio::test]
async fn a_pull_that_does_not_end_in_time_says_how_far_it_came() {
    let server = keeping(|_, _| None);
    let local = TestStore::new();
    local.image("app", &[noise(92, 400_000)]);
    let rates = RateLimits { bytes: Some(100_000), requests: None };
    local.push(config(&server)).await.expect("pushed");
    let wait = Some(Duration::from_millis(1500));
    let error = local.push(PushConfig { wait, rates, ..config(&server) }).await.expect_err("too slow");
    let PushError::HalfPulled { read, size, .. } = error else { panic!("{error:?}") };
    assert!(read > 0 && read < size && size > 400_000, "{read} of {size}");
}

#[tokio::test]
async fn a_blob_of_another_repository_is_mounted_from_where_it_was_seen() {
    let server = DockerRegistry::start(&Options::default());
    let local = TestStore::new();
    local.image("app", &[noise(78, 300_000)]);
    let state = tempfile::tempdir().expect("a directory");
    let to = |repository: &str| PushConfig {
        state: Some(state.path().to_owned()),
        ..push_config("app", &[&format!("{}/{repository}:v1", server.host())], None)
    };
    let first = local.push(to("team/app")).await.expect("pushed").remove(0);
    assert!(first.totals().uploaded > 300_000);
    let second = local.push(to("team/other")).await.expect("pushed elsewhere").remove(0);
    assert!(second.totals().uploaded < 1000, "{} bytes were sent", second.totals().uploaded);
}
