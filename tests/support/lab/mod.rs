//! A fault laboratory: a registry and a network that fail exactly as a script says, and remember everything.
//!
//! | module | what |
//! |---|---|
//! | `script` | which request, or which byte, meets which fault: plain values |
//! | `profile` | what a client sees of Gitea, distribution, GHCR and others: plain values |
//! | `record` | every exchange, as the registry saw it |
//! | `state` | repositories, sessions and manifests, without a network |
//! | `access` | challenges, tokens and who may do what |
//! | `handler` | one request: script, access, state, answer |
//! | `serve` | listeners, TLS and the wire that can be cut |
//! | `proxy` | a relay that breaks connections at a byte, whatever is behind it |
//! | `invariants` | what has to hold after every push |

pub mod access;
pub mod content;
pub mod handler;
pub mod invariants;
pub mod profile;
pub mod proxy;
pub mod record;
pub mod request;
pub mod script;
pub mod serve;
pub mod state;
pub mod uploads;
pub mod wire;
