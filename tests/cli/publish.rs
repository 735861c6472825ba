//! `idpbuilder-build --push`.

use crate::sandbox::Sandbox;
use crate::server::Server;

const PASSWORD: &str = "correct-horse-battery";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    for (name, byte) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
        sandbox.file(&format!("app/{name}"), vec![byte; 10_000]);
    }
    sandbox.file("htpasswd", format!("demo:{}\n", bcrypt::hash(PASSWORD, 4).expect("bcrypt")));
    sandbox
}

#[test]
fn what_is_built_is_pushed_and_its_reference_is_the_last_line() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &[]);
    let destination = format!("--push={}/team/app:v1", server.address);
    let words = ["idpbuilder-build", "app", "-t", "app:v1", "--layers", "4", &destination, "--plain-http"];
    let output = sandbox.run(&words);
    let stderr = output.stderr.clone();
    let stdout = output.success();
    let reference = stdout.lines().last().expect("a line").to_owned();
    assert!(reference.starts_with(&format!("{}/team/app@sha256:", server.address)), "{stdout}");
    assert!(stderr.contains(" sent, 0 B already there"), "what goes ahead counts as sent: {stderr}");
    let pull = ["idpbuilder-pull", &reference, "--plain-http", "--store", "pulled", "-q"];
    assert_eq!(sandbox.run(&pull).success().trim(), reference);

    let again = sandbox.run(&[&words[..], &["--quiet"]].concat());
    assert_eq!(again.success().trim(), reference, "nothing has changed");
}

#[test]
fn without_a_destination_the_names_say_where() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &[]);
    let names = [format!("{}/team/app:v1", server.address), format!("{}/team/app:v2", server.address)];
    let words = ["idpbuilder-build", "app", "-t", &names[0], "-t", &names[1], "--push", "--plain-http", "-q"];
    let lines = sandbox.run(&words).success();
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for name in &names {
        sandbox.run(&["idpbuilder-pull", name, "--plain-http", "--store", "pulled", "-q"]).success();
    }
}

#[test]
fn several_platforms_are_pushed_as_an_index() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &[]);
    let destination = format!("--push={}/team/app:v1", server.address);
    let platforms = "linux/amd64,linux/arm64";
    let words =
        ["idpbuilder-build", "app", "-t", "app:v1", "--platform", platforms, &destination, "--plain-http", "-q"];
    let reference = sandbox.run(&words).success();
    let pull = ["idpbuilder-pull", reference.trim(), "--all-platforms", "--plain-http", "--store", "pulled", "-q"];
    assert_eq!(sandbox.run(&pull).success(), reference);
}

#[test]
fn a_push_that_fails_leaves_the_image_that_was_built() {
    let mut sandbox = sandbox();
    let server = Server::start(&sandbox, &["--htpasswd", "htpasswd"]);
    sandbox.set("REGISTRY_USERNAME", "demo");
    sandbox.set("REGISTRY_PASSWORD", "wrong");
    let destination = format!("--push={}/team/app:v1", server.address);
    let words = ["idpbuilder-build", "app", "-t", "app:v1", &destination, "--plain-http"];
    let output = sandbox.run(&words);
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stdout.contains("Image saved to local store: app:v1"), "{output}");
    assert!(sandbox.run(&["idpbuilder-list"]).success().contains("app"));
}

#[test]
fn a_build_that_fails_pushes_nothing() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &[]);
    let destination = format!("--push={}/team/app:v1", server.address);
    std::os::unix::net::UnixListener::bind(sandbox.work().join("app/socket")).expect("a socket");
    let words = ["idpbuilder-build", "app", "-t", "app:v1", &destination, "--plain-http"];
    let output = sandbox.run(&words);
    assert_eq!((output.code, output.stdout.as_str()), (Some(4), ""), "{output}");
    let pull = ["idpbuilder-pull", &format!("{}/team/app:v1", server.address), "--plain-http", "--store", "pulled"];
    assert_eq!(sandbox.run(&pull).code, Some(4));
}
