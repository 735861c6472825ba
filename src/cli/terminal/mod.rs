//! The terminal: standard output is data, standard error is status.

pub(crate) mod access_log;
mod console;
pub(crate) mod hardening;
pub(crate) mod paint;
pub(crate) mod panics;
pub(crate) mod progress;
pub(crate) mod prompt;
pub(crate) mod runtimes;
pub(crate) mod signals;
pub(crate) mod status_lines;
mod surroundings;

use std::cell::RefCell;
use std::io::{self, BufRead, Read as _, Write};
use std::sync::{Arc, Weak};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::app::{Console, ConsoleError, Echo, StopSignal, Surroundings, Work};
use crate::config::Source;
use crate::env::Env;
use crate::progress::{Interrupt, Progress};
use crate::text::{escaped, escaped_data, escaped_lines, without_numbers};
use paint::Paint;
use progress::Mode;
use runtimes::{Detached, Runtimes};
use signals::{LAST_WORDS, Signals, StopSignals};
use status_lines::StatusLines;

/// How long stopped work may take to cancel what it began.
const TIDY_UP: Duration = Duration::from_secs(2);

/// How much longer work that is stopped may take to come back by itself.
const GRACE: Duration = Duration::from_millis(500);

/// How long data waits for what was told before, so that a terminal shows both in their order.
const IN_ORDER: Duration = Duration::from_millis(200);

/// The longest answer to a question that is read.
const MAX_ANSWER_BYTES: u64 = 4096;

/// What an applet works with besides its arguments.
pub(crate) struct Ui {
    pub(crate) env: Env,
    pub(crate) interrupt: Interrupt,
    pub(crate) surroundings: Surroundings,
    paint: Paint,
    quiet: bool,
    verbose: bool,
    runtimes: Runtimes,
    signals: Signals,
    lines: StatusLines,
    /// The bars of the work that runs.
    bars: RefCell<Weak<progress::Bars>>,
}

impl Ui {
    pub(crate) fn new(env: Env) -> Self {
        let dumb = env.var("TERM") == Some("dumb");
        let paint = Paint(env.stderr_is_terminal && env.var("NO_COLOR").is_none() && !dumb);
        let surroundings = surroundings::of(&env);
        Self {
            env,
            interrupt: surroundings.interrupt.clone(),
            surroundings,
            paint,
            quiet: false,
            verbose: false,
            runtimes: Runtimes::default(),
            signals: Signals::default(),
            lines: StatusLines::default(),
            bars: RefCell::default(),
        }
    }

    /// Colour of what goes to standard output.
    pub(crate) fn data_paint(&self) -> Paint {
        let dumb = self.env.var("TERM") == Some("dumb");
        Paint(self.env.stdout_is_terminal && self.env.var("NO_COLOR").is_none() && !dumb)
    }

    /// How progress is shown unless a flag says otherwise, and what decides it.
    pub(crate) fn progress_setting(&self) -> (&'static str, Source) {
        let dumb = self.env.var("TERM") == Some("dumb");
        match (self.env.var("CI").is_some(), dumb) {
            (true, _) => ("lines", Source::Environment("CI")),
            (false, true) => ("lines", Source::Environment("TERM")),
            (false, false) if self.env.stderr_is_terminal => ("bars", Source::Default),
            (false, false) => ("lines", Source::Default),
        }
    }

    /// No status from here on; warnings stay.
    pub(crate) fn silence(&mut self, quiet: bool) {
        self.quiet = quiet;
    }

    /// More status from here on.
    pub(crate) fn explain(&mut self, verbose: bool) {
        self.verbose = verbose;
    }

    /// Writes data that a person reads, with a final newline. What others wrote in it cannot steer the terminal.
    pub(crate) fn data(&self, text: &str) -> Result<(), OutputError> {
        self.data_verbatim(&escaped_data(text))
    }

    /// Writes data that is for programs, or fit to be shown already, with a final newline.
    pub(crate) fn data_verbatim(&self, text: &str) -> Result<(), OutputError> {
        self.check_output()?;
        self.lines.settle(Some(IN_ORDER));
        print(text).map_err(OutputError)
    }

