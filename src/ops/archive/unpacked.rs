//! The tar streams of compressed layers, as they pass: nothing of them is kept.

use std::io::{self, ErrorKind, Read};

use super::ArchiveError;
use crate::image::{Descriptor, Digest, Hasher};
use crate::layer::{Decoder, Format, MARK_BYTES, detect};
use crate::progress::Interrupt;
use crate::store::{ImageStore, StoreError};

/// Bytes that are handed on at a time.
const CHUNK: usize = 128 << 10;

/// Hands each piece of what `source` has uncompressed to `take`; `torn` says what a stream is that cannot be
/// decompressed.
pub(super) fn decompress(
    source: impl Read,
    format: Format,
    interrupt: &Interrupt,
    torn: impl Fn(io::Error) -> ArchiveError,
    mut take: impl FnMut(&[u8]) -> Result<(), ArchiveError>,
) -> Result<(), ArchiveError> {
    let mut decoder = Decoder::new(format, source).map_err(&torn)?;
    let mut buffer = vec![0; CHUNK];
    loop {
        if interrupt.requested() {
            return Err(ArchiveError::Interrupted);
        }
        match decoder.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => take(&buffer[..count])?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(match error.downcast::<StoreError>() {
                    Ok(damaged) => damaged.into(),
                    Err(source) => torn(source),
                });
            }
        }
    }
}

/// A layer of zstd that an archive gets as the tar it is, because not everybody who reads archives knows zstd.
pub(super) struct Unpacked {
    /// The layer as it is stored.
    pub(super) layer: Descriptor,
    /// The digest of its tar, by its image's configuration.
    pub(super) diff_id: Digest,
    /// Bytes of its tar.
    pub(super) size: u64,
}

impl Unpacked {
    /// Decompresses the layer once, to know how long its tar is: an archive says so before the first byte.
    pub(super) fn measure(
        store: &ImageStore,
        layer: &Descriptor,
        diff_id: Digest,
        interrupt: &Interrupt,
    ) -> Result<Self, ArchiveError> {
        let mut found = Self { layer: layer.clone(), diff_id, size: 0 };
        let mut size = 0;
        found.read(store, interrupt, |bytes| {
            size += bytes.len() as u64;
            Ok(())
        })?;
        found.size = size;
        Ok(found)
    }

    /// Hands on the tar, which has been checked when this returns.
    pub(super) fn copy(
        &self,
        store: &ImageStore,
        interrupt: &Interrupt,
        mut take: impl FnMut(&[u8]) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let mut hasher = Hasher::default();
        self.read(store, interrupt, |bytes| {
            hasher.update(bytes);
            take(bytes)
        })?;
        let (found, size) = hasher.finish();
        if (found, size) != (self.diff_id, self.size) {
            return Err(ArchiveError::LayerDiffers { layer: self.layer.digest, expected: self.diff_id, found });
        }
        Ok(())
    }

    fn read(
        &self,
        store: &ImageStore,
        interrupt: &Interrupt,
        take: impl FnMut(&[u8]) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let torn = |source| ArchiveError::TornLayer { layer: self.layer.digest, source };
        decompress(store.read_blob(&self.layer)?, Format::Zstd, interrupt, torn, take)
    }
}

/// Returns whether a layer is one of zstd, by its first bytes.
pub(super) fn is_zstd(store: &ImageStore, layer: &Descriptor) -> Result<bool, ArchiveError> {
    let mut reader = store.read_blob(layer)?;
    let mut start = Vec::with_capacity(MARK_BYTES);
    let read = reader.by_ref().take(MARK_BYTES as u64).read_to_end(&mut start);
    read.map_err(|error| reader.explain(error))?;
    Ok(detect(&start) == Ok(Format::Zstd))
}
