//! Bits in the order of deflate: the least significant first (RFC 1951, section 3.1.1).

/// Bytes behind the last that may be written to.
pub(super) const SPARE_BYTES: usize = 8;

/// The most bits that may be put between two calls of [`Bits::settle`].
pub(super) const MOST_BITS: u32 = 56;

/// Writes bits into room that is large enough.
pub(super) struct Bits<'a> {
    room: &'a mut [u8],
    /// Where the next byte goes.
    at: usize,
    pending: u64,
    /// How many bits are pending: after [`Self::settle`] less than a byte.
    count: u32,
}

impl<'a> Bits<'a> {
    /// Begins at the byte `at`.
    pub(super) fn new(room: &'a mut [u8], at: usize) -> Self {
        Self { room, at, pending: 0, count: 0 }
    }

    /// Adds the `count` lowest bits of `bits`, which has no others.
    #[inline]
    pub(super) fn put(&mut self, bits: impl Into<u64>, count: impl Into<u32>) {
        self.pending |= bits.into() << self.count;
        self.count += count.into();
        debug_assert!(self.count < MOST_BITS + 8, "settled too late");
    }

    /// Writes the whole bytes among what is pending.
    #[inline]
    pub(super) fn settle(&mut self) {
        self.room[self.at..self.at + SPARE_BYTES].copy_from_slice(&self.pending.to_le_bytes());
        let bytes = self.count / 8;
        self.at += bytes as usize;
        self.pending >>= bytes * 8;
        self.count %= 8;
    }

    /// Adds zeros up to a whole byte, then `bytes`.
    pub(super) fn align_and_put(&mut self, bytes: &[&[u8]]) {
        self.align();
        for bytes in bytes {
            self.room[self.at..self.at + bytes.len()].copy_from_slice(bytes);
            self.at += bytes.len();
        }
    }

    fn align(&mut self) {
        self.settle();
        self.at += usize::from(self.count > 0);
        (self.pending, self.count) = (0, 0);
    }

    /// Adds zeros up to a whole byte; returns the offset after the last byte.
    pub(super) fn finish(mut self) -> usize {
        self.align();
        self.at
    }
}
