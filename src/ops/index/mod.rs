//! Use case: indexes made of stored images, a platform each (image-spec, "Image Index").

use std::collections::{BTreeMap, BTreeSet};

use crate::image::{
    Content, Descriptor, Digest, Document, Index, MAX_NESTING, Platform, Reference, is_attestation, media_type,
};
use crate::store::{ImageStore, Lease, StoreError};
use crate::text::listed;

/// The most images of an index that is made here.
const MAX_IMAGES: usize = 1000;

/// The annotation with which buildx names the image that a manifest attests to.
const ATTESTS_TO: &str = "vnd.docker.reference.digest";

/// What an index became.
#[derive(Debug, Clone)]
pub struct IndexOutcome {
    /// Its name.
    pub name: Reference,
    /// The index.
    pub document: Document,
    /// Images that came in, by what was asked for.
    pub added: Vec<Descriptor>,
    /// Images that went out, because another came for their platform or because they were removed.
    pub removed: Vec<Descriptor>,
    /// Indexes and images that lost their last name to this one.
    pub replaced: Vec<Digest>,
}

/// Why there is no such index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The store's reason.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The name stands for a single image.
    #[error("`{0}` is an image and not an index")]
    NotAnIndex(String),
    /// The name says which content it wants.
    #[error("`{0}` has a digest, which changes with the index")]
    DigestInName(Reference),
    /// Two images for one platform.
    #[error("`{first}` and `{second}` are both for {platform}")]
    PlatformTwice {
        /// The platform.
        platform: String,
        /// The image that came first.
        first: String,
        /// The other one.
        second: String,
    },
    /// Nothing in the index fits.
    #[error("`{name}` has nothing for `{wanted}` (it has {})", listed(available, "nothing"))]
    NothingFits {
        /// The index.
        name: String,
        /// What was to be removed.
        wanted: String,
        /// What there is.
        available: Vec<String>,
    },
    /// Several images are for what was named, each for another version of its operating system.
    #[error("`{wanted}` fits several images of `{name}`: {}", listed(found, "none"))]
    Several {
        /// The index.
        name: String,
        /// What was to be removed.
        wanted: String,
        /// The platforms it fits.
        found: Vec<String>,
    },
    /// Nothing would be left.
    #[error("nothing would be left in `{0}`")]
    Empty(String),
    /// An artifact, whose configuration says no platform.
    #[error("`{0}` says no platform")]
    NoPlatform(String),
    /// More images than an index may have.
    #[error("an index may have at most {MAX_IMAGES} images")]
    TooMany,
}

/// Makes an index of images and gives it a name, whatever had it before. Of an index, all its images are taken.
///
/// `created` is the RFC 3339 wall-clock time, noted with the name only.
pub fn create(
    store: &ImageStore,
    name: &Reference,
    images: &[String],
    created: &str,
) -> Result<IndexOutcome, IndexError> {
    let lease = store.lease()?;
    let name = named(name)?;
    let mut added: Vec<Descriptor> = Vec::new();
    let (mut platforms, mut digests) = (BTreeMap::new(), BTreeSet::new());
    for image in images {
        for descriptor in children(store, image)? {
            let own = own_platform(&descriptor);
            if let Some(first) = own.as_ref().and_then(|own| platforms.get(own)).cloned() {
                let platform = descriptor.platform.as_ref().map(Platform::full).unwrap_or_default();
                return Err(IndexError::PlatformTwice { platform, first, second: image.clone() });
            }
            if digests.insert(descriptor.digest) {
                platforms.extend(own.map(|own| (own, image.clone())));
                added.push(descriptor);
            }
        }
        check_count(added.len())?;
    }
    let index = Index { manifests: added.clone(), ..Index::default() };
    publish(store, &lease, name, index, created).map(|outcome| IndexOutcome { added, ..outcome })
}

