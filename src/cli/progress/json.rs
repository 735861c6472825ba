//! Progress for programs: one JSON object a line.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Ledger, Transfer, lock, say};
use crate::progress::{Event, Outcome, Phase, Progress};

/// How often a transfer that goes on is reported.
const JSON_EVERY: Duration = Duration::from_millis(200);

/// One JSON object a line; fields are only ever added.
pub(in crate::cli) struct Json {
    ledger: Mutex<Ledger>,
}

#[derive(Serialize)]
struct JsonLine<'a> {
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
            event,
            key: None,
            label: None,
            phase: None,
            outcome: None,
            bytes: None,
            total: None,
            rate: None,
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
            resumed_from: Some(transfer.resumed).filter(|bytes| *bytes > 0),
            ..Self::bare(event)
        }
    }

    fn write(&self) {
        say(&serde_json::to_string(self).expect("a line has only plain fields"));
    }
}

impl Json {
    pub(in crate::cli) fn new() -> Self {
        Self { ledger: Mutex::default() }
    }
}

impl Progress for Json {
    fn emit(&self, event: Event<'_>) {
        let mut ledger = lock(&self.ledger);
        match event {
            Event::Begin { key, label, phase, total } => {
                ledger.begin(key, label, phase, total);
                JsonLine::of("begin", key, &ledger.active[key]).write();
            }
            Event::Advance { key, bytes } => {
                let Some(transfer) = ledger.active.get_mut(key) else { return };
                transfer.done += bytes;
                if transfer.shown.elapsed() >= JSON_EVERY {
                    transfer.shown = Instant::now();
                    JsonLine::of("advance", key, transfer).write();
                }
            }
            Event::Rewind { key, offset } => {
                let Some(transfer) = ledger.active.get_mut(key) else { return };
                transfer.rewind(offset);
                JsonLine::of("rewind", key, transfer).write();
            }
            Event::Resume { key, offset } => {
                let Some(transfer) = ledger.active.get_mut(key) else { return };
                transfer.resume(offset);
                JsonLine::of("resume", key, transfer).write();
            }
            Event::Retry { key, cause, wait, attempt, of } => {
                let line = match key.and_then(|key| ledger.active.get_key_value(key)) {
                    Some((key, transfer)) => JsonLine::of("retry", key, transfer),
                    None => JsonLine::bare("retry"),
                };
                let wait = Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
                JsonLine { message: Some(cause), wait, attempt: Some(attempt), attempts: Some(of), ..line }.write();
            }
            Event::End { key, outcome } => {
                let Some(transfer) = ledger.end(key) else { return };
                let name = match outcome {
                    Outcome::Done => "done",
                    Outcome::Exists => "exists",
                    Outcome::Mounted => "mounted",
                    Outcome::Failed => "failed",
                };
                JsonLine { outcome: Some(name), ..JsonLine::of("end", key, &transfer) }.write();
            }
            Event::Warning(text) => JsonLine { message: Some(text), ..JsonLine::bare("warning") }.write(),
            Event::Detail(text) => JsonLine { message: Some(text), ..JsonLine::bare("detail") }.write(),
        }
    }
}
