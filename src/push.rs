//! The push: a stored image becomes a verified image in a registry.
