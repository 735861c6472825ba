//! Images of an OCI layout in an archive (image-spec, "Image Layout").

use std::collections::{BTreeMap, BTreeSet};

use super::contents::Contents;
use super::names::usable;
use super::{ArchiveError, Archived, LoadNote, blob_path};
use crate::image::{
    Content, Descriptor, Digest, Document, Index, LayoutMarker, MAX_NESTING, Platform, Reference, annotation,
    is_attestation, media_type,
};
use crate::store::{ImageStore, Lease, StoreError};

/// Where containerd, buildx and Docker put the full name; their `ref.name` is the tag alone.
pub(super) const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// Fails for a layout of a version we do not know.
pub(super) fn check_layout(contents: &Contents) -> Result<(), ArchiveError> {
    match contents.document::<LayoutMarker>("oci-layout")? {
        Some(marker) if marker.image_layout_version != "1.0.0" => {
            Err(ArchiveError::LayoutVersion(marker.image_layout_version.chars().take(40).collect()))
        }
        _ => Ok(()),
    }
}

/// The annotation with which buildx names the image that a manifest attests to.
const ATTESTS_TO: &str = "vnd.docker.reference.digest";

/// Returns the images of `index.json` of which everything is in the store. Of an index that is there in part, the
/// images that are whole are kept: one alone as it is, several as an index of them.
pub(super) fn images(store: &ImageStore, lease: &Lease, index: &Index) -> Result<Archived, ArchiveError> {
    let mut archived = Archived::default();
    let mut search = Search::new(store);
    let mut first_missing = None;
    for descriptor in &index.manifests {
        let given = name_of(descriptor);
        let shown = given.and_then(usable).map_or_else(|| descriptor.digest.to_string(), |name| name.to_string());
        if store.is_leaf(descriptor) {
            match store.check_blob(descriptor) {
                Err(StoreError::MissingBlob(_)) => archived.notes.push(LoadNote::Absent { image: shown }),
                checked => {
                    checked?;
                    let names = archived.names(given, descriptor.digest);
                    archived.add_leaf(descriptor, names);
                }
            }
            continue;
        }
        let Some(missing) = search.missing(descriptor, 0)? else {
            let names = archived.names(given, descriptor.digest);
            archived.add(store.document(descriptor)?, names);
            continue;
        };
        first_missing.get_or_insert(missing);
        let Some((kept, note)) = search.kept(lease, descriptor, &shown)? else {
            archived.notes.push(LoadNote::Absent { image: shown });
            continue;
        };
        archived.notes.push(note);
        let names = archived.names(given, kept.digest);
        archived.add(store.document(&kept)?, names);
    }
    match first_missing.filter(|_| archived.images.is_empty() && archived.leaves.is_empty()) {
        Some(missing) => Err(ArchiveError::Missing(blob_path(missing))),
        None => Ok(archived),
    }
}

/// Returns the name of an image: containerd's, unless that is the name beside it with what Docker leaves unsaid.
fn name_of(descriptor: &Descriptor) -> Option<&str> {
    let short = descriptor.annotation(annotation::REF_NAME);
    let Some(full) = descriptor.annotation(CONTAINERD_NAME) else { return short };
    let is_same = |short: &&str| {
        short.parse::<Reference>().is_ok_and(|reference| canonical(&reference.with_default_tag()) == full)
    };
    short.filter(is_same).or(Some(full))
}

/// What `index.json` says about the images of a `manifest.json` beside it.
pub(super) struct Originals<'a> {
    /// What stands for the image with a configuration: the whole entry where everything below it is there, else the
    /// manifest alone, as Docker saves one platform of an index together with the index that names them all.
    pub(super) by_config: BTreeMap<Digest, Descriptor>,
    names: BTreeMap<String, BTreeSet<Digest>>,
    search: Search<'a>,
}

