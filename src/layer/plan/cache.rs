//! What earlier builds learned of layers: those that were packed, so that the same files need not be read again, and
//! tables of contents of those that others were built on.
//!
//! One small file for each, named by a digest. It is written once and never changed, so that processes need no lock.
//! What cannot be read, or does not prove itself, is not known.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::fs;
use crate::image::{Digest, Hasher};
use crate::layer::LayerToc;
use crate::layer::overlay::toc::MAX_TOC_BYTES;

/// Records that are not used for this time are removed.
const AGE: Duration = Duration::from_hours(30 * 24);
/// A file that is used is noted to be no more often than this.
const REFRESH: Duration = Duration::from_hours(24);
/// Layers that are kept: a hundred contexts of many layers.
const MAX_LAYERS: usize = 4096;
/// The file of one is shorter.
const MAX_LAYER_BYTES: u64 = 4 << 10;
/// Outlines that are kept: some dozens of bases.
const MAX_OUTLINES: usize = 512;
/// Another number for every change of what the bytes of a table of contents mean, or of what is read of a layer.
const OUTLINE_FORMAT: u32 = 3;

/// Files by digest.
#[derive(Debug, Clone)]
struct Files {
    directory: PathBuf,
    /// Bytes that one of them has at most, whether it is read or written.
    limit: u64,
}

/// The layers that one person's builds have packed.
#[derive(Debug, Clone)]
pub struct LayerCache(Files);

/// The tables of contents of layers that one person's builds were built on.
#[derive(Debug, Clone)]
pub struct TocCache(Files);

/// A layer that was packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownLayer {
    /// Digest of the blob.
    pub digest: Digest,
    /// Bytes of the blob.
    pub size: u64,
    /// Digest of the uncompressed tar.
    pub diff_id: Digest,
    /// Bytes of the uncompressed tar.
    pub uncompressed: u64,
}

#[derive(Serialize, Deserialize)]
struct File {
    layer: KnownLayer,
    /// Digest of the fingerprint and the layer: damage, or a file under another's name, must not go unnoticed.
    check: Digest,
}

impl KnownLayer {
    fn check(&self, fingerprint: Digest) -> Digest {
        let Self { digest, size, diff_id, uncompressed } = self;
        Digest::of(format!("{fingerprint}\n{digest}\n{size}\n{diff_id}\n{uncompressed}").as_bytes())
    }
}

impl LayerCache {
    /// Returns the cache in the program's directory, which is made when there is something to keep.
    pub fn new(state: &Path) -> Self {
        Self(Files { directory: state.join("cache/layers"), limit: MAX_LAYER_BYTES })
    }

    /// Returns the layer that has this fingerprint, if it is known.
    pub fn find(&self, fingerprint: Digest) -> Option<KnownLayer> {
        let bytes = self.0.read(fingerprint)?;
        let File { layer, check } = serde_json::from_slice(&bytes).ok()?;
        (check == layer.check(fingerprint)).then_some(layer)
    }

    /// Keeps a layer by its fingerprint. What cannot be kept is packed again, and that is all.
    pub fn keep(&self, fingerprint: Digest, layer: &KnownLayer) {
        let file = File { layer: *layer, check: layer.check(fingerprint) };
        self.0.write(fingerprint, &serde_json::to_vec(&file).expect("plain fields"));
    }

    /// Forgets what is too old, or too much.
    pub fn tidy(&self) {
        self.0.prune(SystemTime::now(), MAX_LAYERS);
    }
}

impl TocCache {
    /// Returns the cache in the program's directory, which is made when there is something to keep.
    pub fn new(state: &Path) -> Self {
        Self(Files { directory: state.join("cache/trees"), limit: MAX_TOC_BYTES as u64 + 32 })
    }

    /// Returns the table of contents of the layer with this digest, if it is known and was read as having this
    /// `diff_id`.
    pub fn find(&self, layer: Digest, diff_id: Digest) -> Option<LayerToc> {
        let mut bytes = self.0.read(layer)?;
        if bytes.len() < 32 {
            return None;
        }
        let toc = bytes.split_off(32);
        if bytes != toc_check(layer, diff_id, &toc).bytes() {
            return None;
        }
        LayerToc::from_bytes(toc)
    }

    /// Keeps the toc of a layer whose content has this `diff_id`. What cannot be kept is read again, and that is all.
    pub fn keep(&self, layer: Digest, diff_id: Digest, toc: &LayerToc) {
        let bytes = toc.as_bytes();
        self.0.write(layer, &[toc_check(layer, diff_id, bytes).bytes(), bytes].concat());
    }

    /// Forgets what is too old, or too much.
    pub fn tidy(&self) {
        self.0.prune(SystemTime::now(), MAX_OUTLINES);
    }
}

