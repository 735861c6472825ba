//! Hashes a layer's tar stream and passes it to the threads that compress, hash and write it.

use std::io::{self, Read, Write};
use std::sync::Arc;

use super::compress::parallel::{Compressors, Pipeline, Slot, Written};
use super::source::{CopyError, Fill};
use crate::image::{Digest, Hasher};

/// Takes a layer's uncompressed bytes. What is known only at the end comes out of [`Self::finish`].
#[derive(Debug)]
pub struct LayerWriter<W: Write + Send + 'static> {
    /// Without compression there is one digest, which is made where the bytes are written.
    hasher: Option<Hasher>,
    uncompressed: u64,
    /// The block that is being filled, if there is one; it may have no byte yet.
    slot: Option<Slot>,
    block_bytes: usize,
    sent: bool,
    pipeline: Pipeline<W>,
}

/// A layer whose last byte is written.
#[derive(Debug)]
pub struct Packed<W> {
    /// Digest of the uncompressed bytes.
    pub diff_id: Digest,
    /// Number of uncompressed bytes.
    pub uncompressed: u64,
    /// Digest of the compressed bytes.
    pub digest: Digest,
    /// Number of compressed bytes.
    pub size: u64,
    /// The writer, which holds the compressed bytes.
    pub inner: W,
}

impl<W: Write + Send + 'static> LayerWriter<W> {
    /// Returns a writer whose compressed output goes to `inner`.
    pub fn new(inner: W, compressors: &Arc<Compressors>) -> Self {
        let pipeline = Pipeline::new(inner, compressors);
        let block_bytes = compressors.block_bytes();
        let hasher = compressors.change_bytes().then(Hasher::default);
        Self { hasher, uncompressed: 0, slot: None, block_bytes, sent: false, pipeline }
    }

    /// Ends the stream. Returns its digests and sizes, and the writer.
    pub fn finish(mut self) -> io::Result<Packed<W>> {
        let last = self.slot.take().filter(|slot| slot.filled > 0);
        match last {
            Some(slot) => self.pipeline.send(slot)?,
            // Nothing at all is also something in a compressed format.
            None if !self.sent => {
                let slot = self.pipeline.slot()?;
                self.pipeline.send(slot)?;
            }
            None => {}
        }
        let Written { inner, digest, size } = self.pipeline.finish()?;
        let diff_id = self.hasher.map_or(digest, |hasher| hasher.finish().0);
        Ok(Packed { diff_id, uncompressed: self.uncompressed, digest, size, inner })
    }
}

impl<W: Write + Send + 'static> LayerWriter<W> {
    /// Returns the slot that is being filled, and how many bytes there is room for.
    fn slot_with_room(&mut self) -> io::Result<(Slot, usize)> {
        let slot = match self.slot.take() {
            Some(slot) => slot,
            None => self.pipeline.slot()?,
        };
        let room = self.block_bytes - slot.filled;
        Ok((slot, room))
    }

    /// Takes the next `count` bytes in the slot for the layer's.
    fn take(&mut self, mut slot: Slot, count: usize) -> io::Result<()> {
        let end = slot.filled + count;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&slot.block[slot.filled..end]);
        }
        self.uncompressed += count as u64;
        slot.filled = end;
        if end == self.block_bytes {
            self.sent = true;
            return self.pipeline.send(slot);
        }
        self.slot = Some(slot);
        Ok(())
    }
}

impl<W: Write + Send + 'static> Fill for LayerWriter<W> {
    fn fill(&mut self, from: &mut impl Read, most: usize) -> Result<usize, CopyError> {
        let (mut slot, room) = self.slot_with_room().map_err(CopyError::Write)?;
        let place = slot.filled;
        match from.read(&mut slot.block[place..place + most.min(room)]) {
            Ok(count) => self.take(slot, count).map(|()| count).map_err(CopyError::Write),
            Err(error) => {
                self.slot = Some(slot);
                Err(CopyError::Read(error))
            }
        }
    }
}

