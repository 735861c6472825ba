//! Buffers for the pieces of one request body, used again once the connection has written them.
//!
//! A new buffer for each piece costs a page fault for every 4 KiB, which is about as much processor time as copying them.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, channel};

use bytes::Bytes;

/// The buffers of one body. The body holds as many as there are pieces between the file and the connection.
pub(super) struct PieceBuffers {
    returned: Receiver<Box<[u8]>>,
    back: Sender<Box<[u8]>>,
}

impl PieceBuffers {
    /// Returns a set without any buffer; [`Self::read`] makes them as needed.
    pub(super) fn new() -> Self {
        let (back, returned) = channel();
        Self { returned, back }
    }

    /// Reads exactly `length` bytes.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the reader ends early; otherwise the reader's own error.
    pub(super) fn read(&self, reader: &mut impl Read, length: usize) -> io::Result<Bytes> {
        let returned = self.returned.try_recv().ok().filter(|buffer| buffer.len() >= length);
        let buffer = returned.unwrap_or_else(|| vec![0; length].into_boxed_slice());
        let mut piece = Piece { buffer, length, back: self.back.clone() };
        reader.read_exact(&mut piece.buffer[..length])?;
        Ok(Bytes::from_owner(piece))
    }
}

/// A filled buffer, which goes back to its set on drop.
struct Piece {
    buffer: Box<[u8]>,
    length: usize,
    back: Sender<Box<[u8]>>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // Fails once the reading thread has ended; the buffer is then freed.
        let _ = self.back.send(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_piece_lends_its_buffer_to_the_next_and_a_held_one_does_not() {
        let buffers = PieceBuffers::new();
        let mut source = &b"abcdefghij"[..];
        let first = buffers.read(&mut source, 4).expect("read");
        let (at, tail) = (first.as_ptr(), first.slice(2..));
        drop(first);
        let second = buffers.read(&mut source, 4).expect("read");
        assert_eq!((&tail[..], &second[..]), (&b"cd"[..], &b"efgh"[..]));
        assert_ne!(second.as_ptr(), at, "a part of the first piece is still in use");
        drop(tail);
        let third = buffers.read(&mut source, 2).expect("read");
        assert_eq!((&third[..], third.as_ptr()), (&b"ij"[..], at));
    }

    #[test]
    fn a_buffer_that_is_too_small_is_replaced() {
        let buffers = PieceBuffers::new();
        let mut source = &b"abcdefgh"[..];
        drop(buffers.read(&mut source, 2).expect("read"));
        assert_eq!(&buffers.read(&mut source, 6).expect("read")[..], b"cdefgh");
        assert_eq!(buffers.read(&mut source, 0).expect("nothing to read").len(), 0);
        let ended = buffers.read(&mut source, 1).expect_err("the source is at its end");
        assert_eq!(ended.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn pieces_outlive_their_set() {
        let buffers = PieceBuffers::new();
        let piece = buffers.read(&mut &b"ab"[..], 2).expect("read");
        drop(buffers);
        assert_eq!(&piece[..], b"ab");
    }
}
