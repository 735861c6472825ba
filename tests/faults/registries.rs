//! A test for each registry that is known to be different: a first push in its default sizes, one in small chunks through a
//! broken link with a token that ends, one more that sends nothing; and what only this registry does.

use std::collections::BTreeSet;
use std::sync::Arc;

use idpbuilder_oci::credentials::{Credential, Secret};
use idpbuilder_oci::ops::pull::{PullConfig, pull};
use idpbuilder_oci::progress::Interrupt;
use idpbuilder_oci::registry::{Misdirection, RegistryError, Violation};

use crate::fixture::{TestStore, Told, pull_config, push_config, registry_error};
use crate::lab::access::Login;
use crate::lab::invariants;
use crate::lab::profile::{self, Profile};
use crate::lab::record::{Exchange, Site, blob_bytes};
use crate::lab::script::{self, Answer, Break, Fault, Lie, Op};
use crate::lab::serve::Setup;
use crate::pushing::{KIB, MIB, PASSWORD, Pushing, USER, the_login};

/// What has to work everywhere.
async fn is_served(profile: Profile) {
    let pushing = Pushing::of(Setup::of(profile).login(the_login()), &[5 * MIB, 10, 0]);
    pushing.succeeds().await;
    let sent = blob_bytes(&pushing.lab.seen());
    let again = pushing.push().await.expect("pushed again");
    assert_eq!((again.totals().uploaded, blob_bytes(&pushing.lab.seen())), (0, sent));
    assert_eq!(invariants::tidy(&pushing.lab), Vec::<String>::new());

    let script = [
        script::at_byte(5 * MIB, Break::Reset),
        script::first(Op::Commit, Fault::Lost(Break::Reset)),
        script::first(Op::PutManifest, Fault::Expire),
    ];
    let pushing = Pushing::of(Setup::of(profile).login(the_login()).script(script), &[7 * MIB, 300]);
    let pushing = pushing.in_chunks_of(MIB);
    pushing.succeeds().await;
    assert_eq!(invariants::tidy(&pushing.lab), Vec::<String>::new());
}

/// Requests of a push that goes well.
async fn requests(profile: Profile, layers: &[u64]) -> Pushing {
    let pushing = Pushing::of(Setup::of(profile).login(the_login()), layers);
    pushing.succeeds().await;
    pushing
}

#[tokio::test]
async fn gitea_1_24_3() {
    is_served(profile::GITEA_1_24_3).await;
}

#[tokio::test]
async fn gitea_1_22_and_forgejo() {
    is_served(profile::GITEA_1_22).await;
}

#[tokio::test]
async fn gitea_with_a_quota_that_is_used_up() {
    // Said after all bytes have arrived, without a word.
    let script = [script::always(Op::Commit, Fault::Refuse(Answer::of(403)))];
    let pushing = Pushing::of(Setup::of(profile::GITEA_1_24_3).script(script), &[5 * MIB]);
    let error = pushing.fails().await;
    assert!(matches!(error, RegistryError::Denied(_)), "{error:?}");
    assert!(blob_bytes(&pushing.lab.seen()) <= pushing.size(), "nothing is sent again");
}

#[tokio::test]
async fn gitea_with_an_owner_that_does_not_exist() {
    let script = [Op::HeadBlob, Op::GetBlob, Op::Open, Op::PutManifest]
        .map(|op| script::always(op, Fault::Refuse(Answer::plain(404, "Not found."))));
    let pushing = Pushing::of(Setup::of(profile::GITEA_1_24_3).script(script), &[KIB]);
    let error = pushing.fails().await;
    assert!(matches!(error, RegistryError::NotFound(_)), "{error:?}");
    assert!(error.to_string().contains("Not found."), "{error}");
}

#[tokio::test]
async fn gitea_with_two_who_push_the_same_manifest() {
    // A duplicate key, said as a 500 without a word.
    let script = [script::first(Op::PutManifest, Fault::Refuse(Answer::of(500)))];
    let pushing = Pushing::of(Setup::of(profile::GITEA_1_24_3).script(script), &[KIB]);
    pushing.succeeds().await;
}

