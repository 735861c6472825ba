//! `idpbuilder-build --push`.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

use idpbuilder_oci::image::Digest;
use serde_json::Value;

use crate::composed::archive;
use crate::sandbox::{Output, Sandbox};
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

/// What the registry has under a path of its API.
fn get(server: &Server, path: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(&server.address).expect("it listens");
    let accepted = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, */*";
    let head = format!("Host: {}\r\nAccept: {accepted}\r\nConnection: close", server.address);
    write!(stream, "GET /v2/team/app/{path} HTTP/1.1\r\n{head}\r\n\r\n").expect("asked");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("answered");
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("the end of the head");
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {head}");
    answer.split_off(end + 4)
}

/// The document that the registry has as `digest`.
fn document(server: &Server, digest: &str) -> Value {
    let bytes = get(server, &format!("manifests/{digest}"));
    assert_eq!(Digest::of(&bytes).to_string(), digest);
    serde_json::from_slice(&bytes).expect("JSON")
}

/// Checks that the registry has everything a manifest names; answers its layers.
fn layers(server: &Server, manifest: &Value) -> Vec<String> {
    let layers = manifest["layers"].as_array().expect("an image");
    let digest = |blob: &Value| blob["digest"].as_str().expect("a descriptor").to_owned();
    for blob in layers.iter().chain([&manifest["config"]]).map(digest) {
        assert_eq!(Digest::of(&get(server, &format!("blobs/{blob}"))).to_string(), blob);
    }
    layers.iter().map(digest).collect()
}

/// The digest at the end of the last line.
fn pushed(server: &Server, output: Output) -> String {
    let stdout = output.success();
    let name = format!("{}/team/app@", server.address);
    stdout.lines().last().and_then(|line| line.strip_prefix(&name)).unwrap_or_else(|| panic!("{stdout}")).to_owned()
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
fn without_a_name_the_first_destination_is_it() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &[]);
    let name = format!("{}/team/app:v1", server.address);
    let destination = format!("--push={name}");
    let push = ["idpbuilder-build", "app", &destination, "--plain-http"];
    pushed(&server, sandbox.run(&push));
    assert_eq!(sandbox.run(&["idpbuilder-list", "--format", "{{.Name}}"]).success().trim(), name);
}

#[test]
fn every_source_arrives_and_nothing_is_sent_twice() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &[]);
    sandbox.file("base/etc/base", "base\n");
    sandbox.run(&["idpbuilder-build", "base", "-t", "base:v1", "-q"]).success();
    sandbox.file("more/one", "1\n");
    sandbox.file("extra.tar", archive(&[("x/y", "in a tar")]));
    let destination = format!("--push={}/team/app:v1", server.address);
    let sources = ["app", "--from", "base:v1", "--copy", "more:/srv", "--add-tar", "extra.tar:/opt", "--add-tar", "-"];
    let words = [&["idpbuilder-build", "-t", "app:v1", "--layers", "4", &destination, "--plain-http"], &sources[..]];
    let run = || sandbox.run_with_input(&words.concat(), &archive(&[("piped", "in a pipe")]));
    let first = run();
    assert!(first.stderr.contains(" sent, 0 B already there"), "{first}");
    let digest = pushed(&server, first);
    let manifest = document(&server, &digest);
    assert_eq!(serde_json::from_slice::<Value>(&get(&server, "manifests/v1")).expect("JSON"), manifest);
    let inspect = |name: &str, flags: &[&str]| sandbox.run(&[&["idpbuilder-inspect", name], flags].concat()).success();
    let parse = |text: String| serde_json::from_str::<Value>(&text).expect("JSON");
    assert_eq!(parse(inspect("app:v1", &["--manifest"])), manifest);
    let layers = layers(&server, &manifest);
    let base = parse(inspect("base:v1", &["--manifest"]));
    assert_eq!(base["layers"][0]["digest"], layers[0].as_str(), "the base's comes first");
    // The base's, the directory's, the archive's and the pipe's; the rest are the context's.
    assert!((6..=8).contains(&layers.len()), "{layers:?}");
    assert_eq!(layers.iter().collect::<BTreeSet<_>>().len(), layers.len(), "{layers:?}");
    let reference = format!("{}/team/app@{digest}", server.address);
    sandbox.run(&["idpbuilder-pull", &reference, "--plain-http", "--store", "pulled", "-q"]).success();
    let files = ["--files", "--format", "{{.Path}}"];
    let arrived = inspect(&reference, &[&files[..], &["--store", "pulled"]].concat());
    assert_eq!(arrived, inspect("app:v1", &files));
    for path in ["a", "d", "etc/base", "srv/one", "opt/x/y", "piped"] {
        assert!(arrived.lines().any(|line| line == path), "{path} in:\n{arrived}");
    }

    let again = run();
    assert!(again.stderr.contains(": 0 B sent, "), "{again}");
    assert_eq!(pushed(&server, again), digest);
}

#[test]
fn several_platforms_are_pushed_as_an_index() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &[]);
    sandbox.file("arm64/arch", "arm64\n");
    sandbox.file("more/one", "1\n");
    let destination = format!("--push={}/team/app:v1", server.address);
    let platforms = ["--platform", "linux/amd64,linux/arm64", "--context-for", "linux/arm64=arm64"];
    let words = ["idpbuilder-build", "app", "-t", "app:v1", "--copy", "more:/srv", &destination, "--plain-http"];
    let words = [&words[..], &platforms].concat();
    let first = sandbox.run(&words);
    let digest = pushed(&server, first);
    let index = document(&server, &digest);
    let images = index["manifests"].as_array().expect("an index");
    let architecture = |image: &Value| image["platform"]["architecture"].as_str().map(str::to_owned);
    assert_eq!(images.iter().filter_map(architecture).collect::<Vec<_>>(), ["amd64", "arm64"]);
    let layers_of = |image: &Value| {
        let manifest = document(&server, image["digest"].as_str().expect("a descriptor"));
        layers(&server, &manifest)
    };
    let (amd64, arm64) = (layers_of(&images[0]), layers_of(&images[1]));
    assert_eq!((amd64.len(), arm64.len()), (2, 2));
    assert_ne!(amd64[0], arm64[0], "each has its context");
    assert_eq!(amd64[1], arm64[1], "and both what is copied");
    let reference = format!("{}/team/app@{digest}", server.address);
    let pull = ["idpbuilder-pull", &reference, "--all-platforms", "--plain-http", "--store", "pulled", "-q"];
    assert_eq!(sandbox.run(&pull).success().trim(), reference);
    // Only a pull can keep all of them.
    let other = ["--platform", "linux/riscv64", "--plain-http", "--store", "pulled"];
    for (words, all) in [
        (&["idpbuilder-pull", &reference][..], true),
        (&["idpbuilder-build", "app", "-t", "on:v1", "--from", &reference, "--pull"], false),
    ] {
        let output = sandbox.run(&[words, &other].concat());
        assert_eq!(output.code, Some(4), "{output}");
        assert!(output.stderr.contains("hint: choose one of them with --platform"), "{output}");
        assert_eq!(output.stderr.contains("--all-platforms"), all, "{output}");
    }

    let again = sandbox.run(&words);
    assert!(again.stderr.contains(": 0 B sent, "), "{again}");
    assert_eq!(pushed(&server, again), digest);
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
    assert!(sandbox.shell("mkfifo app/pipe").status().expect("mkfifo runs").success());
    let words = ["idpbuilder-build", "app", "-t", "app:v1", &destination, "--plain-http"];
    let output = sandbox.run(&words);
    assert_eq!((output.code, output.stdout.as_str()), (Some(4), ""), "{output}");
    let pull = ["idpbuilder-pull", &format!("{}/team/app:v1", server.address), "--plain-http", "--store", "pulled"];
    assert_eq!(sandbox.run(&pull).code, Some(4));
}
