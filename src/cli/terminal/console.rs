//! The terminal as the console of workflows.

use std::io::{self, Read as _};

use zeroize::Zeroizing;

use super::Ui;
use crate::app::connect::Session;
use crate::app::{Console, ConsoleError, Echo, StopSignal, Work};
use crate::progress::Interrupt;

impl Ui {
    /// Returns what workflows work with besides their options.
    pub(crate) fn session(&self) -> Session<'_> {
        Session { console: self, surroundings: &self.surroundings }
    }
}

impl Console for Ui {
    fn notice(&self, text: &str) {
        self.notice(text);
    }

    fn status(&self, text: &str) {
        self.status(text);
    }

    fn detail(&self, text: &str) {
        self.detail(text);
    }

    fn warn(&self, text: &str) {
        self.warn(text);
    }

    fn is_verbose(&self) -> bool {
        self.is_verbose()
    }

    fn can_ask(&self) -> bool {
        self.can_ask()
    }

    fn confirm(&self, question: &str) -> Result<Option<bool>, ConsoleError> {
        self.confirm(question)
    }

    fn ask_line(&self, question: &str, echo: Echo) -> Result<Option<Zeroizing<String>>, ConsoleError> {
        self.ask_line(question, echo)
    }

    fn input(&self, limit: u64) -> io::Result<String> {
        let mut text = String::new();
        io::stdin().lock().take(limit).read_to_string(&mut text)?;
        Ok(text)
    }

    fn run_future(&self, work: Work<'_>) -> Result<Option<StopSignal>, ConsoleError> {
        self.run_future(work)
    }

    fn run_work(&self, work: &mut dyn FnMut(&Interrupt)) -> Result<Option<StopSignal>, ConsoleError> {
        self.run_work(work)
    }
}
