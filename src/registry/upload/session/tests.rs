use proptest::prelude::*;

use super::*;

const REQUESTS: Requests = Requests { whole: 10, chunk: Some(8) };

fn at(n: u32) -> Uri {
    format!("http://h/u/{n}").parse().expect("a URI")
}

fn opened(size: u64) -> UploadSession {
    UploadSession::opened(at(1), size)
}

/// Returns a session of 20 bytes in which the first 8 were acknowledged and the next chunk is on its way.
fn under_way() -> UploadSession {
    let mut session = opened(20);
    session.step(REQUESTS);
    session.accepted(None, Count::Unsaid).expect("acknowledged");
    session.step(REQUESTS);
    session
}

fn inquires(session: &mut UploadSession) -> bool {
    session.step(REQUESTS) == Step::Inquire { location: at(1) }
}

fn sends_from(session: &mut UploadSession) -> Option<u64> {
    match session.step(REQUESTS) {
        Step::Send { start, .. } | Step::Commit { start, .. } => Some(start),
        _ => None,
    }
}

#[test]
fn small_blobs_go_with_the_commit() {
    for size in [0, 1, 10] {
        let mut session = opened(size);
        assert_eq!(session.step(REQUESTS), Step::Commit { location: at(1), start: 0 });
        session.accepted(None, Count::Unsaid).expect("committed");
        assert_eq!(session.step(REQUESTS), Step::Done);
        assert_eq!(session.location(), None);
    }
}

#[test]
fn large_blobs_go_in_chunks_each_to_the_newest_location() {
    let mut session = opened(20);
    assert_eq!(session.step(REQUESTS), Step::Send { location: at(1), start: 0, end: 8 });
    session.accepted(Some(at(2)), Count::Bytes(8)).expect("acknowledged");
    assert_eq!(session.step(REQUESTS), Step::Send { location: at(2), start: 8, end: 16 });
    session.accepted(None, Count::Unsaid).expect("acknowledged");
    assert_eq!(session.step(REQUESTS), Step::Send { location: at(2), start: 16, end: 20 });
    session.accepted(Some(at(4)), Count::Bytes(21)).expect("one too many is a habit");
    assert_eq!(session.step(REQUESTS), Step::Commit { location: at(4), start: 20 });
    session.accepted(None, Count::Unsaid).expect("committed");
    assert_eq!(session.state(), &State::Committed);
}

#[test]
fn where_there_are_no_chunks_everything_goes_with_the_commit() {
    let mut session = opened(20);
    let whole = Requests { whole: u64::MAX, chunk: None };
    assert_eq!(session.step(whole), Step::Commit { location: at(1), start: 0 });
}

#[test]
fn another_count_of_bytes_poisons() {
    for found in [4, 10] {
        let mut session = opened(20);
        session.step(REQUESTS);
        let refused = session.accepted(Some(at(2)), Count::Bytes(found));
        assert_eq!(refused, Err(Violation::Offset { expected: 8, found }));
        assert_eq!(session.state(), &State::Poisoned { location: at(2) });
        assert_eq!(session.step(REQUESTS), Step::StartOver);
    }
}

#[test]
fn without_an_answer_the_registry_is_asked_and_its_count_compared_with_ours() {
    for (count, expected) in [
        // The chunk did not arrive, or the registry does not say.
        (Count::Bytes(8), Some(8)),
        (Count::Unsaid, Some(8)),
        (Count::AtMostOne, Some(8)),
        // Off by one, or less than it acknowledged: our count.
        (Count::Bytes(9), Some(8)),
        (Count::Bytes(3), Some(8)),
        // A part or all of it arrived.
        (Count::Bytes(13), Some(13)),
        (Count::Bytes(20), Some(20)),
        (Count::Bytes(21), Some(20)),
        // More than there is.
        (Count::Bytes(22), None),
    ] {
        let mut session = under_way();
        session.unanswered(None);
        assert!(inquires(&mut session));
        session.answered(None, count);
        assert_eq!(sends_from(&mut session), expected, "{count:?}");
    }
}

#[test]
fn a_fresh_session_is_better_than_one_that_may_be_torn_at_its_first_byte() {
    for count in [Count::Unsaid, Count::AtMostOne, Count::Bytes(1)] {
        let mut session = opened(20);
        session.step(REQUESTS);
        session.unanswered(None);
        session.answered(Some(at(2)), count);
        assert_eq!(session.state(), &State::Unused { location: at(2) }, "{count:?}");
        assert_eq!(session.step(REQUESTS), Step::Renew);
    }
}

