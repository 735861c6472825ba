//! Whether a login is good, before it is kept.

use crate::registry::{Registry, RegistryConfig, RegistryError};

/// What a registry said to a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// It asked for one and took it.
    Accepted,
    /// It asks nobody: this one may be good or not.
    NotAsked,
}

/// Shows the configuration's credential to its registry as a whole.
pub async fn check(config: RegistryConfig) -> Result<Proof, RegistryError> {
    let registry = Registry::open(config)?;
    registry.authenticate("").await?;
    Ok(if registry.asks_nobody() { Proof::NotAsked } else { Proof::Accepted })
}
