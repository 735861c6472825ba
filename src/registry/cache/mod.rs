//! What earlier runs learned of registries, kept in small files.

pub(super) mod blob_info;
pub(super) mod capabilities;
