//! Commits: what is done when the answer is lost, wrong or late, and what is looked at afterwards.

use idpbuilder_oci::image::Digest;
use idpbuilder_oci::registry::RegistryError;

use crate::fixture::noise;
use crate::lab::profile::{self, Profile};
use crate::lab::script::{self, Fault, Lie, Op};
use crate::lab::serve::Setup;
use crate::pushing::{KIB, Pushing};

fn chunked(profile: Profile, script: impl IntoIterator<Item = script::Rule>) -> Pushing {
    Pushing::of(Setup::of(profile).script(script), &[256 * KIB]).in_chunks_of(64 * KIB)
}

#[tokio::test]
async fn another_digest_in_the_answer_to_a_commit_is_never_a_success() {
    let other = Digest::of(b"other").to_string();
    let lie = Fault::Lie(Lie::Header("Docker-Content-Digest", other));
    let pushing = chunked(profile::PLAIN, [script::always(Op::Commit, lie)]);
    let error = pushing.fails().await;
    assert!(matches!(error, RegistryError::DigestMismatch { .. }), "{error:?}");
}

#[tokio::test]
async fn a_damaged_blob_is_never_committed() {
    for limits in [64 * KIB, 512 * KIB] {
        let pushing = Pushing::of(Setup::of(profile::GITEA_1_24_3), &[256 * KIB]).in_chunks_of(limits);
        let layer = Digest::of(&noise(1, 256 << 10));
        let mut damaged = noise(1, 256 << 10);
        damaged[200_000] ^= 1;
        std::fs::write(pushing.local.store.blob_path(layer), &damaged).expect("damaged");
        pushing.push().await.expect_err("damaged");
        let state = pushing.lab.state();
        assert!([layer, Digest::of(&damaged)].iter().all(|digest| !state.blobs.contains_key(digest)));
    }
}
