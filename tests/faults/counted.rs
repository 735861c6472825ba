//! Requests of pushes, by what is known of the registry and of the blobs.

use std::collections::BTreeMap;

use crate::fixture::noise;
use crate::lab::invariants;
use crate::lab::profile::{self, Profile};
use crate::lab::script::Op;
use crate::lab::serve::Setup;
use crate::pushing::{KIB, Pushing, the_login};

/// `HEAD` of blobs, `POST`, and `PUT` of blobs.
type Counts = (usize, usize, usize);

/// A registry that took an image of this machine.
async fn met(profile: Profile) -> Pushing {
    let pushing = Pushing::of(Setup::of(profile).login(the_login()), &[200 * KIB]);
    pushing.succeeds().await;
    pushing
}

/// Makes `app` an image of three other layers.
fn renew(pushing: &mut Pushing) {
    let layers: Vec<Vec<u8>> = (71..74).map(|seed| noise(seed, 300 << 10)).collect();
    pushing.image = pushing.local.image("app", &layers);
}

/// Pushes `app` as `repository:tag`; answers the requests that took.
async fn count(pushing: &Pushing, repository: &str, tag: &str) -> Counts {
    let count = |op| pushing.of_op(op).len();
    let ops = [Op::HeadBlob, Op::Open, Op::Commit];
    let before = ops.map(count);
    let name = format!("{}/{repository}:{tag}", pushing.lab.host());
    pushing.push_with(pushing.config_to(&[&name])).await.expect("pushed");
    assert_eq!(invariants::stored(&pushing.lab, repository, tag, &pushing.image), Vec::<String>::new());
    let [head, open, commit] = [0, 1, 2].map(|at| count(ops[at]) - before[at]);
    (head, open, commit)
}

#[tokio::test]
async fn new_blobs_are_not_asked_for_where_the_session_answers() {
    // Three layers and a configuration, which Gitea and zot take with the POST. It is asked for, so that its bytes are
    // not sent for nothing.
    let expected: BTreeMap<&str, (Profile, Counts)> = BTreeMap::from([
        ("gitea 1.24.3", (profile::GITEA_1_24_3, (1, 4, 3))),
        ("gitea 1.22", (profile::GITEA_1_22, (1, 4, 3))),
        ("zot", (profile::ZOT, (4, 4, 3))),
        ("distribution 2.8", (profile::DISTRIBUTION_2_8, (4, 4, 4))),
        ("distribution 3", (profile::DISTRIBUTION_3, (4, 4, 4))),
    ]);
    for (name, (profile, counts)) in expected {
        let mut pushing = met(profile).await;
        renew(&mut pushing);
        assert_eq!(count(&pushing, "team/app", "v2").await, counts, "{name}");
    }
}

#[tokio::test]
async fn known_blobs_are_asked_for_and_nothing_more() {
    for profile in [profile::GITEA_1_24_3, profile::DISTRIBUTION_3] {
        let mut pushing = met(profile).await;
        renew(&mut pushing);
        count(&pushing, "team/app", "v2").await;
        assert_eq!(count(&pushing, "team/app", "v2").await, (4, 0, 0), "{}: under its name", profile.name);
        assert_eq!(count(&pushing, "team/app", "v3").await, (4, 0, 0), "{}: under another name", profile.name);
    }
}

#[tokio::test]
async fn an_image_that_another_machine_pushed_is_asked_for_before_anything_is_sent() {
    let mut pushing = met(profile::GITEA_1_24_3).await;
    renew(&mut pushing);
    count(&pushing, "team/app", "v2").await;
    // This machine knows the registry and none of the blobs.
    std::fs::remove_dir_all(pushing.state.path().join("cache/places")).expect("removed");
    assert_eq!(count(&pushing, "team/app", "v2").await, (4, 0, 0));
}

#[tokio::test]
async fn blobs_of_another_machine_are_found_by_the_request_for_a_session() {
    let mut pushing = met(profile::GITEA_1_24_3).await;
    renew(&mut pushing);
    count(&pushing, "team/app", "v2").await;
    std::fs::remove_dir_all(pushing.state.path().join("cache/places")).expect("removed");
    pushing.lab.state().repository("team/other");
    // Each mount is confirmed with HEAD; the configuration has its HEAD before the POST.
    assert_eq!(count(&pushing, "team/other", "v1").await, (4, 4, 0));
}
