//! Progress for people (bars or lines) and for programs (JSON lines), all on standard error.

mod bars;
mod exchange;
mod json;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::HumanDuration;

use super::status_lines::StatusLines;
use crate::cli::terminal::paint::Paint;
use crate::progress::{Event, Outcome, Phase, Progress};
use crate::text::{self, escaped, without_numbers};
pub(crate) use bars::Bars;
pub(crate) use exchange::Traced;
pub(crate) use json::Json;

/// How often plain lines report a transfer that goes on.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How to show progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// Bars on a terminal, lines elsewhere
    Auto,
    /// Bars
    Tty,
    /// One line for each step
    Plain,
    /// One JSON object a line
    Json,
    /// Nothing but warnings
    None,
}

/// A transfer as far as it got.
#[derive(Debug, Clone)]
struct Transfer {
    label: String,
    phase: Phase,
    total: Option<u64>,
    done: u64,
    /// Bytes that an earlier run moved.
    resumed: u64,
    /// Bytes that were moved here, those that had to be moved again among them.
    moved: u64,
    /// How often something about it was tried again.
    retries: u32,
    started: Instant,
    shown: Instant,
}

impl Transfer {
    fn rate(&self) -> Option<u64> {
        rate(self.moved, self.started.elapsed())
    }

    /// How long the rest takes if it goes on like this.
    fn eta(&self) -> Option<Duration> {
        let left = self.total?.saturating_sub(self.done);
        left.checked_div(self.rate()?).map(Duration::from_secs)
    }

    fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        self.moved += bytes;
    }

    /// How far a transfer came that failed, if it came anywhere.
    fn reached(&self) -> Option<String> {
        let total = self.total.filter(|total| self.done < *total);
        match (self.done, total) {
            (0, _) => None,
            (done, Some(total)) => Some(format!(" after {} of {}", text::size(done), text::size(total))),
            (done, None) => Some(format!(" after {}", text::size(done))),
        }
    }

    fn resume(&mut self, offset: u64) {
        (self.done, self.resumed) = (offset, offset);
    }

    fn rewind(&mut self, offset: u64) {
        (self.done, self.resumed) = (offset, self.resumed.min(offset));
    }
}

/// What took less than this says nothing about a rate: most of it was spent on a request, not on its bytes.
const SHORTEST_RATED: Duration = Duration::from_millis(100);

/// Bytes a second.
fn rate(bytes: u64, time: Duration) -> Option<u64> {
    let per_second = || u64::try_from(u128::from(bytes) * 1000 / time.as_millis()).unwrap_or(u64::MAX);
    (time >= SHORTEST_RATED).then(per_second)
}

/// Why and when something is tried again, in one line.
fn retrying(label: Option<&str>, cause: &str, wait: Duration, (attempt, of): (u32, u32)) -> String {
    let label = label.map_or_else(String::new, |label| format!("{label}: "));
    format!("{label}{cause}; trying again in {:.1} s ({attempt} of {of})", wait.as_secs_f64())
}

/// Says that the registry is away, in one line.
fn away(cause: &str, limit: Duration) -> String {
    format!("the registry is away ({cause}); waiting up to {}", text::duration(limit))
}

/// Says that what an earlier run sent is gone, in one line.
fn expired(label: Option<&str>) -> String {
    let label = label.map_or_else(String::new, |label| format!("{label}: "));
    format!("{label}the earlier upload expired; starting over")
}

/// All transfers of a run: what every renderer keeps.
#[derive(Debug, Default)]
struct Ledger {
    active: BTreeMap<String, Transfer>,
    finished_bytes: u64,
    finished_total: u64,
}

impl Ledger {
    fn begin(&mut self, key: &str, label: &str, phase: Phase, total: Option<u64>) {
        let now = Instant::now();
        let transfer = Transfer {
            label: escaped(label).into_owned(),
            phase,
            total,
            done: 0,
            resumed: 0,
            moved: 0,
            retries: 0,
            started: now,
            shown: now,
        };
        self.active.insert(key.to_owned(), transfer);
    }

    fn label(&self, key: Option<&str>) -> Option<&str> {
        Some(self.active.get(key?)?.label.as_str())
    }

    fn retried(&mut self, key: Option<&str>) {
        if let Some(transfer) = key.and_then(|key| self.active.get_mut(key)) {
            transfer.retries += 1;
        }
    }

