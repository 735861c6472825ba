//! Blobs that need not be sent: mounts, and what is sent once for several names.

use idpbuilder_oci::image::Digest;

use crate::fixture::{noise, push_config};
use crate::lab::invariants;
use crate::lab::profile::{self, Profile};
use crate::lab::record::blob_bytes;
use crate::lab::script::{self, Fault, Op};
use crate::lab::serve::Setup;
use crate::pushing::{KIB, MIB, Pushing, the_login};

/// A registry that has the layer in another repository.
fn elsewhere(profile: Profile) -> Pushing {
    let pushing = Pushing::of(Setup::of(profile).login(the_login()), &[6 * MIB]);
    pushing.lab.state().seed("other/thing", &noise(1, 6 << 20));
    pushing
}

/// Bytes of the layer that were sent; small blobs cost less than a question about them.
fn layer_bytes(pushing: &Pushing) -> u64 {
    let large = pushing.lab.seen().into_iter().filter(|exchange| exchange.announced() > 128 * KIB);
    large.map(|exchange| exchange.received).sum()
}

#[tokio::test]
async fn a_registry_that_searches_itself_is_asked_to_mount_without_a_source() {
    for profile in [profile::GITEA_1_24_3, profile::GITEA_1_22, profile::ZOT] {
        let pushing = elsewhere(profile);
        pushing.succeeds().await;
        assert_eq!(layer_bytes(&pushing), 0, "{}: the layer is not sent", profile.name);
    }
}

#[tokio::test]
async fn a_mount_that_misses_is_the_session_that_is_used() {
    for profile in profile::ALL {
        let pushing = Pushing::of(Setup::of(*profile).login(the_login()), &[6 * MIB]);
        pushing.succeeds().await;
        let asked = pushing.of_op(Op::Open);
        let for_the_layer = asked.iter().filter(|open| open.status != Some(401) && open.announced() == 0).count();
        assert_eq!(for_the_layer, 1, "{}: {:?}", profile.name, pushing.lab.lines());
        assert_eq!(invariants::tidy(&pushing.lab), Vec::<String>::new(), "{}", profile.name);
    }
}

