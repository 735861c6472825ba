//! Blobs of a repository: asked for and received.

pub(super) mod download;
mod head;
pub(super) mod hosts;
