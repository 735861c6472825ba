//! Copies images from other layouts.

use std::io::{Read, Write};

use super::{ImageStore, Lease, StoreError};
use crate::image::{Descriptor, Document, Manifest};

impl ImageStore {
    /// Copies an image's manifest, configuration and layers from `from`, except blobs that this store already has.
    ///
    /// Each blob is checked while it is copied. The image gets no name. This store's interrupt ends the copy.
    pub fn copy_image(
        &self,
        lease: &Lease,
        from: &Self,
        (document, manifest): &(Document, Manifest),
    ) -> Result<(), StoreError> {
        for blob in manifest.blobs().chain([&document.descriptor]) {
            if self.check_blob(blob).is_err() {
                self.copy_blob(lease, from, blob)?;
            }
        }
        Ok(())
    }

    fn copy_blob(&self, lease: &Lease, from: &Self, blob: &Descriptor) -> Result<(), StoreError> {
        let mut reader = from.read_blob(blob)?;
        let mut writer = self.write_blob(lease)?;
        let mut buffer = vec![0; 128 << 10];
        loop {
            if self.interrupt.requested() {
                let path = self.path(super::names::LEASE_LOCK);
                return Err(StoreError::Lock(crate::fs::LockError::Interrupted(path)));
            }
            match reader.read(&mut buffer) {
                Ok(0) => return writer.commit_as(blob),
                Ok(count) => writer
                    .write_all(&buffer[..count])
                    .map_err(|source| StoreError::io("write a blob in", self.root(), source))?,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(reader.explain(error)),
            }
        }
    }
}
