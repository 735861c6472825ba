//! The chain of credential sources, and the result of a search.

use std::path::PathBuf;

use super::{Answer, Credential, CredentialError, CredentialSource, RegistryRoles, SecretOrigin};

/// Credential sources, in the order in which they are asked.
///
/// ```
/// use idpbuilder_oci::credentials::{CredentialChain, DockerConfig, ExplicitCredential, Helpers};
/// use idpbuilder_oci::credentials::{RegistryRoles, Secret};
///
/// let flags = ExplicitCredential {
///     username: "giteaAdmin".to_owned(),
///     secret: Secret::new("hunter2".to_owned()),
///     for_base: false,
/// };
/// let config = DockerConfig::file("/home/me/.docker/config.json".into(), Helpers::new([]));
/// let chain = CredentialChain::new().with(flags).with(config);
///
/// // Secrets from flags are for the destination of a push.
/// let roles = RegistryRoles { destination: true, ..RegistryRoles::default() };
/// let resolution = chain.resolve("registry.example", "team/app", roles);
/// assert_eq!(resolution.source.as_deref(), Some("the command line"));
/// ```
#[derive(Default)]
pub struct CredentialChain {
    sources: Vec<Box<dyn CredentialSource>>,
    own: Vec<Box<dyn CredentialSource>>,
}

/// The result of a search for a credential.
#[derive(Debug, Default)]
pub struct Resolution {
    /// The credential, if any source had one.
    pub credential: Option<Credential>,
    /// The name of the source that had it.
    pub source: Option<String>,
    /// The kind of that source.
    pub origin: Option<SecretOrigin>,
    /// The error that ended the search, with the source's name.
    pub failure: Option<(String, CredentialError)>,
    /// Errors that did not end the search, with the source's name.
    pub warnings: Vec<(String, CredentialError)>,
    /// Every source that was asked, in order.
    pub tried: Vec<String>,
    /// Every source that was skipped because the registry may not see its secrets.
    pub withheld: Vec<String>,
    /// The file that the credential is in, if other users of this machine can read it.
    pub exposed: Option<PathBuf>,
    /// A source's own credential, used only if our helper, which the source names, has none.
    otherwise: Option<(String, SecretOrigin, Credential)>,
}

impl Resolution {
    /// Returns whether another source may be asked.
    pub fn is_open(&self) -> bool {
        self.credential.is_none() && self.failure.is_none()
    }

    /// Records the credential that another source had.
    pub fn take(&mut self, source: String, origin: SecretOrigin, credential: Credential) {
        self.source = Some(source);
        self.origin = Some(origin);
        self.credential = Some(credential);
    }

    /// Ends the search: uses the credential that was set aside for our own helper having none.
    pub fn close(&mut self) {
        if let Some((source, origin, credential)) = self.otherwise.take().filter(|_| self.is_open()) {
            self.take(source, origin, credential);
        }
    }
}

impl CredentialChain {
    /// Returns a chain without sources.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a source that is asked after those before it.
    #[must_use]
    pub fn with(mut self, source: impl CredentialSource + 'static) -> Self {
        self.sources.push(Box::new(source));
        self
    }

    /// Adds a source of our own helper: asked at the point where a config names the helper, or else after all others.
    #[must_use]
    pub fn with_own(mut self, source: impl CredentialSource + 'static) -> Self {
        self.own.push(Box::new(source));
        self
    }

    /// Asks the sources until one has a credential, fails, or leaves the rest to our own helper. A source whose secrets
    /// a registry with these roles may not see is not asked. The caller may ask further sources while the resolution
    /// [is open](Resolution::is_open), and closes it then.
    pub fn resolve(&self, registry: &str, repository: &str, roles: RegistryRoles) -> Resolution {
        let mut resolution = Resolution::default();
        for source in self.sources.iter().chain(&self.own) {
            if !roles.may_see(source.origin()) {
                resolution.withheld.push(source.name());
            } else if self.step(source.as_ref(), registry, repository, &mut resolution) {
                break;
            }
        }
        resolution
    }

