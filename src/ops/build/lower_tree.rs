//! What the layers of a base have that layers over them must respect. Each is read once, and its table of contents
//! cached: a base changes seldom, and a build on it should not have to wait for it.

use std::io::{self, Read};

use super::{Base, BuildError, CacheConfig};
use crate::image::{Descriptor, Digest, Hasher};
use crate::layer::tar::read::TarError;
use crate::layer::{Decoder, Format, LayerToc, LowerTree, MAX_NAMES, TocCache, TocError};
use crate::progress::{Event, Interrupt, Outcome, Phase, Progress};
use crate::store::{BlobReader, ImageStore, StoreError};

/// Returns the tree of a base whose layers are in `store`. A layer that cannot be read by its media type has nothing in
/// it.
pub(super) fn of_base(
    base: &Base,
    store: &ImageStore,
    cache: Option<&CacheConfig>,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<LowerTree, BuildError> {
    let kept = cache.map(|config| (TocCache::new(&config.state), config.reuse));
    let mut below = LowerTree::default();
    let mut names = 0;
    let mut read = false;
    for (layer, diff_id) in base.layers.iter().zip(&base.config.rootfs.diff_ids) {
        if Format::of(&layer.media_type).is_none() {
            progress.emit(Event::Warning(&unread(layer)));
            continue;
        }
        let known = kept.as_ref().filter(|(_, reuse)| *reuse).and_then(|(cache, _)| cache.find(layer.digest, *diff_id));
        let toc = if let Some(toc) = known {
            toc
        } else {
            let toc = toc((layer, *diff_id), store, progress, interrupt)?;
            if let Some((cache, _)) = &kept {
                cache.keep(layer.digest, *diff_id, &toc);
                read = true;
            }
            toc
        };
        names += toc.names();
        if names > MAX_NAMES {
            return Err(BuildError::BaseLayer { digest: layer.digest, source: TocError::TooLarge });
        }
        toc.lay_over(&mut below);
    }
    if let Some((cache, _)) = kept.filter(|_| read) {
        cache.tidy();
    }
    Ok(below)
}

/// Reads a layer for its table of contents; its content has to be what the configuration says.
fn toc(
    (layer, diff_id): (&Descriptor, Digest),
    store: &ImageStore,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<LayerToc, BuildError> {
    let key = format!("base {}", layer.digest);
    let label = format!("layer {}", layer.digest.short());
    progress.emit(Event::Begin { key: &key, label: &label, phase: Phase::Read, total: Some(layer.size) });
    let toc = store.read_blob(layer).map_err(BuildError::Store).and_then(|blob| {
        let watched = Watched { blob, key: &key, progress, interrupt };
        let read = Decoder::detecting(watched).map_err(|error| TarError::Read(error).into());
        let read = read.and_then(|decoder| {
            let mut hashed = Hashed { inner: decoder, hasher: Hasher::default() };
            Ok((LayerToc::read(&mut hashed, interrupt)?, hashed.hasher.finish().0))
        });
        let (toc, found) = read.map_err(|error| explained(error, layer, interrupt))?;
        if found == diff_id {
            Ok(toc)
        } else {
            Err(BuildError::BaseDiffId { digest: layer.digest, expected: diff_id, found })
        }
    });
    let outcome = if toc.is_ok() { Outcome::Done } else { Outcome::Failed };
    progress.emit(Event::End { key: &key, outcome });
    toc
}

/// Returns the store's error for a damaged blob, and the layer's for a broken stream.
fn explained(error: TocError, layer: &Descriptor, interrupt: &Interrupt) -> BuildError {
    let digest = layer.digest;
    match error {
        TocError::Interrupted => BuildError::Interrupted,
        TocError::Tar(TarError::Read(_)) if interrupt.requested() => BuildError::Interrupted,
        TocError::Tar(TarError::Read(source)) => match source.downcast::<StoreError>() {
            Ok(error) => BuildError::Store(error),
            Err(source) => BuildError::BaseLayer { digest, source: TarError::Read(source).into() },
        },
        source => BuildError::BaseLayer { digest, source },
    }
}

/// Reads a blob, reports its bytes, and fails once the build is interrupted.
struct Watched<'a> {
    blob: BlobReader,
    key: &'a str,
    progress: &'a dyn Progress,
    interrupt: &'a Interrupt,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.interrupt.requested() {
            return Err(io::Error::other("interrupted"));
        }
        let count = self.blob.read(buffer)?;
        self.progress.emit(Event::Advance { key: self.key, bytes: count as u64 });
        Ok(count)
    }
}

/// What is read is hashed.
struct Hashed<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

fn unread(layer: &Descriptor) -> String {
    let media_type: String = layer.media_type.chars().take(120).collect();
    let what = "directories and links that it has may be replaced";
    format!("layer {} of the base has media type `{media_type}`, which is not read: {what}", layer.digest)
}
