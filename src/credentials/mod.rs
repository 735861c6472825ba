//! Who we are to a registry: sources in order, the first that answers wins.
//!
//! Only a source that has nothing lets the next one try; one that fails ends the search, so that
//! nobody is silently taken for somebody else. A helper for every registry that fails is told and passed over. Where
//! a config names our own helper, our own sources are asked at that place, in this process. A source is passed over
//! where the registry may not see its secrets (`audience`). Sources may read files
//! and start helpers: callers that must not wait resolve on a thread of their own. Variables and paths are given by
//! the caller.

mod audience;
mod auth_files;
mod chain;
mod docker_config;
mod environment;
mod error;
mod given;
mod helper;
mod host;
mod own;
mod secret;

pub use audience::{RegistryRole, RegistryRoles, SecretOrigin, may_see};
pub use auth_files::{AuthPlaces, auth_files};
pub use chain::{CredentialChain, Resolution};
pub use docker_config::{DockerConfig, MAX_CONFIG_BYTES};
pub use environment::{ANY_USERNAME, Environment, SECRET_VARIABLES};
pub use error::CredentialError;
pub use given::Given;
pub use helper::{HELPER_LIMIT, Helpers, MAX_ANSWER_BYTES, OWN_HELPER};
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
    /// It leaves the registry to our own helper. The credential is for when that has none.
    Own(Option<Credential>),
    /// Something that is for every registry failed. The credential is what the source has besides.
    Doubtful(CredentialError, Option<Credential>),
}

/// A place where credentials may be.
pub trait CredentialSource: Send + Sync {
    /// What to call it in messages.
    fn name(&self) -> String;

    /// Where its secrets come from, which decides which registries may see them.
    fn origin(&self) -> SecretOrigin {
        SecretOrigin::NamedEntry
    }

    /// Its answer for a repository of a registry (`host` or `host:port`). An empty repository means
    /// the registry as a whole.
    fn find(&self, registry: &str, repository: &str) -> Answer;
}
