//! The blobs of a store: reading them, writing them, and which of them need not be hashed again.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use super::blob::{BlobDraft, BlobReader, BlobWriter};
use super::names::{ALGORITHM, BLOBS, TEMPORARY};
use super::partial::Partial;
use super::verified::{Identity, Verified};
use super::{ImageStore, Lease, StoreError};
use crate::fs::Directory;
use crate::image::{Descriptor, Digest, MAX_DOCUMENT_BYTES};

/// Smaller blobs are received again as a whole.
const MIN_RESUMED_BYTES: u64 = 1 << 20;

/// A stored blob that a caller hashes.
#[derive(Debug)]
pub struct Hashing {
    verified: Arc<Verified>,
    digest: Digest,
    file: File,
    before: Option<Identity>,
}

impl Hashing {
    /// Records that the caller read the whole blob and that its digest matches.
    pub fn passed(self) {
        self.verified.note_read(self.digest, &self.file, self.before);
    }
}

impl ImageStore {
    /// Returns the open directory of the blobs.
    pub(super) fn blobs(&self) -> io::Result<&Directory> {
        if let Some(blobs) = self.layout.blobs.get() {
            return Ok(blobs);
        }
        let blobs = self.layout.root.child(BLOBS)?.child(ALGORITHM)?;
        Ok(self.layout.blobs.get_or_init(|| blobs))
    }