    fn end(&mut self, key: &str) -> Option<Transfer> {
        let transfer = self.active.remove(key)?;
        self.finished_bytes += transfer.done;
        self.finished_total += transfer.total.unwrap_or(transfer.done);
        Some(transfer)
    }

    fn done(&self) -> u64 {
        self.finished_bytes + self.active.values().map(|transfer| transfer.done).sum::<u64>()
    }

    fn total(&self) -> u64 {
        self.finished_total + self.active.values().map(|t| t.total.unwrap_or(t.done)).sum::<u64>()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A renderer that panicked has nothing half-done that could mislead another.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn verb(phase: Phase) -> &'static str {
    match phase {
        Phase::Pack => "packing",
        Phase::Read => "reading",
        Phase::Upload => "uploading",
        Phase::Download => "downloading",
        Phase::Verify => "reading back",
        Phase::Save => "saving",
        Phase::Load => "loading",
    }
}

fn past(phase: Phase, outcome: &Outcome) -> &'static str {
    match (outcome, phase) {
        (Outcome::Exists, _) => "already there",
        (Outcome::Mounted, _) => "mounted",
        (Outcome::Failed, _) => "failed",
        (Outcome::Done, Phase::Pack) => "packed",
        (Outcome::Done, Phase::Read) => "read",
        (Outcome::Done, Phase::Upload) => "uploaded",
        (Outcome::Done, Phase::Download) => "downloaded",
        (Outcome::Done, Phase::Verify) => "read back",
        (Outcome::Done, Phase::Save) => "saved",
        (Outcome::Done, Phase::Load) => "loaded",
    }
}

fn warning(paint: Paint, text: &str) -> String {
    format!("{} {}", paint.warning("warning:"), escaped(&without_numbers(text)))
}

/// What stands for lines that were left out.
fn left_out(lines: u64) -> String {
    format!("({lines} lines of progress were left out: standard error was not read)")
}

/// Shows warnings and nothing else.
pub(crate) struct WarningsOnly {
    paint: Paint,
    out: StatusLines,
}

impl WarningsOnly {
    pub(crate) fn new(paint: Paint, out: StatusLines) -> Self {
        Self { paint, out }
    }
}

impl Progress for WarningsOnly {
    fn emit(&self, event: Event<'_>) {
        if let Event::Warning(text) = event {
            self.out.lasting(&warning(self.paint, text), left_out);
        }
    }
}

/// One line for each step, and one now and then for a long one.
pub(crate) struct Lines {
    paint: Paint,
    verbose: bool,
    ledger: Mutex<Ledger>,
    out: StatusLines,
}

impl Lines {
    pub(crate) fn new(paint: Paint, verbose: bool, out: StatusLines) -> Self {
        Self { paint, verbose, ledger: Mutex::default(), out }
    }

    fn say(&self, line: &str) {
        self.out.lasting(&escaped(&without_numbers(line)), left_out);
    }
}

