//! From entries to a layer: deterministic tar, digest of the tar, compression, digest of the blob, in one pass.

pub mod read;