#[tokio::test]
async fn distribution_2_8() {
    is_served(profile::DISTRIBUTION_2_8).await;
    let pushing = requests(profile::DISTRIBUTION_2_8, &[5 * MIB]).await;
    let commits = pushing.of_op(Op::Commit);
    assert!(commits.iter().all(|commit| commit.target.contains("_state=")), "the query comes back");
}

#[tokio::test]
async fn distribution_3() {
    is_served(profile::DISTRIBUTION_3).await;
}

#[tokio::test]
async fn zot() {
    is_served(profile::ZOT).await;
    let pushing = requests(profile::ZOT, &[200 * KIB]).await;
    let octets = |exchange: &crate::lab::record::Exchange| {
        exchange.announced() == 0 || exchange.header("content-type") == Some("application/octet-stream")
    };
    assert!(pushing.of_op(Op::Commit).iter().chain(&pushing.of_op(Op::Open)).all(octets));
}

#[tokio::test]
async fn docker_hub() {
    is_served(profile::DOCKER_HUB).await;
    // Its limits are told in plain text, with a Retry-After that is none.
    let refusal = Answer::plain(429, "Too Many Requests").with("Retry-After", "soon");
    let script =
        [script::first(Op::HeadBlob, Fault::Refuse(refusal.clone())), script::first(Op::Open, Fault::Refuse(refusal))];
    Pushing::of(Setup::of(profile::DOCKER_HUB).script(script).login(the_login()), &[KIB]).succeeds().await;
}

#[tokio::test]
async fn ghcr() {
    is_served(profile::GHCR).await;
    // Larger than it takes in one PATCH: whatever is tried, few requests are wasted.
    let pushing = Pushing::of(Setup::of(profile::GHCR), &[12 * MIB]).in_chunks_of(8 * MIB);
    pushing.succeeds().await;
    let refused = pushing.of_op(Op::Patch).iter().filter(|patch| patch.status == Some(416)).count();
    assert!(refused <= 2, "{:?}", pushing.lab.lines());
    // Abandoned sessions cannot be cancelled there.
    let script = [script::always(Op::Commit, Fault::Refuse(Answer::json(403, "DENIED")))];
    let error = Pushing::of(Setup::of(profile::GHCR).script(script), &[5 * MIB]).fails().await;
    assert!(matches!(error, RegistryError::Denied(_)), "{error:?}");
}

#[tokio::test]
async fn ecr() {
    is_served(profile::ECR).await;
    // A repository has to be made before.
    let pushing = Pushing::of(Setup::of(profile::ECR).login(the_login()), &[KIB]);
    let name = format!("{}/no/such:v1", pushing.lab.host());
    let pushed = pushing.push_with(push_config("app", &[&name], pushing.credential().as_ref())).await;
    let error = crate::fixture::registry_error(pushed.expect_err("it is not there"));
    assert!(matches!(error, RegistryError::NotFound(_)), "{error:?}");
    assert!(error.to_string().contains("does not exist"), "{error}");
}

#[tokio::test]
async fn gar_and_gcr() {
    is_served(profile::GAR).await;
    let pushing = requests(profile::GAR, &[5 * MIB]).await;
    for commit in pushing.of_op(Op::Commit) {
        let own = commit.target.starts_with("/artifacts-uploads/") && commit.target.contains("upload=long");
        assert!(own, "{}", commit.target);
    }
}

#[tokio::test]
async fn quay() {
    is_served(profile::QUAY).await;
}

