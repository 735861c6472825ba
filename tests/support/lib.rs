//! What the suites share: a sandbox in which the executable runs, a laboratory of registries that fail on purpose, and
//! stand-ins for the servers and programs around them.
//!
//! | module | what |
//! |---|---|
//! | [`sandbox`] | the executable with a home, a directory and variables of its own |
//! | [`lab`] | a registry that fails at the byte or request a script names, and behaves as Gitea, Harbor, GHCR and others do |
//! | [`scripted`] | a server that answers raw bytes in the order of a script |
//! | [`server`], [`terminal`] | the embedded registry as a child process; a pseudo-terminal for questions |
//! | [`docker_registry`], [`nginx`] | Debian's docker-registry and nginx on free ports of loopback |
//! | [`api_server`] | a stand-in for the API server of an idpbuilder cluster |
//! | [`impostor`] | a registry with a certificate of another name |
//! | [`schemas`] | the image specification's JSON schemas |
//! | [`fixture`], [`seed`] | images of known bytes; seeds of random tests |

pub mod api_server;
pub mod docker_registry;
pub mod fixture;
pub mod impostor;
pub mod lab;
pub mod nginx;
pub mod sandbox;
pub mod schemas;
pub mod scripted;
pub mod seed;
pub mod server;
pub mod terminal;
