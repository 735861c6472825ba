//! Writing and reading blobs: hashed while written, named only when whole, checked while read.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::StoreError;
use crate::fs::sync_dir;
use crate::image::{Descriptor, Digest, Hasher};

/// A blob on its way into the store. Dropped uncommitted, it leaves nothing behind.
#[derive(Debug)]
pub struct BlobWriter {
    file: NamedTempFile,
    directory: PathBuf,
    hasher: Hasher,
}

impl BlobWriter {
    pub(super) fn create(temporary: &Path, directory: PathBuf) -> Result<Self, StoreError> {
        let make = || tempfile::Builder::new().prefix("blob-").tempfile_in(temporary);
        let file = make()
            .or_else(|error| match error.kind() {
                // A layout made by another tool has no directory for temporary files yet.
                io::ErrorKind::NotFound => {
                    crate::fs::create_private_dir(temporary)?;
                    crate::fs::create_private_dir(&directory)?;
                    make()
                }
                _ => Err(error),
            })
            .map_err(|source| StoreError::io("create a file in", temporary, source))?;
        Ok(Self { file, directory, hasher: Hasher::default() })
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.hasher.count()
    }

    /// Makes the blob durable and gives it its name; answers its digest and size in bytes.
    ///
    /// A blob of that name is replaced: it has the same content, or was damaged and is healed.
    pub fn commit(self) -> Result<(Digest, u64), StoreError> {
        let (digest, size) = self.hasher.finish();
        let path = self.directory.join(digest.hex());
        let failed = |source| StoreError::io("write blob", &path, source);
        self.file.as_file().sync_all().map_err(failed)?;
        self.file.persist(&path).map_err(|error| failed(error.error))?;
        sync_dir(&self.directory).map_err(failed)?;
        Ok((digest, size))
    }

    /// Commits only what has the digest and size of `expected`.
    pub fn commit_as(self, expected: &Descriptor) -> Result<(), StoreError> {
        let (found, size) = self.hasher.clone().finish();
        if found != expected.digest {
            return Err(StoreError::BlobDigest { expected: expected.digest, found });
        }
        if size != expected.size {
            return Err(StoreError::BlobSize { digest: found, expected: expected.size, found: size });
        }
        self.commit().map(|_| ())
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.as_file_mut().write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_file_mut().flush()
    }
}

/// Reads a blob and fails at its end unless size and digest are the descriptor's.
#[derive(Debug)]
pub struct BlobReader {
    file: File,
    path: PathBuf,
    expected: (Digest, u64),
    hasher: Option<Hasher>,
}

impl BlobReader {
    pub(super) fn open(path: &Path, descriptor: &Descriptor) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(|source| StoreError::io("read", path, source))?;
        let expected = (descriptor.digest, descriptor.size);
        Ok(Self { file, path: path.to_owned(), expected, hasher: Some(Hasher::default()) })
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
        }
        Ok(0)
    }
}