    /// Asks one source; returns whether the search is over.
    fn step(&self, source: &dyn CredentialSource, registry: &str, repository: &str, so_far: &mut Resolution) -> bool {
        let name = source.name();
        so_far.tried.push(name.clone());
        match source.find(registry, repository) {
            Answer::NotFound => false,
            Answer::Found(credential) => {
                if let Some(reason) = credential.damage() {
                    so_far.failure = Some((name, CredentialError::Damaged(reason)));
                } else {
                    so_far.exposed = source.exposed(registry, repository);
                    so_far.take(name, source.origin(), credential);
                }
                true
            }
            Answer::Failed(error) => {
                so_far.failure = Some((name, error));
                true
            }
            Answer::Doubtful(error, otherwise) => {
                so_far.warnings.push((name.clone(), error));
                if let Some(credential) = otherwise {
                    so_far.take(name, source.origin(), credential);
                }
                so_far.credential.is_some()
            }
            Answer::Own(otherwise) => {
                so_far.otherwise = otherwise.map(|credential| (name, source.origin(), credential));
                for own in &self.own {
                    if self.step(own.as_ref(), registry, repository, so_far) {
                        break;
                    }
                }
                true
            }
        }
    }
}

impl std::fmt::Debug for CredentialChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.sources.iter().chain(&self.own).map(|source| source.name())).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::{Secret, SecretOrigin};

    struct Fixed(&'static str, fn() -> Answer);

    impl CredentialSource for Fixed {
        fn name(&self) -> String {
            self.0.to_owned()
        }

        fn find(&self, _registry: &str, _repository: &str) -> Answer {
            (self.1)()
        }
    }

    fn found() -> Answer {
        Answer::Found(Credential::Basic { username: "giteaAdmin".into(), secret: Secret::new("hunter2".into()) })
    }

    fn failed() -> Answer {
        Answer::Failed(CredentialError::Entry { origin: "o".into(), registry: "r".into() })
    }

    #[test]
    fn the_first_that_has_one_wins_and_is_named() {
        let chain = CredentialChain::new().with(Fixed("a", || Answer::NotFound)).with(Fixed("b", found));
        let resolution = chain.with(Fixed("c", failed)).resolve("r", "", RegistryRoles::default());
        assert!(matches!(&resolution.credential, Some(Credential::Basic { username, .. }) if username == "giteaAdmin"));
        assert_eq!(resolution.source.as_deref(), Some("b"));
        assert_eq!(resolution.tried, ["a", "b"]);
        assert!(resolution.failure.is_none() && !resolution.is_open());
    }

    #[test]
    fn a_failure_ends_the_search() {
        let chain = CredentialChain::new().with(Fixed("a", failed)).with(Fixed("b", found));
        let resolution = chain.resolve("r", "", RegistryRoles::default());
        assert!(resolution.credential.is_none() && resolution.source.is_none());
        assert!(matches!(&resolution.failure, Some((name, CredentialError::Entry { .. })) if name == "a"));
        assert!(!resolution.is_open());
        assert_eq!(resolution.tried, ["a"]);
    }

    #[test]
    fn what_is_for_every_registry_may_fail() {
        let doubtful = || Answer::Doubtful(CredentialError::HelperAnswer { program: "p".into() }, None);
        let resolution = CredentialChain::new().with(Fixed("a", doubtful)).with(Fixed("b", found)).resolve(
            "r",
            "",
            RegistryRoles::default(),
        );
        assert_eq!(resolution.source.as_deref(), Some("b"));
        assert!(matches!(&resolution.warnings[..], [(name, CredentialError::HelperAnswer { .. })] if name == "a"));
        let with_entry = || match found() {
            Answer::Found(credential) => {
                Answer::Doubtful(CredentialError::HelperAnswer { program: "p".into() }, Some(credential))
            }
            _ => Answer::NotFound,
        };
        let resolution = CredentialChain::new().with(Fixed("a", with_entry)).with(Fixed("b", failed)).resolve(
            "r",
            "",
            RegistryRoles::default(),
        );
        assert_eq!((resolution.source.as_deref(), resolution.warnings.len()), (Some("a"), 1));
    }

    #[test]
    fn our_own_helper_is_asked_where_it_is_named() {
        let named = || match found() {
            Answer::Found(credential) => Answer::Own(Some(credential)),
            _ => Answer::NotFound,
        };
        let chain = |own: fn() -> Answer| {
            CredentialChain::new().with(Fixed("config", named)).with(Fixed("later", found)).with_own(Fixed("own", own))
        };
        let resolution = chain(found).resolve("r", "", RegistryRoles::default());
        assert_eq!(
            (resolution.source.as_deref(), &resolution.tried[..]),
            (Some("own"), &["config".into(), "own".into()][..])
        );
        let mut resolution = chain(|| Answer::NotFound).resolve("r", "", RegistryRoles::default());
        assert!(resolution.is_open(), "what else our helper knows may be asked");
        resolution.close();
        assert_eq!(resolution.source.as_deref(), Some("config"), "then what the config itself has");
        let mut resolution = chain(|| Answer::NotFound).resolve("r", "", RegistryRoles::default());
        assert_eq!(resolution.origin, None);
        let cluster = SecretOrigin::ClusterSecret;
        resolution.take("cluster".into(), cluster, Credential::RegistryToken(Secret::new("t".into())));
        resolution.close();
        assert_eq!((resolution.source.as_deref(), resolution.origin), (Some("cluster"), Some(cluster)));
        let mut resolution = chain(failed).resolve("r", "", RegistryRoles::default());
        resolution.close();
        assert!(resolution.credential.is_none() && resolution.failure.is_some(), "a failure ends the search");
        let without = CredentialChain::new().with(Fixed("a", || Answer::NotFound)).with_own(Fixed("own", found));
        assert_eq!(without.resolve("r", "", RegistryRoles::default()).tried, ["a", "own"], "else it is the last");
    }

    #[test]
    fn a_damaged_credential_is_neither_sent_nor_replaced() {
        let damaged = || Answer::Found(Credential::RegistryToken(Secret::new("a\nb".into())));
        let chain = CredentialChain::new().with(Fixed("a", damaged)).with(Fixed("b", found));
        let resolution = chain.resolve("r", "", RegistryRoles::default());
        assert!(resolution.credential.is_none() && !resolution.is_open());
        assert!(matches!(&resolution.failure, Some((name, CredentialError::Damaged(_))) if name == "a"));
    }

    #[test]
    fn a_source_that_the_registry_may_not_see_is_not_asked() {
        struct OfFlags(fn() -> Answer);
        impl CredentialSource for OfFlags {
            fn name(&self) -> String {
                "flags".to_owned()
            }
            fn origin(&self) -> SecretOrigin {
                SecretOrigin::Flags
            }
            fn find(&self, _registry: &str, _repository: &str) -> Answer {
                (self.0)()
            }
        }
        let destination = RegistryRoles { destination: true, ..RegistryRoles::default() };
        let base = RegistryRoles { base: true, ..RegistryRoles::default() };
        // Half a credential of another registry is no failure of this one.
        for outcome in [found, failed] {
            let chain = CredentialChain::new().with(OfFlags(outcome)).with(Fixed("a", || Answer::NotFound));
            let resolution = chain.resolve("r", "", base);
            assert!(resolution.is_open(), "{resolution:?}");
            assert_eq!((&resolution.tried[..], &resolution.withheld[..]), (&["a".into()][..], &["flags".into()][..]));
            let resolution = chain.resolve("r", "", destination);
            assert_eq!(resolution.origin, resolution.credential.as_ref().map(|_| SecretOrigin::Flags));
            assert!(!resolution.is_open() && resolution.withheld.is_empty(), "{resolution:?}");
        }
    }

    #[test]
    fn nobody_knows_nobody() {
        let resolution =
            CredentialChain::new().with(Fixed("a", || Answer::NotFound)).resolve("r", "", RegistryRoles::default());
        assert!(resolution.is_open() && resolution.warnings.is_empty());
        assert_eq!(resolution.tried, ["a"]);
    }

    #[test]
    fn what_is_shown_for_debugging_holds_no_secret() {
        let shown =
            format!("{:?}", CredentialChain::new().with(Fixed("a", found)).resolve("r", "", RegistryRoles::default()));
        assert!(shown.contains("giteaAdmin") && !shown.contains("hunter2"), "{shown}");
    }
}
