//! The layers of a build: planned, packed side by side, stored in the order of the plan.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{BuildError, LayerOutcome, Request};
use crate::context::{Context, Entry};
use crate::image::Descriptor;
use crate::layer::{Compressors, LayerError, LayerPlan, Monitor, Packed, pack};
use crate::progress::{Event, Interrupt, Outcome, Phase, Progress};
use crate::store::{ImageStore, Lease, StoreError};

/// The transfer under which packing is reported.
const PACK_KEY: &str = "context";

/// Where layers come from and go to.
pub(super) struct Layering<'a> {
    pub(super) request: &'a Request,
    pub(super) context: &'a Context,
    pub(super) store: &'a ImageStore,
    pub(super) lease: &'a Lease,
    pub(super) progress: &'a dyn Progress,
    pub(super) interrupt: &'a Interrupt,
}

impl Layering<'_> {
    /// Stores a layer of each of `plans`, in this order; `bytes` is what their files hold.
    pub(super) fn put(&self, plans: &[Vec<&Entry>], bytes: u64) -> Result<Vec<LayerOutcome>, BuildError> {
        let label = self.context.given().display().to_string();
        self.progress.emit(Event::Begin { key: PACK_KEY, label: &label, phase: Phase::Pack, total: Some(bytes) });
        let layers = self.pack_all(plans);
        let outcome = if layers.is_ok() { Outcome::Done } else { Outcome::Failed };
        self.progress.emit(Event::End { key: PACK_KEY, outcome });
        layers
    }

    /// Packs side by side as many as the compressors are worth. Which thread does what does not show.
    fn pack_all(&self, plans: &[Vec<&Entry>]) -> Result<Vec<LayerOutcome>, BuildError> {
        let compressors = Compressors::new(self.request.compression)
            .map_err(|source| BuildError::Layer(LayerError::Write(source)))?;
        let next = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        let results = Mutex::new(plans.iter().map(|_| None).collect::<Vec<_>>());
        let lane = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(entries) = plans.get(number) else { break };
                let monitor = Monitor::new(self.progress, PACK_KEY, self.interrupt).unless(&stop);
                let result = self.pack_one(entries, &compressors, monitor);
                if result.is_err() {
                    stop.store(true, Ordering::Relaxed);
                }
                results.lock().unwrap_or_else(PoisonError::into_inner)[number] = Some(result);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..compressors.lanes().min(plans.len()) {
                scope.spawn(lane);
            }
            lane();
        });
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut layers = Vec::with_capacity(plans.len());
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
        let request = self.request;
        let plan =
            LayerPlan { context: self.context, entries, destination: &request.destination, style: request.style };
        let sink = self.store.write_blob(self.lease)?;
        let packed = pack(&plan, compressors, sink, &mut monitor).map_err(|error| match error {
            LayerError::Write(source) => StoreError::io("write a blob in", self.store.root(), source).into(),
            error => BuildError::from(error),
        })?;
        let Packed { diff_id, uncompressed, inner } = packed;
        let (digest, size) = inner.commit()?;
        let descriptor = Descriptor::new(request.compression.media_type(), digest, size);
        Ok(LayerOutcome { descriptor, diff_id, uncompressed })
    }
}
