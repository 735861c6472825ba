//! A storage that is full: what a push sent is given back, and the registry is named as the one that says so.

use idpbuilder_oci::registry::RegistryError;

use crate::lab::profile::{self, Profile};
use crate::lab::script::{Answer, Fault, Op, always};
use crate::lab::serve::Setup;
use crate::pushing::{MIB, Pushing};

/// Distribution's answer to a PATCH that its disk has no room for; Harbor passes it on.
const DISTRIBUTION: &str = r#"{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":"write /var/lib/registry/docker/registry/v2/x/data: no space left on device"}]}"#;
/// Its answer where it cannot begin a session.
const DRIVER: &str = r#"{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":{"DriverName":"filesystem","Enclosed":{"Op":"write","Path":"/x","Err":28}}}]}"#;

/// A push of three layers at a time whose requests for `op` get that answer.
fn full(profile: Profile, op: Op, answer: Answer) -> Pushing {
    let setup = Setup::of(profile).script([always(op, Fault::Refuse(answer))]);
    Pushing::of(setup, &[6 * MIB, 6 * MIB + 1, 6 * MIB + 2]).in_chunks_of(2 * MIB)
}

#[tokio::test]
async fn no_session_is_left_on_a_full_storage() {
    for (profile, op, answer) in [
        (profile::GITEA_1_24_3, Op::Commit, Answer::gitea(500, "Internal Server Error")),
        (profile::GITEA_1_24_3, Op::Commit, Answer::of(500)),
        (profile::DISTRIBUTION_3, Op::Patch, Answer::body(500, DISTRIBUTION)),
        (profile::HARBOR, Op::Patch, Answer::body(500, DISTRIBUTION)),
        (profile::PLAIN, Op::Patch, Answer::of(507)),
    ] {
        let name = format!("{} {op:?} {answer:?}", profile.name);
        let pushing = full(profile, op, answer);
        pushing.fails().await;
        let left: Vec<String> = pushing.lab.state().sessions.keys().cloned().collect();
        assert_eq!(left, Vec::<String>::new(), "{name}:\n{}", pushing.lab.lines().join("\n"));
    }
}

#[tokio::test]
async fn a_storage_that_says_it_is_full_is_not_asked_again() {
    for (op, json) in [(Op::Patch, DISTRIBUTION), (Op::Open, DRIVER)] {
        let pushing = full(profile::DISTRIBUTION_3, op, Answer::body(500, json));
        let error = pushing.fails().await;
        let RegistryError::Unavailable(refused) = &error else { panic!("{error:?}") };
        assert!(refused.response.storage_full && !refused.response.by_proxy, "{refused:?}");
        assert!(error.to_string().ends_with("(its storage is full))"), "{error}");
        // A POST that asks for a mount is asked again without one.
        let most = if op == Op::Open { 2 * 4 } else { 3 };
        assert!(pushing.of_op(op).len() <= most, "{}", pushing.lab.lines().join("\n"));
    }
}

#[tokio::test]
async fn giteas_page_is_giteas() {
    let pushing = full(profile::GITEA_1_24_3, Op::Commit, Answer::gitea(500, "Internal Server Error"));
    let error = pushing.fails().await;
    assert!(error.error_response().is_some_and(|refused| refused.response.by_gitea), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("Gitea") && !text.contains("proxy"), "{text}");
}
