//! The lines about disk and store.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::Args;
use crate::cli::failure::advice::no_room;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::render::diagnosis::Line;
use crate::cli::terminal::Ui;
use crate::ops::doctor::{room, store_health};
use crate::store::{ImageStore, Pruned, Repair, StoreError};
use crate::text::{self, counted, escaped};

/// How long the quick look at the store may take.
const STORE_LIMIT: Duration = Duration::from_secs(1);
/// Less room than this is worth a warning, in bytes.
const LITTLE_ROOM: u64 = 1 << 30;

impl Args {
    pub(crate) fn store_lines(&self, ui: &Ui, lines: &mut Vec<Line>) -> Outcome {
        let Ok(settings) = ui.surroundings.settings(self.store.store.as_deref()) else {
            lines.extend(["disk", "store"].map(|check| Line::skip(check, "the settings cannot be read")));
            return Ok(());
        };
        let root = settings.store.value;
        lines.push(disk_line(&root));
        let limit = (!self.deep).then_some(STORE_LIMIT);
        let looked = ui.run_blocking::<_, Failure>(|interrupt| Ok(store_health(&root, self.deep, limit, interrupt)))?;
        let place = root.display();
        lines.push(match looked {
            Err(error) => Line::fail("store", &error.into(), "keep what can be read: idpbuilder-doctor --repair"),
            Ok(None) => Line::ok("store", format!("{place}: none yet")),
            Ok(Some(health)) if !health.damaged.is_empty() => damaged_line(health.damaged),
            Ok(Some(health)) => {
                let size = text::size(health.bytes);
                let (images, stored) = (counted(health.images, "image"), counted(health.blobs, "blob"));
                let mut found = format!("{place}: {images}, {stored}, {size}");
                let Pruned { blobs, bytes, .. } = health.unreferenced;
                if blobs > 0 {
                    let size = text::size(bytes);
                    let _ =
                        write!(found, "; {blobs} more that no image needs, {size}: idpbuilder-rm --prune frees them");
                }
                match (health.left, self.deep) {
                    (0, true) => Line::ok("store", format!("{found}, all hashed")),
                    (0, false) => Line::ok("store", found),
                    (left, _) => Line::warn("store", format!("{found}; not looked at: {}", counted(left, "image")))
                        .fix("look at all of it, for as long as it takes: --deep"),
                }
            }
        });
        Ok(())
    }
}

impl Args {
    /// Repairs the store and prints what was done.
    pub(crate) fn repair(&self, ui: &Ui) -> Outcome {
        let root = ui.surroundings.settings(self.store.store.as_deref())?.store.value;
        let done = ui.run_blocking::<_, Failure>(|interrupt| Ok(ImageStore::repair(&root, interrupt)?))?;
        if done.is_empty() {
            return Ok(ui.data(&format!("Nothing to repair in {}", root.display()))?);
        }
        let lines: Vec<String> = done.iter().map(|repair| escaped(&repaired(repair)).into_owned()).collect();
        Ok(ui.data(&lines.join("\n"))?)
    }
}

/// One thing that a repair did, as a line.
fn repaired(repair: &Repair) -> String {
    match repair {
        Repair::Aside { name, to, reason } => format!("Renamed {name} to {to}: {reason}"),
        Repair::Marker => "Wrote oci-layout".to_owned(),
        Repair::Index { kept, lost: 0 } => format!("Wrote index.json with {}", counted(*kept, "entry")),
        Repair::Index { kept, lost } => {
            format!("Wrote index.json with {}; lost: {lost}", counted(*kept, "entry"))
        }
        Repair::Removed { name: Some(name), digest, reason } => format!("Removed {name} ({digest}): {reason}"),
        Repair::Removed { name: None, digest, reason } => format!("Removed {digest}: {reason}"),
        Repair::Recovered(digest) => format!("Kept {digest} without a name; idpbuilder-tag names it"),
    }
}

fn disk_line(root: &Path) -> Line {
    match room(root) {
        Ok(space) => {
            let found = format!("{} of {} free", text::size(space.free), text::size(space.total));
            if space.free >= LITTLE_ROOM {
                return Line::ok("disk", found);
            }
            let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
            Line::warn("disk", found).fix(no_room(&full).unwrap_or_default())
        }
        Err(source) => {
            let error = StoreError::Io { action: "read the file system of", path: root.to_owned(), source };
            Line::fail("disk", &error.into(), "name another store with --store")
        }
    }
}

fn damaged_line(damaged: Vec<(String, StoreError)>) -> Line {
    let names: Vec<String> = damaged.iter().map(|(name, _)| name.clone()).collect();
    let count = names.len();
    let Some((_, first)) = damaged.into_iter().next() else { return Line::ok("store", "") };
    let failure = Failure::from(first);
    let shown = names.into_iter().take(5).collect::<Vec<_>>().join(", ");
    let more = if count > 5 { ", ..." } else { "" };
    let hints = failure.hints().to_vec();
    let told = format!("damaged: {shown}{more}: {}", failure.summary());
    let failure = hints.into_iter().fold(Failure::new(failure.kind(), told), Failure::hint);
    Line::fail("store", &failure, "build the image again with --no-cache, load or pull it: that repairs its blobs")
}