    /// Returns the open directory of the blobs, and creates it in a layout of another tool that lacks it.
    pub(super) fn make_blobs(&self) -> Result<&Directory, StoreError> {
        match self.blobs() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let made = self.layout.root.create_child(BLOBS).and_then(|blobs| blobs.create_child(ALGORITHM));
                made.and_then(|_| self.blobs())
            }
            found => found,
        }
        .map_err(|source| StoreError::io("open", &self.blob_directory(), source))
    }

    /// Returns the directory in which files are written before they become blobs. It is on the blobs' file system.
    pub(super) fn make_temporary(&self) -> Result<Directory, StoreError> {
        let made = self.layout.root.create_child(TEMPORARY);
        made.map_err(|source| StoreError::io("open", &self.path(TEMPORARY), source))
    }

    pub(super) fn blob_directory(&self) -> PathBuf {
        self.root().join(BLOBS).join(ALGORITHM)
    }

    /// Returns the path of the blob with `digest`, stored or not, for messages.
    ///
    /// [`Self::open_blob`] opens the file.
    pub fn blob_path(&self, digest: Digest) -> PathBuf {
        self.blob_directory().join(digest.hex())
    }

    /// Returns the size of a stored blob in bytes, or `None` if it is not stored.
    ///
    /// # Errors
    ///
    /// Fails if the layout cannot be read.
    pub fn blob_size(&self, digest: Digest) -> Result<Option<u64>, StoreError> {
        match self.blobs().and_then(|blobs| blobs.size(&digest.hex())) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            size => size.map_err(|source| StoreError::io("read", &self.blob_path(digest), source)),
        }
    }

    /// Opens the file of a stored blob without checking its content; returns `None` if it is not stored.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be opened, or is not a regular file.
    pub fn open_blob(&self, digest: Digest) -> Result<Option<File>, StoreError> {
        match self.blobs().and_then(|blobs| blobs.open_regular(digest.hex())) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::io("read", &self.blob_path(digest), source)),
        }
    }

    /// Checks that the blob is stored with the size in its descriptor.
    ///
    /// # Errors
    ///
    /// Fails if it is missing, has another size, or cannot be read.
    pub fn check_blob(&self, descriptor: &Descriptor) -> Result<(), StoreError> {
        let size = self.blob_size(descriptor.digest)?;
        check_size(descriptor, size)
    }

    /// Opens a blob for reading. Its digest is checked when the reader reaches the end.
    ///
    /// # Errors
    ///
    /// Fails if the blob is missing, has another size than its descriptor, or cannot be opened.
    pub fn read_blob(&self, descriptor: &Descriptor) -> Result<BlobReader, StoreError> {
        let path = self.blob_path(descriptor.digest);
        let Some(file) = self.open_blob(descriptor.digest)? else {
            return Err(StoreError::MissingBlob(descriptor.digest));
        };
        let metadata = file.metadata().map_err(|source| StoreError::io("read", &path, source))?;
        check_size(descriptor, Some(metadata.len()))?;
        Ok(BlobReader::new(file, path, descriptor, self.verified.clone()))
    }

    /// Reads a whole manifest, index or configuration and checks its digest.
    ///
    /// # Errors
    ///
    /// Fails as [`Self::read_blob`] does, and if the document is larger than 4 MiB or its digest differs.
    pub fn read_document(&self, descriptor: &Descriptor) -> Result<Vec<u8>, StoreError> {
        if descriptor.size > MAX_DOCUMENT_BYTES {
            return Err(StoreError::DocumentSize { digest: descriptor.digest, size: descriptor.size });
        }
        let mut bytes = Vec::new();
        let mut reader = self.read_blob(descriptor)?;
        reader.read_to_end(&mut bytes).map_err(|source| reader.explain(source))?;
        Ok(bytes)
    }

    /// Starts writing a blob. The lease keeps it from being pruned before it is published.
    ///
    /// # Errors
    ///
    /// Fails if no temporary file can be created.
    pub fn write_blob(&self, lease: &Lease) -> Result<BlobWriter, StoreError> {
        self.draft_blob(lease).map(BlobWriter::new)
    }

    /// Starts writing a blob whose bytes the caller hashes.
    ///
    /// # Errors
    ///
    /// Fails if no temporary file can be created.
    pub fn draft_blob(&self, _lease: &Lease) -> Result<BlobDraft, StoreError> {
        BlobDraft::create(&self.make_temporary()?, self.make_blobs()?, self.unpublished.clone(), self.verified.clone())
    }

    /// Stores `bytes` and returns their descriptor. A blob that is stored undamaged is not written again.
    ///
    /// # Errors
    ///
    /// Fails if the blob cannot be written.
    pub fn put(&self, lease: &Lease, media_type: &str, bytes: &[u8]) -> Result<Descriptor, StoreError> {
        let known = Descriptor::new(media_type, Digest::of(bytes), bytes.len() as u64);
        let stored = self.blobs().and_then(|blobs| blobs.read_regular(&known.digest.hex(), known.size));
        if stored.is_ok_and(|stored| stored == bytes) {
            return Ok(known);
        }
        let mut writer = self.write_blob(lease)?;
        std::io::Write::write_all(&mut writer, bytes)
            .map_err(|source| StoreError::io("write a blob in", self.root(), source))?;
        let (digest, size) = writer.commit()?;
        Ok(Descriptor::new(media_type, digest, size))
    }

    /// Continues a blob that an earlier run received in part; [`BlobWriter::prefix`] returns the hash of that part.
    ///
    /// Blobs below 1 MiB, and blobs that another process is writing, begin at their first byte.
    ///
    /// # Errors
    ///
    /// Fails if no temporary file can be created.
    pub fn resume_blob(&self, lease: &Lease, blob: &Descriptor) -> Result<BlobWriter, StoreError> {
        // The received part stays for the next run even if this run fails.
        let keeping = Self { unpublished: None, ..self.clone() };
        if blob.size < MIN_RESUMED_BYTES {
            return keeping.write_blob(lease);
        }
        let (temporary, blobs) = (self.make_temporary()?, self.make_blobs()?);
        let found = || {
            let Some(mut partial) = Partial::open(temporary, blob.digest)? else { return Ok(None) };
            let prefix = partial.read(blob.size, SystemTime::now(), || self.interrupt.requested())?;
            io::Result::Ok(prefix.map(|prefix| (partial, prefix)))
        };
        match found() {
            Ok(Some((partial, prefix))) => {
                Ok(BlobWriter::resume(partial, blobs.clone(), prefix, self.verified.clone()))
            }
            // Without a file that can be kept, the blob is received from its first byte.
            Ok(None) | Err(_) => keeping.write_blob(lease),
        }
    }

    /// Opens a blob that the caller hashes, so that [`Hashing::passed`] can record the result.
    pub fn hashing(&self, blob: &Descriptor) -> Option<Hashing> {
        let verified = Arc::clone(self.verified.as_ref()?);
        let file = self.open_blob(blob.digest).ok()??;
        let before = Identity::of_file(&file);
        Some(Hashing { verified, digest: blob.digest, file, before })
    }

    /// Returns whether the blob's file is the one whose content was hashed when it was written, or read since.
    pub fn is_verified(&self, blob: &Descriptor) -> bool {
        let file = self.open_blob(blob.digest).ok().flatten();
        file.is_some_and(|file| self.is_verified_file(blob, &file))
    }

    /// Returns whether `file`, an open file of the blob, is the one whose content was hashed.
    pub fn is_verified_file(&self, blob: &Descriptor, file: &File) -> bool {
        let size = file.metadata().map(|metadata| metadata.len());
        size.is_ok_and(|size| size == blob.size)
            && self.verified.as_ref().is_some_and(|verified| verified.knows(blob.digest, file))
    }
}

/// Checks that a stored blob has the size in its descriptor.
fn check_size(descriptor: &Descriptor, stored: Option<u64>) -> Result<(), StoreError> {
    let &Descriptor { digest, size: expected, .. } = descriptor;
    match stored {
        None => Err(StoreError::MissingBlob(digest)),
        Some(found) if found != expected => Err(StoreError::BlobSize { digest, expected, found }),
        Some(_) => Ok(()),
    }
}
