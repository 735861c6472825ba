//! A directory becomes an OCI image in a local store, and from there a verified image in a registry.
//!
//! Boxes, top to bottom; what is above may use what is below, never the reverse, and neighbours do
//! not know each other, `cluster` excepted, which answers in terms of `tls` and `credentials` (a test
//! reads the `use` lines):
//!
//! | level | modules | what |
//! |---|---|---|
//! | 5 | `cli` | applets: arguments in, text and exit codes out |
//! | 4 | use cases | typed in, typed out; the only place where the boxes below meet |
//! | 3 | `layer`, `store`, `registry` | directory to blob; blobs on disk; blobs on the wire |
//! | 2 | `context`, `tls`, `credentials`, `cluster` | what goes in; whom to trust; who we are; what the cluster says of itself |
//! | 1 | `image`, `config` | names and documents of the specifications; settings |
//! | 0 | `progress`, `fs`, `text`, `threads`, `children`, `env`, `work` | events, files, texts of others, threads, programs that are asked, the process's surroundings, tests' counts of work |
//!
//! Nothing below `cli` prints, reads the environment or exits.

// `print!` and its kin panic where standard output or error cannot be written to.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod archive;
pub mod audit;
pub mod build;
pub mod children;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod context;
pub mod credentials;
pub mod doctor;
pub mod env;
pub mod explain;
pub mod fs;
pub mod image;
pub mod index;
pub mod inspect;
pub mod layer;
pub mod list;
pub mod login;
pub mod progress;
pub mod pull;
pub mod push;
pub mod registry;
pub mod remove;
pub mod serve;
pub mod store;
pub mod tag;
mod text;
pub mod threads;
pub mod tls;
pub mod trust;
pub mod wiring;
#[cfg(test)]
mod work;
