use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use crate::sandbox::{Output, SECRETS, Sandbox};
use crate::server::Server;

/// A sandbox with one image, `app:v1`, and a registry with TLS and a login.
fn started() -> (Sandbox, Server) {
    let sandbox = Sandbox::new();
    sandbox.file("app/file", "content");
    sandbox.run(&["idpbuilder-build", "app", "-t", "app:v1", "-q", "--platform", "linux/amd64"]).success();
    let hash = bcrypt::hash(SECRETS[0], 4).expect("bcrypt");
    sandbox.file("htpasswd", format!("demo:{hash}\n"));
    let server = Server::start(&sandbox, &["--tls", "--tls-cert-out", "ca.pem", "--htpasswd", "htpasswd"]);
    (sandbox, server)
}

fn push(sandbox: &Sandbox, server: &Server, rest: &[&str]) -> Output {
    let destination = format!("{}/app:v1", server.address);
    let mut words = vec!["idpbuilder-push", "app:v1", &destination, "--jobs", "1", "-q"];
    words.extend(rest);
    words.extend(["-u", "demo", "--password-stdin"]);
    sandbox.run_with_input(&words, SECRETS[0].as_bytes())
}

fn audit(sandbox: &Sandbox) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(sandbox.home().join(".idpbuilder/audit.jsonl")).unwrap_or_default();
    assert!(!SECRETS.iter().any(|secret| text.contains(secret)), "a secret in the audit log");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn insecure_use_is_written_down_or_does_not_happen() {
    let (sandbox, server) = started();
    push(&sandbox, &server, &["--insecure"]).success();
    let lines = audit(&sandbox);
    let events: Vec<_> = lines.iter().map(|line| (line["event"].as_str(), line["host"].as_str())).collect();
    let host = Some(server.address.as_str());
    assert_eq!(events, [(Some("insecure"), host), (Some("credential"), host)]);
    assert_eq!(lines[1]["source"], "the command line");
    assert_eq!(lines[0]["command"], "push");
    let uid = rustix::process::getuid().as_raw();
    assert!(lines.iter().all(|line| line["uid"] == uid), "{lines:?}");
    let print = lines[0]["fingerprint"].as_str().expect("the certificate's");
    assert!(print.starts_with("sha256:") && print.len() == 71, "{print}");

    let log = sandbox.home().join(".idpbuilder/audit.jsonl");
    std::fs::remove_file(&log).expect("there");
    std::fs::create_dir(&log).expect("in the way");
    let refused = push(&sandbox, &server, &["--insecure"]);
    assert!(refused.stderr.contains("audit log"), "{refused}");
    refused.failure(1);
    // A verified push is worth more than its line.
    let told = push(&sandbox, &server, &["--ca-file", "ca.pem"]);
    assert!(told.stderr.contains("warning: cannot write the audit log"), "{told}");
    told.success();
}

#[test]
fn a_password_goes_over_plain_http_only_when_that_is_said() {
    let (sandbox, server) = started();
    // Somebody who listens and speaks no TLS, on this machine too.
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound").to_string();
    let listening = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut heard = [0; 4096];
        let count = stream.read(&mut heard).expect("read");
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").expect("written");
        heard[..count].to_vec()
    });
    let words = ["idpbuilder-push", "app:v1", &format!("{address}/app:v1"), "-u", "demo", "--password-stdin"];
    let refused = sandbox.run_with_input(&words, SECRETS[0].as_bytes());
    assert!(refused.stderr.contains("it does not answer with TLS"), "{refused}");
    refused.failure(3);
    let heard = listening.join().expect("heard");
    assert_eq!((heard[0], heard[1]), (22, 3), "a TLS handshake and nothing else");

    drop(server);
    let server = Server::start(&sandbox, &["--htpasswd", "htpasswd"]);
    let told = push(&sandbox, &server, &["--plain-http"]);
    assert!(told.stderr.starts_with(&format!("warning: {} is used without TLS", server.address)), "{told}");
    told.success();
    let lines = audit(&sandbox);
    let last: Vec<_> = lines.iter().rev().take(2).map(|line| line["event"].as_str()).collect();
    assert_eq!(last, [Some("credential"), Some("plain-http")]);
}

#[test]
fn a_pinned_registry_is_not_used_without_verifying_by_accident() {
    let (sandbox, server) = started();
    let directory = sandbox.home().join(".idpbuilder/certs").join(&server.address);
    std::fs::create_dir_all(&directory).expect("a directory");
    std::fs::copy(sandbox.work().join("ca.pem"), directory.join("ca.crt")).expect("copied");
    let refused = push(&sandbox, &server, &["--insecure"]);
    let address = server.address.replace('.', "\\.");
    insta::with_settings!({filters => vec![(address.as_str(), "[REGISTRY]")]}, {
        insta::assert_snapshot!("insecure_pinned", refused);
    });
    push(&sandbox, &server, &["--tls-verify=false"]).failure(64);
    push(&sandbox, &server, &[&format!("--insecure={}", server.address)]).success();
    // Named for another registry, it changes nothing here.
    push(&sandbox, &server, &["--insecure=other.example:443"]).success();
    let insecure = audit(&sandbox).iter().filter(|line| line["event"] == "insecure").count();
    assert_eq!(insecure, 1);
}
