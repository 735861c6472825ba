//! Base images of a build.

pub(crate) mod base_image;
