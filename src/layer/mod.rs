//! Entries of a context become a layer: a tar stream whose bytes depend on the entries and the style
//! alone, hashed, compressed and handed to a writer in one pass. [`read`] goes the other way.
//!
//! Neither machine, clock, thread count nor order of creation show in the bytes. Nothing wrong is ever
//! finished: a file that is not what the walk saw ends the layer with an error.

mod below;
mod cache;
mod compress;
mod decompress;
mod destination;
mod error;
mod fingerprint;
mod foreign;
mod landing;
mod outline;
mod pack;
mod parallel;
mod quick;
pub mod read;
mod repetition;
mod settled;
mod source;
mod split;
mod stage;
mod tar;
mod trail;
mod whiteout;
mod writer;

pub use below::{Attributes, Below, Thing};
pub use cache::{KnownLayer, LayerCache, OutlineCache};
pub use compress::{Compression, Format, LevelError};
pub use decompress::{Cursored, Decoder, MARK_BYTES, detect};
pub use destination::{Destination, DestinationError};
pub use error::LayerError;
pub use fingerprint::fingerprint;
pub use foreign::{ForeignError, ForeignPlan, Imported, NameError, import};
pub use landing::{Followed, Landing, LandingError};
pub use outline::{MAX_NAMES, Outline, OutlineError};
pub use pack::{LayerPlan, Monitor, pack};
pub use parallel::Compressors;
pub use settled::{Settled, Settling};
pub use split::{Layers, MAX_LAYERS, split};
pub use tar::{Owner, Style};
pub(crate) use whiteout::{OPAQUE, REMOVES, WHITEOUT, removes};
pub use writer::{LayerWriter, Packed};

#[cfg(test)]
mod tests;
