//! Pushes through everything that goes wrong between a client and a registry.
//!
//! `laboratory` tests the instruments by raw HTTP; `checklist` has a test for each thing a robust client does; `behind`
//! has Debian's docker-registry and nginx.

#[path = "../support/docker_registry.rs"]
#[expect(dead_code, reason = "the suite about the client uses more of it")]
mod docker_registry;
#[expect(dead_code, reason = "the suite about the client uses more of it")]
#[path = "../registry/fixture.rs"]
mod fixture;
#[expect(dead_code, reason = "a script can say more than one suite has to")]
#[path = "../support/lab/mod.rs"]
mod lab;
#[path = "../support/nginx.rs"]
mod nginx;

mod behind;
mod checklist;
mod laboratory;
mod pushing;
