//! Sessions that break off: what is sent again, and what is not.

use crate::lab::invariants;
use crate::lab::profile::{self, Later, Patch, Profile};
use crate::lab::record::blob_bytes;
use crate::lab::script::{self, Break, Fault, Lie, Op};
use crate::lab::serve::Setup;
use crate::pushing::{KIB, MIB, Pushing};

/// Eight chunks, of which the sixth breaks off in the middle. More than anybody sends with one POST.
fn broken(profile: Profile, how: Break) -> Pushing {
    let setup = Setup::of(profile).script([script::at_byte(5 * MIB + 500 * KIB, how)]);
    Pushing::of(setup, &[8 * MIB]).in_chunks_of(MIB)
}

#[tokio::test]
async fn a_broken_upload_goes_on_at_the_acknowledged_offset() {
    for how in [Break::Reset, Break::Close] {
        for profile in [profile::PLAIN, profile::DISTRIBUTION_3, profile::QUAY] {
            let pushing = broken(profile, how);
            pushing.succeeds().await;
            let sent = blob_bytes(&pushing.lab.seen());
            assert!(sent <= pushing.size() + MIB, "{}: {sent} bytes", profile.name);
            assert_eq!(pushing.sessions(), 1, "{}", profile.name);
        }
    }
}

#[tokio::test]
async fn a_poisoned_session_is_cancelled_and_sent_once_more_from_the_start() {
    for profile in [profile::GITEA_1_24_3, profile::GITEA_1_22] {
        let pushing = broken(profile, Break::Reset);
        pushing.succeeds().await;
        let sent = blob_bytes(&pushing.lab.seen());
        // Six chunks until the break, one that is refused, then all eight.
        assert!(sent <= pushing.size() + 7 * MIB, "{}: {sent} bytes", profile.name);
        assert_eq!(pushing.sessions(), 2, "{}", profile.name);
        assert_eq!(invariants::tidy(&pushing.lab), Vec::<String>::new(), "{}", profile.name);
    }
}

#[tokio::test]
async fn a_break_between_two_chunks_costs_gitea_nothing() {
    let script = [script::nth(Op::Patch, 6, Fault::Cut(0, Break::Reset))];
    let pushing = Pushing::of(Setup::of(profile::GITEA_1_24_3).script(script), &[8 * MIB]).in_chunks_of(MIB);
    pushing.succeeds().await;
    assert_eq!(blob_bytes(&pushing.lab.seen()), pushing.size());
}

#[tokio::test]
async fn a_session_that_vanished_is_sent_once_more_from_the_start() {
    for profile in [profile::DISTRIBUTION_2_8, profile::ZOT, profile::HARBOR, profile::DOCKER_HUB] {
        let pushing = broken(profile, Break::Reset);
        pushing.succeeds().await;
        assert_eq!(pushing.sessions(), 2, "{}", profile.name);
    }
    let forgotten = [script::nth(Op::Patch, 4, Fault::ForgetSessions)];
    let pushing = Pushing::of(Setup::of(profile::PLAIN).script(forgotten), &[8 * MIB]).in_chunks_of(MIB);
    pushing.succeeds().await;
    assert_eq!(pushing.sessions(), 2);
}

#[tokio::test]
async fn a_count_that_does_not_advance_is_not_believed() {
    let discarding = Profile { patch: Patch { later: Later::Discarded, ..profile::PLAIN.patch }, ..profile::PLAIN };
    let pushing = Pushing::of(Setup::of(discarding), &[8 * MIB]).in_chunks_of(MIB);
    pushing.succeeds().await;
    let once = [script::nth(Op::Patch, 3, Fault::Discard)];
    let pushing = Pushing::of(Setup::of(profile::PLAIN).script(once), &[8 * MIB]).in_chunks_of(MIB);
    pushing.succeeds().await;
}

#[tokio::test]
async fn a_count_that_is_off_by_one_is_not_believed() {
    for by in [1, -1] {
        let script = [script::nth(Op::Patch, 2, Fault::Lie(Lie::RangeBy(by)))];
        let pushing = Pushing::of(Setup::of(profile::PLAIN).script(script), &[8 * MIB]).in_chunks_of(MIB);
        pushing.succeeds().await;
    }
}

#[tokio::test]
async fn a_registry_whose_every_session_breaks_is_given_up() {
    let script = [script::always(Op::Patch, Fault::Cut(1000, Break::Reset))];
    let pushing = Pushing::of(Setup::of(profile::GITEA_1_24_3).script(script), &[8 * MIB]).in_chunks_of(MIB);
    pushing.fails().await;
    assert!(pushing.of_op(Op::Patch).len() <= 20, "{:?}", pushing.lab.lines());
}

#[tokio::test]
async fn one_large_request_that_breaks_off_is_not_repeated_whole() {
    // Two thirds of it have arrived, and this registry keeps them.
    let script = [script::at_byte(8 * MIB, Break::Reset)];
    let pushing = Pushing::of(Setup::of(profile::DISTRIBUTION_3).script(script), &[12 * MIB]);
    pushing.succeeds().await;
    let sent = blob_bytes(&pushing.lab.seen());
    assert!(sent < pushing.size() + MIB, "{sent} bytes sent");
}

#[tokio::test]
async fn small_chunks_are_tried_with_every_registry_and_given_up_where_refused() {
    for profile in profile::ALL {
        let pushing = Pushing::of(Setup::of(*profile), &[8 * MIB]).in_chunks_of(MIB);
        pushing.succeeds().await;
    }
}
