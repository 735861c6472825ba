use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::sandbox::{Output, RATE, SECRETS, Sandbox};
use crate::server::Server;

const PASSWORD: &str = SECRETS[0];

/// A sandbox with one image, `app:v1`, and an htpasswd file for `demo`.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("app/file", "content");
    sandbox.run(&["idpbuilder-build", "app", "-t", "app:v1", "-q", "--platform", "linux/amd64"]).success();
    let hash = bcrypt::hash(PASSWORD, 4).expect("bcrypt");
    sandbox.file("htpasswd", format!("demo:{hash}\n"));
    sandbox
}

/// Ports and fingerprints differ from run to run.
fn snapshot(name: &str, output: &Output, address: &str) {
    let address = address.replace('.', "\\.");
    insta::with_settings!({filters => vec![
        (address.as_str(), "[REGISTRY]"),
        (r"fingerprint sha256:[0-9a-f]{64}", "fingerprint [FINGERPRINT]"),
        (r"blobs/sha256:[0-9a-f]{64}", "blobs/[BLOB]"),
        (RATE, ""),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "[TIME]"),
        // Requests go side by side; what is said of them has a test of its own.
        (r"; \d+ requests", "; [N] requests"),
        (r" *\[[0-9a-f]{8}-\d+\] .*\n", ""),
    ]}, {
        insta::assert_snapshot!(name, output);
    });
}

#[test]
fn a_push_is_verified_and_its_reference_is_the_last_line() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &["--tls", "--tls-cert-out", "ca.pem", "--htpasswd", "htpasswd"]);
    let destination = format!("{}/demo/app:v1", server.address);
    let login = ["--ca-file", "ca.pem", "-u", "demo", "--password-stdin"];
    let words = |verb: &'static str, rest: &[&'static str]| -> Vec<String> {
        let mut words = vec![verb.to_owned()];
        words.extend(rest.iter().map(|word| (*word).to_owned()));
        words.extend(login.iter().map(|word| (*word).to_owned()));
        words
    };
    let run = |words: Vec<String>| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        sandbox.run_with_input(&words, format!("{PASSWORD}\n").as_bytes())
    };
    let mut push = words("idpbuilder-push", &["app:v1", "--digestfile", "digest", "--jobs", "1"]);
    push.insert(2, destination.clone());
    let first = run(push.clone());
    snapshot("push", &first, &server.address);
    let pushed = first.success();
    let digest = std::fs::read_to_string(sandbox.work().join("digest")).expect("written");
    assert_eq!(pushed.trim(), format!("{}/demo/app@{digest}", server.address));
    snapshot("push_again", &run(push), &server.address);

    let mut elsewhere = words("idpbuilder-push", &["app:v1", "--quiet", "--chunk-size", "64k"]);
    elsewhere.splice(2..2, [format!("https://{}/", server.address), format!("docker://{}/other/app", server.address)]);
    let pushed = run(elsewhere).success();
    let lines: Vec<&str> = pushed.lines().collect();
    assert_eq!(lines, [format!("{}/app@{digest}", server.address), format!("{}/other/app@{digest}", server.address)]);

    let mut pull = words("idpbuilder-pull", &["--store", "pulled", "--tag", "again:v1", "--jobs", "1"]);
    pull.insert(1, destination);
    snapshot("pull", &run(pull), &server.address);
    let id = |store: &[&str]| {
        let mut words = vec!["idpbuilder-list", "-q", "--no-trunc"];
        words.extend(store);
        sandbox.run(&words).success()
    };
    assert_eq!(id(&[]), id(&["--store", "pulled"]));
    assert_eq!(server.signal(rustix::process::Signal::INT), Some(0));
}

