//! The names and limits of the files of a layout.

/// The file that marks a directory as a layout.
pub(super) const MARKER: &str = "oci-layout";
/// The content of [`MARKER`].
pub(super) const LAYOUT_MARKER: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// The largest [`MARKER`] that is read, in bytes.
pub(super) const MAX_MARKER_BYTES: u64 = 64 << 10;

/// The file that names the images.
pub(super) const INDEX: &str = "index.json";
/// The largest [`INDEX`] that is read or written, in bytes.
pub(super) const MAX_INDEX_BYTES: u64 = 64 << 20;

/// The directory of the blobs, with one directory for each digest algorithm.
pub(super) const BLOBS: &str = "blobs";
/// The only digest algorithm in use.
pub(super) const ALGORITHM: &str = "sha256";

/// The directory of temporary files. It and the lock files are not part of the specification.
pub(super) const TEMPORARY: &str = ".tmp";
/// The lock of the index.
pub(super) const INDEX_LOCK: &str = ".index.lock";
/// The lock that leases share, and that pruning takes alone.
pub(super) const LEASE_LOCK: &str = ".lease.lock";

/// How the names of temporary files begin that become blobs.
pub(super) const BLOB_PREFIX: &str = "blob-";
/// How the names of temporary files begin that hold a part of a blob.
pub(super) const PARTIAL_PREFIX: &str = "download-";
/// How the names of scratch stores begin.
pub(super) const SCRATCH_PREFIX: &str = "store-";
