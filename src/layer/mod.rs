//! Entries of a context become a layer: a tar stream whose bytes depend on the entries and the style alone, hashed,
//! compressed and handed to a writer in one pass.
//!
//! Neither machine, clock, thread count nor order of creation show in the bytes. A file that changed since the walk
//! ends the layer with an error.

mod compress;
mod error;
mod import;
mod monitor;
mod overlay;
mod pack;
mod plan;
mod source;
pub mod tar;
mod writer;

pub use compress::decompress::{Cursored, Decoder, MARK_BYTES, detect};
pub use compress::parallel::Compressors;
pub use compress::{Compression, Format, LevelError};
pub use error::LayerError;
pub use import::{ForeignError, ForeignPlan, Imported, NameError, import};
pub use monitor::Monitor;
pub use overlay::destination::{Destination, DestinationError};
pub use overlay::error::PlacementError;
pub use overlay::lower_tree::{LowerEntry, LowerTree};
pub use overlay::placement::{FollowedSymlink, Placement};
pub use overlay::toc::{LayerToc, MAX_NAMES, TocError};
pub(crate) use overlay::whiteout::{OPAQUE, REMOVES, WHITEOUT, removes};
pub use pack::{LayerPlan, pack};
pub use plan::cache::{KnownLayer, LayerCache, TocCache};
pub use plan::fingerprint::fingerprint;
pub use plan::racy_timestamps::{RacyTimestamps, RacyWindow};
pub use plan::split::{Layers, MAX_LAYERS, split};
pub use tar::entry::{Attributes, Owner, Style};
pub use writer::{LayerWriter, Packed};

#[cfg(test)]
mod tests;
