//! Images of an OCI layout in an archive (image-spec, "Image Layout").

use std::collections::{BTreeMap, BTreeSet};

use super::contents::Contents;
use super::load::{Found, reference};
use super::{ArchiveError, blob_path};
use crate::image::{Content, Descriptor, Digest, Index, annotation};
use crate::store::{ImageStore, StoreError};

/// Where containerd, buildx and Docker put the full name; their `ref.name` is the tag alone.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// Fails for a layout of a version we do not know.
pub(super) fn check_layout(contents: &Contents) -> Result<(), ArchiveError> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Marker {
        image_layout_version: String,
    }
    match contents.document::<Marker>("oci-layout")? {
        Some(marker) if marker.image_layout_version != "1.0.0" => {
            Err(ArchiveError::LayoutVersion(marker.image_layout_version.chars().take(40).collect()))
        }
        _ => Ok(()),
    }
}

/// The images of `index.json`, each with everything below it in the store.
pub(super) fn images(store: &ImageStore, index: &Index) -> Result<Vec<Found>, ArchiveError> {
    let mut found: Vec<Found> = Vec::new();
    for descriptor in &index.manifests {
        let mut tree = store.tree(descriptor).map_err(missing)?;
        let document = tree.documents.pop().expect("a tree is built around its root");
        let name = descriptor.annotation(CONTAINERD_NAME).or_else(|| descriptor.annotation(annotation::REF_NAME));
        let names = name.map(reference).transpose()?.into_iter();
        match found.iter_mut().find(|image| image.document.digest() == document.digest()) {
            Some(image) => image.names.extend(names),
            None => found.push(Found { document, names: names.collect() }),
        }
    }
    Ok(found)
}

/// What of `index.json` stands for the image with a configuration: the whole entry where everything
/// below it is there, else the manifest alone.
pub(super) fn by_config(store: &ImageStore, index: &Index) -> Result<BTreeMap<Digest, Descriptor>, ArchiveError> {
    let mut configs = BTreeMap::new();
    for descriptor in &index.manifests {
        match store.tree(descriptor) {
            Ok(tree) => {
                for manifest in tree.documents.iter().filter_map(|document| document.manifest()) {
                    configs.entry(manifest.config.digest).or_insert_with(|| descriptor.clone());
                }
            }
            // Docker saves one platform of an index together with the index that names them all.
            Err(StoreError::MissingBlob(_)) => whole_manifests(store, descriptor, &mut configs)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(configs)
}

fn whole_manifests(
    store: &ImageStore,
    root: &Descriptor,
    configs: &mut BTreeMap<Digest, Descriptor>,
) -> Result<(), ArchiveError> {
    let mut seen = BTreeSet::new();
    let mut pending = vec![root.clone()];
    while let Some(descriptor) = pending.pop() {
        if !seen.insert(descriptor.digest) {
            continue;
        }
        let document = match store.document(&descriptor) {
            Err(StoreError::MissingBlob(_)) => continue,
            document => document?,
        };
        match &document.content {
            Content::Index(index) => pending.extend(index.manifests.iter().cloned()),
            Content::Manifest(manifest) => match store.tree(&descriptor) {
                Ok(_) => {
                    configs.entry(manifest.config.digest).or_insert(descriptor);
                }
                Err(StoreError::MissingBlob(_)) => {}
                Err(error) => return Err(error.into()),
            },
        }
    }
    Ok(())
}

fn missing(error: StoreError) -> ArchiveError {
    match error {
        StoreError::MissingBlob(digest) => ArchiveError::Missing(blob_path(digest)),
        error => error.into(),
    }
}
