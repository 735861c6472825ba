//! Blobs of a repository, received.

pub(super) mod download;
pub(super) mod hosts;
