//! Writes and reads blobs: hashed while written, named only when complete, checked while read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::StoreError;
use super::names::BLOB_PREFIX;
use super::partial::Partial;
use super::unpublished::Unpublished;
use super::verified::{Identity, Verified};
use crate::fs::{Directory, TemporaryFile};
use crate::image::{Descriptor, Digest, Hasher};

/// Bytes after which the system is asked to start writing to the disk, so that the final sync is short.
const AHEAD_BYTES: u64 = 8 << 20;

/// A blob that is being written. If it is dropped before its commit, no blob is stored.
#[derive(Debug)]
pub struct BlobWriter {
    draft: BlobDraft,
    hasher: Hasher,
}

/// A blob that is being written, whose bytes the caller hashes, for example on another thread.
#[derive(Debug)]
pub struct BlobDraft {
    draft: Draft,
    blobs: Directory,
    unpublished: Option<Arc<Unpublished>>,
    verified: Option<Arc<Verified>>,
    written: u64,
    /// Bytes that the system is writing to the disk already, or has written.
    ahead: u64,
}

/// The file that a blob is written to.
#[derive(Debug)]
enum Draft {
    /// Is removed with the writer.
    Temporary(TemporaryFile),
    /// Stays for the next run.
    Kept(Partial),
}

impl Draft {
    fn file(&mut self) -> &mut File {
        match self {
            Self::Temporary(temporary) => &mut temporary.file,
            Self::Kept(partial) => &mut partial.file,
        }
    }
}

impl BlobDraft {
    pub(super) fn create(
        temporary: &Directory,
        blobs: &Directory,
        unpublished: Option<Arc<Unpublished>>,
        verified: Option<Arc<Verified>>,
    ) -> Result<Self, StoreError> {
        let file = temporary.temporary_file(BLOB_PREFIX);
        let file = file.map_err(|source| StoreError::io("create a file in", temporary.path(), source))?;
        Ok(Self { draft: Draft::Temporary(file), blobs: blobs.clone(), unpublished, verified, written: 0, ahead: 0 })
    }

    /// Asks the system to start writing recent bytes to the disk. This is a hint; failures do not matter.
    fn write_ahead(&mut self) {
        let waiting = self.written - self.ahead;
        if waiting < AHEAD_BYTES {
            return;
        }
        // On DONTNEED, Linux starts to write dirty pages and keeps them in memory until they are written.
        #[cfg(target_os = "linux")]
        {
            let (from, length) = (self.ahead, std::num::NonZeroU64::new(waiting));
            let _ = rustix::fs::fadvise(self.draft.file(), from, length, rustix::fs::Advice::DontNeed);
        }
        self.ahead += waiting;
    }

    /// Makes the blob durable under `digest`, which has to be the digest of everything written.
    ///
    /// An existing blob with this digest is replaced, which repairs it if it was damaged.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be synced or renamed.
    pub fn commit(mut self, digest: Digest) -> Result<(), StoreError> {
        let name = digest.hex();
        let path = self.blobs.path().join(&name);
        let failed = |source| StoreError::io("write blob", &path, source);
        self.draft.file().sync_all().map_err(failed)?;
        // The open file stays the one that was written, even if another file takes its name.
        let file = self.verified.as_ref().and_then(|_| self.draft.file().try_clone().ok());
        let unpublished = self.unpublished.take().filter(|_| !self.blobs.has(&name));
        match self.draft {
            Draft::Temporary(file) => file.persist(&self.blobs, &name).map_err(failed)?,
            Draft::Kept(partial) => partial.directory.rename(&partial.name, &self.blobs, &name).map_err(failed)?,
        }
        if let Some(unpublished) = unpublished {
            unpublished.note(digest);
        }
        if let (Some(verified), Some(file)) = (&self.verified, file) {
            verified.note_written(digest, &file);
        }
        self.blobs.sync().map_err(failed)
    }

    fn forget(&self) {
        if let Draft::Kept(partial) = &self.draft {
            let _ = partial.directory.remove_file(&partial.name);
        }
    }
}

