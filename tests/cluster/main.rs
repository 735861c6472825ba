//! Push and pull with nothing but a kubeconfig, against a stand-in for the API server and the embedded
//! registry with a certificate of idpbuilder's kind; and what is said when something of it is missing.

mod broken;
mod fixture;
mod found;
mod helper;
mod inputs;
mod login;
mod reach;
mod whole;

use testkit::{api_server, docker_registry, sandbox, server, terminal};
