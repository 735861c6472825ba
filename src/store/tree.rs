//! A stored image with all its documents and blobs.

use std::collections::BTreeSet;

use super::{ImageStore, StoreError};
use crate::image::{
    Answer, Choice, Content, Descriptor, Digest, Document, DocumentError, ImageConfig, Index, MAX_NESTING, Manifest,
    NoChoice, Platform, is_attestation, media_type, strict,
};

/// A document and everything it refers to, in the order in which a registry must receive them.
#[derive(Debug, Clone)]
pub struct ImageTree {
    /// Configurations and layers, each once.
    pub blobs: Vec<Descriptor>,
    /// Manifests and indexes, children before parents; the root is last.
    pub documents: Vec<Document>,
    /// Descriptors of an index whose content is not stored.
    pub absent: Vec<Descriptor>,
}

/// Which content may be missing below an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Only content of unknown types.
    Whole,
    /// Any content: another tool may have fetched a single platform.
    Stored,
}

impl ImageTree {
    /// Returns the manifest or index the tree was read from.
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
        let documents = index.manifests.iter().filter(|child| media_type::is_document(&child.media_type));
        for child in documents {
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
        strict::check::<ImageConfig>(&bytes).map_err(|source| StoreError::config(config, source))
    }

    /// Reads everything below a manifest or index; blobs are checked for presence and size. What an index refers to by
    /// a type that is no document's is a blob like a layer.
    ///
    /// # Errors
    /// [`StoreError::NotADocument`] for an entry that is neither a manifest nor an index.
    pub fn tree(&self, descriptor: &Descriptor) -> Result<ImageTree, StoreError> {
        self.check_document(descriptor)?;
        self.collected(descriptor, Extent::Whole)
    }

    /// Fails for an entry that is neither a manifest nor an index.
    pub fn check_document(&self, descriptor: &Descriptor) -> Result<(), StoreError> {
        if !self.is_leaf(descriptor) {
            return Ok(());
        }
        let media_type = crate::text::plain(&descriptor.media_type, 120);
        match self.document(descriptor) {
            // This is an image, with an error and a hint of its own.
            Err(error @ StoreError::Document { source: DocumentError::SchemaVersion(_), .. }) => Err(error),
            _ => Err(StoreError::NotADocument { digest: descriptor.digest, media_type }),
        }
    }

    /// Reads what is stored below an entry, as [`Self::tree`] does. What an index lacks is in [`ImageTree::absent`]; an
    /// entry that is no document is a blob alone.
    pub fn stored_tree(&self, descriptor: &Descriptor) -> Result<ImageTree, StoreError> {
        if self.is_leaf(descriptor) {
            self.check_blob(descriptor)?;
            return Ok(ImageTree { blobs: vec![descriptor.clone()], documents: Vec::new(), absent: Vec::new() });
        }
        self.collected(descriptor, Extent::Stored)
    }

    /// Returns whether an entry is neither a manifest nor an index: its type is no document's, and its content is none
    /// either.
    pub fn is_leaf(&self, descriptor: &Descriptor) -> bool {
        !media_type::is_document(&descriptor.media_type)
            && !matches!(self.document(descriptor), Ok(_) | Err(StoreError::MissingBlob(_)))
    }

    fn collected(&self, descriptor: &Descriptor, extent: Extent) -> Result<ImageTree, StoreError> {
        let mut tree = ImageTree { blobs: Vec::new(), documents: Vec::new(), absent: Vec::new() };
        let mut seen = BTreeSet::new();
        self.collect(descriptor, &mut tree, &mut seen, (0, extent))?;
        Ok(tree)
    }