    /// Writes a document exactly as it is; on a terminal with a final newline, and with what could steer it escaped.
    pub(crate) fn data_bytes(&self, bytes: &[u8]) -> Result<(), OutputError> {
        if self.env.stdout_is_terminal {
            return self.data(&String::from_utf8_lossy(bytes));
        }
        self.check_output()?;
        self.lines.settle(Some(IN_ORDER));
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(OutputError)
    }

    /// Fails if the program was started with its standard output closed: what is written would be lost.
    pub(crate) fn check_output(&self) -> Result<(), OutputError> {
        if self.env.stdout_is_closed {
            return Err(OutputError(rustix::io::Errno::BADF.into()));
        }
        Ok(())
    }

    /// Tells a person what is wrong with the arguments, in colours of the parser's own.
    pub(crate) fn refuse(&self, text: &clap::builder::StyledStr) {
        if self.paint.0 {
            self.lines.message(format!("{}\n", text.ansi().to_string().trim_end()));
        } else {
            self.status(text.to_string().trim_end());
        }
    }

    /// Advice that belongs to no failure.
    pub(crate) fn advise(&self, hint: &str) {
        if !self.quiet {
            self.lines.message(format!("{} {}\n", self.paint.hint("hint:"), escaped(hint)));
        }
    }

    /// Writes lines that are fit to be shown. `render` makes them with or without colours.
    pub(crate) fn rendered(&self, render: impl FnOnce(Paint) -> String) {
        self.lines.message(render(self.paint));
    }

    /// Waits until everything that was told is written. A reader of standard error that is slow gets all of it; once a
    /// signal asked to stop, one that does not read at all is not waited for.
    pub(crate) fn settle(&self) {
        self.lines.settle(self.signals.are_heard().then_some(LAST_WORDS));
    }

    /// The listener for long work.
    pub(crate) fn progress(&self, mode: Mode) -> Arc<dyn Progress> {
        let verbose = self.verbose;
        if self.quiet && mode != Mode::Json {
            return Arc::new(progress::WarningsOnly::new(self.paint, self.lines.clone()));
        }
        let ci = self.env.var("CI").is_some() || self.env.var("TERM") == Some("dumb");
        match mode {
            Mode::None => Arc::new(progress::WarningsOnly::new(self.paint, self.lines.clone())),
            Mode::Json => Arc::new(progress::Json::new(verbose, self.lines.clone())),
            Mode::Tty => self.bars(verbose),
            Mode::Auto if self.env.stderr_is_terminal && !ci => self.bars(verbose),
            Mode::Auto | Mode::Plain => Arc::new(progress::Lines::new(self.paint, verbose, self.lines.clone())),
        }
    }

    fn bars(&self, verbose: bool) -> Arc<dyn Progress> {
        let bars = Arc::new(progress::Bars::new(self.paint, verbose));
        *self.bars.borrow_mut() = Arc::downgrade(&bars);
        bars
    }