impl<'a> Originals<'a> {
    pub(super) fn read(store: &'a ImageStore, index: &Index) -> Result<Self, ArchiveError> {
        let mut originals = Self { by_config: BTreeMap::new(), names: BTreeMap::new(), search: Search::new(store) };
        for descriptor in &index.manifests {
            let is_whole = originals.search.missing(descriptor, 0)?.is_none();
            for (config, manifest) in originals.search.manifests.drain(..) {
                let image = if is_whole { descriptor } else { &manifest };
                originals.by_config.entry(config).or_insert_with(|| image.clone());
            }
            if let Some(name) = descriptor.annotation(CONTAINERD_NAME).and_then(usable) {
                originals.names.entry(canonical(&name)).or_default().insert(descriptor.digest);
            }
        }
        Ok(originals)
    }

    /// Fails where `index.json` gives one of the names to an image without the configuration that `manifest.json` gives it to:
    /// containerd reads the one file, other engines the other.
    pub(super) fn check_names(&self, names: &[Reference], config: Digest) -> Result<(), ArchiveError> {
        // Searched once, however many names the image has.
        let above = self.search.above(config);
        for name in names.iter().collect::<BTreeSet<_>>() {
            let images = self.names.get(&canonical(name));
            if images.into_iter().flatten().any(|image| !above.contains(image)) {
                return Err(ArchiveError::NameDiffers(name.to_string()));
            }
        }
        Ok(())
    }
}

/// Returns the name as containerd writes it: Docker leaves its own registry unsaid.
pub(super) fn canonical(name: &Reference) -> String {
    let text = name.to_string();
    match (name.registry(), name.repository().contains('/')) {
        (None, false) => format!("docker.io/library/{text}"),
        (None, true) => format!("docker.io/{text}"),
        (Some("docker.io"), false) => text.replacen("docker.io/", "docker.io/library/", 1),
        (Some(_), _) => text,
    }
}

/// A search for what is below images, which reads each document once, however many images have it.
pub(super) struct Search<'a> {
    store: &'a ImageStore,
    /// For each document, the first blob below that is not stored.
    known: BTreeMap<Digest, Option<Digest>>,
    /// Whole manifests, found since the list was last emptied, each with its configuration.
    manifests: Vec<(Digest, Descriptor)>,
    /// The documents that name a document or, of manifests, a configuration.
    parents: BTreeMap<Digest, BTreeSet<Digest>>,
    /// What is kept of documents that are there in part.
    reduced: BTreeMap<Digest, Option<Descriptor>>,
}

impl<'a> Search<'a> {
    fn new(store: &'a ImageStore) -> Self {
        Self {
            store,
            known: BTreeMap::new(),
            manifests: Vec::new(),
            parents: BTreeMap::new(),
            reduced: BTreeMap::new(),
        }
    }

    /// Returns the first blob that is missing of what is below a document; all of it is looked at.
    fn missing(&mut self, descriptor: &Descriptor, depth: usize) -> Result<Option<Digest>, StoreError> {
        if depth > MAX_NESTING {
            return Err(StoreError::Nesting(descriptor.digest));
        }
        if let Some(known) = self.known.get(&descriptor.digest) {
            return Ok(*known);
        }
        let missing = match self.store.document(descriptor) {
            Err(StoreError::MissingBlob(digest)) => Some(digest),
            // A blob of another media type refers to nothing, and no document needs it.
            Err(_) if !media_type::is_document(&descriptor.media_type) => None,
            document => self.missing_below(descriptor, &document?, depth)?,
        };
        self.known.insert(descriptor.digest, missing);
        Ok(missing)
    }

    fn missing_below(
        &mut self,
        descriptor: &Descriptor,
        document: &Document,
        depth: usize,
    ) -> Result<Option<Digest>, StoreError> {
        let mut first = None;
        match &document.content {
            Content::Index(index) => {
                let documents = index.manifests.iter().filter(|child| media_type::is_document(&child.media_type));
                for child in documents {
                    self.parents.entry(child.digest).or_default().insert(descriptor.digest);
                    first = first.or(self.missing(child, depth + 1)?);
                }
            }
            Content::Manifest(manifest) => {
                self.parents.entry(manifest.config.digest).or_default().insert(descriptor.digest);
                for blob in manifest.blobs() {
                    match self.store.check_blob(blob) {
                        Err(StoreError::MissingBlob(digest)) => first = first.or(Some(digest)),
                        checked => checked?,
                    }
                }
                if first.is_none() {
                    self.manifests.push((manifest.config.digest, descriptor.clone()));
                }
            }
        }
        Ok(first)
    }

