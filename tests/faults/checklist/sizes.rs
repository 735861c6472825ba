//! Sizes that are refused: what is learned from them, what is not, and for how long.

use idpbuilder_oci::image::Digest;

use crate::fixture::noise;
use crate::killed;
use crate::lab::profile;
use crate::lab::record::{Exchange, blob_bytes, carries_blobs};
use crate::lab::script::{self, Answer, Fault, On, Op, Rule};
use crate::lab::serve::{Lab, Setup};
use crate::pushing::{KIB, MIB, Pushing};

fn too_large() -> Answer {
    Answer::nginx(413, "Request Entity Too Large").with("Connection", "close")
}

fn ceiling(pushing: &Pushing, bytes: u64) {
    pushing.lab.registry().playing.lock().expect("unpoisoned").ceiling(bytes, too_large());
}

/// Requests with bytes of blobs so far.
fn bodies(pushing: &Pushing) -> usize {
    let carries = |op, bytes| carries_blobs(op) && bytes > 0;
    pushing.lab.seen().iter().filter(|exchange| carries(exchange.op, exchange.announced())).count()
}

#[tokio::test]
async fn a_registry_that_takes_nothing_for_a_while_teaches_nothing() {
    for (layers, bytes) in [(&[8 * MIB][..], 0), (&[100][..], 0), (&[8 * MIB, 100][..], 1000)] {
        let pushing = Pushing::of(Setup::of(profile::PLAIN), layers);
        ceiling(&pushing, bytes);
        pushing.fails().await;
        ceiling(&pushing, u64::MAX);
        let before = bodies(&pushing);
        pushing.push().await.expect("pushed");
        let needed = bodies(&pushing) - before;
        assert!(needed <= layers.len() + 2, "{needed} requests: {:?}", pushing.lab.lines());
    }
}

#[tokio::test]
async fn a_commit_that_is_refused_for_its_size_or_range_teaches_nothing() {
    for status in [413, 416] {
        // Distribution does not take blobs with the POST, so that even the smallest are committed.
        let refused = script::times(Op::Commit, 4, Fault::Refuse(Answer::json(status, "SIZE_INVALID")));
        let pushing = Pushing::of(Setup::of(profile::DISTRIBUTION_3).script([refused]), &[100]);
        while pushing.push().await.is_err() {}
        let larger = pushing.local.image("app", &[noise(9, 8 << 20)]);
        let before = bodies(&pushing);
        pushing.push().await.expect("pushed");
        assert!(bodies(&pushing) - before <= 2, "{status}: {:?}", pushing.lab.lines());
        let named = pushing.lab.state().repository("team/app").tags.get("v1").copied();
        assert_eq!(named, Some(Digest::of(&larger.bytes)));
    }
}

#[test]
fn nobody_is_told_to_send_smaller_pieces_of_next_to_nothing() {
    let (sandbox, _) = killed::filled(100);
    let lab = Lab::start(Setup::of(profile::PLAIN));
    lab.registry().playing.lock().expect("unpoisoned").ceiling(0, too_large());
    let told = sandbox.run(&["idpbuilder-push", "app:v1", &format!("{}/team/app:v1", lab.host()), "--plain-http"]);
    let told = told.failure(5);
    assert!(told.contains("413") && told.contains("hint: small pieces are too large for it as well"), "{told}");
    assert!(!told.contains("--chunk-size"), "{told}");
}

#[tokio::test]
async fn a_ceiling_that_is_lifted_is_found_out() {
    let pushing = Pushing::of(Setup::of(profile::PLAIN), &[2 * MIB]);
    ceiling(&pushing, 150 * KIB);
    pushing.succeeds().await;
    ceiling(&pushing, u64::MAX);
    // Small at first, and 128 KiB would be 192 of them.
    let mut most = 40;
    for seed in [50, 51] {
        let before = bodies(&pushing);
        pushing.local.image("app", &[noise(seed, 24 << 20)]);
        pushing.push().await.expect("pushed");
        let needed = bodies(&pushing) - before;
        assert!(needed <= most, "{needed} requests");
        most = 10;
    }
}

#[tokio::test]
async fn a_size_that_is_refused_in_the_middle_costs_that_request_and_no_more() {
    let refusals = [too_large(), Answer::json(416, "REQUESTED_RANGE_NOT_SATISFIABLE")];
    for (profile, refusal) in [profile::PLAIN, profile::DISTRIBUTION_3, profile::GITEA_1_24_3]
        .into_iter()
        .flat_map(|profile| refusals.clone().map(|refusal| (profile, refusal)))
    {
        let script = [script::nth(Op::Patch, 3, Fault::Refuse(refusal))];
        let pushing = Pushing::of(Setup::of(profile).script(script), &[12 * MIB]).in_chunks_of(2 * MIB);
        let (result, told) = pushing.push_told(pushing.config()).await;
        result.expect("pushed");
        pushing.met();
        // The configuration goes twice where it is not taken with the POST.
        let most = pushing.size() + 2 * MIB + 4 * KIB;
        assert!(blob_bytes(&pushing.lab.seen()) <= most, "{:?}", pushing.lab.lines());
        assert_eq!(pushing.sessions(), 1, "{}", profile.name);
        let largest = pushing.of_op(Op::Patch).iter().skip(3).map(Exchange::announced).max();
        assert_eq!(largest, Some(MIB), "{}", profile.name);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("retry 1 of 16: "), "{told:?}");
        assert_eq!(told[1], format!("rewind to {}", 4 * MIB));
    }
}

#[tokio::test]
async fn a_registry_without_chunks_gets_blobs_whole() {
    for status in [405, 501] {
        let script = [script::always(Op::Patch, Fault::Refuse(Answer::of(status)))];
        let pushing = Pushing::of(Setup::of(profile::PLAIN).script(script), &[4 * MIB]).in_chunks_of(MIB);
        pushing.succeeds().await;
        assert_eq!(pushing.of_op(Op::Patch).len(), 1, "it is learned");
    }
}

#[tokio::test]
async fn a_registry_that_fails_at_mounts_is_asked_for_sessions() {
    let mounts = On::At(Op::Open, "mount=".to_owned());
    let fails = Rule { on: mounts, nth: script::Nth::From(1), fault: Fault::Refuse(Answer::json(500, "UNKNOWN")) };
    let pushing = Pushing::of(Setup::of(profile::PLAIN).script([fails]), &[4 * MIB, 100]);
    pushing.succeeds().await;
    assert!(pushing.of_op(Op::Open).len() <= 6, "{:?}", pushing.lab.lines());
}
