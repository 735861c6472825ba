//! Every `sh` block of the README runs, in order, in one shell, as a new user would type it.

use std::process::Command;

use crate::api_server::{Answers, ApiServer, CERTIFICATE, CREDENTIAL, LOCALBUILDS, kubeconfig, localbuild, secret};
use crate::sandbox::Sandbox;
use crate::server::Server;

/// Blocks whose info string is `kind`, joined.
fn blocks(kind: &str) -> String {
    let readme = include_str!("../../README.md");
    let mut script = String::new();
    let mut inside = false;
    for line in readme.lines() {
        match line.strip_prefix("```") {
            Some(info) => inside = !inside && info == kind,
            None if inside => {
                script.push_str(line);
                script.push('\n');
            }
            None => {}
        }
    }
    assert!(script.lines().count() > 0, "the README has no `{kind}` block");
    script
}

/// A port nobody listens on right now.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
    listener.local_addr().expect("bound").port()
}

/// A sandbox whose PATH has the applets first.
fn sandbox() -> Sandbox {
    for tool in ["skopeo", "umoci"] {
        assert!(Command::new(tool).arg("--version").output().is_ok(), "{tool} is missing: bin/test installs it");
    }
    let mut sandbox = Sandbox::new();
    sandbox.run(&["idpbuilder-oci", "install", "--dir", "bin"]).success();
    let path = format!("{}:/usr/bin:/bin", sandbox.work().join("bin").display());
    sandbox.set("PATH", path);
    sandbox
}

#[track_caller]
fn run(script: &str, sandbox: &Sandbox) {
    let output = sandbox.shell(script).output().expect("bash runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{script}\n--- stdout\n{}\n--- stderr\n{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

#[test]
fn the_examples_work() {
    let script = blocks("sh").replace("127.0.0.1:5000", &format!("127.0.0.1:{}", free_port()));
    run(&script, &sandbox());
}

#[test]
fn the_installation_works() {
    let sandbox = sandbox();
    let executable = crate::sandbox::executable();
    run(&blocks("sh install").replace("target/release/idpbuilder-oci", &executable.display().to_string()), &sandbox);
    assert!(sandbox.home().join(".local/bin/idpbuilder-push").is_symlink());
}

/// The cluster's part is played by the embedded registry under the cluster's name, with a certificate of the same
/// shape, and by a stand-in for the API server that the kubeconfig leads to.
#[test]
fn the_cluster_example_works() {
    let sandbox = sandbox();
    sandbox.file("site/index.html", "x");
    let token = crate::sandbox::SECRETS[1];
    let hash = bcrypt::hash(token, 4).expect("bcrypt");
    sandbox.file("htpasswd", format!("giteaAdmin:{hash}\n"));
    let arguments =
        ["--tls", "--tls-name", "gitea.cnoe.localtest.me", "--tls-cert-out", "ca.pem", "--htpasswd", "htpasswd"];
    let server = Server::start(&sandbox, &arguments);
    let port = server.address.rsplit(':').next().expect("a port");
    let pem = std::fs::read_to_string(sandbox.work().join("ca.pem")).expect("written");
    let api = ApiServer::start(Answers::from([
        (LOCALBUILDS.to_owned(), (200, localbuild(port, false))),
        (CREDENTIAL.to_owned(), (200, secret(&[("username", "giteaAdmin"), ("token", token)]))),
        (CERTIFICATE.to_owned(), (200, secret(&[("ca.crt", &pem)]))),
    ]));
    std::fs::create_dir(sandbox.home().join(".kube")).expect("a directory");
    let config = kubeconfig("kind-localdev", &[api.context("kind-localdev")]);
    std::fs::write(sandbox.home().join(".kube/config"), config).expect("written");
    run(&blocks("sh cluster"), &sandbox);
    let index = std::fs::read_to_string(sandbox.work().join("served/index.json")).expect("a layout");
    assert!(index.contains("giteaadmin/site:v3"), "{index}");
}

#[test]
#[ignore = "needs a Docker Engine; bin/test runs it"]
fn the_docker_example_works() {
    let mut sandbox = sandbox();
    if let Some(host) = std::env::var_os("DOCKER_HOST") {
        sandbox.set("DOCKER_HOST", host);
    }
    let setup = "mkdir site; echo x > site/index.html; idpbuilder-build site -t site:v2\n";
    run(
        &format!("{setup}{}docker image inspect site:v2 >/dev/null; docker image rm site:v2\n", blocks("sh docker")),
        &sandbox,
    );
}

#[test]
fn the_two_commands_are_named() {
    let readme = include_str!("../../README.md");
    for command in ["    bin/quickstart\n", "    bin/test\n"] {
        assert!(readme.contains(command), "{command}");
    }
}
