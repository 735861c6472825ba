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
    /// Whatever readers would take differently: see [`strict`], and everything in the document that contradicts the
    /// declaration or another part of the document.
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

/// What a document says about its kind.
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

    /// Decides of which media type a document with these signs is, where it was declared to be of another.
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

/// Go leaves out what is empty.
fn empty_is_absent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty()))
}

/// Whether a field is there, `null` included.
fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer).map(|_| true)
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

    #[test]
    fn signs_decide_the_media_type() {
        const MANIFEST: &str = media_type::IMAGE_MANIFEST;
        const DOCKER: &str = media_type::DOCKER_MANIFEST;
        const INDEX: &str = media_type::IMAGE_INDEX;
        const LIST: &str = media_type::DOCKER_MANIFEST_LIST;
        // Fields, the document's media type, the declared one; the result's beginning.
        for (fields, own, declared, expected) in [
            ("config layers", "", "", MANIFEST),
            ("config", "", "", MANIFEST),
            ("layers", "", "text/plain", MANIFEST),
            ("config layers", "", DOCKER, DOCKER),
            ("config layers", DOCKER, "", DOCKER),
            ("config layers", DOCKER, "application/json", DOCKER),
            ("config layers", MANIFEST, MANIFEST, MANIFEST),
            ("manifests", "", "", INDEX),
            ("manifests", "", LIST, LIST),
            ("manifests", LIST, "", LIST),
            ("manifests", INDEX, INDEX, INDEX),
            ("", MANIFEST, "", MANIFEST),
            ("", "", INDEX, INDEX),
            ("", "", "", "media type `(none)` is neither"),
            ("", "", "text/plain", "media type `text/plain` is neither"),
            ("config layers", "text/plain", "", "media type `text/plain` is neither"),
            ("config layers", "text/plain", MANIFEST, "media type `text/plain` is neither"),
            ("config layers", MANIFEST, DOCKER, "the document was declared to be `application/vnd.docker"),
            ("config layers", DOCKER, MANIFEST, "the document was declared to be `application/vnd.oci"),
            ("manifests", INDEX, MANIFEST, "the document was declared to be"),
            ("manifests", INDEX, LIST, "the document was declared to be"),
            ("config layers", INDEX, INDEX, "the media type is `application/vnd.oci.image.index"),
            ("config layers", "", INDEX, "the media type is"),
            ("layers", LIST, "", "the media type is"),
            ("config", LIST, "", "the media type is"),
            ("manifests", MANIFEST, "", "the media type is"),
            ("manifests", "", DOCKER, "the media type is"),
            ("config layers manifests", "", "", "the document has fields of an image manifest and of an index"),
            ("layers manifests", INDEX, INDEX, "the document has fields of"),
            ("config manifests", MANIFEST, MANIFEST, "the document has fields of"),
            ("config layers fsLayers", MANIFEST, MANIFEST, "the document has fields of an image manifest and of a man"),
            ("manifests fsLayers", INDEX, INDEX, "the document has fields of an index and of a manifest of schema 1"),
            ("fsLayers", "", "", "schema version 1"),
            ("fsLayers", MANIFEST, MANIFEST, "schema version 1"),
        ] {
            let there: Vec<&str> = fields.split(' ').collect();
            let signs = Signs {
                schema_version: Some(2),
                media_type: (!own.is_empty()).then(|| own.to_owned()),
                config: there.contains(&"config"),
                layers: there.contains(&"layers"),
                manifests: there.contains(&"manifests"),
                fs_layers: there.contains(&"fsLayers"),
            };
            let declared = (!declared.is_empty()).then_some(declared);
            let found = signs.media_type(declared).unwrap_or_else(|error| error.to_string());
            let exact = expected.starts_with("application/");
            let fits = if exact { found == expected } else { found.starts_with(expected) };
            assert!(fits, "{fields} {own} {declared:?}: {found} and not {expected}");
        }
        for version in [0, 1, 3] {
            let signs = Signs { schema_version: Some(version), config: true, ..Signs::default() };
            assert!(matches!(signs.media_type(None), Err(DocumentError::SchemaVersion(found)) if found == version));
        }
    }

    #[test]
    fn fields_that_are_null_count_as_there() {
        let signs = Signs::read(br#"{"config":null,"layers":null,"manifests":null,"fsLayers":null}"#).expect("JSON");
        assert!(signs.config && signs.layers && signs.manifests && signs.fs_layers);
    }

    #[test]
    fn descriptors_that_contradict_each_other_are_refused() {
        let with = |change: fn(&mut Manifest)| {
            let mut manifest = manifest();
            manifest.layers.push(manifest.layers[0].clone());
            change(&mut manifest);
            Document::parse(None, serde_json::to_vec(&manifest).expect("serialises"))
        };
        with(|_| ()).expect("the same layer twice");
        with(|manifest| manifest.layers[1].media_type = "application/x".into()).expect("one blob under two types");
        let sizes = with(|manifest| manifest.layers[1].size += 1);
        assert!(matches!(sizes, Err(DocumentError::TwoSizes(digest)) if digest == Digest::of(b"layer")));
        let subject = with(|manifest| manifest.subject = Some(Descriptor { size: 9, ..manifest.layers[0].clone() }));
        assert!(matches!(subject, Err(DocumentError::TwoSizes(_))));
        with(|manifest| manifest.config.data = Some("e30=".into())).expect("the configuration itself");
        for data in ["e31=", "", "e30", "e30=\n", "!"] {
            let mut manifest = manifest();
            manifest.config.data = Some(data.into());
            let parsed = Document::parse(None, serde_json::to_vec(&manifest).expect("serialises"));
            assert!(matches!(parsed, Err(DocumentError::Data(digest)) if digest == Digest::of(b"{}")), "{data:?}");
        }
    }

    #[test]
    fn the_largest_document_is_read_and_one_more_byte_is_not() {
        let mut bytes = Document::from_manifest(manifest()).bytes;
        bytes.resize(4 << 20, b' ');
        let read = Document::parse(None, bytes.clone()).expect("4 MiB");
        assert_eq!(read.descriptor.size, 4 << 20);
        bytes.push(b' ');
        assert!(matches!(Document::parse(None, bytes), Err(DocumentError::TooLarge(size)) if size == (4 << 20) + 1));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(bytes: Vec<u8>) {
            let _ = Document::parse(None, bytes);
        }
    }
}