impl Progress for Lines {
    fn emit(&self, event: Event<'_>) {
        let mut ledger = lock(&self.ledger);
        match event {
            Event::Begin { key, label, phase, total } => {
                ledger.begin(key, label, phase, total);
                if self.verbose {
                    self.say(&format!("{label}: {}", verb(phase)));
                }
            }
            Event::Advance { key, bytes } => {
                let Some(transfer) = ledger.active.get_mut(key) else { return };
                transfer.advance(bytes);
                if transfer.shown.elapsed() < LINE_EVERY {
                    return;
                }
                transfer.shown = Instant::now();
                let line = long_line(transfer);
                let overall = if ledger.active.len() > 1 {
                    format!(" ({} of {} in all)", text::size(ledger.done()), text::size(ledger.total()))
                } else {
                    String::new()
                };
                self.out.passing(&escaped(&format!("{line}{overall}")), left_out);
            }
            Event::Rewind { key, offset } => {
                if let Some(transfer) = ledger.active.get_mut(key) {
                    transfer.rewind(offset);
                    self.say(&continuing(transfer));
                }
            }
            Event::Resume { key, offset } => {
                if let Some(transfer) = ledger.active.get_mut(key) {
                    transfer.resume(offset);
                    self.say(&resumed(transfer));
                }
            }
            Event::Retry { key, cause, wait, attempt, of } => {
                self.say(&retrying(ledger.label(key), cause, wait, (attempt, of)));
            }
            Event::Away { cause, limit } => self.say(&away(cause, limit)),
            Event::Expired { key } => self.say(&expired(ledger.label(Some(key)))),
            Event::End { key, outcome } => {
                let Some(transfer) = ledger.end(key) else { return };
                self.say(&ended(&transfer, &outcome, transfer.rate()));
            }
            Event::Warning(text) => self.out.lasting(&warning(self.paint, text), left_out),
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
    }
}

fn continuing(transfer: &Transfer) -> String {
    match transfer.done {
        0 => format!("{}: starting over", transfer.label),
        offset => format!("{}: continuing from {}", transfer.label, text::size(offset)),
    }
}

fn resumed(transfer: &Transfer) -> String {
    format!("{}: resumed from {}", transfer.label, text::size(transfer.done))
}

/// What became of a transfer; what took too little time to be measured has no rate.
fn ended(transfer: &Transfer, outcome: &Outcome, rate: Option<u64>) -> String {
    let moved = match outcome {
        Outcome::Done => {
            let rate = rate.map_or_else(String::new, |rate| format!(", {}/s", text::size(rate)));
            format!(" {}{rate}", text::size(transfer.done))
        }
        Outcome::Exists | Outcome::Mounted => {
            transfer.total.map_or_else(String::new, |total| format!(" ({})", text::size(total)))
        }
        Outcome::Failed => transfer.reached().unwrap_or_default(),
    };
    format!("{}: {}{moved}", transfer.label, past(transfer.phase, outcome))
}

fn long_line(transfer: &Transfer) -> String {
    let done = text::size(transfer.done);
    let rate = transfer.rate().unwrap_or(0);
    match transfer.total.filter(|total| *total > 0) {
        Some(total) => {
            let percent = transfer.done.min(total) * 100 / total;
            let eta = transfer.eta().unwrap_or_default();
            format!(
                "{}: {} {done} of {} ({percent} %), {}/s, {} left",
                transfer.label,
                verb(transfer.phase),
                text::size(total),
                text::size(rate),
                HumanDuration(eta),
            )
        }
        None => format!("{}: {} {done}, {}/s", transfer.label, verb(transfer.phase), text::size(rate)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moved_twice_counts_for_the_rate_and_once_for_the_rest() {
        let mut ledger = Ledger::default();
        ledger.begin("a", "a", Phase::Upload, Some(1000));
        let transfer = ledger.active.get_mut("a").expect("begun");
        transfer.started -= Duration::from_secs(1);
        transfer.resume(200);
        transfer.advance(600);
        transfer.rewind(0);
        transfer.advance(100);
        let near = |found: Option<u64>, expected: u64| found.is_some_and(|found| found.abs_diff(expected) < 70);
        assert!(near(transfer.rate(), 700), "{transfer:?}");
        assert_eq!(transfer.eta(), Some(Duration::from_secs(1)));
        assert_eq!(transfer.reached().as_deref(), Some(" after 100 B of 1000 B"));
    }

    #[test]
    fn outages_and_expired_uploads_are_one_line() {
        let away = away("502 from nginx", Duration::from_mins(2));
        assert_eq!(away, "the registry is away (502 from nginx); waiting up to 2 minutes");
        assert_eq!(expired(Some("0123abcd")), "0123abcd: the earlier upload expired; starting over");
    }

    #[test]
    fn what_ended_says_how_fast_it_was_unless_that_was_too_short_to_say() {
        for (bytes, millis, expected) in
            [(132, 0, None), (132, 1, None), (1 << 20, 99, None), (3000, 100, Some(30_000)), (3000, 1500, Some(2000))]
        {
            assert_eq!(rate(bytes, Duration::from_millis(millis)), expected, "{bytes} bytes in {millis} ms");
        }
        let mut ledger = Ledger::default();
        ledger.begin("a", "layer", Phase::Upload, Some(3072));
        let mut transfer = ledger.end("a").expect("begun");
        transfer.advance(3072);
        assert_eq!(ended(&transfer, &Outcome::Done, Some(2048)), "layer: uploaded 3.00 KiB, 2.00 KiB/s");
        assert_eq!(ended(&transfer, &Outcome::Done, None), "layer: uploaded 3.00 KiB");
        assert_eq!(ended(&transfer, &Outcome::Exists, Some(2048)), "layer: already there (3.00 KiB)");
    }
}
