//! What the layers beneath hold, and where the entries of a new layer go on top of them.

pub(super) mod destination;
pub(super) mod error;
pub(super) mod lower_tree;
pub(super) mod path_lookup;
pub(super) mod placement;
pub(super) mod toc;
pub(super) mod whiteout;
