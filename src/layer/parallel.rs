//! Threads that compress blocks, shared by all layers that are packed at the same time.
//!
//! A block travels in a slot, which has room for it and for what becomes of it. Slots are made once and come
//! back however their block ends, so memory depends neither on sizes nor on the number of layers. A layer
//! needs its next slot only after it has sent the last, and the way back needs none: nobody waits for ever.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::Compression;
use super::compress::Encoder;

/// Bytes that all slots together may take.
const BUDGET_BYTES: usize = 32 << 20;

/// Slots for each thread that compresses: one in hand, one ready for it, and one on either side of them.
const SLOTS_PER_THREAD: usize = 4;

/// A block as it comes, and as it is written.
type Buffers = (Vec<u8>, Vec<u8>);

/// Threads that compress, and the slots they take blocks from. Each layer has to be written by a thread of its own.
#[derive(Debug)]
pub struct Compressors {
    compression: Compression,
    jobs: Option<Sender<Job>>,
    free: Mutex<Receiver<Buffers>>,
    home: Sender<Buffers>,
    threads: Vec<JoinHandle<()>>,
}

/// Room for a block, which goes home when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    /// The block.
    pub(super) block: Vec<u8>,
    /// What becomes of it.
    output: Vec<u8>,
    home: Sender<Buffers>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        // Whoever would take it next may be gone, and its memory with them.
        let _ = self.home.send((std::mem::take(&mut self.block), std::mem::take(&mut self.output)));
    }
}

#[derive(Debug)]
struct Job {
    slot: Slot,
    done: SyncSender<io::Result<Slot>>,
}

impl Compressors {
    /// As many threads as there are cores, as far as their memory goes.
    pub fn new(compression: Compression) -> io::Result<Arc<Self>> {
        Self::on_threads(compression, cores())
    }

    /// The same on a given number of threads, which shows in the time it takes only.
    pub fn on_threads(compression: Compression, threads: usize) -> io::Result<Arc<Self>> {
        let format = compression.format();
        let affordable = (BUDGET_BYTES / (format.block_bytes() * 2)).max(1);
        // What is only handed on does not become faster by many hands.
        let count = if format.is_compressed() { threads.clamp(1, (affordable / 2).max(1)) } else { 1 };
        let (home, free) = channel();
        for _ in 0..(count * SLOTS_PER_THREAD).min(affordable) {
            let _ = home.send(Buffers::default());
        }
        let (jobs, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let mut threads = Vec::with_capacity(count);
        for _ in 0..count {
            let (encoder, queue) = (compression.encoder()?, Arc::clone(&queue));
            threads.push(std::thread::Builder::new().name("compress".into()).spawn(move || work(encoder, &queue))?);
        }
        Ok(Arc::new(Self { compression, jobs: Some(jobs), free: Mutex::new(free), home, threads }))
    }

    /// How many layers are worth packing at the same time: reading and hashing takes a core as compressing does.
    pub fn lanes(&self) -> usize {
        let affordable = BUDGET_BYTES / (self.block_bytes() * 4);
        cores().min(affordable).clamp(1, 4)
    }

    /// Bytes of a block.
    pub(super) fn block_bytes(&self) -> usize {
        self.compression.format().block_bytes()
    }

    /// An empty slot with room for a block, waiting until there is one.
    fn slot(&self) -> io::Result<Slot> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut block, output) = free.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
        block.clear();
        block.reserve_exact(self.block_bytes());
        Ok(Slot { block, output, home: self.home.clone() })
    }

    fn send(&self, job: Job) -> io::Result<()> {
        let jobs = self.jobs.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        jobs.send(job).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Drop for Compressors {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn work(mut encoder: Encoder, queue: &Mutex<Receiver<Job>>) {
    loop {
        // The queue is locked while waiting only: whoever is next waits for the lock instead.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { mut slot, done }) = job else { break };
        let Slot { block, output, .. } = &mut slot;
        let result = encoder.encode(block, output).map(|()| slot);
        // Nobody waits for the blocks of a layer that has failed.
        let _ = done.send(result);
    }
}

/// The blocks of one layer on their way through the compressors, and the thread that writes them in their order.
#[derive(Debug)]
pub(super) struct Pipeline<W> {
    compressors: Arc<Compressors>,
    order: Option<Sender<Receiver<io::Result<Slot>>>>,
    collector: Option<JoinHandle<io::Result<W>>>,
}

impl<W: Write + Send + 'static> Pipeline<W> {
    /// A pipeline into `inner`.
    pub(super) fn new(mut inner: W, compressors: &Arc<Compressors>) -> io::Result<Self> {
        let (order, blocks) = channel::<Receiver<io::Result<Slot>>>();
        let collect = move || {
            for block in blocks {
                let slot = block.recv().map_err(|_| io::Error::other("a thread that compresses ended early"))??;
                inner.write_all(&slot.output)?;
            }
            Ok(inner)
        };
        let collector = std::thread::Builder::new().name("write".into()).spawn(collect)?;
        Ok(Self { compressors: Arc::clone(compressors), order: Some(order), collector: Some(collector) })
    }

    /// Room for a block, waiting until there is some.
    pub(super) fn slot(&self) -> io::Result<Slot> {
        self.compressors.slot()
    }

    /// Hands over the next block.
    pub(super) fn send(&mut self, slot: Slot) -> io::Result<()> {
        let (done, block) = sync_channel(1);
        if self.order.as_ref().is_some_and(|order| order.send(block).is_ok()) {
            return self.compressors.send(Job { slot, done });
        }
        // The collector ended early, and its error is the reason.
        self.finish().and_then(|_| Err(io::ErrorKind::BrokenPipe.into()))
    }

    /// Waits for everything to be written and gives the writer back. Can be asked once.
    pub(super) fn finish(&mut self) -> io::Result<W> {
        self.order = None;
        let collector = self.collector.take().ok_or(io::ErrorKind::BrokenPipe)?;
        collector.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl<W> Drop for Pipeline<W> {
    /// Waits for the collector, so that an abandoned blob is gone when this returns.
    fn drop(&mut self) {
        self.order = None;
        if let Some(collector) = self.collector.take() {
            let _ = collector.join();
        }
    }
}