#[test]
fn after_a_size_that_was_too_large_the_registry_says_where_to_go_on() {
    for (count, expected) in [(Count::Bytes(8), 8), (Count::Unsaid, 8), (Count::Bytes(12), 12)] {
        let mut session = under_way();
        session.too_large();
        assert!(inquires(&mut session));
        session.answered(None, count);
        assert_eq!(sends_from(&mut session), Some(expected), "{count:?}");
    }
    let mut session = under_way();
    session.too_large();
    session.gone();
    assert_eq!(session.step(REQUESTS), Step::StartOver);
    // At the first byte there is nothing to ask for.
    let mut session = opened(20);
    session.step(REQUESTS);
    session.too_large();
    assert_eq!(session.step(REQUESTS), Step::Renew);
}

#[test]
fn a_chunk_that_begins_where_the_registry_ends_was_refused_for_its_size() {
    for (count, expected) in [(Count::Bytes(8), Some(8)), (Count::Bytes(5), None), (Count::Unsaid, None)] {
        let mut session = under_way();
        session.misaligned();
        assert!(inquires(&mut session));
        assert_eq!(session.answered(None, count), expected, "{count:?}");
    }
    // As often as it takes, once it is known to be the size.
    let mut session = under_way();
    for _ in 0..3 {
        session.misaligned();
        assert_eq!(session.answered(None, Count::Bytes(8)), Some(8));
        session.begins_right();
        assert_eq!(sends_from(&mut session), Some(8));
    }
}

#[test]
fn a_registry_that_fails_twice_at_the_same_byte_is_poisoned() {
    let internal = Some(StatusCode::INTERNAL_SERVER_ERROR);
    let mut session = under_way();
    session.unanswered(internal);
    session.answered(None, Count::Bytes(8));
    assert_eq!(sends_from(&mut session), Some(8));
    session.unanswered(internal);
    assert_eq!(session.step(REQUESTS), Step::StartOver);

    // A proxy's faults say nothing about the session, until the registry fails itself.
    let mut session = under_way();
    for _ in 0..3 {
        session.unanswered(Some(StatusCode::BAD_GATEWAY));
        session.answered(None, Count::Bytes(8));
        assert_eq!(sends_from(&mut session), Some(8));
    }
    session.unanswered(internal);
    assert_eq!(session.step(REQUESTS), Step::StartOver);
}

#[test]
fn commits_without_bytes_are_repeated() {
    let mut session = opened(8);
    let all = Requests { whole: 0, chunk: Some(8) };
    session.step(all);
    session.accepted(None, Count::Bytes(8)).expect("acknowledged");
    for _ in 0..3 {
        assert_eq!(session.step(all), Step::Commit { location: at(1), start: 8 });
        session.unanswered(Some(StatusCode::INTERNAL_SERVER_ERROR));
        assert!(inquires(&mut session));
        session.answered(None, Count::Bytes(8));
    }
}

#[test]
fn a_commit_whose_answer_was_lost_may_have_worked() {
    for (found, state) in [(true, State::Committed), (false, State::Lost)] {
        let mut session = opened(8);
        assert_eq!(sends_from(&mut session), Some(0));
        session.unanswered(None);
        assert!(inquires(&mut session));
        session.gone();
        assert_eq!(session.step(REQUESTS), Step::Look);
        session.looked(found);
        assert_eq!(session.state(), &state);
    }
    // All bytes arrived: none is sent again.
    let mut session = opened(8);
    session.step(REQUESTS);
    session.unanswered(None);
    session.answered(None, Count::Bytes(8));
    assert_eq!(session.step(REQUESTS), Step::Commit { location: at(1), start: 8 });
}

#[test]
fn a_session_that_vanishes_under_a_chunk_is_lost() {
    let mut session = under_way();
    session.gone();
    assert_eq!((session.state(), session.location()), (&State::Lost, None));
    assert_eq!(session.step(REQUESTS), Step::StartOver);
}

#[test]
fn one_byte_less_is_tried_where_the_registry_was_believed() {
    let mut session = under_way();
    session.unanswered(None);
    session.answered(None, Count::Bytes(14));
    assert_eq!(sends_from(&mut session), Some(14));
    session.misaligned();
    assert_eq!(sends_from(&mut session), Some(13));
    session.misaligned();
    assert!(inquires(&mut session));
    session.answered(None, Count::Bytes(13));
    assert_eq!(sends_from(&mut session), Some(13));
    session.misaligned();
    assert_eq!(session.step(REQUESTS), Step::StartOver);
}

