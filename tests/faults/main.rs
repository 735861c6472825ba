//! Pushes and pulls through everything that goes wrong between a client and a registry.
//!
//! | module | what |
//! |---|---|
//! | `laboratory` | the instruments themselves, by raw HTTP |
//! | `checklist` | a test for each thing that a robust client does |
//! | `registries` | a test for each registry that is known to be different |
//! | `behind` | Debian's docker-registry and nginx, behind links that break |
//! | `random` | 50 pushes through faults nobody thought of; 500 with `FAULT_NIGHTLY=1` |
//! | `killed` | 12 pushes of the executable killed at any instant and run again; 100 with `FAULT_NIGHTLY=1` |
//! | `pulling` | pulls whose blobs break off, lie about ranges, or are killed and run again |
//! | `outages` | a registry that is away for a while, at each step of an upload |
//! | `large` | a push over a link that breaks again and again; 3 GiB of it with `FAULT_NIGHTLY=1` |
//!
//! `FAULT_SEED=...` plays a random part again; a test that fails shows its seed.

mod behind;
mod checklist;
mod counted;
mod killed;
mod laboratory;
mod large;
mod outages;
mod pulling;
mod pushing;
mod random;
mod registries;

use testkit::{docker_registry, fixture, lab, nginx, sandbox, seed};
