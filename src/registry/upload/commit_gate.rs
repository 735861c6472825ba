//! Lets commits run in parallel, or one after the other where a registry cannot do better.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The commits that are under way at one registry.
#[derive(Debug, Default)]
pub(in crate::registry) struct Commits {
    order: RwLock<()>,
    /// How many are under way, and how often one began beside another.
    under_way: AtomicUsize,
    together: AtomicUsize,
}

/// A commit that is under way.
#[derive(Debug)]
pub(in crate::registry) struct Commit<'a> {
    commits: &'a Commits,
    together: usize,
    _shared: Option<RwLockReadGuard<'a, ()>>,
    _alone: Option<RwLockWriteGuard<'a, ()>>,
}

impl Commits {
    /// Waits for its permit; `alone` for one in which no other commit is under way.
    pub(in crate::registry) async fn enter(&self, alone: bool) -> Commit<'_> {
        let (shared, alone) =
            if alone { (None, Some(self.order.write().await)) } else { (Some(self.order.read().await), None) };
        let together = self.together.load(Ordering::Relaxed);
        if self.under_way.fetch_add(1, Ordering::Relaxed) > 0 {
            self.together.fetch_add(1, Ordering::Relaxed);
        }
        Commit { commits: self, together, _shared: shared, _alone: alone }
    }
}

impl Commit<'_> {
    /// Returns whether other commits were under way.
    pub(in crate::registry) fn was_shared(&self) -> bool {
        self.commits.together.load(Ordering::Relaxed) != self.together
    }
}

impl Drop for Commit<'_> {
    fn drop(&mut self) {
        self.commits.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn commits_know_whether_they_were_alone() {
        let commits = Commits::default();
        let first = commits.enter(false).await;
        assert!(!first.was_shared());
        let second = commits.enter(false).await;
        assert!(first.was_shared() && second.was_shared());
        drop(second);
        assert!(first.was_shared());
        drop(first);
        assert!(!commits.enter(false).await.was_shared());
    }

    #[tokio::test]
    async fn one_that_wants_to_be_alone_waits() {
        let commits = Commits::default();
        let first = commits.enter(false).await;
        let waiting = tokio::time::timeout(Duration::from_millis(20), commits.enter(true)).await;
        assert!(waiting.is_err());
        drop(first);
        let alone = commits.enter(true).await;
        assert!(tokio::time::timeout(Duration::from_millis(20), commits.enter(false)).await.is_err());
        assert!(!alone.was_shared());
    }
}