/// Damage, or a file under another's name, must not go unnoticed.
fn toc_check(layer: Digest, diff_id: Digest, bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::default();
    hasher.update(format!("toc {OUTLINE_FORMAT} {layer} {diff_id}\n").as_bytes());
    hasher.update(bytes);
    hasher.finish().0
}

impl Files {
    /// Returns a file's content, if it is not longer than the limit.
    fn read(&self, name: Digest) -> Option<Vec<u8>> {
        let path = self.path(name);
        let opened = fs::open_regular(&path, fs::Links::Follow).ok()?;
        let changed = opened.metadata().and_then(|metadata| metadata.modified());
        let bytes = fs::read_limited(&opened, self.limit).ok()?;
        let now = SystemTime::now();
        if changed.ok().and_then(|changed| now.duration_since(changed).ok()).is_none_or(|age| age > REFRESH) {
            // Otherwise it is forgotten in time, and made anew.
            let _ = std::fs::File::options().append(true).open(&path).and_then(|file| file.set_modified(now));
        }
        Some(bytes)
    }

    fn write(&self, name: Digest, bytes: &[u8]) {
        let _ = fs::check_limit(bytes, self.limit)
            .and_then(|()| fs::create_private_dir(&self.directory))
            .and_then(|()| replace(&self.path(name), bytes));
    }

    fn path(&self, name: Digest) -> PathBuf {
        self.directory.join(name.hex())
    }

    /// Removes what is too old, and the oldest of more than `most`.
    fn prune(&self, now: SystemTime, most: usize) {
        let mut kept = Vec::new();
        for entry in std::fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let changed = entry.metadata().and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
            // One from the future is as good as new.
            if now.duration_since(changed).is_ok_and(|age| age > AGE) {
                let _ = std::fs::remove_file(entry.path());
            } else {
                kept.push((changed, entry.path()));
            }
        }
        if let Some(excess) = kept.len().checked_sub(most) {
            kept.sort_unstable();
            for (_, path) in kept.drain(..excess) {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

/// Whole or not at all for other processes, but not durable: what a power cut takes or damages is not known.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(fs::TEMPORARY_PREFIX).tempfile_in(fs::parent(path))?;
    file.write_all(bytes)?;
    file.persist(path).map_err(|error| error.error).map(drop)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use proptest::prelude::*;

    use super::*;

    fn layer(text: &str) -> (Digest, KnownLayer) {
        let digest = Digest::of(text.as_bytes());
        let diff_id = Digest::of(format!("{text} unpacked").as_bytes());
        let layer = KnownLayer { digest, size: text.len() as u64, diff_id, uncompressed: 1024 };
        (Digest::of(format!("{text} planned").as_bytes()), layer)
    }

    fn keep(cache: &LayerCache, text: &str) {
        let (fingerprint, layer) = layer(text);
        cache.keep(fingerprint, &layer);
    }

    fn files(state: &Path) -> usize {
        std::fs::read_dir(state.join("cache/layers")).map_or(0, Iterator::count)
    }

    #[test]
    fn a_file_beyond_the_limit_is_neither_written_nor_read() {
        let state = tempfile::tempdir().expect("a directory");
        let files = Files { directory: state.path().join("cache"), limit: 4 };
        let (fits, beyond) = (Digest::of(b"fits"), Digest::of(b"beyond"));
        files.write(fits, b"1234");
        files.write(beyond, b"12345");
        assert_eq!(files.read(fits).as_deref(), Some(&b"1234"[..]));
        assert!(!files.path(beyond).exists());
        std::fs::write(files.path(beyond), b"12345").expect("written");
        assert_eq!(files.read(beyond), None);
        std::fs::remove_file(files.path(beyond)).expect("removed");
        rustix::fs::mknodat(rustix::fs::CWD, files.path(beyond), rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .expect("made");
        assert_eq!(files.read(beyond), None, "a pipe is not waited for");
    }

    #[test]
    fn what_was_kept_is_found_and_is_private() {
        let state = tempfile::tempdir().expect("a directory");
        let cache = LayerCache::new(state.path());
        let (fingerprint, known) = layer("one");
        assert_eq!(cache.find(fingerprint), None);
        cache.tidy();
        assert!(!state.path().join("cache").exists(), "nothing to keep");
        cache.keep(fingerprint, &known);
        keep(&cache, "two");
        assert_eq!(LayerCache::new(state.path()).find(fingerprint), Some(known));
        assert_eq!(cache.find(layer("two").0), Some(layer("two").1));
        assert_eq!(cache.find(layer("three").0), None);
        let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&cache.0.directory), mode(&cache.0.path(fingerprint))), (0o700, 0o600));
        // Where nothing can be written, nothing is kept and nothing fails.
        std::fs::write(state.path().join("file"), "").expect("written");
        let nowhere = LayerCache::new(&state.path().join("file"));
        keep(&nowhere, "one");
        nowhere.tidy();
        assert_eq!(nowhere.find(fingerprint), None);
    }

