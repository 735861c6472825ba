//! Bars on a terminal: one a transfer and one for all of them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Ledger, away, exchange, expired, lock, past, rate, resumed, retrying, warning};
use crate::cli::terminal::paint::Paint;
use crate::progress::{Event, Outcome, Progress};
use crate::text::{self, escaped, without_numbers};

/// Work that ends sooner shows no bars.
const QUIET_FOR: Duration = Duration::from_millis(250);

/// Columns of a terminal that does not say how many it has.
const COLUMNS: u16 = 80;

/// Shows what runs, and above it a line for what has ended.
pub(crate) struct Bars {
    paint: Paint,
    verbose: bool,
    screen: MultiProgress,
    state: Mutex<State>,
}

struct State {
    started: Instant,
    /// Bytes that were moved since then.
    moved: u64,
    ledger: Ledger,
    shown: BTreeMap<String, ProgressBar>,
    overall: Option<ProgressBar>,
    closed: bool,
}

impl Bars {
    pub(crate) fn new(paint: Paint, verbose: bool) -> Self {
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let state = State {
            started: Instant::now(),
            moved: 0,
            ledger: Ledger::default(),
            shown: BTreeMap::new(),
            overall: None,
            closed: false,
        };
        Self { paint, verbose, screen, state: Mutex::new(state) }
    }

    /// Takes all bars off the screen. What is reported afterwards draws none.
    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
        let _ = self.screen.clear();
    }

    /// Draws what runs, once the work has lasted long enough to be worth it.
    fn draw(&self, state: &mut State) {
        if state.closed || state.started.elapsed() < QUIET_FOR {
            return;
        }
        for (key, transfer) in &state.ledger.active {
            let bar = state.shown.entry(key.clone()).or_insert_with(|| {
                let bar = transfer.total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
                let bar = self.screen.insert(0, bar);
                bar.set_style(style(transfer.total.is_some()));
                bar.set_prefix(transfer.label.clone());
                bar
            });
            bar.set_position(transfer.done);
            bar.set_message(pace(transfer.rate(), transfer.eta()));
        }
        if state.overall.is_none() && state.ledger.active.len() > 1 {
            let bar = self.screen.add(ProgressBar::new(0));
            bar.set_style(style(true));
            bar.set_prefix("total");
            state.overall = Some(bar);
        }
        if let Some(overall) = &state.overall {
            let (done, total) = (state.ledger.done(), state.ledger.total());
            overall.set_length(total);
            overall.set_position(done);
            let rate = rate(state.moved, state.started.elapsed());
            let left = rate.and_then(|rate| total.saturating_sub(done).checked_div(rate)).map(Duration::from_secs);
            overall.set_message(pace(rate, left));
        }
    }

    fn say(&self, line: &str) {
        self.write(&escaped(&without_numbers(line)));
    }

    /// A terminal is written to at once: what is drawn on it has to know where the cursor is.
    fn write(&self, line: &str) {
        self.screen.suspend(|| {
            let _ = writeln!(std::io::stderr().lock(), "{line}");
        });
    }
}

/// How fast it goes and how long it will take: the library's own guess is far too high at the beginning.
fn pace(rate: Option<u64>, left: Option<Duration>) -> String {
    let rate = format!("{}/s", text::size(rate.unwrap_or(0)));
    let left = left.map_or_else(String::new, |left| format!("{:#}", HumanDuration(left)));
    format!("{rate:>12} {left:>4}")
}

fn style(has_total: bool) -> ProgressStyle {
    let columns = rustix::termios::tcgetwinsize(std::io::stderr()).map_or(0, |size| size.ws_col);
    let template = template(if columns == 0 { COLUMNS } else { columns }, has_total);
    ProgressStyle::with_template(template).expect("a constant template").progress_chars("=> ")
}

/// What fits on a line: a line that is too long is wrapped, and wrapped lines pile up.
fn template(columns: u16, has_total: bool) -> &'static str {
    match (columns, has_total) {
        (100.., true) => "{prefix:24!} [{bar:24}] {bytes:>10} of {total_bytes:10} {msg}",
        (76.., true) => "{prefix:16!} [{bar:10}] {bytes:>10} of {total_bytes:10} {msg}",
        (46.., true) => "{prefix:14!} {bytes:>10} of {total_bytes:10} {percent:>3}%",
        (48.., false) => "{prefix:14!} {spinner} {bytes:>10} {msg}",
        (20.., true) => "{prefix:13!} {percent:>3}%",
        (20.., false) => "{prefix:7!} {bytes:>10}",
        (_, true) => "{percent:>3}%",
        (_, false) => "{spinner}",
    }
}

