//! Removing names from the store and blobs that no name reaches.

use crate::store::{Entry, ImageStore, StoreError};

/// Why an image was not removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An id was given and the image has several names.
    #[error("`{id}` is an image with {} names: {}", names.len(), names.join(", "))]
    SeveralNames {
        /// What was asked for.
        id: String,
        /// The image's names.
        names: Vec<String>,
    },
}

/// Removes the entries that `image` names; blobs stay until pruned.
///
/// # Errors
///
/// Fails if nothing matches, if an id matches several images or an image with several names and `force` is not set, or
/// if the store cannot be changed.
pub fn remove(store: &ImageStore, image: &str, force: bool) -> Result<Vec<Entry>, RemoveError> {
    let selection = match store.resolve(image) {
        Err(StoreError::Ambiguous { .. }) if force => return Ok(store.remove(&store.entries_by_id(image)?)?),
        selection => selection?,
    };
    let names: Vec<_> = selection.entries.iter().filter_map(|entry| entry.name.clone()).collect();
    if names.len() > 1 && !force {
        return Err(RemoveError::SeveralNames { id: image.to_owned(), names });
    }
    Ok(store.remove(&selection.entries)?)
}

/// Removes every entry; blobs stay until pruned.
///
/// # Errors
///
/// Fails if the store cannot be read or changed.
pub fn remove_all(store: &ImageStore) -> Result<Vec<Entry>, RemoveError> {
    Ok(store.remove(&store.entries()?)?)
}
