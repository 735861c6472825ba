//! Threads that compress blocks, shared by all layers that are packed at the same time.
//!
//! A block travels in a slot: one buffer for its input and one for its output. Slots are allocated once and return to
//! the pool when dropped, so memory depends neither on sizes nor on the number of layers. A layer takes its next slot
//! only after it has sent the last one, and returning a slot needs none, so there is no deadlock.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::Encoder;
use super::stage::{Stage, Take};
use crate::image::{Digest, Hasher};
use crate::layer::Compression;

/// Bytes that all slots together may take.
const BUDGET_BYTES: usize = 32 << 20;

/// Slots for each thread that compresses: one in hand, one ready for it, and one on either side of them.
const SLOTS_PER_THREAD: usize = 4;

/// A block as it comes, and as it is written.
type Buffers = (Vec<u8>, Vec<u8>);

/// Threads that compress, and the slots they take blocks from. Each layer has to be written by threads of its own.
#[derive(Debug)]
pub struct Compressors {
    compression: Compression,
    jobs: Option<Sender<Job>>,
    free: Mutex<Receiver<Buffers>>,
    home: Sender<Buffers>,
    threads: Vec<JoinHandle<()>>,
}

/// A reusable buffer pair, returned to the pool on drop.
#[derive(Debug)]
pub(in crate::layer) struct Slot {
    /// The input buffer.
    pub(in crate::layer) block: Vec<u8>,
    /// The number of input bytes.
    pub(in crate::layer) filled: usize,
    /// The output buffer.
    output: Vec<u8>,
    /// The number of output bytes.
    made: usize,
    home: Sender<Buffers>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        // The pool may be gone, and the buffers with it.
        let _ = self.home.send((std::mem::take(&mut self.block), std::mem::take(&mut self.output)));
    }
}

#[derive(Debug)]
struct Job {
    slot: Slot,
    done: SyncSender<io::Result<Slot>>,
}

impl Compressors {
    /// Returns a pool with one thread for each core, within the limits of memory and of the system.
    pub fn new(compression: Compression) -> io::Result<Arc<Self>> {
        Self::on_threads(compression, cores())
    }

    /// Returns a pool of the given number of threads. The number does not affect the compressed bytes.
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
            match crate::threads::spawn("compress", move || work(encoder, &queue)) {
                Ok(thread) => threads.push(thread),
                Err(error) if threads.is_empty() => return Err(error),
                // Those that there are do the work, and only take longer.
                Err(_) => break,
            }
        }
        Ok(Arc::new(Self { compression, jobs: Some(jobs), free: Mutex::new(free), home, threads }))
    }

    /// Returns how many layers are worth packing at the same time: reading and hashing takes a core as compressing
    /// does.
    pub fn lanes(&self) -> usize {
        let affordable = BUDGET_BYTES / (self.block_bytes() * 4);
        cores().min(affordable).clamp(1, 4)
    }

    /// Returns whether the format changes the bytes.
    pub(in crate::layer) fn change_bytes(&self) -> bool {
        self.compression.format().is_compressed()
    }

    /// Returns the size of a block in bytes.
    pub(in crate::layer) fn block_bytes(&self) -> usize {
        self.compression.format().block_bytes()
    }

    /// Returns an empty slot with room for a block, waiting until there is one.
    fn slot(&self) -> io::Result<Slot> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut block, output) = free.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
        if block.len() < self.block_bytes() {
            // Zeros that the system makes when they are touched.
            block = vec![0; self.block_bytes()];
        }
        Ok(Slot { block, filled: 0, output, made: 0, home: self.home.clone() })
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
        // The queue is locked only while a thread waits; the next thread waits for the lock instead.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { mut slot, done }) = job else { break };
        let Slot { block, filled, output, made, .. } = &mut slot;
        let result = encoder.encode(block, *filled, output).map(|count| *made = count).map(|()| slot);
        // A layer that has failed no longer receives its blocks.
        let _ = done.send(result);
    }
}

/// A block that will be compressed.
type Coming = Receiver<io::Result<Slot>>;

/// The blocks of one layer in the compressors. Two more threads hash and write them in order, since for incompressible
/// data either takes as long as reading.
#[derive(Debug)]
pub(in crate::layer) struct Pipeline<W> {
    compressors: Arc<Compressors>,
    hashing: Stage<Coming, Hashing<W>>,
}

/// Hashes blocks and hands them on.
#[derive(Debug)]
struct Hashing<W> {
    hasher: Hasher,
    writing: Stage<Slot, Writing<W>>,
}

/// Writes blocks.
#[derive(Debug)]
struct Writing<W>(W);

