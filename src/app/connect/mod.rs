//! Which registry a command talks to, whom it trusts, and whose credential it shows.

#[cfg(test)]
mod addresses;
mod audience;
mod cluster;
mod entries;
mod error;
mod registry;
mod sources;

use super::{Console, Surroundings};
pub(crate) use cluster::names_in_use;
pub use cluster::{ClusterConnection, ClusterOptions};
pub(crate) use entries::{credential_store, kept};
pub use error::{AnotherCertificate, ConnectError, NoOwner, NoRegistry, NotAdmitted};
pub use registry::{Connection, LoginOptions, RegistryOptions, Target};
pub(crate) use registry::{
    add_system_roots, address, bare_registry, names_image, other_directories, proxies, trust_store, trusted,
};
pub(crate) use sources::{before_stored, chain, resolve, with_source};

/// What a workflow works with besides its options: the person in front of it, and the process around it.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    /// Tells and asks.
    pub console: &'a dyn Console,
    /// Paths, settings and variables.
    pub surroundings: &'a Surroundings,
}