#[tokio::test]
async fn harbor() {
    is_served(profile::HARBOR).await;
    // Once it has seen a token it asks for Basic, which is not where tokens come from.
    let script = [script::nth(Op::Patch, 2, Fault::Expire), script::nth(Op::Patch, 5, Fault::Expire)];
    let pushing = Pushing::of(Setup::of(profile::HARBOR).login(the_login()).script(script), &[8 * MIB]);
    pushing.in_chunks_of(MIB).succeeds().await;
    // An immutable tag.
    let script = [script::always(Op::PutManifest, Fault::Refuse(Answer::json(412, "PRECONDITION")))];
    let pushing = Pushing::of(Setup::of(profile::HARBOR).script(script), &[KIB]);
    let error = pushing.fails().await;
    let status = error.error_response().map(|refused| refused.response.status.as_u16());
    assert_eq!((status, pushing.of_op(Op::PutManifest).len()), (Some(412), 1));
}

#[tokio::test]
async fn harbor_with_a_blob_that_is_being_swept() {
    // There when asked, gone when the manifest names it.
    let pushing = Pushing::of(Setup::of(profile::HARBOR), &[200 * KIB]);
    pushing.succeeds().await;
    pushing.lab.add(script::first(Op::PutManifest, Fault::ForgetBlobs));
    pushing.push().await.expect("sent again");
    assert_eq!(invariants::stored(&pushing.lab, "team/app", "v1", &pushing.image), Vec::<String>::new());
}

#[tokio::test]
async fn artifactory() {
    is_served(profile::ARTIFACTORY).await;
}

#[tokio::test]
async fn acr() {
    is_served(profile::ACR).await;
    // Its identity tokens are exchanged by POST.
    let login = Login::new("00000000-0000-0000-0000-000000000000", "refresh-me");
    let pushing = Pushing::of(Setup::of(profile::ACR).login(login), &[200 * KIB]);
    let identity = Credential::IdentityToken {
        username: "00000000-0000-0000-0000-000000000000".to_owned(),
        token: Secret::new("refresh-me".to_owned()),
    };
    pushing.push_with(push_config("app", &[&pushing.name()], Some(&identity))).await.expect("pushed");
    let tokens = pushing.of_op(Op::Token);
    assert!(!tokens.is_empty() && tokens.iter().all(|token| token.method == "POST"));
}

#[tokio::test]
async fn nexus() {
    // Wants to know the length of everything; the invariants look at each request.
    let pushing = requests(profile::PLAIN, &[200 * KIB]).await;
    assert!(pushing.of_op(Op::PutManifest).iter().all(|put| put.announced() > 0));
}

#[tokio::test]
async fn one_that_says_the_least_size_of_a_chunk() {
    is_served(profile::CHUNK_MINIMUM).await;
    let pushing = Pushing::of(Setup::of(profile::CHUNK_MINIMUM), &[6 * MIB]).in_chunks_of(64 * KIB);
    pushing.succeeds().await;
    let refused = pushing.of_op(Op::Patch).iter().filter(|patch| patch.status == Some(416)).count();
    assert_eq!(refused, 0, "it is heeded: {:?}", pushing.lab.lines());
}

#[tokio::test]
async fn one_whose_sessions_live_on_another_host() {
    for profile in [profile::PLAIN, profile::DISTRIBUTION_3, profile::GITEA_1_24_3] {
        let script = [script::always(Op::Open, Fault::Lie(Lie::LocationElsewhere))];
        let pushing = Pushing::of(Setup::of(profile).login(the_login()).script(script), &[6 * MIB]);
        pushing.in_chunks_of(MIB).succeeds().await;
    }
}

/// What a request showed: nothing, the password, or a token.
fn shown(exchange: &Exchange) -> &'static str {
    match exchange.header("authorization").and_then(|value| value.split(' ').next()) {
        None => "nothing",
        Some("Basic") => "password",
        Some("Bearer") => "token",
        Some(_) => "another",
    }
}

