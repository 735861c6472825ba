//! A directory becomes an OCI image in a local store, and from there a verified image in a registry.
//!
//! Boxes, top to bottom; what is above may use what is below, never the reverse, and neighbours do
//! not know each other, `cluster` excepted, which answers in terms of `tls` and `credentials` (a test
//! reads the `use` lines):
//!
//! | level | modules | what |
//! |---|---|---|
//! | 5 | `cli` | commands: arguments in, text and exit codes out |
//! | 4 | `ops`, `serve` | one operation each, typed in, typed out; operations do not know each other |
//! | 3 | `layer`, `store`, `registry` | directory to blob; blobs on disk; blobs on the wire |
//! | 2 | `context`, `tls`, `credentials`, `cluster` | what goes in; whom to trust; who we are; what the cluster says of itself |
//! | 1 | `image`, `config`, `audit` | names and documents of the specifications; settings; the audit log |
//! | 0 | `progress`, `fs`, `text`, `threads`, `children`, `env`, `work` | events, files, texts of others, threads, programs that are asked, the process's surroundings, tests' counts of work |
//!
//! Nothing below `cli` prints, reads the environment or exits.

// `print!` and its kin panic where standard output or error cannot be written to.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod audit;
pub mod children;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod context;
pub mod credentials;
pub mod env;
pub mod fs;
pub mod image;
pub mod layer;
pub mod ops;
pub mod progress;
pub mod registry;
pub mod serve;
pub mod store;
mod text;
pub mod threads;
pub mod tls;
#[cfg(test)]
mod work;
