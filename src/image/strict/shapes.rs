//! The fields that readers of image documents know, and what each may hold.
//!
//! The tables join what the OCI image-spec, Docker and containers/image read, also where this program does not: a
//! field that only Docker knows must not be ambiguous either.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::image::{ImageConfig, Index, Manifest, media_type};

/// What every reader takes alike.
#[derive(Debug)]
pub enum Shape {
    /// Anything, as long as no object has a key twice.
    Any,
    /// A string.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number from 0 to the largest `i64`.
    Count,
    /// A whole number of `i64`.
    Whole,
    /// A member of a set, which Go writes as `{}`.
    Empty,
    /// A list of strings or, for one word, the string alone. Docker takes both for the same; what takes only lists
    /// refuses the other.
    Words,
    /// A list of such values.
    List(&'static Shape),
    /// An object with keys of any name.
    Map(&'static Shape),
    /// An object whose fields have names; at most 64.
    Object(&'static [Field]),
    /// `null` stands for absent or empty, as Go writes and reads it.
    OrNull(&'static Shape),
    /// A field of another kind of document, which must not be here.
    Elsewhere(&'static str),
}

/// A field of an object.
#[derive(Debug)]
pub struct Field {
    /// Its key, exactly.
    pub(super) name: &'static str,
    /// What it may hold.
    pub(super) shape: Shape,
}

impl Field {
    /// Returns a field that may hold `shape`.
    pub(crate) const fn new(name: &'static str, shape: Shape) -> Self {
        Self { name, shape }
    }
}

/// A document that [`super::from_slice`] reads.
pub trait StrictDocument: DeserializeOwned {
    /// What the document may hold.
    const SHAPE: Shape;

    /// Returns why the document cannot be what it says it is.
    fn contradiction(&self) -> Option<String> {
        None
    }
}

impl StrictDocument for Manifest {
    const SHAPE: Shape = Shape::Object(MANIFEST);

    fn contradiction(&self) -> Option<String> {
        version(self.schema_version)
    }
}

impl StrictDocument for Index {
    const SHAPE: Shape = Shape::Object(INDEX);

    fn contradiction(&self) -> Option<String> {
        let media_type = self.media_type.as_deref().filter(|media_type| !media_type::is_index(media_type));
        media_type.map(|_| "`mediaType` must be that of an index".to_owned()).or_else(|| version(self.schema_version))
    }
}

impl StrictDocument for ImageConfig {
    const SHAPE: Shape = Shape::Object(IMAGE_CONFIG);
}

fn version(version: u32) -> Option<String> {
    (version != 2).then(|| "`schemaVersion` must be 2".to_owned())
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Any => "a value",
            Self::Text => "a string",
            Self::Flag => "true or false",
            Self::Count => "a whole number from 0 to 9223372036854775807, without fraction and exponent",
            Self::Whole => "a whole number of 64 bits, without fraction and exponent",
            Self::Empty => "an empty object",
            Self::Words => "a list of strings or a string",
            Self::List(_) => "a list",
            Self::Map(_) | Self::Object(_) => "an object",
            Self::OrNull(inner) => return inner.fmt(formatter),
            Self::Elsewhere(_) => "absent",
        })
    }
}

const TEXT: Shape = Shape::OrNull(&Shape::Text);
const FLAG: Shape = Shape::OrNull(&Shape::Flag);
const WHOLE: Shape = Shape::OrNull(&Shape::Whole);
const TEXTS: Shape = Shape::OrNull(&Shape::List(&Shape::Text));
const WORDS: Shape = Shape::OrNull(&Shape::Words);
const TEXT_MAP: Shape = Shape::OrNull(&Shape::Map(&Shape::Text));
const SET: Shape = Shape::OrNull(&Shape::Map(&Shape::Empty));
const DESCRIPTORS: Shape = Shape::OrNull(&Shape::List(&Shape::Object(DESCRIPTOR)));
const SCHEMA_1: Shape = Shape::Elsewhere("a manifest of schema 1");

const MANIFEST: &[Field] = &[
    Field::new("schemaVersion", Shape::Count),
    Field::new("mediaType", TEXT),
    Field::new("artifactType", TEXT),
    Field::new("config", Shape::Object(DESCRIPTOR)),
    Field::new("layers", DESCRIPTORS),
    Field::new("subject", Shape::OrNull(&Shape::Object(DESCRIPTOR))),
    Field::new("annotations", TEXT_MAP),
    Field::new("manifests", Shape::Elsewhere("an index")),
    Field::new("fsLayers", SCHEMA_1),
    Field::new("history", SCHEMA_1),
    Field::new("signatures", SCHEMA_1),
];

const INDEX: &[Field] = &[
    Field::new("schemaVersion", Shape::Count),
    Field::new("mediaType", TEXT),
    Field::new("artifactType", TEXT),
    Field::new("manifests", DESCRIPTORS),
    Field::new("subject", Shape::OrNull(&Shape::Object(DESCRIPTOR))),
    Field::new("annotations", TEXT_MAP),
    Field::new("config", Shape::Elsewhere("an image manifest")),
    Field::new("layers", Shape::Elsewhere("an image manifest")),
    Field::new("fsLayers", SCHEMA_1),
    Field::new("history", SCHEMA_1),
    Field::new("signatures", SCHEMA_1),
];

const DESCRIPTOR: &[Field] = &[
    Field::new("mediaType", Shape::Text),
    Field::new("digest", Shape::Text),
    Field::new("size", Shape::Count),
    Field::new("annotations", TEXT_MAP),
    Field::new("platform", Shape::OrNull(&Shape::Object(PLATFORM))),
    Field::new("urls", TEXTS),
    Field::new("data", TEXT),
    Field::new("artifactType", TEXT),
];

const PLATFORM: &[Field] = &[
    Field::new("architecture", Shape::Text),
    Field::new("os", Shape::Text),
    Field::new("os.version", TEXT),
    Field::new("os.features", TEXTS),
    Field::new("variant", TEXT),
    // Of Docker's manifest lists.
    Field::new("features", TEXTS),
];

const IMAGE_CONFIG: &[Field] = &[
    Field::new("created", TEXT),
    Field::new("author", TEXT),
    Field::new("architecture", Shape::Text),
    Field::new("variant", TEXT),
    Field::new("os", Shape::Text),
    Field::new("os.version", TEXT),
    Field::new("os.features", TEXTS),
    Field::new("config", Shape::OrNull(&Shape::Object(CONTAINER_CONFIG))),
    Field::new("rootfs", Shape::Object(ROOT_FS)),
    Field::new("history", Shape::OrNull(&Shape::List(&Shape::Object(HISTORY)))),
    // Docker's own.
    Field::new("id", TEXT),
    Field::new("parent", TEXT),
    Field::new("comment", TEXT),
    Field::new("container", TEXT),
    Field::new("container_config", Shape::OrNull(&Shape::Object(CONTAINER_CONFIG))),
    Field::new("docker_version", TEXT),
];

const CONTAINER_CONFIG: &[Field] = &[
    Field::new("User", TEXT),
    Field::new("ExposedPorts", SET),
    Field::new("Env", TEXTS),
    Field::new("Entrypoint", WORDS),
    Field::new("Cmd", WORDS),
    Field::new("Healthcheck", Shape::OrNull(&Shape::Object(HEALTH_CHECK))),
    Field::new("Volumes", SET),
    Field::new("WorkingDir", TEXT),
    Field::new("Labels", TEXT_MAP),
    Field::new("StopSignal", TEXT),
    Field::new("ArgsEscaped", FLAG),
    // Docker's own.
    Field::new("Hostname", TEXT),
    Field::new("Domainname", TEXT),
    Field::new("AttachStdin", FLAG),
    Field::new("AttachStdout", FLAG),
    Field::new("AttachStderr", FLAG),
    Field::new("Tty", FLAG),
    Field::new("OpenStdin", FLAG),
    Field::new("StdinOnce", FLAG),
    Field::new("Image", TEXT),
    Field::new("NetworkDisabled", FLAG),
    Field::new("MacAddress", TEXT),
    Field::new("OnBuild", TEXTS),
    Field::new("StopTimeout", WHOLE),
    Field::new("Shell", WORDS),
];

const HEALTH_CHECK: &[Field] = &[
    Field::new("Test", TEXTS),
    Field::new("Interval", WHOLE),
    Field::new("Timeout", WHOLE),
    Field::new("StartPeriod", WHOLE),
    Field::new("StartInterval", WHOLE),
    Field::new("Retries", WHOLE),
];

const ROOT_FS: &[Field] = &[Field::new("type", TEXT), Field::new("diff_ids", TEXTS)];

const HISTORY: &[Field] = &[
    Field::new("created", TEXT),
    Field::new("created_by", TEXT),
    Field::new("author", TEXT),
    Field::new("comment", TEXT),
    Field::new("empty_layer", FLAG),
];
