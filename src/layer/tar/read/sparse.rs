//! Where the content of a file with holes belongs: GNU tar's old format and its three in pax records.
//!
//! Readers tell the formats apart by different records, so only the sets that GNU tar writes are taken.

use std::io::{self, Read};

use super::number::{count, decimal};
use super::{BLOCK, TarError};

/// The most bytes that a map may take in the stream, as Go has it.
pub(super) const MAX_MAP_BYTES: u64 = 1 << 20;

/// A piece of content: where in the file it begins, and how long it is.
pub(super) type Piece = (u64, u64);

/// The records of a pax header that are about holes.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) name: Option<Vec<u8>>,
    major: Option<Vec<u8>>,
    minor: Option<Vec<u8>>,
    size: Option<u64>,
    real_size: Option<u64>,
    blocks: Option<u64>,
    map: Option<Vec<Piece>>,
    pairs: Vec<Piece>,
    /// The beginning of a piece whose length has not come yet.
    begun: Option<u64>,
    has_any: bool,
    /// How often the text of a record of a piece is anywhere in the header: Python looks for it in other records, too.
    mentions: usize,
    taken: usize,
}

/// What the records come to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// No holes.
    Whole,
    /// The file's size and its pieces.
    Pieces(u64, Vec<Piece>),
    /// The file's size; the pieces are ahead of the content.
    Ahead(u64),
}

impl Records {
    /// No record so far of a header that consists of `bytes`.
    pub(super) fn new(bytes: &[u8]) -> Self {
        #[cfg(test)]
        crate::work::add(bytes.len());
        let mentions = [&b"GNU.sparse.offset="[..], b"GNU.sparse.numbytes="];
        let count = |text: &[u8]| bytes.windows(text.len()).filter(|window| *window == text).count();
        Self { mentions: mentions.into_iter().map(count).sum(), ..Self::default() }
    }

    /// Takes one record, by its key behind `GNU.sparse.`; `None` if it makes no sense.
    pub(super) fn read(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        self.has_any = true;
        let number = || decimal(value);
        match key {
            b"name" if !value.is_empty() => self.name = Some(value.to_vec()),
            b"major" => self.major = Some(value.to_vec()),
            b"minor" => self.minor = Some(value.to_vec()),
            b"size" => self.size = Some(number()?),
            b"realsize" => self.real_size = Some(number()?),
            // GNU tar makes room for the pieces that follow.
            b"numblocks" if self.blocks.is_none() && self.pairs.is_empty() && self.map.is_none() => {
                self.blocks = Some(number()?);
            }
            b"offset" if self.begun.is_none() => {
                self.taken += 1;
                self.begun = Some(number()?);
            }
            b"numbytes" => {
                self.taken += 1;
                self.pairs.push((self.begun.take()?, number()?));
            }
            b"map" if self.map.is_none() => {
                let mut numbers = value.split(|byte| *byte == b',').map(decimal);
                let mut map = Vec::new();
                while let Some(begin) = numbers.next() {
                    map.push((begin?, numbers.next()??));
                }
                self.map = Some(map);
            }
            _ => return None,
        }
        Some(())
    }

    /// Returns whether there is any record.
    pub(super) fn has_any(&self) -> bool {
        self.has_any
    }

    /// Returns which of the formats the records are of; `None` if it is none of them.
    pub(super) fn layout(self) -> Option<Layout> {
        if !self.has_any {
            return Some(Layout::Whole);
        }
        if self.begun.is_some() || self.mentions != self.taken {
            return None;
        }
        let version = (self.major.as_deref(), self.minor.as_deref());
        match (version, self.size, self.real_size, self.blocks, self.map, self.pairs) {
            ((Some(b"1"), Some(b"0")), None, Some(size), None, None, pairs) if pairs.is_empty() => {
                Some(Layout::Ahead(size))
            }
            ((None, None) | (Some(b"0"), Some(b"0" | b"1")), Some(size), None, Some(blocks), map, pairs) => {
                let pieces = match map {
                    Some(map) if pairs.is_empty() => map,
                    None if !pairs.is_empty() => pairs,
                    _ => return None,
                };
                (pieces.len() as u64 == blocks).then_some(Layout::Pieces(size, pieces))
            }
            _ => None,
        }
    }
}

/// Reads the pieces of an old GNU header (`start` behind the times) or of a block that continues it, whose unused ones
/// are blank. A piece at the file's beginning is in the header: Python passes over it elsewhere.
pub(super) fn read_gnu(entries: &[u8], is_header: bool, pieces: &mut Vec<Piece>) -> Option<()> {
    let used = entries.chunks_exact(24).take_while(|entry| entry[0] != 0).count() * 24;
    let (used, unused) = entries.split_at(used);
    if unused.iter().any(|byte| *byte != 0) {
        return None;
    }
    for entry in used.chunks_exact(24) {
        let piece = (count(&entry[..12])?, count(&entry[12..])?);
        if !is_header && piece.0 == 0 && piece.1 > 0 {
            return None;
        }
        pieces.push(piece);
    }
    Some(())
}