/// Adds images to an index; what was there for the same platform goes.
pub fn add(store: &ImageStore, name: &Reference, images: &[String], created: &str) -> Result<IndexOutcome, IndexError> {
    let lease = store.lease()?;
    let name = named(name)?;
    let mut index = existing(store, &name)?;
    check_count(index.manifests.len())?;
    let platforms = index.manifests.iter().map(|entry| Ok(own_platform(&with_platform(store, entry.clone())?)));
    let mut platforms = platforms.collect::<Result<Vec<Option<Platform>>, StoreError>>()?;
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for image in images {
        for descriptor in children(store, image)? {
            let own = own_platform(&descriptor);
            let place = own.as_ref().and_then(|own| platforms.iter().position(|other| other.as_ref() == Some(own)));
            let place = place.or_else(|| index.manifests.iter().position(|other| other.digest == descriptor.digest));
            match place {
                Some(place) if index.manifests[place].digest == descriptor.digest => continue,
                Some(place) => {
                    platforms[place] = own;
                    removed.push(std::mem::replace(&mut index.manifests[place], descriptor.clone()));
                }
                None => {
                    platforms.push(own);
                    index.manifests.push(descriptor.clone());
                }
            }
            added.push(descriptor);
        }
        check_count(index.manifests.len())?;
    }
    publish(store, &lease, name, index, created).map(|outcome| IndexOutcome { added, removed, ..outcome })
}

/// Removes images from an index, by their platform or by their digest.
pub fn remove(
    store: &ImageStore,
    name: &Reference,
    wanted: &[String],
    created: &str,
) -> Result<IndexOutcome, IndexError> {
    let lease = store.lease()?;
    let name = named(name)?;
    let mut index = existing(store, &name)?;
    let mut removed = Vec::new();
    for text in wanted {
        let before = removed.len();
        let entries = index.manifests.iter().map(|entry| with_platform(store, entry.clone()));
        let entries = entries.collect::<Result<Vec<Descriptor>, StoreError>>()?;
        let fitting = fitting(&entries, text).map_err(|found| IndexError::Several {
            name: name.to_string(),
            wanted: text.chars().take(120).collect(),
            found,
        })?;
        for place in fitting.into_iter().rev() {
            index.manifests.remove(place);
            removed.insert(before, entries[place].clone());
        }
        // What attests to an image is of no use without it.
        let gone: BTreeSet<String> = removed.iter().map(|image: &Descriptor| image.digest.to_string()).collect();
        index.manifests.retain(|child| child.annotation(ATTESTS_TO).is_none_or(|digest| !gone.contains(digest)));
        if removed.len() == before {
            let shown =
                |child: &Descriptor| child.platform.as_ref().map_or_else(|| child.digest.to_string(), Platform::full);
            let available = entries.iter().map(shown).collect();
            return Err(IndexError::NothingFits {
                name: name.to_string(),
                wanted: text.chars().take(120).collect(),
                available,
            });
        }
    }
    if index.manifests.is_empty() {
        return Err(IndexError::Empty(name.to_string()));
    }
    publish(store, &lease, name, index, created).map(|outcome| IndexOutcome { removed, ..outcome })
}

fn named(name: &Reference) -> Result<Reference, IndexError> {
    match name.digest() {
        Some(_) => Err(IndexError::DigestInName(name.clone())),
        None => Ok(name.clone().with_default_tag()),
    }
}

fn existing(store: &ImageStore, name: &Reference) -> Result<Index, IndexError> {
    let selection = store.resolve(&name.to_string())?;
    match store.document(&selection.descriptor)?.content {
        Content::Index(index) => Ok(index),
        Content::Manifest(_) => Err(IndexError::NotAnIndex(name.to_string())),
    }
}

