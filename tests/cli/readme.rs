//! Every `sh` block of the README runs, in order, in one shell, as a new user would type it.

use std::process::Command;

use crate::sandbox::Sandbox;

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

fn run(script: &str, sandbox: &mut Sandbox) {
    for tool in ["skopeo", "umoci"] {
        assert!(Command::new(tool).arg("--version").output().is_ok(), "{tool} is missing: bin/test installs it");
    }
    sandbox.run(&["idpbuilder-oci", "install", "--dir", "bin"]).success();
    let path = format!("{}:/usr/bin:/bin", sandbox.work().join("bin").display());
    sandbox.set("PATH", path);
    let script = script.replace("127.0.0.1:5000", &format!("127.0.0.1:{}", free_port()));
    let mut shell = sandbox.command(&["bash", "-euo", "pipefail", "-c", &script]);
    // The same environment, another program.
    let environment: Vec<_> =
        shell.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
    shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &script]).current_dir(sandbox.work()).env_clear().envs(environment);
    let output = shell.output().expect("bash runs");
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
    run(&blocks("sh"), &mut Sandbox::new());
}

#[test]
#[ignore = "needs a Docker Engine; bin/test runs it"]
fn the_docker_example_works() {
    let mut sandbox = Sandbox::new();
    if let Some(host) = std::env::var_os("DOCKER_HOST") {
        sandbox.set("DOCKER_HOST", host);
    }
    let setup = "mkdir site; echo x > site/index.html; idpbuilder-build site -t site:v2\n";
    run(
        &format!("{setup}{}docker image inspect site:v2 >/dev/null; docker image rm site:v2\n", blocks("sh docker")),
        &mut sandbox,
    );
}

#[test]
fn the_two_commands_are_named() {
    let readme = include_str!("../../README.md");
    for command in ["    bin/quickstart\n", "    bin/test\n"] {
        assert!(readme.contains(command), "{command}");
    }
}
