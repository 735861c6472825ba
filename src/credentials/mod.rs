//! Who we are to a registry: sources in order, the first that answers wins.
//!
//! Only a source that has nothing lets the next one try; one that fails ends the search, so that
//! nobody is silently taken for somebody else. Sources may read files and start helpers: callers
//! that must not wait resolve on a thread of their own. Variables and paths are given by the caller.

mod docker_config;
mod environment;
mod given;
mod helper;
mod host;
mod own;
mod secret;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub use docker_config::{DockerConfig, MAX_CONFIG_BYTES};
pub use environment::{ANY_USERNAME, Environment};
pub use given::Given;
pub use helper::{HELPER_VARIABLES, HelperEnvironment, MAX_ANSWER_BYTES, OWN_HELPER};
pub use host::{HostKey, InvalidHostKey};
pub use own::{
    EntriesError, Item, KEYRING_LIMIT, Kept, Keyring, KeyringError, MAX_FIELD_BYTES, OwnEntries, OwnEntry,
    SystemKeyring,
};
pub use secret::Secret;

pub use crate::config::StoreKind;

/// What a registry, or its token server, is shown.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A user name and a password, or what stands for one (RFC 7617).
    Basic {
        /// The user name, case kept.
        username: String,
        /// The password or access token.
        secret: Secret,
    },
    /// A refresh token that the registry's token server exchanges for others.
    IdentityToken {
        /// Whose it is; empty where the source does not say.
        username: String,
        /// The token.
        token: Secret,
    },
    /// A token sent to the registry as it is.
    RegistryToken(Secret),
}

/// What one source says about one registry.
#[derive(Debug)]
pub enum Answer {
    /// It has this.
    Found(Credential),
    /// It has nothing; the next source may.
    NotFound,
    /// It should have something and cannot give it.
    Failed(CredentialError),
}

/// A place where credentials may be.
pub trait CredentialSource: Send + Sync {
    /// What to call it in messages.
    fn name(&self) -> String;

    /// Its answer for a repository of a registry (`host` or `host:port`). An empty repository means
    /// the registry as a whole.
    fn find(&self, registry: &str, repository: &str) -> Answer;
}

/// Sources in the order they are asked.
#[derive(Default)]
pub struct CredentialChain {
    sources: Vec<Box<dyn CredentialSource>>,
}

/// How a search for a credential ended.
#[derive(Debug, Default)]
pub struct Resolution {
    /// The credential, if any source had one.
    pub credential: Option<Credential>,
    /// The name of the source that had it.
    pub source: Option<String>,
    /// What failed, with the source's name.
    pub failures: Vec<(String, CredentialError)>,
    /// Every source that was asked, in order.
    pub tried: Vec<String>,
}

impl CredentialChain {
    /// A chain that knows nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a source that is asked after those before it.
    #[must_use]
    pub fn with(mut self, source: impl CredentialSource + 'static) -> Self {
        self.sources.push(Box::new(source));
        self
    }

    /// Asks the sources until one has a credential or fails.
    pub fn resolve(&self, registry: &str, repository: &str) -> Resolution {
        let mut resolution = Resolution::default();
        for source in &self.sources {
            let name = source.name();
            resolution.tried.push(name.clone());
            match source.find(registry, repository) {
                Answer::NotFound => {}
                Answer::Found(credential) => {
                    resolution.credential = Some(credential);
                    resolution.source = Some(name);
                    break;
                }
                Answer::Failed(error) => {
                    resolution.failures.push((name, error));
                    break;
                }
            }
        }
        resolution
    }
}

impl std::fmt::Debug for CredentialChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.sources.iter().map(|source| source.name())).finish()
    }
}

/// Why a source that should have a credential could not give it. Holds no secret and nothing a
/// helper said.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// Half a credential: somebody, without proof.
    #[error("{username} names a user, but there is no {}", secrets.join(" or "))]
    MissingSecret {
        /// Where the user name is.
        username: String,
        /// Where its secret could be.
        secrets: Vec<String>,
    },
    /// Half a credential: proof, without somebody.
    #[error("{secret} is given, but there is no {}", usernames.join(" or "))]
    MissingUsername {
        /// Where the secret is.
        secret: String,
        /// Where its user name could be.
        usernames: Vec<String>,
    },
    /// The system refused.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Larger than any credentials file.
    #[error("{origin} is larger than the {MAX_CONFIG_BYTES} bytes allowed")]
    TooLarge {
        /// The file or variable.
        origin: String,
    },
    /// Not JSON, or not of the form that Docker's config file has.
    #[error("{origin} is not a Docker config file (line {line}, column {column})")]
    Syntax {
        /// The file or variable.
        origin: String,
        /// Where, counted from 1.
        line: usize,
        /// Where in the line.
        column: usize,
    },
    /// The entry for the registry is there but makes no sense.
    #[error("the entry for {registry} in {origin} is not a credential")]
    Entry {
        /// The file or variable.
        origin: String,
        /// Whose entry.
        registry: String,
    },
    /// A helper's name that cannot be one.
    #[error("{origin} names {helper:?} as credential helper, which is not a name")]
    HelperName {
        /// The file or variable.
        origin: String,
        /// The name.
        helper: String,
    },
    /// The helper did not start; it may not be installed.
    #[error("cannot start the credential helper `{program}`")]
    HelperStart {
        /// The program.
        program: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The helper was stopped because it took too long.
    #[error("the credential helper `{program}` did not answer within {} seconds", waited.as_secs())]
    HelperDeadline {
        /// The program.
        program: String,
        /// How long it had.
        waited: Duration,
    },
    /// The helper failed, and not because it has no credential.
    #[error("the credential helper `{program}` failed{}", status.map(|code| format!(" (exit {code})")).unwrap_or_default())]
    HelperFailed {
        /// The program.
        program: String,
        /// Its exit code, unless a signal ended it.
        status: Option<i32>,
    },
    /// The helper succeeded and said something that is not a credential.
    #[error("the credential helper `{program}` answered with something other than a credential")]
    HelperAnswer {
        /// The program.
        program: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let resolution = chain.with(Fixed("c", failed)).resolve("r", "");
        assert!(matches!(resolution.credential, Some(Credential::Basic { username, .. }) if username == "giteaAdmin"));
        assert_eq!(resolution.source.as_deref(), Some("b"));
        assert_eq!(resolution.tried, ["a", "b"]);
        assert!(resolution.failures.is_empty());
    }

    #[test]
    fn a_failure_ends_the_search() {
        let chain = CredentialChain::new().with(Fixed("a", failed)).with(Fixed("b", found));
        let resolution = chain.resolve("r", "");
        assert!(resolution.credential.is_none() && resolution.source.is_none());
        assert!(matches!(&resolution.failures[..], [(name, CredentialError::Entry { .. })] if name == "a"));
        assert_eq!(resolution.tried, ["a"]);
    }

    #[test]
    fn nobody_knows_nobody() {
        let resolution = CredentialChain::new().with(Fixed("a", || Answer::NotFound)).resolve("r", "");
        assert!(resolution.credential.is_none() && resolution.failures.is_empty());
        assert_eq!(resolution.tried, ["a"]);
    }

    #[test]
    fn what_is_shown_for_debugging_holds_no_secret() {
        let shown = format!("{:?}", CredentialChain::new().with(Fixed("a", found)).resolve("r", ""));
        assert!(shown.contains("giteaAdmin") && !shown.contains("hunter2"), "{shown}");
    }
}
