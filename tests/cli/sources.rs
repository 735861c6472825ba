//! Where credentials come from, seen from outside; and that they go nowhere else.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use rustix::process::Signal;
use serde_json::json;

use crate::sandbox::{Output, SECRETS, Sandbox};
use crate::server::{Reaped, Server, send};

const PASSWORD: &str = SECRETS[0];
const USER: &str = "demo";

/// A sandbox with one image, `app:v1`, and a registry with TLS and a login.
fn started() -> (Sandbox, Server) {
    let sandbox = Sandbox::new();
    sandbox.file("app/file", "content");
    sandbox.run(&["idpbuilder-build", "app", "-t", "app:v1", "-q", "--platform", "linux/amd64"]).success();
    let hash = bcrypt::hash(PASSWORD, 4).expect("bcrypt");
    sandbox.file("htpasswd", format!("{USER}:{hash}\n"));
    let server = Server::start(&sandbox, &["--tls", "--tls-cert-out", "ca.pem", "--htpasswd", "htpasswd"]);
    (sandbox, server)
}

fn words(server: &Server) -> Vec<String> {
    let destination = format!("{}/team/app:v1", server.address);
    ["idpbuilder-push", "app:v1", &destination, "--ca-file", "ca.pem", "--jobs", "1", "-v"].map(str::to_owned).into()
}

fn push(sandbox: &Sandbox, server: &Server, more: &[&str]) -> Output {
    let words = words(server);
    let words: Vec<&str> = words.iter().map(String::as_str).chain(more.iter().copied()).collect();
    sandbox.run(&words)
}

/// A config with that password for the registry.
fn auths(key: &str, password: &str) -> String {
    json!({"auths": {key: {"auth": encoded(password)}}}).to_string()
}

/// The form that Basic authentication and Docker's file have.
fn encoded(password: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{password}"))
}

fn write(path: &Path, content: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a directory");
    std::fs::write(path, content).expect("written");
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("mode");
}

