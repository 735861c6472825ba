//! Which registry a command talks to, whom it trusts, and whose credential it shows.

#[cfg(test)]
pub(crate) mod addresses;
pub(crate) mod audience;
pub(crate) mod base_image;
pub(crate) mod cluster;
pub(crate) mod entries;
pub(crate) mod registry;
pub(crate) mod sources;
