//! Content descriptors (OCI image-spec, "OCI Content Descriptors").

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Digest, Platform};

/// Media types of the OCI image-spec and of Docker's image manifest v2.
pub mod media_type {
    pub use oci_client::manifest::{
        IMAGE_CONFIG_MEDIA_TYPE as IMAGE_CONFIG, IMAGE_LAYER_GZIP_MEDIA_TYPE as IMAGE_LAYER_GZIP,
        IMAGE_LAYER_MEDIA_TYPE as IMAGE_LAYER, IMAGE_MANIFEST_LIST_MEDIA_TYPE as DOCKER_MANIFEST_LIST,
        IMAGE_MANIFEST_MEDIA_TYPE as DOCKER_MANIFEST, OCI_IMAGE_INDEX_MEDIA_TYPE as IMAGE_INDEX,
        OCI_IMAGE_MEDIA_TYPE as IMAGE_MANIFEST,
    };

    /// A layer as a tar stream compressed with zstd.
    pub const IMAGE_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// Docker's image configuration.
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

    /// The configuration of a manifest that has none, `{}`.
    pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";

    /// Returns whether `media_type` is an image index or Docker's manifest list.
    pub fn is_index(media_type: &str) -> bool {
        matches!(media_type, IMAGE_INDEX | DOCKER_MANIFEST_LIST)
    }

    /// Returns whether `media_type` is an image configuration, OCI's or Docker's.
    pub fn is_config(media_type: &str) -> bool {
        matches!(media_type, IMAGE_CONFIG | DOCKER_CONFIG)
    }

    /// Returns whether `media_type` is an image manifest, OCI's or Docker's.
    pub fn is_manifest(media_type: &str) -> bool {
        matches!(media_type, IMAGE_MANIFEST | DOCKER_MANIFEST)
    }

    /// Returns whether `media_type` is that of a document which refers to others: a manifest or an index. A child of an
    /// index with another type is a leaf: its bytes are kept and never parsed.
    pub fn is_document(media_type: &str) -> bool {
        is_index(media_type) || is_manifest(media_type)
    }
}

/// What identifies a blob: the only thing that travels between store and registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// RFC 6838 media type of the content.
    pub media_type: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Size of the content in bytes.
    pub size: u64,
    /// Places to download a non-distributable blob from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub urls: Option<Vec<String>>,
    /// Free-form facts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// The content itself, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Type of the artifact the content is the manifest of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Platform of the image, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

impl Descriptor {
    /// Returns a descriptor with the three mandatory properties.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            urls: None,
            annotations: None,
            data: None,
            artifact_type: None,
            platform: None,
        }
    }

    /// Returns the descriptor of `bytes`.
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }

    /// Returns the annotation `key`.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }
}
