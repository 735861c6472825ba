//! Pushes of the executable that are killed at an instant the seed chooses, and run again.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use idpbuilder_oci::image::Document;
use idpbuilder_oci::store::ImageStore;

use crate::lab::invariants;
use crate::lab::profile::{self, Profile};
use crate::lab::proxy::{Cut, FaultProxy, Link, Way};
use crate::lab::record::blob_bytes;
use crate::lab::script::{Break, Fault, Nth, On, Op, Rule};
use crate::lab::serve::{Lab, Setup};
use crate::nginx::{self, Nginx};
use crate::pushing::{KIB, MIB, PASSWORD, USER, the_login};
use crate::sandbox::Sandbox;
use crate::seed::{Random, rounds};

/// Bytes of the one large file.
const LARGE: u64 = 6 * MIB;
/// What a push may have in memory at its peak.
const MEMORY: u64 = 64 * MIB;

/// How long a push of any size may take to get where it is stopped.
const LONGEST: Duration = Duration::from_mins(5);

/// A command that does not outlive a failed test.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// Waits until the registry stopped it.
    #[track_caller]
    pub(crate) fn until(&self, log: &Path, mut reached: impl FnMut() -> bool) {
        let deadline = Instant::now() + LONGEST;
        while !reached() {
            let ended = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id()))
                .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')));
            let told = || std::fs::read_to_string(log).unwrap_or_default();
            assert!(!ended && Instant::now() < deadline, "it did not get there: {}", told());
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Most memory that a process had so far, in bytes, without the pages of the executable: those of the suite's, which
/// nobody optimised, are many, and the system's to take back.
pub(crate) fn peak_memory(process: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).expect("it runs");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a field of every process");
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("digits") * KIB
    };
    field("VmHWM:").saturating_sub(field("RssFile:"))
}

/// A sandbox with `app:v1`, and that image.
pub(crate) fn filled(bytes: u64) -> (Sandbox, Document) {
    let mut sandbox = Sandbox::new();
    sandbox.file("app/noise", crate::fixture::noise(5, usize::try_from(bytes).expect("small")));
    sandbox.run(&["idpbuilder-build", "app", "-q", "-t", "app:v1"]).success();
    sandbox.set("IDPBUILDER_REGISTRY_USERNAME", USER);
    sandbox.set("IDPBUILDER_REGISTRY_PASSWORD", PASSWORD);
    let store = ImageStore::open(&sandbox.store()).expect("a store");
    let image = store.resolve("app:v1").expect("built");
    let tree = store.tree(&image.descriptor).expect("whole");
    let document = tree.documents.iter().find(|document| document.manifest().is_some()).expect("a manifest").clone();
    (sandbox, document)
}

/// The push of `app:v1` to a laboratory.
pub(crate) fn push(sandbox: &Sandbox, lab: &Lab) -> Command {
    push_through(sandbox, &lab.host())
}

/// The push of `app:v1` to what answers at `host`.
fn push_through(sandbox: &Sandbox, host: &str) -> Command {
    let name = format!("{host}/team/app:v1");
    sandbox.command(&["idpbuilder-push", "app:v1", &name, "--plain-http", "--chunk-size", "512k"])
}

/// Where the push will be when it is killed: the registry stops moving there.
fn instant(random: &mut Random) -> Rule {
    let stall = Break::Stall;
    let op = |op, nth, fault| Rule { on: On::Op(op), nth: Nth::Only(nth), fault };
    match random.below(8) {
        0 => op(Op::Open, 1 + u32::from(random.below(2) == 0), Fault::Lost(stall)),
        1 => op(Op::Commit, 1, Fault::Lost(stall)),
        2 => op(Op::PutManifest, 1 + u32::from(random.below(2) == 0), Fault::Lost(stall)),
        3 => op(Op::HeadManifest, 1, Fault::Cut(0, stall)),
        _ => Rule { on: On::Byte(random.below(LARGE)), nth: Nth::Only(1), fault: Fault::Cut(0, stall) },
    }
}

/// What is noted about uploads to a laboratory: private files, small, and without a secret.
#[track_caller]
fn journal(sandbox: &Sandbox, lab: &Lab) -> Vec<serde_json::Value> {
    let tokens = lab.registry().tokens.lock().expect("unpoisoned").all();
    let entries = std::fs::read_dir(sandbox.home().join(".idpbuilder/uploads")).into_iter().flatten();
    let paths = entries.map(|entry| entry.expect("readable").path());
    let files = paths.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    let documents = files.map(|path| {
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        let text = std::fs::read_to_string(&path).expect("text");
        assert!(text.len() < 4096, "{} bytes", text.len());
        assert!(!text.contains(PASSWORD) && !tokens.iter().any(|token| text.contains(token)), "a secret in {text}");
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON")
    });
    documents.filter(|entry| entry["host"] == *lab.host()).collect()
}

