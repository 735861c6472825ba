//! Commits: what is done when the answer is lost, wrong or late, and what is looked at afterwards.

use std::time::Duration;

use idpbuilder_oci::image::Digest;
use idpbuilder_oci::registry::{Limits, RegistryError};

use crate::fixture::noise;
use crate::lab::invariants;
use crate::lab::profile::{self, Profile};
use crate::lab::script::{self, Answer, Break, Fault, Lie, Op};
use crate::lab::serve::Setup;
use crate::pushing::{KIB, MIB, Pushing};

fn chunked(profile: Profile, script: impl IntoIterator<Item = script::Rule>) -> Pushing {
    Pushing::of(Setup::of(profile).script(script), &[6 * MIB]).in_chunks_of(2 * MIB)
}

/// Bytes of the layer that were sent.
fn layer_bytes(pushing: &Pushing) -> u64 {
    let large = pushing.lab.seen().into_iter().filter(|exchange| exchange.announced() > 128 * KIB);
    large.map(|exchange| exchange.received).sum()
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_found_by_asking() {
    let gateway = || Answer::nginx(504, "Gateway Time-out");
    for profile in [profile::GITEA_1_24_3, profile::DISTRIBUTION_2_8, profile::DISTRIBUTION_3, profile::HARBOR] {
        for lost in [Fault::Lost(Break::Reset), Fault::Lost(Break::Close), Fault::Done(gateway())] {
            let pushing = chunked(profile, [script::first(Op::Commit, lost)]);
            pushing.succeeds().await;
            assert_eq!(layer_bytes(&pushing), 6 * MIB, "{}: nothing is sent twice", profile.name);
        }
    }
}

#[tokio::test]
async fn a_commit_that_did_not_happen_is_repeated_without_the_bytes() {
    for profile in [profile::GITEA_1_24_3, profile::PLAIN] {
        let refused = Fault::Refuse(Answer::nginx(504, "Gateway Time-out"));
        let pushing = chunked(profile, [script::first(Op::Commit, refused)]);
        pushing.succeeds().await;
        assert_eq!(layer_bytes(&pushing), 6 * MIB, "{}: nothing is sent twice", profile.name);
        assert!(pushing.of_op(Op::Commit).len() >= 2, "{}", profile.name);
    }
}

#[tokio::test]
async fn a_blob_that_is_not_there_after_its_commit_is_sent_again() {
    // The blob that comes first is said to be stored and is not.
    let pushing = chunked(profile::PLAIN, [script::first(Op::Commit, Fault::Phantom)]);
    pushing.succeeds().await;
}

#[tokio::test]
async fn another_digest_in_the_answer_to_a_commit_is_never_a_success() {
    let other = Digest::of(b"other").to_string();
    let lie = Fault::Lie(Lie::Header("Docker-Content-Digest", other));
    let pushing = chunked(profile::PLAIN, [script::always(Op::Commit, lie)]);
    let error = pushing.fails().await;
    assert!(matches!(error, RegistryError::DigestMismatch { .. }), "{error:?}");
}

#[tokio::test]
async fn a_damaged_blob_is_never_committed() {
    for limits in [2 * MIB, 512 * MIB] {
        let pushing = Pushing::of(Setup::of(profile::GITEA_1_24_3), &[6 * MIB]).in_chunks_of(limits);
        let layer = Digest::of(&noise(1, 6 << 20));
        let mut damaged = noise(1, 6 << 20);
        damaged[200_000] ^= 1;
        std::fs::write(pushing.local.store.blob_path(layer), &damaged).expect("damaged");
        pushing.push().await.expect_err("damaged");
        let state = pushing.lab.state();
        assert!([layer, Digest::of(&damaged)].iter().all(|digest| !state.blobs.contains_key(digest)));
    }
}

#[tokio::test]
async fn a_blob_the_registry_lost_meanwhile_is_sent_before_the_manifest_again() {
    let pushing = chunked(profile::GITEA_1_24_3, [script::first(Op::PutManifest, Fault::ForgetBlobs)]);
    pushing.succeeds().await;
}

#[tokio::test]
async fn manifests_of_an_image_are_sent_one_at_a_time() {
    let slow = [script::always(Op::PutManifest, Fault::Pause(30))];
    let pushing = Pushing::of(Setup::of(profile::GITEA_1_24_3).script(slow), &[KIB]);
    pushing.succeeds().await;
    assert_eq!(pushing.lab.registry().crowd.peak(Op::PutManifest), 1);
}

#[tokio::test]
async fn commits_become_serial_where_the_registry_cannot_do_better() {
    // Two at the same time are one too many, as with a database that is locked.
    let crowded = [script::always(Op::Commit, Fault::Crowded(50, Answer::of(500)))];
    let sizes: Vec<u64> = (0..8).map(|number| 5 * MIB + number * KIB).collect();
    let pushing = Pushing::of(Setup::of(profile::GITEA_1_24_3).script(crowded), &sizes);
    let mut config = pushing.config();
    config.limits = Limits { monolithic: MIB, chunk: 8 * MIB };
    config.retry.delay = Duration::from_millis(200);
    pushing.push_with(config).await.expect("pushed");
    invariants::check(&pushing.lab, "team/app", "v1", &pushing.image);
}
