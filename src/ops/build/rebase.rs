//! Use case: images get other bases. Their own layers stay as they are; nothing is read or compressed.

use std::collections::{BTreeMap, HashSet};

use super::base::{complete, with_oci_name};
use super::{Base, BaseError, Resets};
use crate::image::{
    ContainerConfig, Descriptor, Digest, Document, History, ImageConfig, Index, Manifest, Platform, Reference, RootFs,
    annotation, media_type,
};
use crate::store::{Image, ImageStore, Lease, StoreError};
use crate::text;

/// What to put on other bases.
#[derive(Debug, Clone)]
pub struct RebaseConfig {
    /// What errors call the image or index.
    pub image: String,
    /// The image, or those of an index.
    pub parts: Vec<Part>,
    /// Whether the result is an index.
    pub index: bool,
    /// Names of the result.
    pub names: Vec<Reference>,
    /// RFC 3339 wall-clock time; an annotation of the store's index only.
    pub built_at: String,
}

/// An image and its bases.
#[derive(Debug, Clone)]
pub struct Part {
    /// The image.
    pub image: Image,
    /// The base that it has.
    pub old: OldBase,
    /// The base that it gets.
    pub new: Base,
}

/// Which base an image has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OldBase {
    /// The one that the annotation of its manifest names.
    Annotated,
    /// None: all layers are its own.
    Scratch,
    /// A chosen base.
    Image(Box<Base>),
}

/// The result of a rebase.
#[derive(Debug, Clone)]
pub struct RebaseOutcome {
    /// The manifest, or the index.
    pub document: Document,
    /// The images, in the order of the parts.
    pub images: Vec<Rebased>,
    /// Images that lost their last name to this one.
    pub replaced: Vec<Digest>,
}

/// An image on its new base.
#[derive(Debug, Clone)]
pub struct Rebased {
    /// What it is for.
    pub platform: Platform,
    /// Digest of the configuration.
    pub image_id: Digest,
    /// The manifest.
    pub document: Document,
    /// How many layers are its own.
    pub own: usize,
}

/// Why an image was not put on another base.
#[derive(Debug, thiserror::Error)]
pub enum RebaseError {
    /// The store's reason.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The base it has cannot be read.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// Nothing says what the image is built on.
    #[error("nothing tells which base `{0}` has (its manifest has no annotation {key})", key = annotation::BASE_DIGEST)]
    NoBase(String),
    /// The annotation names a manifest that is not stored.
    #[error("`{image}` says that its base is {digest}, which is not in the local store")]
    BaseGone {
        /// The image.
        image: String,
        /// Digest of the base's manifest, as the annotation has it.
        digest: String,
        /// The base's name, where it is known.
        name: Option<String>,
    },
    /// The image's first layers are others.
    #[error("`{image}` is not built on {base}: its first layers are not those")]
    NotOnBase {
        /// The image.
        image: String,
        /// Digest of the base's manifest.
        base: Digest,
    },
    /// Manifest and configuration do not agree.
    #[error("`{image}` is damaged: its manifest lists {}, its configuration {diff_ids}", text::counted(*layers, "layer"))]
    LayerCount {
        /// The image.
        image: String,
        /// Layers of the manifest.
        layers: usize,
        /// Layers of the configuration.
        diff_ids: usize,
    },
}

/// Puts images on other bases; names the one, or an index of all.
pub fn rebase(config: &RebaseConfig, store: &ImageStore, lease: &Lease) -> Result<RebaseOutcome, RebaseError> {
    let moved = config.parts.iter().map(|part| move_part(config, part, store, lease));
    let images = moved.collect::<Result<Vec<Rebased>, _>>()?;
    let document = match &images[..] {
        [only] if !config.index => only.document.clone(),
        images => {
            let manifests = images.iter().map(|image| Descriptor {
                platform: Some(image.platform.clone()),
                ..image.document.descriptor.clone()
            });
            let document = Document::from_index(Index { manifests: manifests.collect(), ..Index::default() });
            store.put(lease, &document.descriptor.media_type, &document.bytes)?;
            document
        }
    };
    let replaced = store.publish(lease, &document, &config.names, Some(&config.built_at))?;
    Ok(RebaseOutcome { document, images, replaced })
}

