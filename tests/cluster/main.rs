//! Push and pull with nothing but a kubeconfig, against a stand-in for the API server and the embedded
//! registry with a certificate of idpbuilder's kind; and what is said when something of it is missing.

#[path = "../support/api_server.rs"]
mod api_server;
#[expect(dead_code, reason = "the other suites use more of it")]
#[path = "../support/docker_registry.rs"]
mod docker_registry;
#[expect(dead_code, reason = "the other suites use more of it")]
#[path = "../support/sandbox.rs"]
mod sandbox;
#[expect(dead_code, reason = "the other suites use more of it")]
#[path = "../support/server.rs"]
mod server;
#[expect(dead_code, reason = "the other suites use more of it")]
#[path = "../support/terminal.rs"]
mod terminal;

mod broken;
mod fixture;
mod found;
mod helper;
mod inputs;
mod login;
mod reach;
mod whole;
