//! Where the content of a file with holes belongs: GNU tar's old format and its three in pax records.

use std::io::{self, Read};

use tar::GnuSparseHeader;

use super::{BLOCK, TarError, count};

/// The most pieces that a file's map may have.
const MAX_PIECES: usize = 1 << 20;

/// A piece of content: where in the file it begins, and how long it is.
pub(super) type Piece = (u64, u64);

/// A map as it is read, piece by piece.
#[derive(Debug, Default)]
pub(super) struct Map {
    pieces: Vec<Piece>,
    /// The beginning of a piece whose length has not come yet.
    begun: Option<u64>,
    /// Whether the map is ahead of the content.
    ahead: bool,
    said: bool,
}

impl Map {
    /// The pieces of an old GNU header or of an extension of one; those that are not used are blank.
    pub(super) fn read_gnu(&mut self, headers: &[GnuSparseHeader]) -> Option<()> {
        self.said = true;
        for header in headers.iter().take_while(|header| !header.is_empty()) {
            self.add((count(&header.offset)?, count(&header.numbytes)?))?;
        }
        Some(())
    }

    /// One record of GNU tar's; `None` if it makes no sense.
    pub(super) fn read_record(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let number = || decimal(value);
        match key {
            b"offset" => self.begun = Some(number()?),
            b"numbytes" => {
                let begun = self.begun.take()?;
                self.add((begun, number()?))?;
            }
            b"map" => {
                let mut numbers = value.split(|byte| *byte == b',').filter(|part| !part.is_empty()).map(decimal);
                while let Some(begin) = numbers.next() {
                    self.add((begin?, numbers.next()??))?;
                }
            }
            b"major" => self.ahead = number()? == 1,
            _ => return Some(()),
        }
        self.said = true;
        Some(())
    }

    fn add(&mut self, piece: Piece) -> Option<()> {
        self.pieces.push(piece);
        (self.pieces.len() <= MAX_PIECES).then_some(())
    }

    /// Reads what is ahead of the content: the number of pieces and then both numbers of each, a line for a number, in
    /// whole blocks. Answers how many bytes these are.
    pub(super) fn read_ahead(&mut self, content: &mut impl Read) -> io::Result<Option<u64>> {
        if !self.ahead {
            return Ok(Some(0));
        }
        let mut lines = Lines { content, block: [0; BLOCK], at: BLOCK, taken: 0 };
        let Some(pieces) = lines.number()? else { return Ok(None) };
        self.pieces.clear();
        for _ in 0..pieces {
            let (Some(begin), Some(length)) = (lines.number()?, lines.number()?) else { return Ok(None) };
            if self.add((begin, length)).is_none() {
                return Ok(None);
            }
        }
        Ok(Some(lines.taken))
    }

    /// The pieces; `None` for a file that nobody said has holes.
    pub(super) fn pieces(self) -> Option<Vec<Piece>> {
        self.said.then_some(self.pieces)
    }
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

fn decimal(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The error of a map that makes no sense.
pub(super) fn malformed(offset: u64) -> TarError {
    TarError::Field { offset, field: "sparse map" }
}
