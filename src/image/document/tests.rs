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
