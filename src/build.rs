//! The build: a directory becomes an image in the store.