#[tokio::test]
async fn a_blob_is_mounted_from_the_repository_it_was_pushed_to_before() {
    for profile in [profile::DISTRIBUTION_2_8, profile::DISTRIBUTION_3, profile::HARBOR, profile::QUAY, profile::PLAIN]
    {
        let pushing = Pushing::of(Setup::of(profile).login(the_login()), &[6 * MIB]);
        pushing.succeeds().await;
        let before = layer_bytes(&pushing);
        let other = format!("{}/other/app:v2", pushing.lab.host());
        pushing.push_with(pushing.config_to(&[&other])).await.expect("pushed");
        assert_eq!(layer_bytes(&pushing), before, "{}: the layer is mounted", profile.name);
        assert_eq!(invariants::stored(&pushing.lab, "other/app", "v2", &pushing.image), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_mount_without_the_blob_behind_it_is_noticed() {
    let pushing = Pushing::of(Setup::of(profile::GHCR).login(the_login()), &[6 * MIB]);
    pushing.succeeds().await;
    let other = format!("{}/other/app:v2", pushing.lab.host());
    pushing.push_with(pushing.config_to(&[&other])).await.expect("pushed");
    assert_eq!(invariants::stored(&pushing.lab, "other/app", "v2", &pushing.image), Vec::<String>::new());
}

#[tokio::test]
async fn a_phantom_mount_on_gitea_is_noticed() {
    let pushing = elsewhere(profile::GITEA_1_24_3);
    pushing.lab.add(script::Rule {
        on: script::On::At(Op::Open, "mount=".to_owned()),
        nth: script::Nth::Only(1),
        fault: Fault::Phantom,
    });
    pushing.succeeds().await;
}

#[tokio::test]
async fn a_blob_is_sent_once_for_all_tags_and_repositories() {
    for profile in [profile::GITEA_1_24_3, profile::DISTRIBUTION_3, profile::PLAIN] {
        let pushing = Pushing::of(Setup::of(profile).login(the_login()), &[6 * MIB, 100]);
        let host = pushing.lab.host();
        let names = ["team/app:v1", "team/app:v2", "other/app:v1", "third/app:v1"].map(|name| format!("{host}/{name}"));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        pushing.push_with(pushing.config_to(&names)).await.expect("pushed");
        for (repository, tag) in [("team/app", "v1"), ("team/app", "v2"), ("other/app", "v1"), ("third/app", "v1")] {
            let wrong = invariants::stored(&pushing.lab, repository, tag, &pushing.image);
            assert_eq!(wrong, Vec::<String>::new(), "{}: {repository}:{tag}", profile.name);
        }
        assert_eq!(layer_bytes(&pushing), 6 * MIB, "{}", profile.name);
    }
}

#[tokio::test]
async fn two_layers_with_the_same_content_are_one_transfer() {
    let local = crate::fixture::TestStore::new();
    let layer = noise(9, 200_000);
    let image = local.image("app", &[layer.clone(), layer.clone(), layer]);
    let lab = crate::lab::serve::Lab::start(Setup::of(profile::GITEA_1_24_3));
    Box::pin(local.push(push_config("app", &[&format!("{}/team/app:v1", lab.host())], None))).await.expect("pushed");
    invariants::check(&lab, "team/app", "v1", &image);
    assert!(lab.state().has("team/app", Digest::of(&noise(9, 200_000))));
}

#[tokio::test]
async fn a_blob_is_on_its_way_before_its_image_is_whole() {
    let pushing = Pushing::of(Setup::of(profile::GITEA_1_24_3).login(the_login()), &[6 * MIB, 300 * KIB]);
    let (layers, blobs) = tokio::sync::mpsc::unbounded_channel();
    let (finished, image) = tokio::sync::oneshot::channel();
    let feed = idpbuilder_oci::ops::push::LayerStream { blobs, image };
    let silent = std::sync::Arc::new(idpbuilder_oci::progress::Silent);
    let never = idpbuilder_oci::progress::Interrupt::default();
    let (config, store) = (pushing.config(), &pushing.local.store);
    let pushed = Box::pin(idpbuilder_oci::ops::push::push_while_building(config, store, feed, silent, &never));
    let layer = pushing.image.references()[1].clone();
    let making = async {
        layers.send(layer.clone()).expect("the push listens");
        // The image is whole only after the registry has the layer.
        let deadline = std::time::Instant::now() + crate::lab::record::PATIENCE;
        while !pushing.lab.state().has("team/app", layer.digest) {
            assert!(std::time::Instant::now() < deadline, "nothing comes: {:?}", pushing.lab.lines());
            tokio::task::yield_now().await;
        }
        drop(layers);
        finished.send(pushing.image.digest()).expect("the push waits");
    };
    let (pushed, ()) = tokio::join!(pushed, making);
    let outcome = pushed.expect("pushed").expect("the image was made").remove(0);
    invariants::check(&pushing.lab, "team/app", "v1", &pushing.image);
    assert_eq!(outcome.totals().uploaded, pushing.size(), "what went ahead counts");
    assert_eq!(blob_bytes(&pushing.lab.seen()), pushing.size(), "and goes once");
}

#[tokio::test]
async fn an_image_that_is_never_made_is_not_named() {
    let pushing = Pushing::of(Setup::of(profile::PLAIN), &[300 * KIB]);
    let (layers, blobs) = tokio::sync::mpsc::unbounded_channel();
    let (finished, image) = tokio::sync::oneshot::channel();
    layers.send(pushing.image.references()[1].clone()).expect("the push will listen");
    drop((layers, finished));
    let feed = idpbuilder_oci::ops::push::LayerStream { blobs, image };
    let silent = std::sync::Arc::new(idpbuilder_oci::progress::Silent);
    let never = idpbuilder_oci::progress::Interrupt::default();
    let pushed =
        idpbuilder_oci::ops::push::push_while_building(pushing.config(), &pushing.local.store, feed, silent, &never);
    assert!(Box::pin(pushed).await.expect("nothing failed").is_none());
    assert_eq!(pushing.lab.state().repository("team/app").tags.len(), 0);
    assert!(pushing.of_op(Op::PutManifest).is_empty());
}
