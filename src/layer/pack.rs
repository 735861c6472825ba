//! One layer from one run of entries, in one pass: each file is read once.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

use super::overlay::placement::Item;
use super::source::{CopyError, Source};
use super::tar::entry::TarWriter;
use super::{Compressors, LayerError, LayerWriter, Monitor, Packed, Placement, Style};
use crate::context::{Context, Entry, Kind};

/// What a layer is made of.
#[derive(Debug, Clone, Copy)]
pub struct LayerPlan<'a> {
    /// Where the entries are.
    pub context: &'a Context,
    /// The entries, parents before children.
    pub entries: &'a [&'a Entry],
    /// Where in the image they land.
    pub placement: &'a Placement,
    /// The owner, time and mode of all entries.
    pub style: Style,
}

/// A file that has further names, as it is in the archive under its first.
struct Original {
    name: Vec<u8>,
    capability: Option<Vec<u8>>,
}

/// Packs the entries of `plan` into `sink`.
pub fn pack<W: Write + Send + 'static>(
    plan: &LayerPlan<'_>,
    compressors: &Arc<Compressors>,
    sink: W,
    monitor: &mut Monitor<'_>,
) -> Result<Packed<W>, LayerError> {
    let source = Source::new(plan.context);
    let writer = LayerWriter::new(sink, compressors);
    let mut tar = TarWriter::new(writer, plan.style);
    let mut originals: HashMap<(u64, u64), Original> = HashMap::new();
    plan.placement.each(plan.entries, |name, item| {
        if monitor.stopped() {
            return Err(LayerError::Interrupted);
        }
        let entry = match item {
            Item::Parent(attributes) => return tar.directory_as(name, attributes).map_err(LayerError::Write),
            Item::Entry(entry) => entry,
        };
        let mode = plan.style.mode.unwrap_or(entry.mode);
        let written = match &entry.kind {
            Kind::Directory => tar.directory(name, mode),
            Kind::Symlink { target } => tar.symlink(name, target),
            Kind::File { stamp, links } => {
                if let Some(Original { name: original, capability }) = originals.get(&stamp.identity) {
                    tar.hard_link(name, mode, original, capability.as_deref())
                } else {
                    let file = source.open(entry, *stamp)?;
                    let capability = file.capability().map_err(|error| source.unreadable(entry, error))?;
                    tar.begin_file(name, mode, stamp.size, capability.as_deref()).map_err(LayerError::Write)?;
                    file.copy(tar.content(), monitor).map_err(|error| match error {
                        CopyError::Changed => source.changed(entry),
                        CopyError::Read(error) => source.unreadable(entry, error),
                        CopyError::Write(error) => LayerError::Write(error),
                        CopyError::Interrupted => LayerError::Interrupted,
                    })?;
                    if *links > 1 {
                        originals.insert(stamp.identity, Original { name: name.to_vec(), capability });
                    }
                    tar.end_file(stamp.size)
                }
            }
        };
        written.map_err(LayerError::Write)
    })?;
    monitor.report();
    tar.finish().and_then(LayerWriter::finish).map_err(LayerError::Write)
}
