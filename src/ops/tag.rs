//! Tagging: further names for a stored image.

use crate::image::{Digest, Reference};
use crate::store::{ImageStore, StoreError};

/// What tagging did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagOutcome {
    /// The image that was named.
    pub digest: Digest,
    /// Its new names.
    pub names: Vec<Reference>,
    /// Images that lost their last name to this one.
    pub replaced: Vec<Digest>,
}

/// Gives `names` to the image that `source` names, moving them from the images that had them.
///
/// `created` is the RFC 3339 wall-clock time, used if the image has none.
///
/// # Errors
///
/// Fails if `source` matches no image or several, or if the store cannot be changed.
pub fn tag(store: &ImageStore, source: &str, names: Vec<Reference>, created: &str) -> Result<TagOutcome, StoreError> {
    // Acquired before the lookup, so that the image cannot be pruned before it has its new names.
    let lease = store.lease()?;
    let selection = store.resolve(source)?;
    let first = selection.entries.first().and_then(|entry| entry.created.clone());
    let created = first.as_deref().unwrap_or(created);
    let replaced = store.tag(&lease, &selection.descriptor, &names, Some(created))?;
    Ok(TagOutcome { digest: selection.descriptor.digest, names, replaced })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fs::{FileLock, Hold};

    #[test]
    fn tagging_waits_while_another_process_prunes() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = ImageStore::open(dir.path()).expect("a store").with_patience(Duration::from_millis(5));
        let lease = dir.path().join(".lease.lock");
        let pruning = FileLock::acquire(&lease, Hold::Exclusive, Duration::ZERO).expect("free");
        let refused = tag(&store, "app", Vec::new(), "2026-01-02T03:04:05Z");
        assert!(matches!(refused, Err(StoreError::Lock(_))), "{refused:?}");
        drop(pruning);
        let missing = tag(&store, "app", Vec::new(), "2026-01-02T03:04:05Z");
        assert!(matches!(missing, Err(StoreError::NotFound { .. })), "{missing:?}");
    }
}