    /// Returns an index of the images that the archive holds completely, and the note about the missing ones; `None` if
    /// no image is complete.
    fn kept(
        &mut self,
        lease: &Lease,
        descriptor: &Descriptor,
        shown: &str,
    ) -> Result<Option<(Descriptor, LoadNote)>, StoreError> {
        let mut absent = Vec::new();
        let Some(kept) = self.reduce(lease, descriptor, 0, &mut absent)? else { return Ok(None) };
        let Content::Index(index) = self.store.document(&kept)?.content else { return Ok(None) };
        let images: Vec<&Descriptor> = index.manifests.iter().filter(|child| is_image(child)).collect();
        let shown_images = images.iter().map(|image| platform_of(self.store, image)).collect::<Result<_, _>>()?;
        let note = LoadNote::Partial { index: shown.to_owned(), kept: shown_images, absent };
        let kept = match images[..] {
            // Nothing is lost by leaving the index out, and the image has its own digest.
            [image] if media_type::is_manifest(&image.media_type) => image.clone(),
            _ => kept,
        };
        Ok(Some((kept, note)))
    }

    /// Stores indexes without the images that are not whole; none where nothing is left.
    fn reduce(
        &mut self,
        lease: &Lease,
        descriptor: &Descriptor,
        depth: usize,
        absent: &mut Vec<String>,
    ) -> Result<Option<Descriptor>, StoreError> {
        if !media_type::is_document(&descriptor.media_type) && self.store.is_leaf(descriptor) {
            return Ok(self.store.check_blob(descriptor).is_ok().then(|| descriptor.clone()));
        }
        if self.missing(descriptor, depth)?.is_none() {
            return Ok(Some(descriptor.clone()));
        }
        if let Some(known) = self.reduced.get(&descriptor.digest) {
            return Ok(known.clone());
        }
        let content = match self.store.document(descriptor) {
            Err(StoreError::MissingBlob(_)) => None,
            document => Some(document?.content),
        };
        let reduced = match content {
            Some(Content::Index(index)) => self.reduced_index(lease, descriptor, index, depth, absent)?,
            Some(Content::Manifest(_)) | None => {
                if is_image(descriptor) {
                    let platform = descriptor.platform.as_ref().map(Platform::full);
                    absent.push(platform.unwrap_or_else(|| descriptor.digest.to_string()));
                }
                None
            }
        };
        self.reduced.insert(descriptor.digest, reduced.clone());
        Ok(reduced)
    }

    fn reduced_index(
        &mut self,
        lease: &Lease,
        descriptor: &Descriptor,
        index: Index,
        depth: usize,
        absent: &mut Vec<String>,
    ) -> Result<Option<Descriptor>, StoreError> {
        let mut manifests = Vec::new();
        for child in &index.manifests {
            manifests.extend(self.reduce(lease, child, depth + 1, absent)?);
        }
        let images: BTreeSet<String> =
            manifests.iter().filter(|child| is_image(child)).map(|image| image.digest.to_string()).collect();
        if images.is_empty() {
            return Ok(None);
        }
        // What attests to an image is of no use without it.
        manifests.retain(|child| child.annotation(ATTESTS_TO).is_none_or(|image| images.contains(image)));
        let document = Document::from_index(Index { manifests, ..index });
        self.store.put(lease, &document.descriptor.media_type, &document.bytes)?;
        let (platform, annotations) = (descriptor.platform.clone(), descriptor.annotations.clone());
        Ok(Some(Descriptor { annotations, platform, ..document.descriptor }))
    }

    /// Everything that was found above a configuration: its manifests and the indexes that lead to them.
    fn above(&self, config: Digest) -> BTreeSet<Digest> {
        let mut above = BTreeSet::new();
        let mut pending = vec![config];
        while let Some(digest) = pending.pop() {
            let parents = self.parents.get(&digest).into_iter().flatten();
            #[cfg(test)]
            crate::work::add(parents.clone().count());
            pending.extend(parents.filter(|parent| above.insert(**parent)));
        }
        above
    }
}

