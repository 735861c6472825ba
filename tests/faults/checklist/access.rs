//! Who asks: tokens that end in the middle, refusals that are final, and addresses that must not be followed.

use std::time::Duration;

use idpbuilder_oci::credentials::{Credential, Secret};
use idpbuilder_oci::ops::push::PushConfig;
use idpbuilder_oci::registry::{AskedScheme, Misdirection, RegistryError};

use crate::fixture::{push_config, registry};
use crate::lab::access::Login;
use crate::lab::invariants;
use crate::lab::profile::{self, Profile};
use crate::lab::record::{Site, blob_bytes};
use crate::lab::script::{self, Answer, Fault, Lie, Op, Rule};
use crate::lab::serve::Setup;
use crate::pushing::{KIB, MIB, PASSWORD, Pushing, USER, the_login};

fn asking(profile: Profile, login: Login, script: impl IntoIterator<Item = Rule>) -> Pushing {
    Pushing::of(Setup::of(profile).login(login).script(script), &[6 * MIB]).in_chunks_of(MIB)
}

/// The profiles that have a token service.
fn with_tokens() -> impl Iterator<Item = Profile> {
    profile::ALL.iter().copied().filter(|profile| matches!(profile.access.scheme, profile::Scheme::Bearer(_)))
}

#[tokio::test]
async fn every_registry_is_identified_to_in_its_own_way() {
    for profile in profile::ALL {
        let pushing = Pushing::of(Setup::of(*profile).login(the_login()), &[300 * KIB, 10]);
        pushing.succeeds().await;
    }
}

#[tokio::test]
async fn a_token_that_ends_in_the_middle_is_renewed_and_no_byte_lost() {
    for profile in with_tokens().filter(|profile| profile.patch.later == profile::Later::Taken) {
        for op in [Op::Patch, Op::Commit, Op::PutManifest] {
            let nth = if op == Op::Patch { 4 } else { 1 };
            let pushing = asking(profile, the_login(), [script::nth(op, nth, Fault::Expire)]);
            pushing.succeeds().await;
            let sent = blob_bytes(&pushing.lab.seen());
            // The refused chunk, and the other blob's, may have been read before they were refused.
            assert!(sent <= pushing.size() + MIB + 4 * KIB, "{}, {op:?}: {sent}", profile.name);
        }
    }
}

#[tokio::test]
async fn a_token_that_says_its_end_is_renewed_before_it() {
    // Shorter than the client's margin: no request may be sent with a token on its last seconds.
    let short = Login { life: Some(Duration::from_secs(5)), ..the_login() };
    for profile in [profile::GITEA_1_24_3, profile::HARBOR] {
        let pushing = asking(profile, short.clone(), []);
        pushing.succeeds().await;
        let refused = pushing.lab.seen().iter().filter(|exchange| exchange.status == Some(401)).count();
        // The first request of all is how the realm is learned.
        assert!(refused <= 1, "{}: {:?}", profile.name, pushing.lab.lines());
    }
}

#[tokio::test]
async fn a_good_token_that_is_refused_is_a_final_no() {
    let powerless = Login { may_push: false, ..the_login() };
    for profile in profile::ALL {
        let pushing = asking(*profile, powerless.clone(), []);
        let error = pushing.fails().await;
        assert!(matches!(error, RegistryError::Denied(_)), "{}: {error:?}", profile.name);
        let opened = pushing.of_op(Op::Open).len();
        assert!(opened <= 4, "{}: asked {opened} times", profile.name);
        assert!(pushing.of_op(Op::Token).len() <= 3, "{}", profile.name);
    }
}

