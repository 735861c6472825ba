//! Commands that cannot write: a clear error, exit code 1, nothing half-written, and a store as it was.
//!
//! A limit on the size of files stands for a full disk: it needs no privileges, and both fail a write.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::check::{left_overs, names, text, whole};
use crate::process::{Process, files};
use crate::sandbox::{Output, Sandbox, executable};
use crate::transfers::{LARGE, Serve, filled};

/// Kibibytes that a file may have: less than the large blob, more than any document.
const LIMIT: &str = "1024";

/// A command under a limit on the size of the files it writes.
pub(crate) fn limited(sandbox: &Sandbox, kibibytes: &str, words: &[&str]) -> Command {
    // A limit of nothing would kill those that have no need to listen to signals.
    let script = r#"ulimit -f "$0" || exit 99; [ "$0" != 0 ] || trap "" XFSZ; exec "$@""#;
    let mut command = Command::new("bash");
    command.args(["-c", script, kibibytes]).arg(executable()).arg(words[0].trim_start_matches("idpbuilder-"));
    command.args(&words[1..]).current_dir(sandbox.work()).env_clear().stdin(Stdio::null());
    command.env("HOME", sandbox.home()).env("PATH", "/usr/bin:/bin");
    command
}

fn run(sandbox: &Sandbox, kibibytes: &str, words: &[&str], input: &[u8]) -> Output {
    sandbox.finish(words, limited(sandbox, kibibytes, words), input)
}

#[track_caller]
fn told(output: Output) -> String {
    let stderr = output.failure(1);
    assert!(stderr.contains("error: cannot "), "{stderr}");
    assert!(stderr.contains("File too large"), "{stderr}");
    stderr
}

#[test]
fn a_build_that_cannot_write_leaves_the_store_as_it_was() {
    let sandbox = filled();
    sandbox.file("more/noise", crate::process::noise(11, LARGE));
    let before = whole(&sandbox, &sandbox.store());
    let stderr = told(run(&sandbox, LIMIT, &["idpbuilder-build", "more", "-t", "app:v1"], b""));
    assert!(stderr.contains("  caused by: File too large") && stderr.contains("hint: allow larger files"), "{stderr}");
    assert_eq!(whole(&sandbox, &sandbox.store()), before);
    assert_eq!(left_overs(&sandbox.store()), Vec::<PathBuf>::new());
    let _ = sandbox.run(&["idpbuilder-build", "more", "-t", "app:v1"]).success();
    assert_ne!(whole(&sandbox, &sandbox.store()), before);
}

#[test]
fn an_index_that_cannot_be_written_stays_the_old_one() {
    let sandbox = filled();
    let before = names(&sandbox, &sandbox.store());
    told(run(&sandbox, "0", &["idpbuilder-tag", "app:v1", "app:v2"], b""));
    told(run(&sandbox, "0", &["idpbuilder-rm", "app:v1"], b""));
    assert_eq!(whole(&sandbox, &sandbox.store()), before);
    assert_eq!(left_overs(&sandbox.store()), Vec::<PathBuf>::new());
    // What frees space needs none.
    let _ = run(&sandbox, "0", &["idpbuilder-rm", "--prune"], b"").success();
    assert_eq!(names(&sandbox, &sandbox.store()), before);
}

#[test]
fn a_store_that_could_not_be_made_is_made_later() {
    let sandbox = Sandbox::new();
    sandbox.file("app/file", "hello");
    let build = ["idpbuilder-build", "app", "-q", "-t", "app:v1"];
    told(run(&sandbox, "0", &build, b""));
    let _ = sandbox.run(&build).success();
    assert_eq!(whole(&sandbox, &sandbox.store()).len(), 1);
}

#[test]
fn a_load_that_cannot_write_leaves_the_store_as_it_was() {
    let sandbox = filled();
    let archive = sandbox.run(&["idpbuilder-save", "app:v1"]).raw;
    let store = sandbox.work().join("loaded");
    let load = ["idpbuilder-load", "--store", text(&store)];
    told(run(&sandbox, LIMIT, &load, &archive));
    assert!(whole(&sandbox, &store).is_empty());
    assert_eq!(left_overs(&store), Vec::<PathBuf>::new());
    let _ = sandbox.run_with_input(&load, &archive).success();
    assert_eq!(whole(&sandbox, &store).len(), 1);
}

#[test]
fn an_archive_that_cannot_be_written_gets_no_name() {
    let sandbox = filled();
    let before = files(&sandbox.work()).len();
    told(run(&sandbox, LIMIT, &["idpbuilder-save", "app:v1", "-o", "saved.tar"], b""));
    assert_eq!(files(&sandbox.work()).len(), before);
    // Opened here: a device is never given to the command by its name, which a mistake would take away.
    let mut command = sandbox.command(&["idpbuilder-save", "app:v1", "--progress", "none"]);
    command.stdout(OpenOptions::new().write(true).open("/dev/full").expect("a device"));
    let (status, told) = Process::start_as_it_is(command).end();
    assert_eq!(status.code(), Some(1), "{told}");
    assert!(told.contains("No space left on device") && told.contains("hint: free space"), "{told}");
}

#[test]
fn a_pull_that_cannot_write_leaves_the_store_as_it_was() {
    let sandbox = filled();
    let server = Serve::start(&sandbox, "served");
    let image = server.image();
    let _ = sandbox.run(&["idpbuilder-push", "app:v1", &image, "--plain-http"]).success();
    let store = sandbox.work().join("pulled");
    let pull = ["idpbuilder-pull", &image, "--plain-http", "--store", text(&store)];
    told(run(&sandbox, LIMIT, &pull, b""));
    assert!(whole(&sandbox, &store).is_empty());
    assert_eq!(left_overs(&store), Vec::<PathBuf>::new());
    let _ = sandbox.run(&pull).success();
    assert_eq!(whole(&sandbox, &store).len(), 1);
    server.stop(Signal::TERM);
}

#[test]
fn a_server_that_cannot_write_says_so_and_goes_on() {
    let sandbox = filled();
    sandbox.file("small/file", "small");
    let _ = sandbox.run(&["idpbuilder-build", "small", "-q", "-t", "small:v1"]).success();
    let server = Serve::limited(&sandbox, "served", LIMIT);
    let push = |image: &str, name: &str| {
        let to = format!("{}/team/{name}", server.address);
        sandbox.run(&["idpbuilder-push", image, &to, "--plain-http"])
    };
    let stderr = push("app:v1", "app:v1").failure(5);
    assert!(stderr.contains("error: cannot push to"), "{stderr}");
    assert!(whole(&sandbox, &server.store).is_empty());
    // What had come of the upload is not kept: it takes the room of what fits.
    assert_eq!(left_overs(&server.store), Vec::<PathBuf>::new());
    let _ = push("small:v1", "small:v1").success();
    assert_eq!(whole(&sandbox, &server.store).len(), 1);
    server.stop(Signal::TERM);
}
