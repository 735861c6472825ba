//! Commands that are told to stop: the exit code says by which signal, and nothing half-written stays.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use idpbuilder_oci::fs::{FileLock, Hold};
use rustix::process::Signal;

use crate::check::{left_overs, text, whole};
use crate::process::{Process, files, holds, wait_until};
use crate::proxy::{Relay, Way};
use crate::sandbox::Sandbox;
use crate::transfers::{LARGE, Serve, absent, filled};

const BOTH: [(Signal, i32, &str); 2] =
    [(Signal::INT, 130, "error: interrupted"), (Signal::TERM, 143, "error: terminated")];

/// Answers what was told.
#[track_caller]
fn stop(process: Process, (signal, code, text): (Signal, i32, &str)) -> String {
    process.signal(signal);
    let (status, told) = process.end();
    assert_eq!(status.code(), Some(code), "{signal:?}: {status}\n{told}");
    assert!(told.contains(text), "{told}");
    told
}

#[test]
fn a_stopped_push_and_pull_leave_nothing() {
    let sandbox = filled();
    let server = Serve::start(&sandbox, "served");
    let image = server.image();
    let push = ["idpbuilder-push", "app:v1", "", "--plain-http"];
    for signal in BOTH {
        let half = Relay::start(server.address, Way::ToServer, LARGE as u64 / 2);
        let to = format!("{}/team/app:v1", half.host());
        let process = Process::start(sandbox.command(&[push[0], push[1], &to, push[3]]));
        wait_until("half of the blob", || half.passed() >= LARGE as u64 / 2);
        stop(process, signal);
        assert!(whole(&sandbox, &server.store).is_empty());
    }
    let _ = sandbox.run(&[push[0], push[1], &image, push[3]]).success();
    let store = sandbox.work().join("pulled");
    for signal in BOTH {
        let half = Relay::start(server.address, Way::ToClient, LARGE as u64 / 2);
        let from = format!("{}/team/app:v1", half.host());
        let process =
            Process::start(sandbox.command(&["idpbuilder-pull", &from, "--plain-http", "--store", text(&store)]));
        wait_until("a part of the blob", || holds(&store.join(".tmp"), LARGE as u64 / 4));
        stop(process, signal);
        assert!(whole(&sandbox, &store).is_empty());
        // `whole` saved nothing yet; a command that takes the lease sweeps what a hurried end left.
        let _ = sandbox.run(&["idpbuilder-rm", "--prune", "--store", text(&store)]).success();
        assert_eq!(left_overs(&store), Vec::<PathBuf>::new());
    }
    server.stop(Signal::INT);
}

#[test]
fn a_stopped_load_does_not_wait_for_its_pipe() {
    let sandbox = filled();
    let archive = sandbox.run(&["idpbuilder-save", "app:v1"]).raw;
    let store = sandbox.work().join("loaded");
    let load = ["idpbuilder-load", "--store", text(&store)];
    for signal in BOTH {
        let mut command = sandbox.command(&load);
        command.stdin(Stdio::piped());
        let mut process = Process::start(command);
        let mut stdin = process.stdin();
        stdin.write_all(&archive[..archive.len() / 2]).expect("taken");
        wait_until("half of the layer", || holds(&store.join(".tmp"), archive.len() as u64 / 4));
        stop(process, signal);
        drop(stdin);
        assert!(whole(&sandbox, &store).is_empty());
    }
    let _ = sandbox.run_with_input(&load, &archive).success();
    assert_eq!(left_overs(&store), Vec::<PathBuf>::new());
    assert_eq!(whole(&sandbox, &store).len(), 1);
}

#[test]
fn a_load_whose_pipe_ends_with_the_signal_was_interrupted() {
    let sandbox = filled();
    let archive = sandbox.run(&["idpbuilder-save", "app:v1"]).raw;
    let store = sandbox.work().join("loaded");
    let mut command = sandbox.command(&["idpbuilder-load", "--store", text(&store)]);
    command.stdin(Stdio::piped());
    let mut process = Process::start(command);
    let mut stdin = process.stdin();
    stdin.write_all(&archive[..archive.len() / 2]).expect("taken");
    wait_until("half of the layer", || holds(&store.join(".tmp"), archive.len() as u64 / 4));
    process.signal(Signal::INT);
    // A whole pipeline is told by a terminal: the writer ends as well.
    drop(stdin);
    stop(process, BOTH[0]);
    assert_eq!(left_overs(&store), Vec::<PathBuf>::new());
}

