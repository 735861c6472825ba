//! Images of Docker's `manifest.json`, turned into OCI manifests over the blobs as they are.

use std::collections::BTreeMap;

use super::contents::{Compression, Contents, Stored};
use super::unpacked::decompress;
use super::{ArchiveError, Archived, DockerImage, oci};
use crate::image::{
    Descriptor, Digest, Document, Hasher, ImageConfig, Index, MAX_DOCUMENT_BYTES, Manifest, media_type, strict,
};
use crate::layer::Format;
use crate::progress::Interrupt;
use crate::store::{ImageStore, Lease};

/// The most bytes that the configurations of all images have together: an archive may name one large one many times.
const MAX_CONFIG_BYTES: u64 = 64 * MAX_DOCUMENT_BYTES;

/// Returns the images of `manifest.json`.
///
/// Newer engines add the OCI layout they keep; where it has the image, its own manifest is taken, so
/// that the digest stays what it was. Elsewhere one is made.
pub(super) fn images(
    store: &ImageStore,
    lease: &Lease,
    contents: &Contents,
    images: &[DockerImage],
    index: Option<&Index>,
    interrupt: &Interrupt,
) -> Result<Archived, ArchiveError> {
    let originals = index.map(|index| oci::Originals::read(store, index)).transpose()?;
    let mut converter = Converter { store, lease, contents, interrupt, diff_ids: BTreeMap::new(), parsed: 0 };
    let mut archived = Archived::default();
    for image in images {
        let config = contents.file(&image.config)?;
        let original = originals.as_ref().and_then(|originals| originals.by_config.get(&config.digest));
        // An archive may name one large image many times.
        let known = original.and_then(|original| {
            archived.images.iter().find(|it| it.document.digest() == original.digest).map(|it| it.document.clone())
        });
        let document = match (known, original) {
            (Some(document), _) => document,
            (None, Some(descriptor)) => store.document(descriptor)?,
            (None, None) => converter.convert(image, config)?,
        };
        let given = image.repo_tags.iter().flatten().map(String::as_str);
        let names = archived.names(given, document.digest());
        if let Some(originals) = &originals {
            originals.check_names(&names, config.digest)?;
        }
        archived.add(document, names);
    }
    Ok(archived)
}

struct Converter<'a> {
    store: &'a ImageStore,
    lease: &'a Lease,
    contents: &'a Contents,
    interrupt: &'a Interrupt,
    /// Digests of compressed layers' tars, by their own digest: images share layers.
    diff_ids: BTreeMap<Digest, Digest>,
    /// Bytes of configurations so far.
    parsed: u64,
}

impl Converter<'_> {
    fn convert(&mut self, image: &DockerImage, config: Stored) -> Result<Document, ArchiveError> {
        if config.size > MAX_DOCUMENT_BYTES {
            return Err(ArchiveError::document_size(&image.config, config.size));
        }
        self.parsed += config.size;
        if self.parsed > MAX_CONFIG_BYTES {
            let path = image.config.clone();
            return Err(ArchiveError::TooLarge { path, size: self.parsed, limit: MAX_CONFIG_BYTES });
        }
        let descriptor = Descriptor::new(media_type::IMAGE_CONFIG, config.digest, config.size);
        let parsed: ImageConfig = strict::from_slice(&self.store.read_document(&descriptor)?)
            .map_err(|source| ArchiveError::Json { path: image.config.clone(), source })?;
        let paths = image.layers.as_deref().unwrap_or_default();
        let diff_ids = &parsed.rootfs.diff_ids;
        if paths.len() != diff_ids.len() {
            return Err(ArchiveError::LayerCount {
                config: image.config.clone(),
                diff_ids: diff_ids.len(),
                layers: paths.len(),
            });
        }
        let layers = paths
            .iter()
            .zip(diff_ids)
            .map(|(path, diff_id)| self.layer(path, *diff_id))
            .collect::<Result<Vec<_>, _>>()?;
        let document = Document::from_manifest(Manifest::new(descriptor, layers, BTreeMap::new()));
        if document.bytes.len() as u64 > MAX_DOCUMENT_BYTES {
            return Err(ArchiveError::document_size(&image.config, document.bytes.len() as u64));
        }
        self.store.put(self.lease, media_type::IMAGE_MANIFEST, &document.bytes)?;
        Ok(document)
    }

    fn layer(&mut self, path: &str, expected: Digest) -> Result<Descriptor, ArchiveError> {
        let stored = self.contents.file(path)?;
        let (media_type, found) = match stored.compression {
            Compression::Layer(Format::None) => (media_type::IMAGE_LAYER, stored.digest),
            Compression::Layer(Format::Gzip) => {
                (media_type::IMAGE_LAYER_GZIP, self.diff_id(path, stored, Format::Gzip)?)
            }
            Compression::Layer(Format::Zstd) => {
                (media_type::IMAGE_LAYER_ZSTD, self.diff_id(path, stored, Format::Zstd)?)
            }
            Compression::Other(compression) => {
                return Err(ArchiveError::Compression { what: format!("layer `{path}`"), compression });
            }
        };
        if found != expected {
            return Err(ArchiveError::DiffId { path: path.to_owned(), expected, found });
        }
        Ok(Descriptor::new(media_type, stored.digest, stored.size))
    }

    /// Returns the digest of a compressed layer's tar.
    fn diff_id(&mut self, path: &str, stored: Stored, format: Format) -> Result<Digest, ArchiveError> {
        if let Some(known) = self.diff_ids.get(&stored.digest) {
            return Ok(*known);
        }
        let blob = self.store.read_blob(&Descriptor::new("", stored.digest, stored.size))?;
        let torn = |source| ArchiveError::Decompress { path: path.to_owned(), source };
        let mut hasher = Hasher::default();
        decompress(blob, format, self.interrupt, torn, |bytes| {
            hasher.update(bytes);
            Ok(())
        })?;
        let (diff_id, _) = hasher.finish();
        self.diff_ids.insert(stored.digest, diff_id);
        Ok(diff_id)
    }
}
