//! A step of the way of blocks that has a thread of its own, as far as the system gives one.

use std::io;
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::thread::JoinHandle;

/// Takes one thing after the other.
pub(in crate::layer) trait Take<T> {
    /// Takes the next.
    fn take(&mut self, thing: T) -> io::Result<()>;
}

/// A step: who takes the things, and how they come there.
#[derive(Debug)]
pub(in crate::layer) struct Stage<T, W>(Hands<T, W>);

#[derive(Debug)]
enum Hands<T, W> {
    /// A thread of its own, while further ones come.
    Beside(Sender<T>, JoinHandle<io::Result<W>>),
    /// Whoever hands them over: the system has given no thread.
    Here(W),
    /// Nobody any more.
    Ended,
}

impl<T: Send + 'static, W: Take<T> + Send + 'static> Stage<T, W> {
    /// A stage of that name.
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

    /// A stage as it is without a thread.
    #[cfg(test)]
    pub(in crate::layer) fn here(taker: W) -> Self {
        Self(Hands::Here(taker))
    }

    /// Hands over the next. An error may be that of an earlier one.
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

    /// Waits for everything to be taken and gives the taker back. Can be asked once.
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
    /// Waits for the thread, so that what it was to make is gone when this returns.
    fn drop(&mut self) {
        if let Hands::Beside(sender, thread) = std::mem::replace(&mut self.0, Hands::Ended) {
            drop(sender);
            let _ = thread.join();
        }
    }
}
