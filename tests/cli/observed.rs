//! What a push tells to those who look on: every line as its schema says, and nothing secret in any.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::Value;

use crate::sandbox::Sandbox;
use crate::server::{Server, send};

const PASSWORD: &str = "correct-horse-battery";

fn sandbox() -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.file("app/file", "content");
    sandbox.run(&["idpbuilder-build", "app", "-t", "app:v1", "-q", "--platform", "linux/amd64"]).success();
    sandbox.file("htpasswd", format!("demo:{}\n", bcrypt::hash(PASSWORD, 4).expect("bcrypt")));
    sandbox.set("REGISTRY_USERNAME", "demo");
    sandbox.set("REGISTRY_PASSWORD", PASSWORD);
    sandbox
}

/// Has a login for each registry: variables are for one registry, however many a command names.
fn log_in(sandbox: &mut Sandbox, registries: &[&str]) {
    let login = base64::engine::general_purpose::STANDARD.encode(format!("demo:{PASSWORD}"));
    let entries: Vec<String> = registries.iter().map(|name| format!(r#""{name}": {{"auth": "{login}"}}"#)).collect();
    sandbox.unset("REGISTRY_USERNAME");
    sandbox.unset("REGISTRY_PASSWORD");
    sandbox.set("DOCKER_AUTH_CONFIG", format!(r#"{{"auths": {{{}}}}}"#, entries.join(", ")));
}

/// Checks documents against a schema that is documented.
#[track_caller]
fn valid(schema: &str, documents: &[Value]) {
    let path = format!("{}/docs/schemas/{schema}.json", env!("CARGO_MANIFEST_DIR"));
    let schema: Value = serde_json::from_slice(&std::fs::read(path).expect("a schema")).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    for document in documents {
        let errors: Vec<String> = validator.iter_errors(document).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{document}");
    }
}

fn json_lines(text: &str) -> Vec<Value> {
    let lines = text.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn progress_for_programs_is_as_documented() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &["--htpasswd", "htpasswd"]);
    let destination = format!("{}/demo/app:v1", server.address);
    let words = ["idpbuilder-push", "app:v1", &destination, "--plain-http", "--progress", "json", "-v", "--verify"];
    let output = sandbox.run(&words);
    let lines = json_lines(&output.stderr);
    valid("progress-1", &lines);
    let events: Vec<&str> = lines.iter().filter_map(|line| line["event"].as_str()).collect();
    for event in ["begin", "end", "exchange", "summary"] {
        assert!(events.contains(&event), "{event} is missing: {output}");
    }
    assert!(!output.stderr.contains(PASSWORD) && !output.stderr.contains("_state="), "{output}");
    let summary = lines.iter().find(|line| line["event"] == "summary").expect("a summary");
    assert!(summary["sent"].as_u64() >= summary["uploaded"].as_u64());
    output.success();

    // Nothing listens there any more: what is tried again is told as well.
    let address = server.address.clone();
    drop(server);
    let words = ["idpbuilder-push", "app:v1", &format!("{address}/demo/app"), "--plain-http", "--progress", "json"];
    let output = sandbox.run(&words);
    valid("progress-1", &json_lines(&output.stderr));
    assert_eq!(output.code, Some(3), "{output}");
}

#[test]
fn verbose_names_every_request_and_hides_what_is_secret() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &["--htpasswd", "htpasswd"]);
    let destination = format!("{}/demo/app:v1", server.address);
    let words = ["idpbuilder-push", "app:v1", &destination, "--plain-http", "-v", "--chunk-size", "100"];
    let output = sandbox.run(&words);
    for part in ["] HEAD http://", "] POST http://", "/v2/demo/app/manifests/v1: 201", " sent, "] {
        assert!(output.stderr.contains(part), "{part} is missing: {output}");
    }
    let count = output.stderr.lines().filter(|line| line.starts_with('[')).count();
    assert!(output.stderr.contains(&format!("; {count} requests")), "as many as are counted: {output}");
    assert!(!output.stderr.contains(PASSWORD), "{output}");
    output.success();
}

#[test]
fn a_trace_has_every_exchange_and_no_secret() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &["--htpasswd", "htpasswd"]);
    let destination = format!("{}/demo/app:v1", server.address);
    let words = ["idpbuilder-push", "app:v1", &destination, "--plain-http", "--trace", "trace.jsonl", "--quiet"];
    sandbox.run(&words).success();
    let path = sandbox.work().join("trace.jsonl");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).expect("there").permissions());
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).expect("text");
    let lines = json_lines(&text);
    valid("trace-1", &lines);
    assert!(lines.len() >= 8 && lines.len() == text.lines().count(), "{text}");
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("demo:{PASSWORD}"));
    for secret in [PASSWORD, &encoded] {
        assert!(!text.contains(secret), "{text}");
    }
    // The server's log has the same names.
    let first = lines[0]["id"].as_str().expect("a name").rsplit_once('-').expect("a number").0.to_owned();
    assert!(lines.iter().all(|line| line["id"].as_str().is_some_and(|id| id.starts_with(&first))));
    let hidden = |line: &Value| {
        let headers = line["request"].as_array().expect("headers");
        headers.iter().filter(|header| header[0] == "authorization").all(|header| header[1] == "[hidden]")
    };
    assert!(lines.iter().all(hidden), "{text}");

    // Somebody made it readable, and put a link in its place.
    std::fs::rename(&path, sandbox.work().join("elsewhere.jsonl")).expect("renamed");
    std::os::unix::fs::symlink("elsewhere.jsonl", &path).expect("linked");
    let words = ["idpbuilder-pull", &destination, "--plain-http", "--trace", "trace.jsonl", "--store", "other", "-q"];
    sandbox.run(&words).success();
    let there = std::fs::symlink_metadata(&path).expect("there");
    assert!(there.is_file() && std::os::unix::fs::PermissionsExt::mode(&there.permissions()) & 0o777 == 0o600);
    assert_eq!(std::fs::read_to_string(sandbox.work().join("elsewhere.jsonl")).expect("text"), text);
    let pulled = json_lines(&std::fs::read_to_string(&path).expect("text"));
    valid("trace-1", &pulled);
    assert!(pulled.iter().all(|line| line["method"] == "GET" || line["method"] == "HEAD"), "replaced");
    assert!(pulled.iter().any(|line| line["received"].as_u64() > Some(0)));
}