    /// Runs asynchronous work until it ends or a signal asks to stop; then it has a moment to tidy up.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> Result<T, ConsoleError> {
        (self as &dyn Console).block_on(work)
    }

    /// Runs work that has something to tell when it is stopped. Returns what it came to, unless it did not stop in time,
    /// and the signal that asked it to stop.
    pub(crate) fn drive<T>(
        &self,
        work: impl Future<Output = T>,
    ) -> Result<(Option<T>, Option<StopSignal>), ConsoleError> {
        (self as &dyn Console).drive(work)
    }

    /// Runs blocking work.
    pub(crate) fn run_blocking<T, E: From<ConsoleError>>(
        &self,
        work: impl FnOnce(&Interrupt) -> Result<T, E>,
    ) -> Result<T, E> {
        (self as &dyn Console).run_blocking(work)
    }

    /// Tells a person what happens, also when quiet.
    pub(crate) fn notice(&self, text: &str) {
        self.lines.message(format!("{}\n", escaped_lines(&without_numbers(text))));
    }

    /// Tells a person what happens.
    pub(crate) fn status(&self, text: &str) {
        if !self.quiet {
            self.notice(text);
        }
    }

    /// Tells a person what `-v` asks for.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbose {
            self.status(text);
        }
    }

    /// Tells a person what they should know, also when quiet.
    pub(crate) fn warn(&self, text: &str) {
        let text = without_numbers(text);
        self.lines.message(format!("{} {}\n", self.paint.warning("warning:"), escaped(&text)));
    }

    /// Returns whether more status is wanted.
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Returns whether a person can answer a question.
    pub(crate) fn can_ask(&self) -> bool {
        self.env.stdin_is_terminal && self.env.stderr_is_terminal
    }

    /// Asks a yes-or-no question on the terminal; `None` where no person can answer. A signal ends the wait.
    pub(crate) fn confirm(&self, question: &str) -> Result<Option<bool>, ConsoleError> {
        if !self.can_ask() {
            return Ok(None);
        }
        // The thread that reads may never come back, and nothing waits for it.
        let runtime = Detached::for_work()?;
        let mut signals = self.stop_signals()?;
        self.settle();
        let _ = write!(io::stderr().lock(), "{} [y/N] ", escaped_lines(question));
        let reading = runtime.spawn_blocking(|| {
            let mut answer = String::new();
            io::stdin().lock().take(MAX_ANSWER_BYTES).read_line(&mut answer).map(|_| answer)
        });
        let answer = runtime.block_on(async {
            tokio::select! {
                answer = reading => Ok(answer.ok().and_then(Result::ok).unwrap_or_default()),
                signal = signals.next() => Err(ConsoleError::Stopped(signal)),
            }
        });
        if !answer.as_ref().is_ok_and(|answer| answer.ends_with('\n')) {
            // The line of the question has no end yet.
            let _ = writeln!(io::stderr().lock());
        }
        answer.map(|answer| Some(is_yes(&answer)))
    }

    /// Asks for a line on the terminal; `None` where no person can answer. A signal ends the wait.
    pub(crate) fn ask_line(&self, question: &str, echo: Echo) -> Result<Option<Zeroizing<String>>, ConsoleError> {
        prompt::ask(self, question, echo)
    }

    /// Runs asynchronous work until it ends or a signal asks to stop. A second signal ends the process, also when the work blocks.
    fn run_future(&self, mut work: Work<'_>) -> Result<Option<StopSignal>, ConsoleError> {
        let runtime = self.runtimes.work()?;
        let mut signals = self.enter(Some(self.interrupt.clone()), Some(TIDY_UP + GRACE))?;
        let stopped = runtime.block_on(async {
            tokio::select! {
                // Work that was asked to stop may end before the signal is looked at here.
                () = &mut work => signals.heard(),
                signal = signals.next() => {
                    tokio::select! {
                        () = &mut work => {}
                        // A limit: the work that hears the signal gets this long to tidy up.
                        () = tokio::time::sleep(TIDY_UP) => {}
                    }
                    Some(signal)
                }
            }
        });
        // Threads that did not stop may still report how far they are.
        if stopped.is_some()
            && let Some(bars) = self.bars.borrow().upgrade()
        {
            bars.close();
        }
        Ok(stopped)
    }

    /// Runs work that blocks. A signal sets the interrupt flag; work that does not stop soon, because it waits for a pipe or a disk, is ended
    /// with the process, as it is by a second signal.
    fn run_work(&self, work: &mut dyn FnMut(&Interrupt)) -> Result<Option<StopSignal>, ConsoleError> {
        let noted = signals::noted()?;
        // Before the work begins: what it has begun by a signal's time is always tidied up.
        let entered = self.enter(Some(self.interrupt.clone()), Some(TIDY_UP))?;
        work(&self.interrupt);
        drop(entered);
        Ok(noted())
    }

    /// For work that stops in its own way and its own time when a signal comes. A second one ends the process.
    pub(crate) fn stop_signals(&self) -> Result<StopSignals, ConsoleError> {
        self.enter(None, None)
    }

    fn enter(&self, interrupt: Option<Interrupt>, patience: Option<Duration>) -> Result<StopSignals, ConsoleError> {
        self.runtimes.listen(&self.signals, self.paint)?;
        Ok(self.signals.enter(interrupt, patience))
    }
}

/// Standard output cannot be written.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct OutputError(pub(crate) io::Error);

/// Writes `text` to standard output, with a final newline.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let newline = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
    write!(out, "{text}{newline}").and_then(|()| out.flush())
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim(), "y" | "Y" | "yes" | "Yes" | "YES")
}