fn move_part(config: &RebaseConfig, part: &Part, store: &ImageStore, lease: &Lease) -> Result<Rebased, RebaseError> {
    let Part { image, old, new } = part;
    let old = match old {
        OldBase::Image(old) => Some(old.as_ref().clone()),
        OldBase::Scratch => None,
        OldBase::Annotated => Some(annotated(config, image, store)?),
    };
    let own = Own::over(old.as_ref(), config, image)?;
    let below = old.map_or_else(|| empty(&image.config), |old| old.config);
    let count = own.layers.len();
    let made = ImageConfig {
        created: image.config.created.clone(),
        author: image.config.author.clone().filter(|author| below.author.as_ref() != Some(author)),
        config: changes(&below.config, &image.config.config),
        rootfs: RootFs { kind: "layers".into(), diff_ids: own.diff_ids },
        history: own.history,
        extra: only_new(&below.extra, &image.config.extra),
        ..image.config.clone()
    };
    // What the image took away from the old base is taken away from the new one.
    let (had, has) = (&below.config, &image.config.config);
    let resets = Resets {
        entrypoint: has.entrypoint.is_empty() && !had.entrypoint.is_empty(),
        cmd: has.cmd.is_empty() && !had.cmd.is_empty(),
    };
    let made = new.under(made, resets);
    let config_blob = store.put(lease, media_type::IMAGE_CONFIG, &made.to_bytes())?;
    let image_id = config_blob.digest;
    let mut annotations = image.manifest.annotations.clone().unwrap_or_default();
    annotations.retain(|key, _| key != annotation::BASE_DIGEST && key != annotation::BASE_NAME);
    let layers = new.layers.iter().cloned().chain(own.layers).collect();
    let document = Document::from_manifest(Manifest::new(config_blob, layers, new.annotate(annotations)));
    store.put(lease, media_type::IMAGE_MANIFEST, &document.bytes)?;
    Ok(Rebased { platform: made.platform(), image_id, document, own: count })
}

/// Returns the base that the image's annotation names, out of the store.
fn annotated(config: &RebaseConfig, image: &Image, store: &ImageStore) -> Result<Base, RebaseError> {
    let annotation = |key: &str| image.manifest.annotations.as_ref()?.get(key).map(String::as_str);
    let name = annotation(annotation::BASE_NAME);
    let Some(text) = annotation(annotation::BASE_DIGEST) else {
        return Err(RebaseError::NoBase(config.image.clone()));
    };
    let gone = || RebaseError::BaseGone {
        image: config.image.clone(),
        digest: text.chars().take(120).collect(),
        name: name.map(|name| name.chars().take(200).collect()),
    };
    let digest: Digest = text.parse().map_err(|_| gone())?;
    let size = store.blob_size(digest)?.ok_or_else(gone)?;
    // The document holds its own media type; an empty type in the descriptor makes the parser look for it.
    let descriptor = Descriptor::new("", digest, size);
    match Base::read(store, (&config.image, None), &descriptor, &image.config.platform().normalised()) {
        Err(BaseError::Store(StoreError::MissingBlob(_))) => Err(gone()),
        read => Ok(read?),
    }
}

/// What an image has beyond its base.
struct Own {
    layers: Vec<Descriptor>,
    diff_ids: Vec<Digest>,
    history: Vec<History>,
}

impl Own {
    fn over(old: Option<&Base>, config: &RebaseConfig, image: &Image) -> Result<Self, RebaseError> {
        let (layers, diff_ids) = (&image.manifest.layers, &image.config.rootfs.diff_ids);
        if layers.len() != diff_ids.len() {
            let (layers, diff_ids) = (layers.len(), diff_ids.len());
            return Err(RebaseError::LayerCount { image: config.image.clone(), layers, diff_ids });
        }
        let below = old.map_or(0, |old| old.config.rootfs.diff_ids.len());
        if let Some(old) = old
            && !diff_ids.starts_with(&old.config.rootfs.diff_ids)
        {
            return Err(RebaseError::NotOnBase { image: config.image.clone(), base: old.digest });
        }
        let mut history = image.config.history.clone();
        complete(&mut history, diff_ids.len());
        Ok(Self {
            layers: layers[below..].iter().cloned().map(with_oci_name).collect(),
            diff_ids: diff_ids[below..].to_vec(),
            history: own_history(old.map_or(&[], |old| &old.config.history), history, below),
        })
    }
}

/// Returns the steps after the base's: all after the same beginning, else all after the base's last layer.
fn own_history(old: &[History], history: Vec<History>, layers: usize) -> Vec<History> {
    if history.starts_with(old) {
        return history[old.len()..].to_vec();
    }
    let mut below = 0;
    let is_below = |step: &History| {
        let is_below = below < layers;
        below += usize::from(is_below && step.empty_layer != Some(true));
        is_below
    };
    history.into_iter().skip_while(is_below).collect()
}

