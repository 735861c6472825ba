//! Checks a login against the registry before it is stored.

use crate::registry::{Registry, RegistryConfig, RegistryError};

/// A registry's answer to a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The registry required a login and accepted this one.
    Accepted,
    /// The registry requires no login, so this one was not checked.
    NotAsked,
}

/// Checks the configuration's credential with the registry's base endpoint.
///
/// # Errors
///
/// Fails if the registry refuses the credential or cannot be reached.
pub async fn check(config: RegistryConfig) -> Result<Proof, RegistryError> {
    let registry = Registry::open(config)?;
    registry.authenticate("").await?;
    Ok(if registry.asks_nobody() { Proof::NotAsked } else { Proof::Accepted })
}