    fn collect(
        &self,
        descriptor: &Descriptor,
        tree: &mut ImageTree,
        seen: &mut BTreeSet<Digest>,
        (depth, extent): (usize, Extent),
    ) -> Result<(), StoreError> {
        if depth > MAX_NESTING {
            return Err(StoreError::Nesting(descriptor.digest));
        }
        let may_lack = depth > 0 && extent == Extent::Stored;
        let document = match self.document(descriptor) {
            Err(StoreError::MissingBlob(_)) if may_lack => {
                tree.absent.push(descriptor.clone());
                return Ok(());
            }
            document => document?,
        };
        match &document.content {
            Content::Manifest(manifest) => {
                self.check_config(&manifest.config)?;
                for blob in manifest.blobs() {
                    match self.check_blob(blob) {
                        Err(StoreError::MissingBlob(_)) if may_lack => tree.absent.push(blob.clone()),
                        checked => {
                            checked?;
                            if seen.insert(blob.digest) {
                                tree.blobs.push(blob.clone());
                            }
                        }
                    }
                }
            }
            Content::Index(index) => {
                for child in &index.manifests {
                    if !seen.insert(child.digest) {
                        continue;
                    }
                    if media_type::is_document(&child.media_type) {
                        self.collect(child, tree, seen, (depth + 1, extent))?;
                        continue;
                    }
                    match self.check_blob(child) {
                        Err(StoreError::MissingBlob(_)) => tree.absent.push(child.clone()),
                        checked => {
                            checked?;
                            tree.blobs.push(child.clone());
                        }
                    }
                }
            }
        }
        tree.documents.push(document);
        Ok(())
    }