/// Returns the entries that an image makes: its own, or those of an index.
fn children(store: &ImageStore, image: &str) -> Result<Vec<Descriptor>, IndexError> {
    let selection = store.resolve(image)?;
    let document = store.document(&selection.descriptor)?;
    if let Content::Index(index) = document.content {
        let mut entries = Vec::new();
        flatten(store, index, 0, &mut entries)?;
        return Ok(entries);
    }
    let entry = with_platform(store, document.descriptor)?;
    if entry.platform.as_ref().is_none_or(|platform| platform.os.is_empty() || platform.architecture.is_empty()) {
        return Err(IndexError::NoPlatform(image.to_owned()));
    }
    Ok(vec![entry])
}

/// Takes the entries of an index and, in their place, those of indexes inside it; each says its platform.
fn flatten(store: &ImageStore, index: Index, depth: usize, entries: &mut Vec<Descriptor>) -> Result<(), IndexError> {
    for entry in index.manifests {
        if !media_type::is_index(&entry.media_type) {
            entries.push(with_platform(store, entry)?);
            check_count(entries.len())?;
            continue;
        }
        if depth == MAX_NESTING {
            return Err(StoreError::Nesting(entry.digest).into());
        }
        match store.document(&entry)?.content {
            Content::Index(index) => flatten(store, index, depth + 1, entries)?,
            Content::Manifest(_) => entries.push(entry),
        }
    }
    Ok(())
}

/// Returns the entry with the platform that its image's configuration says, where the entry has none.
fn with_platform(store: &ImageStore, entry: Descriptor) -> Result<Descriptor, StoreError> {
    if entry.platform.is_some() || is_attestation(&entry) {
        return Ok(entry);
    }
    let platform = store.platform_of(&entry)?;
    Ok(Descriptor { platform, ..entry })
}

/// Returns the platform that no other entry may have. Attestations are for none (`unknown`), and go with their image.
fn own_platform(descriptor: &Descriptor) -> Option<Platform> {
    descriptor.platform.as_ref().filter(|platform| platform.os != "unknown").map(Platform::normalised)
}

/// Entries are compared with each other, so that their number is checked first.
fn check_count(images: usize) -> Result<(), IndexError> {
    if images > MAX_IMAGES { Err(IndexError::TooMany) } else { Ok(()) }
}

/// Returns the places of the entries that a digest or a platform means exactly; the platforms, where one without a
/// version or features fits entries for several.
fn fitting(entries: &[Descriptor], wanted: &str) -> Result<Vec<usize>, Vec<String>> {
    let places = |fits: &dyn Fn(&Descriptor) -> bool| -> Vec<usize> {
        entries.iter().enumerate().filter(|(_, entry)| fits(entry)).map(|(place, _)| place).collect()
    };
    if let Ok(digest) = wanted.parse::<Digest>() {
        return Ok(places(&|entry| entry.digest == digest));
    }
    let Ok(wanted) = wanted.parse::<Platform>() else { return Ok(Vec::new()) };
    let exact = wanted.normalised();
    let exactly = places(&|entry| entry.platform.as_ref().is_some_and(|platform| platform.normalised() == exact));
    if !exactly.is_empty() {
        return Ok(exactly);
    }
    let same = places(&|entry| entry.platform.as_ref().is_some_and(|platform| wanted.is_same(platform)));
    let platforms: BTreeSet<String> =
        same.iter().filter_map(|place| Some(entries[*place].platform.as_ref()?.full())).collect();
    if platforms.len() > 1 { Err(platforms.into_iter().collect()) } else { Ok(same) }
}

fn publish(
    store: &ImageStore,
    lease: &Lease,
    name: Reference,
    index: Index,
    created: &str,
) -> Result<IndexOutcome, IndexError> {
    check_count(index.manifests.len())?;
    let document = Document::from_index(index);
    store.put(lease, &document.descriptor.media_type, &document.bytes)?;
    let replaced = store.publish(lease, &document, std::slice::from_ref(&name), Some(created))?;
    Ok(IndexOutcome { name, document, added: Vec::new(), removed: Vec::new(), replaced })
}

#[cfg(test)]
mod tests;