/// Returns the base of an image without one.
fn empty(image: &ImageConfig) -> ImageConfig {
    ImageConfig {
        created: None,
        author: None,
        config: ContainerConfig::default(),
        rootfs: RootFs { kind: "layers".into(), diff_ids: Vec::new() },
        history: Vec::new(),
        extra: BTreeMap::new(),
        ..image.clone()
    }
}

/// Returns what an image sets beyond its base, so that on another base the same is set again.
fn changes(old: &ContainerConfig, own: &ContainerConfig) -> ContainerConfig {
    let changed = |old: &Option<String>, own: &Option<String>| own.clone().filter(|_| old != own);
    let has_entrypoint = old.entrypoint != own.entrypoint;
    let inherited: HashSet<&String> = old.env.iter().collect();
    let is_inherited = |variable: &String| {
        #[cfg(test)]
        crate::work::add(variable.len());
        inherited.contains(variable)
    };
    ContainerConfig {
        user: changed(&old.user, &own.user),
        exposed_ports: own.exposed_ports.difference(&old.exposed_ports).cloned().collect(),
        env: own.env.iter().filter(|variable| !is_inherited(variable)).cloned().collect(),
        entrypoint: if has_entrypoint { own.entrypoint.clone() } else { Vec::new() },
        cmd: if has_entrypoint || old.cmd != own.cmd { own.cmd.clone() } else { Vec::new() },
        healthcheck: own.healthcheck.clone().filter(|_| old.healthcheck != own.healthcheck),
        volumes: own.volumes.difference(&old.volumes).cloned().collect(),
        working_dir: changed(&old.working_dir, &own.working_dir),
        labels: only_new(&old.labels, &own.labels),
        stop_signal: changed(&old.stop_signal, &own.stop_signal),
        extra: only_new(&old.extra, &own.extra),
    }
}

