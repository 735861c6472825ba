//! Loads, pulls, pushes and servers that end in the middle.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::check::{left_overs, names, text, whole, whole_blobs};
use crate::process::{Process, Random, holds, noise, wait_until};
use crate::proxy::{Relay, Way};
use crate::sandbox::Sandbox;

/// Bytes of the one large file in `app:v1`.
pub(crate) const LARGE: usize = 6 << 20;

/// A sandbox whose store has `app:v1`, of two layers' worth of noise.
pub(crate) fn filled() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("app/noise", noise(7, LARGE));
    let _ = sandbox.run(&["idpbuilder-build", "app", "-q", "-t", "app:v1"]).success();
    sandbox
}

/// A server over a store of the sandbox.
pub(crate) struct Serve {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    pub(crate) store: PathBuf,
}

impl Serve {
    pub(crate) fn start(sandbox: &Sandbox, store: &str) -> Self {
        Self::watch(sandbox, store, sandbox.command(&Self::words(store)))
    }

    /// One whose files may have so many kibibytes.
    pub(crate) fn limited(sandbox: &Sandbox, store: &str, kibibytes: &str) -> Self {
        Self::watch(sandbox, store, crate::full::limited(sandbox, kibibytes, &Self::words(store)))
    }

    fn words(store: &str) -> [&str; 6] {
        ["idpbuilder-serve", "--listen", "127.0.0.1:0", "--quiet", "--store", store]
    }

    fn watch(sandbox: &Sandbox, store: &str, command: Command) -> Self {
        let mut process = Process::start(command);
        let line = process.line("Serving on http://").expect("it starts");
        let address = line.rsplit('/').next().and_then(|address| address.parse().ok()).expect("an address");
        Self { process, address, store: sandbox.work().join(store) }
    }

    /// The reference under which it has `app:v1`.
    pub(crate) fn image(&self) -> String {
        format!("{}/team/app:v1", self.address)
    }

    /// Tells it to stop; it must end well and leave nothing unfinished.
    pub(crate) fn stop(self, signal: Signal) {
        self.process.signal(signal);
        let (status, text) = self.process.end();
        assert_eq!(status.code(), Some(0), "{text}");
        assert_eq!(left_overs(&self.store), Vec::<PathBuf>::new());
    }
}

fn push(sandbox: &Sandbox, to: &str) -> Process {
    let words = ["idpbuilder-push", "app:v1", to, "--plain-http", "--retry-delay", "20ms", "--wait-for-registry", "0"];
    Process::start(sandbox.command(&words))
}

fn pull<'a>(from: &'a str, store: &'a str) -> [&'a str; 8] {
    ["idpbuilder-pull", from, "-t", "app:v1", "--plain-http", "--store", store, "-q"]
}

#[test]
fn a_load_that_is_cut_or_killed_leaves_the_names_as_they_were() {
    let sandbox = filled();
    sandbox.file("other/file", "other");
    let _ = sandbox.run(&["idpbuilder-build", "other", "-q", "-t", "other:v1"]).success();
    let archive = sandbox.run(&["idpbuilder-save", "app:v1", "other:v1"]).raw;
    let here = names(&sandbox, &sandbox.store());
    let store = sandbox.work().join("loaded");
    let load = ["idpbuilder-load", "--store", text(&store)];
    let mut random = Random::new();
    for round in 0..6 {
        let cut = usize::try_from(random.below(archive.len() as u64 - 1024)).expect("a length");
        let stderr = sandbox.run_with_input(&load, &archive[..cut]).failure(4);
        assert!(stderr.contains("caused by:") || stderr.contains("not an image archive"), "{stderr}");
        assert!(whole(&sandbox, &store).is_empty(), "round {round}, cut at {cut}");
        assert_eq!(left_overs(&store), Vec::<PathBuf>::new());
    }
    for round in 0..4 {
        let cut = usize::try_from(random.below(archive.len() as u64)).expect("a length");
        let mut command = sandbox.command(&load);
        command.stdin(Stdio::piped());
        let mut process = Process::start(command);
        let mut stdin = process.stdin();
        stdin.write_all(&archive[..cut]).expect("taken");
        assert!(process.kill(), "it waits for the rest");
        assert!(whole(&sandbox, &store).is_empty(), "round {round}, killed after {cut}");
    }
    // Both names at once, or none.
    for _ in 0..4 {
        let mut command = sandbox.command(&load);
        command.stdin(Stdio::piped());
        let mut process = Process::start(command);
        process.stdin().write_all(&archive).expect("taken");
        let instant = random.instant(Duration::from_millis(30));
        process.until(|| Instant::now() >= instant);
        process.kill();
        let found = whole(&sandbox, &store);
        assert!(found.is_empty() || found == here, "{found:?}");
        let _ = sandbox.run(&["idpbuilder-rm", "--all", "--force", "--prune", "--store", text(&store)]).success();
    }
    let _ = sandbox.run_with_input(&load, &archive).success();
    assert_eq!(whole(&sandbox, &store), here);
    assert_eq!(left_overs(&store), Vec::<PathBuf>::new());
}

