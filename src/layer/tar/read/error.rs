//! Errors of reading a tar stream.

use std::io;

use super::MAX_TRAILER_BYTES;
use crate::text;

/// Why a stream is not a tar archive we accept.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The source failed.
    #[error("cannot read the tar stream")]
    Read(#[source] io::Error),
    /// The stream has no byte, which Go reads as an archive without entries and other readers refuse.
    #[error("the tar stream is empty")]
    Empty,
    /// The stream ends inside an entry.
    #[error("the tar stream is truncated after {}", text::counted(*.0, "byte"))]
    Truncated(u64),
    /// A block that should be a header is none.
    #[error("no tar header at byte {0}")]
    Header(u64),
    /// A field of a header is not a number that every reader takes alike, or pax records do not parse.
    #[error("the tar header at byte {offset} has an invalid {field}")]
    Field {
        /// Where the header starts.
        offset: u64,
        /// Which field.
        field: &'static str,
    },
    /// Something that makes different entries of the stream in different readers.
    #[error("tar readers do not agree about the header at byte {offset}: it has {what}")]
    Ambiguous {
        /// Where the header starts.
        offset: u64,
        /// What they disagree on, to follow "it has".
        what: &'static str,
    },
    /// A name or a set of attributes is longer than any program needs.
    #[error("the tar header at byte {offset} announces {size} bytes of {field}, more than the {limit} allowed")]
    TooLong {
        /// Where the header starts.
        offset: u64,
        /// Which field.
        field: &'static str,
        /// Bytes announced.
        size: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Data after the end of the archive.
    #[error("more than {} follow the end of the tar archive", text::size(MAX_TRAILER_BYTES))]
    Trailer,
}
