//! What happens at the same time and what does not, and what is looked at in the end.

use std::time::Duration;

use idpbuilder_oci::image::Digest;
use idpbuilder_oci::ops::push::{FailedDestination, PartialPush, PushError, push};
use idpbuilder_oci::progress::{Interrupt, Silent};
use idpbuilder_oci::registry::RegistryError;

use crate::fixture::{TestStore, push_config};
use crate::lab::invariants;
use crate::lab::profile;
use crate::lab::script::{self, Answer, Fault, Lie, Nth, On, Op, Rule};
use crate::lab::serve::{Lab, Setup};
use crate::pushing::{KIB, Pushing};

#[tokio::test]
async fn blobs_at_the_same_time_are_as_many_as_asked_for() {
    for jobs in [1, 3] {
        let slow = [Op::Open, Op::Patch, Op::Commit].map(|op| script::always(op, Fault::Slow(2 << 20)));
        let pushing = Pushing::of(Setup::of(profile::PLAIN).script(slow), &[256 * KIB; 8]);
        let config = idpbuilder_oci::ops::push::PushConfig { jobs, ..pushing.config() };
        pushing.push_with(config).await.expect("pushed");
        let peak = pushing.lab.registry().crowd.peak_of_bodies();
        assert_eq!(peak as usize, jobs, "{peak} at the same time, {jobs} allowed");
    }
}

#[tokio::test]
async fn children_come_before_the_index_and_digests_before_the_tag() {
    let local = TestStore::new();
    let index = local.index("multi", &["amd64", "arm64"]);
    for profile in profile::ALL {
        let lab = Lab::start(Setup::of(*profile));
        lab.state().repository("team/app");
        let name = format!("{}/team/app:v1", lab.host());
        let pushed = Box::pin(local.push(push_config("multi", &[&name], None))).await;
        pushed.unwrap_or_else(|error| panic!("{}: {error:?}", profile.name));
        let puts: Vec<String> = lab
            .seen()
            .iter()
            .filter(|exchange| exchange.op == Op::PutManifest)
            .map(|exchange| exchange.target.rsplit('/').next().unwrap_or_default().to_owned())
            .collect();
        let children: Vec<String> = index.references().iter().map(|child| child.digest.to_string()).collect();
        let last = puts.len() - 1;
        assert_eq!((puts[last].as_str(), &puts[last - 1]), ("v1", &index.digest().to_string()), "{}", profile.name);
        for child in children {
            let place = puts.iter().position(|put| *put == child);
            assert!(place.is_some_and(|place| place < last - 1), "{}: {puts:?}", profile.name);
        }
    }
}

#[tokio::test]
async fn a_digest_stays_when_its_tag_moves_on() {
    // Gitea forgets what only the tag stood for.
    let pushing = Pushing::of(Setup::of(profile::GITEA_1_24_3), &[1000]);
    pushing.succeeds().await;
    let other = TestStore::new();
    other.image("app", &[vec![7; 10]]);
    Box::pin(other.push(pushing.config())).await.expect("pushed");
    let by_digest: Vec<bool> = pushing
        .of_op(Op::PutManifest)
        .iter()
        .map(|put| put.target.rsplit('/').next().unwrap_or_default().parse::<Digest>().is_ok())
        .collect();
    assert_eq!(by_digest, [true, false, true, false]);
}

#[tokio::test]
async fn what_the_tag_stands_for_is_asked_at_the_end() {
    let other = Digest::of(b"other").to_string();
    let stranger = [script::always(Op::HeadManifest, Fault::Lie(Lie::Header("Docker-Content-Digest", other)))];
    let absent = [Op::HeadManifest, Op::GetManifest].map(|op| script::always(op, Fault::Lie(Lie::Status(404))));
    for script in [stranger.to_vec(), absent.to_vec()] {
        let pushing = Pushing::of(Setup::of(profile::PLAIN).script(script), &[1000]);
        let error = pushing.push().await.expect_err("not verified");
        assert!(matches!(error, PushError::NotVerified { .. }), "{error:?}");
    }
    // Where HEAD knows nothing of what was just stored, GET is asked.
    let script = [script::always(Op::HeadManifest, Fault::Lie(Lie::Status(404)))];
    let pushing = Pushing::of(Setup::of(profile::PLAIN).script(script), &[1000]);
    pushing.succeeds().await;
    // Where the answer does not say, the document itself is asked for.
    let pushing = Pushing::of(Setup::of(profile::ARTIFACTORY), &[1000]);
    pushing.succeeds().await;
    let last = pushing.lab.seen().pop().map(|exchange| (exchange.op, exchange.status));
    assert_eq!(last, Some((Op::GetManifest, Some(200))));
}

#[tokio::test]
async fn another_digest_in_the_answer_to_a_manifest_is_an_error() {
    let other = Digest::of(b"other").to_string();
    let script = [script::always(Op::PutManifest, Fault::Lie(Lie::Header("Docker-Content-Digest", other)))];
    let pushing = Pushing::of(Setup::of(profile::GITEA_1_24_3).script(script), &[1000]);
    pushing.fails().await;
}

