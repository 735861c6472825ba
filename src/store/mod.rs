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
mod kept;
mod partial;
mod prune;
mod repair;
mod resolve;
mod scratch;
mod tree;
mod unpublished;
mod verified;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

pub use blob::{BlobDraft, BlobReader, BlobWriter};
pub use error::StoreError;
pub use index::Entry;
pub use prune::Pruned;
pub use repair::Repair;
pub use resolve::Selection;
pub use scratch::Scratch;
pub use tree::{Image, ImageTree};

use unpublished::Unpublished;
use verified::{Identity, Verified};

use crate::fs::{self, Directory, FileLock, Hold, Name};
use crate::image::{Descriptor, Digest, LayoutMarker, MAX_DOCUMENT_BYTES, strict};
use crate::progress::Interrupt;

/// Content of the `oci-layout` file.
const LAYOUT_MARKER: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// The largest `oci-layout` file that is read.
const MAX_MARKER_BYTES: u64 = 64 << 10;

/// Names at the root of a layout; the last three are ours.
const MARKER: &str = "oci-layout";
const INDEX: &str = "index.json";
const BLOBS: &str = "blobs";
const ALGORITHM: &str = "sha256";
const TEMPORARY: &str = ".tmp";
const INDEX_LOCK: &str = ".index.lock";
const LEASE_LOCK: &str = ".lease.lock";

/// How long a command waits for another that holds a lock.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(30);

/// An open image layout.
///
/// The layout's directory is opened once. Everything in it is reached from that handle, and no link in it is followed: a
/// layout may come from a stranger.
#[derive(Debug, Clone)]
pub struct ImageStore {
    layout: Arc<Layout>,
    patience: Duration,
    interrupt: Interrupt,
    /// The new blobs of the operation that this store is used for, where they go with it.
    unpublished: Option<Arc<Unpublished>>,
    /// Which files of blobs need not be hashed again.
    verified: Option<Arc<Verified>>,
}

/// The open directories of a layout.
#[derive(Debug)]
struct Layout {
    root: Directory,
    /// `blobs/sha256`, opened when it is first needed: a layout made by another tool may have none yet.
    blobs: OnceLock<Directory>,
}

/// A stored blob while it is hashed outside of the store.
#[derive(Debug)]
pub struct Hashing {
    verified: Arc<Verified>,
    digest: Digest,
    file: File,
    before: Option<Identity>,
}

impl Hashing {
    /// Notes that all of the blob was read and has its digest.
    pub fn passed(self) {
        self.verified.note_read(self.digest, &self.file, self.before);
    }
}

/// The right to rely on blobs staying where they are, until dropped.
#[derive(Debug)]
pub struct Lease {
    _lock: FileLock,
    // Last: to remove what was not published, the lock has to be released.
    _unpublished: Option<Arc<Unpublished>>,
}