#[tokio::test]
async fn parallel_requests_that_carried_nothing_are_sent_again_with_the_credential() {
    let profiles = [profile::OPEN_READS_BASIC, profile::OPEN_READS_BEARER, profile::OPEN_READS_IDENTITY];
    for profile in profiles {
        // All first requests have been answered with 401 before one of them is sent again.
        let script = [script::times(Op::Open, 4, Fault::Gather(4))];
        let setup = Setup::of(profile).login(the_login()).script(script);
        let pushing = Pushing::of(setup, &[300 * KIB, 310 * KIB, 320 * KIB, 330 * KIB]);
        let credential = if profile == profile::OPEN_READS_IDENTITY {
            let token = Secret::new(PASSWORD.to_owned());
            Some(Credential::IdentityToken { username: USER.to_owned(), token })
        } else {
            pushing.credential()
        };
        let config = push_config("app", &[&pushing.name()], credential.as_ref());
        if let Err(error) = pushing.push_with(PushConfig { jobs: 5, ..config }).await {
            panic!("{}: {error:?}\n{}", profile.name, pushing.lab.lines().join("\n"));
        }
        invariants::check(&pushing.lab, "team/app", "v1", &pushing.image);
        let refused = pushing.of_op(Op::Open).iter().filter(|open| open.status == Some(401)).count();
        assert!(refused >= 4, "{}: {:?}", profile.name, pushing.lab.lines());
    }
}

#[tokio::test]
async fn a_refusal_of_what_was_not_sent_does_not_blame_the_credential() {
    // Asks for a password although there is only an identity token.
    let pushing = Pushing::of(Setup::of(profile::OPEN_READS_BASIC).login(the_login()), &[KIB]);
    let token = Secret::new(PASSWORD.to_owned());
    let identity = Credential::IdentityToken { username: USER.to_owned(), token };
    let client = registry(&pushing.lab.host(), Some(identity));
    let error = client.probe_push("team/app", std::future::pending()).await.expect("no limit").expect_err("refused");
    assert!(matches!(error, RegistryError::UnknownScheme { asked: AskedScheme::Password, .. }), "{error:?}");
}

#[tokio::test]
async fn a_wrong_password_is_said_once() {
    for profile in profile::ALL {
        let pushing = asking(*profile, the_login(), []);
        let wrong = crate::fixture::login("giteaAdmin", "wr0ng-secret");
        let client = registry(&pushing.lab.host(), Some(wrong));
        let error = client.probe_push("team/app", std::future::pending()).await.expect("no limit").expect_err("wrong");
        assert!(matches!(error, RegistryError::Unauthorized { credentials: true, .. }), "{}: {error:?}", profile.name);
        assert!(!format!("{error} {error:?}").contains("wr0ng-secret"));
        assert!(pushing.lab.seen().len() <= 6, "{}: {:?}", profile.name, pushing.lab.lines());
    }
}

#[tokio::test]
async fn the_ping_is_sent_without_a_credential() {
    for profile in profile::ALL {
        let pushing = Pushing::of(Setup::of(*profile).login(the_login()), &[300 * KIB]);
        pushing.succeeds().await;
        let pings = pushing.of_op(Op::Ping);
        assert!(pings.iter().all(|ping| ping.header("authorization").is_none()), "{}", profile.name);
    }
}

#[tokio::test]
async fn a_password_is_never_sent_as_a_token() {
    for profile in with_tokens() {
        let pushing = Pushing::of(Setup::of(profile).login(the_login()), &[300 * KIB]);
        pushing.succeeds().await;
        let shown = pushing.lab.seen();
        let shown = shown.iter().filter_map(|exchange| exchange.header("authorization"));
        assert!(shown.clone().all(|value| !value.contains(PASSWORD)), "{}", profile.name);
        assert!(shown.filter(|value| value.starts_with("Basic ")).count() <= 2, "{}", profile.name);
    }
}

#[tokio::test]
async fn a_token_service_elsewhere_is_asked_when_the_registry_says_so() {
    let elsewhere = Login { realm_elsewhere: true, ..the_login() };
    let pushing = asking(profile::GITEA_1_24_3, elsewhere, []);
    pushing.succeeds().await;
    let tokens = pushing.of_op(Op::Token);
    assert!(!tokens.is_empty() && tokens.iter().all(|token| token.site == Site::Elsewhere));
}

