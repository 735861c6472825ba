//! Exchanges with registries: a line for people, and JSON lines in a file for programs.

use std::fs::File;
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;

use super::lock;
use crate::progress::{Event, Exchange, Progress};
use crate::text;

/// The version of the lines' schema: fields are only ever added to it.
const VERSION: u32 = 1;

/// What was asked and what came of it, in one line.
pub(crate) fn line(exchange: &Exchange) -> String {
    let end = match (exchange.status, &exchange.fault) {
        (Some(status), None) => status.to_string(),
        (Some(status), Some(fault)) => format!("{status}, then {fault}"),
        (None, fault) => fault.clone().unwrap_or_default(),
    };
    let moved =
        |bytes: u64, how: &str| if bytes > 0 { format!(", {} {how}", text::size(bytes)) } else { String::new() };
    format!(
        "[{}] {} {}: {end}{}{}, {:.3} s",
        exchange.id,
        exchange.method,
        exchange.url,
        moved(exchange.sent, "sent"),
        moved(exchange.received, "received"),
        exchange.took.as_secs_f64()
    )
}

/// One line of the file.
#[derive(Serialize)]
struct TraceLine<'a> {
    version: u32,
    id: &'a str,
    /// RFC 3339.
    time: String,
    method: &'a str,
    url: &'a str,
    protocol: Option<&'a str>,
    status: Option<u16>,
    fault: Option<&'a str>,
    request: &'a [(String, String)],
    response: &'a [(String, String)],
    sent: u64,
    received: u64,
    answer_ms: Option<f64>,
    total_ms: f64,
}

impl<'a> TraceLine<'a> {
    fn of(exchange: &'a Exchange) -> Self {
        let time = jiff::Timestamp::from_nanosecond(exchange.began).unwrap_or_default();
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        Self {
            version: VERSION,
            id: &exchange.id,
            time: format!("{time:.6}"),
            method: &exchange.method,
            url: &exchange.url,
            protocol: exchange.protocol.as_deref(),
            status: exchange.status,
            fault: exchange.fault.as_deref(),
            request: &exchange.request,
            response: &exchange.response,
            sent: exchange.sent,
            received: exchange.received,
            answer_ms: exchange.answered.map(millis),
            total_ms: millis(exchange.took),
        }
    }
}

/// Writes each exchange into a file, and passes everything on.
pub(crate) struct Traced {
    inner: Arc<dyn Progress>,
    /// None once it could not be written.
    file: Mutex<Option<File>>,
}

impl Traced {
    pub(crate) fn new(inner: Arc<dyn Progress>, file: File) -> Self {
        Self { inner, file: Mutex::new(Some(file)) }
    }

    /// Whole lines in one call each: a process that is killed leaves no half of one but the last.
    fn write(&self, exchange: &Exchange) {
        let mut text = serde_json::to_vec(&TraceLine::of(exchange)).expect("a line has only plain fields");
        text.push(b'\n');
        let mut slot = lock(&self.file);
        let Some(Err(error)) = slot.as_mut().map(|file| file.write_all(&text)) else { return };
        *slot = None;
        drop(slot);
        self.inner.emit(Event::Warning(&format!("the trace ends here, it cannot be written: {error}")));
    }
}

impl Progress for Traced {
    fn emit(&self, event: Event<'_>) {
        if let Event::Exchange(exchange) = event {
            self.write(exchange);
        }
        self.inner.emit(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange() -> Exchange {
        Exchange {
            id: "0a1b2c3d-7".into(),
            began: 1_700_000_000_000_000_000,
            method: "PATCH".into(),
            url: "https://r/v2/a/blobs/uploads/1?_state=[hidden]".into(),
            protocol: Some("HTTP/1.1".into()),
            status: Some(202),
            fault: None,
            request: vec![("content-length".into(), "2048".into())],
            response: Vec::new(),
            sent: 2048,
            received: 0,
            answered: Some(Duration::from_millis(12)),
            took: Duration::from_millis(15),
        }
    }

    #[test]
    fn lines_say_what_moved_and_how_it_ended() {
        let taken = exchange();
        assert_eq!(
            line(&taken),
            "[0a1b2c3d-7] PATCH https://r/v2/a/blobs/uploads/1?_state=[hidden]: 202, 2.00 KiB sent, 0.015 s"
        );
        let cut = Exchange { status: None, fault: Some("the connection was cut".into()), sent: 0, ..exchange() };
        assert!(line(&cut).ends_with(": the connection was cut, 0.015 s"));
        let torn = Exchange { fault: Some("the connection was cut".into()), received: 5, sent: 0, ..exchange() };
        assert!(line(&torn).ends_with(": 202, then the connection was cut, 5 B received, 0.015 s"));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told_once() {
        struct Warnings(Mutex<u32>);
        impl Progress for Warnings {
            fn emit(&self, event: Event<'_>) {
                if let Event::Warning(_) = event {
                    *lock(&self.0) += 1;
                }
            }
        }
        let told = Arc::new(Warnings(Mutex::new(0)));
        let full = File::options().write(true).open("/dev/full").expect("a device that is always full");
        let traced = Traced::new(Arc::clone(&told) as Arc<dyn Progress>, full);
        for _ in 0..3 {
            traced.emit(Event::Exchange(&exchange()));
        }
        assert_eq!(*lock(&told.0), 1);
    }
}