#[test]
fn credentials_come_from_flags_environment_and_docker() {
    let mut sandbox = sandbox();
    let server = Server::start(&sandbox, &["--htpasswd", "htpasswd"]);
    let destination = format!("{}/demo/app", server.address);
    let words = ["idpbuilder-push", "app:v1", &destination, "--plain-http", "-v", "--jobs", "1"];
    snapshot("push_anonymous", &sandbox.run(&words), &server.address);

    let auth = base64(&format!("demo:{PASSWORD}"));
    let config = format!(r#"{{"auths":{{"{}":{{"auth":"{auth}"}}}}}}"#, server.address);
    let path = sandbox.home().join(".docker");
    std::fs::create_dir(&path).expect("a directory");
    std::fs::write(path.join("config.json"), config).expect("written");
    let by_docker = sandbox.run(&words);
    assert!(by_docker.stderr.contains("config.json"), "{by_docker}");
    by_docker.success();

    sandbox.set("REGISTRY_USERNAME", "demo");
    sandbox.set("REGISTRY_PASSWORD", "wrong");
    snapshot("push_wrong_password", &sandbox.run(&words), &server.address);
    sandbox.set("REGISTRY_PASSWORD", PASSWORD);
    sandbox.run(&words).success();
    sandbox.set("REGISTRY_PASSWORD", "wrong");
    let creds = format!("demo:{PASSWORD}");
    let mut given = words.to_vec();
    given.extend(["--creds", &creds]);
    // The command line is the one place where the secret is shown: by the test itself.
    let output = sandbox.run(&given);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    snapshot(
        "username_alone",
        &sandbox.run(&["idpbuilder-push", "app:v1", &destination, "-u", "demo"]),
        &server.address,
    );
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn trust_is_never_assumed() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &["--tls", "--tls-cert-out", "ca.pem"]);
    let destination = format!("{}/app:v1", server.address);
    let push = |rest: &[&str]| {
        let mut words = vec!["idpbuilder-push", "app:v1", &destination, "--jobs", "1"];
        words.extend(rest);
        sandbox.run(&words)
    };
    snapshot("tls_untrusted", &push(&[]), &server.address);
    snapshot("tls_insecure", &push(&["--insecure"]), &server.address);
    assert_eq!(push(&["--tls-verify=false", "-q"]).code, Some(0));
    assert_eq!(push(&["--tls-verify=true"]).code, Some(3));
    snapshot("tls_not_http", &push(&["--plain-http"]), &server.address);
    sandbox.file("not.pem", "hello");
    snapshot("ca_file_is_none", &push(&["--ca-file", "not.pem"]), &server.address);

    // The trust store needs no flag.
    let directory = sandbox.home().join(".idpbuilder/certs").join(&server.address);
    std::fs::create_dir_all(&directory).expect("a directory");
    std::fs::copy(sandbox.work().join("ca.pem"), directory.join("ca.crt")).expect("copied");
    push(&["-q"]).success();

    let plain = Server::start(&sandbox, &["--storage", "other", "--read-only"]);
    let refused = sandbox.run(&["idpbuilder-push", "app:v1", &format!("{}/app:v1", plain.address)]);
    snapshot("tls_against_plain_http", &refused, &plain.address);
}

#[test]
fn what_the_registry_refuses() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &["--read-only"]);
    let destination = format!("{}/app:v1", server.address);
    let read_only = sandbox.run(&["idpbuilder-push", "app:v1", &destination, "--plain-http", "--jobs", "1"]);
    snapshot("push_read_only", &read_only, &server.address);
    let missing = sandbox.run(&["idpbuilder-pull", &format!("{}/no/such:v1", server.address), "--plain-http"]);
    snapshot("pull_missing", &missing, &server.address);
}

#[test]
fn what_is_not_there() {
    let sandbox = sandbox();
    snapshot("push_no_image", &sandbox.run(&["idpbuilder-push", "app:v2", "localhost:1/app"]), "none");
    snapshot("push_nowhere", &sandbox.run(&["idpbuilder-push", "app:v1"]), "none");
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("loopback").port();
    let address = format!("127.0.0.1:{port}");
    let refused = sandbox.run(&["idpbuilder-push", "app:v1", &format!("{address}/app")]);
    snapshot("push_connection_refused", &refused, &address);
}

