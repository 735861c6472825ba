//! Limits of requests to a registry: the caller's wishes, and what the registry showed of itself.

use serde::{Deserialize, Serialize};

/// The largest chunk of registries that refuse larger ones with 416.
pub(super) const KNOWN_CHUNK_CEILING: u64 = 4 << 20;

/// How much a request may carry, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Blobs up to this size are sent with the commit, in one request.
    pub monolithic: u64,
    /// Larger ones in chunks of this size.
    pub chunk: u64,
}

impl Default for Limits {
    /// Returns half of what idpbuilder's ingress lets through in one request.
    fn default() -> Self {
        Self { monolithic: 512 << 20, chunk: 64 << 20 }
    }
}

impl Limits {
    /// Chunks below this size are not worth a request; a registry that refuses them takes no blobs.
    pub const MIN_CHUNK: u64 = 64 << 10;

    /// Returns limits that send everything larger than `bytes` in chunks of that size.
    pub fn chunks_of(bytes: u64) -> Self {
        let bytes = bytes.max(Self::MIN_CHUNK);
        Self { monolithic: bytes, chunk: bytes }
    }
}

/// What a registry showed of itself; worth keeping for some days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::registry) struct Capabilities {
    /// Larger bodies were too large (413), and this was not.
    pub(in crate::registry) body: Option<u64>,
    /// Larger chunks were too large (416), though larger bodies may not be.
    pub(in crate::registry) chunk: Option<u64>,
    /// Smaller chunks are not wanted, except the last (`OCI-Chunk-Min-Length`).
    pub(in crate::registry) least: Option<u64>,
    /// What could be sent before a time limit passed.
    pub(in crate::registry) timely: Option<u64>,
    /// The registry accepts chunks but does not append them.
    pub(in crate::registry) whole: bool,
    /// Whether a blob can be sent with the POST.
    pub(in crate::registry) single: Option<bool>,
    /// Whether a request to mount is understood.
    pub(in crate::registry) mounts: Option<bool>,
    /// Whether it finds blobs to mount by itself.
    pub(in crate::registry) finds: bool,
    /// Whether parallel commits were too much for it.
    pub(in crate::registry) serial: bool,
}

impl Capabilities {
    /// Returns what is known of the registry at `host[:port]` before it shows anything: some public registries do not
    /// put chunks together, which costs a blob sent twice to find out.
    pub(in crate::registry) fn of_host(host: &str) -> Self {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name).to_ascii_lowercase();
        let ends = |suffix: &str| name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        let private_ecr = name.contains(".dkr.ecr.") && (ends("amazonaws.com") || ends("amazonaws.com.cn"));
        if private_ecr || ends("public.ecr.aws") || ends("gcr.io") || ends("pkg.dev") {
            return Self { whole: true, ..Self::default() };
        }
        if name == "ghcr.io" {
            return Self { chunk: Some(KNOWN_CHUNK_CEILING), ..Self::default() };
        }
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEBI: u64 = 1 << 20;

    #[test]
    fn registries_that_do_not_put_chunks_together_get_blobs_whole() {
        for (host, whole, chunk) in [
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", true, None),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", true, None),
            ("public.ecr.aws", true, None),
            ("europe-docker.pkg.dev:443", true, None),
            ("GCR.io", true, None),
            ("eu.gcr.io", true, None),
            ("ghcr.io", false, Some(4 * MEBI)),
            ("notgcr.io", false, None),
            ("gcr.io.example.com", false, None),
            ("s3.eu-west-1.amazonaws.com", false, None),
            ("127.0.0.1:5000", false, None),
            ("[::1]:5000", false, None),
        ] {
            let known = Capabilities::of_host(host);
            assert_eq!((known.whole, known.chunk), (whole, chunk), "{host}");
        }
    }
}
