//! The content of an entry with its holes as zeros, as every program that unpacks it has it.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read};

use super::ArchiveError;
use crate::layer::tar::read::{TarEntry, TarReader};
use crate::progress::Interrupt;

/// Bytes that are handed on at a time.
const CHUNK: usize = 128 << 10;

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Span {
    /// So many zeros.
    Hole(u64),
    /// So many bytes of the stream.
    Content(u64),
}

/// The whole content of an entry, however it is written.
pub(super) struct Filled<'a, R> {
    reader: &'a mut TarReader<R>,
    spans: VecDeque<Span>,
}

impl<'a, R: Read> Filled<'a, R> {
    /// Returns the content of the entry that `reader` has just come to.
    pub(super) fn new(entry: &TarEntry, reader: &'a mut TarReader<R>) -> Self {
        Self { reader, spans: spans(entry) }
    }

    /// Hands the content to `take`, piece by piece.
    pub(super) fn copy(
        &mut self,
        interrupt: &Interrupt,
        mut take: impl FnMut(&[u8]) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let mut buffer = vec![0; CHUNK];
        while let Some(span) = self.spans.pop_front() {
            let (mut rest, is_hole) = match span {
                Span::Hole(length) => (length, true),
                Span::Content(length) => (length, false),
            };
            if is_hole {
                buffer.fill(0);
            }
            while rest > 0 {
                if interrupt.requested() {
                    return Err(ArchiveError::Interrupted);
                }
                let most = usize::try_from(rest).map_or(CHUNK, |rest| rest.min(CHUNK));
                let count = if is_hole { Ok(most) } else { self.reader.read(&mut buffer[..most]) };
                let count = match count {
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) => return Err(self.reader.explain(error).into()),
                    // The reader fails before the end of what it announced.
                    Ok(0) => return Err(self.reader.explain(ErrorKind::UnexpectedEof.into()).into()),
                    Ok(count) => count,
                };
                take(&buffer[..count])?;
                rest -= count as u64;
            }
        }
        Ok(())
    }
}

/// Returns the parts of a file in their order, none of them empty.
fn spans(entry: &TarEntry) -> VecDeque<Span> {
    let whole = [(0, entry.stored)];
    let mut spans = VecDeque::new();
    let mut at = 0;
    for (begin, length) in entry.pieces.as_deref().unwrap_or(&whole) {
        spans.extend([Span::Hole(begin - at), Span::Content(*length)]);
        at = begin + length;
    }
    spans.push_back(Span::Hole(entry.size - at));
    spans.retain(|span| !matches!(span, Span::Hole(0) | Span::Content(0)));
    spans
}
