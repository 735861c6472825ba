//! A look inside a stored image.
