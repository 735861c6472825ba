//! Image manifests and indexes with the exact bytes that were hashed (OCI image-spec, "Image
//! Manifest" and "Image Index"; Docker's manifest v2 schema 2 has the same shape).

use std::collections::BTreeMap;

use base64::Engine as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::config::null_is_default;
use super::{Descriptor, Digest, media_type, strict};

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
    #[serde(default, deserialize_with = "empty_is_absent", skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Type of the artifact, when the manifest is not of a container image.
    #[serde(default, deserialize_with = "empty_is_absent", skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The image configuration.
    pub config: Descriptor,
    /// Layers, base first.
    #[serde(deserialize_with = "null_is_default")]
    pub layers: Vec<Descriptor>,
    /// The manifest this one refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free-form facts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

impl Manifest {
    /// Returns an OCI image manifest over a configuration and its layers.
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

    /// Returns the type of an artifact, a manifest whose configuration is not that of an image; none for an image.
    pub fn artifact_kind(&self) -> Option<&str> {
        let config = self.config.media_type.as_str();
        if media_type::is_config(config) {
            return None;
        }
        let first = self.layers.first().map(|layer| layer.media_type.as_str());
        // The empty configuration says nothing (image-spec, "Guidance for an Empty Descriptor").
        let own = if config == media_type::EMPTY { first.unwrap_or(config) } else { config };
        Some(self.artifact_type.as_deref().unwrap_or(own))
    }

    /// Returns the blobs of the image: configuration first, then layers, base first.
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
    #[serde(default, deserialize_with = "empty_is_absent", skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Type of the artifact, when the index is not of a container image.
    #[serde(default, deserialize_with = "empty_is_absent", skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The manifests, in order of preference.
    #[serde(deserialize_with = "null_is_default")]
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
    /// Fields of two kinds of documents: readers would take it for either.
    #[error("the document has fields of {0} and of {1}")]
    TwoKinds(&'static str, &'static str),
    /// The document's own `mediaType` contradicts what it was declared to be.
    #[error("the document was declared to be `{declared}`, its own mediaType is `{own}`")]
    OtherType {
        /// The type in a `Content-Type` or in a descriptor.
        declared: String,
        /// The type in the document.
        own: String,
    },
    /// The fields contradict the media type.
    #[error("the media type is `{media_type}`, the fields are those of {fields}")]
    OtherKind {
        /// The type, declared or in the document.
        media_type: String,
        /// The kind of document that has such fields.
        fields: &'static str,
    },
    /// Two descriptors give one digest different sizes.
    #[error("the document gives {0} two sizes")]
    TwoSizes(Digest),
    /// A descriptor embeds other content than it describes.
    #[error("the `data` of the descriptor of {0} is not its content")]
    Data(Digest),
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
    ///
    /// # Errors
    /// Fails for everything that readers would take differently: see [`strict`], and everything in the document that
    /// contradicts the declaration or another part of the document.
    pub fn parse(declared: Option<&str>, bytes: Vec<u8>) -> Result<Self, DocumentError> {
        if bytes.len() as u64 > MAX_DOCUMENT_BYTES {
            return Err(DocumentError::TooLarge(bytes.len() as u64));
        }
        let json = |media_type: &str| {
            let media_type = shown(media_type);
            |source| DocumentError::Json { media_type, source }
        };
        let kind = Signs::read(&bytes).map_err(json(declared.unwrap_or("image manifest")))?.media_type(declared)?;
        let content = if media_type::is_index(&kind) {
            Content::Index(strict::from_slice(&bytes).map_err(json(&kind))?)
        } else {
            Content::Manifest(strict::from_slice(&bytes).map_err(json(&kind))?)
        };
        let document = Self { descriptor: Descriptor::of(&kind, &bytes), bytes, content };
        check_descriptors(document.references().into_iter().chain(document.subject()))?;
        Ok(document)
    }

    /// Returns the manifest, when the document is one.
    pub fn manifest(&self) -> Option<&Manifest> {
        match &self.content {
            Content::Manifest(manifest) => Some(manifest),
            Content::Index(_) => None,
        }
    }