/// A helper on the sandbox's PATH. A shell writes it: a file that is open for writing here, inherited by a process
/// that another test starts at that moment, could not be executed.
fn helper(sandbox: &mut Sandbox, name: &str, body: &str) {
    let bin = sandbox.work().join("bin");
    std::fs::create_dir_all(&bin).expect("a directory");
    let path = bin.join(format!("docker-credential-{name}"));
    let mut shell = Command::new("sh")
        .args(["-c", "cat > \"$1\" && chmod 755 \"$1\"", "sh"])
        .arg(&path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("a shell");
    let script = format!("#!/bin/sh\n{body}\n");
    shell.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("written");
    assert!(shell.wait().expect("ended").success());
    sandbox.set("PATH", format!("{}:/usr/bin:/bin", bin.display()));
}

#[test]
fn every_place_is_looked_at_in_its_order() {
    let (mut sandbox, server) = started();
    let host = server.address.clone();
    // From the last to the first, so that each has to win over those before it.
    let entry = json!({"ServerURL": host, "Username": USER, "Secret": PASSWORD}).to_string();
    sandbox.run_with_input(&["docker-credential-idpbuilder", "store"], entry.as_bytes()).success();
    let kept = sandbox.home().join(".config/containers/auth.json");
    let session = sandbox.path().join("run/containers/auth.json");
    let docker = sandbox.home().join(".docker/config.json");
    let named = sandbox.work().join("named.json");
    let expect = |sandbox: &Sandbox, source: &str, more: &[&str]| {
        let output = push(sandbox, &server, more);
        let line = format!("credential for {host} from {source}");
        assert!(output.stderr.lines().any(|told| told.starts_with(&line)), "{source}: {output}");
        let _ = output.success();
    };
    expect(&sandbox, "the stored credentials", &[]);
    write(&kept, auths(&format!("{host}/team"), PASSWORD));
    expect(&sandbox, "`[SANDBOX]/home/.config/containers/auth.json`", &[]);
    write(&session, auths(&host, PASSWORD));
    expect(&sandbox, "`[SANDBOX]/run/containers/auth.json`", &[]);
    write(&docker, auths(&format!("https://{}/v2/", host.to_uppercase()), PASSWORD));
    expect(&sandbox, "`[SANDBOX]/home/.docker/config.json`", &[]);
    write(&named, auths(&host, PASSWORD));
    sandbox.set("REGISTRY_AUTH_FILE", "named.json");
    expect(&sandbox, "`[SANDBOX]/here/named.json`", &[]);
    sandbox.set("REGISTRY_AUTH_FILE", "absent.json");
    expect(&sandbox, "`[SANDBOX]/home/.docker/config.json`", &[]);
    expect(&sandbox, "`[SANDBOX]/here/named.json`", &["--authfile", "named.json"]);
    sandbox.set("DOCKER_AUTH_CONFIG", auths(&host, PASSWORD));
    expect(&sandbox, "`DOCKER_AUTH_CONFIG`", &["--authfile", "named.json"]);
    sandbox.set("REGISTRY_USERNAME", USER);
    sandbox.set("REGISTRY_PASSWORD", PASSWORD);
    expect(&sandbox, "the environment (REGISTRY_USERNAME, REGISTRY_PASSWORD)", &[]);
}

#[test]
fn a_file_that_is_named_and_not_there_ends_the_search() {
    let (sandbox, server) = started();
    write(&sandbox.home().join(".docker/config.json"), auths(&server.address, PASSWORD));
    let output = push(&sandbox, &server, &["--authfile", "absent.json"]);
    let told = "warning: no credential: cannot read `[SANDBOX]/here/absent.json`: No such file or directory\n";
    assert!(output.stderr.contains(told), "the file is named once, in words: {output}");
    assert_eq!(output.code, Some(2), "{output}");
}

#[test]
fn a_file_that_says_nothing_is_passed_over_and_one_that_cannot_be_read_is_a_warning() {
    let (sandbox, server) = started();
    let docker = sandbox.home().join(".docker/config.json");
    write(&sandbox.home().join(".config/containers/auth.json"), auths(&server.address, PASSWORD));
    for nothing in
        ["", "\n", "null", "{}", r#"{"auths":null}"#, &format!(r#"{{"auths":{{"{}":null}}}}"#, server.address)]
    {
        write(&docker, nothing);
        let output = push(&sandbox, &server, &[]);
        assert!(!output.stderr.contains("warning"), "{nothing:?}: {output}");
        let _ = output.success();
    }
    for damaged in ["{", "no JSON", r#"{"auths":[]}"#] {
        write(&docker, damaged);
        let output = push(&sandbox, &server, &[]);
        let told = "warning: no credential: `[SANDBOX]/home/.docker/config.json` is not a Docker config file (line 1";
        assert_eq!(output.stderr.matches("config.json").count(), 1, "{output}");
        assert!(output.stderr.contains(told), "{damaged:?}: {output}");
        let _ = output.success();
    }
    let broken: String = encoded(PASSWORD).chars().flat_map(|letter| [letter, '\n']).collect();
    write(&docker, json!({"auths": {server.address.clone(): {"auth": broken}}}).to_string());
    let output = push(&sandbox, &server, &[]);
    assert!(output.stderr.contains("from `[SANDBOX]/home/.docker/config.json`"), "{output}");
    let _ = output.success();
}

#[test]
fn helpers_that_fail_for_others_are_no_concern_and_the_one_for_all_is_a_warning() {
    let (mut sandbox, server) = started();
    let host = server.address.clone();
    helper(&mut sandbox, "broken", "touch asked; echo not logged in to the vault; echo more; exit 3");
    let config = sandbox.home().join(".docker/config.json");
    let mut document: serde_json::Value = serde_json::from_str(&auths(&host, PASSWORD)).expect("JSON");
    document["credHelpers"] = json!({"other.example": "broken", "quay.io": "absent"});
    write(&config, document.to_string());
    let output = push(&sandbox, &server, &[]);
    assert!(!output.stderr.contains("warning"), "{output}");
    assert!(!sandbox.work().join("asked").exists());
    let _ = output.success();
    for store in ["broken", "absent"] {
        document["credsStore"] = json!(store);
        write(&config, document.to_string());
        let output = push(&sandbox, &server, &[]);
        let told = "warning: no credential from `[SANDBOX]/home/.docker/config.json`: ";
        assert!(output.stderr.contains(told), "{output}");
        assert!(output.stderr.contains(&format!("docker-credential-{store}")), "{output}");
        let _ = output.success();
    }
    document["credHelpers"] = json!({&host: "broken"});
    write(&config, document.to_string());
    let output = push(&sandbox, &server, &[]);
    assert!(
        output.stderr.contains("`docker-credential-broken` failed (exit 3): not logged in to the vault\n"),
        "{output}"
    );
    assert_eq!(output.code, Some(2), "its own helper has the last word: {output}");
}

#[test]
fn ctrl_c_ends_the_wait_for_a_helper() {
    let (mut sandbox, server) = started();
    helper(&mut sandbox, "slow", "echo $$ > started.new; mv started.new started; exec sleep 600");
    write(&sandbox.home().join(".docker/config.json"), json!({"credsStore": "slow"}).to_string());
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let words = words(&server);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = sandbox.command(&words);
        let mut child = Reaped(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs"));
        let started = sandbox.work().join("started");
        let begun = Instant::now();
        while !started.exists() {
            assert!(begun.elapsed() < Duration::from_secs(30), "the helper was not started");
            std::thread::yield_now();
        }
        send(&child.0, signal);
        assert_eq!(child.0.wait().expect("it ends").code(), Some(code));
        let process = std::fs::read_to_string(&started).expect("there");
        assert!(!Path::new("/proc").join(process.trim()).exists(), "the helper is gone too");
        std::fs::remove_file(&started).expect("removed");
    }
}

/// Everything below a folder that holds one of the secrets.
fn holding(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            holding(&path, found);
        } else {
            let content = std::fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&content);
            let forms = SECRETS.iter().flat_map(|secret| [(*secret).to_owned(), encoded(secret)]);
            if forms.into_iter().any(|form| text.contains(&form)) {
                found.push(path.display().to_string());
            }
        }
    }
}

