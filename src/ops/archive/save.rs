//! Writing archives: plan the entries, then copy them in the order of their names.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use super::load::check_counts;
use super::names::repo_tag;
use super::oci::{CONTAINERD_NAME, canonical};
use super::unpacked::{Unpacked, is_zstd};
use super::{ArchiveError, ArchiveFormat, DockerImage, blob_path};
use crate::image::{Descriptor, Digest, Index, MAX_DOCUMENT_BYTES, Platform, Reference, annotation};
use crate::progress::{Event, Interrupt, Outcome, Phase, Progress};
use crate::store::{Image, ImageStore, Selection};

/// Seconds since 1970 given to every entry: 1980-01-01T00:00:01Z, as in the layers.
const MTIME: u64 = 315_532_801;

/// Length of tar's header and unit of padding, in bytes.
const BLOCK: usize = 512;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaveOutcome {
    /// The images by name, or without one where they were chosen by id, with their manifests' digests.
    pub images: Vec<(Option<String>, Digest)>,
    /// Names that the archive has no place for; their images are in it.
    pub unnamed: Vec<String>,
    /// Bytes written.
    pub bytes: u64,
}

/// Writes the images `names` stand for into one archive; its bytes depend on the images alone.
///
/// `platform` picks one image out of an index. Without it, an OCI archive gets the whole index and a
/// Docker archive, which knows no indexes, the first image. Blobs that several images share are
/// written once. `manifest.json` and `index.json` come last, so that an archive cut off by an error
/// is never a whole one.
pub fn save<W: Write>(
    store: &ImageStore,
    names: &[String],
    format: ArchiveFormat,
    platform: Option<&Platform>,
    writer: W,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<SaveOutcome, ArchiveError> {
    let _lease = store.lease()?;
    if names.is_empty() {
        return Err(ArchiveError::NoImages);
    }
    let mut plan = Plan::default();
    let mut chosen: Vec<(Option<String>, Selection)> = Vec::new();
    for text in names {
        let selection = store.resolve(text)?;
        let name = match selection.entries.first() {
            Some(entry) if !selection.by_id => entry.name.clone(),
            _ => None,
        };
        let again = chosen.iter().any(|(n, s)| *n == name && s.descriptor.digest == selection.descriptor.digest);
        if !again {
            chosen.push((name, selection));
        }
    }
    match format {
        ArchiveFormat::Docker => plan.add_docker(store, &chosen, platform, interrupt)?,
        ArchiveFormat::Oci => plan.add_oci(store, &chosen, platform)?,
    }
    let mut output = Output { writer, bytes: 0, progress, interrupt };
    output.directory("blobs/")?;
    output.directory("blobs/sha256/")?;
    for (path, content) in &plan.entries {
        output.entry(store, path, content)?;
    }
    let bytes = output.finish()?;
    Ok(SaveOutcome { images: plan.images, unnamed: plan.unnamed, bytes })
}

/// Content of an entry.
enum Content {
    Bytes(Vec<u8>),
    Blob(Box<Descriptor>),
    Unpacked(Box<Unpacked>),
}

impl Content {
    fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Blob(descriptor) => descriptor.size,
            Self::Unpacked(unpacked) => unpacked.size,
        }
    }
}

/// What goes into the archive, by path.
#[derive(Default)]
struct Plan {
    entries: BTreeMap<String, Content>,
    images: Vec<(Option<String>, Digest)>,
    unnamed: Vec<String>,
}

impl Plan {
    fn blob(&mut self, descriptor: &Descriptor) -> String {
        let path = blob_path(descriptor.digest);
        self.entries.entry(path.clone()).or_insert_with(|| Content::Blob(Box::new(descriptor.clone())));
        path
    }

    /// Returns the layers of an image in the order of its manifest, those of zstd as their tars.
    fn layers(
        &mut self,
        store: &ImageStore,
        image: &Image,
        interrupt: &Interrupt,
    ) -> Result<Vec<String>, ArchiveError> {
        let (layers, diff_ids) = (&image.manifest.layers, &image.config.rootfs.diff_ids);
        let mut paths = Vec::new();
        for (at, layer) in layers.iter().enumerate() {
            if !is_zstd(store, layer)? {
                paths.push(self.blob(layer));
                continue;
            }
            let Some(diff_id) = diff_ids.get(at).filter(|_| layers.len() == diff_ids.len()) else {
                return Err(ArchiveError::LayersDiffer {
                    image: image.document.digest(),
                    diff_ids: diff_ids.len(),
                    layers: layers.len(),
                });
            };
            let path = blob_path(*diff_id);
            // Where the tar is in the archive as it is, there is no need for another.
            if !self.entries.contains_key(&path) {
                let unpacked = Unpacked::measure(store, layer, *diff_id, interrupt)?;
                self.entries.insert(path.clone(), Content::Unpacked(Box::new(unpacked)));
            }
            paths.push(path);
        }
        Ok(paths)
    }

