//! The images found in an archive, and what the store has otherwise than the archive.

use super::ArchiveError;
use super::names::usable;
use crate::image::{Descriptor, Digest, Document, Platform, Reference};
use crate::store::{ImageStore, StoreError};

/// A part of an archive that the store lacks or has in another form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadNote {
    /// A name that cannot be one in the store.
    Unusable {
        /// The name, as it is written.
        name: String,
        /// The image, which is in the store without it.
        digest: Digest,
    },
    /// The archive has some images of an index.
    Partial {
        /// The name of the index, or its digest.
        index: String,
        /// Images that the archive has.
        kept: Vec<String>,
        /// Images that it lacks.
        absent: Vec<String>,
    },
    /// The archive lacks an image that it lists.
    Absent {
        /// The name of the image, or its digest.
        image: String,
    },
    /// An image that is not for the platform that was asked for.
    Platform {
        /// The name of the image, or its digest.
        image: String,
        /// The platforms it is for.
        available: Vec<String>,
    },
}

/// An image of an archive, whole in the store and not in its index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its manifest or index.
    pub document: Document,
    /// Its names in the archive, tags complete.
    pub names: Vec<Reference>,
}

/// An entry of an archive that is no image: what it is, is not known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The blob.
    pub descriptor: Descriptor,
    /// Its names in the archive, tags complete.
    pub names: Vec<Reference>,
}

/// What an archive has, in the store and not in its index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Archived {
    /// Images, each once.
    pub images: Vec<Found>,
    /// Entries that are no images, each once.
    pub leaves: Vec<Leaf>,
    /// The parts of the archive that are missing or differ.
    pub notes: Vec<LoadNote>,
}

impl Archived {
    /// Returns the usable ones of the names that an archive gives to an image, and notes the others.
    pub(super) fn names<'a>(&mut self, given: impl IntoIterator<Item = &'a str>, digest: Digest) -> Vec<Reference> {
        let mut names = Vec::new();
        for name in given {
            match usable(name) {
                Some(name) => names.push(name),
                None => self.notes.push(LoadNote::Unusable { name: name.to_owned(), digest }),
            }
        }
        names
    }

    /// Adds an image, or names of one that is there.
    pub(super) fn add(&mut self, document: Document, names: Vec<Reference>) {
        match self.images.iter_mut().find(|image| image.document.digest() == document.digest()) {
            Some(image) => image.names.extend(names),
            None => self.images.push(Found { document, names }),
        }
    }

    /// Adds an entry that is no image, or names of one that is there.
    pub(super) fn add_leaf(&mut self, descriptor: &Descriptor, names: Vec<Reference>) {
        match self.leaves.iter_mut().find(|leaf| leaf.descriptor.digest == descriptor.digest) {
            Some(leaf) => leaf.names.extend(names),
            None => self.leaves.push(Leaf { descriptor: descriptor.clone(), names }),
        }
    }

    /// Keeps the image for `platform` of each index, and the images that are for it. Artifacts stay.
    pub(super) fn only_for(&mut self, store: &ImageStore, platform: &Platform) -> Result<(), ArchiveError> {
        // Of an index, more than this image was not asked for.
        self.notes.retain(|note| !matches!(note, LoadNote::Partial { .. }));
        let mut refusal = None;
        for Found { document, names } in std::mem::take(&mut self.images) {
            if document.manifest().is_some_and(|manifest| manifest.artifact_kind().is_some()) {
                self.add(document, names);
                continue;
            }
            let image = names.first().map_or_else(|| document.digest().to_string(), ToString::to_string);
            match store.image(&image, &document.descriptor, Some(platform)) {
                Ok(found) => self.add(found.document, names),
                Err(StoreError::Platform { name, wanted, available }) => {
                    self.notes.push(LoadNote::Platform { image, available: available.clone() });
                    refusal.get_or_insert(StoreError::Platform { name, wanted, available });
                }
                Err(error) => return Err(error.into()),
            }
        }
        match refusal.filter(|_| self.images.is_empty()) {
            Some(refusal) => Err(refusal.into()),
            None => Ok(()),
        }
    }
}
