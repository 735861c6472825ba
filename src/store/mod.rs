//! The image store: one OCI image layout (image-spec, "Image Layout" 1.1) that other tools read in place.
//!
//! Invariants: a blob under its final name is whole and durable; the index names only manifests whose
//! blobs were there when it was written; a crash at any instant leaves the old state or the new one.
//! Blobs are content-addressed and never change, so readers need no lock; what removes blobs takes
//! the lease exclusively, and whoever writes or reads blobs over time holds it shared.

mod blob;
mod copy;
mod error;
mod index;
mod partial;
mod prune;
mod resolve;
mod scratch;
mod tree;

use std::fs::DirEntry;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub use blob::{BlobDraft, BlobReader, BlobWriter};
pub use error::StoreError;
pub use index::Entry;
pub use prune::Pruned;
pub use resolve::Selection;
pub use scratch::Scratch;
pub use tree::{Image, ImageTree};

use crate::fs::{self, FileLock, Hold};
use crate::image::{Descriptor, Digest, MAX_DOCUMENT_BYTES};
use crate::progress::Interrupt;

/// Content of the `oci-layout` file.
const LAYOUT_MARKER: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// How long a command waits for another that holds a lock.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(30);

/// An open image layout.
#[derive(Debug, Clone)]
pub struct ImageStore {
    root: PathBuf,
    patience: Duration,
    interrupt: Interrupt,
}

/// The right to rely on blobs staying where they are, until dropped.
#[derive(Debug)]
pub struct Lease {
    _lock: FileLock,
}

