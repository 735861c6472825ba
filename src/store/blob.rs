//! Writing and reading blobs: hashed while written, named only when whole, checked while read.

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

/// The system is asked to write so many bytes to the disk as soon as it has them, so that little is left to wait for when
/// the blob is made durable.
const AHEAD_BYTES: u64 = 8 << 20;

/// A blob on its way into the store. Dropped uncommitted, it leaves nothing behind that is taken for a blob.
#[derive(Debug)]
pub struct BlobWriter {
    draft: BlobDraft,
    hasher: Hasher,
}

/// The same for who hashes the bytes elsewhere, at the same time.
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

/// What is written to.
#[derive(Debug)]
enum Draft {
    /// Goes with the writer.
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

    /// Has the disk begin with what was written lately. Nothing depends on whether it does.
    fn write_ahead(&mut self) {
        let waiting = self.written - self.ahead;
        if waiting < AHEAD_BYTES {
            return;
        }
        // Linux begins to write what is not to be kept in memory, and keeps it all the same until it is written.
        #[cfg(target_os = "linux")]
        {
            let (from, length) = (self.ahead, std::num::NonZeroU64::new(waiting));
            let _ = rustix::fs::fadvise(self.draft.file(), from, length, rustix::fs::Advice::DontNeed);
        }
        self.ahead += waiting;
    }

    /// Makes the blob durable and gives it the name of `digest`, which has to be that of everything written.
    ///
    /// A blob of that name is replaced: it has the same content, or was damaged and is healed.
    pub fn commit(mut self, digest: Digest) -> Result<(), StoreError> {
        let name = digest.hex();
        let path = self.blobs.path().join(&name);
        let failed = |source| StoreError::io("write blob", &path, source);
        self.draft.file().sync_all().map_err(failed)?;
        // The file itself, whatever has its name afterwards.
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
                // Where there is no room, what stays would take the rest of it.
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

    /// Goes on behind the bytes that `prefix` was fed from the file.
    pub(super) fn resume(partial: Partial, blobs: Directory, prefix: Hasher, verified: Option<Arc<Verified>>) -> Self {
        let written = prefix.count();
        let draft =
            BlobDraft { draft: Draft::Kept(partial), blobs, unpublished: None, verified, written, ahead: written };
        Self { draft, hasher: prefix }
    }

    /// Bytes written so far, those of an earlier run included.
    pub fn written(&self) -> u64 {
        self.hasher.count()
    }

    /// The hash of everything written so far.
    pub fn prefix(&self) -> Hasher {
        self.hasher.clone()
    }

    /// Forgets all bytes: the next are the blob's first.
    pub fn restart(&mut self) -> io::Result<()> {
        let file = self.draft.draft.file();
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        self.hasher = Hasher::default();
        (self.draft.written, self.draft.ahead) = (0, 0);
        Ok(())
    }

    /// Makes the blob durable and gives it its name; answers its digest and size in bytes.
    pub fn commit(self) -> Result<(Digest, u64), StoreError> {
        let (digest, size) = self.hasher.finish();
        self.draft.commit(digest)?;
        Ok((digest, size))
    }

    /// Commits only what has the digest and size of `expected`.
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

    /// Leaves nothing for the next run either, because it would be of no use.
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

/// Reads a blob, no further than its descriptor's size, and fails at its end unless size and digest are the descriptor's.
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

    /// The store's error behind one that `read` returned.
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
