//! Reading archives: store what comes, then publish what the documents promise.

use std::collections::BTreeMap;
use std::io::Read;

use super::contents::Contents;
use super::names::usable;
use super::{ArchiveError, DockerImages, docker, oci};
use crate::image::{Descriptor, Digest, Document, Index, Platform, Reference};
use crate::progress::{Interrupt, Progress};
use crate::store::{ImageStore, Lease, StoreError};

/// The most images an archive may have.
const MAX_IMAGES: usize = 1024;

/// The most names that the images of an archive may have together.
const MAX_NAMES: usize = 4096;

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOutcome {
    /// Every name that was given, or none for an image without one, with the digest it stands for.
    pub images: Vec<(Option<Reference>, Digest)>,
    /// What is not in the store as the archive has it.
    pub notes: Vec<LoadNote>,
}

/// Something of an archive that the store has otherwise, or not.
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
    /// What is not there as the archive has it.
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
    fn only_for(&mut self, store: &ImageStore, platform: &Platform) -> Result<(), ArchiveError> {
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

/// Reads an archive of `docker save`, of an OCI layout, or of both at once, from a stream that need
/// not seek, and publishes its images. Either may be gzip-compressed.
///
/// `created` is the RFC 3339 wall-clock time, noted with the names. With a `platform`, one image of each index is kept.
/// Layers are stored as they are. An error leaves the store as it was; otherwise its index gets all images at once.
/// Blobs of the archive that no image needs are not kept.
pub fn load<R: Read>(
    store: &ImageStore,
    reader: R,
    created: &str,
    platform: Option<&Platform>,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<LoadOutcome, ArchiveError> {
    let store = &store.removing_unpublished();
    let lease = store.lease()?;
    let mut archived = unpack(store, &lease, reader, progress, interrupt)?;
    if let Some(platform) = platform {
        archived.only_for(store, platform)?;
    }
    let Archived { images: found, leaves, notes } = archived;
    // What cannot be listed afterwards is not loaded.
    let checked = store.check_configs(found.iter().map(|image| &image.document));
    checked.map_err(|error| ArchiveError::from(error).of_archive())?;
    let images: Vec<_> = found.iter().map(|image| (&image.document, image.names.as_slice())).collect();
    let others: Vec<_> = leaves.iter().map(|leaf| (&leaf.descriptor, leaf.names.as_slice())).collect();
    store.publish_with_leaves(&lease, &images, &others, Some(created))?;
    let mut outcome = LoadOutcome { images: Vec::new(), notes };
    let leaves = leaves.into_iter().map(|leaf| (leaf.descriptor.digest, leaf.names));
    for (digest, names) in found.into_iter().map(|image| (image.document.digest(), image.names)).chain(leaves) {
        if names.is_empty() {
            outcome.images.push((None, digest));
        }
        outcome.images.extend(names.into_iter().map(|name| (Some(name), digest)));
    }
    Ok(outcome)
}

/// Reads an archive as [`load`] does and publishes nothing: the images are there as long as the lease is held.
pub fn unpack<R: Read>(
    store: &ImageStore,
    lease: &Lease,
    reader: R,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Archived, ArchiveError> {
    let contents = Contents::read(store, lease, reader, progress, interrupt)?;
    oci::check_layout(&contents)?;
    let index: Option<Index> = contents.document("index.json")?;
    let docker: Option<DockerImages> = contents.document("manifest.json")?;
    let docker = docker.map(|images| images.0);
    let images = docker.as_ref().map_or(0, Vec::len).max(index.as_ref().map_or(0, |index| index.manifests.len()));
    let names = docker.iter().flatten().flat_map(|image| image.repo_tags.iter().flatten()).count();
    check_counts(images, names)?;
    let archived = match (docker, index) {
        (Some(images), index) => docker::images(store, lease, &contents, &images, index.as_ref(), interrupt),
        (None, Some(index)) => oci::images(store, lease, &index),
        (None, None) => return Err(ArchiveError::NotAnImageArchive),
    };
    let archived = archived.map_err(ArchiveError::of_archive)?;
    check_names(&archived)?;
    Ok(archived)
}

/// Fails for more images or names than one archive has. What is written has the same limits as what is read.
pub(super) fn check_counts(images: usize, names: usize) -> Result<(), ArchiveError> {
    if images > MAX_IMAGES {
        return Err(ArchiveError::TooMany { what: "images", limit: MAX_IMAGES });
    }
    if names > MAX_NAMES {
        return Err(ArchiveError::TooMany { what: "names", limit: MAX_NAMES });
    }
    Ok(())
}

fn check_names(archived: &Archived) -> Result<(), ArchiveError> {
    let mut taken: BTreeMap<&Reference, Digest> = BTreeMap::new();
    let images = archived.images.iter().map(|image| (image.document.digest(), &image.names));
    let leaves = archived.leaves.iter().map(|leaf| (leaf.descriptor.digest, &leaf.names));
    for (digest, names) in images.chain(leaves) {
        for name in names {
            if taken.insert(name, digest).is_some_and(|other| other != digest) {
                return Err(ArchiveError::NameTwice(name.to_string()));
            }
        }
    }
    Ok(())
}
