//! Questions on a terminal: who is asked what, and what comes of each answer.

use crate::impostor::{Identity, Impostor, Version};
use crate::sandbox::{SECRETS, Sandbox};
use crate::terminal::Terminal;

fn snapshot(name: &str, code: Option<i32>, shown: &str, sandbox: &Sandbox, address: &str) {
    let shown = format!("exit {code:?}\n{}", sandbox.neutral(shown.as_bytes()));
    for secret in SECRETS {
        assert!(!shown.contains(secret), "a secret was printed:\n{shown}");
    }
    let address = address.replace('.', "\\.");
    insta::with_settings!({filters => vec![
        (address.as_str(), "[REGISTRY]"),
        (r"sha256:[0-9a-f]{64}", "[FINGERPRINT]"),
        (r"\x1b\[[0-9;]*m", ""),
    ]}, {
        insta::assert_snapshot!(name, shown);
    });
}

/// Runs the command, waits for its question and answers.
fn asked(sandbox: &Sandbox, words: &[&str], answer: &str) -> (Option<i32>, String) {
    let mut terminal = Terminal::start(sandbox.command(words));
    terminal.wait_for("[y/N] ");
    terminal.write(answer);
    let (status, shown) = terminal.end();
    (status.code(), shown)
}

#[test]
fn a_shown_certificate_is_kept_by_the_word_of_a_person_only() {
    let sandbox = Sandbox::new();
    let server = Impostor::start(Identity::of_idpbuilder("127.0.0.1").valid(2020, 2999), Version::Any);
    let add = ["idpbuilder-trust", "add", &server.address, "--from-server"];
    let kept = sandbox.home().join(".idpbuilder/certs").join(&server.address).join("ca.crt");
    for (name, answer) in [("no", "n\n"), ("nothing", "\n"), ("something_else", "maybe\n"), ("end_of_input", "\u{4}")] {
        let (code, shown) = asked(&sandbox, &add, answer);
        if name == "no" {
            snapshot("trust_no", code, &shown, &sandbox, &server.address);
        }
        assert_eq!((code, kept.exists()), (Some(64), false), "{name}: {shown}");
        assert_eq!(shown.lines().filter(|line| line.contains("not confirmed") && !line.contains("[y/N]")).count(), 1);
    }
    let (code, shown) = asked(&sandbox, &add, "y\n");
    snapshot("trust_yes", code, &shown, &sandbox, &server.address);
    assert_eq!(std::fs::read_to_string(&kept).expect("kept").matches("BEGIN").count(), 1);
    assert_eq!(server.received(), 0, "a handshake, and nothing after it");
    let log = std::fs::read_to_string(sandbox.home().join(".idpbuilder/audit.jsonl")).expect("written");
    assert_eq!(log.matches("trust-add").count(), 1, "{log}");

    // Whoever shows another one later is not taken for the same.
    let other = Impostor::start(Identity::of_idpbuilder("127.0.0.1").valid(2020, 2999), Version::Any);
    let theirs = sandbox.home().join(".idpbuilder/certs").join(&other.address);
    std::fs::create_dir_all(&theirs).expect("made");
    std::fs::copy(&kept, theirs.join("ca.crt")).expect("copied");
    let (code, shown) = asked(&sandbox, &["idpbuilder-trust", "add", &other.address, "--from-server"], "n\n");
    snapshot("trust_another", code, &shown, &sandbox, &other.address);
}

#[test]
fn going_on_without_verifying_is_a_persons_decision() {
    let mut sandbox = Sandbox::new();
    sandbox.file("app/file", "content");
    sandbox.run(&["idpbuilder-build", "app", "-t", "app:v1", "-q", "--platform", "linux/amd64"]).success();
    sandbox.set("REGISTRY_USERNAME", "demo");
    sandbox.set("REGISTRY_PASSWORD", SECRETS[0]);
    let server = Impostor::start(Identity::of_idpbuilder("127.0.0.1"), Version::Any);
    let destination = format!("{}/app:v1", server.address);
    let push = ["idpbuilder-push", "app:v1", &destination, "--insecure"];
    let (code, shown) = asked(&sandbox, &push, "n\n");
    snapshot("insecure_no", code, &shown, &sandbox, &server.address);
    assert_eq!(server.received(), 0);
    assert!(!sandbox.home().join(".idpbuilder/audit.jsonl").exists(), "nothing was done");
    let (code, shown) = asked(&sandbox, &push, "yes\n");
    assert_eq!(code, Some(5), "the server answers nothing useful: {shown}");
    assert!(server.received() > 0);
    let said = Terminal::start(sandbox.command(&[&push[..], &["--yes"]].concat()));
    let (status, shown) = said.end();
    assert!(status.code() == Some(5) && !shown.contains("[y/N]") && shown.contains("will not be verified"), "{shown}");
}

#[test]
fn a_question_ends_with_the_interrupt() {
    let mut sandbox = Sandbox::new();
    sandbox.set("NO_COLOR", "1");
    let server = Impostor::start(Identity::of_idpbuilder("127.0.0.1").valid(2020, 2999), Version::Any);
    let signals =
        [(rustix::process::Signal::INT, 130, "interrupted"), (rustix::process::Signal::TERM, 143, "terminated")];
    for (signal, code, word) in signals {
        let add = ["idpbuilder-trust", "add", &server.address, "--from-server"];
        let terminal = Terminal::start(sandbox.command(&add));
        terminal.wait_for("[y/N] ");
        terminal.signal(signal);
        let (status, shown) = terminal.end();
        assert_eq!(status.code(), Some(code), "{shown}");
        assert!(shown.ends_with(&format!("[y/N] \nerror: {word}\n")), "{shown}");
    }
    assert!(!sandbox.home().join(".idpbuilder/certs").exists());
}
