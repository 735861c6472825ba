//! What a whole store is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use idpbuilder_oci::image::Hasher;

use crate::process::files;
use crate::sandbox::Sandbox;

/// Digests by name.
pub(crate) type Names = BTreeMap<String, String>;

/// The names in a store, which must list without a complaint. An image without a name goes by its digest.
#[track_caller]
pub(crate) fn names(sandbox: &Sandbox, store: &Path) -> Names {
    let output = sandbox.run(&["idpbuilder-list", "--store", text(store), "-o", "json"]);
    assert!(output.stderr.is_empty(), "{output}");
    let listed: serde_json::Value = serde_json::from_str(&output.success()).expect("JSON");
    let field = |entry: &serde_json::Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let listed = listed.as_array().expect("a list");
    let name = |entry: &serde_json::Value| Some(field(entry, "name")).filter(|name| !name.is_empty());
    listed.iter().map(|entry| (name(entry).unwrap_or_else(|| field(entry, "digest")), field(entry, "digest"))).collect()
}

/// Fails unless every blob has the content its name says, and every image can be read to its last byte.
#[track_caller]
pub(crate) fn whole(sandbox: &Sandbox, store: &Path) -> Names {
    whole_blobs(store);
    let names = names(sandbox, store);
    // One name of each image.
    let images: BTreeMap<&String, &String> = names.iter().map(|(name, digest)| (digest, name)).collect();
    for image in images.into_values() {
        let store = text(store);
        let listed = sandbox.run(&["idpbuilder-inspect", "--store", store, "--files", image]).success();
        assert!(!listed.is_empty(), "{image} has no files");
        let _ = sandbox.run(&["idpbuilder-save", "--store", store, "--format", "oci-archive", image]).success();
    }
    names
}

/// Fails unless every blob has the content its name says.
#[track_caller]
pub(crate) fn whole_blobs(store: &Path) {
    for path in files(&store.join("blobs/sha256")) {
        let mut hasher = Hasher::default();
        hasher.update(&std::fs::read(&path).expect("a blob"));
        let name = path.file_name().and_then(|name| name.to_str()).expect("text");
        assert_eq!(hasher.finish().0.hex(), name, "a damaged blob");
    }
}

/// Files that have no name yet, or never got one.
pub(crate) fn left_overs(store: &Path) -> Vec<PathBuf> {
    let mut left = files(&store.join(".tmp"));
    left.extend(files(store).into_iter().filter(|path| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        name.starts_with(b".tmp-")
    }));
    left
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
