//! Image manifests and indexes with the exact bytes that were hashed (OCI image-spec, "Image
//! Manifest" and "Image Index"; Docker's manifest v2 schema 2 has the same shape).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Descriptor, Digest, media_type};

/// The largest manifest, index or configuration we read or accept: what the distribution spec asks
/// registries to support at least.
pub const MAX_DOCUMENT_BYTES: u64 = 4 << 20;

/// An image manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// Media type of this document; some registries demand it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Type of the artifact, when the manifest is not of a container image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The image configuration.
    pub config: Descriptor,
    /// Layers, base first.
    pub layers: Vec<Descriptor>,
    /// The manifest this one refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free-form facts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

impl Manifest {
    /// An OCI image manifest over a configuration and its layers.
    pub fn new(config: Descriptor, layers: Vec<Descriptor>, annotations: BTreeMap<String, String>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::IMAGE_MANIFEST.to_owned()),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: (!annotations.is_empty()).then_some(annotations),
        }
    }

    /// The blobs of the image: configuration first, then layers, base first.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        std::iter::once(&self.config).chain(&self.layers)
    }
}

/// An image index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// Media type of this document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Type of the artifact, when the index is not of a container image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The manifests, in order of preference.
    pub manifests: Vec<Descriptor>,
    /// The manifest this index refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free-form facts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::IMAGE_INDEX.to_owned()),
            artifact_type: None,
            manifests: Vec::new(),
            subject: None,
            annotations: None,
        }
    }
}

/// A parsed manifest or index.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one exists per document; boxing would only add indirection")]
pub enum Content {
    /// One image.
    Manifest(Manifest),
    /// Several images, usually one a platform.
    Index(Index),
}

/// A document and the bytes it was read from or will be sent as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Media type, digest and size of `bytes`.
    pub descriptor: Descriptor,
    /// Exactly what was hashed.
    pub bytes: Vec<u8>,
    /// What the bytes say.
    pub content: Content,
}

/// Why bytes are not a manifest or index.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// More than [`MAX_DOCUMENT_BYTES`].
    #[error("the document has {0} bytes, more than the {MAX_DOCUMENT_BYTES} allowed")]
    TooLarge(u64),
    /// Not JSON of the declared type.
    #[error("not a valid `{media_type}` document")]
    Json {
        /// The declared media type.
        media_type: String,
        /// The parser's reason.
        #[source]
        source: serde_json::Error,
    },
    /// Neither a manifest nor an index.
    #[error("media type `{0}` is neither an image manifest nor an index")]
    MediaType(String),
    /// `schemaVersion` is not 2.
    #[error("schema version {0} is not supported (only 2 is)")]
    SchemaVersion(u32),
}

impl Document {
    /// Serialises a manifest; the result is what gets hashed, stored and sent.
    pub fn from_manifest(manifest: Manifest) -> Self {
        let bytes = serde_json::to_vec(&manifest).expect("a manifest has only string keys");
        Self {
            descriptor: Descriptor::of(media_type::IMAGE_MANIFEST, &bytes),
            bytes,
            content: Content::Manifest(manifest),
        }
    }

    /// Serialises an index as the image-spec has it, whatever it was read as.
    pub fn from_index(index: Index) -> Self {
        let index = Index { schema_version: 2, media_type: Some(media_type::IMAGE_INDEX.to_owned()), ..index };
        let bytes = serde_json::to_vec(&index).expect("an index has only string keys");
        Self { descriptor: Descriptor::of(media_type::IMAGE_INDEX, &bytes), bytes, content: Content::Index(index) }
    }

    /// Parses `bytes` declared to be of `declared` type; without a declaration, or with a generic
    /// one, the document's own `mediaType` decides, then its shape.
    pub fn parse(declared: Option<&str>, bytes: Vec<u8>) -> Result<Self, DocumentError> {
        if bytes.len() as u64 > MAX_DOCUMENT_BYTES {
            return Err(DocumentError::TooLarge(bytes.len() as u64));
        }
        let known = |text: &&str| media_type::is_index(text) || media_type::is_manifest(text);
        let kind = match declared.filter(known) {
            Some(kind) => kind.to_owned(),
            None => own_media_type(declared, &bytes)?,
        };
        // Schema 1 has other fields, whatever it is declared to be.
        let json = |source| match own_media_type(None, &bytes) {
            Err(error @ DocumentError::SchemaVersion(_)) => error,
            _ => DocumentError::Json { media_type: kind.clone(), source },
        };
        let (content, version) = if media_type::is_index(&kind) {
            let index: Index = serde_json::from_slice(&bytes).map_err(json)?;
            let version = index.schema_version;
            (Content::Index(index), version)
        } else {
            let manifest: Manifest = serde_json::from_slice(&bytes).map_err(json)?;
            let version = manifest.schema_version;
            (Content::Manifest(manifest), version)
        };
        if version != 2 {
            return Err(DocumentError::SchemaVersion(version));
        }
        Ok(Self { descriptor: Descriptor::of(&kind, &bytes), bytes, content })
    }

