//! The image store: one OCI image layout (image-spec, "Image Layout" 1.1) that other tools read in place.
//!
//! Invariants: a blob under its final name is whole and durable; the index names only manifests whose
//! blobs were there when it was written; a crash at any instant leaves the old state or the new one.
//! Blobs are content-addressed and never change, so readers need no lock; what removes blobs takes
//! the lease exclusively, and every operation that writes or reads blobs over time holds it shared.

mod blob;
mod blobs;
mod copy;
mod entry;
mod error;
mod index;
mod kept;
mod names;
mod partial;
mod prune;
mod repair;
mod resolve;
mod scratch;
mod tree;
mod unpublished;
mod verified;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

pub use blob::{BlobDraft, BlobReader, BlobWriter};
pub use blobs::Hashing;
pub use entry::Entry;
pub use error::StoreError;
pub use prune::Pruned;
pub use repair::Repair;
pub use resolve::Selection;
pub use scratch::Scratch;
pub use tree::{Image, ImageTree};

use names::{
    ALGORITHM, BLOB_PREFIX, BLOBS, INDEX_LOCK, LAYOUT_MARKER, LEASE_LOCK, MARKER, MAX_MARKER_BYTES, PARTIAL_PREFIX,
    SCRATCH_PREFIX, TEMPORARY,
};
use unpublished::Unpublished;
use verified::Verified;

use crate::fs::{self, Directory, FileLock, Hold, Name};
use crate::image::{LayoutMarker, strict};
use crate::progress::Interrupt;

/// How long a command waits for another that holds a lock.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(30);

/// An open image layout.
///
/// The layout's directory is opened once. Everything in it is reached from that handle, and no link in it is followed:
/// a layout may come from a stranger.
///
/// ```
/// use idpbuilder_oci::image::media_type;
/// use idpbuilder_oci::store::ImageStore;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let directory = directory.path();
/// let store = ImageStore::open(&directory.join("images"))?;
/// let lease = store.lease()?;
/// let layer = store.put(&lease, media_type::IMAGE_LAYER, b"content")?;
/// assert_eq!(store.blob_size(layer.digest)?, Some(7));
/// assert!(store.entries()?.is_empty(), "no image was published");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ImageStore {
    layout: Arc<Layout>,
    patience: Duration,
    interrupt: Interrupt,
    /// The new blobs of one operation, if they are removed with it unless published.
    unpublished: Option<Arc<Unpublished>>,
    /// Records of the blob files that need not be hashed again.
    verified: Option<Arc<Verified>>,
}

/// The open directories of a layout.
#[derive(Debug)]
struct Layout {
    root: Directory,
    /// `blobs/sha256`, opened when it is first needed: a layout made by another tool may have none yet.
    blobs: OnceLock<Directory>,
}

/// A shared lock that keeps blobs from being pruned until it is dropped.
#[derive(Debug)]
pub struct Lease {
    _lock: FileLock,
    // Declared last: unpublished blobs can be removed only after the lock is released.
    _unpublished: Option<Arc<Unpublished>>,
}

impl ImageStore {
    /// Opens the layout at `root`, creating it when absent. A link at `root` itself is followed: the user named it.
    ///
    /// # Errors
    ///
    /// Fails if the directory holds something else or a layout of another version, or if it cannot be read or written.
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

    /// Returns the store with `patience` as its limit on waiting for locks.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Returns the store with waits for locks that end when `interrupt` is requested.
    #[must_use]
    pub fn with_interrupt(mut self, interrupt: Interrupt) -> Self {
        self.interrupt = interrupt;
        self
    }

    /// Returns the store with records of the blobs that need not be hashed again.
    #[must_use]
    pub fn with_verified(mut self) -> Self {
        self.verified = Some(Arc::new(Verified::new(self.layout.root.clone())));
        self
    }

    fn lock(&self, name: &str, hold: Hold) -> Result<FileLock, StoreError> {
        let directory = &self.layout.root;
        Ok(FileLock::acquire_in(directory, name, hold, self.patience, || self.interrupt.requested())?)
    }

    /// Returns the layout's directory.
    pub fn root(&self) -> &Path {
        self.layout.root.path()
    }

    /// Returns the path of a name of the layout, for messages.
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

    /// Makes an empty layout, or finishes one that a killed or a concurrent process began.
    fn create(&self) -> Result<(), StoreError> {
        // Checked before anything is written: the directory may hold other things.
        if !self.is_unfinished()? {
            return Err(StoreError::NotALayout(self.root().to_owned()));
        }
        let lock = self.lock_index()?;
        if let Some(bytes) = self.read_marker()? {
            return check_marker(&self.path(MARKER), &bytes);
        }
        // Another process may have written here before the lock was acquired.
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

    /// Returns whether the root holds only hidden files and what [`Self::create`] makes before the marker.
    fn is_unfinished(&self) -> Result<bool, StoreError> {
        let root = &self.layout.root;
        let names = |directory: &Directory| {
            directory.names().map_err(|source| StoreError::io("read", directory.path(), source))
        };
        for Name { name, .. } in names(root)? {
            let ours = match name.as_encoded_bytes() {
                // Another process may have written the marker since the caller looked for it.
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

    /// Acquires the lease for work that writes or reads blobs.
    ///
    /// Left-overs of killed writers are removed first, except partial blobs that the next download can continue.
    ///
    /// # Errors
    ///
    /// Fails if pruning holds the lease for longer than the store's patience, or if the lock file cannot be opened.
    pub fn lease(&self) -> Result<Lease, StoreError> {
        // With the lease held exclusively, every temporary file was left by a process that ended.
        if let Some(_alone) = FileLock::try_acquire_in(&self.layout.root, LEASE_LOCK, Hold::Exclusive)? {
            let now = SystemTime::now();
            self.sweep_temporary(|directory, name| partial::is_of_use(directory, name, now));
            // Names are also removed without the lease, so the sweep needs the index lock too.
            if let Ok(Some(lock)) = FileLock::try_acquire_in(&self.layout.root, INDEX_LOCK, Hold::Exclusive) {
                self.sweep_half_written(&lock);
            }
        }
        Ok(Lease { _lock: self.lock(LEASE_LOCK, Hold::Shared)?, _unpublished: self.unpublished.clone() })
    }

    /// Removes temporary files and scratch stores that this program made. Files with other names stay.
    fn sweep_temporary(&self, spare: impl Fn(&Directory, &str) -> bool) {
        // Best effort: a file that stays is swept next time and cannot be mistaken for a blob.
        let Ok(temporary) = self.layout.root.child(TEMPORARY) else { return };
        for found in temporary.names().unwrap_or_default() {
            let Some(name) = found.name.to_str() else { continue };
            let _ = if name.starts_with(SCRATCH_PREFIX) {
                temporary.remove_tree(name)
            } else if [BLOB_PREFIX, PARTIAL_PREFIX].iter().any(|ours| name.starts_with(ours))
                && !spare(&temporary, name)
            {
                temporary.remove_file(name)
            } else {
                Ok(())
            };
        }
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
