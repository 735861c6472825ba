//! Requests as the client makes them.

use http::{HeaderMap, Method, Uri};

use super::body::Payload;
use super::origin::Carried;

/// So many bytes of a blob are not worth a connection of their own.
const SMALL: u64 = 64 << 10;

/// A request that can be sent again.
pub(in crate::registry) struct Call {
    pub(in crate::registry) method: Method,
    pub(in crate::registry) uri: Uri,
    pub(in crate::registry) headers: HeaderMap,
    pub(in crate::registry) payload: Payload,
}

impl Call {
    /// Returns whether the request moves most of a blob in either direction: such a request is worth a connection of
    /// its own.
    pub(super) fn moves_a_blob(&self) -> bool {
        match self.payload {
            Payload::Part(_) => self.payload.len() > SMALL,
            _ => self.reads_a_blob(),
        }
    }

    /// Returns whether the request asks for the bytes of a blob.
    pub(super) fn reads_a_blob(&self) -> bool {
        let path = self.uri.path();
        self.method == Method::GET && path.contains("/blobs/") && !path.contains("/blobs/uploads/")
    }

    /// Returns whether the request asks for the bytes of a blob, or whether the registry has it. A registry that keeps
    /// its blobs elsewhere sends both requests there.
    pub(super) fn asks_for_a_blob(&self) -> bool {
        self.reads_a_blob() || self.method == Method::HEAD && self.uri.path().contains("/blobs/")
    }

    /// Returns what the body of the request is to other origins.
    pub(super) fn body(&self) -> Carried {
        if matches!(self.payload, Payload::Secret(_)) { Carried::Body } else { Carried::Content }
    }

    /// Returns whether the request may be sent again although its outcome is unknown. The registry may have taken some
    /// of the bytes of a blob; then the session has to be asked how far it is.
    pub(super) fn repeats(&self) -> bool {
        !matches!(self.payload, Payload::Part(_))
    }
}
