//! The configuration of the most common build.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{BuildConfig, Compression, DEFAULT_TIMESTAMP, Layers, Owner, Resets, Sources, StoredLayers};
use crate::image::{ContainerConfig, Platform, Reference};

impl BuildConfig {
    /// Returns the configuration of an image that consists of one directory's files.
    ///
    /// Every time in the image, and the build time in the index, is [`DEFAULT_TIMESTAMP`]. Change fields for anything
    /// else.
    #[must_use]
    pub fn of_directory(context: PathBuf, name: Reference, platform: Platform) -> Self {
        Self {
            context,
            sources: Sources::default(),
            packs_dockerfile: false,
            names: vec![name],
            base: None,
            platform,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            ignore_file: None,
            exclude: Vec::new(),
            private: Vec::new(),
            runtime: ContainerConfig::default(),
            resets: Resets::default(),
            copy_to: "/".to_owned(),
            owner: Owner::default(),
            mode: None,
            timestamp: DEFAULT_TIMESTAMP,
            compression: Compression::default(),
            layers: Layers::Auto,
            cache: None,
            built_at: "1980-01-01T00:00:01Z".to_owned(),
            conditions: None,
            stored: StoredLayers::default(),
        }
    }
}
