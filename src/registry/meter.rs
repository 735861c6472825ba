//! Measures and reports how far the transfer of a blob is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::progress::{Event, Progress};

/// Reports how far the transfer of one blob is.
#[derive(Clone)]
pub struct Meter {
    progress: Arc<dyn Progress>,
    key: Arc<str>,
    places: Arc<Positions>,
}

/// Where a transfer is.
#[derive(Default)]
struct Positions {
    /// By what was handed to the connection.
    handed: AtomicU64,
    /// By what was reported.
    shown: AtomicU64,
}

impl Meter {
    /// Returns a meter at zero for the transfer `key`, whose begin and end are the caller's to report.
    pub fn new(progress: Arc<dyn Progress>, key: &str) -> Self {
        Self { progress, key: key.into(), places: Arc::default() }
    }

    /// Returns a meter that reports nothing.
    pub fn silent() -> Self {
        Self::new(Arc::new(crate::progress::Silent), "")
    }

    pub(super) fn advance(&self, bytes: u64) {
        let position = self.places.handed.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let bytes = position.saturating_sub(self.places.shown.fetch_max(position, Ordering::Relaxed));
        if bytes > 0 {
            self.progress.emit(Event::Advance { key: &self.key, bytes });
        }
    }

    /// Returns the transfer's key, if it has one.
    pub(super) fn key(&self) -> Option<&str> {
        Some(&*self.key).filter(|key| !key.is_empty())
    }

    /// Returns where the transfer is, by what was handed to the connection.
    pub(super) fn position(&self) -> u64 {
        self.places.handed.load(Ordering::Relaxed)
    }

    /// Reports that the transfer begins at `offset`, where an earlier run stopped.
    pub(super) fn resume(&self, offset: u64) {
        self.place(offset);
        self.progress.emit(Event::Resume { key: &self.key, offset });
    }

    /// Sets the transfer to `offset`, and reports it if that is another offset than before.
    pub(super) fn set(&self, offset: u64) {
        if self.place(offset) != offset {
            self.progress.emit(Event::Rewind { key: &self.key, offset });
        }
    }

    /// Reports that the transfer begins again at the first byte, even if it had not moved.
    pub(super) fn start_over(&self) {
        self.place(0);
        self.progress.emit(Event::Rewind { key: &self.key, offset: 0 });
    }

    /// Sets the transfer to `offset` without a report, because the bytes that were reported are sent again in another
    /// request.
    pub(super) fn detour(&self, offset: u64) {
        self.places.handed.store(offset, Ordering::Relaxed);
    }

    fn place(&self, offset: u64) -> u64 {
        self.places.handed.store(offset, Ordering::Relaxed);
        self.places.shown.swap(offset, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    #[derive(Default)]
    struct Told(Mutex<Vec<String>>);

    impl Progress for Told {
        fn emit(&self, event: Event<'_>) {
            let line = match event {
                Event::Advance { bytes, .. } => format!("+{bytes}"),
                Event::Rewind { offset, .. } => format!("={offset}"),
                other => format!("{other:?}"),
            };
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }

    #[test]
    fn bytes_that_go_another_way_count_once() {
        let told = Arc::new(Told::default());
        let meter = Meter::new(Arc::clone(&told) as Arc<dyn Progress>, "blob");
        meter.advance(5);
        meter.detour(0);
        meter.advance(3);
        meter.advance(4);
        assert_eq!(meter.position(), 7);
        meter.set(7);
        meter.set(2);
        meter.advance(1);
        meter.start_over();
        meter.start_over();
        assert_eq!(*told.0.lock().unwrap_or_else(PoisonError::into_inner), ["+5", "+2", "=2", "+1", "=0", "=0"]);
    }
}