#[test]
fn a_trace_that_cannot_be_written_is_told_before_anything_is_sent() {
    let sandbox = sandbox();
    let words = ["idpbuilder-push", "app:v1", "127.0.0.1:1/a/b", "--plain-http", "--trace", "missing/trace.jsonl"];
    let output = sandbox.run(&words);
    assert_eq!(output.code, Some(1), "{output}");
    assert!(
        output.stderr.contains("cannot write the trace") && output.stderr.contains("missing/trace.jsonl"),
        "{output}"
    );
}

/// Names of this run.
fn snapshot(name: &str, text: &str, address: &str) {
    let address = address.replace('.', "\\.");
    insta::with_settings!({filters => vec![(address.as_str(), "[REGISTRY]")]}, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn a_dry_run_says_what_a_push_would_do() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &["--htpasswd", "htpasswd"]);
    let destination = format!("{}/demo/app:v1", server.address);
    let words = ["idpbuilder-push", "app:v1", &destination, "--plain-http", "--dry-run"];
    let json = |words: &[&str]| -> Value {
        let output = sandbox.run(&[words, &["--format", "json"]].concat()).success();
        let value = serde_json::from_str(&output).expect("JSON");
        valid("push-1", std::slice::from_ref(&value));
        value
    };
    snapshot("dry_run_new", &sandbox.run(&words).success(), &server.address);
    let plan = json(&words);
    assert_eq!((&plan[0]["complete"], &plan[0]["dry_run"]), (&Value::Bool(false), &Value::Bool(true)));

    let done = json(&words[..4]);
    assert_eq!(done[0]["bytes"], plan[0]["bytes"], "the plan was kept");
    assert_eq!(done[0]["dry_run"], Value::Bool(false));

    snapshot("dry_run_again", &sandbox.run(&words).success(), &server.address);
    assert_eq!(json(&words)[0]["complete"], Value::Bool(true));

    sandbox.file("app/file", "other");
    sandbox.run(&["idpbuilder-build", "app", "-t", "app:v1", "-q", "--platform", "linux/amd64"]).success();
    snapshot("dry_run_changed", &sandbox.run(&words).success(), &server.address);
    let elsewhere = format!("{}/other/app", server.address);
    sandbox.run(&["idpbuilder-push", "app:v1", &destination, "--plain-http", "-q"]).success();
    // This registry keeps each blob once, whatever the repository.
    let words = ["idpbuilder-push", "app:v1", &elsewhere, "--plain-http", "--dry-run"];
    snapshot("dry_run_elsewhere", &sandbox.run(&words).success(), &server.address);
}

