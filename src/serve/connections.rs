//! The limit on connections: when all places are taken, the connection that has been idle longest makes room.
//!
//! A connection that never sent a request, or is still in its TLS handshake, counts as idle too. HTTP allows closing a
//! connection between requests at any time (RFC 9112 section 9.5), and clients then use a new one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// The connections of a server.
pub(super) struct ConnectionSlots {
    free: Arc<Semaphore>,
    taken: Mutex<Taken>,
    /// A connection became idle.
    waits: Notify,
}

#[derive(Default)]
struct Taken {
    next: u64,
    connections: BTreeMap<u64, Connection>,
}

struct Connection {
    state: State,
    /// Whether the client has not yet received all of the last answer.
    writing: Arc<AtomicBool>,
    leave: Arc<Notify>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Idle since this time.
    Waiting(Instant),
    /// A request is being answered.
    Busy,
    /// Asked to close.
    Leaving,
}

/// A connection's place, until dropped.
pub(super) struct Place {
    places: Arc<ConnectionSlots>,
    id: u64,
    writing: Arc<AtomicBool>,
    leave: Arc<Notify>,
    free: Option<OwnedSemaphorePermit>,
}

/// A request is being answered, until dropped.
pub(super) struct Busy(Arc<Place>);

impl ConnectionSlots {
    pub(super) fn new(count: usize) -> Arc<Self> {
        Arc::new(Self { free: Arc::new(Semaphore::new(count)), taken: Mutex::default(), waits: Notify::new() })
    }

    /// Waits for a place; if all are taken, the longest idle connection is closed.
    pub(super) async fn take(self: &Arc<Self>) -> Place {
        loop {
            let waits = self.waits.notified();
            if let Ok(free) = Arc::clone(&self.free).try_acquire_owned() {
                return self.enter(free);
            }
            self.make_room();
            tokio::select! {
                // The semaphore is never closed.
                Ok(free) = Arc::clone(&self.free).acquire_owned() => return self.enter(free),
                () = waits => {}
            }
        }
    }

    fn enter(self: &Arc<Self>, free: OwnedSemaphorePermit) -> Place {
        let (writing, leave) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
        let mut taken = self.lock();
        let id = taken.next;
        taken.next += 1;
        let state = State::Waiting(Instant::now());
        let connection = Connection { state, writing: Arc::clone(&writing), leave: Arc::clone(&leave) };
        taken.connections.insert(id, connection);
        Place { places: Arc::clone(self), id, writing, leave, free: Some(free) }
    }

    /// Asks the longest idle connection to close, unless one is closing already.
    pub(super) fn make_room(&self) {
        let mut taken = self.lock();
        if taken.connections.values().any(|connection| connection.state == State::Leaving) {
            return;
        }
        let waiting = taken.connections.values_mut().filter_map(|connection| match connection.state {
            State::Waiting(since) if !connection.writing.load(Ordering::Relaxed) => Some((since, connection)),
            _ => None,
        });
        if let Some((_, connection)) = waiting.min_by_key(|(since, _)| *since) {
            connection.state = State::Leaving;
            connection.leave.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until the connection has to make room.
    pub(super) async fn must_leave(&self) {
        self.leave.notified().await;
    }

    /// Returns whether the client has not taken everything; kept up to date by the connection's stream.
    pub(super) fn writing(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.writing)
    }

    /// Marks the connection as busy; returns `None` if it has to close without answering the request.
    pub(super) fn begin(self: &Arc<Self>) -> Option<Busy> {
        let mut taken = self.places.lock();
        let connection = taken.connections.get_mut(&self.id)?;
        if connection.state == State::Leaving {
            return None;
        }
        connection.state = State::Busy;
        Some(Busy(Arc::clone(self)))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let places = &self.0.places;
        if let Some(connection) = places.lock().connections.get_mut(&self.0.id) {
            connection.state = State::Waiting(Instant::now());
        }
        places.waits.notify_one();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.connections.remove(&self.id);
        // Under the lock: without this connection among those that leave, its place is free.
        drop(self.free.take());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Returns whether a place was asked to leave.
    async fn leaves(place: &Place) -> bool {
        tokio::time::timeout(Duration::from_millis(1), place.must_leave()).await.is_ok()
    }

    #[tokio::test]
    async fn the_one_that_waited_longest_makes_room() {
        let places = ConnectionSlots::new(3);
        let mut taken = Vec::new();
        for _ in 0..3 {
            taken.push(Arc::new(places.take().await));
        }
        // The first is busy, and has been without a request for less time than the third afterwards.
        let busy = taken[0].begin().expect("it may stay");
        let second = taken[1].begin().expect("it may stay");
        drop(busy);
        taken[2].writing().store(true, Ordering::Relaxed);
        let next = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.take().await }
        });
        tokio::task::yield_now().await;
        assert!(leaves(&taken[0]).await, "the third has not taken its answer, the second is busy");
        assert!(taken[0].begin().is_none() && taken[2].begin().is_some());
        drop(second);
        // One leaves at a time, however often room is asked for.
        places.make_room();
        assert!(!leaves(&taken[1]).await && !leaves(&taken[2]).await);
        taken.remove(0);
        let next = next.await.expect("a place");
        places.make_room();
        assert!(leaves(&taken[0]).await, "it waits longer than the new one");
        assert!(!leaves(&next).await);
    }

    #[tokio::test]
    async fn a_request_that_ends_makes_room() {
        let places = ConnectionSlots::new(1);
        let first = Arc::new(places.take().await);
        let busy = first.begin().expect("it may stay");
        let next = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.take().await }
        });
        tokio::task::yield_now().await;
        assert!(!leaves(&first).await, "it is busy");
        drop(busy);
        first.must_leave().await;
        drop(first);
        next.await.expect("a place");
    }
}