    /// Returns the manifest that the document refers to.
    pub fn subject(&self) -> Option<&Descriptor> {
        match &self.content {
            Content::Manifest(manifest) => manifest.subject.as_ref(),
            Content::Index(index) => index.subject.as_ref(),
        }
    }

    /// Returns the document's descriptor as a list of referrers has it (distribution-spec, "Listing Referrers"): with
    /// the type of the artifact and the annotations.
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

/// The fields that tell which kind of document it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Signs {
    schema_version: Option<u32>,
    #[serde(deserialize_with = "empty_is_absent")]
    media_type: Option<String>,
    #[serde(deserialize_with = "is_there")]
    config: bool,
    #[serde(deserialize_with = "is_there")]
    layers: bool,
    #[serde(deserialize_with = "is_there")]
    manifests: bool,
    #[serde(deserialize_with = "is_there")]
    fs_layers: bool,
}

impl Signs {
    fn read(bytes: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_str(strict::text(bytes)?)
    }

    /// Returns the media type of a document with these fields. `declared` is the type it was sent or referred to as.
    ///
    /// containerd, distribution and containers/image refuse documents of two kinds as well.
    fn media_type(self, declared: Option<&str>) -> Result<String, DocumentError> {
        const SCHEMA_1: &str = "a manifest of schema 1";
        let is_known = |text: &&str| media_type::is_index(text) || media_type::is_manifest(text);
        if let Some(version) = self.schema_version.filter(|version| *version != 2) {
            return Err(DocumentError::SchemaVersion(version));
        }
        let fields = match (self.config || self.layers, self.manifests) {
            (false, false) if self.fs_layers => return Err(DocumentError::SchemaVersion(1)),
            (true, true) => return Err(DocumentError::TwoKinds(MANIFEST, INDEX)),
            (true, false) if self.fs_layers => return Err(DocumentError::TwoKinds(MANIFEST, SCHEMA_1)),
            (false, true) if self.fs_layers => return Err(DocumentError::TwoKinds(INDEX, SCHEMA_1)),
            (true, false) => Some((MANIFEST, media_type::IMAGE_MANIFEST)),
            (false, true) => Some((INDEX, media_type::IMAGE_INDEX)),
            (false, false) => None,
        };
        let own = self.media_type.as_deref();
        let media_type = match (own, declared.filter(is_known)) {
            (Some(own), _) if !is_known(&own) => return Err(DocumentError::MediaType(shown(own))),
            (Some(own), Some(declared)) if own != declared => {
                return Err(DocumentError::OtherType { declared: shown(declared), own: shown(own) });
            }
            (Some(own), _) => own,
            (None, Some(declared)) => declared,
            (None, None) => match fields {
                Some((_, media_type)) => media_type,
                None => return Err(DocumentError::MediaType(shown(declared.unwrap_or("(none)")))),
            },
        };
        match fields {
            Some((fields, shape)) if media_type::is_index(shape) != media_type::is_index(media_type) => {
                Err(DocumentError::OtherKind { media_type: media_type.to_owned(), fields })
            }
            _ => Ok(media_type.to_owned()),
        }
    }
}

const MANIFEST: &str = "an image manifest";
const INDEX: &str = "an index";

/// Refuses descriptors that contradict each other or the content they embed (image-spec, "Embedded Content").
fn check_descriptors<'a>(descriptors: impl Iterator<Item = &'a Descriptor>) -> Result<(), DocumentError> {
    let mut sizes = BTreeMap::new();
    for descriptor in descriptors {
        if *sizes.entry(descriptor.digest).or_insert(descriptor.size) != descriptor.size {
            return Err(DocumentError::TwoSizes(descriptor.digest));
        }
        let is_content = |data: &String| {
            base64::prelude::BASE64_STANDARD.decode(data).is_ok_and(|data| Digest::of(&data) == descriptor.digest)
        };
        if !descriptor.data.as_ref().is_none_or(is_content) {
            return Err(DocumentError::Data(descriptor.digest));
        }
    }
    Ok(())
}

fn shown(text: &str) -> String {
    crate::text::plain(text, 120)
}

/// Reads an empty string as absent, since Go omits empty fields.
fn empty_is_absent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty()))
}

/// Returns whether a field is there, `null` included.
fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer).map(|_| true)
}

#[cfg(test)]
mod tests;
