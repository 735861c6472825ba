//! Manifests that the embedded registry keeps by their digest.
//!
//! A push prints `repository@sha256:...`, which deployments use, so the manifest has to stay when the tag
//! moves. An annotation of the entry names the repository: on an entry with a name, it takes effect when the
//! name moves or is removed; on one without a name, at once. Deleting the
//! digest, removing the entry, or pruning ends it.

use std::collections::BTreeMap;

use super::{Entry, ImageStore, Lease, StoreError};
use crate::image::{Descriptor, Digest, Document, Index, Reference, annotation};

impl ImageStore {
    /// Keeps a stored document in `repository` by its digest, and points `name` at it, if given.
    ///
    /// # Errors
    /// As [`Self::publish_all`].
    pub fn publish_in(
        &self,
        lease: &Lease,
        document: &Document,
        repository: &str,
        name: Option<&Reference>,
        created: Option<&str>,
    ) -> Result<Vec<Digest>, StoreError> {
        let images = [(document, name.map_or(&[][..], std::slice::from_ref))];
        self.publish_kept(lease, (&images, Vec::new()), created, Some(repository))
    }

    /// Removes the names of `entries`; their images are kept in `repository` by digest. Returns the
    /// entries that existed.
    pub fn untag(&self, entries: &[Entry], repository: &str) -> Result<Vec<Entry>, StoreError> {
        let untagged = self.change_index(|index| {
            let mut untagged = Vec::new();
            let mut keep = Vec::new();
            index.manifests.retain(|descriptor| {
                let entry = Entry::from_descriptor(descriptor);
                let goes = entries.iter().any(|other| other.is(&entry));
                if goes {
                    keep.push(descriptor.clone());
                    untagged.push(entry);
                }
                !goes
            });
            for descriptor in keep {
                add(index, &descriptor, repository);
            }
            Ok((!untagged.is_empty()).then_some(untagged))
        })?;
        Ok(untagged.unwrap_or_default())
    }

    /// Removes the entries that are kept by their digest alone; returns their number.
    pub(super) fn forget_kept(&self) -> Result<usize, StoreError> {
        let forgotten = self.change_index(|index| {
            let before = index.manifests.len();
            index.manifests.retain(|entry| name(entry).is_some() || repository(entry).is_none());
            let forgotten = before - index.manifests.len();
            Ok((forgotten > 0).then_some(forgotten))
        })?;
        Ok(forgotten.unwrap_or_default())
    }
}

/// Keeps an entry's manifest in `repository` by its digest.
pub(super) fn add(index: &mut Index, entry: &Descriptor, kept_in: &str) {
    let known = |other: &Descriptor| {
        other.digest == entry.digest && name(other).is_none() && repository(other) == Some(kept_in)
    };
    if index.manifests.iter().any(known) {
        return;
    }
    let mut annotations = BTreeMap::from([(annotation::REPOSITORY.to_owned(), kept_in.to_owned())]);
    if let Some(created) = entry.annotation(annotation::CREATED) {
        annotations.insert(annotation::CREATED.to_owned(), created.to_owned());
    }
    index.manifests.push(Descriptor { annotations: Some(annotations), ..bare(entry) });
}

/// Returns the name an entry has in the store.
pub(super) fn name(entry: &Descriptor) -> Option<&str> {
    entry.annotation(annotation::REF_NAME)
}

/// Returns the repository in which an entry is kept by its digest.
pub(super) fn repository(entry: &Descriptor) -> Option<&str> {
    entry.annotation(annotation::REPOSITORY)
}

/// Returns the descriptor without annotations, which belong to one entry and not to its content.
pub(super) fn bare(descriptor: &Descriptor) -> Descriptor {
    Descriptor {
        platform: descriptor.platform.clone(),
        ..Descriptor::new(&descriptor.media_type, descriptor.digest, descriptor.size)
    }
}