#[tokio::test]
async fn one_whose_tokens_sessions_blobs_and_manifests_are_at_another_origin() {
    let login = Login { realm_elsewhere: true, ..the_login() };
    let pushing = Pushing::of(Setup::of(profile::DISPERSED).login(login), &[5 * MIB, 300 * KIB]).in_chunks_of(MIB);
    pushing.succeeds().await;
    let copy = TestStore::new();
    let config = PullConfig { credential: pushing.credential(), ..pull_config(&pushing.name(), "copy:v1") };
    let (told, interrupt) = (Arc::new(Told::default()), Interrupt::default());
    let pulled = Box::pin(pull(config, &copy.store, told, &interrupt)).await.expect("pulled");
    assert_eq!(pulled.descriptor.digest, pushing.image.digest());

    let seen = pushing.lab.seen();
    let found: BTreeSet<(Site, Op, &str)> = seen.iter().map(|seen| (seen.site, seen.op, shown(seen))).collect();
    let allowed = [
        // The registry is asked without anything first, and with its token from then on.
        (Site::Registry, Op::Ping, "nothing"),
        (Site::Registry, Op::Ping, "token"),
        (Site::Registry, Op::HeadBlob, "token"),
        (Site::Registry, Op::GetBlob, "token"),
        (Site::Registry, Op::Open, "token"),
        (Site::Registry, Op::HeadManifest, "nothing"),
        (Site::Registry, Op::HeadManifest, "token"),
        (Site::Registry, Op::GetManifest, "nothing"),
        (Site::Registry, Op::GetManifest, "token"),
        (Site::Registry, Op::PutManifest, "token"),
        (Site::Registry, Op::Referrers, "token"),
        // The token service alone sees the password; the storage sees nothing.
        (Site::Elsewhere, Op::Token, "password"),
        (Site::Elsewhere, Op::GetBlob, "nothing"),
        (Site::Elsewhere, Op::Patch, "nothing"),
        (Site::Elsewhere, Op::Commit, "nothing"),
        (Site::Elsewhere, Op::PutManifest, "nothing"),
    ];
    let others: Vec<_> = found.iter().filter(|seen| !allowed.contains(seen)).collect();
    assert!(others.is_empty(), "{others:?}\n{}", pushing.lab.lines().join("\n"));
    for needed in [Op::Token, Op::GetBlob, Op::Patch, Op::Commit, Op::PutManifest] {
        assert!(found.iter().any(|(site, op, _)| (*site, *op) == (Site::Elsewhere, needed)), "{needed:?}: {found:?}");
    }
    for exchange in &seen {
        let headers = exchange.headers.iter().filter(|(name, _)| name != "authorization");
        let said: Vec<&str> = headers.map(|(_, value)| value.as_str()).chain([exchange.target.as_str()]).collect();
        assert!(!said.iter().any(|text| text.contains(PASSWORD)), "{said:?}");
        assert_eq!(exchange.header("x-request-id").is_some(), exchange.site == Site::Registry, "{said:?}");
    }
}

#[tokio::test]
async fn one_whose_token_service_sends_a_refresh_token_on() {
    // From the other origin to the registry itself, which is the better place and yet another one.
    let login = Login { realm_elsewhere: true, ..the_login() };
    let pushing = Pushing::of(Setup::of(profile::DISPERSED_IDENTITY).login(login), &[KIB]);
    let registry = pushing.lab.registry().bases[0].clone();
    for status in [307, 308] {
        let away = Answer::of(status).with("Location", format!("{registry}/v2/token"));
        pushing.lab.add(script::first(Op::Token, Fault::Refuse(away)));
        let token = Secret::new(PASSWORD.to_owned());
        let identity = Credential::IdentityToken { username: USER.to_owned(), token };
        let config = push_config("app", &[&pushing.name()], Some(&identity));
        let error = registry_error(pushing.push_with(config).await.expect_err("not followed"));
        assert!(!format!("{error} {error:?}").contains(PASSWORD), "{error:?}");
        let RegistryError::Protocol { violation: Violation::Location(Misdirection::Secret(to)), .. } = &error else {
            panic!("{status}: {error:?}")
        };
        assert_eq!(registry, to.to_string(), "the error names the origin");
        let tokens = pushing.of_op(Op::Token);
        assert!(tokens.iter().all(|token| token.site == Site::Elsewhere), "{:?}", pushing.lab.lines());
    }
}