#[test]
fn a_dry_run_without_permission_fails_as_the_push_would() {
    let mut sandbox = sandbox();
    let server = Server::start(&sandbox, &["--htpasswd", "htpasswd"]);
    let destination = format!("{}/demo/app:v1", server.address);
    sandbox.set("REGISTRY_PASSWORD", "wrong");
    let output = sandbox.run(&["idpbuilder-push", "app:v1", &destination, "--plain-http", "--dry-run"]);
    assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{output}");
    let output = sandbox.run(&["idpbuilder-push", "app:v1", &destination, "--dry-run", "--verify"]);
    assert_eq!(output.code, Some(64), "{output}");
}

#[test]
fn what_stands_is_told_although_another_destination_failed() {
    let mut sandbox = sandbox();
    let server = Server::start(&sandbox, &["--htpasswd", "htpasswd"]);
    log_in(&mut sandbox, &[&server.address, "127.0.0.1:1"]);
    let at = |name: &str| format!("{}/demo/{name}", server.address);
    let (first, last) = (at("first:v1"), at("last:v1"));
    let words = |first: &str, last: &str, rest: &[&str]| -> Vec<String> {
        let words = ["idpbuilder-push", "app:v1", first, "127.0.0.1:1/demo/app:v1", "127.0.0.1:1/demo/app:v2", last];
        words.iter().chain(&["--plain-http", "--jobs", "1"]).chain(rest).map(|word| (*word).to_owned()).collect()
    };
    let run = |words: Vec<String>| sandbox.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let output = run(words(&first, &last, &["--quiet", "--digestfile", "digest"]));
    let digest = std::fs::read_to_string(sandbox.work().join("digest")).expect("written");
    let pinned = |name: &str| format!("{}@{digest}", at(name));
    assert_eq!(output.stdout, format!("{}\n{}\n", pinned("first"), pinned("last")), "{output}");
    assert_eq!(output.code, Some(3), "{output}");
    let error: Vec<&str> = output.stderr.lines().skip_while(|line| !line.starts_with("error:")).collect();
    snapshot("some_destinations_failed", &error.join("\n"), &server.address);

    let output = run(words(&first, &at("new:v1"), &["--format", "json"]));
    assert_eq!(output.code, Some(3), "{output}");
    let rows: Value = serde_json::from_str(&output.stdout).expect("JSON");
    valid("push-1", std::slice::from_ref(&rows));
    let rows = rows.as_array().expect("rows");
    let of = |name: &str| rows.iter().find(|row| row["reference"] == name).expect("a row each");
    assert_eq!(of(&first)["pinned"], pinned("first"));
    assert_eq!(of(&at("new:v1"))["pinned"], pinned("new"));
    for name in ["127.0.0.1:1/demo/app:v1", "127.0.0.1:1/demo/app:v2"] {
        let error = of(name)["error"].as_str().expect("a reason");
        assert!(error.contains("connection refused") && of(name)["digest"].is_null(), "{error}");
    }
    assert!(output.stderr.contains("Pushed ") && output.stderr.contains("new:v1"), "{output}");

    let output = run(words(&first, &at("unseen:v1"), &["--format", "json", "--dry-run"]));
    assert_eq!(output.code, Some(3), "{output}");
    let rows: Value = serde_json::from_str(&output.stdout).expect("JSON");
    valid("push-1", std::slice::from_ref(&rows));
    let told = |row: &Value| (row["dry_run"] == true, row["complete"].as_bool(), row["error"].is_string());
    let told: Vec<_> = rows.as_array().expect("rows").iter().map(told).collect();
    let failed = (true, None, true);
    assert_eq!(told, [(true, Some(true), false), (true, Some(false), false), failed, failed], "{rows}");
}

