//! Sizes that are refused: what is learned from them, what is not, and for how long.

use crate::fixture::noise;
use crate::killed;
use crate::lab::profile;
use crate::lab::record::carries_blobs;
use crate::lab::script::Answer;
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
