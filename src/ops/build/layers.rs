//! The layers of a build: those that an earlier build packed from the same files are taken as they are, the
//! others are packed side by side. Their order is that of the plan.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::{BuildError, CacheConfig, Counts, LayerOutcome, StoredLayers};
use crate::context::{Context, Entry};
use crate::image::{Descriptor, Digest};
use crate::layer::fingerprint;
use crate::layer::{
    Compression, Compressors, KnownLayer, LayerCache, LayerError, LayerPlan, Monitor, Packed, Placement,
    RacyTimestamps, Style, pack,
};
use crate::progress::{Event, Interrupt, Outcome, Phase, Progress};
use crate::store::{ImageStore, Lease, StoreError};
use crate::threads::spawn_scoped;

/// Where layers come from and go to.
pub(super) struct Layering<'a> {
    /// The transfer under which packing is reported, and what to call it.
    pub(super) key: &'a str,
    pub(super) label: &'a str,
    pub(super) context: &'a Context,
    pub(super) placement: &'a Placement,
    pub(super) style: Style,
    pub(super) compression: Compression,
    pub(super) store: &'a ImageStore,
    pub(super) lease: &'a Lease,
    pub(super) cache: Option<&'a CacheConfig>,
    /// How many threads compress, and how many layers are packed at a time; none for what the machine has.
    pub(super) threads: Option<usize>,
    /// Gets each layer that is whole in the store.
    pub(super) stored: &'a StoredLayers,
    pub(super) progress: &'a dyn Progress,
    pub(super) interrupt: &'a Interrupt,
}

/// A layer that is still to be packed.
struct Missing<'a> {
    /// Its place among all layers.
    number: usize,
    entries: &'a [&'a Entry],
    /// Under which the packed layer is kept, where it may be.
    fingerprint: Option<Digest>,
}