    #[test]
    fn the_old_and_the_too_many_are_forgotten() {
        let state = tempfile::tempdir().expect("a directory");
        let cache = LayerCache::new(state.path());
        let now = SystemTime::now();
        let ages = [("new", 0), ("used", 29 * 24), ("old", 31 * 24), ("older", 32 * 24)];
        let set = |name: &str, hours: u64| {
            let file = std::fs::File::options().append(true).open(cache.0.path(layer(name).0)).expect("kept");
            file.set_modified(now - Duration::from_hours(hours)).expect("set");
        };
        for (name, hours) in ages {
            keep(&cache, name);
            set(name, hours);
        }
        // To be looked for is to be used.
        assert!(cache.find(layer("older").0).is_some());
        cache.0.prune(now, 10);
        assert_eq!(ages.map(|(name, _)| cache.find(layer(name).0).is_some()), [true, true, false, true]);
        for (age, name) in ["older", "used", "new"].iter().enumerate() {
            set(name, age as u64);
        }
        cache.0.prune(now, 2);
        assert_eq!(ages.map(|(name, _)| cache.find(layer(name).0).is_some()), [false, true, false, true]);
        cache.0.prune(now, 0);
        assert_eq!(files(state.path()), 0);
    }

    #[test]
    fn a_file_under_anothers_name_is_not_believed() {
        let state = tempfile::tempdir().expect("a directory");
        let cache = LayerCache::new(state.path());
        keep(&cache, "one");
        std::fs::copy(cache.0.path(layer("one").0), cache.0.path(layer("two").0)).expect("copied");
        assert_eq!(cache.find(layer("two").0), None);
        std::fs::create_dir(cache.0.path(layer("three").0)).expect("made");
        assert_eq!(cache.find(layer("three").0), None);
        keep(&cache, "three");
    }

    #[test]
    fn tables_of_contents_prove_themselves() {
        let state = tempfile::tempdir().expect("a directory");
        let cache = TocCache::new(state.path());
        let toc = LayerToc::from_bytes(b"o\0\0\x01\0a".to_vec()).expect("a record");
        let (one, other, content) = (Digest::of(b"one"), Digest::of(b"other"), Digest::of(b"content"));
        assert_eq!(cache.find(one, content), None);
        cache.keep(one, content, &toc);
        cache.keep(other, content, &LayerToc::default());
        assert_eq!(
            (cache.find(one, content), cache.find(other, content)),
            (Some(toc.clone()), Some(LayerToc::default()))
        );
        assert_eq!(cache.find(one, other), None, "verified against something else");
        let whole = std::fs::read(cache.0.path(one)).expect("kept");
        assert_eq!(std::fs::metadata(cache.0.path(one)).expect("there").permissions().mode() & 0o777, 0o600);
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            for bytes in [&bytes[..], &whole[..at]] {
                std::fs::write(cache.0.path(one), bytes).expect("written");
                assert_eq!(cache.find(one, content), None, "{at}");
            }
        }
        // Under another's name, and proved but no toc.
        std::fs::write(cache.0.path(other), &whole).expect("written");
        assert_eq!(cache.find(other, content), None);
        std::fs::write(cache.0.path(one), [toc_check(one, content, b"x").bytes(), &b"x"[..]].concat())
            .expect("written");
        assert_eq!(cache.find(one, content), None);
        cache.tidy();
        assert_eq!(std::fs::read_dir(state.path().join("cache/trees")).expect("there").count(), 2);
    }

    proptest! {
        #[test]
        fn damage_means_that_nothing_is_known(
            at in any::<proptest::sample::Index>(),
            byte in any::<u8>(),
            length in proptest::option::of(any::<proptest::sample::Index>()),
        ) {
            let state = tempfile::tempdir().expect("a directory");
            let cache = LayerCache::new(state.path());
            let (fingerprint, known) = layer("one");
            cache.keep(fingerprint, &known);
            let path = cache.0.path(fingerprint);
            let whole = std::fs::read(&path).expect("kept");
            let mut bytes = whole.clone();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes.truncate(length.map_or(bytes.len(), |length| length.index(bytes.len() + 1)));
            std::fs::write(&path, &bytes).expect("written");
            // Never another layer; the same one only if nothing was damaged that matters.
            match cache.find(fingerprint) {
                Some(found) => prop_assert_eq!(found, known),
                None => prop_assert!(bytes != whole),
            }
        }
    }
}
