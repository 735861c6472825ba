//! TLS on the way: all of a push over it, and a certificate that changes in the middle.

use idpbuilder_oci::push::PushConfig;
use idpbuilder_oci::registry::{NetworkFault, RegistryError};
use idpbuilder_oci::tls::{Origin, TlsPolicy, TrustStore};

use crate::lab::invariants;
use crate::lab::profile;
use crate::lab::script::{self, Break, Fault, Op, Rule};
use crate::lab::serve::Setup;
use crate::pushing::{MIB, Pushing, the_login};

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
async fn a_certificate_that_changes_in_the_middle_is_not_trusted() {
    let (pushing, config) = pinned([script::nth(Op::Patch, 3, Fault::Rotate)]);
    let error = crate::fixture::registry_error(pushing.push_with(config).await.expect_err("another server"));
    assert!(matches!(&error, RegistryError::Network { fault: NetworkFault::Tls { .. }, .. }), "{error:?}");
    pushing.met();
    // Connections from before are used up; nothing is said on one that the new certificate was shown on.
    assert!(pushing.lab.seen().iter().all(|exchange| exchange.certificate == 0), "{:?}", pushing.lab.lines());
}
