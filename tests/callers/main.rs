//! docker, podman and skopeo with our credential helper between them and a registry that wants a login.
//!
//! The programs are Debian's, the registry is docker-registry with passwords and TLS, the cluster is a stand-in for its
//! API server. Registries are on this machine's loopback, which the engine reaches as well. Each test needs a Docker
//! Engine, Podman or skopeo, so it is ignored unless asked for: `bin/test` asks for all of them.

mod broken;
mod kept;
mod wired;
mod world;

use testkit::{api_server, docker_registry, sandbox};