/// Returns whether pieces are in order, and all that is stored of the file.
///
/// GNU tar begins each piece with a block of the stream, and ends the file with the last one, which may be empty: so
/// those before have whole blocks, and the last one ends where the file does.
pub(super) fn fits(pieces: &[Piece], size: u64, stored: u64) -> bool {
    let mut pieces = pieces.iter();
    let last = pieces.next_back().filter(|(begin, length)| {
        let ends = begin.checked_add(*length) == Some(size);
        ends && pieces.clone().all(|(_, length)| *length > 0)
    });
    let Some(last) = last else { return false };
    let mut pieces = pieces.chain([last]).filter(|(_, length)| *length > 0).peekable();
    let (mut at, mut sum) = (0_u64, 0_u64);
    while let Some((begin, length)) = pieces.next() {
        let is_whole = length.is_multiple_of(BLOCK as u64) || pieces.peek().is_none();
        match (begin.checked_add(*length), sum.checked_add(*length)) {
            (Some(end), Some(more)) if is_whole && *begin >= at => (at, sum) = (end, more),
            _ => return false,
        }
    }
    at <= size && sum == stored
}

/// Reads what is ahead of the content: the number of pieces and then both numbers of each, a line for a number, in
/// whole blocks. Returns how many bytes these are, too; `None` for what is no map.
pub(super) fn read_ahead(content: &mut impl Read) -> io::Result<Option<(Vec<Piece>, u64)>> {
    let mut lines = Lines { content, block: [0; BLOCK], at: BLOCK, taken: 0 };
    let Some(count) = lines.number()? else { return Ok(None) };
    let mut pieces = Vec::new();
    for _ in 0..count {
        let (Some(begin), Some(length)) = (lines.number()?, lines.number()?) else { return Ok(None) };
        pieces.push((begin, length));
    }
    Ok(Some((pieces, lines.taken)))
}

/// Numbers on lines of their own, out of blocks.
struct Lines<'a, R> {
    content: &'a mut R,
    block: [u8; BLOCK],
    at: usize,
    taken: u64,
}

impl<R: Read> Lines<'_, R> {
    fn number(&mut self) -> io::Result<Option<u64>> {
        let mut digits = Vec::new();
        loop {
            if self.at == BLOCK {
                if self.taken == MAX_MAP_BYTES {
                    return Ok(None);
                }
                self.content.read_exact(&mut self.block)?;
                self.taken += BLOCK as u64;
                self.at = 0;
            }
            let byte = self.block[self.at];
            self.at += 1;
            match byte {
                b'\n' => return Ok(decimal(&digits)),
                // Twenty digits hold every number there is.
                b'0'..=b'9' if digits.len() < 20 => digits.push(byte),
                _ => return Ok(None),
            }
        }
    }
}

/// Returns the error of a map that makes no sense, or that readers take for different ones.
pub(super) fn malformed(offset: u64) -> TarError {
    TarError::Field { offset, field: "sparse map" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_fit_where_all_readers_agree() {
        for (pieces, size, stored) in [
            (&[(0, 3)][..], 3, 3),
            (&[(7, 3)], 10, 3),
            (&[(7, 0)], 7, 0),
            (&[(0, 0)], 0, 0),
            (&[(2, 512), (600, 3)], 603, 515),
            (&[(2, 512), (600, 3), (700, 0)], 700, 515),
            (&[(2, 512), (514, 3)], 517, 515),
        ] {
            assert!(fits(pieces, size, stored), "{pieces:?}");
        }
        for (pieces, size, stored) in [
            (&[][..], 0, 0),
            (&[], 3, 0),
            (&[(0, 3)], 3, 4),
            (&[(0, 3)], 3, 2),
            // GNU tar's file is shorter.
            (&[(7, 3)], 11, 3),
            (&[(7, 0)], 8, 0),
            (&[(7, 3)], 9, 3),
            // GNU tar looks for the second in the next block.
            (&[(2, 3), (600, 3)], 603, 6),
            (&[(2, 3), (600, 512)], 1112, 515),
            (&[(2, 512), (513, 3)], 516, 515),
            (&[(600, 512), (2, 3)], 5, 515),
            (&[(2, 0), (600, 3)], 603, 3),
            (&[(2, 512), (600, 3), (602, 0)], 602, 515),
            (&[(u64::MAX, 1)], 0, 1),
            (&[(0, u64::MAX - 511), (u64::MAX - 511, 512)], 0, 0),
        ] {
            assert!(!fits(pieces, size, stored), "{pieces:?}");
        }
    }
}