    fn json(&mut self, path: &str, document: &impl serde::Serialize) -> Result<(), ArchiveError> {
        let bytes = serde_json::to_vec(document).expect("documents of strings and numbers serialise");
        let size = bytes.len() as u64;
        if size > MAX_DOCUMENT_BYTES {
            return Err(ArchiveError::TooLarge { path: path.to_owned(), size, limit: MAX_DOCUMENT_BYTES });
        }
        self.entries.insert(path.to_owned(), Content::Bytes(bytes));
        Ok(())
    }

    fn add_docker(
        &mut self,
        store: &ImageStore,
        chosen: &[(Option<String>, Selection)],
        platform: Option<&Platform>,
        interrupt: &Interrupt,
    ) -> Result<(), ArchiveError> {
        let mut documents: Vec<(Digest, DockerImage)> = Vec::new();
        for (name, selection) in chosen {
            let shown = name.clone().unwrap_or_else(|| selection.descriptor.digest.to_string());
            if store.is_leaf(&selection.descriptor) {
                return Err(ArchiveError::artifact(shown, &selection.descriptor.media_type));
            }
            let (_, manifest) = store.manifest(&shown, &selection.descriptor, platform)?;
            if let Some(kind) = manifest.artifact_kind() {
                return Err(ArchiveError::artifact(shown, kind));
            }
            let image = store.image(&shown, &selection.descriptor, platform)?;
            let digest = image.document.digest();
            self.images.push((name.clone(), digest));
            let at = if let Some(at) = documents.iter().position(|(known, _)| *known == digest) {
                at
            } else {
                let config = self.blob(&image.manifest.config);
                let layers = self.layers(store, &image, interrupt)?;
                documents.push((digest, DockerImage { config, repo_tags: None, layers: Some(layers) }));
                documents.len() - 1
            };
            let Some(name) = name else { continue };
            match repo_tag(name) {
                Some(tag) => documents[at].1.repo_tags.get_or_insert_default().push(tag.to_string()),
                None => self.unnamed.push(name.clone()),
            }
        }
        let documents: Vec<DockerImage> = documents.into_iter().map(|(_, document)| document).collect();
        check_counts(documents.len(), chosen.len())?;
        self.json("manifest.json", &documents)
    }

    fn add_oci(
        &mut self,
        store: &ImageStore,
        chosen: &[(Option<String>, Selection)],
        platform: Option<&Platform>,
    ) -> Result<(), ArchiveError> {
        let mut index = Index::default();
        for (name, selection) in chosen {
            let descriptor = match platform {
                Some(_) if !is_artifact(store, &selection.descriptor) => {
                    let shown = name.clone().unwrap_or_else(|| selection.descriptor.digest.to_string());
                    store.image(&shown, &selection.descriptor, platform)?.document.descriptor
                }
                _ => selection.descriptor.clone(),
            };
            if store.is_leaf(&descriptor) {
                self.blob(&descriptor);
            } else {
                let tree = store.tree(&descriptor)?;
                for blob in tree.blobs.iter().chain(tree.documents.iter().map(|document| &document.descriptor)) {
                    self.blob(blob);
                }
            }
            self.images.push((name.clone(), descriptor.digest));
            let annotations = name.as_deref().map(annotations);
            index.manifests.push(Descriptor { annotations, ..descriptor });
        }
        check_counts(index.manifests.len(), chosen.len())?;
        self.json("index.json", &index)?;
        self.json("oci-layout", &serde_json::json!({ "imageLayoutVersion": "1.0.0" }))
    }
}

/// Returns how an index calls an image: by its name here and, for `ctr images import`, by the name that Kubernetes and
/// Docker look for.
fn annotations(name: &str) -> BTreeMap<String, String> {
    let own = (annotation::REF_NAME.to_owned(), name.to_owned());
    let reference = name.parse::<Reference>().ok();
    let full = reference.map(|reference| (CONTAINERD_NAME.to_owned(), canonical(&reference.with_default_tag())));
    std::iter::once(own).chain(full).collect()
}

/// Returns whether an entry is for no platform: an artifact, or something that is not known here.
fn is_artifact(store: &ImageStore, descriptor: &Descriptor) -> bool {
    let document = store.document(descriptor);
    document.map_or_else(
        |_| store.is_leaf(descriptor),
        |document| document.manifest().is_some_and(|manifest| manifest.artifact_kind().is_some()),
    )
}

/// The tar stream being written.
struct Output<'a, W> {
    writer: W,
    bytes: u64,
    progress: &'a dyn Progress,
    interrupt: &'a Interrupt,
}

