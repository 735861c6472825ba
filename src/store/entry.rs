//! Entries of the store's index.

use crate::image::{Descriptor, annotation, reads_as_digest};
use crate::text::escaped;

/// An entry of the store's index: a name and the manifest or index that it points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The full reference; entries made by other tools may lack one.
    pub name: Option<String>,
    /// RFC 3339 time at which the name was last given, where known.
    pub created: Option<String>,
    /// The repository in which the embedded registry keeps the manifest by its digest, also without a name.
    pub repository: Option<String>,
    /// The manifest or index.
    pub descriptor: Descriptor,
}

impl Entry {
    pub(super) fn from_descriptor(descriptor: &Descriptor) -> Self {
        Self {
            name: descriptor.annotation(annotation::REF_NAME).map(str::to_owned),
            created: descriptor.annotation(annotation::CREATED).map(str::to_owned),
            repository: descriptor.annotation(annotation::REPOSITORY).map(str::to_owned),
            descriptor: descriptor.clone(),
        }
    }

    /// Returns the name if a user can select the entry by typing it: it is printable and does not parse as a digest.
    pub fn usable_name(&self) -> Option<&str> {
        let can_be_typed = |name: &&str| {
            !name.is_empty() && !name.contains(char::is_whitespace) && escaped(name) == **name && !reads_as_digest(name)
        };
        self.name.as_deref().filter(can_be_typed)
    }

    /// Returns whether both entries have the same name, or keep the same digest in the same repository.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.name == other.name
            && self.repository == other.repository
            && self.descriptor.digest == other.descriptor.digest
    }
}