#[test]
fn a_save_that_waits_is_stopped_without_a_file() {
    let sandbox = filled();
    let lease = sandbox.store().join(".lease.lock");
    let to = sandbox.work().join("saved.tar");
    for signal in BOTH {
        let pruning = FileLock::acquire(&lease, Hold::Exclusive, Duration::ZERO).expect("nobody uses the store");
        let before = files(&sandbox.work()).len();
        let process = Process::start(sandbox.command(&["idpbuilder-save", "app:v1", "-o", text(&to)]));
        wait_until("a file to write to", || files(&sandbox.work()).len() > before);
        stop(process, signal);
        assert_eq!(files(&sandbox.work()).len(), before, "nothing stays beside it");
        assert!(absent(&to));
        drop(pruning);
    }
    let _ = sandbox.run(&["idpbuilder-save", "app:v1", "-o", text(&to)]).success();
    let again = sandbox.run(&["idpbuilder-save", "app:v1"]).raw;
    assert!(std::fs::read(&to).expect("saved") == again);
}

#[test]
fn a_save_into_a_pipe_that_nobody_empties_is_stopped() {
    let sandbox = filled();
    for signal in BOTH {
        let mut command = sandbox.command(&["idpbuilder-save", "app:v1"]);
        let (reader, writer) = std::io::pipe().expect("a pipe");
        command.stdout(writer);
        let process = Process::start_as_it_is(command);
        let mut first = [0];
        std::io::Read::read_exact(&mut &reader, &mut first).expect("the archive begins");
        stop(process, signal);
    }
}

#[test]
fn a_stopped_server_ends_well_and_forgets_unfinished_uploads() {
    let sandbox = filled();
    for signal in [Signal::INT, Signal::TERM] {
        let server = Serve::start(&sandbox, "served");
        let half = Relay::start(server.address, Way::ToServer, LARGE as u64 / 2);
        let to = format!("{}/team/app:v1", half.host());
        let pushing = Process::start(sandbox.command(&["idpbuilder-push", "app:v1", &to, "--plain-http"]));
        let store = server.store.clone();
        wait_until("a part of the blob", || holds(&store.join(".tmp"), LARGE as u64 / 4));
        // Killed, it lets go of the upload, which would else be waited for.
        pushing.kill();
        server.stop(signal);
        assert!(whole(&sandbox, &store).is_empty());
    }
}