#[tokio::test]
async fn reading_back_finds_bytes_that_changed_in_the_registry() {
    let pushing = Pushing::of(Setup::of(profile::PLAIN), &[300 * KIB]);
    let read_back = || idpbuilder_oci::ops::push::PushConfig { verify: true, ..pushing.config() };
    pushing.push_with(read_back()).await.expect("pushed, and read back");
    invariants::check(&pushing.lab, "team/app", "v1", &pushing.image);
    let layer = pushing.image.manifest().expect("a manifest").layers[0].digest;
    let damage = |blob: &mut crate::lab::state::Blob| blob.bytes.as_mut().expect("kept")[70_000] ^= 1;
    pushing.lab.state().blobs.get_mut(&layer).map(damage).expect("there");
    pushing.push_with(pushing.config()).await.expect("nobody looks");
    let error = crate::fixture::registry_error(pushing.push_with(read_back()).await.expect_err("it is seen"));
    assert!(matches!(error, RegistryError::DigestMismatch { .. }), "{error:?}");
}

#[tokio::test]
async fn waiting_ends_when_anybody_can_pull() {
    // As with a cache that learns of a push a moment later.
    let hidden = Fault::Refuse(Answer::json(404, "MANIFEST_UNKNOWN"));
    let script = [script::times(Op::GetManifest, 3, hidden)];
    let pushing = Pushing::of(Setup::of(profile::PLAIN).script(script), &[KIB]);
    let config = idpbuilder_oci::ops::push::PushConfig { wait: Some(Duration::from_secs(20)), ..pushing.config() };
    pushing.push_with(config).await.expect("it came");
    pushing.met();

    let hidden = Fault::Refuse(Answer::json(404, "MANIFEST_UNKNOWN"));
    let pushing = Pushing::of(Setup::of(profile::PLAIN).script([script::always(Op::GetManifest, hidden)]), &[KIB]);
    let config = idpbuilder_oci::ops::push::PushConfig { wait: Some(Duration::from_millis(500)), ..pushing.config() };
    let error = pushing.push_with(config).await.expect_err("it never comes");
    assert!(matches!(error, PushError::NotPullable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_destination_that_fails_does_not_keep_the_others_from_being_tried() {
    let denied = || Fault::Refuse(Answer::json(403, "DENIED"));
    let at = |op, text: &str| Rule { on: On::At(op, text.to_owned()), nth: Nth::From(1), fault: denied() };
    let script = [at(Op::Open, "team/closed/"), at(Op::PutManifest, "team/last/manifests/protected")];
    let pushing = Pushing::of(Setup::of(profile::PLAIN).script(script), &[300 * KIB, KIB, 2 * KIB]);
    let name = |name: &str| format!("{}/team/{name}", pushing.lab.host());
    for repository in ["team/closed", "team/last"] {
        pushing.lab.state().repository(repository);
    }
    let names = ["app:v1", "closed:v1", "closed:v2", "last:v1", "last:protected", "last:v3"].map(name);
    let config = pushing.config_to(&names.each_ref().map(String::as_str));
    let (silent, never) = (std::sync::Arc::new(Silent), Interrupt::default());
    let pushed = Box::pin(push(config, &pushing.local.store, silent, &never)).await;
    let PartialPush { done, failed } = pushed.expect_err("two are refused");
    let done: Vec<String> = done.iter().map(|outcome| outcome.reference.to_string()).collect();
    assert_eq!(done, ["app:v1", "last:v1", "last:v3"].map(name));
    let failed: Vec<(Vec<String>, bool)> = failed
        .into_iter()
        .map(|undone| {
            let is_denied = matches!(undone.error, PushError::Registry { source: RegistryError::Denied(_), .. });
            (undone.references.iter().map(ToString::to_string).collect(), is_denied)
        })
        .collect();
    let closed = vec![name("closed:v1"), name("closed:v2")];
    assert_eq!(failed, [(closed, true), (vec![name("last:protected")], true)]);
    let tags: Vec<String> = pushing.lab.state().repository("team/last").tags.keys().cloned().collect();
    assert_eq!(tags, ["v1", "v3"]);
    let blobs = pushing.image.references();
    assert!(blobs.iter().all(|blob| pushing.lab.state().has("team/last", blob.digest)));
    assert_eq!(pushing.lab.state().repository("team/closed").tags.len(), 0);
}

#[tokio::test]
async fn an_interrupt_ends_it_for_all_destinations() {
    let pushing = Pushing::of(Setup::of(profile::PLAIN), &[KIB]);
    let names = ["app:v1", "other:v1", "other:v2"].map(|name| format!("{}/team/{name}", pushing.lab.host()));
    let config = pushing.config_to(&names.each_ref().map(String::as_str));
    let interrupt = Interrupt::default();
    interrupt.request();
    let pushed = Box::pin(push(config, &pushing.local.store, std::sync::Arc::new(Silent), &interrupt)).await;
    let PartialPush { done, failed } = pushed.expect_err("interrupted");
    assert!(
        done.is_empty() && matches!(failed[..], [FailedDestination { error: PushError::Interrupted, .. }]),
        "{failed:?}"
    );
    let told: Vec<String> = failed[0].references.iter().map(ToString::to_string).collect();
    assert_eq!(told, names, "what was not tried is named");
}
