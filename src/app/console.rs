//! How a workflow reaches the person in front of it.

use std::fmt;
use std::io;
use std::pin::Pin;

use zeroize::Zeroizing;

use crate::progress::Interrupt;

/// The signal that asked a command to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "interrupted",
            Self::Terminate => "terminated",
        })
    }
}

/// Why a console did not do what a workflow asked of it.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// A signal asked to stop.
    #[error("{0}")]
    Stopped(StopSignal),
    /// The system gives no more threads.
    #[error(transparent)]
    NoThread(io::Error),
    /// The system lets work neither run nor be stopped.
    #[error(transparent)]
    Runtime(io::Error),
    /// The terminal cannot be read.
    #[error("cannot read from the terminal: {0}")]
    Input(io::Error),
    /// An answer is not text.
    #[error("what was typed is not UTF-8 text")]
    InputText,
}

/// Whether the terminal shows what is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// It does.
    On,
    /// It does not.
    Off,
}

/// The work of [`Console::run_future`].
pub type Work<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Tells a person what happens, asks questions, and runs work until it ends or a signal asks it to stop.
pub trait Console {
    /// Tells what happens, also when quiet.
    fn notice(&self, text: &str);

    /// Tells what happens.
    fn status(&self, text: &str);

    /// Tells what `-v` asks for.
    fn detail(&self, text: &str);

    /// Tells what a person should know, also when quiet.
    fn warn(&self, text: &str);

    /// Returns whether [`Console::detail`] shows anything.
    fn is_verbose(&self) -> bool;

    /// Returns whether a person can answer a question.
    fn can_ask(&self) -> bool;

    /// Asks a yes-or-no question; `None` where no person can answer.
    ///
    /// # Errors
    ///
    /// Fails if a signal ends the wait.
    fn confirm(&self, question: &str) -> Result<Option<bool>, ConsoleError>;

    /// Asks for a line; `None` where no person can answer.
    ///
    /// # Errors
    ///
    /// Fails if a signal ends the wait, or the terminal cannot be read.
    fn ask_line(&self, question: &str, echo: Echo) -> Result<Option<Zeroizing<String>>, ConsoleError>;

    /// Returns what standard input has, at most `limit` bytes of it.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be read or is not UTF-8 text.
    fn input(&self, limit: u64) -> io::Result<String>;

    /// Runs `work` until it ends. If a signal asks to stop, `work` has a moment to tidy up; the signal is returned.
    ///
    /// # Errors
    ///
    /// Fails if the system gives no thread to run it or to listen for signals.
    fn run_future(&self, work: Work<'_>) -> Result<Option<StopSignal>, ConsoleError>;

    /// Runs `work` that blocks, and returns the signal that asked it to stop.
    ///
    /// # Errors
    ///
    /// Fails if the system gives no thread to listen for signals.
    fn run_work(&self, work: &mut dyn FnMut(&Interrupt)) -> Result<Option<StopSignal>, ConsoleError>;
}

impl dyn Console + '_ {
    /// Runs `work` until it ends or a signal asks to stop. Returns its result, unless it did not end in time, and the
    /// signal.
    ///
    /// # Errors
    ///
    /// Fails if the system gives no thread to run it or to listen for signals.
    pub fn drive<T>(&self, work: impl Future<Output = T>) -> Result<(Option<T>, Option<StopSignal>), ConsoleError> {
        let mut ended = None;
        let signal = self.run_future(Box::pin(async { ended = Some(work.await) }))?;
        Ok((ended, signal))
    }

    /// Runs `work` until it ends.
    ///
    /// # Errors
    ///
    /// Fails if a signal asks to stop.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> Result<T, ConsoleError> {
        match self.drive(work)? {
            (_, Some(signal)) => Err(ConsoleError::Stopped(signal)),
            (ended, None) => Ok(ended.expect("only a signal ends the wait early")),
        }
    }

    /// Runs `work` that blocks.
    ///
    /// # Errors
    ///
    /// Fails as `work` does, or because of the signal that made it fail.
    pub fn run_blocking<T, E: From<ConsoleError>>(
        &self,
        work: impl FnOnce(&Interrupt) -> Result<T, E>,
    ) -> Result<T, E> {
        let (mut work, mut result) = (Some(work), None);
        let signal = self.run_work(&mut |interrupt| result = work.take().map(|work| work(interrupt)))?;
        match (result.expect("the console runs it"), signal) {
            // A signal to a whole pipeline also cuts off what is read, which is not what went wrong.
            (Err(_), Some(signal)) => Err(ConsoleError::Stopped(signal).into()),
            (result, _) => result,
        }
    }
}