#[test]
fn a_stopped_build_leaves_nothing() {
    let sandbox = Sandbox::new();
    sandbox.file("app/noise", crate::process::noise(9, 24 << 20));
    for signal in BOTH {
        let mut process =
            Process::start(sandbox.command(&["idpbuilder-build", "app", "-t", "app:v1", "--progress", "json"]));
        process.line(r#""event":"begin""#).expect("packing begins");
        stop(process, signal);
        assert_eq!(left_overs(&sandbox.store()), Vec::<PathBuf>::new());
        assert!(whole(&sandbox, &sandbox.store()).is_empty());
    }
}

#[test]
fn a_stopped_build_that_pushes_claims_nothing() {
    let sandbox = Sandbox::new();
    sandbox.file("app/noise", crate::process::noise(9, LARGE));
    let server = Serve::start(&sandbox, "served");
    for signal in BOTH {
        let half = Relay::start(server.address, Way::ToServer, LARGE as u64 / 2);
        let to = format!("--push={}/team/app:v1", half.host());
        let words = ["idpbuilder-build", "app", "-t", "app:v1", &to, "--plain-http", "--no-cache", "-q"];
        let process = Process::start(sandbox.command(&words));
        wait_until("half of the layer", || half.passed() >= LARGE as u64 / 2);
        let told = stop(process, signal);
        assert!(!told.contains("built"), "{told}");
    }
    server.stop(Signal::INT);
}

#[test]
fn a_signal_that_was_ignored_from_the_start_stays_ignored() {
    let sandbox = filled();
    let server = Serve::start(&sandbox, "served");
    for (ignored, other) in [("INT", BOTH[1]), ("TERM", BOTH[0])] {
        let half = Relay::start(server.address, Way::ToServer, LARGE as u64 / 2);
        let script =
            format!("trap '' {ignored}; exec idpbuilder-oci push app:v1 {}/team/app:v1 --plain-http", half.host());
        let script = script.replace("idpbuilder-oci", text(&crate::sandbox::executable()));
        let process = Process::start(sandbox.shell(&script));
        wait_until("half of the blob", || half.passed() >= LARGE as u64 / 2);
        process.signal(if ignored == "INT" { Signal::INT } else { Signal::TERM });
        // The first that is heard is the other one.
        stop(process, other);
    }
    server.stop(Signal::INT);
}

#[test]
fn a_second_signal_ends_what_waits() {
    let sandbox = filled();
    for (signal, code, told) in BOTH {
        let words = ["idpbuilder-serve", "--listen", "127.0.0.1:0", "--store", "waiting"];
        let mut process = Process::start(sandbox.command(&words));
        let line = process.line("Serving on").expect("an address");
        let address = line.rsplit("http://").next().expect("an address").trim_end_matches('/').to_owned();
        // An upload that has begun is waited for.
        let mut client = std::net::TcpStream::connect(&address).expect("it listens");
        let target = format!("/v2/a/blobs/uploads/?digest=sha256:{}", "0".repeat(64));
        let begin = format!("POST {target} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 9\r\n\r\nbody");
        client.write_all(begin.as_bytes()).expect("sent");
        wait_until("the upload", || !files(&sandbox.work().join("waiting/.tmp")).is_empty());
        process.signal(signal);
        let mut ended = false;
        wait_until("the end", || {
            // One that follows at once is the same request.
            process.signal(signal);
            let mut looked = false;
            ended = !process.until(|| std::mem::replace(&mut looked, true));
            ended
        });
        let (status, text) = process.end();
        assert_eq!(status.code(), Some(code), "{text}");
        assert!(text.contains(told), "{text}");
    }
}

#[test]
fn a_stopped_server_does_not_wait_for_a_lock_of_another_process() {
    let sandbox = filled();
    let server = Serve::start(&sandbox, "served");
    let lock = FileLock::acquire(&server.store.join(".index.lock"), Hold::Exclusive, Duration::ZERO).expect("free");
    let ask = |method: &str, path: &str| {
        let mut client = std::net::TcpStream::connect(server.address).expect("it listens");
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.address);
        client.write_all(head.as_bytes()).expect("sent");
        client
    };
    let _waiting = ask("DELETE", "/v2/team/app/manifests/v1");
    // Later requests are answered, and by then the first has got as far as the lock.
    for _ in 0..8 {
        let mut answer = String::new();
        ask("GET", "/v2/team/app/manifests/v1").read_to_string(&mut answer).expect("answered");
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    }
    let Serve { mut process, store, .. } = server;
    process.signal(Signal::TERM);
    // Sooner than the wait for the lock would end by itself.
    let deadline = Instant::now() + Duration::from_secs(20);
    assert!(!process.until(|| Instant::now() > deadline), "it still waits for the lock");
    let (status, text) = process.end();
    assert_eq!(status.code(), Some(0), "{text}");
    drop(lock);
    assert_eq!(left_overs(&store), Vec::<PathBuf>::new());
}

#[test]
fn a_server_whose_certificate_no_pipe_takes_is_stopped() {
    let sandbox = Sandbox::new();
    let pipe = sandbox.work().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("made");
    let store = sandbox.work().join("served");
    for signal in BOTH {
        let words = ["idpbuilder-serve", "--listen", "127.0.0.1:0", "--store", "served", "--tls", "--tls-cert-out"];
        let process = Process::start(sandbox.command(&[&words[..], &["pipe"]].concat()));
        // With the lease it has all else that it needs.
        wait_until("the lease", || {
            store.join("oci-layout").exists()
                && matches!(FileLock::try_acquire(&store.join(".lease.lock"), Hold::Exclusive), Ok(None))
        });
        stop(process, signal);
    }
}