impl<W: Write + Send + 'static> Take<Coming> for Hashing<W> {
    fn take(&mut self, block: Coming) -> io::Result<()> {
        let slot = block.recv().map_err(|_| io::Error::other("a thread that compresses ended early"))??;
        self.hasher.update(&slot.output[..slot.made]);
        self.writing.send(slot)
    }
}

impl<W: Write> Take<Slot> for Writing<W> {
    fn take(&mut self, slot: Slot) -> io::Result<()> {
        self.0.write_all(&slot.output[..slot.made])
    }
}

/// What was written.
#[derive(Debug)]
pub(in crate::layer) struct Written<W> {
    /// The writer.
    pub(in crate::layer) inner: W,
    /// Its digest.
    pub(in crate::layer) digest: Digest,
    /// Its bytes.
    pub(in crate::layer) size: u64,
}

impl<W: Write + Send + 'static> Pipeline<W> {
    /// Returns a pipeline into `inner`.
    pub(in crate::layer) fn new(inner: W, compressors: &Arc<Compressors>) -> Self {
        let writing = Stage::new("write", Writing(inner));
        let hashing = Stage::new("hash", Hashing { hasher: Hasher::default(), writing });
        Self { compressors: Arc::clone(compressors), hashing }
    }

    /// Returns a free slot, waiting for one.
    pub(in crate::layer) fn slot(&self) -> io::Result<Slot> {
        self.compressors.slot()
    }

    /// Hands over the next block.
    pub(in crate::layer) fn send(&mut self, slot: Slot) -> io::Result<()> {
        let (done, block) = sync_channel(1);
        // Compression is queued first: the stage that hashes may run in this very thread and would wait for the block.
        self.compressors.send(Job { slot, done })?;
        self.hashing.send(block)
    }

    /// Waits for everything to be written. Must be called once only.
    pub(in crate::layer) fn finish(&mut self) -> io::Result<Written<W>> {
        let Hashing { hasher, mut writing } = self.hashing.finish()?;
        let Writing(inner) = writing.finish()?;
        let (digest, size) = hasher.finish();
        Ok(Written { inner, digest, size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Accepts a limited number of bytes.
    #[derive(Debug)]
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

    fn compressors() -> Arc<Compressors> {
        Compressors::on_threads(Compression::default(), 2).expect("threads")
    }

    fn fill(slot: &mut Slot, number: impl Fn(u32) -> u32) {
        let bytes: Vec<u8> = (0..9_999).flat_map(|at| number(at).to_le_bytes()).collect();
        slot.block[..bytes.len()].copy_from_slice(&bytes);
        slot.filled = bytes.len();
    }

    /// Returns the output for more blocks than there are slots.
    fn through<W: Write + Send + 'static>(mut pipeline: Pipeline<W>) -> io::Result<Written<W>> {
        for number in 0..40 {
            let mut slot = pipeline.slot()?;
            fill(&mut slot, |at| at * number);
            pipeline.send(slot)?;
        }
        pipeline.finish()
    }

    /// Without any of the threads, or without the second.
    fn here<W: Write + Send + 'static>(inner: W, compressors: &Arc<Compressors>, beside: bool) -> Pipeline<W> {
        let hashing = Hashing { hasher: Hasher::default(), writing: Stage::here(Writing(inner)) };
        let hashing = if beside { Stage::new("hash", hashing) } else { Stage::here(hashing) };
        Pipeline { compressors: Arc::clone(compressors), hashing }
    }

    #[test]
    fn without_threads_that_hash_and_write_the_bytes_are_the_same() {
        let compressors = compressors();
        let expected = through(Pipeline::new(Vec::new(), &compressors)).expect("written");
        assert_eq!(expected.digest, Digest::of(&expected.inner));
        assert_eq!(expected.size, expected.inner.len() as u64);
        for beside in [false, true] {
            let written = through(here(Vec::new(), &compressors, beside)).expect("written");
            assert!(written.inner == expected.inner && written.digest == expected.digest);
        }
    }

    #[test]
    fn without_threads_that_hash_and_write_an_error_stays_one() {
        let compressors = compressors();
        let mut pipeline = here(Short(100), &compressors, false);
        let mut slot = pipeline.slot().expect("free");
        fill(&mut slot, |at| at);
        let error = pipeline.send(slot).expect_err("the sink is full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let slot = pipeline.slot().expect("free");
        pipeline.send(slot).expect_err("still");
        pipeline.finish().expect_err("what is cut is not finished");
        // However many threads there are, the error is the sink's own.
        for pipeline in [Pipeline::new(Short(100), &compressors), here(Short(100), &compressors, true)] {
            assert_eq!(through(pipeline).expect_err("full").kind(), io::ErrorKind::StorageFull);
        }
        // Others can go on.
        through(here(Vec::new(), &compressors, false)).expect("written");
    }
}