/// What a killed push noted is never more than the registry has.
#[track_caller]
fn journal_is_consistent(sandbox: &Sandbox, lab: &Lab, told: &str) {
    for entry in journal(sandbox, lab) {
        assert_eq!(entry["repository"].as_str(), Some("team/app"), "{told}");
        let location = entry["location"].as_str().expect("an address");
        let state = lab.state();
        let session = state.sessions.iter().find(|(id, _)| location.contains(*id));
        let offset = entry["offset"].as_u64().expect("a number");
        // The session may have been committed in the instant of the kill.
        let known = session.map_or(LARGE * 2, |(_, session)| session.known);
        assert!(offset <= known, "{told}: {offset} bytes noted, {known} acknowledged");
    }
}

#[test]
fn a_push_killed_behind_a_buffering_proxy_sends_no_byte_to_the_registry_twice() {
    let (sandbox, image) = filled(LARGE);
    let lab = Lab::start(Setup::of(profile::GITEA_1_24_3).login(the_login()));
    let ingress = Nginx::start(lab.address(), &nginx::Options { max_body: 2 * MIB, read_timeout: 60, http2: None });
    // In the middle of a chunk, of which the proxy has passed on nothing yet.
    let cut = Cut { way: Way::ToServer, after: 3 * MIB + 300 * KIB, how: Break::Stall };
    let link = FaultProxy::start(ingress.address(), Link { cuts: vec![cut], ..Link::default() });
    let mut command = push_through(&sandbox, &link.host());
    let log = sandbox.work().join("push.log");
    let stderr = File::create(&log).expect("created");
    let mut running = Running(command.stdout(Stdio::null()).stderr(stderr).spawn().expect("it runs"));
    running.until(&log, || link.broken() > 0);
    running.0.kill().expect("it may be killed");
    running.0.wait().expect("a child of ours");
    link.heal();

    let output = sandbox.finish(&["push"], push_through(&sandbox, &link.host()), b"");
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.stderr.contains("resumed from"), "{output}");
    assert_eq!(invariants::stored(&lab, "team/app", "v1", &image), Vec::<String>::new());
    let sent = blob_bytes(&lab.seen());
    assert_eq!(sent, invariants::distinct_bytes(&image), "{output}\n{}", lab.lines().join("\n"));
}

const PROFILES: [Profile; 4] =
    [profile::PLAIN, profile::GITEA_1_24_3, profile::DISTRIBUTION_2_8, profile::DISTRIBUTION_3];

#[test]
fn a_push_killed_at_any_instant_is_done_by_the_next() {
    let random = Random::new();
    let (sandbox, image) = filled(LARGE);
    let size = invariants::distinct_bytes(&image);
    for number in 0..rounds(12, 100) {
        let mut random = random.round(number);
        let profile = *random.one_of(&PROFILES);
        let rule = instant(&mut random);
        let told = format!("round {number}: {}, {rule:?}", profile.name);
        let lab = Lab::start(Setup::of(profile).script([rule]).login(the_login()));
        let mut command = push(&sandbox, &lab);
        let log = sandbox.work().join("push.log");
        let stderr = File::create(&log).expect("created");
        let running = command.stdout(Stdio::null()).stderr(stderr).spawn().expect("it runs");
        let mut running = Running(running);
        running.until(&log, || lab.registry().stopped() > 0);
        let peak = peak_memory(&running.0);
        assert!(peak <= MEMORY, "{told}: {peak} bytes of memory");
        running.0.kill().expect("it may be killed");
        running.0.wait().expect("a child of ours");

        journal_is_consistent(&sandbox, &lab, &told);

        let output = sandbox.finish(&["push"], push(&sandbox, &lab), b"");
        let lines = lab.lines().join("\n");
        assert_eq!(output.code, Some(0), "{told}\n{output}\n{lines}");
        assert!(!output.stderr.contains("panicked"), "{told}\n{output}");
        let seen = lab.seen();
        let mut wrong = invariants::stored(&lab, "team/app", "v1", &image);
        wrong.extend(invariants::discreet(lab.registry(), &seen));
        // What was answered in the instant of the kill, nobody could note: a chunk for each blob at a time.
        wrong.extend(invariants::economical(&profile, &seen, size + 3 * 512 * KIB));
        // What is noted still is of no use to anybody: a commit whose answer nobody got.
        let left = journal(&sandbox, &lab);
        let alive = |entry: &serde_json::Value| {
            let location = entry["location"].as_str().unwrap_or_default();
            lab.state().sessions.keys().any(|id| location.contains(id.as_str()))
        };
        assert!(!left.iter().any(alive), "{told}: {left:?}");
        assert!(wrong.is_empty(), "{told}: {} bytes sent\n{}\n{lines}", blob_bytes(&seen), wrong.join("\n"));
    }
}
