//! Listing: what the store holds, one line a name.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::image::{Content, Digest, Document, Reference};
use crate::store::{Entry, ImageStore, StoreError};

/// One name in the store and the image behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// The full reference, as it was given.
    pub name: Option<String>,
    /// The reference without tag and digest.
    pub repository: Option<String>,
    /// The tag.
    pub tag: Option<String>,
    /// Digest of the configuration (of the index, where there are several images): the image id.
    pub id: Digest,
    /// Digest of the manifest or index: what a registry calls the image.
    pub digest: Digest,
    /// RFC 3339 time at which it was built, loaded or pulled here.
    pub created: Option<String>,
    /// RFC 3339 time in the configuration of the (first) image.
    #[serde(skip)]
    pub made: Option<String>,
    /// Bytes a registry would hold: documents, configuration and compressed layers.
    pub size: u64,
    /// `image`, `index`, or the type of an artifact.
    #[serde(rename = "type")]
    pub kind: String,
    /// Platforms, in the index's order; those of attestations are left out.
    pub platforms: Vec<String>,
    /// Number of layers, summed over platforms.
    pub layers: usize,
    /// Labels of the (first) image.
    pub labels: std::collections::BTreeMap<String, String>,
}

/// What a look at the store came to.
#[derive(Debug)]
pub struct Listing {
    /// Newest first, then by name.
    pub listed: Vec<Listed>,
    /// Entries whose documents cannot be read, and why.
    pub damaged: Vec<(Entry, StoreError)>,
}

/// Which entries to list; all conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Shell patterns for the name, with or without its tag.
    pub references: Vec<String>,
    /// Label, or label and value.
    pub labels: Vec<(String, Option<String>)>,
    /// Only entries without a name, or only those with one.
    pub dangling: Option<bool>,
}

/// Returns the store's entries that pass the filter, newest first, then by name.
///
/// An entry whose documents are damaged is reported beside the others, not instead of them.
pub fn list(store: &ImageStore, filter: &Filter) -> Result<Listing, StoreError> {
    let mut found = Vec::new();
    let mut damaged = Vec::new();
    for entry in store.entries()? {
        match describe(store, &entry) {
            Ok((line, documents)) => found.push((entry, line, documents)),
            Err(error) => damaged.push((entry, error)),
        }
    }
    let shown = shown_elsewhere(&found);
    let is_shown = |entry: &Entry| is_kept(entry) && shown.contains(&entry.descriptor.digest);
    let mut listed: Vec<Listed> = found
        .into_iter()
        .filter(|(entry, line, _)| !is_shown(entry) && filter.passes(line))
        .map(|(_, line, _)| line)
        .collect();
    if !damaged.is_empty() {
        // An entry that is gone by now was removed and pruned under our eyes; nothing is wrong with it.
        let entries = store.entries()?;
        damaged.retain(|(entry, _)| entries.contains(entry));
    }
    listed.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.name.cmp(&b.name)));
    Ok(Listing { listed, damaged })
}

/// Returns whether the embedded registry keeps the manifest by its digest and it has no name.
fn is_kept(entry: &Entry) -> bool {
    entry.name.is_none() && entry.repository.is_some()
}

/// Returns the manifests that need no line of their own when they are kept by digest alone: those of named images, and
/// those that an index refers to.
fn shown_elsewhere(found: &[(Entry, Listed, Vec<Digest>)]) -> BTreeSet<Digest> {
    let shown = found.iter().flat_map(|(entry, _, documents)| {
        documents.iter().filter(move |digest| !is_kept(entry) || **digest != entry.descriptor.digest)
    });
    shown.copied().collect()
}

/// Returns the line for an entry, and the digests of its manifest or index and of all that an index refers to.
fn describe(store: &ImageStore, entry: &Entry) -> Result<(Listed, Vec<Digest>), StoreError> {
    let tree = store.stored_tree(&entry.descriptor)?;
    let several = tree.documents.len() > 1;
    let mut platforms = Vec::new();
    let mut labels = None;
    let mut layers = 0;
    let mut config_digest = None;
    let mut made = None;
    for manifest in tree.documents.iter().filter_map(Document::manifest) {
        layers += manifest.layers.len();
        config_digest = config_digest.or(Some(manifest.config.digest));
        if manifest.artifact_kind().is_some() {
            continue;
        }
        match store.config(manifest) {
            Ok((_, config)) if config.os == "unknown" => {}
            Ok((_, config)) => {
                platforms.push(config.shown_platform());
                labels = labels.or(Some(config.config.labels));
                made = made.or(config.created);
            }
            // One of several that cannot be read does not hide the others.
            Err(_) if several => {}
            Err(error) => return Err(error),
        }
    }
    let kind = match tree.documents.last().map(|document| &document.content) {
        None => entry.descriptor.media_type.clone(),
        Some(Content::Index(index)) => index.artifact_type.clone().unwrap_or_else(|| "index".to_owned()),
        Some(Content::Manifest(manifest)) => manifest.artifact_kind().unwrap_or("image").to_owned(),
    };
    let name = entry.usable_name().map(str::to_owned);
    let reference = name.as_deref().and_then(|name| name.parse::<Reference>().ok());
    let documents: u64 = tree.documents.iter().map(|document| document.descriptor.size).sum();
    let blobs: u64 = tree.blobs.iter().map(|blob| blob.size).sum();
    let unnamed = || name.clone().or_else(|| entry.repository.clone());
    let line = Listed {
        repository: reference.as_ref().map(Reference::name).or_else(unnamed),
        tag: reference.as_ref().and_then(|reference| reference.tag().map(str::to_owned)),
        id: config_digest.filter(|_| !several).unwrap_or(entry.descriptor.digest),
        digest: entry.descriptor.digest,
        created: entry.created.clone(),
        made,
        size: documents + blobs,
        kind,
        platforms,
        layers,
        labels: labels.unwrap_or_default(),
        name,
    };
    Ok((line, tree.documents.iter().map(|document| document.descriptor.digest).collect()))
}

