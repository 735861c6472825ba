//! Reasons for which a source has no place over the layers beneath.

use super::whiteout::REMOVES;
use crate::text;

/// Why an entry of a source has no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// Links that lead to one another, or too many.
    #[error("`{path}` leads through more than {limit} links")]
    Links {
        /// The path.
        path: String,
        /// How many are followed.
        limit: usize,
    },
    /// Links whose targets have too many names together.
    #[error("`{path}` leads through more than {limit} names with its links")]
    Names {
        /// The path.
        path: String,
        /// How many are walked through.
        limit: usize,
    },
    /// A file where a directory is needed.
    #[error("`{path}` is not a directory in the layers below")]
    NotADirectory {
        /// The file.
        path: String,
    },
    /// The links lead to a path that is longer than one can be.
    #[error("the links on the way lead to a path of more than the {} allowed", text::counted(*limit, "byte"))]
    TooLong {
        /// Bytes allowed.
        limit: usize,
    },
    /// Something of the source that would take away what is below instead of being there.
    #[error("`{path}` {REMOVES}")]
    Whiteout {
        /// Its path in the source.
        path: String,
    },
    /// A place that would do so.
    #[error("`{path}` {REMOVES}")]
    WhiteoutPlace {
        /// Where it is.
        path: String,
    },
    /// Two things of a source, one of them through a link.
    #[error("`{path}` and something else of the source land at `{place}`, one through a link of the layers below")]
    Twice {
        /// One of them, in its source.
        path: String,
        /// Where both land.
        place: String,
    },
}
