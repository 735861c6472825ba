//! What a robust push client does: a test for each thing, named after it.

mod access;
mod limits;
mod order;
