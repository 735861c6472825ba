//! A pipeline stage on its own thread, or inline if no thread can be spawned.

use std::io;
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::thread::JoinHandle;

/// The work of a stage.
pub(in crate::layer) trait Take<T> {
    /// Processes the next item.
    fn take(&mut self, thing: T) -> io::Result<()>;
}

/// A stage: its worker, and the queue to it.
#[derive(Debug)]
pub(in crate::layer) struct Stage<T, W>(Hands<T, W>);

#[derive(Debug)]
enum Hands<T, W> {
    /// The worker runs on its own thread.
    Beside(Sender<T>, JoinHandle<io::Result<W>>),
    /// The worker runs inline, since no thread could be spawned.
    Here(W),
    /// The stage has ended.
    Ended,
}

impl<T: Send + 'static, W: Take<T> + Send + 'static> Stage<T, W> {
    /// Starts a stage; `name` names its thread.
    pub(in crate::layer) fn new(name: &str, taker: W) -> Self {
        let (sender, things) = channel::<T>();
        // It comes once there is a thread for it: one that there is none for would take it along.
        let (hand, handed) = sync_channel::<W>(1);
        let work = move || {
            let mut taker = handed.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
            for thing in things {
                taker.take(thing)?;
            }
            Ok(taker)
        };
        Self(match crate::threads::spawn(name, work) {
            Ok(thread) => match hand.send(taker) {
                Ok(()) => Hands::Beside(sender, thread),
                Err(returned) => Hands::Here(returned.0),
            },
            Err(_) => Hands::Here(taker),
        })
    }

    /// Returns a stage that runs inline.
    #[cfg(test)]
    pub(in crate::layer) fn here(taker: W) -> Self {
        Self(Hands::Here(taker))
    }

    /// Passes the next item on. The error may be that of an earlier item.
    pub(in crate::layer) fn send(&mut self, thing: T) -> io::Result<()> {
        match &mut self.0 {
            Hands::Here(taker) => {
                let result = taker.take(thing);
                if result.is_err() {
                    self.0 = Hands::Ended;
                }
                return result;
            }
            Hands::Beside(sender, _) if sender.send(thing).is_ok() => return Ok(()),
            Hands::Beside(..) | Hands::Ended => {}
        }
        // The thread ended early, and its error is the reason.
        self.finish().and_then(|_| Err(io::ErrorKind::BrokenPipe.into()))
    }

    /// Waits until all items are processed and returns the worker. Must be called once only.
    pub(in crate::layer) fn finish(&mut self) -> io::Result<W> {
        match std::mem::replace(&mut self.0, Hands::Ended) {
            Hands::Beside(sender, thread) => {
                drop(sender);
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }
            Hands::Here(taker) => Ok(taker),
            Hands::Ended => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl<T, W> Drop for Stage<T, W> {
    /// Waits for the thread, so that its unfinished output is removed when this returns.
    fn drop(&mut self) {
        if let Hands::Beside(sender, thread) = std::mem::replace(&mut self.0, Hands::Ended) {
            drop(sender);
            let _ = thread.join();
        }
    }
}
