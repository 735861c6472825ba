//! The image configuration (OCI image-spec, "Image Configuration") with Docker's `Healthcheck`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Platform;

/// What a runtime needs to know about an image. Field order is the order of the JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// RFC 3339 creation time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// `GOARCH` name; empty where the image does not say it, which Docker accepts.
    #[serde(default)]
    pub architecture: String,
    /// CPU variant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// `GOOS` name; empty where the image does not say it.
    #[serde(default)]
    pub os: String,
    /// Execution parameters.
    #[serde(default, deserialize_with = "null_is_default")]
    pub config: ContainerConfig,
    /// The layers' uncompressed digests.
    pub rootfs: RootFs,
    /// One entry a step, empty steps included.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
    /// Everything else: `os.version`, `os.features` and what tools of their own write.
    #[serde(flatten)]
    pub extra: BTreeMap<String, serde_json::Value>,
}

/// Defaults for running a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerConfig {
    /// `user`, `uid`, `user:group` or `uid:gid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `port/protocol` each; in JSON an object of empty objects.
    #[serde(with = "object_set", skip_serializing_if = "BTreeSet::is_empty")]
    pub exposed_ports: BTreeSet<String>,
    /// `NAME=value`.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Words of the command that always runs.
    #[serde(deserialize_with = "words", skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// Default arguments.
    #[serde(deserialize_with = "words", skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    /// Docker's health check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<HealthCheck>,
    /// Paths that hold data of their own; in JSON an object of empty objects.
    #[serde(with = "object_set", skip_serializing_if = "BTreeSet::is_empty")]
    pub volumes: BTreeSet<String>,
    /// Directory the command starts in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Free-form facts.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Signal that asks the container to stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Everything else: Docker's `OnBuild` and `Shell`, and what tools of their own write.
    #[serde(flatten)]
    pub extra: BTreeMap<String, serde_json::Value>,
}

/// Docker's `HEALTHCHECK`; times that are not said are left to the runtime's defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HealthCheck {
    /// `["NONE"]`, `["CMD", ...]` or `["CMD-SHELL", "..."]`.
    #[serde(default, deserialize_with = "null_is_default")]
    pub test: Vec<String>,
    /// Everything else: `Interval`, `Timeout`, `StartPeriod`, `StartInterval` (nanoseconds) and `Retries`.
    #[serde(flatten)]
    pub extra: BTreeMap<String, serde_json::Value>,
}

/// The layers of the image as uncompressed digests, base first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// `layers`; empty where it is not said, since there is nothing else it could be.
    #[serde(rename = "type", default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Digest of each layer's uncompressed tar.
    #[serde(default, deserialize_with = "null_is_default")]
    pub diff_ids: Vec<super::Digest>,
}

/// How a layer came to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// RFC 3339 time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Who ran it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether the step made no layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty_layer: Option<bool>,
}

impl ImageConfig {
    /// Returns what the image runs on.
    pub fn platform(&self) -> Platform {
        Platform {
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            os_version: self.extra.get("os.version").and_then(|value| value.as_str()).map(str::to_owned),
            os_features: self.extra.get("os.features").and_then(|value| serde_json::from_value(value.clone()).ok()),
            variant: self.variant.clone(),
        }
    }

    /// Returns the platform for people, `unknown` where the image says none.
    pub fn shown_platform(&self) -> String {
        let platform = self.platform();
        let is_silent = self.os.is_empty() && self.architecture.is_empty();
        if is_silent { platform.to_string() } else { platform.canonical().to_string() }
    }

    /// Returns the bytes that are hashed, stored and sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a configuration has only string keys")
    }
}

/// Go writes absent lists and maps as `null`.
pub(super) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Returns the words of a command: a list or, as Docker reads it too, one string that is one word.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Option::<Words>::deserialize(deserializer)? {
        None => Vec::new(),
        Some(Words::One(word)) => vec![word],
        Some(Words::Many(words)) => words,
    })
}

