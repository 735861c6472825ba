//! Peak memory of a command, read at a moment that cannot be missed.
//!
//! The kernel forgets a process's high-water mark when it ends, and what `wait4` tells afterwards can
//! include pages of the process it was forked from. So the command gets a standard output that is full
//! already: once the file with its result is there its work is done, and it cannot end, because it
//! prints what it did and nobody has read yet.

use std::io::{ErrorKind, PipeWriter, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// How often the result is looked for.
const TICK: Duration = Duration::from_millis(20);
/// How long a command may take.
const LIMIT: Duration = Duration::from_mins(10);

/// What a successful run used and showed.
pub(crate) struct Measured {
    /// Most memory it had at one time, in bytes.
    pub(crate) peak: u64,
    /// From its start until its result was there.
    pub(crate) took: Duration,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A child that does not outlive a failed test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a command that writes `result` and then to its standard output, both at its end.
#[track_caller]
pub(crate) fn run(mut command: Command, result: &Path) -> Measured {
    assert!(!result.exists(), "{}: from an earlier run", result.display());
    let shown = format!("{command:?}");
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let filled = fill(&writer);
    command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped());
    let begun = Instant::now();
    let mut child = Running(command.spawn().unwrap_or_else(|error| panic!("{shown}: {error}")));
    // With it goes our copy of the end that is written to.
    drop(command);
    let mut stderr = child.0.stderr.take().expect("piped");
    let (open, closed) = channel::<()>();
    let listener = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stderr.read_to_end(&mut bytes).expect("read");
        drop(open);
        String::from_utf8(bytes).expect("text")
    });
    let peak = loop {
        match closed.recv_timeout(TICK) {
            Err(RecvTimeoutError::Timeout) if result.exists() => break Some(high_water_mark(child.0.id())),
            Err(RecvTimeoutError::Timeout) => assert!(begun.elapsed() < LIMIT, "{shown}: takes too long"),
            // It ended without a result.
            _ => break None,
        }
    };
    let took = begun.elapsed();
    let mut stdout = Vec::new();
    reader.read_to_end(&mut stdout).expect("read");
    let stdout = String::from_utf8(stdout.split_off(filled)).expect("text");
    let status = child.0.wait().expect("waited for");
    let stderr = listener.join().expect("listened");
    match peak {
        Some(peak) if status.success() => Measured { peak, took, stdout, stderr },
        _ => panic!("{shown}: {status}\nstdout: {stdout}\nstderr: {stderr}"),
    }
}

/// Writes as much as the pipe takes, and answers how much that was.
fn fill(mut pipe: &PipeWriter) -> usize {
    let flags = fcntl_getfl(pipe).expect("flags");
    fcntl_setfl(pipe, flags | OFlags::NONBLOCK).expect("flags set");
    let mut filled = 0;
    // Smaller pieces at the end: what is left may be less than a page.
    for size in [4096, 1] {
        loop {
            match pipe.write(&[b'.'; 4096][..size]) {
                Ok(written) => filled += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("a pipe of our own: {error}"),
            }
        }
    }
    // The flags belong to the pipe, not to us: the command would find it as we leave it.
    fcntl_setfl(pipe, flags).expect("flags set");
    filled
}

/// The most memory that a running process has had at one time, in bytes.
fn high_water_mark(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    // A process that has ended but was not waited for has no such line.
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it has not ended");
    let kibibytes = line.trim().strip_suffix(" kB").expect("the kernel's unit");
    kibibytes.parse::<u64>().expect("a number") << 10
}

#[test]
#[ignore = "needs busybox; bin/test runs it"]
fn memory_that_was_freed_again_counts() {
    const BYTES: u64 = 50_000_000;
    let directory = tempfile::tempdir().expect("a directory");
    let result = directory.path().join("result");
    let program = r#"BEGIN {
        text = sprintf("%" bytes "s", ""); filled = length(text); text = ""
        print "done" > file; close(file); print filled
    }"#;
    let mut command = Command::new("/bin/busybox");
    command.args(["awk", "-v", &format!("bytes={BYTES}"), "-v", &format!("file={}", result.display()), program]);
    let measured = run(command, &result);
    assert_eq!((measured.stdout.trim(), measured.stderr.as_str()), (BYTES.to_string().as_str(), ""));
    assert!(measured.peak >= BYTES, "{}", measured.peak);
}