#[test]
fn a_registry_that_does_not_take_our_count_is_believed_once() {
    for held in [9, 3] {
        let mut session = under_way();
        session.unanswered(None);
        session.answered(None, Count::Bytes(held));
        assert_eq!(sends_from(&mut session), Some(8));
        session.misaligned();
        session.answered(None, Count::Bytes(held));
        assert_eq!(sends_from(&mut session), Some(held));
        session.misaligned();
        assert_eq!(sends_from(&mut session), Some(held - 1));
    }
}

#[test]
fn remembered_sessions_begin_with_a_question() {
    let mut session = UploadSession::remembered(at(1), 20, 0);
    assert!(inquires(&mut session));
    session.answered(Some(at(2)), Count::Bytes(15));
    assert_eq!(session.step(REQUESTS), Step::Send { location: at(2), start: 15, end: 20 });
}

#[test]
fn a_second_step_without_an_answer_starts_over() {
    let mut session = opened(20);
    session.step(REQUESTS);
    assert_eq!(session.step(REQUESTS), Step::StartOver);
}

proptest! {
    #[test]
    fn every_byte_is_sent_once_and_in_order(size in 0u64..200, whole in 0u64..50, chunk in 0u64..50) {
        let requests = Requests { whole, chunk: Some(chunk) };
        let mut session = opened(size);
        let mut sent = 0;
        loop {
            match session.step(requests) {
                Step::Send { start, end, .. } => {
                    prop_assert!(start == sent && end > start && end <= size);
                    sent = end;
                    session.accepted(None, Count::Bytes(end)).expect("our count");
                }
                Step::Commit { start, .. } => {
                    prop_assert_eq!(start, sent);
                    sent = size;
                    session.accepted(None, Count::Unsaid).expect("committed");
                }
                Step::Done => break,
                other => prop_assert!(false, "{other:?}"),
            }
        }
        prop_assert_eq!(sent, size);
    }

    /// Whatever happens to a session of an honest registry that keeps what arrives, the blob it commits is right,
    /// and only the bytes that did not arrive are sent again.
    #[test]
    fn an_honest_registry_ends_with_the_bytes(size in 1u64..100, faults in proptest::collection::vec((0u8..4, 0u64..12), 0..30)) {
        let mut faults = faults.into_iter();
        let mut session = opened(size);
        let (mut held, mut committed, mut starts) = (0, false, 0);
        loop {
            let (kind, arrives) = faults.next().unwrap_or((9, 0));
            match session.step(REQUESTS) {
                Step::Send { start, .. } | Step::Commit { start, .. } if start != held => {
                    prop_assert!(start + 1 == held);
                    session.misaligned();
                }
                Step::Send { start, end, .. } => {
                    match kind {
                        0 => { held = end.min(start + arrives); session.unanswered(None); }
                        1 => session.unanswered(Some(StatusCode::SERVICE_UNAVAILABLE)),
                        2 => { held = end; session.unanswered(None); }
                        _ => { held = end; session.accepted(None, Count::Bytes(end)).expect("honest"); }
                    }
                }
                Step::Commit { start, .. } => {
                    match kind {
                        0 => { held = size.min(start + arrives); session.unanswered(None); }
                        1 => session.unanswered(Some(StatusCode::GATEWAY_TIMEOUT)),
                        2 => { held = size; committed = true; session.unanswered(None); }
                        _ => { committed = true; session.accepted(None, Count::Unsaid).expect("honest"); }
                    }
                }
                Step::Inquire { .. } if committed => session.gone(),
                Step::Inquire { .. } => {
                    let count = match held {
                        0 => Count::Unsaid,
                        1 => Count::AtMostOne,
                        n => Count::Bytes(n),
                    };
                    prop_assert_eq!(session.answered(None, count), None);
                }
                Step::Look => session.looked(committed),
                Step::Renew => {
                    // A single byte cannot be told from none.
                    prop_assert!(held <= 1, "nothing that arrived is given up");
                    starts += 1;
                    held = 0;
                    session = opened(size);
                    prop_assert!(starts < 40);
                }
                Step::StartOver => prop_assert!(false, "it is honest"),
                Step::Done => break,
            }
        }
        prop_assert!(committed);
    }
}
