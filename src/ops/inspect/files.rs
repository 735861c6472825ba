//! The files of a stored layer, streamed out of its compressed tar.

use std::io::Read;

use crate::image::{Descriptor, Digest, Hasher};
use crate::layer::tar::read::{TarEntry, TarError, TarReader};
use crate::layer::{Cursored, Decoder, Format};
use crate::progress::Interrupt;
use crate::store::{BlobReader, ImageStore, StoreError};

use super::{InspectError, LayerInfo};

/// The most files listed of one layer.
pub(super) const MAX_FILES: usize = 10_000_000;

/// The most bytes a layer may unpack to: a compressed stream can announce a thousand times its size.
const MAX_LAYER_BYTES: u64 = 1 << 42;

/// Returns the entries of a layer in the order of its tar, read as they are asked for. The layer's digest is checked at
/// the end.
pub fn files(store: &ImageStore, layer: &LayerInfo) -> Result<LayerFiles, InspectError> {
    let descriptor = Descriptor::new(&layer.media_type, layer.digest, layer.size);
    let reader = TarReader::new(uncompressed(store, &descriptor, layer.diff_id)?);
    Ok(LayerFiles { digest: layer.digest, reader: Some(reader), listed: 0 })
}

/// Walks a layer's entries; ends after the first error.
pub struct LayerFiles {
    digest: Digest,
    reader: Option<TarReader<Checked>>,
    listed: usize,
}

impl std::fmt::Debug for LayerFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LayerFiles").field("digest", &self.digest).finish_non_exhaustive()
    }
}

impl Iterator for LayerFiles {
    type Item = Result<TarEntry, InspectError>;

    fn next(&mut self) -> Option<Self::Item> {
        let reader = self.reader.as_mut()?;
        let step = match reader.next_entry() {
            Ok(Some(_)) if self.listed == MAX_FILES || reader.offset() > MAX_LAYER_BYTES => {
                Some(Err(InspectError::TooLarge(self.digest)))
            }
            Ok(Some(entry)) => Some(Ok(entry)),
            Ok(None) => reader.finish().err().map(|error| Err(self.explain(error))),
            Err(error) => Some(Err(self.explain(error))),
        };
        self.listed += 1;
        if !matches!(step, Some(Ok(_))) {
            self.reader = None;
        }
        step
    }
}

/// The content of the entry that was walked to last.
impl Read for LayerFiles {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.reader.as_mut().map_or(Ok(0), |reader| reader.read(buffer))
    }
}

impl LayerFiles {
    pub(super) fn explain(&self, error: TarError) -> InspectError {
        match error {
            TarError::Read(source) => decompress_error(self.digest, source),
            source => InspectError::Tar { digest: self.digest, source },
        }
    }
}

/// Returns a layer's tar, whose digest is checked at its end where it is known.
fn uncompressed(store: &ImageStore, layer: &Descriptor, diff_id: Option<Digest>) -> Result<Checked, InspectError> {
    let digest = layer.digest;
    if Format::of(&layer.media_type).is_none() {
        return Err(InspectError::MediaType { digest, media_type: layer.media_type.chars().take(120).collect() });
    }
    let decoder = Decoder::detecting(store.read_blob(layer)?).map_err(|error| decompress_error(digest, error))?;
    Ok(Checked { decoder, layer: digest, diff_id, hasher: Hasher::default() })
}

/// The tar of a layer, hashed while it is read.
struct Checked {
    decoder: Decoder<Cursored<BlobReader>>,
    layer: Digest,
    diff_id: Option<Digest>,
    hasher: Hasher,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.decoder.read(buffer)?;
        if self.diff_id.is_some() {
            self.hasher.update(&buffer[..count]);
        }
        if count > 0 || buffer.is_empty() {
            return Ok(count);
        }
        let found = self.hasher.clone().finish().0;
        match self.diff_id.take() {
            Some(expected) if expected != found => {
                Err(std::io::Error::other(InspectError::Differs { layer: self.layer, expected, found }))
            }
            _ => Ok(0),
        }
    }
}

/// Returns the number of bytes the layer decompresses to.
pub(super) fn measure(
    store: &ImageStore,
    layer: &Descriptor,
    diff_id: Option<Digest>,
    interrupt: &Interrupt,
) -> Result<u64, InspectError> {
    let mut reader = uncompressed(store, layer, diff_id)?;
    let mut size = 0;
    let mut buffer = vec![0; 128 << 10];
    loop {
        if interrupt.requested() {
            return Err(InspectError::Interrupted);
        }
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(size),
            Ok(count) => size += count as u64,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(decompress_error(layer.digest, error)),
        }
        if size > MAX_LAYER_BYTES {
            return Err(InspectError::TooLarge(layer.digest));
        }
    }
}

/// Returns the store's error for a damaged blob, and the layer's for a broken stream.
fn decompress_error(digest: Digest, error: std::io::Error) -> InspectError {
    let error = match error.downcast::<StoreError>() {
        Ok(damaged) => return damaged.into(),
        Err(error) => error,
    };
    match error.downcast::<InspectError>() {
        Ok(differs) => differs,
        Err(source) => InspectError::Decompress { digest, source },
    }
}
