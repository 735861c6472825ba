//! Progress for programs: one JSON object a line.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Ledger, Transfer, exchange, lock};
use crate::cli::terminal::status_lines::StatusLines;
use crate::progress::{Event, Outcome, Phase, Progress, Summary};
use crate::text::without_numbers;

/// How often a transfer that goes on is reported.
const JSON_EVERY: Duration = Duration::from_millis(200);

/// The version of the lines' schema: fields are only ever added to it.
const VERSION: u32 = 1;

/// One JSON object a line, as `docs/FORMATS.md` has it.
pub(crate) struct Json {
    verbose: bool,
    ledger: Mutex<Ledger>,
    out: StatusLines,
}

#[derive(Serialize)]
struct JsonLine<'a> {
    version: u32,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<u64>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    eta: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retries: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resumed_from: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    wait: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
}

impl<'a> JsonLine<'a> {
    fn bare(event: &'static str) -> Self {
        Self {
            version: VERSION,
            event,
            key: None,
            label: None,
            phase: None,
            outcome: None,
            bytes: None,
            total: None,
            rate: None,
            eta: None,
            retries: None,
            resumed_from: None,
            message: None,
            wait: None,
            attempt: None,
            attempts: None,
        }
    }

    fn of(event: &'static str, key: &'a str, transfer: &'a Transfer) -> Self {
        let phase = match transfer.phase {
            Phase::Pack => "pack",
            Phase::Read => "read",
            Phase::Upload => "upload",
            Phase::Download => "download",
            Phase::Verify => "verify",
            Phase::Save => "save",
            Phase::Load => "load",
        };
        Self {
            key: Some(key),
            label: Some(&transfer.label),
            phase: Some(phase),
            bytes: Some(transfer.done),
            total: transfer.total,
            rate: transfer.rate(),
            eta: transfer.eta().map(|time| time.as_secs()),
            retries: Some(transfer.retries).filter(|count| *count > 0),
            resumed_from: Some(transfer.resumed).filter(|bytes| *bytes > 0),
            ..Self::bare(event)
        }
    }
}

fn text(line: &impl Serialize) -> String {
    serde_json::to_string(line).expect("a line has only plain fields")
}

/// What stands for lines that were left out.
fn left_out(lines: u64) -> String {
    #[derive(Serialize)]
    struct LeftOutLine {
        version: u32,
        event: &'static str,
        lines: u64,
    }
    text(&LeftOutLine { version: VERSION, event: "left-out", lines })
}

/// The counters at the end of a push to one destination.
#[derive(Serialize)]
struct SummaryLine<'a> {
    version: u32,
    event: &'static str,
    destination: &'a str,
    digest: &'a str,
    requests: u64,
    sent: u64,
    uploaded: u64,
    skipped: u64,
    mounted: u64,
    resumed: u64,
}

impl<'a> SummaryLine<'a> {
    fn of(summary: &'a Summary) -> Self {
        let Summary { destination, digest, requests, sent, uploaded, skipped, mounted, resumed } = summary;
        Self {
            version: VERSION,
            event: "summary",
            destination,
            digest,
            requests: *requests,
            sent: *sent,
            uploaded: *uploaded,
            skipped: *skipped,
            mounted: *mounted,
            resumed: *resumed,
        }
    }
}

impl Json {
    pub(crate) fn new(verbose: bool, out: StatusLines) -> Self {
        Self { verbose, ledger: Mutex::default(), out }
    }

    fn write(&self, line: &impl Serialize) {
        self.out.lasting(&text(line), left_out);
    }
}

impl Progress for Json {
    fn emit(&self, event: Event<'_>) {
        let mut ledger = lock(&self.ledger);
        match event {
            Event::Begin { key, label, phase, total } => {
                ledger.begin(key, label, phase, total);
                self.write(&JsonLine::of("begin", key, &ledger.active[key]));
            }
            Event::Advance { key, bytes } => {
                let Some(transfer) = ledger.active.get_mut(key) else { return };
                transfer.advance(bytes);
                if transfer.shown.elapsed() >= JSON_EVERY {
                    transfer.shown = Instant::now();
                    self.out.passing(&text(&JsonLine::of("advance", key, transfer)), left_out);
                }
            }
            Event::Rewind { key, offset } => {
                let Some(transfer) = ledger.active.get_mut(key) else { return };
                transfer.rewind(offset);
                self.write(&JsonLine::of("rewind", key, transfer));
            }
            Event::Resume { key, offset } => {
                let Some(transfer) = ledger.active.get_mut(key) else { return };
                transfer.resume(offset);
                self.write(&JsonLine::of("resume", key, transfer));
            }
            Event::Retry { key, cause, wait, attempt, of } => {
                ledger.retried(key);
                let line = match key.and_then(|key| ledger.active.get_key_value(key)) {
                    Some((key, transfer)) => JsonLine::of("retry", key, transfer),
                    None => JsonLine::bare("retry"),
                };
                let wait = Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
                self.write(&JsonLine {
                    message: Some(&without_numbers(cause)),
                    wait,
                    attempt: Some(attempt),
                    attempts: Some(of),
                    ..line
                });
            }
            Event::End { key, outcome } => {
                let Some(transfer) = ledger.end(key) else { return };
                let name = match outcome {
                    Outcome::Done => "done",
                    Outcome::Exists => "exists",
                    Outcome::Mounted => "mounted",
                    Outcome::Failed => "failed",
                };
                self.write(&JsonLine { outcome: Some(name), ..JsonLine::of("end", key, &transfer) });
            }
            Event::Away { cause, limit } => {
                let wait = Some(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
                self.write(&JsonLine { message: Some(cause), wait, ..JsonLine::bare("away") });
            }
            Event::Expired { key } => {
                let Some((key, transfer)) = ledger.active.get_key_value(key) else { return };
                self.write(&JsonLine::of("expired", key, transfer));
            }
            Event::Kept { .. } => {}
            Event::Summary(summary) => self.write(&SummaryLine::of(summary)),
            Event::Warning(text) => {
                self.write(&JsonLine { message: Some(&without_numbers(text)), ..JsonLine::bare("warning") });
            }
            Event::Exchange(exchange) => {
                if self.verbose {
                    let text = exchange::line(exchange);
                    self.write(&JsonLine { message: Some(&text), ..JsonLine::bare("exchange") });
                }
            }
            Event::Detail(text) => self.write(&JsonLine { message: Some(text), ..JsonLine::bare("detail") }),
        }
    }
}