/// Go's `map[string]struct{}`: a set written as an object of empty objects.
mod object_set {
    use super::{BTreeMap, BTreeSet, Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(set: &BTreeSet<String>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(set.iter().map(|key| (key, serde_json::json!({}))))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<String>, D::Error> {
        let map = Option::<BTreeMap<String, serde_json::Value>>::deserialize(deserializer)?;
        Ok(map.unwrap_or_default().into_keys().collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_docker_writes() {
        let text = r#"{"architecture":"amd64","os":"linux","container":"x","docker_version":"20.10",
            "config":{"Hostname":"","Env":null,"Cmd":null,"Entrypoint":null,"ExposedPorts":{"80/tcp":{}},"Volumes":null,
            "Healthcheck":{"Test":["CMD","true"],"Interval":5},"Labels":null,"WorkingDir":"/"},
            "history":null,"rootfs":{"type":"layers","diff_ids":null}}"#;
        let config: ImageConfig = serde_json::from_str(text).expect("Docker's shape");
        assert_eq!(config.config.exposed_ports.len(), 1);
        assert_eq!(config.config.working_dir.as_deref(), Some("/"));
        assert!(config.rootfs.diff_ids.is_empty());
    }

    #[test]
    fn what_is_not_known_here_is_written_as_it_was_read() {
        let text = r#"{"architecture":"amd64","os":"windows","config":{"Healthcheck":{"Test":["NONE"],"Interval":5},
            "OnBuild":["RUN x"],"Shell":["/bin/sh","-c"],"ArgsEscaped":true},"rootfs":{"type":"layers","diff_ids":[]},
            "os.version":"10.0.17763.1","os.features":["win32k"],"moby.buildkit.x":{"a":[1,2.5,null]}}"#;
        let config: ImageConfig = serde_json::from_str(text).expect("valid");
        let again: serde_json::Value = serde_json::from_slice(&config.to_bytes()).expect("JSON");
        assert_eq!(again, serde_json::from_str::<serde_json::Value>(text).expect("JSON"));
        let platform = config.platform();
        assert_eq!(platform.os_version.as_deref(), Some("10.0.17763.1"));
        assert_eq!(platform.os_features, Some(vec!["win32k".to_owned()]));
    }

    #[test]
    fn what_docker_reads_of_loose_writers_is_read() {
        for (given, expected) in [
            (r#"{"Entrypoint":"/app","Cmd":"run it"}"#, (vec!["/app"], vec!["run it"])),
            (r#"{"Entrypoint":["/app","x"],"Cmd":null}"#, (vec!["/app", "x"], vec![])),
            (r#"{"Entrypoint":[],"Cmd":""}"#, (vec![], vec![""])),
        ] {
            let text = format!(r#"{{"config":{given},"rootfs":{{"diff_ids":[]}}}}"#);
            let config: ImageConfig = crate::image::strict::from_slice(text.as_bytes()).expect(given);
            let words = |words: &[String]| words.to_vec();
            let expected = (
                expected.0.into_iter().map(str::to_owned).collect::<Vec<_>>(),
                expected.1.into_iter().map(str::to_owned).collect::<Vec<_>>(),
            );
            assert_eq!((words(&config.config.entrypoint), words(&config.config.cmd)), expected, "{given}");
            assert_eq!((&*config.os, &*config.architecture, &*config.rootfs.kind), ("", "", ""));
        }
    }

    #[test]
    fn leaves_out_what_is_not_set() {
        let config = ImageConfig {
            created: None,
            author: None,
            architecture: "amd64".into(),
            variant: None,
            os: "linux".into(),
            config: ContainerConfig::default(),
            rootfs: RootFs { kind: "layers".into(), diff_ids: vec![] },
            history: vec![],
            extra: BTreeMap::new(),
        };
        assert_eq!(
            String::from_utf8(config.to_bytes()).expect("UTF-8"),
            r#"{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}"#
        );
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_what_was_read_is_read_again(fields in "[ -~]{0,200}") {
            let text = format!(r#"{{"architecture":"a","os":"b","rootfs":{{"type":"layers"}},{fields}}}"#);
            if let Ok(config) = serde_json::from_str::<ImageConfig>(&text) {
                prop_assert_eq!(serde_json::from_slice::<ImageConfig>(&config.to_bytes()).expect("own bytes"), config);
            }
        }
    }
}