impl ImageStore {
    /// Opens the layout at `root`, creating it when absent.
    ///
    /// Refuses a directory that holds something else, or a layout of another version.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let store = Self { root: root.to_owned(), patience: DEFAULT_PATIENCE, interrupt: Interrupt::default() };
        let marker = root.join("oci-layout");
        match std::fs::read(&marker) {
            Ok(bytes) => check_marker(&marker, &bytes)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => store.create()?,
            Err(source) => return Err(StoreError::io("read", &marker, source)),
        }
        Ok(store)
    }

    /// The same store with another limit on waiting for locks.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The same store, whose waits for locks end when `interrupt` is requested.
    #[must_use]
    pub fn with_interrupt(mut self, interrupt: Interrupt) -> Self {
        self.interrupt = interrupt;
        self
    }

    fn lock(&self, path: &Path, hold: Hold) -> Result<FileLock, StoreError> {
        Ok(FileLock::acquire_unless(path, hold, self.patience, || self.interrupt.requested())?)
    }

    /// The layout's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes an empty layout, or ends what a killed process or another one right now began.
    fn create(&self) -> Result<(), StoreError> {
        let root = &self.root;
        // Before anything is written into what may be somebody's directory.
        if !self.is_unfinished()? {
            return Err(StoreError::NotALayout(root.clone()));
        }
        fs::create_private_dir(root).map_err(|source| StoreError::io("create", root, source))?;
        let lock = self.lock_index()?;
        let marker = root.join("oci-layout");
        match std::fs::read(&marker) {
            Ok(bytes) => return check_marker(&marker, &bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(StoreError::io("read", &marker, source)),
        }
        // What another process made meanwhile was an unfinished layout as well.
        if !self.is_unfinished()? {
            return Err(StoreError::NotALayout(root.clone()));
        }
        for directory in [self.blob_directory(), self.temporary()] {
            fs::create_private_dir(&directory).map_err(|source| StoreError::io("create", &directory, source))?;
        }
        self.create_index(&lock)?;
        // The marker comes last: with it, the layout is whole.
        fs::replace_file(&marker, LAYOUT_MARKER).map_err(|source| StoreError::io("write", &marker, source))
    }

    /// Whether the root is absent, empty but for hidden files, or holds no more than [`Self::create`]
    /// has made before the marker.
    fn is_unfinished(&self) -> Result<bool, StoreError> {
        let entries = |path: &Path| match std::fs::read_dir(path) {
            Ok(entries) => {
                let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
                names.collect::<Result<Vec<_>, _>>().map_err(|source| StoreError::io("read", path, source))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(StoreError::io("read", path, source)),
        };
        for name in entries(&self.root)? {
            let ours = match name.as_encoded_bytes() {
                // The marker may have come since the caller looked for it.
                [b'.', ..] | b"oci-layout" => true,
                b"blobs" => {
                    entries(&self.root.join("blobs"))?.iter().all(|name| name == "sha256")
                        && entries(&self.blob_directory())?.is_empty()
                }
                b"index.json" => self.read_index().is_ok_and(|index| index.manifests.is_empty()),
                _ => false,
            };
            if !ours {
                return Ok(self.root.join("oci-layout").exists());
            }
        }
        Ok(true)
    }

    fn blob_directory(&self) -> PathBuf {
        self.root.join("blobs").join("sha256")
    }

    /// Where files are written before they become blobs: the same file system, out of readers' sight.
    fn temporary(&self) -> PathBuf {
        self.root.join(".tmp")
    }

    /// Where the blob with `digest` is or would be.
    pub fn blob_path(&self, digest: Digest) -> PathBuf {
        self.blob_directory().join(digest.hex())
    }

    /// Size in bytes of a stored blob; `None` when it is not stored.
    pub fn blob_size(&self, digest: Digest) -> Result<Option<u64>, StoreError> {
        let path = self.blob_path(digest);
        match std::fs::metadata(&path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::io("read", &path, source)),
        }
    }

    /// Fails unless the blob is stored with the size its descriptor says.
    pub fn check_blob(&self, descriptor: &Descriptor) -> Result<(), StoreError> {
        match self.blob_size(descriptor.digest)? {
            None => Err(StoreError::MissingBlob(descriptor.digest)),
            Some(size) if size != descriptor.size => {
                Err(StoreError::BlobSize { digest: descriptor.digest, expected: descriptor.size, found: size })
            }
            Some(_) => Ok(()),
        }
    }

    /// Opens a blob; its digest is checked when it has been read to the end.
    pub fn read_blob(&self, descriptor: &Descriptor) -> Result<BlobReader, StoreError> {
        self.check_blob(descriptor)?;
        BlobReader::open(&self.blob_path(descriptor.digest), descriptor)
    }

    /// Reads a manifest, index or configuration whole and checks its digest.
    pub fn read_document(&self, descriptor: &Descriptor) -> Result<Vec<u8>, StoreError> {
        if descriptor.size > MAX_DOCUMENT_BYTES {
            return Err(StoreError::DocumentSize { digest: descriptor.digest, size: descriptor.size });
        }
        let mut bytes = Vec::new();
        let mut reader = self.read_blob(descriptor)?;
        reader.read_to_end(&mut bytes).map_err(|source| reader.explain(source))?;
        Ok(bytes)
    }

    /// Takes the lease for work that writes or reads blobs; left-overs of killed writers go first, but for blobs that
    /// the next download goes on with.
    pub fn lease(&self) -> Result<Lease, StoreError> {
        let path = self.lease_path();
        // Alone with the store, every temporary file is somebody's who is gone.
        if let Some(_alone) = FileLock::try_acquire(&path, Hold::Exclusive)? {
            let now = SystemTime::now();
            self.sweep_temporary(|file| partial::is_of_use(file, now));
        }
        Ok(Lease { _lock: self.lock(&path, Hold::Shared)? })
    }

    fn lease_path(&self) -> PathBuf {
        self.root.join(".lease.lock")
    }

    fn sweep_temporary(&self, spare: impl Fn(&DirEntry) -> bool) {
        // Best effort: what stays is swept next time, and cannot be mistaken for a blob.
        for entry in std::fs::read_dir(self.temporary()).into_iter().flatten().flatten() {
            if spare(&entry) {
                continue;
            }
            let path = entry.path();
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let _ = if is_directory { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        }
    }

    /// Starts writing a blob. The lease shows that it will not be pruned before it is published.
    pub fn write_blob(&self, lease: &Lease) -> Result<BlobWriter, StoreError> {
        self.draft_blob(lease).map(BlobWriter::new)
    }

    /// The same for who hashes the bytes elsewhere.
    pub fn draft_blob(&self, _lease: &Lease) -> Result<BlobDraft, StoreError> {
        BlobDraft::create(&self.temporary(), self.blob_directory())
    }

    /// Stores `bytes` and describes them. What is stored already, and undamaged, is not written again.
    pub fn put(&self, lease: &Lease, media_type: &str, bytes: &[u8]) -> Result<Descriptor, StoreError> {
        let known = Descriptor::new(media_type, Digest::of(bytes), bytes.len() as u64);
        let size = self.blob_size(known.digest).ok().flatten();
        if size == Some(known.size) && std::fs::read(self.blob_path(known.digest)).is_ok_and(|stored| stored == bytes) {
            return Ok(known);
        }
        let mut writer = self.write_blob(lease)?;
        std::io::Write::write_all(&mut writer, bytes)
            .map_err(|source| StoreError::io("write a blob in", &self.root, source))?;
        let (digest, size) = writer.commit()?;
        Ok(Descriptor::new(media_type, digest, size))
    }
}

fn check_marker(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Marker {
        image_layout_version: String,
    }
    match serde_json::from_slice::<Marker>(bytes) {
        Ok(marker) if marker.image_layout_version == "1.0.0" => Ok(()),
        Ok(marker) => Err(StoreError::LayoutVersion(marker.image_layout_version.chars().take(40).collect())),
        Err(source) => Err(StoreError::Json { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests;
