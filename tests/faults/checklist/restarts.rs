//! Uploads that begin again from their first byte: once, with the reason, and no more.

use idpbuilder_oci::ops::push::PushConfig;
use idpbuilder_oci::registry::RetryPolicy;

use crate::fixture::{eager, registry_error};
use crate::killed;
use crate::lab::profile;
use crate::lab::record::blob_bytes;
use crate::lab::script::{self, Answer, Fault, Nth, On, Op, Rule};
use crate::lab::serve::{Lab, Setup};
use crate::pushing::{MIB, Pushing};

const ONCE: RetryPolicy = RetryPolicy { attempts: 0, ..RetryPolicy::NEVER };

/// A layer of 8 MiB in chunks of so many bytes.
fn pushing(script: impl IntoIterator<Item = Rule>, chunks: u64) -> Pushing {
    Pushing::of(Setup::of(profile::PLAIN).script(script), &[8 * MIB]).in_chunks_of(chunks)
}

/// Begins again once, tells why, and fails with what comes then.
async fn begins_again_once(pushing: &Pushing, retry: RetryPolicy, status: u16) {
    let (result, told) = pushing.push_told(PushConfig { retry, ..pushing.config() }).await;
    let error = registry_error(result.expect_err("it cannot work"));
    let found = error.error_response().map(|refused| refused.response.status.as_u16());
    assert_eq!(found, Some(status), "{error:?}");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("retry 1 of 1: ") && told[0].contains(&status.to_string()), "{told:?}");
    assert_eq!(told[1], "rewind to 0");
    let sent = blob_bytes(&pushing.lab.seen());
    assert!(sent <= 2 * pushing.size(), "{sent} bytes: {:?}", pushing.lab.lines());
}

#[tokio::test]
async fn a_blob_that_is_refused_when_it_is_whole_is_sent_twice_at_most() {
    for answer in [
        Answer::json(400, "DIGEST_INVALID"),
        Answer::json(404, "BLOB_UPLOAD_UNKNOWN"),
        Answer::json(416, "RANGE_INVALID"),
    ] {
        for retry in [ONCE, eager()] {
            for chunks in [2 * MIB, 64 * MIB] {
                let refused = script::always(Op::Commit, Fault::Refuse(answer.clone()));
                // With the size of the whole, a count of its own is asked for when a commit is refused for its range.
                if chunks < 8 * MIB && answer.status == 416 {
                    continue;
                }
                begins_again_once(&pushing([refused], chunks), retry, answer.status).await;
            }
        }
    }
}

#[tokio::test]
async fn a_registry_that_loses_every_session_is_given_up() {
    for retry in [ONCE, eager()] {
        let loses = Rule { on: On::Op(Op::Patch), nth: Nth::From(2), fault: Fault::ForgetSessions };
        begins_again_once(&pushing([loses], 2 * MIB), retry, 404).await;
    }
}

#[tokio::test]
async fn one_lost_session_is_survived_without_any_retry() {
    let pushing = pushing([script::nth(Op::Patch, 3, Fault::ForgetSessions)], 2 * MIB);
    let config = PushConfig { retry: ONCE, ..pushing.config() };
    pushing.push_with(config).await.expect("pushed");
    pushing.met();
    assert_eq!(pushing.sessions(), 2);
}

#[tokio::test]
async fn getting_further_than_before_permits_another_beginning() {
    // The second chunk, and then the fourth of the second session.
    let lost = [2, 6].map(|nth| script::nth(Op::Patch, nth, Fault::ForgetSessions));
    let pushing = pushing(lost, MIB);
    pushing.succeeds().await;
    assert_eq!(pushing.sessions(), 3);
}

#[tokio::test]
async fn what_is_given_up_in_all_is_bounded() {
    // Each session gets one chunk further than the one before.
    let mut nth = 1;
    let lost = (2..20).map(|chunks| {
        nth += chunks;
        script::nth(Op::Patch, nth, Fault::ForgetSessions)
    });
    let pushing = pushing(lost.collect::<Vec<_>>(), MIB / 2);
    pushing.fails().await;
    let sent = blob_bytes(&pushing.lab.seen());
    assert!(sent <= 4 * pushing.size(), "{sent} bytes: {:?}", pushing.lab.lines());
}

#[tokio::test]
async fn a_session_of_an_earlier_run_that_is_gone_is_told() {
    let busy = (5..=10).map(|nth| script::nth(Op::Patch, nth, Fault::Refuse(Answer::of(503))));
    let pushing = pushing(busy, MIB);
    pushing.fails().await;
    pushing.lab.registry().state.lock().expect("unpoisoned").sessions.clear();
    let (result, told) = pushing.push_told(PushConfig { retry: ONCE, ..pushing.config() }).await;
    result.expect("pushed");
    pushing.met();
    assert!(told.len() == 1 && told[0].starts_with("expired: sha256:"), "{told:?}");
}

#[test]
fn a_session_that_is_gone_is_told_to_programs() {
    let (sandbox, _) = killed::filled(8 * MIB);
    let lab = Lab::start(Setup::of(profile::PLAIN).script([script::nth(Op::Patch, 5, Fault::Refuse(Answer::of(503)))]));
    let name = format!("{}/team/app:v1", lab.host());
    let words = ["idpbuilder-push", "app:v1", &name, "--plain-http", "--chunk-size", "1m", "--retry", "0"];
    let _ = sandbox.run(&words).failure(5);
    lab.registry().state.lock().expect("unpoisoned").sessions.clear();
    let output = sandbox.run(&[&words[..], &["--progress", "json"]].concat());
    let stderr = output.stderr.clone();
    let _ = output.success();
    let events: Vec<serde_json::Value> = stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of = |name: &str| events.iter().filter(|event| event["event"] == name).collect::<Vec<_>>();
    let (expired, rewinds) = (of("expired"), of("rewind"));
    assert_eq!((expired.len(), rewinds.len()), (1, 0), "{stderr}");
    assert_eq!(expired[0]["bytes"], 0, "{stderr}");
}

#[tokio::test]
async fn what_is_sent_again_for_a_token_is_told_and_another_way_is_not() {
    let expired = Setup::of(profile::PLAIN).login(crate::pushing::the_login());
    let expired = expired.script([script::nth(Op::Patch, 3, Fault::Expire)]);
    let pushing = Pushing::of(expired, &[8 * MIB]).in_chunks_of(2 * MIB);
    let (result, told) = pushing.push_told(pushing.config()).await;
    result.expect("pushed");
    pushing.met();
    let retries: Vec<&String> = told.iter().filter(|line| line.starts_with("retry ")).collect();
    assert!(retries.len() == 1 && retries[0].contains("401"), "{told:?}");

    let another = Answer::of(307).with("Location", "?another=way");
    let pushing = self::pushing([script::nth(Op::Patch, 2, Fault::Refuse(another))], 2 * MIB);
    let (result, told) = pushing.push_told(pushing.config()).await;
    result.expect("pushed");
    pushing.met();
    assert_eq!(told, Vec::<String>::new());
}
