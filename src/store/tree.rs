//! A stored image with everything that belongs to it.

use std::collections::BTreeSet;

use super::{ImageStore, StoreError};
use crate::image::{
    Content, Descriptor, Digest, Document, DocumentError, ImageConfig, Manifest, Platform, media_type, strict,
};

/// Indexes may hold indexes; nobody nests deeper than this.
const MAX_NESTING: usize = 4;

/// A document and all it refers to, in the order in which a registry must receive it.
#[derive(Debug, Clone)]
pub struct ImageTree {
    /// Configurations and layers, each once.
    pub blobs: Vec<Descriptor>,
    /// Manifests and indexes, children before parents; the root is last.
    pub documents: Vec<Document>,
}

impl ImageTree {
    /// The manifest or index the tree was read from.
    pub fn root(&self) -> &Document {
        self.documents.last().expect("a tree is built around its root")
    }
}

/// One image: its manifest and parsed configuration.
#[derive(Debug, Clone)]
pub struct Image {
    /// The manifest's document.
    pub document: Document,
    /// The manifest.
    pub manifest: Manifest,
    /// The configuration's exact bytes.
    pub config_bytes: Vec<u8>,
    /// The configuration.
    pub config: ImageConfig,
}

impl ImageStore {
    /// Reads the manifest or index a descriptor names.
    pub fn document(&self, descriptor: &Descriptor) -> Result<Document, StoreError> {
        let bytes = self.read_document(descriptor)?;
        Document::parse(Some(&descriptor.media_type), bytes)
            .map_err(|source| StoreError::Document { digest: descriptor.digest, source })
    }

