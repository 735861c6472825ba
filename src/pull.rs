//! The pull: an image of a registry becomes an image in the store.
