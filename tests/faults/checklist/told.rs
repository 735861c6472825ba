//! What a refusal says: status, code, text, and who on the way said it, whatever the form.

use crate::lab::profile;
use crate::lab::script::{self, Answer, Fault, Op};
use crate::lab::serve::Setup;
use crate::pushing::{MIB, Pushing};

/// What is told of a refused commit.
async fn told(answer: Answer) -> (String, bool) {
    let script = [script::always(Op::Commit, Fault::Refuse(answer))];
    let pushing = Pushing::of(Setup::of(profile::PLAIN).script(script), &[MIB]);
    let error = pushing.fails().await;
    let by_proxy = error.error_response().expect("a refusal").response.by_proxy;
    (error.to_string(), by_proxy)
}

#[tokio::test]
async fn a_refusal_in_the_envelope_is_told_with_its_code() {
    let (text, by_proxy) = told(Answer::json(403, "DENIED")).await;
    assert!(text.contains("403") && text.contains("DENIED") && text.contains("PUT"), "{text}");
    assert!(!by_proxy);
}

#[tokio::test]
async fn a_refusal_in_plain_text_is_told_with_its_text() {
    let (text, by_proxy) = told(Answer::plain(400, "authGroup.Verify")).await;
    assert!(text.contains("400") && text.contains("authGroup.Verify"), "{text}");
    assert!(!by_proxy);
}

#[tokio::test]
async fn a_refusal_in_html_is_told_as_the_proxys() {
    let (text, by_proxy) = told(Answer::nginx(403, "Forbidden")).await;
    assert!(text.contains("403") && text.contains("Forbidden") && !text.contains('<'), "{text}");
    assert!(by_proxy, "{text}");
}

#[tokio::test]
async fn a_refusal_without_a_body_is_told_as_unexplained() {
    let (text, _) = told(Answer::of(405)).await;
    assert!(text.contains("405") && text.contains("without explanation"), "{text}");
}

#[tokio::test]
async fn a_refusal_never_tells_the_state_of_a_session() {
    let (text, _) = told(Answer::plain(400, "no")).await;
    assert!(!text.contains('?') && !text.contains("_state"), "{text}");
}
