//! The TLS policy for hosts that a registry redirects to: each is verified by the certificates chosen for it.

use std::path::PathBuf;

use super::TlsPolicy;
use super::host::RegistryHost;
use super::system_roots::SystemRoots;
use super::trust::TrustStore;

/// The directories that hold certificates for each host.
#[derive(Debug, Clone, Default)]
pub struct TrustSources {
    /// A file of certificates that the command was given.
    pub file: Option<PathBuf>,
    /// The trust store: one directory a host.
    pub kept: Option<PathBuf>,
    /// Directories in the `certs.d` form of containers and Docker, with one subdirectory for each host.
    pub client: Vec<PathBuf>,
    /// The system's roots.
    pub system: SystemRoots,
}

impl TrustSources {
    /// Returns the policy for `host`, to which a registry under the policy `own` at the host name `own_host` leads.
    /// Reads files.
    ///
    /// The policy is never less than verification: what a person chose for one registry is not chosen for others.
    /// Certificates that were chosen for the
    /// registry count for `host` too, where they are valid for its name: their holder is the registry, which could ask
    /// for the credential itself. Its client certificate does not, and the cluster's certificate counts for the
    /// cluster's host alone. What cannot be read is left out, so that less is trusted.
    pub fn policy(&self, host: Option<&RegistryHost>, own: &TlsPolicy, own_host: &str) -> TlsPolicy {
        let mut trust = match own {
            TlsPolicy::Verify(trust) => trust.lent(host.is_some_and(|host| host.host() == own_host)),
            TlsPolicy::SkipVerify | TlsPolicy::Plaintext => {
                let mut trust = TrustStore::empty();
                trust.use_system_roots_at_need(&self.system);
                if let Some(file) = &self.file {
                    let _ = trust.add_file(file);
                }
                trust
            }
        };
        let Some(host) = host else { return TlsPolicy::Verify(trust) };
        for directory in self.kept.iter().flat_map(|root| host.directories(root)) {
            let _ = trust.add_kept(&directory);
        }
        for directory in self.client.iter().flat_map(|root| host.directories(root)) {
            if directory.is_dir() {
                let _ = trust.add_client_directory(&directory);
            }
        }
        TlsPolicy::Verify(trust)
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::Origin;
    use super::*;

    fn pem(name: &str) -> String {
        rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("signed").cert.pem()
    }

    fn host(text: &str) -> RegistryHost {
        text.parse().expect(text)
    }

    fn origins(policy: &TlsPolicy) -> Vec<Origin> {
        let TlsPolicy::Verify(trust) = policy else { panic!("verified") };
        trust.anchors().iter().map(|anchor| anchor.origin.clone()).collect()
    }

    #[test]
    fn every_other_host_is_verified() {
        for own in [TlsPolicy::SkipVerify, TlsPolicy::Plaintext, TlsPolicy::Verify(TrustStore::empty())] {
            for host in [None, Some(&host("b.example")), Some(&host("a.example:8443"))] {
                let policy = TrustSources::default().policy(host, &own, "a.example");
                assert!(matches!(policy, TlsPolicy::Verify(_)), "{own:?} {host:?}");
            }
        }
    }

    #[test]
    fn a_host_has_what_was_chosen_for_it_and_what_the_registry_lends() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = |name: &str| directory.path().join(name);
        for (path, name) in [("kept/b.example:443/b.pem", "b.example"), ("certs.d/b.example/ca.crt", "ca.example")] {
            let path = root(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, pem(name)).expect("written");
        }
        std::fs::write(root("ca.pem"), pem("given.example")).expect("written");
        let sources = TrustSources {
            file: Some(root("ca.pem")),
            kept: Some(root("kept")),
            client: vec![root("certs.d"), root("absent")],
            ..TrustSources::default()
        };
        let own_of_b = [Origin::Kept(root("kept/b.example:443/b.pem")), Origin::File(root("certs.d/b.example/ca.crt"))];
        let given = Origin::File(root("ca.pem"));
        let b = sources.policy(Some(&host("b.example")), &TlsPolicy::SkipVerify, "a.example");
        assert_eq!(origins(&b), [&[given.clone()][..], &own_of_b].concat());

        let mut trust = TrustStore::empty();
        let (kept, cluster) = (Origin::Kept("/a.pem".into()), Origin::Cluster("Secret".into()));
        trust.add_pem(pem("a.example").as_bytes(), kept.clone()).expect("added");
        trust.add_pem(pem("a.example").as_bytes(), cluster.clone()).expect("added");
        let own = TlsPolicy::Verify(trust);
        let b = sources.policy(Some(&host("b.example")), &own, "a.example");
        assert_eq!(origins(&b), [&[kept.clone()][..], &own_of_b].concat());
        let port = sources.policy(Some(&host("a.example:8443")), &own, "a.example");
        assert_eq!(origins(&port), [kept, cluster]);
    }
}
