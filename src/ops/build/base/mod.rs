//! The image that another is built on: its layers and configuration in the terms of an OCI manifest.
//!
//! Layers are taken as they are, byte for byte. Docker's media types get the names that the image-spec has for the
//! same bytes ("Compatibility Matrix"); what neither knows stays as it is.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use crate::image::{
    ContainerConfig, Descriptor, Digest, HealthCheck, History, ImageConfig, Manifest, Platform, Reference, annotation,
    media_type,
};
use crate::store::{ImageStore, StoreError};
use crate::text;

/// The history entry for a layer of the base that has none.
const UNKNOWN_STEP: &str = "layer of the base image";

/// An image to build on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// Its full name, where it has one that means the same everywhere.
    pub name: Option<Reference>,
    /// Digest of its manifest.
    pub digest: Digest,
    /// Its layers, first one first, by their OCI media types.
    pub layers: Vec<Descriptor>,
    /// Its configuration, with one entry of the history for each layer at least.
    pub config: ImageConfig,
}

/// What of a base does not hold although nothing takes its place, as Docker's `ENTRYPOINT []` has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resets {
    /// The entrypoint, and the arguments with it.
    pub entrypoint: bool,
    /// The arguments.
    pub cmd: bool,
}

/// Why an image cannot be built on.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// The store's reason.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something else than a container image: an artifact.
    #[error("`{name}` is an artifact of type `{kind}`, not a container image")]
    NotAnImage {
        /// What was asked for.
        name: String,
        /// Its type or, where it has none, its configuration's media type.
        kind: String,
    },
    /// Manifest and configuration do not agree.
    #[error("`{name}` is damaged: its manifest lists {}, its configuration {diff_ids}", text::counted(*layers, "layer"))]
    LayerCount {
        /// What was asked for.
        name: String,
        /// Layers of the manifest.
        layers: usize,
        /// Layers of the configuration.
        diff_ids: usize,
    },
}

impl Base {
    /// Reads the image that `descriptor` stands for; of an index, the one for `platform`.
    ///
    /// `shown` is what errors call it. Fails with [`StoreError::Platform`] unless the image is for the platform, and
    /// with [`StoreError::MissingBlob`] unless all of it is stored.
    pub fn read(
        store: &ImageStore,
        (shown, name): (&str, Option<Reference>),
        descriptor: &Descriptor,
        platform: &Platform,
    ) -> Result<Self, BaseError> {
        Self::check_kind(shown, &store.manifest(shown, descriptor, Some(platform))?.1)?;
        let image = store.image(shown, descriptor, Some(platform))?;
        let mut config = image.config;
        let found = config.platform().without_features();
        if config.architecture.is_empty() {
            // An image that says nothing is taken for what it is asked to be, as Docker does.
            (config.os, config.architecture) = (platform.os.clone(), platform.architecture.clone());
            config.variant.clone_from(&platform.variant);
        } else if !platform.accepts(&found) {
            return Err(BaseError::Store(StoreError::Platform {
                name: shown.to_owned(),
                wanted: platform.full(),
                available: vec![found.full()],
            }));
        }
        let layers = image.manifest.layers;
        let diff_ids = config.rootfs.diff_ids.len();
        if layers.len() != diff_ids {
            return Err(BaseError::LayerCount { name: shown.to_owned(), layers: layers.len(), diff_ids });
        }
        for layer in &layers {
            store.check_blob(layer)?;
        }
        if config.rootfs.kind.is_empty() {
            "layers".clone_into(&mut config.rootfs.kind);
        }
        complete(&mut config.history, diff_ids);
        let layers = layers.into_iter().map(with_oci_name).collect();
        Ok(Self { name, digest: image.document.digest(), layers, config })
    }

    /// Fails unless the manifest is of a container image: what an artifact has for a configuration is its own business.
    pub fn check_kind(shown: &str, manifest: &Manifest) -> Result<(), BaseError> {
        match manifest.artifact_kind() {
            None => Ok(()),
            Some(kind) => Err(BaseError::NotAnImage { name: shown.to_owned(), kind: kind.chars().take(120).collect() }),
        }
    }

    /// Returns the stored size of the layers in bytes.
    pub fn size(&self) -> u64 {
        self.layers.iter().map(|layer| layer.size).sum()
    }

    /// Returns how many commands the base wants to be run when something is built on it (Docker's `ONBUILD`).
    pub fn triggers(&self) -> usize {
        self.config.config.extra.get("OnBuild").and_then(serde_json::Value::as_array).map_or(0, Vec::len)
    }

    /// Returns the configuration of an image with `own` layers over the base's.
    pub(super) fn under(&self, own: ImageConfig, resets: Resets) -> ImageConfig {
        let mut base = self.config.clone();
        if resets.entrypoint {
            // Its arguments were meant for it.
            base.config.entrypoint.clear();
            base.config.cmd.clear();
        }
        if resets.cmd {
            base.config.cmd.clear();
        }
        let mut extra = base.extra;
        extra.extend(own.extra);
        ImageConfig {
            created: own.created,
            author: own.author.or(base.author),
            architecture: base.architecture,
            variant: base.variant,
            os: base.os,
            config: inherited(base.config, own.config),
            rootfs: crate::image::RootFs {
                kind: base.rootfs.kind,
                diff_ids: base.rootfs.diff_ids.into_iter().chain(own.rootfs.diff_ids).collect(),
            },
            history: base.history.into_iter().chain(own.history).collect(),
            extra,
        }
    }

