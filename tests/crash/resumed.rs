//! Uploads that go on in the next process: what arrived is not sent again.

use std::path::PathBuf;

use rustix::process::Signal;

use crate::check::whole;
use crate::process::{Process, files, noise, wait_until};
use crate::proxy::{Relay, Way};
use crate::sandbox::Sandbox;
use crate::transfers::Serve;

/// Bytes of the one layer.
const SIZE: u64 = 48 << 20;
/// Where the first process ends.
const CUT: u64 = 16 << 20;
/// What else goes over the wire: requests, the configuration, the manifest, bytes between two sockets.
const BESIDES: u64 = 12 << 20;

fn records(sandbox: &Sandbox) -> Vec<PathBuf> {
    let all = files(&sandbox.home().join(".idpbuilder/uploads"));
    all.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "json")).collect()
}

#[test]
fn a_push_that_was_killed_or_stopped_goes_on_in_the_next_process() {
    let sandbox = Sandbox::new();
    sandbox.file("app/noise", noise(11, usize::try_from(SIZE).expect("small")));
    let _ = sandbox.run(&["idpbuilder-build", "app", "-q", "-t", "app:v1"]).success();
    for (signal, chunked) in [(Signal::KILL, false), (Signal::INT, false), (Signal::TERM, true), (Signal::KILL, true)] {
        let server = Serve::start(&sandbox, &format!("served-{}-{chunked}", signal.as_raw()));
        let relay = Relay::start(server.address, Way::ToServer, CUT);
        let to = format!("{}/team/app:v1", relay.host());
        let mut words = vec!["idpbuilder-push", "app:v1", &to, "--plain-http"];
        if chunked {
            words.extend(["--chunk-size", "4MiB"]);
        }
        let mut first = Process::start(sandbox.command(&words));
        assert!(first.until(|| relay.passed() >= CUT), "it was too quick");
        first.signal(signal);
        let (status, told) = first.end();
        assert!(!status.success(), "it was too quick: {told}");
        assert_eq!(records(&sandbox).len(), 1, "{told}");

        let before = relay.passed();
        relay.open();
        let second = sandbox.run(&words);
        assert!(second.stderr.contains("resumed from"), "{second}");
        let _ = second.success();
        wait_until("the connections to end", || relay.passed() > before);
        assert!(relay.passed() <= SIZE + BESIDES, "{} bytes were sent after {before}: {told}", relay.passed());
        assert!(relay.passed() - before < SIZE, "all of it was sent again");
        assert!(records(&sandbox).is_empty());
        assert_eq!(whole(&sandbox, &server.store).len(), 1);
        server.stop(Signal::TERM);
    }
}

#[test]
fn what_a_signal_stopped_says_where_the_same_command_continues() {
    let sandbox = Sandbox::new();
    sandbox.file("app/noise", noise(13, usize::try_from(SIZE).expect("small")));
    let _ = sandbox.run(&["idpbuilder-build", "app", "-q", "-t", "app:v1"]).success();
    let tar = sandbox.shell("tar -C app -c --files-from /dev/null").output().expect("tar runs").stdout;
    for (name, words, signal, first_word) in [
        ("push", &["idpbuilder-push", "app:v1", "DEST"][..], Signal::INT, "interrupted"),
        ("built", &["idpbuilder-build", "app", "-t", "app:v2", "--push=DEST"], Signal::INT, "interrupted"),
        ("ended", &["idpbuilder-build", "app", "-t", "app:v2", "--push=DEST"], Signal::TERM, "terminated"),
        ("base", &["idpbuilder-build", "--from", "app:v1", "-t", "app:v3", "--push=DEST"], Signal::INT, "interrupted"),
        (
            "still building",
            &["idpbuilder-build", "app", "--add-tar", "-:/more", "-t", "app:v4", "--push=DEST"],
            Signal::INT,
            "interrupted",
        ),
    ] {
        let server = Serve::start(&sandbox, &format!("served {name}"));
        let relay = Relay::start(server.address, Way::ToServer, CUT);
        let to = format!("{}/team/app:v1", relay.host());
        let words: Vec<String> = words.iter().map(|word| word.replace("DEST", &to)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).chain(["--plain-http"]).collect();
        let mut command = sandbox.command(&words);
        command.stdin(std::process::Stdio::piped());
        let mut first = Process::start(command);
        let input = first.stdin();
        assert!(first.until(|| relay.passed() >= CUT), "{name}: it was too quick");
        first.signal(signal);
        let (status, told) = first.end();
        drop(input);
        let code = if signal == Signal::INT { 130 } else { 143 };
        assert_eq!(status.code(), Some(code), "{name}: {told}");
        let line = format!("error: {first_word}; run the same command to continue from ");
        assert_eq!(told.matches(&line).count(), 1, "{name}: {told}");

        relay.open();
        let second = sandbox.run_with_input(&words, &tar);
        assert!(second.stderr.contains("resumed from"), "{name}: {second}");
        let _ = second.success();
        assert_eq!(whole(&sandbox, &server.store).len(), 1, "{name}");
        server.stop(Signal::TERM);
    }
}

#[test]
fn two_processes_do_not_share_a_session() {
    let sandbox = Sandbox::new();
    sandbox.file("app/noise", noise(12, 12 << 20));
    let _ = sandbox.run(&["idpbuilder-build", "app", "-q", "-t", "app:v1"]).success();
    let server = Serve::start(&sandbox, "served");
    let to = server.image();
    let push =
        || Process::start(sandbox.command(&["idpbuilder-push", "app:v1", &to, "--plain-http", "--chunk-size", "1m"]));
    for process in [push(), push(), push()] {
        let (status, told) = process.end();
        assert!(status.success() && !told.contains("trying again"), "{told}");
    }
    assert!(records(&sandbox).is_empty());
    assert_eq!(whole(&sandbox, &server.store).len(), 1);
    server.stop(Signal::TERM);
}