impl Layering<'_> {
    /// Stores a layer of each of `plans`, in this order.
    pub(super) fn put(&self, plans: &[Vec<&Entry>]) -> Result<Vec<LayerOutcome>, BuildError> {
        let mut layers: Vec<Option<LayerOutcome>> = Vec::with_capacity(plans.len());
        let mut missing = Vec::new();
        let settled = self.cache.map(|config| RacyTimestamps::below(self.context.handle(), config.settling));
        let now = SystemTime::now();
        let mut tick = Duration::ZERO;
        for (number, entries) in plans.iter().enumerate() {
            let known = self.cache.map(|config| (config, self.fingerprint(entries)));
            let found = known.filter(|(config, _)| config.reuse).map(|(config, key)| self.find(config, key));
            let found = found.transpose()?.flatten();
            if found.is_none() {
                let wait = settled.and_then(|settled| settled.wait(entries, now));
                tick = tick.max(wait.unwrap_or_default());
                let fingerprint = wait.and(known).map(|(_, key)| key);
                missing.push(Missing { number, entries, fingerprint });
            }
            if let Some(found) = &found {
                self.stored.put(&found.descriptor);
            }
            layers.push(found);
        }
        if !missing.is_empty() {
            // A file that is read after the tick it was written in cannot change again unseen.
            std::thread::sleep(tick);
            let packed = self.pack_missing(&missing, &mut layers);
            if let Some(config) = self.cache {
                LayerCache::new(&config.state).tidy();
            }
            packed?;
        }
        Ok(layers.into_iter().flatten().collect())
    }

    fn plan<'a>(&'a self, entries: &'a [&'a Entry]) -> LayerPlan<'a> {
        LayerPlan { context: self.context, entries, placement: self.placement, style: self.style }
    }

    fn fingerprint(&self, entries: &[&Entry]) -> Digest {
        let user = rustix::process::geteuid().as_raw();
        fingerprint(&self.plan(entries), self.compression, user)
    }

    /// The layer that was packed before, if the store still has it.
    fn find(&self, config: &CacheConfig, key: Digest) -> Result<Option<LayerOutcome>, StoreError> {
        let Some(known) = LayerCache::new(&config.state).find(key) else { return Ok(None) };
        let KnownLayer { digest, size, diff_id, uncompressed } = known;
        if self.store.blob_size(digest)? != Some(size) {
            return Ok(None);
        }
        let descriptor = Descriptor::new(self.compression.media_type(), digest, size);
        Ok(Some(LayerOutcome { descriptor, diff_id, uncompressed, reused: true }))
    }

    fn keep(&self, missing: &Missing<'_>, packed: &LayerOutcome) {
        let (Some(config), Some(key)) = (self.cache, missing.fingerprint) else { return };
        let LayerOutcome { descriptor, diff_id, uncompressed, .. } = packed;
        let Descriptor { digest, size, .. } = *descriptor;
        let known = KnownLayer { digest, size, diff_id: *diff_id, uncompressed: *uncompressed };
        LayerCache::new(&config.state).keep(key, &known);
        self.store.keep_unpublished(digest);
    }

    fn pack_missing(&self, missing: &[Missing<'_>], layers: &mut [Option<LayerOutcome>]) -> Result<(), BuildError> {
        let bytes = missing.iter().map(|missing| Counts::of(missing.entries.iter().copied()).bytes).sum();
        self.progress.emit(Event::Begin { key: self.key, label: self.label, phase: Phase::Pack, total: Some(bytes) });
        let packed = self.pack_all(missing);
        let outcome = if packed.is_ok() { Outcome::Done } else { Outcome::Failed };
        self.progress.emit(Event::End { key: self.key, outcome });
        for (missing, layer) in missing.iter().zip(packed?) {
            layers[missing.number] = Some(layer);
        }
        Ok(())
    }

    /// Packs side by side as many as the compressors are worth. Which thread does what does not show.
    fn pack_all(&self, missing: &[Missing<'_>]) -> Result<Vec<LayerOutcome>, BuildError> {
        let compressors = match self.threads {
            Some(threads) => Compressors::on_threads(self.compression, threads),
            None => Compressors::new(self.compression),
        };
        let compressors = compressors.map_err(|source| BuildError::Layer(LayerError::Write(source)))?;
        let lanes = self.threads.unwrap_or_else(|| compressors.lanes());
        let next = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        let results = Mutex::new(missing.iter().map(|_| None).collect::<Vec<_>>());
        let lane = || {
            loop {
                let turn = next.fetch_add(1, Ordering::Relaxed);
                let Some(layer) = missing.get(turn) else { break };
                let monitor = Monitor::new(self.progress, self.key, self.interrupt).unless(&stop);
                let result = self.pack_one(layer.entries, &compressors, monitor);
                match &result {
                    // Also for the build after this one, should this one fail elsewhere.
                    Ok(packed) => self.keep(layer, packed),
                    Err(_) => stop.store(true, Ordering::Relaxed),
                }
                results.lock().unwrap_or_else(PoisonError::into_inner)[turn] = Some(result);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..lanes.min(missing.len()) {
                // The lanes that there are do the work.
                if spawn_scoped(scope, lane).is_err() {
                    break;
                }
            }
            lane();
        });
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut layers = Vec::with_capacity(missing.len());
        let mut stopped = None;
        for result in results.into_iter().flatten() {
            match result {
                Ok(layer) => layers.push(layer),
                // Perhaps only because another layer failed, which then is the reason.
                Err(BuildError::Interrupted) => stopped = Some(BuildError::Interrupted),
                Err(error) => return Err(error),
            }
        }
        stopped.map_or(Ok(layers), Err)
    }

    fn pack_one(
        &self,
        entries: &[&Entry],
        compressors: &Arc<Compressors>,
        mut monitor: Monitor<'_>,
    ) -> Result<LayerOutcome, BuildError> {
        let plan = self.plan(entries);
        let sink = self.store.draft_blob(self.lease)?;
        let packed = pack(&plan, compressors, sink, &mut monitor).map_err(|error| match error {
            LayerError::Write(source) => StoreError::io("write a blob in", self.store.root(), source).into(),
            error => BuildError::from(error),
        })?;
        let Packed { diff_id, uncompressed, digest, size, inner } = packed;
        inner.commit(digest)?;
        let descriptor = Descriptor::new(self.compression.media_type(), digest, size);
        self.stored.put(&descriptor);
        Ok(LayerOutcome { descriptor, diff_id, uncompressed, reused: false })
    }
}