/// Returns whether an entry of an index is an image or an index of images.
fn is_image(entry: &Descriptor) -> bool {
    media_type::is_document(&entry.media_type) && !is_attestation(entry)
}

/// Returns the platform of an image, for people.
fn platform_of(store: &ImageStore, image: &Descriptor) -> Result<String, StoreError> {
    let platform = store.platform_of(image)?;
    Ok(platform.map_or_else(|| image.digest.to_string(), |platform| platform.full()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Manifest;

    #[test]
    fn documents_that_many_images_have_are_read_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = ImageStore::open(&directory.path().join("images")).expect("a store");
        let lease = store.lease().expect("a lease");
        let keep = |document: &Document| {
            store.put(&lease, &document.descriptor.media_type, &document.bytes).expect("stored");
            document.descriptor.clone()
        };
        let child = |number: u8| {
            let config = store.put(&lease, media_type::IMAGE_CONFIG, &[b'{', b'}', number]).expect("stored");
            keep(&Document::from_manifest(Manifest::new(config, Vec::new(), BTreeMap::new())))
        };
        let index = |manifests: Vec<Descriptor>, note: &str| {
            let annotations = Some(BTreeMap::from([("note".to_owned(), note.to_owned())]));
            keep(&Document::from_index(Index { manifests, annotations, ..Index::default() }))
        };
        let children: Vec<Descriptor> = [b' ', b'\n', b'\t'].into_iter().map(child).collect();
        let shared = index(children.clone(), "shared");
        let roots = ["a", "b", "c"].map(|note| index(vec![shared.clone()], note));
        let mut search = Search::new(&store);
        assert_eq!(search.missing(&roots[0], 0).expect("read"), None);
        assert_eq!(search.manifests.len(), 3);
        // Nothing below is read again: it is not even there any more.
        for descriptor in children.iter().chain([&shared]) {
            std::fs::remove_file(store.blob_path(descriptor.digest)).expect("removed");
        }
        assert_eq!(search.missing(&roots[1], 0).expect("read"), None);
        assert_eq!((search.manifests.len(), search.known.len()), (3, 6));
        let mut search = Search::new(&store);
        assert_eq!(search.missing(&roots[2], 0).expect("read"), Some(shared.digest));
    }

    #[test]
    fn twice_the_names_and_documents_are_twice_the_work() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = ImageStore::open(&directory.path().join("images")).expect("a store");
        let config = Digest::of(b"config");
        let digest = |number: usize| Digest::of(&number.to_be_bytes());
        crate::work::grows_with_size(200, |count| {
            let above: BTreeSet<Digest> = (0..count).map(digest).collect();
            let name = |number: usize| usable(&format!("app:v{number}")).expect("a reference");
            let given: Vec<Reference> = (0..count).map(name).collect();
            let mut search = Search::new(&store);
            search.parents.insert(config, above.clone());
            let names = given.iter().map(|name| (canonical(name), BTreeSet::from([digest(0)]))).collect();
            let originals = Originals { by_config: BTreeMap::new(), names, search };
            originals.check_names(&given, config).expect("the image");
            let elsewhere = originals.check_names(&given[..1], Digest::of(b"other"));
            assert!(matches!(elsewhere, Err(ArchiveError::NameDiffers(name)) if name == "app:v0"));
        });
    }

    #[test]
    fn names_are_compared_as_docker_means_them() {
        for (given, meant) in [
            ("app:v1", "docker.io/library/app:v1"),
            ("team/app:v1", "docker.io/team/app:v1"),
            ("docker.io/app:v1", "docker.io/library/app:v1"),
            ("docker.io/library/app:v1", "docker.io/library/app:v1"),
            ("reg.example/docker.io/app:v1", "reg.example/docker.io/app:v1"),
        ] {
            assert_eq!(canonical(&given.parse().expect("a reference")), meant);
        }
    }
}
