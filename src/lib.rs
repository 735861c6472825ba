//! Builds OCI images from directories, keeps them in a local store, and moves them between the store and registries,
//! the registry of an idpbuilder cluster first of all.
//!
//! # How to read it
//!
//! Start with [`image`]: references, digests, descriptors and documents, in the words of the specifications. Then follow
//! one of the two flows. A build goes through [`ops::build`], [`context`], [`layer`] and [`store`]; a push goes through
//! [`ops::push`] and [`registry`]. [`cli`] turns arguments into the plain configuration of one operation and renders
//! what it returns. `docs/ARCHITECTURE.md` has the map, `docs/design/` the reasons, `docs/GLOSSARY.md` the words, and
//! `examples/push_directory.rs` is a whole program.
//!
//! # Levels
//!
//! A module uses the levels below its own, never one above, and no sibling on its level. `cluster` is the exception: its
//! errors and secrets are those of `tls` and `credentials`. A test reads the `use` lines.
//!
//! | level | modules | what |
//! |---|---|---|
//! | 6 | `cli` | commands: arguments in, text and exit codes out |
//! | 5 | `app` | workflows over several operations: values and notices out, questions through a trait |
//! | 4 | `ops`, `serve` | one operation each, typed in, typed out; operations do not know each other |
//! | 3 | `layer`, `store`, `registry` | directory to blob; blobs on disk; blobs on the wire |
//! | 2 | `context`, `tls`, `credentials`, `cluster` | what goes in; which servers to trust; which credential to show; what the cluster says of itself |
//! | 1 | `image`, `config`, `audit` | names and documents of the specifications; settings; the audit log |
//! | 0 | `progress`, `fs`, `text`, `threads`, `children`, `env`, `work` | events, files, text from other programs, threads, child processes, the process's surroundings, tests' counts of work |
//!
//! Nothing below `cli` prints, reads the environment or exits.

// `print!` and its kin panic where standard output or error cannot be written to.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod app;
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
