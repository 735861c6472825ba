//! One upload of a blob at a time: whoever else wants to send the same bytes waits and finds them there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

use crate::image::Digest;

/// The blobs that are being sent to one registry, whatever the repository.
#[derive(Debug, Default)]
pub(in crate::registry) struct Flights(Mutex<HashMap<Digest, Weak<tokio::sync::Mutex<()>>>>);

/// The right to send a blob.
#[derive(Debug)]
pub(in crate::registry) struct Turn {
    _guard: OwnedMutexGuard<()>,
    /// Whether somebody else had it just before.
    pub(in crate::registry) waited: bool,
}

impl Flights {
    /// Waits until nobody else sends the blob.
    pub(in crate::registry) async fn enter(&self, digest: Digest) -> Turn {
        let turn = {
            let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            flights.retain(|_, turn| turn.strong_count() > 0);
            flights.get(&digest).and_then(Weak::upgrade).unwrap_or_else(|| {
                let turn = Arc::default();
                flights.insert(digest, Arc::downgrade(&turn));
                turn
            })
        };
        match Arc::clone(&turn).try_lock_owned() {
            Ok(guard) => Turn { _guard: guard, waited: false },
            Err(_) => Turn { _guard: turn.lock_owned().await, waited: true },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_same_blob_waits_and_others_do_not() {
        let flights = Arc::new(Flights::default());
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let first = flights.enter(a).await;
        assert!(!first.waited && !flights.enter(b).await.waited);
        let second = tokio::spawn({
            let flights = Arc::clone(&flights);
            async move { flights.enter(a).await.waited }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(second.await.expect("ran"));
        assert!(!flights.enter(a).await.waited);
    }
}
