//! Reading archives: store what comes, then publish what the documents promise.

use std::collections::BTreeMap;
use std::io::Read;

use super::contents::Contents;
use super::{ArchiveError, Archived, DockerImages, LoadNote, docker, oci};
use crate::image::{Digest, Index, Platform, Reference};
use crate::progress::{Interrupt, Progress};
use crate::store::{ImageStore, Lease};

/// The most images an archive may have.
const MAX_IMAGES: usize = 1024;

/// The most names that the images of an archive may have together.
const MAX_NAMES: usize = 4096;

/// The result of loading an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOutcome {
    /// Every name that was given, or none for an image without one, with the digest it stands for.
    pub images: Vec<(Option<Reference>, Digest)>,
    /// The parts of the archive that the store lacks or has in another form.
    pub notes: Vec<LoadNote>,
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