impl Filter {
    fn passes(&self, line: &Listed) -> bool {
        let name = line.name.as_deref().unwrap_or_default();
        let repository = line.repository.as_deref().unwrap_or_default();
        self.references.iter().all(|pattern| glob(pattern, name) || glob(pattern, repository))
            && self.labels.iter().all(|(key, value)| {
                line.labels.get(key).is_some_and(|has| value.as_ref().is_none_or(|wanted| wanted == has))
            })
            && self.dangling.is_none_or(|dangling| line.name.is_none() == dangling)
    }
}

/// Shell pattern with `*` (any text) and `?` (one character).
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) && pattern[p] != '*' {
            p += 1;
            t += 1;
        } else if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, t));
            p += 1;
        } else if let Some((at, from)) = star {
            p = at + 1;
            t = from + 1;
            star = Some((at, from + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::image::{Descriptor, Document, Index, Manifest, Platform, annotation, media_type};

    #[test]
    fn globs() {
        for (pattern, text, matches) in [
            ("app", "app", true),
            ("app*", "app:v1", true),
            ("*app", "team/app", true),
            ("*a*p*", "xapp", true),
            ("a?p", "app", true),
            ("a?p", "ap", false),
            ("app", "apps", false),
            ("*", "", true),
            ("**x", "aax", true),
            ("?", "*", true),
        ] {
            assert_eq!(glob(pattern, text), matches, "{pattern} on {text}");
        }
    }

    const THING: &str = "application/vnd.example.thing.v1";

    fn keep(store: &ImageStore, document: &Document) -> Descriptor {
        let lease = store.lease().expect("a lease");
        store.put(&lease, &document.descriptor.media_type, &document.bytes).expect("stored");
        document.descriptor.clone()
    }

    /// Returns a manifest with a configuration of a type, and a layer.
    fn manifest(store: &ImageStore, kind: &str, config: &str) -> Descriptor {
        let lease = store.lease().expect("a lease");
        let config = store.put(&lease, kind, config.as_bytes()).expect("stored");
        let layer = store.put(&lease, media_type::IMAGE_LAYER, b"layer").expect("stored");
        keep(store, &Document::from_manifest(Manifest::new(config, vec![layer], BTreeMap::new())))
    }

    #[test]
    fn artifacts_and_what_is_not_known_hide_no_image() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = ImageStore::open(&directory.path().join("images")).expect("a store");
        let image = |architecture: &str| {
            let config = format!(r#"{{"architecture":"{architecture}","os":"linux","rootfs":{{"type":"layers"}}}}"#);
            manifest(&store, media_type::IMAGE_CONFIG, &config)
        };
        let (amd64, arm64) = (image("amd64"), image("arm64"));
        let chart = manifest(&store, "application/vnd.cncf.helm.config.v1+json", "[]");
        let empty = manifest(&store, media_type::EMPTY, "{}");
        // An attestation as buildx writes it, and one whose configuration says nothing.
        let proof =
            manifest(&store, media_type::IMAGE_CONFIG, r#"{"architecture":"unknown","os":"unknown","rootfs":{}}"#);
        let bare = manifest(&store, media_type::IMAGE_CONFIG, "{}");
        let lease = store.lease().expect("a lease");
        let leaf = store.put(&lease, THING, b"not JSON").expect("stored");
        let absent = Descriptor {
            platform: Some(Platform::new("linux", "riscv64", None)),
            ..Descriptor::of(media_type::IMAGE_MANIFEST, b"absent")
        };
        let all = [&leaf, &chart, &empty, &proof, &bare, &amd64, &absent, &arm64].map(Clone::clone);
        let mixed = keep(&store, &Document::from_index(Index { manifests: all.to_vec(), ..Index::default() }));
        let entries = [("amd64", &amd64), ("chart", &chart), ("empty", &empty), ("leaf", &leaf), ("mixed", &mixed)];
        let entry = |(name, descriptor): (&str, &Descriptor)| Descriptor {
            annotations: Some(BTreeMap::from([(annotation::REF_NAME.to_owned(), name.to_owned())])),
            ..descriptor.clone()
        };
        let index = Index { manifests: entries.map(entry).to_vec(), ..Index::default() };
        let bytes = serde_json::to_vec(&index).expect("serialises");
        std::fs::write(store.root().join("index.json"), bytes).expect("written");
        let listing = list(&store, &Filter::default()).expect("listed");
        assert!(listing.damaged.is_empty(), "{:?}", listing.damaged);
        let shown: Vec<(&str, &str, String)> = listing
            .listed
            .iter()
            .map(|line| (line.name.as_deref().unwrap_or_default(), line.kind.as_str(), line.platforms.join(",")))
            .collect();
        let none = String::new;
        assert_eq!(
            shown,
            [
                ("amd64", "image", "linux/amd64".to_owned()),
                ("chart", "application/vnd.cncf.helm.config.v1+json", none()),
                ("empty", media_type::IMAGE_LAYER, none()),
                ("leaf", THING, none()),
                ("mixed", "index", "linux/amd64,linux/arm64".to_owned()),
            ]
        );
    }
}
