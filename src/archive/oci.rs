//! Images of an OCI layout in an archive (image-spec, "Image Layout").

use std::collections::BTreeMap;

use super::contents::Contents;
use super::load::{Found, reference};
use super::{ArchiveError, blob_path};
use crate::image::{Content, Descriptor, Digest, Document, Index, LayoutMarker, annotation};
use crate::store::{ImageStore, StoreError};

/// Where containerd, buildx and Docker put the full name; their `ref.name` is the tag alone.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// Fails for a layout of a version we do not know.
pub(super) fn check_layout(contents: &Contents) -> Result<(), ArchiveError> {
    match contents.document::<LayoutMarker>("oci-layout")? {
        Some(marker) if marker.image_layout_version != "1.0.0" => {
            Err(ArchiveError::LayoutVersion(marker.image_layout_version.chars().take(40).collect()))
        }
        _ => Ok(()),
    }
}

/// Indexes may hold indexes this deep.
const MAX_NESTING: usize = 4;

/// The images of `index.json`, each with everything below it in the store.
pub(super) fn images(store: &ImageStore, index: &Index) -> Result<Vec<Found>, ArchiveError> {
    let mut found: Vec<Found> = Vec::new();
    let mut search = Search::new(store);
    for descriptor in &index.manifests {
        if let Some(missing) = search.missing(descriptor, 0)? {
            return Err(ArchiveError::Missing(blob_path(missing)));
        }
        let name = descriptor.annotation(CONTAINERD_NAME).or_else(|| descriptor.annotation(annotation::REF_NAME));
        let names = name.map(reference).transpose()?.into_iter();
        match found.iter_mut().find(|image| image.document.digest() == descriptor.digest) {
            Some(image) => image.names.extend(names),
            None => found.push(Found { document: store.document(descriptor)?, names: names.collect() }),
        }
    }
    Ok(found)
}

/// What of `index.json` stands for the image with a configuration: the whole entry where everything
/// below it is there, else the manifest alone, as Docker saves one platform of an index together with the index that
/// names them all.
pub(super) fn by_config(store: &ImageStore, index: &Index) -> Result<BTreeMap<Digest, Descriptor>, ArchiveError> {
    let mut configs = BTreeMap::new();
    let mut search = Search::new(store);
    for descriptor in &index.manifests {
        let is_whole = search.missing(descriptor, 0)?.is_none();
        for (config, manifest) in search.manifests.drain(..) {
            let image = if is_whole { descriptor } else { &manifest };
            configs.entry(config).or_insert_with(|| image.clone());
        }
    }
    Ok(configs)
}

/// A search for what is below images, which reads each document once, however many images have it.
struct Search<'a> {
    store: &'a ImageStore,
    /// For each document, the first blob below that is not stored.
    known: BTreeMap<Digest, Option<Digest>>,
    /// Whole manifests, found since the list was last emptied, each with its configuration.
    manifests: Vec<(Digest, Descriptor)>,
}

impl<'a> Search<'a> {
    fn new(store: &'a ImageStore) -> Self {
        Self { store, known: BTreeMap::new(), manifests: Vec::new() }
    }

    /// The first blob that is missing of what is below a document; all of it is looked at.
    fn missing(&mut self, descriptor: &Descriptor, depth: usize) -> Result<Option<Digest>, StoreError> {
        if depth > MAX_NESTING {
            return Err(StoreError::Nesting(descriptor.digest));
        }
        if let Some(known) = self.known.get(&descriptor.digest) {
            return Ok(*known);
        }
        let missing = match self.store.document(descriptor) {
            Err(StoreError::MissingBlob(digest)) => Some(digest),
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
                for child in &index.manifests {
                    first = first.or(self.missing(child, depth + 1)?);
                }
            }
            Content::Manifest(manifest) => {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Manifest, media_type};

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
}
