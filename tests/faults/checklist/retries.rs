//! What is tried again, when, and what is not.

use std::time::Duration;

use idpbuilder_oci::registry::RegistryError;

use crate::lab::profile;
use crate::lab::record::blob_bytes;
use crate::lab::script::{self, Answer, Break, Fault, Op, Rule};
use crate::lab::serve::Setup;
use crate::pushing::{MIB, Pushing};

fn pushing(script: impl IntoIterator<Item = Rule>) -> Pushing {
    Pushing::of(Setup::of(profile::PLAIN).script(script), &[6 * MIB]).in_chunks_of(2 * MIB)
}

const EVERY: [Op; 8] =
    [Op::HeadBlob, Op::Open, Op::Patch, Op::Commit, Op::PutManifest, Op::HeadManifest, Op::Ping, Op::Token];

/// The same with somebody to ask for, so that there is a ping and a token service.
fn with_login(script: impl IntoIterator<Item = Rule>) -> Pushing {
    let setup = Setup::of(profile::PLAIN).login(crate::pushing::the_login()).script(script);
    Pushing::of(setup, &[6 * MIB]).in_chunks_of(2 * MIB)
}

#[tokio::test]
async fn a_cut_connection_is_tried_again_whatever_was_asked() {
    for op in EVERY {
        for how in [Break::Reset, Break::Close] {
            let pushing = with_login([script::first(op, Fault::Cut(0, how))]);
            pushing.succeeds().await;
        }
    }
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_whatever_was_asked() {
    for op in EVERY {
        let pushing = with_login([script::first(op, Fault::Lost(Break::Reset))]);
        pushing.succeeds().await;
    }
}

#[tokio::test]
async fn passing_refusals_are_tried_again_whatever_their_body() {
    for status in [408, 429, 500, 502, 503, 504] {
        for answer in [
            Answer::of(status),
            Answer::json(status, "UNKNOWN"),
            Answer::plain(status, "not now"),
            Answer::nginx(status, "Not Now"),
        ] {
            let pushing = pushing([
                script::first(Op::HeadBlob, Fault::Refuse(answer.clone())),
                script::first(Op::Open, Fault::Refuse(answer.clone())),
                script::nth(Op::Patch, 2, Fault::Refuse(answer.clone())),
                script::first(Op::Commit, Fault::Refuse(answer.clone())),
                script::first(Op::PutManifest, Fault::Refuse(answer.clone())),
                script::first(Op::HeadManifest, Fault::Refuse(answer.clone())),
            ]);
            pushing.succeeds().await;
        }
    }
}

#[tokio::test]
async fn a_connection_that_ends_after_every_answer_costs_nothing() {
    let pushing = pushing(EVERY.map(|op| script::always(op, Fault::LastOnConnection)).into_iter().take(6));
    pushing.succeeds().await;
    assert_eq!(blob_bytes(&pushing.lab.seen()), pushing.size());
}

#[tokio::test]
async fn final_refusals_are_not_tried_again() {
    for status in [400, 403, 404, 405, 409, 412, 415, 501] {
        let pushing = pushing([script::always(Op::Open, Fault::Refuse(Answer::json(status, "DENIED")))]);
        pushing.fails().await;
        let opened = pushing.of_op(Op::Open).len();
        // Each blob is asked for in two ways at most.
        assert!(opened <= 4, "{status}: asked {opened} times for two blobs");
    }
}

#[tokio::test]
async fn retry_after_is_honoured_in_seconds_and_as_a_date() {
    // A date has whole seconds, so that up to one of them is lost.
    let date = |seconds| {
        let at = jiff::Timestamp::now() + Duration::from_secs(seconds);
        jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).expect("a date")
    };
    for (value, least) in [("2".to_owned(), 2000), (date(3), 1500)] {
        for status in [429, 503] {
            let refusal = Answer::of(status).with("Retry-After", value.clone());
            let pushing = pushing([script::first(Op::PutManifest, Fault::Refuse(refusal))]);
            pushing.succeeds().await;
            let puts = pushing.of_op(Op::PutManifest);
            let waited = puts[1].at - puts[0].at;
            if value == "2" {
                assert!(waited >= Duration::from_millis(least), "{status}, `{value}`: {waited:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_registry_that_stays_away_is_given_up() {
    let pushing = pushing([script::always(Op::Patch, Fault::Refuse(Answer::of(503)))]);
    let error = pushing.fails().await;
    assert!(matches!(error, RegistryError::Unavailable(_)), "{error:?}");
    assert!(pushing.of_op(Op::Patch).len() <= 20, "{:?}", pushing.lab.lines());
}

#[tokio::test]
async fn progress_renews_the_patience() {
    // Every second chunk is refused: more refusals than a push without progress would bear.
    let refusals = (1..=16).map(|nth| script::nth(Op::Patch, nth * 2, Fault::Refuse(Answer::of(503))));
    let setup = Setup::of(profile::PLAIN).script(refusals);
    let pushing = Pushing::of(setup, &[32 * MIB]).in_chunks_of(MIB);
    pushing.succeeds().await;
}

#[tokio::test]
async fn a_stalled_transfer_is_cut_and_a_slow_commit_is_not() {
    let pushing = pushing([
        script::at_byte(3 * MIB, Break::Stall),
        // Longer than the limit on stalls.
        script::first(Op::Commit, Fault::Pause(2500)),
    ]);
    let mut config = pushing.config();
    config.timeouts.stall = Duration::from_millis(1500);
    pushing.push_with(config).await.expect("pushed");
    crate::lab::invariants::check(&pushing.lab, "team/app", "v1", &pushing.image);
    pushing.met();
    assert_eq!(pushing.of_op(Op::Commit).len(), 1, "it was not repeated");
}

#[tokio::test]
async fn a_slow_transfer_is_not_a_stalled_one() {
    let setup = Setup::of(profile::PLAIN).script([script::always(Op::Commit, Fault::Slow(8 * MIB))]);
    let pushing = Pushing::of(setup, &[16 * MIB]);
    let mut config = pushing.config();
    config.timeouts.stall = Duration::from_millis(1500);
    pushing.push_with(config).await.expect("pushed");
    assert_eq!(blob_bytes(&pushing.lab.seen()), pushing.size());
}
