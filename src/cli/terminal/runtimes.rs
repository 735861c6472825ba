//! The threads of asynchronous work, and of listening for signals while other work blocks.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::paint::Paint;
use super::signals::Signals;
use crate::app::ConsoleError;
use crate::threads;

/// How long a thread that blocks stays without work.
const THREADS_STAY: Duration = Duration::from_hours(1);

/// A runtime whose drop waits for no thread: a blocking read in flight must not keep a stopped command alive.
#[derive(Debug)]
pub(crate) struct Detached(Option<Runtime>);

impl Detached {
    /// Makes a runtime whose asynchronous work the waiting thread does itself: an answer then wakes no other thread,
    /// and one thread moves more than a gigabyte a second over TLS. Blocking work has threads of its own.
    pub(crate) fn for_work() -> Result<Self, ConsoleError> {
        spare(1, 1)?;
        let runtime = built(&mut Builder::new_current_thread())?;
        keep_one(&runtime);
        Ok(Self(Some(runtime)))
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

/// A thread that hears signals while others work; it ends when this is dropped.
#[derive(Debug)]
struct Listener {
    _until_dropped: oneshot::Sender<()>,
}

impl Listener {
    fn start(signals: &Signals, paint: Paint) -> Result<Self, ConsoleError> {
        let runtime = built(&mut Builder::new_current_thread())?;
        // From here on, and not only from when the thread runs.
        let context = runtime.enter();
        let listening = signals.listen(paint);
        drop(context);
        runtime.spawn(listening);
        let (sender, dropped) = oneshot::channel();
        let listen = move || runtime.block_on(dropped);
        threads::spawn("signals", listen).map_err(ConsoleError::NoThread)?;
        Ok(Self { _until_dropped: sender })
    }
}

/// The runtimes of a command, each made when it is first needed: threads cost more than most commands do.
#[derive(Debug, Default)]
pub(crate) struct Runtimes {
    listener: OnceLock<Listener>,
    work: OnceLock<Detached>,
}

impl Runtimes {
    /// Returns the runtime whose work runs only while a thread waits for it.
    pub(crate) fn work(&self) -> Result<&Runtime, ConsoleError> {
        made(&self.work, Detached::for_work).map(|runtime| &**runtime)
    }

    /// Has a thread of its own listen for signals from here on.
    pub(crate) fn listen(&self, signals: &Signals, paint: Paint) -> Result<(), ConsoleError> {
        made(&self.listener, || Listener::start(signals, paint)).map(|_| ())
    }
}

/// One for serving many at a time, which waits for what blocks when it is dropped.
pub(crate) fn for_serving() -> Result<Runtime, ConsoleError> {
    let spare = spare(2, 3)?;
    let runtime = built(Builder::new_multi_thread().worker_threads(if spare > 2 { 2 } else { 1 }))?;
    keep_one(&runtime);
    Ok(runtime)
}

fn made<T>(place: &OnceLock<T>, make: impl FnOnce() -> Result<T, ConsoleError>) -> Result<&T, ConsoleError> {
    if place.get().is_none() {
        // If another thread was faster, this runtime ends.
        let _ = place.set(make()?);
    }
    Ok(place.get().expect("it was set"))
}

/// The library panics where it gets no thread, and then waits for what never comes.
fn spare(least: usize, most: usize) -> Result<usize, ConsoleError> {
    threads::spare(least, most).map_err(ConsoleError::NoThread)
}

/// Starts a thread for what blocks. One that is there takes it also when there will be no other: without any, it would
/// wait for ever.
fn keep_one(runtime: &Runtime) {
    drop(runtime.spawn_blocking(|| ()));
}

fn built(builder: &mut Builder) -> Result<Runtime, ConsoleError> {
    let runtime = builder.thread_keep_alive(THREADS_STAY).enable_all().build().map_err(ConsoleError::Runtime)?;
    // With a listener, the signal of a file size limit no longer ends the process: the write fails, and its error is
    // reported.
    let context = runtime.enter();
    let _ = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()));
    drop(context);
    Ok(runtime)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn work_is_done_by_who_waits_and_what_blocks_by_others() {
        let runtime = Detached::for_work().expect("threads");
        let here = thread::current().id();
        let there = runtime.block_on(async {
            let task = tokio::spawn(async { thread::current().id() });
            let blocking = tokio::task::spawn_blocking(|| thread::current().id());
            (task.await.expect("no panic"), blocking.await.expect("no panic"))
        });
        assert_eq!(there.0, here);
        assert_ne!(there.1, here);
    }
}
