//! The platform an image runs on (OCI image-spec, "Image Index", `platform`).
//!
//! One place decides how a platform is written, which two are the same, and which images a machine can run. The rules
//! are those of containerd, which Docker and Kubernetes follow.

mod compare;
mod parse;
mod windows;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use parse::PlatformError;

/// The operating system of images that name none, as containers run on Linux.
const DEFAULT_OS: &str = "linux";

/// `os/architecture[/variant]` in Go's names for both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Platform {
    /// `GOARCH` name: `amd64`, `arm64`, ...
    pub architecture: String,
    /// `GOOS` name: `linux`, `windows`, ...
    pub os: String,
    /// Operating system version, used by Windows images.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Mandatory operating system features.
    #[serde(rename = "os.features", default, skip_serializing_if = "Option::is_none")]
    pub os_features: Option<Vec<String>>,
    /// CPU variant: `v7`, `v8`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// Returns a platform with Go's names for what people write: `x86_64` is `amd64`, `aarch64` is `arm64`. Variants
    /// that every reader assumes are left out: `v1` of amd64 and `v8` of arm64.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let (architecture, normalised) = normalised_architecture(architecture, variant.unwrap_or_default());
        // Readers assume v7 as well, but a written variant is kept.
        let is_assumed = variant.is_none() && architecture == "arm" && normalised == "v7";
        Self {
            architecture,
            os: normalised_os(os),
            os_version: None,
            os_features: None,
            variant: Some(normalised).filter(|variant| !variant.is_empty() && !is_assumed),
        }
    }

    /// Returns Linux on the architecture that Rust calls `architecture`.
    pub fn linux(architecture: &str) -> Self {
        let little = cfg!(target_endian = "little");
        let name = match architecture {
            "x86" => "386",
            "powerpc64" if little => "ppc64le",
            "powerpc64" => "ppc64",
            "loongarch64" => "loong64",
            "mips64" if little => "mips64le",
            "mips" if little => "mipsle",
            other => other,
        };
        Self::new(DEFAULT_OS, name, None)
    }

    /// Returns the platform by the names of [`Self::new`], as it is written into an image.
    #[must_use]
    pub fn canonical(&self) -> Self {
        Self {
            os_version: self.os_version.clone(),
            os_features: self.os_features.clone(),
            ..Self::new(&self.os, &self.architecture, self.variant.as_deref())
        }
    }

    /// Returns the form in which platforms are compared: `arm` is `arm/v7` there, and features are in order.
    #[must_use]
    pub fn normalised(&self) -> Self {
        let (architecture, variant) =
            normalised_architecture(&self.architecture, self.variant.as_deref().unwrap_or_default());
        let mut features = self.os_features.clone().unwrap_or_default();
        features.sort();
        features.dedup();
        Self {
            architecture,
            os: normalised_os(&self.os),
            os_version: self.os_version.clone().filter(|version| !version.is_empty()),
            os_features: Some(features).filter(|features| !features.is_empty()),
            variant: Some(variant).filter(|variant| !variant.is_empty()),
        }
    }

    /// Returns the platform without features of the operating system. They tell the images of an index apart; an image
    /// that was named by itself is what it is.
    #[must_use]
    pub fn without_features(self) -> Self {
        Self { os_features: None, ..self }
    }

    /// Returns the platform with its operating system's version and features, in the form that is parsed again.
    pub fn full(&self) -> String {
        let mut options = encoded(self.os_version.as_deref().unwrap_or_default());
        for feature in self.normalised().os_features.iter().flatten() {
            options.push('+');
            options.push_str(&encoded(feature));
        }
        if options.is_empty() {
            return self.to_string();
        }
        Self { os: format!("{}({options})", self.os), ..self.clone() }.to_string()
    }
}

/// Encodes what has a meaning in the form that is parsed.
fn encoded(option: &str) -> String {
    let mut text = String::new();
    for character in option.chars() {
        match character {
            '%' => text.push_str("%25"),
            '+' => text.push_str("%2B"),
            '(' => text.push_str("%28"),
            ')' => text.push_str("%29"),
            '/' => text.push_str("%2F"),
            other => text.push(other),
        }
    }
    text
}

fn normalised_os(os: &str) -> String {
    match os.to_ascii_lowercase().as_str() {
        "" => DEFAULT_OS.to_owned(),
        "macos" => "darwin".to_owned(),
        other => other.to_owned(),
    }
}

/// Returns Go's name of an architecture and its variant, empty for the one that is assumed; `arm` always has one.
fn normalised_architecture(architecture: &str, variant: &str) -> (String, String) {
    let (architecture, variant) = (architecture.to_ascii_lowercase(), variant.to_ascii_lowercase());
    let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
        ("i386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64", variant) => ("amd64", variant),
        ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
        ("aarch64" | "arm64", "9" | "9.0" | "v9.0") => ("arm64", "v9"),
        ("aarch64", variant) => ("arm64", variant),
        ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
        ("armel", _) | ("arm", "6") => ("arm", "v6"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "8") => ("arm", "v8"),
        (architecture, variant) => (architecture, variant),
    };
    (architecture.to_owned(), variant.to_owned())
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An image that names no operating system says nothing else either, as containerd shows it.
        if self.os.is_empty() {
            return f.write_str("unknown");
        }
        f.write_str(&self.os)?;
        for part in [Some(&self.architecture), self.variant.as_ref()].into_iter().flatten() {
            if !part.is_empty() {
                write!(f, "/{part}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