/// A registry that takes every connection, reads the request, and answers it with `answer` or never.
fn scripted(answer: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept() {
            read_head(&mut stream);
            if let Some(answer) = answer {
                let _ = stream.write_all(answer.as_bytes());
            } else {
                open.push(stream);
            }
        }
    });
    address
}

fn read_head(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        head.push(byte[0]);
    }
    head
}

#[test]
fn answers_of_every_shape_are_shown() {
    let sandbox = sandbox();
    for (name, answer) in [
        (
            "answer_html",
            "HTTP/1.1 502 Bad Gateway\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: 57\r\nConnection: close\r\n\r\n<html><head><title>502 Bad Gateway</title></head></html>\n",
        ),
        (
            "answer_text",
            "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 8\r\nConnection: close\r\n\r\nreqToken",
        ),
        ("answer_empty", "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        (
            "answer_envelope",
            "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 67\r\nDocker-Distribution-Api-Version: registry/2.0\r\nConnection: close\r\n\r\n{\"errors\":[{\"code\":\"DENIED\",\"message\":\"the quota is used up now\"}]}",
        ),
    ] {
        let address = scripted(Some(answer));
        let words = ["idpbuilder-push", "app:v1", &format!("{address}/app"), "--plain-http", "--retry", "0"];
        let output = sandbox.run(&words);
        snapshot(name, &output, &address);
    }
}

#[test]
fn a_registry_that_never_answers_is_given_up() {
    let sandbox = sandbox();
    let address = scripted(None);
    let words = ["idpbuilder-push", "app:v1", &format!("{address}/app"), "--plain-http", "--timeout", "1"];
    snapshot("deadline", &sandbox.run(&words), &address);
}

#[test]
fn every_attempt_says_why_and_when() {
    let sandbox = sandbox();
    let answer = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let address = scripted(Some(answer));
    let from = format!("{address}/app");
    let words = ["idpbuilder-pull", &from, "--plain-http", "--retry", "2", "--retry-delay", "1ms"];
    snapshot("retries", &sandbox.run(&words), &address);
    let lines = sandbox.run(&[&words[..], &["--progress", "json"]].concat()).stderr;
    let events = lines.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let retries: Vec<_> = events.filter(|event| event["event"] == "retry").collect();
    assert_eq!(retries.len(), 2, "{lines}");
    assert_eq!((&retries[1]["attempt"], &retries[1]["attempts"]), (&2.into(), &2.into()));
    assert!(retries[0]["wait"].is_u64() && retries[0]["message"].is_string(), "{lines}");
}

#[test]
fn progress_for_programs_is_json_lines() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &[]);
    let destination = format!("{}/app:v1", server.address);
    let output = sandbox.run(&["idpbuilder-push", "app:v1", &destination, "--plain-http", "--progress", "json"]);
    let events: Vec<serde_json::Value> =
        output.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).count();
    assert!(of("begin") >= 2 && of("begin") == of("end"), "{output}");
    let sent: u64 =
        events.iter().filter(|event| event["event"] == "end").filter_map(|event| event["bytes"].as_u64()).sum();
    assert!(sent > 0, "{output}");
    output.success();
}

#[test]
fn serving_says_what_is_wrong() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &[]);
    let taken = sandbox.run(&["idpbuilder-serve", "--listen", &server.address, "--storage", "other"]);
    snapshot("serve_taken", &taken, &server.address);
    sandbox.file("bad-htpasswd", "demo:$apr1$x$y\n");
    let words = ["idpbuilder-serve", "--listen", "127.0.0.1:0", "--storage", "other", "--htpasswd", "bad-htpasswd"];
    snapshot("serve_bad_htpasswd", &sandbox.run(&words), "none");
    snapshot("prune_while_served", &prune(&sandbox), "none");
}

/// Pruning a store that a server uses; it would wait for half a minute.
fn prune(sandbox: &Sandbox) -> Output {
    sandbox.run(&["idpbuilder-rm", "--prune", "--store", "served", "--lock-timeout", "1"])
}