    /// Fails unless the images below `documents` can be listed: each has a configuration that can be read.
    ///
    /// Each document is read once, however many others need it.
    pub fn check_configs<'a>(&self, documents: impl IntoIterator<Item = &'a Document>) -> Result<(), StoreError> {
        let mut seen = BTreeSet::new();
        let mut pending: Vec<Descriptor> = Vec::new();
        let mut look = |document: &Document, pending: &mut Vec<Descriptor>| match &document.content {
            Content::Manifest(manifest) if manifest.artifact_kind().is_some() => Ok(()),
            Content::Manifest(manifest) => self.config(manifest).map(drop),
            Content::Index(index) => {
                let documents = index.manifests.iter().filter(|child| media_type::is_document(&child.media_type));
                pending.extend(documents.filter(|child| seen.insert(child.digest)).cloned());
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

    /// Returns the configuration of a manifest: its exact bytes and what they say.
    pub fn config(&self, manifest: &Manifest) -> Result<(Vec<u8>, ImageConfig), StoreError> {
        let bytes = self.read_document(&manifest.config)?;
        let config = strict::from_slice(&bytes).map_err(|source| StoreError::config(&manifest.config, source))?;
        Ok((bytes, config))
    }

    /// Returns the image that a descriptor names; of an index, the one that suits `platform` best or, without a
    /// platform, the first one.
    ///
    /// # Errors
    /// [`StoreError::Platform`] where there is no image for the platform.
    pub fn image(&self, name: &str, descriptor: &Descriptor, platform: Option<&Platform>) -> Result<Image, StoreError> {
        let (document, manifest) = self.manifest(name, descriptor, platform)?;
        let (config_bytes, config) = self.config(&manifest)?;
        // An index's platform fields take precedence; a single image has its platform in its configuration.
        let is_alone = document.digest() == descriptor.digest && !config.architecture.is_empty();
        let found = config.platform().without_features();
        if let Some(wanted) = platform.filter(|wanted| is_alone && !wanted.accepts(&found)) {
            return Err(no_platform(name, Some(wanted), &[found]));
        }
        Ok(Image { document, manifest, config_bytes, config })
    }

    /// Returns the manifest of what [`Self::image`] answers, which need not be an image.
    pub fn manifest(
        &self,
        name: &str,
        descriptor: &Descriptor,
        platform: Option<&Platform>,
    ) -> Result<(Document, Manifest), StoreError> {
        self.check_document(descriptor)?;
        let mut document = self.document(descriptor)?;
        if let Content::Index(index) = &document.content {
            let chosen = self.choose(name, index, platform)?;
            document = self.document(&chosen)?;
        }
        let Some(manifest) = document.manifest().cloned() else {
            return Err(StoreError::Nesting(descriptor.digest));
        };
        Ok((document, manifest))
    }

    /// Chooses an image of an index, one that is stored where there is one.
    fn choose(&self, name: &str, index: &Index, platform: Option<&Platform>) -> Result<Descriptor, StoreError> {
        let is_stored = |entry: &&Descriptor| self.blob_size(entry.digest).is_ok_and(|size| size.is_some());
        let stored = index.manifests.iter().filter(is_stored).cloned().collect();
        let among = |index: &Index| {
            let mut choice = Choice::new(index, platform);
            while let Some(needed) = choice.needed() {
                choice.answer(self.answer(&needed)?);
            }
            Ok::<_, StoreError>(choice.choose())
        };
        let chosen = match among(&Index { manifests: stored, ..index.clone() })? {
            // A blob that is not stored is reported by its name, or as missing.
            Err(_) => among(index)?,
            chosen => chosen,
        };
        match chosen {
            Ok(chosen) => Ok(chosen),
            Err(NoChoice::Nesting(digest)) => Err(StoreError::Nesting(digest)),
            Err(NoChoice::Platform(available)) => Err(no_platform(name, platform, &available)),
        }
    }

    /// Returns the entries of an index that are images of containers, those of indexes inside it in their place.
    pub fn images_of(&self, index: &Index) -> Result<Vec<Descriptor>, StoreError> {
        let mut images = Vec::new();
        self.add_images(index, 0, &mut images)?;
        Ok(images)
    }

    fn add_images(&self, index: &Index, depth: usize, images: &mut Vec<Descriptor>) -> Result<(), StoreError> {
        for entry in index.manifests.iter().filter(|entry| !is_attestation(entry)) {
            if !media_type::is_document(&entry.media_type) {
                continue;
            }
            match self.document(entry)?.content {
                Content::Index(_) if depth == MAX_NESTING => return Err(StoreError::Nesting(entry.digest)),
                Content::Index(inner) => self.add_images(&inner, depth + 1, images)?,
                Content::Manifest(manifest) if manifest.artifact_kind().is_some() => {}
                Content::Manifest(_) => images.push(entry.clone()),
            }
        }
        Ok(())
    }

    /// Returns the platform of an entry of an index: its own or, where it says none, that of its image. Artifacts and
    /// indexes have none, nor does what is not stored.
    pub fn platform_of(&self, entry: &Descriptor) -> Result<Option<Platform>, StoreError> {
        if entry.platform.is_some() || !media_type::is_manifest(&entry.media_type) {
            return Ok(entry.platform.clone());
        }
        match self.answer(entry)? {
            Answer::Image(platform) => Ok(Some(platform)),
            Answer::Index(_) | Answer::Other => Ok(None),
        }
    }

    /// Examines an entry of an index that has no platform.
    fn answer(&self, entry: &Descriptor) -> Result<Answer, StoreError> {
        let document = match self.document(entry) {
            Err(StoreError::MissingBlob(_)) => return Ok(Answer::Other),
            document => document?,
        };
        let manifest = match document.content {
            Content::Index(index) => return Ok(Answer::Index(index)),
            Content::Manifest(manifest) => manifest,
        };
        if manifest.artifact_kind().is_some() {
            return Ok(Answer::Other);
        }
        match self.config(&manifest) {
            Err(StoreError::MissingBlob(_)) => Ok(Answer::Other),
            config => Ok(Answer::Image(config?.1.platform())),
        }
    }
}

fn no_platform(name: &str, wanted: Option<&Platform>, available: &[Platform]) -> StoreError {
    StoreError::Platform {
        name: name.to_owned(),
        wanted: wanted.map_or_else(|| "any platform".to_owned(), Platform::full),
        available: available.iter().map(Platform::full).collect(),
    }
}
