//! Which entries make which layer, and which layers an earlier build packed already.

pub(super) mod cache;
pub(super) mod fingerprint;
pub(super) mod racy_timestamps;
pub(super) mod split;
