//! Credentials for a registry: an ordered chain of sources, of which the first with a credential wins.
//!
//! The next source is asked only if a source has nothing. A source that fails ends the search, so that no request is
//! silently made as another user. The exception is a helper that a config names for every registry (`credsStore`): its
//! failure is a warning. If a config names our own helper, our own sources are asked at that point, in this process. A
//! source is skipped if the registry may not see its secrets (`audience`).
//!
//! Sources may read files and start helpers, so callers that must not block resolve on a separate thread. The caller
//! passes variables and paths.

mod audience;
mod auth_files;
mod chain;
mod docker_config;
mod environment;
mod error;
mod explicit;
mod helper;
mod host;
mod secret;
mod store;

pub use audience::{RegistryRole, RegistryRoles, SecretOrigin, may_see};
pub use auth_files::{AuthPlaces, auth_files};
pub use chain::{CredentialChain, Resolution};
pub use docker_config::DockerConfig;
pub use environment::{ANY_USERNAME, Environment, SECRET_VARIABLES};
pub use error::CredentialError;
pub use explicit::ExplicitCredential;
pub use helper::{HELPER_LIMIT, Helpers, MAX_ANSWER_BYTES, OWN_HELPER};
pub use host::{HostKey, InvalidHostKey};
pub use secret::Secret;
pub use store::{
    CredentialStore, EntriesError, Item, KEYRING_LIMIT, Kept, Keyring, KeyringError, MAX_FIELD_BYTES, OwnEntry,
    SystemKeyring,
};

pub use crate::config::StoreKind;

use std::path::PathBuf;

/// The largest credentials file, in bytes.
pub const MAX_CONFIG_BYTES: u64 = 1024 * 1024;

/// A credential for a registry or its token server.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A user name and a password, or a token in its place (RFC 7617).
    Basic {
        /// The user name, case kept.
        username: String,
        /// The password or access token.
        secret: Secret,
    },
    /// An access token and the password of one user, from one place. The password is shown where the token was refused.
    TokenOrPassword {
        /// The user name, case kept.
        username: String,
        /// The access token.
        token: Secret,
        /// The password.
        password: Secret,
        /// The place, for messages.
        place: String,
    },
    /// A refresh token that the registry's token server exchanges for others.
    IdentityToken {
        /// The user; empty if the source does not name one.
        username: String,
        /// The token.
        token: Secret,
    },
    /// A token sent to the registry as it is.
    RegistryToken(Secret),
}

impl Credential {
    /// Returns the user whose name goes with a password or an access token.
    pub fn username(&self) -> Option<&str> {
        match self {
            Self::Basic { username, .. } | Self::TokenOrPassword { username, .. } => Some(username),
            Self::IdentityToken { .. } | Self::RegistryToken(_) => None,
        }
    }

    /// Returns what is wrong with a credential that cannot be one: it is never sent, and nothing else is tried in its
    /// place. RFC 7617 forbids control characters in user names and passwords, and a colon in user names; a token is
    /// one word of visible ASCII.
    pub fn damage(&self) -> Option<&'static str> {
        let controls = |text: &str| text.contains(char::is_control);
        let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let pair = |username: &str, secret: &Secret| match (username, secret.expose()) {
            (username, _) if username.contains(':') => Some("the user name has a colon"),
            (username, _) if controls(username) => Some("the user name has a line break or control character"),
            (_, secret) if controls(secret) => Some("the password has a line break or control character"),
            _ => None,
        };
        match self {
            Self::Basic { username, secret } => pair(username, secret),
            Self::TokenOrPassword { username, token, password, .. } => {
                pair(username, token).or_else(|| pair(username, password))
            }
            Self::IdentityToken { token, .. } | Self::RegistryToken(token) => match token.expose() {
                "" => Some("the token is empty"),
                token if !is_word(token) => Some("the token has a space, line break or character that no token has"),
                _ => None,
            },
        }
    }
}

/// A source's answer for one registry.
#[derive(Debug)]
pub enum Answer {
    /// The source has this credential.
    Found(Credential),
    /// The source has no credential; the next source is asked.
    NotFound,
    /// The source should have a credential and cannot provide it.
    Failed(CredentialError),
    /// The source names our own helper for the registry. The credential is used if the helper has none.
    Own(Option<Credential>),
    /// A helper for every registry failed. The credential is the source's own one, if any.
    Doubtful(CredentialError, Option<Credential>),
}

/// A place where credentials may be.
pub trait CredentialSource: Send + Sync {
    /// Returns the source's name for messages.
    fn name(&self) -> String;

    /// Returns where the secrets come from, which decides which registries may see them.
    fn origin(&self) -> SecretOrigin {
        SecretOrigin::NamedEntry
    }

    /// Returns the file that holds the secret for a repository itself, if other users of this machine can read it.
    /// Asked only of a source that has a credential.
    fn exposed(&self, _registry: &str, _repository: &str) -> Option<PathBuf> {
        None
    }

    /// Returns the answer for a repository of a registry (`host` or `host:port`). An empty repository means
    /// the registry as a whole.
    fn find(&self, registry: &str, repository: &str) -> Answer;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_credential_is_told_from_one() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let basic =
            |username: &str, password| Credential::Basic { username: username.into(), secret: secret(password) };
        let identity = |token| Credential::IdentityToken { username: String::new(), token: secret(token) };
        let registry = |token| Credential::RegistryToken(secret(token));
        for good in [basic("u", "p:@ /ü"), basic("", ""), basic("a b", " p "), identity("eyJ.a-b_c~+/="), registry("t")]
        {
            assert_eq!(good.damage(), None, "{good:?}");
        }
        for bad in [
            basic("u:v", "p"),
            basic("u\n", "p"),
            basic("u", "p\n"),
            basic("u", "p\r\nX: y"),
            basic("u", "\0"),
            basic("u", "p\u{7f}"),
            identity(""),
            identity("a b"),
            identity("a\n"),
            identity("ü"),
            registry(""),
            registry("\t"),
            registry(" a"),
        ] {
            assert!(bad.damage().is_some(), "{bad:?}");
        }
    }
}
