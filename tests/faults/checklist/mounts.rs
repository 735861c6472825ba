//! Blobs that need not be sent: mounts, and what is sent once for several names.

use idpbuilder_oci::image::Digest;

use crate::fixture::{noise, push_config};
use crate::lab::invariants;
use crate::lab::profile::{self};
use crate::lab::script::Op;
use crate::lab::serve::Setup;
use crate::pushing::{KIB, Pushing, the_login};

#[tokio::test]
async fn a_mount_that_misses_is_the_session_that_is_used() {
    for profile in profile::ALL {
        let pushing = Pushing::of(Setup::of(*profile).login(the_login()), &[256 * KIB]);
        pushing.succeeds().await;
        let opened = pushing.of_op(Op::Open).iter().filter(|open| open.status != Some(401)).count();
        assert_eq!(opened, 2, "{}: one POST a blob: {:?}", profile.name, pushing.lab.lines());
        assert_eq!(invariants::tidy(&pushing.lab), Vec::<String>::new(), "{}", profile.name);
    }
}

#[tokio::test]
async fn a_mount_without_the_blob_behind_it_is_noticed() {
    let pushing = Pushing::of(Setup::of(profile::GHCR).login(the_login()), &[256 * KIB]);
    pushing.succeeds().await;
    let other = format!("{}/other/app:v2", pushing.lab.host());
    pushing.local.push(push_config("app", &[&other], pushing.credential().as_ref())).await.expect("pushed");
    assert_eq!(invariants::stored(&pushing.lab, "other/app", "v2", &pushing.image), Vec::<String>::new());
}

#[tokio::test]
async fn two_layers_with_the_same_content_are_one_transfer() {
    let local = crate::fixture::TestStore::new();
    let layer = noise(9, 200_000);
    let image = local.image("app", &[layer.clone(), layer.clone(), layer]);
    let lab = crate::lab::serve::Lab::start(Setup::of(profile::GITEA_1_24_3));
    local.push(push_config("app", &[&format!("{}/team/app:v1", lab.host())], None)).await.expect("pushed");
    invariants::check(&lab, "team/app", "v1", &image);
    assert!(lab.state().has("team/app", Digest::of(&noise(9, 200_000))));
}
