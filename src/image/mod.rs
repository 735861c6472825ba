//! The documents and names of the OCI specifications: no I/O, no policy.
//!
//! A document is always kept with its exact bytes, because what was hashed is what is sent.

mod address;
mod choice;
mod config;
mod descriptor;
mod digest;
mod document;
mod layout;
mod platform;
mod reference;
pub mod strict;

pub use address::host_and_port;
pub use choice::{Answer, Choice, MAX_NESTING, NoChoice, is_attestation};
pub use config::{ContainerConfig, HealthCheck, History, ImageConfig, RootFs};
pub use descriptor::{Descriptor, media_type};
pub use digest::{Digest, DigestError, Hasher};
pub use document::{Content, Document, DocumentError, Index, MAX_DOCUMENT_BYTES, Manifest};
pub use layout::LayoutMarker;
pub use platform::{Platform, PlatformError};
pub use reference::{Reference, ReferenceError, annotation, reads_as_digest, shown};