#[test]
fn secrets_go_to_the_registry_and_nowhere_else() {
    let (mut sandbox, server) = started();
    let host = server.address.clone();
    // While the helper runs, the command that asks it waits: both are looked at from inside.
    let look =
        "cat /proc/$PPID/cmdline > parent.cmdline; cat /proc/$$/environ > environ; cat /proc/$$/cmdline > cmdline
        echo credentials not found in native keychain; exit 1";
    helper(&mut sandbox, "look", look);
    write(&sandbox.home().join(".docker/config.json"), json!({"credHelpers": {&host: "look"}}).to_string());
    let settings = sandbox.home().join(".idpbuilder/config.toml");
    write(&settings, "credential_store = \"file\"\n");
    let entry = json!({"ServerURL": host, "Username": USER, "Secret": PASSWORD}).to_string();
    sandbox.run_with_input(&["docker-credential-idpbuilder", "store"], entry.as_bytes()).success();
    // Meant for another registry, which makes them no less secret.
    sandbox.set("DOCKER_AUTH_CONFIG", auths("other.example", SECRETS[1]));
    sandbox.set("UNRELATED", "kept");

    // `Sandbox::finish` looks through both streams of every command.
    let _ = push(&sandbox, &server, &[]).success();
    let _ = sandbox.run(&["idpbuilder-doctor", &host, "--ca-file", "ca.pem", "-v"]).success();
    let wrong = json!({"ServerURL": host, "Username": USER, "Secret": SECRETS[1]}).to_string();
    sandbox.run_with_input(&["docker-credential-idpbuilder", "store"], wrong.as_bytes()).success();
    let refused = push(&sandbox, &server, &[]);
    assert_eq!(refused.code, Some(2), "{refused}");
    let document = sandbox.home().join(".docker/config.json");
    write(&document, format!("{{\"auths\":{{{host:?}:{{\"auth\":\"{PASSWORD}\"}}}}}}"));
    let damaged = push(&sandbox, &server, &[]);
    assert!(damaged.stderr.contains("is not a credential"), "{damaged}");
    std::fs::remove_file(document).expect("removed");

    let environ = std::fs::read_to_string(sandbox.work().join("environ")).expect("the helper ran");
    assert!(environ.contains("UNRELATED=kept") && !environ.contains("DOCKER_AUTH_CONFIG"), "{environ}");
    assert!(std::fs::read_to_string(sandbox.work().join("parent.cmdline")).expect("read").contains("push"));
    let mut found = Vec::new();
    holding(sandbox.path(), &mut found);
    let own = sandbox.home().join(".idpbuilder/credentials.json");
    assert_eq!(found, [own.display().to_string()]);
    assert_eq!(std::fs::metadata(&own).expect("there").permissions().mode() & 0o777, 0o600);
    assert!(sandbox.home().join(".idpbuilder/audit.jsonl").exists());
}