impl<W: Write> Output<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.writer.write_all(bytes).map_err(ArchiveError::Write)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn header(&mut self, path: &str, kind: tar::EntryType, mode: u32, size: u64) -> Result<(), ArchiveError> {
        let mut header = tar::Header::new_gnu();
        // Every path is written here and shorter than the field's 100 bytes.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(MTIME);
        header.set_size(size);
        header.set_cksum();
        self.write(header.as_bytes())
    }

    fn directory(&mut self, path: &str) -> Result<(), ArchiveError> {
        self.header(path, tar::EntryType::Directory, 0o755, 0)
    }

    fn entry(&mut self, store: &ImageStore, path: &str, content: &Content) -> Result<(), ArchiveError> {
        let size = content.size();
        self.header(path, tar::EntryType::Regular, 0o644, size)?;
        match content {
            Content::Bytes(bytes) => self.write(bytes)?,
            Content::Blob(descriptor) => {
                self.described(descriptor.digest, size, |output, key| output.blob(store, descriptor, key))?;
            }
            Content::Unpacked(unpacked) => {
                self.described(unpacked.layer.digest, size, |output, key| {
                    let interrupt = output.interrupt;
                    unpacked.copy(store, interrupt, |bytes| output.advance(bytes, key))
                })?;
            }
        }
        let used = usize::try_from(size % BLOCK as u64).expect("less than a block");
        self.write(&[0; BLOCK][..(BLOCK - used) % BLOCK])
    }

    /// Copies a blob, with its beginning and end told.
    fn described(
        &mut self,
        digest: Digest,
        size: u64,
        copy: impl FnOnce(&mut Self, &str) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let (key, label) = (digest.to_string(), digest.short());
        self.progress.emit(Event::Begin { key: &key, label: &label, phase: Phase::Save, total: Some(size) });
        let copied = copy(self, &key);
        let outcome = if copied.is_ok() { Outcome::Done } else { Outcome::Failed };
        self.progress.emit(Event::End { key: &key, outcome });
        copied
    }

    fn advance(&mut self, bytes: &[u8], key: &str) -> Result<(), ArchiveError> {
        self.write(bytes)?;
        self.progress.emit(Event::Advance { key, bytes: bytes.len() as u64 });
        Ok(())
    }

    fn blob(&mut self, store: &ImageStore, descriptor: &Descriptor, key: &str) -> Result<(), ArchiveError> {
        let mut reader = store.read_blob(descriptor)?;
        let mut buffer = vec![0; 128 << 10];
        loop {
            if self.interrupt.requested() {
                return Err(ArchiveError::Interrupted);
            }
            let count = match reader.read(&mut buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(reader.explain(error).into()),
                Ok(0) => return Ok(()),
                Ok(count) => count,
            };
            self.advance(&buffer[..count], key)?;
        }
    }

    fn finish(mut self) -> Result<u64, ArchiveError> {
        self.write(&[0; 2 * BLOCK])?;
        self.writer.flush().map_err(ArchiveError::Write)?;
        Ok(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Document, Manifest, media_type};

    #[test]
    fn no_archive_is_written_that_could_not_be_loaded_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = ImageStore::open(directory.path()).expect("a store");
        let lease = store.lease().expect("a lease");
        let config = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
        let config = store.put(&lease, media_type::IMAGE_CONFIG, config);
        let document = Document::from_manifest(Manifest::new(config.expect("stored"), Vec::new(), BTreeMap::new()));
        store.put(&lease, media_type::IMAGE_MANIFEST, &document.bytes).expect("stored");
        store.publish(&lease, &document, &["app:v1".parse().expect("a name")], None).expect("named");
        let selection = store.resolve("app:v1").expect("there");
        let chosen = |count: usize| -> Vec<_> {
            (0..count).map(|number| (Some(format!("app:v{number}")), selection.clone())).collect()
        };
        let oci = |count| Plan::default().add_oci(&store, &chosen(count), None);
        oci(1024).expect("as many images as are read");
        assert!(matches!(oci(1025), Err(ArchiveError::TooMany { what: "images", limit: 1024 })));
        let docker = |count| Plan::default().add_docker(&store, &chosen(count), None, &Interrupt::default());
        docker(4096).expect("as many names as are read");
        assert!(matches!(docker(4097), Err(ArchiveError::TooMany { what: "names", limit: 4096 })));
        let long: String = "x".repeat(usize::try_from(MAX_DOCUMENT_BYTES).expect("fits") - 1);
        assert!(matches!(Plan::default().json("manifest.json", &long), Err(ArchiveError::TooLarge { .. })));
        Plan::default().json("manifest.json", &&long[1..]).expect("as large as is read");
    }
}