fn only_new<V: Clone + PartialEq>(old: &BTreeMap<String, V>, own: &BTreeMap<String, V>) -> BTreeMap<String, V> {
    own.iter()
        .filter(|(key, value)| old.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(text: &str, empty: bool) -> History {
        History { created_by: Some(text.into()), empty_layer: empty.then_some(true), ..History::default() }
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn the_own_steps_are_those_after_the_bases() {
        let base = [step("a", false), step("env", true)];
        let whole = [&base[..], &[step("own", false), step("label", true)]].concat();
        let own = |old: &[History], layers| {
            own_history(old, whole.clone(), layers)
                .into_iter()
                .map(|step| step.created_by.unwrap_or_default())
                .collect::<Vec<_>>()
        };
        assert_eq!(own(&base, 1), ["own", "label"]);
        // A base whose history is not the beginning of the image's: what makes layers is counted.
        assert_eq!(own(&[step("x", false)], 1), ["env", "own", "label"]);
        assert_eq!(own(&[], 0), ["a", "env", "own", "label"]);
        assert_eq!(own(&[step("x", false)], 2), ["label"]);
    }

    #[test]
    fn twice_the_variables_are_twice_the_work() {
        let env = |count: usize, value: &str| ContainerConfig {
            env: (0..count).map(|number| format!("VARIABLE_{number}={value}")).collect(),
            ..ContainerConfig::default()
        };
        for own in ["1", "2"] {
            crate::work::grows_with_size(2000, |count| changes(&env(count, "1"), &env(count, own)));
            crate::work::grows_with_size(2000, |count| super::super::base::inherited(env(count, "1"), env(count, own)));
        }
    }

    #[test]
    fn only_what_the_image_set_itself_is_set_again() {
        let old = ContainerConfig {
            user: Some("app".into()),
            env: texts(&["A=1", "B=1"]),
            entrypoint: texts(&["/old"]),
            cmd: texts(&["serve"]),
            working_dir: Some("/".into()),
            labels: [("a".to_owned(), "1".to_owned())].into(),
            ..ContainerConfig::default()
        };
        let mut image = old.clone();
        assert_eq!(changes(&old, &image), ContainerConfig::default());
        image.env = texts(&["A=2", "B=1", "C=3"]);
        image.cmd = texts(&["other"]);
        image.labels.insert("b".into(), "2".into());
        image.exposed_ports.insert("80/tcp".into());
        image.working_dir = Some("/srv".into());
        let own = changes(&old, &image);
        assert_eq!((&own.env, &own.cmd, own.entrypoint.len()), (&texts(&["A=2", "C=3"]), &texts(&["other"]), 0));
        assert_eq!((own.user, own.working_dir.as_deref()), (None, Some("/srv")));
        assert_eq!((own.labels.len(), own.exposed_ports.len()), (1, 1));
        // Of an own entrypoint, the arguments are the image's too, also where it has none.
        image.entrypoint = texts(&["/new"]);
        image.cmd = Vec::new();
        let own = changes(&old, &image);
        assert_eq!((own.entrypoint, own.cmd.len()), (texts(&["/new"]), 0));
    }
    /// Returns an image whose manifest has `layers` and whose configuration has `diff_ids` of them.
    fn image(layers: usize, diff_ids: usize) -> Image {
        let config = ImageConfig {
            created: None,
            author: None,
            architecture: "amd64".into(),
            variant: None,
            os: "linux".into(),
            config: ContainerConfig::default(),
            rootfs: RootFs {
                kind: "layers".into(),
                diff_ids: (0..diff_ids).map(|layer| Digest::of(&layer.to_le_bytes())).collect(),
            },
            history: Vec::new(),
            extra: BTreeMap::new(),
        };
        let layer =
            |layer: usize| Descriptor::of(media_type::IMAGE_LAYER, &[b"layer", &layer.to_le_bytes()[..]].concat());
        let config_bytes = config.to_bytes();
        let manifest = Manifest::new(
            Descriptor::of(media_type::IMAGE_CONFIG, &config_bytes),
            (0..layers).map(layer).collect(),
            BTreeMap::new(),
        );
        Image { document: Document::from_manifest(manifest.clone()), manifest, config_bytes, config }
    }

    fn base_of(image: Image) -> Base {
        Base { name: None, digest: image.document.digest(), layers: image.manifest.layers, config: image.config }
    }

    #[test]
    fn an_image_is_rebased_only_if_manifest_and_configuration_agree() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = ImageStore::open(&directory.path().join("images")).expect("a store");
        let lease = store.lease().expect("a lease");
        let new = image(1, 1);
        for (layers, diff_ids, old) in [
            (2, 3, Some(1)),
            (3, 2, Some(1)),
            (1, 2, Some(1)),
            (0, 1, Some(1)),
            (1, 0, Some(0)),
            (2, 1, None),
            (1, 2, None),
        ] {
            let old = old.map_or(OldBase::Scratch, |layers| OldBase::Image(Box::new(base_of(image(layers, layers)))));
            let part = Part { image: image(layers, diff_ids), old, new: base_of(new.clone()) };
            let config = RebaseConfig {
                image: "app:v1".into(),
                parts: vec![part],
                index: false,
                names: vec!["app:v2".parse().expect("a name")],
                built_at: "2026-01-01T00:00:00Z".into(),
            };
            let error = rebase(&config, &store, &lease).expect_err("they differ");
            let RebaseError::LayerCount { image, layers: of_manifest, diff_ids: of_config } = error else {
                panic!("{layers} and {diff_ids}: {error:?}");
            };
            assert_eq!((image.as_str(), of_manifest, of_config), ("app:v1", layers, diff_ids));
        }
        assert!(store.entries().expect("entries").is_empty());
    }

    #[test]
    fn only_an_image_on_the_old_base_is_rebased() {
        let config = RebaseConfig {
            image: "app:v1".into(),
            parts: Vec::new(),
            index: false,
            names: Vec::new(),
            built_at: String::new(),
        };
        let own = |old: usize, image: &Image| Own::over(Some(&base_of(self::image(old, old))), &config, image);
        let two = image(2, 2);
        for (old, left) in [(0, 2), (1, 1), (2, 0)] {
            let own = own(old, &two).expect("its first layers are those");
            assert_eq!((own.layers.len(), own.diff_ids.len()), (left, left));
            assert_eq!(own.layers, two.manifest.layers[old..]);
        }
        assert!(matches!(own(3, &two), Err(RebaseError::NotOnBase { .. })));
        let mut other = two.clone();
        other.config.rootfs.diff_ids[0] = Digest::of(b"other");
        assert!(matches!(own(1, &other), Err(RebaseError::NotOnBase { .. })));
    }

    #[test]
    fn many_variables_are_compared_in_time() {
        // Compared each with each, they would take hours.
        let many = |start: usize| (start..start + 200_000).map(|number| format!("A{number}=1")).collect::<Vec<_>>();
        let old = ContainerConfig { env: many(0), ..ContainerConfig::default() };
        let own = ContainerConfig { env: many(100_000), ..ContainerConfig::default() };
        let changed = changes(&old, &own);
        assert_eq!(changed.env, many(100_000)[100_000..]);
        let merged = super::super::base::inherited(old, changed).env;
        assert_eq!((merged.len(), merged.last().map(String::as_str)), (300_000, Some("A299999=1")));
    }
}
