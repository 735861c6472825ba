//! Tar streams: one way to write each entry, and a bounded reader for streams of other programs.

pub(super) mod entry;
pub mod read;
