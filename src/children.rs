//! Child programs whose output is read. Bytes and time are limited, and a program is ended with its process group.

use std::io::{self, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};
use zeroize::Zeroizing;

/// How often a wait checks its deadline.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
/// Bytes of a program's standard error that are kept.
pub const MAX_COMPLAINT: usize = 4096;
/// How often the exit of a program that closed its streams is polled.
const EXIT_TICK: Duration = Duration::from_millis(2);

/// The process groups of the programs that run now.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Why a program gave no answer.
#[derive(Debug)]
pub enum NoAnswer<E> {
    /// It did not start.
    Start(io::Error),
    /// Its output could not be read.
    Read(io::Error),
    /// It wrote more than the limit.
    TooLong,
    /// The deadline passed; the program was killed.
    Over(E),
}

/// The result of a program that ended.
#[derive(Debug)]
pub struct Answered {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output. It may hold secrets, and so is wiped when dropped.
    pub output: Zeroizing<Vec<u8>>,
    /// The beginning of what it wrote to standard error, at most [`MAX_COMPLAINT`] bytes.
    pub complaint: Zeroizing<Vec<u8>>,
}

/// Runs a program to its end: `input` on standard input, at most `limit` bytes from standard output, and the beginning
/// of standard error, whose rest is read and dropped.
///
/// It leads a process group of its own, all of which is killed once `over` returns a value. Programs that ask on the
/// terminal cannot do that from there.
///
/// # Errors
///
/// Fails if the program does not start, writes too much, or is ended by `over`. A failing exit status is not an error
/// here.
pub fn answer<E>(
    command: &mut Command,
    input: &[u8],
    limit: usize,
    over: impl Fn() -> Option<E>,
) -> Result<Answered, NoAnswer<E>> {
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut running = Running::start(command).map_err(NoAnswer::Start)?;
    if let Some(mut stdin) = running.child.stdin.take() {
        // A short input fits the pipe. A program that does not read it may still answer.
        let _ = stdin.write_all(input);
    }
    let mut stdout = running.child.stdout.take().expect("it is piped");
    let mut output = Zeroizing::new(Vec::with_capacity(limit.min(64 * 1024)));
    let mut part = Zeroizing::new([0; 4096]);
    let mut complaints = Complaints { stderr: running.child.stderr.take(), kept: Zeroizing::default() };
    loop {
        if let Some(reason) = over() {
            return Err(NoAnswer::Over(reason));
        }
        match complaints.wait_beside(&stdout) {
            Ok(true) => {}
            Ok(false) => continue,
            Err(error) => return Err(NoAnswer::Read(error)),
        }
        match stdout.read(part.as_mut_slice()) {
            Ok(0) => break,
            Ok(count) if output.len() + count > limit => return Err(NoAnswer::TooLong),
            Ok(count) => output.extend_from_slice(&part[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(NoAnswer::Read(error)),
        }
    }
    loop {
        if let Some(status) = running.child.try_wait().map_err(NoAnswer::Read)? {
            running.ended = true;
            complaints.take_rest();
            return Ok(Answered { status, output, complaint: complaints.kept });
        }
        if let Some(reason) = over() {
            return Err(NoAnswer::Over(reason));
        }
        // The standard library has no wait with a deadline.
        std::thread::sleep(EXIT_TICK);
    }
}

/// The standard error of a program.
struct Complaints {
    /// `None` once it ended.
    stderr: Option<ChildStderr>,
    kept: Zeroizing<Vec<u8>>,
}

impl Complaints {
    /// Waits a moment for either stream and reads standard error. Returns whether `stdout` can be read.
    fn wait_beside(&mut self, stdout: &ChildStdout) -> io::Result<bool> {
        let mut waits = vec![PollFd::new(stdout, PollFlags::IN)];
        waits.extend(self.stderr.as_ref().map(|stderr| PollFd::new(stderr, PollFlags::IN)));
        match poll(&mut waits, Some(&TICK)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = waits.iter().map(|wait| !wait.revents().is_empty()).collect();
        if ready.get(1) == Some(&true) {
            self.take();
        }
        Ok(ready[0])
    }

    /// Reads what can be read without waiting, since a program left running may keep the stream open.
    fn take_rest(&mut self) {
        while let Some(stderr) = &self.stderr {
            let none = Timespec { tv_sec: 0, tv_nsec: 0 };
            if self.kept.len() == MAX_COMPLAINT || poll(&mut [PollFd::new(stderr, PollFlags::IN)], Some(&none)) != Ok(1)
            {
                return;
            }
            self.take();
        }
    }

    fn take(&mut self) {
        let mut part = Zeroizing::new([0; 4096]);
        let Some(stderr) = &mut self.stderr else { return };
        match stderr.read(part.as_mut_slice()) {
            Ok(0) | Err(_) => self.stderr = None,
            Ok(count) => {
                let room = MAX_COMPLAINT - self.kept.len();
                self.kept.extend_from_slice(&part[..count.min(room)]);
            }
        }
    }
}

/// Kills every program that is running, and what it started. For a process that is about to end.
pub fn end_all() {
    for group in RUNNING.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        let _ = kill_process_group(*group, Signal::KILL);
    }
}

/// A program with its process group, which is killed when this is dropped before the program has ended.
struct Running {
    child: Child,
    group: Pid,
    ended: bool,
}

impl Running {
    fn start(command: &mut Command) -> io::Result<Self> {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command.spawn()?;
        let group = Pid::from_child(&child);
        running.push(group);
        Ok(Self { child, group, ended: false })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            // Both fail only when it is gone already.
            let _ = kill_process_group(self.group, Signal::KILL);
            let _ = self.child.wait();
        }
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).retain(|group| *group != self.group);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Instant;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn patient() -> Option<()> {
        None
    }

    #[test]
    fn the_answer_is_everything_on_standard_output() {
        let answered = answer(&mut shell("cat; echo aside >&2; exit 3"), b"in", 2, patient).expect("ended");
        assert_eq!((answered.status.code(), answered.output.as_slice()), (Some(3), &b"in"[..]));
        assert_eq!(answered.complaint.as_slice(), b"aside\n");
        let empty = answer(&mut shell("cat"), b"", 0, patient).expect("no input is the end of the input");
        assert!(empty.output.is_empty() && empty.complaint.is_empty());
    }

    #[test]
    fn too_much_output_ends_the_program() {
        for script in ["printf 123", "exec cat /dev/zero"] {
            let refused = answer(&mut shell(script), b"", 2, patient);
            assert!(matches!(refused, Err(NoAnswer::TooLong)), "{refused:?}");
        }
        let absent = answer(&mut Command::new("/nowhere/program"), b"", 2, patient);
        assert!(matches!(absent, Err(NoAnswer::Start(_))), "{absent:?}");
    }

    /// Waits until the file has a process number.
    fn process(file: &Path) -> String {
        let begun = Instant::now();
        loop {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            if text.ends_with('\n') {
                return text.trim().to_owned();
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "it was not started");
            std::thread::yield_now();
        }
    }

    /// Returns whether the process has ended; a killed grandchild may still wait for its new parent.
    fn is_gone(process: &str) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        stat.is_empty() || stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
    }

    #[test]
    fn a_wait_that_is_over_ends_the_program_and_what_it_started() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("grandchild");
        // The child hangs; its output is open or closed.
        for script in ["sleep 600 & echo $! >FILE; wait", "exec >&-; sleep 600 & echo $! >FILE; wait"] {
            let _ = std::fs::remove_file(&file);
            let mut command = shell(&script.replace("FILE", &file.display().to_string()));
            let over = || std::fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n')).then_some("over");
            let ended = answer(&mut command, b"", 10, over);
            assert!(matches!(ended, Err(NoAnswer::Over("over"))), "{ended:?}");
            let grandchild = process(&file);
            let begun = Instant::now();
            while !is_gone(&grandchild) {
                assert!(begun.elapsed() < Duration::from_secs(20), "process {grandchild} is left");
                std::thread::yield_now();
            }
        }
        assert!(RUNNING.lock().expect("unpoisoned").len() < 64);
    }
}