#[test]
fn a_push_killed_in_the_middle_succeeds_the_next_time() {
    let sandbox = filled();
    let server = Serve::start(&sandbox, "served");
    let half = Relay::start(server.address, Way::ToServer, LARGE as u64 / 2);
    let stopped = push(&sandbox, &format!("{}/team/app:v1", half.host()));
    wait_until("half of the blob", || half.passed() >= LARGE as u64 / 2);
    assert!(stopped.kill(), "it waits for an answer");
    whole_blobs(&server.store);
    assert!(names(&sandbox, &server.store).is_empty());

    let mut random = Random::new();
    for _ in 0..4 {
        let mut process = push(&sandbox, &server.image());
        let instant = random.instant(Duration::from_millis(200));
        process.until(|| Instant::now() >= instant);
        process.kill();
        let found = whole(&sandbox, &server.store);
        assert!(found.len() <= 1, "{found:?}");
    }
    let (status, told) = push(&sandbox, &server.image()).end();
    assert!(status.success(), "{told}");
    assert_eq!(whole(&sandbox, &server.store).into_values().collect::<Vec<_>>(), [digest(&sandbox)]);
    server.stop(Signal::TERM);
}

fn digest(sandbox: &Sandbox) -> String {
    names(sandbox, &sandbox.store())["app:v1"].clone()
}

#[test]
fn a_pull_killed_in_the_middle_succeeds_the_next_time() {
    let sandbox = filled();
    let server = Serve::start(&sandbox, "served");
    let (status, told) = push(&sandbox, &server.image()).end();
    assert!(status.success(), "{told}");
    let half = Relay::start(server.address, Way::ToClient, LARGE as u64 / 2);
    let store = sandbox.work().join("pulled");
    let stopped = Process::start(sandbox.command(&pull(&format!("{}/team/app:v1", half.host()), text(&store))));
    wait_until("a part of the blob", || holds(&store.join(".tmp"), LARGE as u64 / 4));
    assert!(stopped.kill(), "it waits for the rest");
    assert!(whole(&sandbox, &store).is_empty());
    assert!(!left_overs(&store).is_empty());

    let mut random = Random::new();
    let image = server.image();
    let words = pull(&image, text(&store));
    for _ in 0..4 {
        let mut process = Process::start(sandbox.command(&words));
        let instant = random.instant(Duration::from_millis(200));
        process.until(|| Instant::now() >= instant);
        process.kill();
        assert!(whole(&sandbox, &store).len() <= 1);
    }
    let _ = sandbox.run(&words).success();
    assert_eq!(whole(&sandbox, &store)["app:v1"], digest(&sandbox));
    assert_eq!(left_overs(&store), Vec::<PathBuf>::new());
    server.stop(Signal::INT);
}

#[test]
fn a_server_killed_in_the_middle_of_an_upload_starts_again_whole() {
    let sandbox = filled();
    let server = Serve::start(&sandbox, "served");
    let half = Relay::start(server.address, Way::ToServer, LARGE as u64 / 2);
    let pushing = push(&sandbox, &format!("{}/team/app:v1", half.host()));
    let store = server.store.clone();
    wait_until("a part of the blob", || holds(&store.join(".tmp"), LARGE as u64 / 4));
    assert!(server.process.kill());
    let (status, told) = pushing.end();
    assert_eq!(status.code(), Some(3), "{told}");
    assert!(told.contains("error: cannot push to"), "{told}");
    assert!(!left_overs(&store).is_empty(), "nobody had the time");
    whole_blobs(&store);

    let mut random = Random::new();
    for _ in 0..3 {
        let server = Serve::start(&sandbox, "served");
        assert_eq!(left_overs(&store), Vec::<PathBuf>::new(), "swept at the start");
        let mut pushing = push(&sandbox, &server.image());
        let instant = random.instant(Duration::from_millis(200));
        pushing.until(|| Instant::now() >= instant);
        server.process.kill();
        let (status, told) = pushing.end();
        assert!(matches!(status.code(), Some(0 | 3 | 5)), "{told}");
        let found = whole(&sandbox, &store);
        assert!(!status.success() || !found.is_empty(), "what was verified is there");
    }
    let server = Serve::start(&sandbox, "served");
    let (status, told) = push(&sandbox, &server.image()).end();
    assert!(status.success(), "{told}");
    assert_eq!(whole(&sandbox, &store).len(), 1);
    server.stop(Signal::TERM);
}

/// Whether a path is there, as a check that fails tests that look in the wrong place.
pub(crate) fn absent(path: &Path) -> bool {
    path.parent().is_some_and(Path::is_dir) && !path.exists()
}
