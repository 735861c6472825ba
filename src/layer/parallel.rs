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
    /// Room for the block.
    pub(super) block: Vec<u8>,
    /// How many bytes of it there are.
    pub(super) filled: usize,
    /// Room for what becomes of it.
    output: Vec<u8>,
    /// How many bytes that is.
    made: usize,
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
    /// As many threads as there are cores, as far as their memory goes and the system gives them.
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
            match crate::threads::spawn("compress", move || work(encoder, &queue)) {
                Ok(thread) => threads.push(thread),
                Err(error) if threads.is_empty() => return Err(error),
                // Those that there are do the work, and only take longer.
                Err(_) => break,
            }
        }
        Ok(Arc::new(Self { compression, jobs: Some(jobs), free: Mutex::new(free), home, threads }))
    }

    /// How many layers are worth packing at the same time: reading and hashing takes a core as compressing does.
    pub fn lanes(&self) -> usize {
        let affordable = BUDGET_BYTES / (self.block_bytes() * 4);
        cores().min(affordable).clamp(1, 4)
    }

    /// Whether what comes out is not what went in.
    pub(super) fn change_bytes(&self) -> bool {
        self.compression.format().is_compressed()
    }

    /// Bytes of a block.
    pub(super) fn block_bytes(&self) -> usize {
        self.compression.format().block_bytes()
    }

    /// An empty slot with room for a block, waiting until there is one.
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
        // The queue is locked while waiting only: whoever is next waits for the lock instead.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { mut slot, done }) = job else { break };
        let Slot { block, filled, output, made, .. } = &mut slot;
        let result = encoder.encode(block, *filled, output).map(|count| *made = count).map(|()| slot);
        // Nobody waits for the blocks of a layer that has failed.
        let _ = done.send(result);
    }
}

/// A block that will be compressed.
type Coming = Receiver<io::Result<Slot>>;

/// The blocks of one layer on their way through the compressors, and who writes them in their order.
#[derive(Debug)]
pub(super) struct Pipeline<W> {
    compressors: Arc<Compressors>,
    collector: Collector<W>,
}

/// Who writes the blocks.
#[derive(Debug)]
enum Collector<W> {
    /// A thread of its own, while further blocks are made.
    Beside(Sender<Coming>, JoinHandle<io::Result<W>>),
    /// Whoever hands them over, one after the other: the system has given no thread.
    Here(W),
    /// Nobody any more.
    Ended,
}

impl<W: Write + Send + 'static> Pipeline<W> {
    /// A pipeline into `inner`.
    pub(super) fn new(inner: W, compressors: &Arc<Compressors>) -> Self {
        let (order, blocks) = channel::<Coming>();
        // It comes once there is a thread for it: one that there is none for would take it along.
        let (hand, handed) = sync_channel::<W>(1);
        let collect = move || {
            let mut inner = handed.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
            for block in blocks {
                write(&mut inner, &block)?;
            }
            Ok(inner)
        };
        let collector = match crate::threads::spawn("write", collect) {
            Ok(thread) => match hand.send(inner) {
                Ok(()) => Collector::Beside(order, thread),
                Err(returned) => Collector::Here(returned.0),
            },
            Err(_) => Collector::Here(inner),
        };
        Self { compressors: Arc::clone(compressors), collector }
    }

    /// Room for a block, waiting until there is some.
    pub(super) fn slot(&self) -> io::Result<Slot> {
        self.compressors.slot()
    }

    /// Hands over the next block.
    pub(super) fn send(&mut self, slot: Slot) -> io::Result<()> {
        let (done, block) = sync_channel(1);
        if let Collector::Here(inner) = &mut self.collector {
            let sent = self.compressors.send(Job { slot, done });
            let written = sent.and_then(|()| write(inner, &block));
            if written.is_err() {
                self.collector = Collector::Ended;
            }
            return written;
        }
        if matches!(&self.collector, Collector::Beside(order, _) if order.send(block).is_ok()) {
            return self.compressors.send(Job { slot, done });
        }
        // The collector ended early, and its error is the reason.
        self.finish().and_then(|_| Err(io::ErrorKind::BrokenPipe.into()))
    }

    /// Waits for everything to be written and gives the writer back. Can be asked once.
    pub(super) fn finish(&mut self) -> io::Result<W> {
        match std::mem::replace(&mut self.collector, Collector::Ended) {
            Collector::Beside(order, thread) => {
                drop(order);
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }
            Collector::Here(inner) => Ok(inner),
            Collector::Ended => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl<W> Drop for Pipeline<W> {
    /// Waits for the collector, so that an abandoned blob is gone when this returns.
    fn drop(&mut self) {
        if let Collector::Beside(order, thread) = std::mem::replace(&mut self.collector, Collector::Ended) {
            drop(order);
            let _ = thread.join();
        }
    }
}

/// Writes the block once it is compressed.
fn write(inner: &mut impl Write, block: &Coming) -> io::Result<()> {
    let slot = block.recv().map_err(|_| io::Error::other("a thread that compresses ended early"))??;
    inner.write_all(&slot.output[..slot.made])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes some bytes and no more.
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

    /// What becomes of more blocks than there are slots.
    fn through<W: Write + Send + 'static>(mut pipeline: Pipeline<W>) -> io::Result<W> {
        for number in 0..40 {
            let mut slot = pipeline.slot()?;
            fill(&mut slot, |at| at * number);
            pipeline.send(slot)?;
        }
        pipeline.finish()
    }

    fn here<W: Write>(inner: W, compressors: &Arc<Compressors>) -> Pipeline<W> {
        Pipeline { compressors: Arc::clone(compressors), collector: Collector::Here(inner) }
    }

    #[test]
    fn without_a_thread_that_writes_the_bytes_are_the_same() {
        let compressors = compressors();
        let beside = through(Pipeline::new(Vec::new(), &compressors)).expect("written");
        assert!(through(here(Vec::new(), &compressors)).expect("written") == beside);
    }

    #[test]
    fn without_a_thread_that_writes_an_error_stays_one() {
        let compressors = compressors();
        let mut pipeline = here(Short(100), &compressors);
        let mut slot = pipeline.slot().expect("free");
        fill(&mut slot, |at| at);
        let error = pipeline.send(slot).expect_err("the sink is full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let slot = pipeline.slot().expect("free");
        pipeline.send(slot).expect_err("still");
        pipeline.finish().expect_err("what is cut is not finished");
        // Others can go on.
        assert!(through(here(Vec::new(), &compressors)).is_ok());
    }
}
