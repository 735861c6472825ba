//! How much of an interrupted push the next one need not send again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::progress::{Event, Outcome, Phase, Progress};

/// Passes every event on, and counts the bytes that stay at the registries: blobs that were sent, and the beginnings of
/// blobs that an upload session keeps.
pub(crate) struct Kept {
    inner: Arc<dyn Progress>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    /// The sizes of the blobs that are being sent.
    sending: BTreeMap<String, u64>,
    bytes: u64,
}

impl Kept {
    pub(crate) fn new(inner: Arc<dyn Progress>) -> Self {
        Self { inner, counts: Mutex::default() }
    }

    /// Returns the bytes that stay at the registries.
    pub(crate) fn bytes(&self) -> u64 {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }
}

impl Progress for Kept {
    fn emit(&self, event: Event<'_>) {
        {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            match &event {
                Event::Begin { key, phase: Phase::Upload, total: Some(total), .. } => {
                    counts.sending.insert((*key).to_owned(), *total);
                }
                Event::End { key, outcome } => {
                    let size = counts.sending.remove(*key).unwrap_or_default();
                    counts.bytes += if *outcome == Outcome::Done { size } else { 0 };
                }
                Event::Kept { offset, .. } => counts.bytes += offset,
                _ => {}
            }
        }
        self.inner.emit(event);
    }
}

/// Returns what an interrupted push says of `bytes` that stay at the registry. Less than a mebibyte is sent again as
/// quickly as it is looked up.
pub(crate) fn continuation(bytes: u64) -> Option<String> {
    let mebibytes = bytes >> 20;
    (mebibytes > 0).then(|| format!("run the same command to continue from {mebibytes} MiB"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;

    #[test]
    fn what_was_sent_and_what_sessions_keep_is_counted() {
        let kept = Kept::new(Arc::new(Silent));
        let begin = |key| kept.emit(Event::Begin { key, label: key, phase: Phase::Upload, total: Some(40 << 20) });
        for key in ["sent", "there", "torn", "lost"] {
            begin(key);
        }
        kept.emit(Event::End { key: "sent", outcome: Outcome::Done });
        kept.emit(Event::End { key: "there", outcome: Outcome::Exists });
        kept.emit(Event::Kept { key: "torn", offset: 19 << 20 });
        kept.emit(Event::End { key: "torn", outcome: Outcome::Failed });
        kept.emit(Event::End { key: "lost", outcome: Outcome::Failed });
        assert_eq!(kept.bytes(), 59 << 20);
    }

    #[test]
    fn what_it_says() {
        for (bytes, expected) in
            [(0, None), ((1 << 20) - 1, None), ((59 << 20) + 5, Some("run the same command to continue from 59 MiB"))]
        {
            assert_eq!(continuation(bytes).as_deref(), expected);
        }
    }
}
