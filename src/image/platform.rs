//! The platform an image runs on (OCI image-spec, "Image Index", `platform`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

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

/// A platform that is not `os/architecture[/variant]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a platform (expected os/architecture[/variant], for example linux/arm64)")]
pub struct PlatformError(String);

impl Platform {
    /// A platform with Go's names for what people write: `x86_64` is `amd64`, `aarch64` is `arm64`.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let os = os.to_ascii_lowercase();
        let (architecture, implied) = match architecture.to_ascii_lowercase().as_str() {
            "x86_64" | "x86-64" => ("amd64".to_owned(), None),
            "aarch64" => ("arm64".to_owned(), None),
            "i386" | "i686" | "x86" => ("386".to_owned(), None),
            "armhf" => ("arm".to_owned(), Some("v7")),
            "armel" => ("arm".to_owned(), Some("v6")),
            "powerpc64le" => ("ppc64le".to_owned(), None),
            other => (other.to_owned(), None),
        };
        let variant = variant.or(implied).map(str::to_ascii_lowercase);
        // arm64 has one variant in use; writers leave it out and readers assume it.
        let variant = variant.filter(|variant| !(architecture == "arm64" && variant == "v8"));
        Self {
            architecture,
            os: if os == "macos" { "darwin".into() } else { os },
            os_version: None,
            os_features: None,
            variant,
        }
    }

    /// The same by the names that [`Self::new`] has: without a variant that goes without saying.
    #[must_use]
    pub fn normalised(&self) -> Self {
        Self {
            os_version: self.os_version.clone(),
            os_features: self.os_features.clone(),
            ..Self::new(&self.os, &self.architecture, self.variant.as_deref())
        }
    }

    /// Whether an image for `self` is what somebody asking for `wanted` means.
    pub fn satisfies(&self, wanted: &Self) -> bool {
        self.os == wanted.os
            && self.architecture == wanted.architecture
            && (wanted.variant.is_none() || self.variant == wanted.variant)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let parts: Vec<&str> = text.split('/').collect();
        let word = |part: &&str| {
            !part.is_empty()
                && part.len() <= 64
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        };
        if !(2..=3).contains(&parts.len()) || !parts.iter().all(word) {
            return Err(PlatformError(text.chars().take(80).collect()));
        }
        Ok(Self::new(parts[0], parts[1], parts.get(2).copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised() {
        for (given, shown) in [
            ("linux/amd64", "linux/amd64"),
            ("Linux/x86_64", "linux/amd64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm/v7", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/v7"),
        ] {
            assert_eq!(given.parse::<Platform>().expect(given).to_string(), shown);
        }
    }

    #[test]
    fn refuses_other_shapes() {
        for text in ["", "linux", "linux/", "/amd64", "linux/amd64/v1/x", "linux/am d64"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_limit_of_a_platform_holds_to_the_byte() {
        for (length, fits) in [(1, true), (64, true), (65, false)] {
            let word = "x".repeat(length);
            for text in [format!("{word}/amd64"), format!("linux/{word}"), format!("linux/arm/{word}")] {
                assert_eq!(text.parse::<Platform>().is_ok(), fits, "{text}");
            }
        }
        for (text, fits) in [("a", false), ("a/b", true), ("a/b/c", true), ("a/b/c/d", false), ("a/b/", false)] {
            assert_eq!(text.parse::<Platform>().is_ok(), fits, "{text}");
        }
        let error = "x".repeat(1000).parse::<Platform>().expect_err("no platform");
        assert_eq!(error, PlatformError("x".repeat(80)));
    }

    #[test]
    fn a_wanted_variant_must_match() {
        let platform = |text: &str| text.parse::<Platform>().expect("valid");
        assert!(platform("linux/arm/v7").satisfies(&platform("linux/arm")));
        assert!(!platform("linux/arm/v6").satisfies(&platform("linux/arm/v7")));
        assert!(!platform("linux/amd64").satisfies(&platform("linux/arm64")));
    }
}
