//! The executable as a person sees it: arguments in, both streams and the exit code out.
//!
//! `multicall` has dispatch and links, `generated` the committed completions and man pages, the other modules an
//! applet or a promise each. No module needs more than this machine's loopback.

mod advice;
mod ambiguous;
mod audience;
mod bases;
mod build;
mod composed;
mod configured;
mod doctor;
mod generated;
mod habits;
mod helper;
mod indexes;
mod insecure;
mod keyring;
mod landing;
mod layers;
mod login;
mod markers;
mod multicall;
mod names;
mod observed;
mod outputs;
mod publish;
mod push;
mod questions;
mod readme;
mod reproducible;
mod roots;
mod scripts;
mod secrets;
mod sources;
mod store;
mod trust;
mod trust_install;
mod trust_programs;
mod verification;
mod wiring;
mod words;

use testkit::{api_server, impostor, sandbox, scripted, server, terminal};

use crate::sandbox::Sandbox;

/// A sandbox with one image, `app:v1`.
fn with_image() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("app/file", "content");
    sandbox.run(&["idpbuilder-build", "app", "-t", "app:v1", "-q", "--platform", "linux/amd64"]).success();
    sandbox
}
