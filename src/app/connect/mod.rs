//! Decides which registry a command talks to, which certificates it trusts, and which credential it shows.

#[cfg(test)]
mod addresses;
mod audience;
mod cluster;
mod destination;
mod entries;
mod error;
mod registry;
mod sources;
mod trust;

use super::{Console, Surroundings};
pub(crate) use cluster::names_in_use;
pub use cluster::{ClusterConnection, ClusterOptions};
pub(crate) use destination::{address, bare_registry, names_image};
pub(crate) use entries::{credential_store, kept};
pub use error::{AnotherCertificate, ConnectError, NoOwner, NoRegistry, NotAdmitted};
pub(crate) use registry::proxies;
pub use registry::{Connection, LoginOptions, RegistryOptions, Target};
pub(crate) use sources::{before_stored, chain, resolve, with_source};
pub(crate) use trust::{add_system_roots, other_directories, trust_store, trusted};

/// What a workflow works with besides its options: the person in front of it, and the process around it.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    /// Tells and asks.
    pub console: &'a dyn Console,
    /// Paths, settings and variables.
    pub surroundings: &'a Surroundings,
}
