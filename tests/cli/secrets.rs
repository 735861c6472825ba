//! Secrets stay where they belong: not in errors, not in files that others read, not in core dumps, and not in place of a
//! damaged one.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use base64::Engine as _;

use crate::sandbox::{SECRETS, Sandbox};
use crate::server::Reaped;

const SECRET: &str = SECRETS[0];

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("app/file", "content");
    sandbox.run(&["idpbuilder-build", "app", "-t", "app:v1", "-q", "--platform", "linux/amd64"]).success();
    sandbox
}

#[test]
fn a_url_with_a_password_is_never_repeated() {
    let sandbox = sandbox();
    // `run` fails where a secret is on either stream.
    for url in [
        format!("https://user:{SECRET}@host.example/v2/"),
        format!("https://user:{SECRET}@host.example:0"),
        format!("user:{SECRET}@host.example"),
        format!("https://{SECRET}@a b"),
        format!("ftp://user:{SECRET}@host.example"),
        format!("https://user:{SECRET}@x@host.example/a"),
    ] {
        for verb in ["get", "erase"] {
            let _ = sandbox.run_with_input(&["docker-credential-idpbuilder", verb], url.as_bytes());
        }
        let entry = serde_json::json!({"ServerURL": url, "Username": "u", "Secret": SECRETS[1]}).to_string();
        let stored = sandbox.run_with_input(&["docker-credential-idpbuilder", "store"], entry.as_bytes());
        assert_eq!(stored.code, Some(1), "{stored}");
        let words: [&[&str]; 9] = [
            &["idpbuilder-login", &url, "-u", "u", "--password-stdin"],
            &["idpbuilder-logout", &url],
            &["idpbuilder-trust", "add", &url, "--from-server"],
            &["idpbuilder-trust", "show", &url],
            &["idpbuilder-doctor", &url],
            &["idpbuilder-push", "app:v1", &url],
            &["idpbuilder-push", "app:v1", "--registry", &url],
            &["idpbuilder-pull", &url],
            &["idpbuilder-build", "app", "-t", "app:v2", "--from", &url],
        ];
        for words in words {
            let output = sandbox.run_with_input(words, b"x\n");
            assert_ne!(output.code, Some(0), "{output}");
        }
    }
    for entry in std::fs::read_dir(sandbox.home().join(".idpbuilder")).expect("there") {
        let path = entry.expect("an entry").path();
        let bytes = if path.is_file() { std::fs::read(&path).expect("read") } else { Vec::new() };
        assert!(!String::from_utf8_lossy(&bytes).contains(SECRET), "{}", path.display());
    }
}

#[test]
fn a_process_that_can_hold_a_secret_leaves_no_core_dump() {
    let sandbox = sandbox();
    for words in [&["docker-credential-idpbuilder", "get"][..], &["idpbuilder-build", "-", "-t", "app:v2"]] {
        let mut command = sandbox.command(words);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        let mut child = Reaped(child);
        let limits = format!("/proc/{}/limits", child.0.id());
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        // Before it reads its standard input, which stays open.
        let off = || {
            let text = std::fs::read_to_string(&limits).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default().to_owned();
            line.split_whitespace().nth(4) == Some("0")
        };
        while !off() {
            assert!(std::time::Instant::now() < deadline && child.0.try_wait().expect("asked").is_none(), "{words:?}");
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_file_with_passwords_that_others_can_read_is_warned_of() {
    let sandbox = sandbox();
    let folder = sandbox.home().join(".docker");
    std::fs::create_dir(&folder).expect("made");
    let config = folder.join("config.json");
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("u:{SECRET}"));
    let warned = |content: &str, mode: u32| {
        std::fs::write(&config, content).expect("written");
        std::fs::set_permissions(&config, std::fs::Permissions::from_mode(mode)).expect("mode");
        let words = ["idpbuilder-push", "app:v1", "127.0.0.1:1/a/b", "127.0.0.1:1/a/c", "--plain-http", "--retry", "0"];
        let output = sandbox.run(&words);
        assert_eq!(output.code, Some(3), "{output}");
        output.stderr.matches("other users of this machine can read the passwords in").count()
    };
    let inline = format!(r#"{{"auths":{{"127.0.0.1:1":{{"auth":"{auth}"}}}}}}"#);
    assert_eq!([0o600, 0o640, 0o604, 0o644, 0o400].map(|mode| warned(&inline, mode)), [0, 1, 1, 1, 0]);
    for harmless in [r#"{"auths":{"127.0.0.1:1":{}}}"#.to_owned(), inline.replace("127.0.0.1:1", "other.example")] {
        assert_eq!(warned(&harmless, 0o644), 0, "{harmless}");
    }
}

#[test]
fn what_is_no_file_does_not_hold_a_command_up() {
    let mut sandbox = sandbox();
    let pipe = sandbox.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("made");
    let push = ["idpbuilder-push", "app:v1", "127.0.0.1:1/a/b", "--plain-http", "--retry", "0"];
    for place in [pipe.as_path(), std::path::Path::new("/dev/zero"), sandbox.home().as_path()] {
        let place = place.to_str().expect("text").to_owned();
        let output = sandbox.run(&[&push[..], &["--authfile", &place]].concat());
        assert!(output.stderr.contains("warning: no credential: cannot read"), "{output}");
        sandbox.set("REGISTRY_AUTH_FILE", &place);
        let output = sandbox.run(&push);
        assert!(output.stderr.contains("warning: no credential: cannot read"), "{output}");
        sandbox.unset("REGISTRY_AUTH_FILE");
    }
    std::fs::create_dir_all(sandbox.home().join(".idpbuilder")).expect("made");
    std::os::unix::fs::symlink(&pipe, sandbox.home().join(".idpbuilder/credentials.json")).expect("linked");
    let output = sandbox.run_with_input(&["docker-credential-idpbuilder", "get"], b"r.example");
    assert_eq!(output.stdout, "credentials not found in native keychain\n", "{output}");
}

#[test]
fn a_damaged_token_is_not_silently_something_else() {
    let push = ["idpbuilder-push", "app:v1", "127.0.0.1:1/a/b", "--plain-http", "--retry", "0", "-v"];
    for (variables, reason) in [
        (vec![("IDPBUILDER_REGISTRY_TOKEN", "a\nb")], "what it has is damaged: the password has a line break"),
        (
            vec![
                ("IDPBUILDER_REGISTRY_TOKEN", ""),
                ("IDPBUILDER_REGISTRY_USER", "u"),
                ("IDPBUILDER_REGISTRY_PASSWORD", SECRET),
            ],
            "`IDPBUILDER_REGISTRY_TOKEN` is empty; `IDPBUILDER_REGISTRY_PASSWORD` is not used in its place",
        ),
        (
            vec![("DOCKER_AUTH_CONFIG", r#"{"auths":{"127.0.0.1:1":{"identitytoken":"a b","auth":"dTpw"}}}"#)],
            "what it has is damaged: the token has a space",
        ),
    ] {
        let mut sandbox = sandbox();
        for (name, value) in variables {
            sandbox.set(name, value);
        }
        let output = sandbox.run(&push);
        assert!(output.stderr.contains(reason), "{output}");
        assert!(output.stderr.contains("no credential for 127.0.0.1:1"), "{output}");
    }
}