    /// Checks the documents that documents need: what readers would take differently never gets a name and is never
    /// sent. Documents that are not stored are left to the other checks, as are configurations of other types.
    ///
    /// Each document is read once, however many others need it.
    pub fn check_documents<'a>(&self, documents: impl IntoIterator<Item = &'a Document>) -> Result<(), StoreError> {
        let mut seen = BTreeSet::new();
        for document in documents {
            if seen.insert(document.digest()) {
                self.check_below(document, &mut seen, 0)?;
            }
        }
        Ok(())
    }

    fn check_below(&self, document: &Document, seen: &mut BTreeSet<Digest>, depth: usize) -> Result<(), StoreError> {
        let index = match &document.content {
            Content::Manifest(manifest) => return self.check_config(&manifest.config),
            Content::Index(index) => index,
        };
        for child in &index.manifests {
            if depth == MAX_NESTING {
                return Err(StoreError::Nesting(child.digest));
            }
            if seen.insert(child.digest) {
                match self.document(child) {
                    Ok(document) => self.check_below(&document, seen, depth + 1)?,
                    Err(StoreError::MissingBlob(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn check_config(&self, config: &Descriptor) -> Result<(), StoreError> {
        if !media_type::is_config(&config.media_type) {
            return Ok(());
        }
        let bytes = match self.read_document(config) {
            Err(StoreError::MissingBlob(_)) => return Ok(()),
            bytes => bytes?,
        };
        strict::check::<ImageConfig>(&bytes).map_err(|source| invalid(config, source))
    }

    /// Reads everything below a manifest or index; blobs are checked for presence and size.
    pub fn tree(&self, descriptor: &Descriptor) -> Result<ImageTree, StoreError> {
        let mut tree = ImageTree { blobs: Vec::new(), documents: Vec::new() };
        let mut seen = BTreeSet::new();
        self.collect(descriptor, &mut tree, &mut seen, 0)?;
        Ok(tree)
    }

    fn collect(
        &self,
        descriptor: &Descriptor,
        tree: &mut ImageTree,
        seen: &mut BTreeSet<Digest>,
        depth: usize,
    ) -> Result<(), StoreError> {
        if depth > MAX_NESTING {
            return Err(StoreError::Nesting(descriptor.digest));
        }
        let document = self.document(descriptor)?;
        match &document.content {
            Content::Manifest(manifest) => {
                self.check_config(&manifest.config)?;
                for blob in manifest.blobs() {
                    self.check_blob(blob)?;
                    if seen.insert(blob.digest) {
                        tree.blobs.push(blob.clone());
                    }
                }
            }
            Content::Index(index) => {
                for child in &index.manifests {
                    if seen.insert(child.digest) {
                        self.collect(child, tree, seen, depth + 1)?;
                    }
                }
            }
        }
        tree.documents.push(document);
        Ok(())
    }

    /// The configurations of a tree's images, each with its manifest, in the tree's order.
    pub fn configs<'a>(&self, tree: &'a ImageTree) -> Result<Vec<(&'a Manifest, ImageConfig)>, StoreError> {
        let manifests = tree.documents.iter().filter_map(Document::manifest);
        manifests.map(|manifest| Ok((manifest, self.config(manifest)?.1))).collect()
    }

    /// Fails unless the images below `documents` can be listed: each has a configuration that can be read.
    ///
    /// Each document is read once, however many others need it.
    pub fn check_configs<'a>(&self, documents: impl IntoIterator<Item = &'a Document>) -> Result<(), StoreError> {
        let mut seen = BTreeSet::new();
        let mut pending: Vec<Descriptor> = Vec::new();
        let mut look = |document: &Document, pending: &mut Vec<Descriptor>| match &document.content {
            Content::Manifest(manifest) => self.config(manifest).map(drop),
            Content::Index(index) => {
                pending.extend(index.manifests.iter().filter(|child| seen.insert(child.digest)).cloned());
                Ok(())
            }
        };
        for document in documents {
            look(document, &mut pending)?;
            while let Some(child) = pending.pop() {
                look(&self.document(&child)?, &mut pending)?;
            }
        }
        Ok(())
    }

    /// The configuration of a manifest: its exact bytes and what they say.
    fn config(&self, manifest: &Manifest) -> Result<(Vec<u8>, ImageConfig), StoreError> {
        let bytes = self.read_document(&manifest.config)?;
        let config = strict::from_slice(&bytes).map_err(|source| invalid(&manifest.config, source))?;
        Ok((bytes, config))
    }

    /// The image a descriptor stands for; of an index, the one for `platform` or, without a wish,
    /// the first that is not an attestation.
    pub fn image(&self, name: &str, descriptor: &Descriptor, platform: Option<&Platform>) -> Result<Image, StoreError> {
        let (document, manifest) = self.manifest(name, descriptor, platform)?;
        let (config_bytes, config) = self.config(&manifest)?;
        Ok(Image { document, manifest, config_bytes, config })
    }

    /// The manifest of what [`Self::image`] answers, which need not be an image.
    pub fn manifest(
        &self,
        name: &str,
        descriptor: &Descriptor,
        platform: Option<&Platform>,
    ) -> Result<(Document, Manifest), StoreError> {
        let mut document = self.document(descriptor)?;
        for _ in 0..=MAX_NESTING {
            let Content::Index(index) = &document.content else { break };
            let fits = |child: &&Descriptor| match (&child.platform, platform) {
                (Some(has), Some(wanted)) => has.satisfies(wanted),
                (Some(has), None) => has.os != "unknown",
                (None, wanted) => wanted.is_none(),
            };
            let Some(child) = index.manifests.iter().find(fits) else {
                return Err(StoreError::Platform {
                    name: name.to_owned(),
                    wanted: platform.map_or_else(|| "any platform".to_owned(), ToString::to_string),
                    available: index
                        .manifests
                        .iter()
                        .filter_map(|m| m.platform.as_ref())
                        .map(ToString::to_string)
                        .collect(),
                });
            };
            document = self.document(child)?;
        }
        let Some(manifest) = document.manifest().cloned() else {
            return Err(StoreError::Nesting(descriptor.digest));
        };
        Ok((document, manifest))
    }
}

fn invalid(config: &Descriptor, source: serde_json::Error) -> StoreError {
    let media_type = crate::text::plain(&config.media_type, 120);
    StoreError::Document { digest: config.digest, source: DocumentError::Json { media_type, source } }
}