impl Write for BlobDraft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.draft.file().write(bytes) {
            Ok(count) => {
                self.written += count as u64;
                self.write_ahead();
                Ok(count)
            }
            Err(error) => {
                // On a full disk, a partial file would take the remaining space.
                if error.kind() != io::ErrorKind::Interrupted {
                    self.forget();
                }
                Err(error)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.draft.file().flush()
    }
}

impl BlobWriter {
    pub(super) fn new(draft: BlobDraft) -> Self {
        Self { draft, hasher: Hasher::default() }
    }

    /// Continues after the bytes of the file that `prefix` has hashed.
    pub(super) fn resume(partial: Partial, blobs: Directory, prefix: Hasher, verified: Option<Arc<Verified>>) -> Self {
        let written = prefix.count();
        let draft =
            BlobDraft { draft: Draft::Kept(partial), blobs, unpublished: None, verified, written, ahead: written };
        Self { draft, hasher: prefix }
    }

    /// Returns the number of bytes written so far, including those of an earlier run.
    pub fn written(&self) -> u64 {
        self.hasher.count()
    }

    /// Returns the hash of everything written so far.
    pub fn prefix(&self) -> Hasher {
        self.hasher.clone()
    }

    /// Discards all bytes; the next write begins at the blob's first byte.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be truncated.
    pub fn restart(&mut self) -> io::Result<()> {
        let file = self.draft.draft.file();
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        self.hasher = Hasher::default();
        (self.draft.written, self.draft.ahead) = (0, 0);
        Ok(())
    }

    /// Makes the blob durable under its digest; returns the digest and the size in bytes.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be synced or renamed.
    pub fn commit(self) -> Result<(Digest, u64), StoreError> {
        let (digest, size) = self.hasher.finish();
        self.draft.commit(digest)?;
        Ok((digest, size))
    }

    /// Commits the blob if it has the digest and size of `expected`, and discards it otherwise.
    ///
    /// # Errors
    ///
    /// Fails if digest or size differ, or if the file cannot be synced or renamed.
    pub fn commit_as(self, expected: &Descriptor) -> Result<(), StoreError> {
        let (found, size) = self.hasher.clone().finish();
        let error = if found != expected.digest {
            StoreError::BlobDigest { expected: expected.digest, found }
        } else if size != expected.size {
            StoreError::BlobSize { digest: found, expected: expected.size, found: size }
        } else {
            return self.commit().map(|_| ());
        };
        self.draft.forget();
        Err(error)
    }

    /// Discards the blob, including the part that a next run would continue.
    pub fn discard(self) {
        self.draft.forget();
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.draft.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.draft.flush()
    }
}

/// Reads a blob up to its descriptor's size; at the end, reading fails unless size and digest match the descriptor.
#[derive(Debug)]
pub struct BlobReader {
    file: io::Take<File>,
    path: PathBuf,
    expected: (Digest, u64),
    hasher: Option<Hasher>,
    verified: Option<Arc<Verified>>,
    /// The file's identity before it was read.
    identity: Option<Identity>,
}

impl BlobReader {
    pub(super) fn new(file: File, path: PathBuf, descriptor: &Descriptor, verified: Option<Arc<Verified>>) -> Self {
        let expected = (descriptor.digest, descriptor.size);
        let identity = verified.as_ref().and_then(|_| Identity::of_file(&file));
        Self { file: file.take(descriptor.size), path, expected, hasher: Some(Hasher::default()), verified, identity }
    }

    /// Returns the store's error behind one that `read` returned.
    pub fn explain(&self, error: io::Error) -> StoreError {
        match error.downcast::<StoreError>() {
            Ok(inner) => inner,
            Err(source) => StoreError::io("read", &self.path, source),
        }
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        if count > 0 {
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&buffer[..count]);
            }
            return Ok(count);
        }
        if buffer.is_empty() {
            return Ok(0);
        }
        if let Some(hasher) = self.hasher.take() {
            let (found, size) = hasher.finish();
            let (digest, expected) = self.expected;
            if size != expected {
                return Err(io::Error::other(StoreError::BlobSize { digest, expected, found: size }));
            }
            if found != digest {
                return Err(io::Error::other(StoreError::BlobDigest { expected: digest, found }));
            }
            if let Some(verified) = &self.verified {
                verified.note_read(digest, self.file.get_ref(), self.identity);
            }
        }
        Ok(0)
    }
}