    /// Returns the manifest's annotations with those that name the base (image-spec, "Pre-Defined Annotation Keys"),
    /// unless they are given.
    pub(super) fn annotate(&self, given: BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut annotations = BTreeMap::from([(annotation::BASE_DIGEST.to_owned(), self.digest.to_string())]);
        if let Some(name) = &self.name {
            annotations.insert(annotation::BASE_NAME.to_owned(), name.to_string());
        }
        annotations.extend(given);
        annotations
    }
}

/// Returns what a container of an image on a base is run with, as Docker has it.
pub(super) fn inherited(base: ContainerConfig, own: ContainerConfig) -> ContainerConfig {
    let mut env = base.env;
    let set: HashSet<String> = own.env.iter().map(|variable| name_of(variable).to_owned()).collect();
    let mut places: HashMap<String, usize> = HashMap::with_capacity(env.len());
    // Of a variable that stands twice, the second one would win in a container: it goes with what it said.
    let mut place = 0;
    env.retain(|variable| {
        #[cfg(test)]
        crate::work::add(variable.len());
        let name = name_of(variable);
        let is_kept = !set.contains(name) || !places.contains_key(name);
        if is_kept {
            places.entry(name.to_owned()).or_insert(place);
            place += 1;
        }
        is_kept
    });
    for variable in own.env {
        #[cfg(test)]
        crate::work::add(variable.len());
        match places.entry(name_of(&variable).to_owned()) {
            Entry::Occupied(place) => env[*place.get()] = variable,
            Entry::Vacant(place) => {
                place.insert(env.len());
                env.push(variable);
            }
        }
    }
    // Arguments were meant for the entrypoint they came with.
    let (entrypoint, cmd) = match (own.entrypoint.is_empty(), own.cmd.is_empty()) {
        (false, _) => (own.entrypoint, own.cmd),
        (true, false) => (base.entrypoint, own.cmd),
        (true, true) => (base.entrypoint, base.cmd),
    };
    let mut labels = base.labels;
    labels.extend(own.labels);
    let mut extra = base.extra;
    extra.extend(own.extra);
    ContainerConfig {
        user: own.user.or(base.user),
        exposed_ports: base.exposed_ports.into_iter().chain(own.exposed_ports).collect(),
        env,
        entrypoint,
        cmd,
        healthcheck: inherited_check(base.healthcheck, own.healthcheck),
        volumes: base.volumes.into_iter().chain(own.volumes).collect(),
        working_dir: own.working_dir.or(base.working_dir),
        labels,
        stop_signal: own.stop_signal.or(base.stop_signal),
        extra,
    }
}

/// Returns the check that holds: what a new one does not say is the base's, unless there is to be none.
fn inherited_check(base: Option<HealthCheck>, own: Option<HealthCheck>) -> Option<HealthCheck> {
    let (base, own) = match (base, own) {
        (Some(base), Some(own)) if own.test != ["NONE"] => (base, own),
        (base, own) => return own.or(base),
    };
    let mut extra = base.extra;
    // Zero is how Docker writes what was not said.
    extra.extend(own.extra.into_iter().filter(|(_, value)| value.as_u64() != Some(0)));
    Some(HealthCheck { test: if own.test.is_empty() { base.test } else { own.test }, extra })
}

/// Returns the name in `NAME=value`.
pub(super) fn name_of(variable: &str) -> &str {
    variable.split('=').next().unwrap_or(variable)
}

/// One entry for each layer: readers match layers and entries from the first on.
pub(super) fn complete(history: &mut Vec<History>, layers: usize) {
    let known = history.iter().filter(|step| step.empty_layer != Some(true)).count();
    let step = History { comment: Some(UNKNOWN_STEP.to_owned()), ..History::default() };
    history.extend(std::iter::repeat_n(step, layers.saturating_sub(known)));
}

/// Returns the layer with the media type of the image-spec in place of Docker's.
pub(super) fn with_oci_name(layer: Descriptor) -> Descriptor {
    let name = match layer.media_type.as_str() {
        "application/vnd.docker.image.rootfs.diff.tar" => media_type::IMAGE_LAYER,
        "application/vnd.docker.image.rootfs.diff.tar.gzip" => media_type::IMAGE_LAYER_GZIP,
        "application/vnd.docker.image.rootfs.diff.tar.zstd" => media_type::IMAGE_LAYER_ZSTD,
        "application/vnd.docker.image.rootfs.foreign.diff.tar" => {
            "application/vnd.oci.image.layer.nondistributable.v1.tar"
        }
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" => {
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
        }
        _ => return layer,
    };
    Descriptor { media_type: name.to_owned(), ..layer }
}

#[cfg(test)]
mod tests;
