//! What is tried again, when, and what is not.

use std::time::Duration;

use idpbuilder_oci::registry::RegistryError;

use crate::lab::profile;
use crate::lab::record::blob_bytes;
use crate::lab::script::{self, Answer, Fault, Op, Rule};
use crate::lab::serve::Setup;
use crate::pushing::{KIB, MIB, Pushing};

fn pushing(script: impl IntoIterator<Item = Rule>) -> Pushing {
    Pushing::of(Setup::of(profile::PLAIN).script(script), &[128 * KIB]).in_chunks_of(64 * KIB)
}

const EVERY: [Op; 8] =
    [Op::HeadBlob, Op::Open, Op::Patch, Op::Commit, Op::PutManifest, Op::HeadManifest, Op::Ping, Op::Token];

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
        assert!(opened <= 2, "{status}: asked {opened} times for two blobs");
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
async fn a_slow_transfer_is_not_a_stalled_one() {
    let setup = Setup::of(profile::PLAIN).script([script::always(Op::Commit, Fault::Slow(8 * MIB))]);
    let pushing = Pushing::of(setup, &[16 * MIB]);
    let mut config = pushing.config();
    config.timeouts.stall = Duration::from_millis(1500);
    pushing.local.push(config).await.expect("pushed");
    assert_eq!(blob_bytes(&pushing.lab.seen()), pushing.size());
}
