//! The threads of asynchronous work, and of listening for signals while other work blocks.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use super::causes::MORE_THREADS;
use super::failure::{Failure, Kind};
use crate::threads;

/// How long a thread that blocks stays without work.
const THREADS_STAY: Duration = Duration::from_hours(1);

/// What a runtime is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    /// Listening for signals while others work.
    Signals,
    /// Asynchronous work, parts of which block.
    Work,
}

/// A runtime that waits for nobody when it is dropped: a blocking read in flight must not keep a stopped command alive.
#[derive(Debug)]
pub(super) struct Detached(Option<Runtime>);

impl Detached {
    fn new(load: Load) -> Result<Self, Failure> {
        start(load).map(|runtime| Self(Some(runtime)))
    }

    /// One for asynchronous work alone.
    pub(super) fn for_work() -> Result<Self, Failure> {
        Self::new(Load::Work)
    }
}

impl std::ops::Deref for Detached {
    type Target = Runtime;

    fn deref(&self) -> &Runtime {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// The runtimes of a command, each made when it is first needed: threads cost more than most commands do.
#[derive(Debug, Default)]
pub(super) struct Runtimes {
    signals: OnceLock<Detached>,
    work: OnceLock<Detached>,
}

impl Runtimes {
    /// Where asynchronous work runs.
    pub(super) fn work(&self) -> Result<&Runtime, Failure> {
        made(&self.work, Load::Work)
    }

    /// Where a task can wait for signals while others work.
    pub(super) fn signals(&self) -> Result<&Runtime, Failure> {
        match self.work.get() {
            Some(there) => Ok(there),
            None => made(&self.signals, Load::Signals),
        }
    }
}

/// One for asynchronous work that waits for what blocks when it is dropped.
pub(super) fn for_work() -> Result<Runtime, Failure> {
    start(Load::Work)
}

fn made(place: &OnceLock<Detached>, load: Load) -> Result<&Runtime, Failure> {
    if place.get().is_none() {
        // Should somebody else have been faster, this one ends.
        let _ = place.set(Detached::new(load)?);
    }
    Ok(place.get().expect("it was set"))
}

fn start(load: Load) -> Result<Runtime, Failure> {
    // The library panics where it gets no thread, and then waits for what never comes.
    let spare = match load {
        Load::Signals => threads::spare(1, 1),
        Load::Work => threads::spare(2, 3),
    };
    let spare = spare.map_err(|source| Failure::new(Kind::Failed, source).hint(MORE_THREADS))?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(if spare > 2 { 2 } else { 1 })
        .thread_keep_alive(THREADS_STAY)
        .enable_all()
        .build()
        .map_err(|source| Failure::new(Kind::Failed, source))?;
    if load == Load::Work {
        // One that is there takes what blocks also when there will be no other: without any, it would wait for ever.
        drop(runtime.spawn_blocking(|| ()));
    }
    // Once listened to, the signal of a file size limit no longer kills: the write fails and is told.
    let context = runtime.enter();
    let _ = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()));
    drop(context);
    Ok(runtime)
}
