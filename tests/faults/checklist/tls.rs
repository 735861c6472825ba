//! TLS on the way: all of a push over it, and a certificate that changes in the middle.

use idpbuilder_oci::ops::push::PushConfig;
use idpbuilder_oci::registry::{NetworkFault, RegistryError};
use idpbuilder_oci::tls::{HandshakeFault, Origin, TlsPolicy, TrustSources, TrustStore};

use crate::lab::access::Login;
use crate::lab::invariants;
use crate::lab::profile;
use crate::lab::record::Site;
use crate::lab::script::{self, Break, Fault, Op, Rule};
use crate::lab::serve::Setup;
use crate::pushing::{KIB, MIB, Pushing, the_login};

/// A push to a laboratory whose certificate of now is trusted, exactly.
fn pinned(script: impl IntoIterator<Item = Rule>) -> (Pushing, PushConfig) {
    let setup = Setup::of(profile::GITEA_1_24_3).login(the_login()).script(script).tls();
    let pushing = Pushing::of(setup, &[6 * MIB]).in_chunks_of(MIB);
    let mut trust = TrustStore::empty();
    let pem = pushing.lab.certificate().expect("it speaks TLS");
    trust.add_pem(pem.as_bytes(), Origin::File("test.crt".into())).expect("a certificate");
    let mut config = pushing.config();
    config.destinations[0].policy = TlsPolicy::Verify(trust);
    (pushing, config)
}

#[tokio::test]
async fn faults_over_tls_are_survived_as_well() {
    let (pushing, config) = pinned([
        script::first(Op::HeadBlob, Fault::Cut(0, Break::Reset)),
        script::nth(Op::Patch, 3, Fault::Cut(0, Break::Close)),
        script::first(Op::Commit, Fault::Lost(Break::Reset)),
    ]);
    pushing.push_with(config).await.expect("pushed");
    invariants::check(&pushing.lab, "team/app", "v1", &pushing.image);
    pushing.met();
}

#[tokio::test]
async fn a_token_service_at_another_origin_is_verified_whatever_was_chosen_for_the_registry() {
    let elsewhere = Login { realm_elsewhere: true, ..the_login() };
    let pushing = || Pushing::of(Setup::of(profile::GITEA_1_24_3).login(elsewhere.clone()).tls(), &[KIB]);
    let with = |pushing: &Pushing, policy| {
        let mut config = pushing.config();
        config.destinations[0].policy = policy;
        config
    };
    // Not verified is the registry alone.
    let unverified = pushing();
    let config = with(&unverified, TlsPolicy::SkipVerify);
    let error = crate::fixture::registry_error(unverified.push_with(config).await.expect_err("nobody vouches for it"));
    let RegistryError::Network { request, fault: NetworkFault::Tls { fault, chain, .. }, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(matches!(fault, HandshakeFault::CaUsedAsEndEntity | HandshakeFault::UnknownIssuer), "{fault:?}");
    assert_eq!((request.path(), chain.len()), ("/v2/token", 1), "it is told what that origin showed");
    assert!(unverified.lab.seen().iter().all(|exchange| exchange.site == Site::Registry));
    assert!(unverified.lab.seen().iter().all(|exchange| exchange.header("authorization").is_none()));

    // A certificate that was chosen for that origin, and one that was chosen for the registry and is shown there too.
    let (trusted, home) = (pushing(), tempfile::tempdir().expect("a directory"));
    let pem = trusted.lab.certificate().expect("it speaks TLS");
    let origin = trusted.lab.registry().bases[1].trim_start_matches("https://").to_owned();
    let kept = home.path().join(origin);
    std::fs::create_dir_all(&kept).expect("made");
    std::fs::write(kept.join("server.pem"), &pem).expect("written");
    let elsewhere = TrustSources { kept: Some(home.path().to_owned()), ..TrustSources::default() };
    let config = PushConfig { elsewhere, ..with(&trusted, TlsPolicy::SkipVerify) };
    trusted.push_with(config).await.expect("pushed");
    let lent = pushing();
    let mut trust = TrustStore::empty();
    let pem = lent.lab.certificate().expect("it speaks TLS");
    trust.add_pem(pem.as_bytes(), Origin::File("test.crt".into())).expect("a certificate");
    let config = with(&lent, TlsPolicy::Verify(trust));
    lent.push_with(config).await.expect("pushed");
    for pushing in [trusted, lent] {
        let tokens = pushing.of_op(Op::Token);
        assert!(!tokens.is_empty() && tokens.iter().all(|token| token.site == Site::Elsewhere));
    }
}

#[tokio::test]
async fn a_certificate_that_changes_in_the_middle_is_not_trusted() {
    let (pushing, config) = pinned([script::nth(Op::Patch, 3, Fault::Rotate)]);
    let error = crate::fixture::registry_error(pushing.push_with(config).await.expect_err("another server"));
    assert!(matches!(&error, RegistryError::Network { fault: NetworkFault::Tls { .. }, .. }), "{error:?}");
    pushing.met();
    // Connections from before are used up; nothing is said on one that the new certificate was shown on.
    assert!(pushing.lab.seen().iter().all(|exchange| exchange.certificate == 0), "{:?}", pushing.lab.lines());
}
