//! Blocks go to a thread for each core and come back in their order.
//!
//! Block n goes to worker n modulo their number, and the collector asks the workers in the same turn:
//! order needs no bookkeeping. Every channel is bounded and every buffer comes back to be filled
//! again, so memory depends on the number of workers and not on the layer's size.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use super::Compression;

/// Bytes that blocks in flight may take, compressed ones included.
const BUDGET_BYTES: usize = 32 << 20;

/// Blocks a worker holds: one in its queue, the one in hand, and the output of two.
const BLOCKS_PER_WORKER: usize = 4;

/// Threads that compress blocks, and one that writes them.
#[derive(Debug)]
pub(super) struct Pipeline<W> {
    workers: Vec<SyncSender<Vec<u8>>>,
    turn: usize,
    empty: Receiver<Vec<u8>>,
    block_bytes: usize,
    collector: Option<JoinHandle<io::Result<W>>>,
}

impl<W: Write + Send + 'static> Pipeline<W> {
    /// A pipeline into `inner`. The number of `threads` shows in the time it takes only.
    pub(super) fn new(mut inner: W, compression: Compression, threads: usize) -> io::Result<Self> {
        let format = compression.format();
        let block_bytes = format.block_bytes();
        let affordable = (BUDGET_BYTES / (block_bytes * BLOCKS_PER_WORKER)).max(1);
        // What is only handed on does not become faster by many hands.
        let count = if format.is_compressed() { threads.clamp(1, affordable) } else { 1 };
        let (give_back, empty) = channel();
        let mut workers = Vec::with_capacity(count);
        let mut outputs = Vec::with_capacity(count);
        for _ in 0..count {
            let (full, blocks) = sync_channel(1);
            let (compressed, output) = sync_channel(1);
            let (reuse, spent) = channel();
            let encoder = compression.encoder()?;
            let give_back = give_back.clone();
            let work = move || compress(encoder, &blocks, &compressed, &spent, &give_back);
            std::thread::Builder::new().name("compress".into()).spawn(work)?;
            workers.push(full);
            outputs.push((output, reuse));
        }
        let collect = move || {
            for (output, reuse) in outputs.iter().cycle() {
                // A worker out of blocks means that the one before had the last.
                let Ok(block) = output.recv() else { break };
                let block = block?;
                inner.write_all(&block)?;
                let _ = reuse.send(block);
            }
            Ok(inner)
        };
        let collector = std::thread::Builder::new().name("write".into()).spawn(collect)?;
        Ok(Self { workers, turn: 0, empty, block_bytes, collector: Some(collector) })
    }

    /// An empty buffer with room for a block.
    pub(super) fn buffer(&self) -> Vec<u8> {
        let mut buffer = self.empty.try_recv().unwrap_or_default();
        buffer.clear();
        buffer.reserve_exact(self.block_bytes);
        buffer
    }

    /// Hands over the next block, waiting until there is room for it.
    pub(super) fn send(&mut self, block: Vec<u8>) -> io::Result<()> {
        if let Some(worker) = self.workers.get(self.turn)
            && worker.send(block).is_ok()
        {
            self.turn = (self.turn + 1) % self.workers.len();
            return Ok(());
        }
        // The collector ended early, and its error is the reason.
        self.finish().and_then(|_| Err(io::ErrorKind::BrokenPipe.into()))
    }

    /// Waits for everything to be written and gives the writer back. Can be asked once.
    pub(super) fn finish(&mut self) -> io::Result<W> {
        self.workers.clear();
        let collector = self.collector.take().ok_or(io::ErrorKind::BrokenPipe)?;
        collector.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl<W> Drop for Pipeline<W> {
    /// Waits for the collector, so that an abandoned blob is gone when this returns.
    fn drop(&mut self) {
        self.workers.clear();
        if let Some(collector) = self.collector.take() {
            let _ = collector.join();
        }
    }
}

fn compress(
    mut encoder: super::compress::Encoder,
    blocks: &Receiver<Vec<u8>>,
    compressed: &SyncSender<io::Result<Vec<u8>>>,
    spent: &Receiver<Vec<u8>>,
    give_back: &Sender<Vec<u8>>,
) {
    for mut block in blocks {
        let mut output = spent.try_recv().unwrap_or_default();
        let result = encoder.encode(&mut block, &mut output).map(|()| output);
        // Nobody wants the buffer back once the last block is on its way.
        let _ = give_back.send(block);
        if compressed.send(result).is_err() {
            break;
        }
    }
}
