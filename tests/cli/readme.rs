//! Every `sh` block of the README runs, in order, in one shell, as a new user would type it.

use std::process::Command;

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
/// shape, and by a `kubectl` that answers the two questions of the example.
#[test]
fn the_cluster_example_works() {
    let sandbox = sandbox();
    sandbox.file("site/index.html", "x");
    sandbox.run(&["idpbuilder-build", "site", "-t", "site:v2", "-q"]).success();
    let token = crate::sandbox::SECRETS[1];
    let hash = bcrypt::hash(token, 4).expect("bcrypt");
    sandbox.file("htpasswd", format!("giteaAdmin:{hash}\n"));
    let name = ["--tls-name", "gitea.cnoe.localtest.me"];
    let mut arguments = vec!["--tls", "--tls-cert-out", "ca.pem", "--htpasswd", "htpasswd"];
    arguments.extend(name);
    let server = Server::start(&sandbox, &arguments);
    let kubectl = format!(
        "#!/bin/sh\ncase \"$*\" in\n*idpbuilder-cert*ca*crt*) base64 < {} ;;\n*gitea-credential*token*) printf %s {token} | base64 ;;\n*) exit 1 ;;\nesac\n",
        sandbox.work().join("ca.pem").display()
    );
    let kubectl = sandbox.file("bin/kubectl", kubectl);
    std::fs::set_permissions(kubectl, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("mode");
    let port = server.address.rsplit(':').next().expect("a port");
    run(&blocks("sh cluster").replace("8443", port), &sandbox);
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
