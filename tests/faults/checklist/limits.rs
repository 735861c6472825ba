//! How much goes into a request: learned ceilings, each registry's chunks, answers that come early.

use idpbuilder_oci::registry::RegistryError;

use crate::fixture::TestStore;
use crate::lab::invariants;
use crate::lab::profile;
use crate::lab::record::blob_bytes;
use crate::lab::script::{self, Answer, Fault, On, Op};
use crate::lab::serve::Setup;
use crate::pushing::{KIB, MIB, Pushing};

fn too_large() -> Answer {
    Answer::nginx(413, "Request Entity Too Large").with("Connection", "close")
}

#[tokio::test]
async fn a_413_in_html_teaches_a_ceiling_that_holds_for_all_blobs() {
    // As nginx does: refused from the head alone, whatever has been sent meanwhile.
    let pushing = Pushing::of(Setup::of(profile::GITEA_1_24_3), &[12 * MIB, 11 * MIB]);
    pushing.lab.registry().playing.lock().expect("unpoisoned").ceiling(4 * MIB, too_large());
    pushing.succeeds().await;
    let refused = pushing.lab.seen().into_iter().filter(|exchange| exchange.status == Some(413)).count();
    // Two blobs at the same time may each learn for themselves, but neither what the other has learned before.
    assert!((1..=4).contains(&refused), "{refused} refusals: {:?}", pushing.lab.lines());
    assert_eq!(invariants::tidy(&pushing.lab), Vec::<String>::new());
}

#[tokio::test]
async fn a_registry_that_takes_nothing_is_given_up() {
    let pushing = Pushing::of(Setup::of(profile::PLAIN), &[MIB]);
    pushing.lab.registry().playing.lock().expect("unpoisoned").ceiling(0, too_large());
    let error = pushing.fails().await;
    assert!(matches!(error, RegistryError::TooLarge(_)), "{error:?}");
    assert!(pushing.lab.seen().len() <= 40, "{:?}", pushing.lab.lines());
}

#[tokio::test]
async fn an_answer_that_comes_while_the_body_is_sent_is_read() {
    for (status, answer) in [
        (403, Answer::json(403, "DENIED")),
        (413, too_large()),
        (400, Answer::plain(400, "no")),
        (507, Answer::of(507)),
    ] {
        for after in [0, 1, 70_000, 3 << 20] {
            let rules = [Op::Commit, Op::Patch].map(|op| script::always(op, Fault::Early(after, answer.clone())));
            let pushing = Pushing::of(Setup::of(profile::PLAIN).script(rules), &[8 * MIB]);
            let error = pushing.fails().await;
            let found = error.error_response().map(|refused| refused.response.status.as_u16());
            assert_eq!(found, Some(status), "after {after} bytes: {error:?}");
        }
    }
}

#[tokio::test]
async fn an_early_202_is_not_taken_for_a_stored_blob() {
    // distribution 2.8 answers a POST with a digest so, without a look at the body.
    for profile in [profile::DISTRIBUTION_2_8, profile::HARBOR] {
        let pushing = Pushing::of(Setup::of(profile), &[200 * KIB, 100]);
        pushing.succeeds().await;
    }
}

#[tokio::test]
async fn every_registry_gets_chunks_as_it_wants_them() {
    for profile in profile::ALL {
        let pushing = Pushing::of(Setup::of(*profile), &[9 * MIB, 10, 0, 5 * MIB]);
        pushing.succeeds().await;
        let sent = blob_bytes(&pushing.lab.seen());
        assert!(sent <= 2 * pushing.size(), "{}: {sent} bytes", profile.name);
        let again = pushing.push().await.expect("pushed again");
        assert_eq!((again.totals().uploaded, blob_bytes(&pushing.lab.seen())), (0, sent), "{}", profile.name);
    }
}

#[tokio::test]
async fn every_chunk_says_its_range_from_the_first_byte_on() {
    let pushing = Pushing::of(Setup::of(profile::GITEA_1_24_3), &[8 * MIB]).in_chunks_of(2 * MIB);
    pushing.succeeds().await;
    let ranges: Vec<String> =
        pushing.of_op(Op::Patch).iter().filter_map(|patch| patch.header("content-range").map(str::to_owned)).collect();
    assert_eq!(ranges, ["0-2097151", "2097152-4194303", "4194304-6291455", "6291456-8388607"]);
}

#[tokio::test]
async fn a_store_in_which_nothing_has_changed_sends_nothing() {
    let pushing = Pushing::of(Setup::of(profile::GITEA_1_24_3), &[MIB, 2 * MIB]);
    pushing.succeeds().await;
    let other = TestStore::new();
    let one = crate::fixture::noise(1, 1 << 20);
    let changed = other.image("app", &[one, crate::fixture::noise(77, 3000)]);
    let before = blob_bytes(&pushing.lab.seen());
    Box::pin(other.push(pushing.config())).await.expect("pushed");
    let config = changed.manifest().expect("a manifest").config.size;
    assert_eq!(blob_bytes(&pushing.lab.seen()) - before, 3000 + config, "one layer and the configuration");
}

#[tokio::test]
async fn sessions_that_fail_are_cancelled_whatever_the_answer_to_that() {
    for status in [200, 202, 204, 404, 405, 500] {
        let rules = [
            script::always(Op::Commit, Fault::Refuse(Answer::json(400, "NAME_INVALID"))),
            script::Rule {
                on: On::Op(Op::Cancel),
                nth: script::Nth::From(1),
                fault: Fault::Refuse(Answer::of(status)),
            },
        ];
        let pushing = Pushing::of(Setup::of(profile::PLAIN).script(rules), &[5 * MIB]);
        let error = pushing.fails().await;
        let found = error.error_response().map(|refused| refused.response.status.as_u16());
        assert_eq!(found, Some(400), "the first error is the one that is told");
        assert!(!pushing.of_op(Op::Cancel).is_empty(), "cancelled: {:?}", pushing.lab.lines());
    }
}
