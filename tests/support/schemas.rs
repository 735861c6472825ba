//! OCI documents against the JSON schemas that the image specification publishes.
//!
//! The schemas are not kept here: Debian and Ubuntu package them with the specification, `bin/test`
//! installs that package, and `IMAGE_SPEC_SCHEMAS` names another copy's folder. A test that uses this
//! module is ignored by default for that reason.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::{Draft, Retrieve, Uri, Validator};
use serde_json::Value;

/// Where `golang-github-opencontainers-image-spec-dev` has them.
const PACKAGED: &str = "/usr/share/gocode/src/github.com/opencontainers/image-spec/schema";

/// A document the specification has a schema for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An image configuration.
    Config,
    /// A content descriptor.
    Descriptor,
    /// An image index.
    Index,
    /// An image layout.
    Layout,
    /// An image manifest.
    Manifest,
}

impl Kind {
    /// The kind of document that a media type means, if it is one of these.
    pub fn of(media_type: &str) -> Option<Self> {
        match media_type {
            "application/vnd.oci.image.config.v1+json" => Some(Self::Config),
            "application/vnd.oci.image.index.v1+json" => Some(Self::Index),
            "application/vnd.oci.image.manifest.v1+json" => Some(Self::Manifest),
            _ => None,
        }
    }

    fn file(self) -> &'static str {
        match self {
            Self::Config => "config-schema.json",
            Self::Descriptor => "content-descriptor.json",
            Self::Index => "image-index-schema.json",
            Self::Layout => "image-layout-schema.json",
            Self::Manifest => "image-manifest-schema.json",
        }
    }
}

/// Schemas refer to each other by file name, below an address that serves none.
struct Folder(PathBuf);

impl Folder {
    fn find() -> Self {
        Self(std::env::var_os("IMAGE_SPEC_SCHEMAS").map_or_else(|| PathBuf::from(PACKAGED), PathBuf::from))
    }

    fn load(&self, file: &str) -> Result<Value, Box<dyn Error + Send + Sync>> {
        let path = self.0.join(file);
        let text = fs::read(&path).map_err(|error| format!("{}: {error} (bin/test installs it)", path.display()))?;
        let mut schema: Value = serde_json::from_slice(&text)?;
        // The address given there is not the one that draft 4 has.
        if let Some(object) = schema.as_object_mut() {
            object.remove("$schema");
        }
        Ok(schema)
    }
}

impl Retrieve for Folder {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn Error + Send + Sync>> {
        let path = uri.path().as_str();
        self.load(path.rsplit('/').next().unwrap_or(path))
    }
}

/// What is wrong with a document, a line each; empty if nothing is.
pub fn violations(kind: Kind, document: &[u8]) -> Vec<String> {
    let folder = Folder::find();
    let schema = folder.load(kind.file()).expect("the image specification's schemas");
    let validator: Validator = jsonschema::options()
        .with_draft(Draft::Draft4)
        .should_validate_formats(true)
        .with_retriever(folder)
        .build(&schema)
        .expect("a usable schema");
    match serde_json::from_slice::<Value>(document) {
        Ok(document) => validator
            .iter_errors(&document)
            .map(|error| format!("{kind:?} at `{}`: {error}", error.instance_path()))
            .collect(),
        Err(error) => vec![format!("{kind:?} is not JSON: {error}")],
    }
}

/// Checks every document that an image layout's index leads to, and that each has the size and digest
/// of its descriptor. Answers how many documents there were, or what is wrong with them.
pub fn check_layout(root: &Path) -> Result<usize, Vec<String>> {
    let mut wrong = Vec::new();
    let mut seen = Vec::new();
    for (kind, name) in [(Kind::Layout, "oci-layout"), (Kind::Index, "index.json")] {
        match fs::read(root.join(name)) {
            Ok(document) => wrong.extend(violations(kind, &document)),
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
        seen.push(name.to_owned());
    }
    let index = fs::read(root.join("index.json")).unwrap_or_default();
    let mut open = descriptors(&index);
    while let Some(descriptor) = open.pop() {
        let digest = descriptor["digest"].as_str().unwrap_or_default().to_owned();
        if seen.contains(&digest) {
            continue;
        }
        wrong.extend(violations(Kind::Descriptor, descriptor.to_string().as_bytes()));
        seen.push(digest.clone());
        let Some(kind) = descriptor["mediaType"].as_str().and_then(Kind::of) else { continue };
        match fs::read(root.join("blobs").join(digest.replacen(':', "/", 1))) {
            Ok(document) => {
                if descriptor["size"].as_u64() != Some(document.len() as u64) {
                    wrong.push(format!("{digest} has {} bytes, not {}", document.len(), descriptor["size"]));
                }
                let found = idpbuilder_oci::image::Digest::of(&document).to_string();
                if found != digest {
                    wrong.push(format!("{digest} hashes to {found}"));
                }
                wrong.extend(violations(kind, &document));
                // A configuration's `config` is no descriptor.
                if kind != Kind::Config {
                    open.extend(descriptors(&document));
                }
            }
            Err(error) => wrong.push(format!("{digest}: {error}")),
        }
    }
    if wrong.is_empty() { Ok(seen.len()) } else { Err(wrong) }
}

/// The descriptors in a manifest or an index.
fn descriptors(document: &[u8]) -> Vec<Value> {
    let document: Value = serde_json::from_slice(document).unwrap_or_default();
    let lists = ["manifests", "layers"].into_iter().filter_map(|name| document[name].as_array()).flatten();
    let single = ["config", "subject"].into_iter().map(|name| &document[name]);
    lists.chain(single).filter(|descriptor| descriptor.is_object()).cloned().collect()
}
