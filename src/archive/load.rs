//! Reading archives: store what comes, then publish what the documents promise.

use std::collections::BTreeMap;
use std::io::Read;

use super::contents::Contents;
use super::{ArchiveError, DockerImages, docker, oci};
use crate::image::{Digest, Document, Index, Reference};
use crate::progress::{Interrupt, Progress};
use crate::store::{ImageStore, Lease};

/// The most images an archive may have.
const MAX_IMAGES: usize = 1024;

/// The most names that the images of an archive may have together.
const MAX_NAMES: usize = 4096;

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOutcome {
    /// Every name that was given, or none for an image without one, with the digest it stands for.
    pub images: Vec<(Option<Reference>, Digest)>,
}

/// An image of an archive, whole in the store and not in its index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its manifest or index.
    pub document: Document,
    /// Its names in the archive, tags complete.
    pub names: Vec<Reference>,
}

/// Reads an archive of `docker save`, of an OCI layout, or of both at once, from a stream that need
/// not seek, and publishes its images. Either may be gzip-compressed.
///
/// `created` is the RFC 3339 wall-clock time, noted with the names. Layers are stored as they are. An error
/// leaves the store as it was; otherwise its index gets all images at once. Blobs of the archive that no image needs
/// are not kept.
pub fn load<R: Read>(
    store: &ImageStore,
    reader: R,
    created: &str,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<LoadOutcome, ArchiveError> {
    let store = &store.removing_unpublished();
    let lease = store.lease()?;
    let found = unpack(store, &lease, reader, progress, interrupt)?;
    // What cannot be listed afterwards is not loaded.
    store.check_configs(found.iter().map(|image| &image.document))?;
    let images: Vec<_> = found.iter().map(|image| (&image.document, image.names.as_slice())).collect();
    store.publish_all(&lease, &images, Some(created))?;
    let mut outcome = LoadOutcome { images: Vec::new() };
    for image in &found {
        let digest = image.document.digest();
        if image.names.is_empty() {
            outcome.images.push((None, digest));
        }
        outcome.images.extend(image.names.iter().cloned().map(|name| (Some(name), digest)));
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
) -> Result<Vec<Found>, ArchiveError> {
    let contents = Contents::read(store, lease, reader, progress, interrupt)?;
    oci::check_layout(&contents)?;
    let index: Option<Index> = contents.document("index.json")?;
    let docker: Option<DockerImages> = contents.document("manifest.json")?;
    let docker = docker.map(|images| images.0);
    let images = docker.as_ref().map_or(0, Vec::len).max(index.as_ref().map_or(0, |index| index.manifests.len()));
    let names = docker.iter().flatten().flat_map(|image| image.repo_tags.iter().flatten()).count();
    check_counts(images, names)?;
    let found = match (docker, index) {
        (Some(images), index) => docker::images(store, lease, &contents, &images, index.as_ref(), interrupt)?,
        (None, Some(index)) => oci::images(store, &index)?,
        (None, None) => return Err(ArchiveError::NotAnImageArchive),
    };
    check_names(&found)?;
    Ok(found)
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

fn check_names(found: &[Found]) -> Result<(), ArchiveError> {
    let mut taken: BTreeMap<&Reference, Digest> = BTreeMap::new();
    for image in found {
        for name in &image.names {
            if taken.insert(name, image.document.digest()).is_some_and(|other| other != image.document.digest()) {
                return Err(ArchiveError::NameTwice(name.to_string()));
            }
        }
    }
    Ok(())
}

/// A name found in an archive, with a tag.
pub(super) fn reference(name: &str) -> Result<Reference, ArchiveError> {
    match name.parse::<Reference>() {
        Ok(reference) => Ok(reference.with_default_tag()),
        Err(source) => {
            let name = name.chars().take(200).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
            Err(ArchiveError::Name { name, source })
        }
    }
}