#[test]
fn a_build_that_reaches_one_of_two_registries_says_so() {
    let mut sandbox = sandbox();
    let server = Server::start(&sandbox, &["--htpasswd", "htpasswd"]);
    log_in(&mut sandbox, &[&server.address, "127.0.0.1:1"]);
    let push = format!("--push={}/demo/built:v1", server.address);
    let words = ["idpbuilder-build", "app", "-t", "app:v1", "--push=127.0.0.1:1/demo/app:v1", &push, "--plain-http"];
    let output = sandbox.run(&words);
    assert_eq!(output.code, Some(3), "{output}");
    assert!(output.stdout.contains(&format!("{}/demo/built@sha256:", server.address)), "{output}");
    assert!(output.stderr.contains("cannot push to `127.0.0.1:1/demo/app:v1`"), "{output}");
}

#[test]
fn what_stands_is_told_although_somebody_stopped_the_rest() {
    let mut sandbox = sandbox();
    let server = Server::start(&sandbox, &["--htpasswd", "htpasswd"]);
    let silent = TcpListener::bind("127.0.0.1:0").expect("loopback");
    silent.set_nonblocking(true).expect("set");
    log_in(&mut sandbox, &[&server.address, &silent.local_addr().expect("bound").to_string()]);
    let destinations =
        [format!("{}/demo/app:v1", server.address), format!("{}/a/b", silent.local_addr().expect("bound"))];
    let push = ["idpbuilder-push", "app:v1", &destinations[0], &destinations[1], "--plain-http", "-q"];
    let stopped = |words: &[&str]| {
        let mut command = sandbox.command(words);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        // Destinations go one after the other: the first is done when the second is reached.
        let deadline = Instant::now() + Duration::from_secs(20);
        let _open = loop {
            if let Ok((stream, _)) = silent.accept() {
                break stream;
            }
            assert!(Instant::now() < deadline, "the second is never reached");
            std::thread::yield_now();
        };
        send(&child, rustix::process::Signal::INT);
        let output = child.wait_with_output().expect("it ends");
        let told = sandbox.neutral(&output.stderr);
        assert_eq!((output.status.code(), told.ends_with("error: interrupted\n")), (Some(130), true), "{told}");
        String::from_utf8(output.stdout).expect("text")
    };
    let pinned = format!("{}/demo/app@sha256:", server.address);
    let shown = stopped(&push);
    assert!(shown.starts_with(&pinned) && shown.lines().count() == 1, "{shown}");
    let rows: Value = serde_json::from_str(&stopped(&[&push[..], &["--format", "json"]].concat())).expect("JSON");
    valid("push-1", std::slice::from_ref(&rows));
    assert_eq!((rows[0]["reference"].as_str(), &rows[1]["error"]), (Some(&*destinations[0]), &"interrupted".into()));
}
