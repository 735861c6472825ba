//! The tee under a layer's tar stream: hashed here, compressed and written by a thread of its own.
//!
//! Blocks go through a bounded channel and come back to be filled again, so memory stays the same
//! whatever the layer's size.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::Compression;
use crate::image::{Digest, Hasher};

/// Bytes handed over at a time.
const BLOCK_BYTES: usize = 256 << 10;

/// Blocks that may wait for the compressor.
const BLOCKS_IN_FLIGHT: usize = 4;

/// Takes a layer's uncompressed bytes. What is known only at the end comes out of [`Self::finish`].
#[derive(Debug)]
pub struct LayerWriter<W: Write + Send + 'static> {
    hasher: Hasher,
    block: Vec<u8>,
    full: Option<SyncSender<Vec<u8>>>,
    empty: Receiver<Vec<u8>>,
    worker: Option<JoinHandle<io::Result<W>>>,
}

/// A layer whose last byte is written.
#[derive(Debug)]
pub struct Packed<W> {
    /// Digest of the uncompressed bytes.
    pub diff_id: Digest,
    /// Number of uncompressed bytes.
    pub uncompressed: u64,
    /// The writer, which holds the compressed bytes.
    pub inner: W,
}

impl<W: Write + Send + 'static> LayerWriter<W> {
    /// A writer whose compressed output goes to `inner`.
    pub fn new(inner: W, compression: Compression) -> io::Result<Self> {
        let (full, blocks) = sync_channel::<Vec<u8>>(BLOCKS_IN_FLIGHT);
        let (done, empty) = sync_channel(BLOCKS_IN_FLIGHT + 2);
        let work = move || {
            let mut encoder = compression.encoder(inner);
            for mut block in blocks {
                encoder.write_all(&block)?;
                block.clear();
                // Nobody wants it back once the last block is on its way.
                let _ = done.try_send(block);
            }
            encoder.finish()
        };
        let worker = std::thread::Builder::new().name("compress".into()).spawn(work)?;
        let block = Vec::with_capacity(BLOCK_BYTES);
        Ok(Self { hasher: Hasher::default(), block, full: Some(full), empty, worker: Some(worker) })
    }

    /// Ends the stream; answers what it was, and the writer.
    pub fn finish(mut self) -> io::Result<Packed<W>> {
        if !self.block.is_empty() {
            self.send()?;
        }
        self.full = None;
        let inner = self.join()?;
        let (diff_id, uncompressed) = std::mem::take(&mut self.hasher).finish();
        Ok(Packed { diff_id, uncompressed, inner })
    }

    fn send(&mut self) -> io::Result<()> {
        let next = self.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(BLOCK_BYTES));
        let block = std::mem::replace(&mut self.block, next);
        if self.full.as_ref().is_some_and(|full| full.send(block).is_ok()) {
            return Ok(());
        }
        // The worker ended early: its error is the reason.
        self.full = None;
        self.join().and_then(|_| Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn join(&mut self) -> io::Result<W> {
        let worker = self.worker.take().ok_or(io::ErrorKind::BrokenPipe)?;
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl<W: Write + Send + 'static> Write for LayerWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(BLOCK_BYTES - self.block.len());
        self.hasher.update(&bytes[..count]);
        self.block.extend_from_slice(&bytes[..count]);
        if self.block.len() == BLOCK_BYTES {
            self.send()?;
        }
        Ok(count)
    }

    /// Does nothing: a compressor's flush would show in the bytes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write + Send + 'static> Drop for LayerWriter<W> {
    /// Waits for the worker, so that an abandoned blob is gone when this returns.
    fn drop(&mut self) {
        self.full = None;
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_goes_in_comes_out_with_its_digest() {
        for size in [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES * 9 + 3] {
            let content: Vec<u8> = (0..size).map(|i| u8::try_from(i * 31 % 251).expect("below 251")).collect();
            let mut writer = LayerWriter::new(Vec::new(), Compression::Gzip).expect("a thread");
            for part in content.chunks(70_001) {
                writer.write_all(part).expect("written");
            }
            let finished = writer.finish().expect("finished");
            assert_eq!(finished.diff_id, Digest::of(&content));
            assert_eq!(finished.uncompressed, size as u64);
            assert_eq!(finished.inner[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
            let mut read = Vec::new();
            flate2::read::GzDecoder::new(&finished.inner[..]).read_to_end(&mut read).expect("gzip");
            assert!(read == content);
        }
    }

    #[test]
    fn bytes_do_not_depend_on_how_they_are_cut() {
        let content: Vec<u8> = (0..700_000u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
        let compressed = |step: usize| {
            let mut writer = LayerWriter::new(Vec::new(), Compression::Gzip).expect("a thread");
            content.chunks(step).for_each(|part| writer.write_all(part).expect("written"));
            writer.finish().expect("finished").inner
        };
        let whole = compressed(content.len());
        assert!(compressed(1009) == whole);
        assert!(compressed(512) == whole);
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
        let mut writer = LayerWriter::new(Full, Compression::Gzip).expect("a thread");
        let noise: Vec<u8> = (0..4_u32 << 20).flat_map(|i| (i.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
        let error = writer.write_all(&noise).expect_err("the sink is full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(writer.write_all(&noise).expect_err("still").kind(), io::ErrorKind::BrokenPipe);
        let writer = LayerWriter::new(Full, Compression::Gzip).expect("a thread");
        assert_eq!(writer.finish().expect_err("the sink is full").kind(), io::ErrorKind::StorageFull);
    }
}
