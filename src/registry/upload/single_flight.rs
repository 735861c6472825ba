//! Uploads each blob once at a time: other tasks that want to send the same bytes wait and find the blob in the
//! registry.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

use crate::image::Digest;

/// The blobs that are being sent to one registry, whatever the repository.
#[derive(Debug, Default)]
pub(in crate::registry) struct SingleFlight(Mutex<HashMap<Digest, Weak<tokio::sync::Mutex<()>>>>);

/// The right to send a blob.
#[derive(Debug)]
pub(in crate::registry) struct Permit {
    _guard: OwnedMutexGuard<()>,
    /// Whether another task had it just before.
    pub(in crate::registry) waited: bool,
}

impl SingleFlight {
    /// Waits until no other task sends the blob.
    pub(in crate::registry) async fn enter(&self, digest: Digest) -> Permit {
        let permit = {
            let mut in_flight = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            in_flight.retain(|_, permit| permit.strong_count() > 0);
            in_flight.get(&digest).and_then(Weak::upgrade).unwrap_or_else(|| {
                let permit = Arc::default();
                in_flight.insert(digest, Arc::downgrade(&permit));
                permit
            })
        };
        match Arc::clone(&permit).try_lock_owned() {
            Ok(guard) => Permit { _guard: guard, waited: false },
            Err(_) => Permit { _guard: permit.lock_owned().await, waited: true },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_same_blob_waits_and_others_do_not() {
        let in_flight = Arc::new(SingleFlight::default());
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let first = in_flight.enter(a).await;
        assert!(!first.waited && !in_flight.enter(b).await.waited);
        let second = tokio::spawn({
            let in_flight = Arc::clone(&in_flight);
            async move { in_flight.enter(a).await.waited }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(second.await.expect("ran"));
        assert!(!in_flight.enter(a).await.waited);
    }
}