impl<W: Write + Send + 'static> Write for LayerWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let (mut slot, room) = self.slot_with_room()?;
        let count = bytes.len().min(room);
        slot.block[slot.filled..slot.filled + count].copy_from_slice(&bytes[..count]);
        self.take(slot, count)?;
        Ok(count)
    }

    /// Does nothing: a compressor's flush would show in the bytes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::layer::{Compression, Format};

    fn all() -> [Compression; 5] {
        [(Format::Gzip, 1), (Format::Gzip, 6), (Format::Zstd, 1), (Format::Zstd, 3), (Format::None, 0)]
            .map(|(format, level)| Compression::new(format, Some(level)).expect("a level there is"))
    }

    fn writer<W: Write + Send>(inner: W, compression: Compression) -> LayerWriter<W> {
        LayerWriter::new(inner, &Compressors::new(compression).expect("threads"))
    }

    fn unpacked(format: Format, bytes: &[u8]) -> Vec<u8> {
        let mut read = Vec::new();
        match format {
            Format::Gzip => flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut read),
            Format::Zstd => zstd::Decoder::new(bytes).and_then(|mut decoder| decoder.read_to_end(&mut read)),
            Format::None => {
                let mut bytes = bytes;
                bytes.read_to_end(&mut read)
            }
        }
        .expect("the declared format");
        read
    }

    #[test]
    fn what_goes_in_comes_out_with_its_digest() {
        for compression in all() {
            let block = compression.format().block_bytes();
            for size in [0, 1, block - 1, block, block * 3 + 3] {
                let content: Vec<u8> = (0..size).map(|i| u8::try_from(i * 31 % 251).expect("below 251")).collect();
                let mut writer = writer(Vec::new(), compression);
                for (number, part) in content.chunks(70_001).enumerate() {
                    if number % 2 == 0 {
                        writer.write_all(part).expect("written");
                        continue;
                    }
                    let mut left = part;
                    while !left.is_empty() {
                        writer.fill(&mut left, 10_007).expect("taken");
                    }
                }
                // The end of a reader is no byte of the layer's.
                assert_eq!(writer.fill(&mut io::empty(), 1).expect("taken"), 0);
                let finished = writer.finish().expect("finished");
                assert_eq!(finished.diff_id, Digest::of(&content));
                assert_eq!(finished.digest, Digest::of(&finished.inner));
                assert_eq!(finished.size, finished.inner.len() as u64);
                assert_eq!(finished.uncompressed, size as u64);
                assert!(unpacked(compression.format(), &finished.inner) == content, "{compression:?} {size}");
            }
        }
    }

    #[test]
    fn gzip_names_neither_time_nor_system() {
        let empty = writer(Vec::new(), Compression::default()).finish().expect("finished").inner;
        // RFC 1952, 2.3.1: the eighth byte is 4 for the fastest way there is.
        assert_eq!(empty[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255]);
    }

    #[test]
    fn bytes_depend_neither_on_how_they_are_cut_nor_on_threads() {
        let content: Vec<u8> = (0..3_000_000u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
        for compression in all() {
            let compressed = |step: usize, threads: usize| {
                let compressors = Compressors::on_threads(compression, threads).expect("threads");
                let mut writer = LayerWriter::new(Vec::new(), &compressors);
                content.chunks(step).for_each(|part| writer.write_all(part).expect("written"));
                writer.finish().expect("finished").inner
            };
            let whole = compressed(content.len(), 1);
            for (step, threads) in [(1009, 1), (512, 2), (1 << 20, 3), (70_001, 64), (1 << 22, 0)] {
                assert!(compressed(step, threads) == whole, "{compression:?} {step} {threads}");
            }
        }
    }

    #[test]
    fn the_sinks_error_is_the_writers() {
        #[derive(Debug)]
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for compression in all() {
            let mut writer = writer(Full, compression);
            let block = vec![7; compression.format().block_bytes()];
            // Buffers between here and the sink take some; their number is bounded.
            let error = (0..1000).find_map(|_| writer.write_all(&block).err()).expect("the sink is full");
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            writer.write_all(&block).expect_err("still");
            drop(writer);
            let ended = super::tests::writer(Full, compression).finish();
            // An empty tar stream without compression is no bytes at all.
            assert_eq!(
                ended.err().map(|error| error.kind()),
                match compression.format() {
                    Format::None => None,
                    _ => Some(io::ErrorKind::StorageFull),
                }
            );
        }
    }

    #[test]
    fn layers_share_threads_and_slots_and_one_that_fails_takes_none_along() {
        /// Accepts a limited number of bytes.
        struct Short(usize);
        impl Write for Short {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let compression = Compression::new(Format::Zstd, Some(1)).expect("a level there is");
        let content: Vec<u8> = (0..3_500_000u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
        let mut alone = writer(Vec::new(), compression);
        alone.write_all(&content).expect("written");
        let alone = alone.finish().expect("finished");
        let compressors = Compressors::on_threads(compression, 2).expect("threads");
        std::thread::scope(|scope| {
            // More writers than slots.
            let layers: Vec<_> = (0..6)
                .map(|_| {
                    scope.spawn(|| {
                        let mut failing = LayerWriter::new(Short(100), &compressors);
                        let failed = (0..1000).any(|_| failing.write_all(&content).is_err());
                        assert!(failed, "the sink is full");
                        drop(failing);
                        let mut layer = LayerWriter::new(Vec::new(), &compressors);
                        layer.write_all(&content).expect("written");
                        layer.finish().expect("finished")
                    })
                })
                .collect();
            for layer in layers {
                let layer = layer.join().expect("no panic");
                assert!(layer.inner == alone.inner && layer.diff_id == alone.diff_id);
            }
        });
    }
}