#[tokio::test]
async fn an_upload_elsewhere_gets_the_bytes_and_no_credential() {
    for chunks in [MIB, 1 << 30] {
        let script = [script::always(Op::Open, Fault::Lie(Lie::LocationElsewhere))];
        let pushing = asking(profile::PLAIN, the_login(), script).in_chunks_of(chunks);
        pushing.succeeds().await;
        let elsewhere: Vec<_> =
            pushing.lab.seen().into_iter().filter(|exchange| exchange.site == Site::Elsewhere).collect();
        assert!(!elsewhere.is_empty() && elsewhere.iter().all(|exchange| exchange.header("authorization").is_none()));
    }
}

#[tokio::test]
async fn a_session_that_moves_in_the_middle_loses_the_credential_on_the_way() {
    let script = [script::nth(Op::Patch, 3, Fault::Lie(Lie::LocationElsewhere))];
    let pushing = asking(profile::PLAIN, the_login(), script);
    pushing.succeeds().await;
    assert!(pushing.lab.seen().iter().any(|exchange| exchange.site == Site::Elsewhere));
}

#[tokio::test]
async fn a_realm_that_changes_in_the_middle_gets_no_password() {
    // Plausible, and not where this registry has its tokens: the second challenge is not followed to another host.
    let evil = "Bearer realm=\"http://169.254.169.254/v2/token\",service=\"container_registry\"";
    let refusal = Answer::of(401).with("WWW-Authenticate", evil);
    let pushing = asking(profile::GITEA_1_24_3, the_login(), [script::always(Op::Patch, Fault::Refuse(refusal))]);
    pushing.push().await.expect_err("nobody gives it a token");
}

#[tokio::test]
async fn addresses_inside_are_for_registries_inside() {
    // Through a proxy, this laboratory is a registry on the internet that sends us to machines of ours. Without one, it
    // is on this machine, and leads to no other link.
    for (inside, proxied) in [
        ("169.254.169.254", true),
        ("127.0.0.1:9", true),
        ("127.1:9", true),
        ("2130706433:9", true),
        ("0x7f.1.:9", true),
        ("0:9", true),
        ("[::ffff:127.0.0.1]:9", true),
        ("[::]:9", true),
        ("[64:ff9b::7f00:1]:9", true),
        ("localhost.:9", true),
        ("gitea.cnoe.localtest.me:9", true),
        ("10.0.0.1", true),
        ("100.64.0.1", true),
        ("[fc00::1]", true),
        ("[fe80::1]", true),
        ("169.254.169.254", false),
        ("2852039166", false),
        ("[::ffff:169.254.169.254]", false),
        ("224.0.0.1", false),
    ] {
        leads_nowhere(inside, proxied).await;
    }
}

/// A registry whose sessions are at that host, to which nothing is sent.
async fn leads_nowhere(inside: &str, proxied: bool) {
    let lab = crate::lab::serve::Lab::start(Setup::of(profile::PLAIN).script([
        script::always(Op::Open, Fault::Lie(Lie::Header("Location", format!("http://{inside}/latest")))),
        script::always(Op::HeadBlob, Fault::Refuse(Answer::of(404))),
    ]));
    let host = if proxied { "registry.example".to_owned() } else { lab.host() };
    let mut config = crate::fixture::registry_config(&host, None);
    config.proxies.http = proxied.then(|| format!("http://{}", lab.host()));
    let client = idpbuilder_oci::registry::Registry::open(config).expect("an address");
    let error = crate::fixture::upload(&client, &crate::fixture::noise(3, 5 << 20)).await.expect_err("not followed");
    let RegistryError::Misled { source: Misdirection::Internal { .. }, .. } = &error else {
        panic!("{inside} {proxied}: {error:?}")
    };
    assert!(lab.seen().iter().all(|exchange| !exchange.target.contains("latest")), "{inside}: {:?}", lab.lines());
}