impl Progress for Bars {
    fn emit(&self, event: Event<'_>) {
        let mut state = lock(&self.state);
        let state = &mut *state;
        match event {
            Event::Begin { key, label, phase, total } => {
                if state.ledger.active.is_empty() && state.shown.is_empty() {
                    (state.started, state.moved) = (Instant::now(), 0);
                }
                state.ledger.begin(key, label, phase, total);
            }
            Event::Advance { key, bytes } => {
                state.moved += bytes;
                if let Some(transfer) = state.ledger.active.get_mut(key) {
                    transfer.advance(bytes);
                }
            }
            Event::Rewind { key, offset } => {
                if let Some(transfer) = state.ledger.active.get_mut(key) {
                    transfer.rewind(offset);
                }
            }
            Event::Resume { key, offset } => {
                if let Some(transfer) = state.ledger.active.get_mut(key) {
                    transfer.resume(offset);
                    let line = resumed(transfer);
                    self.say(&line);
                }
            }
            Event::Retry { key, cause, wait, attempt, of } => {
                self.say(&retrying(state.ledger.label(key), cause, wait, (attempt, of)));
            }
            Event::Away { cause, limit } => self.say(&away(cause, limit)),
            Event::Expired { key } => self.say(&expired(state.ledger.label(Some(key)))),
            Event::End { key, outcome } => {
                let transfer = state.ledger.end(key);
                if let Some(bar) = state.shown.remove(key) {
                    bar.finish_and_clear();
                }
                if let Some(transfer) = transfer
                    && (self.verbose || state.started.elapsed() >= QUIET_FOR)
                {
                    let size = match outcome {
                        Outcome::Failed => transfer.reached().unwrap_or_default(),
                        _ => format!(" {}", text::size(transfer.total.unwrap_or(transfer.done))),
                    };
                    self.say(&format!("{}: {}{size}", transfer.label, past(transfer.phase, &outcome)));
                }
                if state.ledger.active.is_empty()
                    && let Some(overall) = state.overall.take()
                {
                    overall.finish_and_clear();
                }
            }
            Event::Warning(text) => self.write(&warning(self.paint, text)),
            Event::Summary(_) | Event::Kept { .. } => {}
            Event::Exchange(exchange) => {
                if self.verbose {
                    self.say(&exchange::line(exchange));
                }
            }
            Event::Detail(text) => {
                if self.verbose {
                    self.say(text);
                }
            }
        }
        self.draw(state);
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        let _ = self.screen.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use indicatif::TermLike;

    use super::*;

    /// The last line that was drawn on a terminal that is wide enough for anything.
    #[derive(Debug, Clone, Default)]
    struct Paper(Arc<Mutex<String>>);

    impl TermLike for Paper {
        fn width(&self) -> u16 {
            200
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            if !text.trim().is_empty() {
                text.clone_into(&mut lock(&self.0));
            }
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_bar_fits_on_its_line() {
        for columns in [8, 12, 20, 24, 40, 46, 60, 76, 80, 99, 100, 120] {
            for has_total in [true, false] {
                let paper = Paper::default();
                let target = ProgressDrawTarget::term_like(Box::new(paper.clone()));
                let bar = ProgressBar::with_draw_target(has_total.then_some(1 << 40), target);
                bar.set_style(ProgressStyle::with_template(template(columns, has_total)).expect("a template"));
                bar.set_prefix("a label that is longer than any column for it");
                bar.set_message(pace(Some(1_072_693_248), Some(Duration::from_mins(59))));
                bar.set_position(1_099_000_000_000);
                bar.force_draw();
                let shown = lock(&paper.0).clone();
                let length = shown.trim_end().chars().count();
                assert!(length > 0 && length <= usize::from(columns), "{columns}: {length} in {shown:?}");
            }
        }
    }
}
