//! How an answer breaks the distribution specification.

use http::StatusCode;

use crate::registry::http::origin::Misdirection;
use crate::text;

/// What an answer has that the distribution-spec does not allow.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A status that means nothing here.
    #[error("status {0} is no answer to this request, or comes before all of it was sent")]
    Status(StatusCode),
    /// An upload without the address of its session.
    #[error("the answer has no Location")]
    NoLocation,
    /// A `Location` that must not be followed.
    #[error("the Location is not acceptable")]
    Location(#[source] Misdirection),
    /// A token service that must not be asked.
    #[error("the realm of its token service is not acceptable")]
    Realm(#[source] Misdirection),
    /// More redirections than are followed.
    #[error("more than {0} redirections")]
    Redirections(usize),
    /// A body with an encoding that is not supported, although `identity` was requested.
    #[error("the answer is encoded ({0}), although it was asked for as it is")]
    Encoding(String),
    /// More bytes than announced or allowed.
    #[error("the answer has more than {}", text::counted(*.0, "byte"))]
    TooLong(u64),
    /// Fewer bytes than announced.
    #[error("the answer has {} instead of {expected}", text::counted(*found, "byte"))]
    Size {
        /// Bytes announced.
        expected: u64,
        /// Bytes received.
        found: u64,
    },
    /// The token service's answer holds no token.
    #[error("the token service's answer holds no token")]
    NoToken,
    /// A header with a value that is none.
    #[error("the header `{0}` is not valid")]
    Header(&'static str),
    /// The registry's count of received bytes does not follow ours.
    #[error("it counts {} of the upload where {expected} were taken", text::counted(*found, "byte"))]
    Offset {
        /// Bytes it acknowledged, by our count.
        expected: u64,
        /// Bytes it says to have.
        found: u64,
    },
}