impl ImageStore {
    /// Opens the layout at `root`, creating it when absent. A link at `root` itself is followed: the user named it.
    ///
    /// Refuses a directory that holds something else, or a layout of another version.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let directory = match Directory::open(root) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_private_dir(root).map_err(|source| StoreError::io("create", root, source))?;
                Directory::open(root)
            }
            opened => opened,
        };
        let store = Self::at(directory.map_err(|source| StoreError::io("open", root, source))?);
        match store.read_marker()? {
            Some(bytes) => check_marker(&store.path(MARKER), &bytes)?,
            None => store.create()?,
        }
        Ok(store)
    }

    fn at(root: Directory) -> Self {
        Self::on(Arc::new(Layout { root, blobs: OnceLock::new() }))
    }

    fn on(layout: Arc<Layout>) -> Self {
        Self { layout, patience: DEFAULT_PATIENCE, interrupt: Interrupt::default(), unpublished: None, verified: None }
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

    /// Returns the same store, which keeps records of blobs that need not be hashed again.
    #[must_use]
    pub fn with_verified(mut self) -> Self {
        self.verified = Some(Arc::new(Verified::new(self.layout.root.clone())));
        self
    }

    /// Opens the blob to be hashed elsewhere, so that [`Hashing::passed`] can note the result.
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

    /// The same for an open file of the blob.
    pub fn is_verified_file(&self, blob: &Descriptor, file: &File) -> bool {
        let size = file.metadata().map(|metadata| metadata.len());
        size.is_ok_and(|size| size == blob.size)
            && self.verified.as_ref().is_some_and(|verified| verified.knows(blob.digest, file))
    }

    fn lock(&self, name: &str, hold: Hold) -> Result<FileLock, StoreError> {
        let directory = &self.layout.root;
        Ok(FileLock::acquire_in(directory, name, hold, self.patience, || self.interrupt.requested())?)
    }

    /// The layout's directory.
    pub fn root(&self) -> &Path {
        self.layout.root.path()
    }

    /// Where a name of the layout is, for messages.
    fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    fn read_marker(&self) -> Result<Option<Vec<u8>>, StoreError> {
        match self.layout.root.read_regular(MARKER, MAX_MARKER_BYTES) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::io("read", &self.path(MARKER), source)),
        }
    }

    /// Makes an empty layout, or ends what a killed process or another one right now began.
    fn create(&self) -> Result<(), StoreError> {
        // Before anything is written into what may be a directory of other things.
        if !self.is_unfinished()? {
            return Err(StoreError::NotALayout(self.root().to_owned()));
        }
        let lock = self.lock_index()?;
        if let Some(bytes) = self.read_marker()? {
            return check_marker(&self.path(MARKER), &bytes);
        }
        // What another process made meanwhile was an unfinished layout as well.
        if !self.is_unfinished()? {
            return Err(StoreError::NotALayout(self.root().to_owned()));
        }
        self.make_blobs()?;
        self.make_temporary()?;
        self.create_index(&lock)?;
        // The marker comes last: with it, the layout is whole.
        let written = self.layout.root.replace_file(MARKER, LAYOUT_MARKER);
        written.map_err(|source| StoreError::io("write", &self.path(MARKER), source))
    }

    /// Whether the root is empty but for hidden files, or holds no more than [`Self::create`] has made before the marker.
    fn is_unfinished(&self) -> Result<bool, StoreError> {
        let root = &self.layout.root;
        let names = |directory: &Directory| {
            directory.names().map_err(|source| StoreError::io("read", directory.path(), source))
        };
        for Name { name, .. } in names(root)? {
            let ours = match name.as_encoded_bytes() {
                // The marker may have come since the caller looked for it.
                [b'.', ..] | b"oci-layout" => true,
                b"blobs" => match root.child(BLOBS) {
                    Ok(blobs) => {
                        names(&blobs)?.iter().all(|found| found.name == ALGORITHM)
                            && self.blobs().map_or(Ok(true), |blobs| names(blobs).map(|names| names.is_empty()))?
                    }
                    Err(_) => false,
                },
                b"index.json" => self.read_index().is_ok_and(|index| index.manifests.is_empty()),
                _ => false,
            };
            if !ours {
                return Ok(root.has(MARKER));
            }
        }
        Ok(true)
    }

    /// The open directory of the blobs.
    fn blobs(&self) -> std::io::Result<&Directory> {
        if let Some(blobs) = self.layout.blobs.get() {
            return Ok(blobs);
        }
        let blobs = self.layout.root.child(BLOBS)?.child(ALGORITHM)?;
        Ok(self.layout.blobs.get_or_init(|| blobs))
    }

    /// The open directory of the blobs, made where a layout of another tool is without.
    fn make_blobs(&self) -> Result<&Directory, StoreError> {
        match self.blobs() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let made = self.layout.root.create_child(BLOBS).and_then(|blobs| blobs.create_child(ALGORITHM));
                made.and_then(|_| self.blobs())
            }
            found => found,
        }
        .map_err(|source| StoreError::io("open", &self.blob_directory(), source))
    }

    /// Where files are written before they become blobs: the same file system, out of readers' sight.
    fn make_temporary(&self) -> Result<Directory, StoreError> {
        let made = self.layout.root.create_child(TEMPORARY);
        made.map_err(|source| StoreError::io("open", &self.path(TEMPORARY), source))
    }

    fn blob_directory(&self) -> PathBuf {
        self.root().join(BLOBS).join(ALGORITHM)
    }

    /// Where the blob with `digest` is or would be, for messages: files of a layout are opened by [`Self::open_blob`].
    pub fn blob_path(&self, digest: Digest) -> PathBuf {
        self.blob_directory().join(digest.hex())
    }

    /// Size in bytes of a stored blob; `None` when it is not stored.
    pub fn blob_size(&self, digest: Digest) -> Result<Option<u64>, StoreError> {
        match self.blobs().and_then(|blobs| blobs.size(&digest.hex())) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            size => size.map_err(|source| StoreError::io("read", &self.blob_path(digest), source)),
        }
    }

    /// Opens the file of a stored blob, whose content is not checked; `None` when it is not stored.
    pub fn open_blob(&self, digest: Digest) -> Result<Option<File>, StoreError> {
        match self.blobs().and_then(|blobs| blobs.open_regular(digest.hex())) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::io("read", &self.blob_path(digest), source)),
        }
    }

    /// Fails unless the blob is stored with the size its descriptor says.
    pub fn check_blob(&self, descriptor: &Descriptor) -> Result<(), StoreError> {
        let size = self.blob_size(descriptor.digest)?;
        check_size(descriptor, size)
    }

    /// Opens a blob; its digest is checked when it has been read to the end.
    pub fn read_blob(&self, descriptor: &Descriptor) -> Result<BlobReader, StoreError> {
        let path = self.blob_path(descriptor.digest);
        let Some(file) = self.open_blob(descriptor.digest)? else {
            return Err(StoreError::MissingBlob(descriptor.digest));
        };
        let metadata = file.metadata().map_err(|source| StoreError::io("read", &path, source))?;
        check_size(descriptor, Some(metadata.len()))?;
        Ok(BlobReader::new(file, path, descriptor, self.verified.clone()))
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
        // Alone with the store, every temporary file is somebody's who is gone.
        if let Some(_alone) = FileLock::try_acquire_in(&self.layout.root, LEASE_LOCK, Hold::Exclusive)? {
            let now = SystemTime::now();
            self.sweep_temporary(|directory, name| partial::is_of_use(directory, name, now));
            // Names are also removed without the lease, so the index has to be ours for the moment.
            if let Ok(Some(lock)) = FileLock::try_acquire_in(&self.layout.root, INDEX_LOCK, Hold::Exclusive) {
                self.sweep_half_written(&lock);
            }
        }
        Ok(Lease { _lock: self.lock(LEASE_LOCK, Hold::Shared)?, _unpublished: self.unpublished.clone() })
    }

    /// Removes temporary files and scratch stores of ours. Other names stay, whatever they are.
    fn sweep_temporary(&self, spare: impl Fn(&Directory, &str) -> bool) {
        // Best effort: what stays is swept next time, and cannot be mistaken for a blob.
        let Ok(temporary) = self.layout.root.child(TEMPORARY) else { return };
        for found in temporary.names().unwrap_or_default() {
            let Some(name) = found.name.to_str() else { continue };
            let _ = if name.starts_with(scratch::PREFIX) {
                temporary.remove_tree(name)
            } else if [blob::PREFIX, partial::PREFIX].iter().any(|ours| name.starts_with(ours))
                && !spare(&temporary, name)
            {
                temporary.remove_file(name)
            } else {
                Ok(())
            };
        }
    }

    /// Starts writing a blob. The lease shows that it will not be pruned before it is published.
    pub fn write_blob(&self, lease: &Lease) -> Result<BlobWriter, StoreError> {
        self.draft_blob(lease).map(BlobWriter::new)
    }

    /// The same for who hashes the bytes elsewhere.
    pub fn draft_blob(&self, _lease: &Lease) -> Result<BlobDraft, StoreError> {
        BlobDraft::create(&self.make_temporary()?, self.make_blobs()?, self.unpublished.clone(), self.verified.clone())
    }

    /// Stores `bytes` and describes them. What is stored already, and undamaged, is not written again.
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
}

/// Fails unless a stored blob has the size its descriptor says.
fn check_size(descriptor: &Descriptor, stored: Option<u64>) -> Result<(), StoreError> {
    let &Descriptor { digest, size: expected, .. } = descriptor;
    match stored {
        None => Err(StoreError::MissingBlob(digest)),
        Some(found) if found != expected => Err(StoreError::BlobSize { digest, expected, found }),
        Some(_) => Ok(()),
    }
}

fn check_marker(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    match strict::from_slice::<LayoutMarker>(bytes) {
        Ok(marker) if marker.image_layout_version == "1.0.0" => Ok(()),
        Ok(marker) => Err(StoreError::LayoutVersion(marker.image_layout_version.chars().take(40).collect())),
        Err(source) => Err(StoreError::Json { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod stranger_tests;
#[cfg(test)]
mod tests;
