//! Starts threads where the system may refuse: users (`ulimit -u`) and containers have limits.
//!
//! A refused thread is an error here, where `std::thread::spawn` panics. Callers that can work with fewer threads do
//! so.

use std::io;
use std::thread::{Builder, JoinHandle, Scope, ScopedJoinHandle};

/// The system gives no more threads; the source of an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("the system gives no more threads")]
pub struct NoThreads(#[source] io::Error);

/// Returns whether the error is [`NoThreads`].
pub fn are_missing(error: &io::Error) -> bool {
    matches!(error.get_ref(), Some(inner) if inner.is::<NoThreads>())
}

/// Starts a named thread.
pub fn spawn<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    Builder::new().name(name.to_owned()).spawn(work).map_err(missing)
}

/// Starts a thread that ends before `scope` does.
pub fn spawn_scoped<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, T>> {
    Builder::new().spawn_scoped(scope, work).map_err(missing)
}

/// Returns how many further threads the system gives at the moment, `most` at most; an error if fewer than `least`. For
/// libraries that panic without.
pub fn spare(least: usize, most: usize) -> io::Result<usize> {
    let mut threads = Vec::with_capacity(most);
    let mut refused = None;
    while threads.len() < most && refused.is_none() {
        // Each waits, so that all of them are there at the same time.
        let (end, wait) = std::sync::mpsc::channel::<()>();
        match spawn("spare", move || wait.recv()) {
            Ok(thread) => threads.push((end, thread)),
            Err(error) => refused = Some(error),
        }
    }
    let count = threads.len();
    for (end, thread) in threads {
        drop(end);
        let _ = thread.join();
    }
    match refused {
        Some(error) if count < least => Err(error),
        _ => Ok(count),
    }
}

fn missing(source: io::Error) -> io::Error {
    io::Error::new(source.kind(), NoThreads(source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_apart() {
        let refused = missing(io::Error::from_raw_os_error(rustix::io::Errno::AGAIN.raw_os_error()));
        assert!(are_missing(&refused));
        assert_eq!(refused.to_string(), "the system gives no more threads");
        assert!(std::error::Error::source(&refused).is_some_and(|source| source.to_string().contains("os error")));
        assert!(!are_missing(&io::ErrorKind::WouldBlock.into()));
    }

    #[test]
    fn threads_are_there_at_the_same_time_and_gone_afterwards() {
        assert_eq!(spare(1, 3).expect("threads"), 3);
        assert_eq!(spare(0, 0).expect("none is asked for"), 0);
        assert_eq!(spawn("one", || 1).expect("a thread").join().expect("no panic"), 1);
        let two = std::thread::scope(|scope| spawn_scoped(scope, || 2).expect("a thread").join().expect("no panic"));
        assert_eq!(two, 2);
    }
}
