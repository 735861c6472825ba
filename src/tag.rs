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

/// Gives `names` to the image that `source` names, taking them from whatever had them.
///
/// `created` is the RFC 3339 wall-clock time.
pub fn tag(store: &ImageStore, source: &str, names: Vec<Reference>, created: &str) -> Result<TagOutcome, StoreError> {
    let selection = store.resolve(source)?;
    let first = selection.entries.first().and_then(|entry| entry.created.clone());
    let created = first.as_deref().unwrap_or(created);
    let replaced = store.tag(&selection.descriptor, &names, Some(created))?;
    Ok(TagOutcome { digest: selection.descriptor.digest, names, replaced })
}