#[test]
fn a_wait_longer_than_anybody_has_is_told() {
    let sandbox = sandbox();
    let answer =
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3600\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let address = scripted(Some(answer));
    let output = sandbox.run(&["idpbuilder-push", "app:v1", &format!("{address}/app"), "--plain-http"]);
    assert_eq!(output.code, Some(5), "{output}");
    assert!(output.stderr.contains("hint: it asked to wait for 1 hour; try again then"), "{output}");
}

#[test]
fn a_password_in_a_reference_is_neither_used_nor_repeated() {
    let sandbox = sandbox();
    for destination in ["u:PWPW@127.0.0.1:1/a/b", "http://u:PWPW@127.0.0.1:1/a/b:v1", "https://u:PWPW@127.0.0.1:1"] {
        let output = sandbox.run(&["idpbuilder-push", "app:v1", destination]);
        assert!(!output.stderr.contains("PWPW") && output.stdout.is_empty(), "{output}");
        assert!(output.stderr.contains("a user name or password in front of `@127.0.0.1:1"), "{output}");
        assert!(output.stderr.contains("--creds NAME:PASSWORD"), "{output}");
        assert_eq!(output.code, Some(4), "{output}");
    }
    let output = sandbox.run(&["idpbuilder-push", "app:v1", "127.0.0.1:1/a/b", "--registry", "u:PWPW@127.0.0.1:1"]);
    assert!(!output.stderr.contains("PWPW") && output.stderr.contains("--creds NAME:PASSWORD"), "{output}");
    for words in [
        ["idpbuilder-push", "u:PWPW@host/a/b", "127.0.0.1:1/a/b"],
        ["idpbuilder-trust", "show", "u:PWPW@host:5000"],
        ["idpbuilder-inspect", "http://u:PWPW@host/a/b", "--layers"],
    ] {
        let output = sandbox.run(&words);
        assert!(!output.stderr.contains("PWPW") && output.stderr.contains("[hidden]@host"), "{output}");
    }
}

#[test]
fn what_is_missing_in_the_middle_is_not_about_the_name() {
    let sandbox = sandbox();
    for (answer, told, untold) in [
        (
            "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 63\r\nConnection: close\r\n\r\n{\"errors\":[{\"code\":\"BLOB_UPLOAD_UNKNOWN\",\"message\":\"unknown\"}]}",
            "the registry lost something",
            "owner",
        ),
        (
            "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 56\r\nConnection: close\r\n\r\n{\"errors\":[{\"code\":\"NAME_UNKNOWN\",\"message\":\"unknown\"}]}",
            "check the repository's name",
            "lost",
        ),
    ] {
        let address = scripted_after_questions(answer);
        let words = ["idpbuilder-push", "app:v1", &format!("{address}/app"), "--plain-http", "--retry", "0"];
        let output = sandbox.run(&words);
        assert!(output.stderr.contains(told) && !output.stderr.contains(untold), "{output}");
    }
}

/// A registry that has nothing, and answers whatever else it is asked for.
fn scripted_after_questions(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let asks = read_head(&mut stream).starts_with(b"HEAD ");
            let nothing = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(if asks { nothing } else { answer }.as_bytes());
        }
    });
    address
}

#[test]
fn a_credentials_file_that_cannot_be_read_says_why() {
    let sandbox = sandbox();
    let words = ["idpbuilder-push", "app:v1", "127.0.0.1:1/a/b", "--plain-http", "--authfile", "nope.json"];
    let output = sandbox.run(&words);
    assert!(output.stderr.contains("nope.json") && output.stderr.contains("No such file or directory"), "{output}");
}

#[test]
fn pieces_that_are_too_small_are_told() {
    let sandbox = sandbox();
    let words = ["idpbuilder-push", "app:v1", "127.0.0.1:1/a/b", "--plain-http", "--chunk-size", "1"];
    let output = sandbox.run(&words);
    assert!(output.stderr.contains("warning: pieces are of 64.00 KiB at least"), "{output}");
}
