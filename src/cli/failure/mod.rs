//! From an error to what a person reads and a script tests: kind, cause chain, hints, exit code.
//!
//! Advice lives here and nowhere below. Hints are chosen from typed facts, never from message text.

pub(crate) mod advice;

use std::error::Error;
use std::fmt::Write as _;
use std::io;

use super::exit;
pub use super::terminal::paint::Paint;
use super::terminal::{OutputError, Ui};
use crate::app::{ConsoleError, RecordError, StopSignal, error_text};
use crate::text::{escaped, escaped_lines};

/// What went wrong, as far as the exit code is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Anything not below.
    Failed,
    /// Authentication or permission.
    Auth,
    /// Network or TLS trust.
    Network,
    /// Image, tag or context.
    Image,
    /// The registry's answer.
    Registry,
    /// A deadline.
    Deadline,
    /// The command line.
    Usage,
    /// Stopped by a signal.
    Interrupted,
}

impl Kind {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Failed => exit::FAILED,
            Self::Auth => exit::AUTH,
            Self::Network => exit::NETWORK,
            Self::Image => exit::IMAGE,
            Self::Registry => exit::REGISTRY,
            Self::Deadline => exit::DEADLINE,
            Self::Usage => exit::USAGE,
            Self::Interrupted => exit::INTERRUPTED,
        }
    }
}

/// The reader of standard output left before everything was written.
#[derive(Debug, thiserror::Error)]
#[error("standard output was closed")]
struct OutputClosed;

/// Standard output could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
struct OutputFailed(#[source] io::Error);

/// An error on its way out.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    /// The exit code, where the kind alone does not fix it.
    code: Option<u8>,
    source: Box<dyn Error + Send + Sync>,
    /// What it consists of, if of several things.
    parts: Vec<String>,
    hints: Vec<String>,
}

/// What an applet answers.
pub type Outcome = Result<(), Failure>;

impl Failure {
    /// A failure of `kind` because of `source`.
    pub fn new(kind: Kind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, code: None, source: source.into(), parts: Vec::new(), hints: Vec::new() }
    }

    /// A mistake on the command line.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message.into())
    }

    /// Adds the parts of the failure, a line each.
    #[must_use]
    pub(crate) fn of(self, parts: Vec<String>) -> Self {
        Self { parts, ..self }
    }

    /// Adds a hint after the others.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds a hint before the others.
    #[must_use]
    pub(crate) fn first_hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.insert(0, hint.into());
        self
    }

    /// Standard output could not be written. A reader that left has its exit code, and needs no message.
    pub(crate) fn of_output(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self { code: Some(exit::OUTPUT_CLOSED), ..Self::new(Kind::Failed, OutputClosed) };
        }
        let is_closed = rustix::io::Errno::from_io_error(&error) == Some(rustix::io::Errno::BADF);
        let failure = Self::new(Kind::Failed, OutputFailed(error));
        if is_closed { failure.hint("it is closed: redirect it to a file or to /dev/null") } else { failure }
    }

    /// The end of a command that a signal stopped.
    pub(crate) fn stopped_by(signal: StopSignal) -> Self {
        Self { code: Some(exit::of_signal(signal)), ..Self::new(Kind::Interrupted, signal.to_string()) }
    }

    /// Returns the same failure, which also says how to go on.
    #[must_use]
    pub(crate) fn continued(self, how: &str) -> Self {
        Self { source: format!("{}; {how}", self.source).into(), ..self }
    }

    /// What went wrong, roughly.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        self.code.unwrap_or_else(|| self.kind.code())
    }

    /// What helps.
    pub(crate) fn hints(&self) -> &[String] {
        &self.hints
    }

    /// What went wrong and why, in one line.
    pub(crate) fn summary(&self) -> String {
        let mut text = error_text(self.source.as_ref());
        let mut cause = self.source.source();
        while let Some(error) = cause {
            let message = error_text(error);
            if !says(&text, &message) {
                text = format!("{text}: {}", message.trim_end().replace('\n', " "));
            }
            cause = error.source();
        }
        text
    }

    /// Returns whether the reader of standard output left. It knows, so no message is needed.
    pub fn is_output_closed(&self) -> bool {
        self.source.is::<OutputClosed>()
    }

    /// `error:`, `caused by:` and `hint:` lines. Only a cause may have several; no name in them steers the terminal.
    pub fn render(&self, paint: Paint) -> String {
        let head = error_text(self.source.as_ref());
        let mut text = format!("{} {}\n", paint.error("error:"), escaped(&head));
        for part in &self.parts {
            let _ = writeln!(text, "  {}", escaped(part));
        }
        let mut last = head;
        let mut cause = self.source.source();
        while let Some(error) = cause {
            let message = error_text(error);
            // Wrappers that show their cause's text add a line only once.
            if !says(&last, &message) {
                let message = escaped_lines(message.trim_end()).replace('\n', "\n    ");
                let _ = writeln!(text, "  caused by: {message}");
            }
            if !message.is_empty() {
                last = message;
            }
            cause = error.source();
        }
        for hint in &self.hints {
            let _ = writeln!(text, "{} {}", paint.hint("hint:"), escaped(hint));
        }
        text
    }
}

/// Prints a failure as errors are printed.
pub(crate) fn print(ui: &Ui, failure: &Failure) {
    ui.rendered(|paint| failure.render(paint));
}

impl From<OutputError> for Failure {
    fn from(OutputError(error): OutputError) -> Self {
        Self::of_output(error)
    }
}

impl From<ConsoleError> for Failure {
    fn from(error: ConsoleError) -> Self {
        match error {
            ConsoleError::Stopped(signal) => Self::stopped_by(signal),
            ConsoleError::NoThread(source) => Self::new(Kind::Failed, source).hint(advice::MORE_THREADS),
            ConsoleError::Runtime(source) => Self::new(Kind::Failed, source),
            ConsoleError::Input(_) => Self::new(Kind::Failed, error),
            ConsoleError::InputText => Self::new(Kind::Usage, error),
        }
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Config(error) => error.into(),
            RecordError::Audit(error) => error.into(),
        }
    }
}

/// What went wrong and why, on one line.
impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&error_text(self.source.as_ref()))?;
        match self.source.source().map(error_text).filter(|cause| !cause.is_empty()) {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

/// Whether a text ends with a message already, in any case.
fn says(text: &str, message: &str) -> bool {
    text.to_lowercase().ends_with(&message.trim_end().to_lowercase())
}
