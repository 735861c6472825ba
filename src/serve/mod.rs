//! The embedded registry: the image store over the distribution API.
