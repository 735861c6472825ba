//! Questions that a person answers with a line, seen on the terminal or not.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGQUIT, SIGTSTP};
use signal_hook::low_level::emulate_default_handler;
use zeroize::Zeroizing;

use super::Ui;
use crate::app::{ConsoleError, Echo};
use crate::progress::Interrupt;
use crate::text::escaped_lines;

/// How often a wait looks at the interrupt.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
/// The longest line that is read, in bytes.
const MAX_LINE: usize = 64 << 10;

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden<'a, T: AsFd> {
    terminal: &'a T,
    before: Termios,
    quiet: Termios,
    signals: JobSignals,
}

impl<'a, T: AsFd> Hidden<'a, T> {
    fn hide(terminal: &'a T) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        // What was typed too early was seen, and is no answer.
        let signals = JobSignals::listen()?;
        tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before, quiet, signals })
    }

    /// Does what signals ask that came since: the terminal shows what is typed again before the process stops or ends,
    /// and hides it when the process goes on. Answers whether it stopped, so that the question is asked again.
    fn obey_signals(&self) -> io::Result<bool> {
        let mut went_on = self.signals.take(SIGCONT);
        for signal in [SIGTSTP, SIGQUIT, SIGHUP] {
            if self.signals.take(signal) {
                tcsetattr(self.terminal, OptionalActions::Now, &self.before)?;
                // Stops until the shell lets the process go on, or ends it.
                emulate_default_handler(signal)?;
                went_on = true;
            }
        }
        if went_on {
            self.signals.take(SIGCONT);
            tcsetattr(self.terminal, OptionalActions::Flush, &self.quiet)?;
        }
        Ok(went_on)
    }
}

/// The signals that stop, continue or end the process while a question is open, and that no other part of it listens to.
/// They are noted, and do what they do by default once this is dropped.
struct JobSignals {
    seen: [(i32, Arc<AtomicBool>); 4],
    over: Arc<AtomicBool>,
}

impl JobSignals {
    fn listen() -> io::Result<Self> {
        let seen = [SIGTSTP, SIGCONT, SIGQUIT, SIGHUP].map(|signal| (signal, Arc::new(AtomicBool::new(false))));
        let over = Arc::new(AtomicBool::new(false));
        for (signal, flag) in &seen {
            // What is ignored from outside, as nohup has it, stays ignored.
            if *signal != SIGCONT && is_ignored(*signal) {
                continue;
            }
            if *signal != SIGCONT {
                signal_hook::flag::register_conditional_default(*signal, Arc::clone(&over))?;
            }
            signal_hook::flag::register(*signal, Arc::clone(flag))?;
        }
        Ok(Self { seen, over })
    }

    fn take(&self, signal: i32) -> bool {
        self.seen.iter().any(|(number, flag)| *number == signal && flag.swap(false, Ordering::SeqCst))
    }
}

/// Whether the process was started with a signal ignored, as `nohup` does it.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

impl Drop for JobSignals {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

impl<T: AsFd> Drop for Hidden<'_, T> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

/// Asks for a line on the terminal; returns `None` without a terminal. A signal ends the wait and restores the
/// terminal.
pub(crate) fn ask(ui: &Ui, question: &str, echo: Echo) -> Result<Option<Zeroizing<String>>, ConsoleError> {
    if !ui.env.stdin_is_terminal || !ui.env.stderr_is_terminal {
        return Ok(None);
    }
    ui.settle();
    ui.run_blocking(|interrupt| {
        let terminal = io::stdin();
        let hidden = (echo == Echo::Off).then(|| Hidden::hide(&terminal)).transpose().map_err(ConsoleError::Input)?;
        let _ = write!(io::stderr().lock(), "{}", escaped_lines(question));
        let line = line(&terminal, interrupt, || {
            if let Some(hidden) = &hidden
                && hidden.obey_signals()?
            {
                let _ = write!(io::stderr().lock(), "{}", escaped_lines(question));
            }
            Ok(())
        });
        if hidden.is_some() || line.is_err() {
            // The end of the line was not shown either.
            let _ = writeln!(io::stderr().lock());
        }
        drop(hidden);
        let line = line.map_err(ConsoleError::Input)?;
        let text = std::str::from_utf8(&line).map_err(|_| ConsoleError::InputText)?;
        Ok(Some(Zeroizing::new(text.to_owned())))
    })
}

/// The bytes up to the end of the line or of the input. Nothing is kept in a buffer that outlives this.
/// `meanwhile` is called before each wait.
fn line(
    terminal: &impl AsFd,
    interrupt: &Interrupt,
    meanwhile: impl Fn() -> io::Result<()>,
) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::new());
    let mut part = Zeroizing::new([0; 1024]);
    loop {
        if interrupt.requested() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        meanwhile()?;
        match poll(&mut [PollFd::new(terminal, PollFlags::IN)], Some(&TICK)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let count = match rustix::io::read(terminal, part.as_mut_slice()) {
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => continue,
            count => count?,
        };
        line.extend_from_slice(&part[..count]);
        if line.len() > MAX_LINE {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the line is longer than 64 KiB"));
        }
        if count == 0 {
            return Ok(line);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
            return Ok(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_themselves_or_with_the_input() {
        let read = |input: &[u8]| {
            let (reader, mut writer) = io::pipe().expect("a pipe");
            writer.write_all(input).expect("written");
            drop(writer);
            line(&reader, &Interrupt::default(), || Ok(())).map(|line| line.to_vec())
        };
        assert_eq!(read(b"one\n").expect("read"), b"one");
        assert_eq!(read(b"one").expect("read"), b"one");
        assert_eq!(read(b"").expect("read"), b"");
    }

    #[test]
    fn a_wait_ends_with_the_interrupt() {
        let (reader, _writer) = io::pipe().expect("a pipe");
        let interrupt = Interrupt::default();
        interrupt.request();
        assert_eq!(
            line(&reader, &interrupt, || Ok(())).expect_err("nothing was typed").kind(),
            io::ErrorKind::Interrupted
        );
    }
}
