//! Every command with an output that is closed, full or never read: no panic, and an exit code that says what arrived.

use std::fs::File;
use std::process::Stdio;

use crate::sandbox::Sandbox;

/// A pipe whose reader has left.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").expect("opened").into()
}

/// What a command prints on standard output.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prints {
    /// Data: a reader that leaves has only a part of it.
    Data,
    /// A verdict, which the exit code has too.
    Verdict,
    /// Nothing.
    Nothing,
    /// What its protocol says, whose only failure is 1.
    Protocol,
}

#[test]
fn outputs_that_are_closed_or_full_never_pass_for_success() {
    use Prints::{Data, Nothing, Protocol, Verdict};
    let table: &[(&str, Prints)] = &[
        ("idpbuilder-build app -t other:v1", Data),
        ("idpbuilder-build app -q -t other:v1", Data),
        ("idpbuilder-build app --explain file", Data),
        ("idpbuilder-build app --list-context", Data),
        ("idpbuilder-tag app:v1 third:v1", Nothing),
        ("idpbuilder-list", Data),
        ("idpbuilder-list -q", Data),
        ("idpbuilder-list --format json", Data),
        ("idpbuilder-list -o yaml", Data),
        ("idpbuilder-list --format {{.Name}}", Data),
        ("idpbuilder-inspect app:v1", Data),
        ("idpbuilder-inspect app:v1 --files --format json", Data),
        ("idpbuilder-inspect app:v1 --manifest", Data),
        ("idpbuilder-index create app:index app:v1", Data),
        ("idpbuilder-save app:v1", Data),
        ("idpbuilder-load -i saved.tar", Data),
        ("idpbuilder-rm -f third:v1 other:v1 app:none", Nothing),
        ("idpbuilder-trust list", Data),
        ("idpbuilder-oci install --dry-run --dir links", Data),
        ("idpbuilder-oci --help", Data),
        ("idpbuilder-oci --version", Data),
        ("idpbuilder-oci --list", Data),
        ("idpbuilder-build --help", Data),
        ("idpbuilder-doctor --settings", Data),
        ("idpbuilder-doctor 127.0.0.1:1", Verdict),
        ("idpbuilder-doctor --format json 127.0.0.1:1", Verdict),
        ("docker-credential-idpbuilder version", Protocol),
        ("docker-credential-idpbuilder list", Protocol),
    ];
    let sandbox = Sandbox::new();
    sandbox.file("app/file", "content");
    let _ = sandbox.run(&["idpbuilder-build", "app", "-q", "-t", "app:v1"]).success();
    let _ = sandbox.run(&["idpbuilder-save", "app:v1", "-o", "saved.tar"]).success();
    let mut wrong = Vec::new();
    for (line, prints) in table {
        let words: Vec<&str> = line.split(' ').collect();
        let run = |stdout: Stdio, stderr: Stdio| {
            let ended = sandbox.command(&words).stdout(stdout).stderr(stderr).status().expect("it runs");
            ended.code().unwrap_or(-1)
        };
        let usual = run(Stdio::null(), Stdio::null());
        // A shell's `>&-`, which leaves the program without the descriptor.
        let absent = || {
            let quoted: Vec<String> = words[1..].iter().map(|word| format!("'{word}'")).collect();
            let executable = crate::sandbox::executable();
            let script =
                format!("exec -a {} '{}' {} >&- 2>/dev/null", words[0], executable.display(), quoted.join(" "));
            sandbox.shell(&script).status().expect("it runs").code().unwrap_or(-1)
        };
        let (when_closed, when_full, when_absent) = match prints {
            Data => (141, 1, 1),
            Nothing | Verdict => (usual, usual, usual),
            Protocol => (1, 1, 1),
        };
        assert_eq!(usual, if *prints == Verdict { 3 } else { 0 }, "{line}");
        for (what, found, expected) in [
            ("standard output closed", run(closed(), Stdio::null()), when_closed),
            ("standard output full", run(full(), Stdio::null()), when_full),
            ("standard error closed", run(Stdio::null(), closed()), usual),
            ("standard error full", run(Stdio::null(), full()), usual),
            ("both closed", run(closed(), closed()), when_closed),
            ("both full", run(full(), full()), when_full),
            ("no standard output", absent(), when_absent),
        ] {
            if found != expected {
                wrong.push(format!("{line}, {what}: {found} instead of {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_output_that_cannot_be_written_is_named() {
    let sandbox = Sandbox::new();
    sandbox.file("app/file", "content");
    let _ = sandbox.run(&["idpbuilder-build", "app", "-q", "-t", "app:v1"]).success();
    let closed = "error: cannot write to standard output\n  caused by: Bad file descriptor\n\
                  hint: it is closed: redirect it to a file or to /dev/null\n";
    let full = "error: cannot write to standard output\n  caused by: No space left on device\n";
    let executable = crate::sandbox::executable();
    for command in ["list", "inspect app:v1", "build app --list-context", "trust list", "--version"] {
        for (output, expected) in [(">&-", closed), (">/dev/full", full)] {
            let script = format!("'{}' {command} {output}", executable.display());
            let ended = sandbox.shell(&script).output().expect("it runs");
            assert_eq!(ended.status.code(), Some(1), "{script}");
            let told = String::from_utf8_lossy(&ended.stderr);
            assert!(told.ends_with(expected), "{script}: {told}");
        }
    }
}

#[test]
fn an_archive_without_its_end_does_not_pass_pipefail() {
    let sandbox = Sandbox::new();
    sandbox.file("app/file", vec![7; 1 << 20]);
    let _ = sandbox.run(&["idpbuilder-build", "app", "-q", "-t", "app:v1", "--compression-format", "none"]).success();
    let executable = crate::sandbox::executable();
    let script = format!("'{}' save app:v1 | head -c 1000 >/dev/null", executable.display());
    let ended = sandbox.shell(&script).output().expect("it runs");
    assert_eq!(ended.status.code(), Some(141), "{ended:?}");
    assert!(!String::from_utf8_lossy(&ended.stderr).contains("error"), "{ended:?}");
}

#[test]
fn names_of_others_steer_no_terminal() {
    let sandbox = Sandbox::new();
    sandbox.file("app/a\u{1b}[31m\u{9b}2J\u{202e}\nfile", "content");
    let label = "k\u{1b}]0;x\u{7}=v\u{9b}2J\u{202e}";
    let _ = sandbox.run(&["idpbuilder-build", "app", "-q", "-t", "app:v1", "--label", label]).success();
    let index = sandbox.store().join("index.json");
    let text = std::fs::read_to_string(&index).expect("an index");
    std::fs::write(&index, text.replace("app:v1", r"app\u001b[2J\u009b\u202e\u007f:v1")).expect("written");
    let id = sandbox.run(&["idpbuilder-list", "-q"]).success();
    let id = id.trim();
    for words in [
        &["idpbuilder-list"][..],
        &["idpbuilder-list", "--format", "json"],
        &["idpbuilder-list", "-o", "yaml"],
        &["idpbuilder-inspect", id],
        &["idpbuilder-inspect", id, "--history"],
        &["idpbuilder-inspect", id, "--files"],
        &["idpbuilder-build", "app", "--list-context"],
        &["idpbuilder-build", "app", "--explain", "a\u{1b}\u{9b}\u{202e}\nb"],
        &["idpbuilder-doctor", "--deep", "127.0.0.1:1"],
        &["idpbuilder-rm", "-f", id],
    ] {
        let output = sandbox.run(words);
        let shown = output.stdout.replace('\n', "");
        let steers = shown.chars().any(|c| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}'));
        assert!(!steers && !shown.is_empty(), "{output}");
    }
}