    /// The manifest, when the document is one.
    pub fn manifest(&self) -> Option<&Manifest> {
        match &self.content {
            Content::Manifest(manifest) => Some(manifest),
            Content::Index(_) => None,
        }
    }

    /// The manifest that the document refers to.
    pub fn subject(&self) -> Option<&Descriptor> {
        match &self.content {
            Content::Manifest(manifest) => manifest.subject.as_ref(),
            Content::Index(index) => index.subject.as_ref(),
        }
    }

    /// The document's descriptor as a list of referrers has it (distribution-spec, "Listing Referrers"): with the type
    /// of the artifact and the annotations.
    pub fn as_referrer(&self) -> Descriptor {
        let (kind, annotations) = match &self.content {
            Content::Manifest(manifest) => {
                let kind = manifest.artifact_type.clone().unwrap_or_else(|| manifest.config.media_type.clone());
                (Some(kind), manifest.annotations.clone())
            }
            Content::Index(index) => (index.artifact_type.clone(), index.annotations.clone()),
        };
        Descriptor { artifact_type: kind, annotations, ..self.descriptor.clone() }
    }

    /// Descriptors of everything the document needs: blobs of a manifest, children of an index.
    pub fn references(&self) -> Vec<&Descriptor> {
        match &self.content {
            Content::Manifest(manifest) => manifest.blobs().collect(),
            Content::Index(index) => index.manifests.iter().collect(),
        }
    }

    /// Digest of the document.
    pub fn digest(&self) -> Digest {
        self.descriptor.digest
    }
}

fn own_media_type(declared: Option<&str>, bytes: &[u8]) -> Result<String, DocumentError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Probe {
        schema_version: Option<u32>,
        media_type: Option<String>,
        manifests: Option<serde::de::IgnoredAny>,
        layers: Option<serde::de::IgnoredAny>,
    }
    let probe: Probe = serde_json::from_slice(bytes).map_err(|source| DocumentError::Json {
        media_type: declared.unwrap_or("image manifest").chars().take(120).collect(),
        source,
    })?;
    if probe.schema_version == Some(1) {
        return Err(DocumentError::SchemaVersion(1));
    }
    if let Some(kind) = probe.media_type {
        if media_type::is_index(&kind) || media_type::is_manifest(&kind) {
            return Ok(kind);
        }
        return Err(DocumentError::MediaType(kind.chars().take(120).collect()));
    }
    match (probe.manifests, probe.layers) {
        (Some(_), None) => Ok(media_type::IMAGE_INDEX.to_owned()),
        (None, Some(_)) => Ok(media_type::IMAGE_MANIFEST.to_owned()),
        _ => Err(DocumentError::MediaType(declared.unwrap_or("(none)").chars().take(120).collect())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn manifest() -> Manifest {
        let config = Descriptor::of(media_type::IMAGE_CONFIG, b"{}");
        let layer = Descriptor::of(media_type::IMAGE_LAYER_GZIP, b"layer");
        Manifest::new(config, vec![layer], BTreeMap::new())
    }

    #[test]
    fn bytes_survive_parsing() {
        let made = Document::from_manifest(manifest());
        let read = Document::parse(Some(media_type::IMAGE_MANIFEST), made.bytes.clone()).expect("own document");
        assert_eq!(read, made);
        assert_eq!(Document::parse(None, made.bytes.clone()).expect("own media type"), made);
    }

    #[test]
    fn shape_decides_without_media_types() {
        let mut bare = manifest();
        bare.media_type = None;
        let bytes = serde_json::to_vec(&bare).expect("serialises");
        let document = Document::parse(Some("application/json"), bytes).expect("a manifest by shape");
        assert!(document.manifest().is_some());
        assert_eq!(document.descriptor.media_type, media_type::IMAGE_MANIFEST);
    }

    #[test]
    fn refusals_name_the_reason() {
        let parse = |text: &str| Document::parse(None, text.as_bytes().to_vec()).expect_err(text);
        assert!(matches!(parse("<html>"), DocumentError::Json { .. }));
        assert!(matches!(parse("{}"), DocumentError::MediaType(_)));
        assert!(matches!(parse(r#"{"schemaVersion":1,"fsLayers":[]}"#), DocumentError::SchemaVersion(1)));
        assert!(matches!(parse(r#"{"mediaType":"text/plain"}"#), DocumentError::MediaType(_)));
        let huge = vec![b' '; usize::try_from(MAX_DOCUMENT_BYTES).expect("fits") + 1];
        assert!(matches!(Document::parse(None, huge), Err(DocumentError::TooLarge(_))));
        let negative = r#"{"schemaVersion":2,"layers":[{"mediaType":"a","digest":"sha256:00","size":-1}]}"#;
        assert!(matches!(parse(negative), DocumentError::Json { .. }));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(bytes: Vec<u8>) {
            let _ = Document::parse(None, bytes);
        }
    }
}
