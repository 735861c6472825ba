//! Children that can be watched and ended at a chosen point.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Looks again and again until `done`; fails the test when it never is.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within {} s", PATIENCE.as_secs());
        pause();
    }
}

/// Between two looks: leaves the processor to those who are looked at.
fn pause() {
    std::thread::park_timeout(Duration::from_micros(200));
}

/// A running command; killed when dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    text: Vec<String>,
}

impl Process {
    /// Starts a command, whose two outputs are gathered line by line.
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped());
        Self::start_as_it_is(command)
    }

    /// The same with the standard output that the command has.
    pub(crate) fn start_as_it_is(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it runs");
        let (sender, lines) = channel();
        let stdout = child.stdout.take().map(|output| Box::new(output) as Box<dyn Read + Send>);
        let stderr = child.stderr.take().map(|output| Box::new(output) as Box<dyn Read + Send>);
        for output in stdout.into_iter().chain(stderr) {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines() {
                    if line.is_err() || line.is_ok_and(|line| sender.send(line).is_err()) {
                        break;
                    }
                }
            });
        }
        Self { child, lines, text: Vec::new() }
    }

    /// The other end of its standard input.
    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("piped")
    }

    /// The first line that contains `part`; `None` when it ended without one.
    pub(crate) fn line(&mut self, part: &str) -> Option<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.text.push(line.clone());
                    if line.contains(part) {
                        return Some(line);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => panic!("no line with `{part}`, only:\n{}", self.text.join("\n")),
            }
        }
    }

    /// Watches until `reached`; false when the process ended first.
    pub(crate) fn until(&mut self, mut reached: impl FnMut() -> bool) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if reached() {
                return true;
            }
            if self.child.try_wait().expect("a child of ours").is_some() {
                return false;
            }
            assert!(Instant::now() < deadline, "neither the point nor the end was reached");
            pause();
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        // It is not reaped, so the id is still its own.
        kill_process(id, signal).expect("it may be told");
    }

    /// Kills it; answers whether it was still running.
    pub(crate) fn kill(mut self) -> bool {
        self.child.kill().expect("it may be killed");
        self.child.wait().expect("a child of ours").signal() == Some(Signal::KILL.as_raw())
    }

    /// Waits for its end; answers the exit status and all lines of both outputs.
    #[track_caller]
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let mut ended = None;
        wait_until("the end of a process", || {
            ended = self.child.try_wait().expect("a child of ours");
            ended.is_some()
        });
        let mut text = std::mem::take(&mut self.text);
        text.extend(self.lines.iter());
        (ended.expect("just seen"), text.join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is in a directory; nothing where there is none.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect()
}

/// Whether a file in `directory` has at least `bytes` bytes.
pub(crate) fn holds(directory: &Path, bytes: u64) -> bool {
    files(directory).iter().any(|path| fs::metadata(path).is_ok_and(|metadata| metadata.len() >= bytes))
}

/// Numbers that look random and can be had again: `CRASH_SEED=... cargo test --test crash`.
pub(crate) struct Random(u64);

impl Random {
    /// Prints its seed, which a failing test shows.
    pub(crate) fn new() -> Self {
        let given = std::env::var("CRASH_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
            u64::try_from(now.as_nanos() & u128::from(u64::MAX)).expect("masked")
        });
        println!("CRASH_SEED={seed}");
        Self(seed)
    }

    /// Below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    /// An instant within `span` from now.
    pub(crate) fn instant(&mut self, span: Duration) -> Instant {
        let nanos = u64::try_from(span.as_nanos()).expect("less than centuries");
        Instant::now() + Duration::from_nanos(self.below(nanos.max(1)))
    }
}

/// Bytes that do not compress, the same for the same seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut random = Random(seed);
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend(random.below(u64::MAX).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
