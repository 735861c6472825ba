//! Image references: `[registry/]repository[:tag][@digest]` (distribution-spec, "Pulling manifests").
//!
//! A reference is kept as it was typed. Which registry a name without one means is decided where it
//! is pushed, never here.

use std::fmt;
use std::str::FromStr;

use super::{Digest, DigestError};
use crate::text::plain;

/// Annotation keys of the image-spec that this program reads or writes.
pub mod annotation {
    /// The name of an image in a layout's index.
    pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
    /// RFC 3339 time of the build.
    pub const CREATED: &str = "org.opencontainers.image.created";
    /// Repository of the embedded registry that keeps a manifest by its digest; in the store's index only.
    pub const REPOSITORY: &str = "io.cnoe.idpbuilder.repository";
    /// Digest of the manifest that an image is built on.
    pub const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";
    /// Name of the image that an image is built on.
    pub const BASE_NAME: &str = "org.opencontainers.image.base.name";
}

/// A parsed reference to an image.
///
/// ```
/// use idpbuilder_oci::image::Reference;
///
/// let image: Reference = "localhost:5000/team/app:v1".parse()?;
/// assert_eq!(image.registry(), Some("localhost:5000"));
/// assert_eq!(image.repository(), "team/app");
/// assert_eq!(image.tag(), Some("v1"));
///
/// // A name is kept as it was typed: no registry and no tag are filled in.
/// let image: Reference = "app".parse()?;
/// assert_eq!((image.registry(), image.tag()), (None, None));
/// assert_eq!(image.with_default_tag().to_string(), "app:latest");
/// # Ok::<(), idpbuilder_oci::image::ReferenceError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    registry: Option<String>,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is not a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing was given.
    #[error("the image reference is empty")]
    Empty,
    /// The repository has upper-case letters.
    #[error("image name `{given}` has upper-case letters in its repository; write `{lower}`")]
    UpperCase {
        /// What was typed.
        given: String,
        /// The name in lower case.
        lower: String,
    },
    /// The registry is not `host` or `host:port`.
    #[error("`{registry}` in `{given}` is not a registry address (expected host or host:port)")]
    Registry {
        /// What was typed.
        given: String,
        /// The part that is wrong.
        registry: String,
    },
    /// A part of the repository is against the grammar.
    #[error(
        "`{component}` in `{given}` is not allowed in a repository name (lower-case letters and digits, with `.`, `_`, `__` or `-` between them)"
    )]
    Repository {
        /// What was typed.
        given: String,
        /// The part that is wrong.
        component: String,
    },
    /// The repository is longer than 255 bytes.
    #[error("the repository name has {0} characters, more than the 255 allowed")]
    TooLong(usize),
    /// The tag is against the grammar.
    #[error(
        "`{tag}` in `{given}` is not a tag (up to 128 letters, digits, `_`, `.` and `-`, not starting with `.` or `-`)"
    )]
    Tag {
        /// What was typed.
        given: String,
        /// The part that is wrong.
        tag: String,
    },
    /// A user name or password stands in front of the registry. It is not kept.
    #[error("there is a user name or password in front of `@{rest}`, where none belongs")]
    UserInfo {
        /// What follows it.
        rest: String,
    },
    /// The digest is malformed.
    #[error("the digest in `{given}` is not valid")]
    Digest {
        /// What was typed.
        given: String,
        /// The digest's own reason.
        #[source]
        source: DigestError,
    },
}

const MAX_REFERENCE_BYTES: usize = 1024;

/// Algorithms that digests are written with (image-spec, "Registered Algorithms").
const ALGORITHMS: &[&str] = &["sha256", "sha384", "sha512", "blake3"];

impl Reference {
    /// Returns a reference from its parts, checked like a typed one.
    pub fn from_parts(registry: Option<&str>, repository: &str, tag: Option<&str>) -> Result<Self, ReferenceError> {
        let mut text = String::new();
        if let Some(registry) = registry {
            text = format!("{registry}/");
        }
        text.push_str(repository);
        if let Some(tag) = tag {
            text = format!("{text}:{tag}");
        }
        let given = || shown(&text);
        if let Some(registry) = registry {
            check_registry(registry, &given())?;
        }
        check_repository(repository, &given())?;
        if let Some(tag) = tag {
            check_tag(tag, &given())?;
        }
        Ok(Self {
            registry: registry.map(str::to_owned),
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest: None,
        })
    }

    /// Returns `host` or `host:port`, if the reference has a registry.
    pub fn registry(&self) -> Option<&str> {
        self.registry.as_deref()
    }

    /// Returns the repository without its registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns the tag, if the reference has one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the digest, if the reference has one.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Returns the reference with the tag `latest` if it has neither tag nor digest.
    #[must_use]
    pub fn with_default_tag(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some("latest".to_owned());
        }
        self
    }

    /// Returns the reference with another registry.
    pub fn at_registry(&self, registry: &str) -> Result<Self, ReferenceError> {
        check_registry(registry, registry)?;
        Ok(Self { registry: Some(registry.to_owned()), ..self.clone() })
    }

    /// Returns the reference with another repository.
    pub fn with_repository(&self, repository: &str) -> Result<Self, ReferenceError> {
        check_repository(repository, &shown(repository))?;
        Ok(Self { repository: repository.to_owned(), ..self.clone() })
    }

    /// Returns whether the name would be taken for a digest or an id where it is typed: its repository is the name of a
    /// digest's algorithm, or 64 hexadecimal digits. Docker refuses such names as well.
    pub fn reads_as_digest(&self) -> bool {
        self.registry.is_none() && (ALGORITHMS.contains(&self.repository.as_str()) || is_id(&self.repository))
    }

    /// Returns `[registry/]repository`, without tag and digest.
    pub fn name(&self) -> String {
        match &self.registry {
            Some(registry) => format!("{registry}/{}", self.repository),
            None => self.repository.clone(),
        }
    }

    /// Returns `[registry/]repository@digest`, the immutable name of a pushed image.
    pub fn pinned(&self, digest: Digest) -> String {
        format!("{}@{digest}", self.name())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let given = shown(text);
        let mut rest =
            ["docker://", "https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
        if rest.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if rest.len() > MAX_REFERENCE_BYTES {
            return Err(ReferenceError::TooLong(rest.len()));
        }
        let mut digest = None;
        if let Some(after) = after_user_info(rest) {
            return Err(ReferenceError::UserInfo { rest: shown(after) });
        }
        if let Some((name, text)) = rest.split_once('@') {
            digest = Some(text.parse().map_err(|source| ReferenceError::Digest { given: given.clone(), source })?);
            rest = name;
        }
        let registry = rest
            .split_once('/')
            .map(|(first, _)| first)
            .filter(|first| *first == "localhost" || first.contains(['.', ':', '[']));
        if let Some(registry) = registry {
            check_registry(registry, &given)?;
            rest = &rest[registry.len() + 1..];
        }
        let tag = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => {
                rest = name;
                Some(tag)
            }
            _ => None,
        };
        if let Some(tag) = tag {
            check_tag(tag, &given)?;
        }
        check_repository(rest, &given)?;
        Ok(Self {
            registry: registry.map(str::to_owned),
            repository: rest.to_owned(),
            tag: tag.map(str::to_owned),
            digest,
        })
    }
}

/// Returns whether a text reads as a whole digest or id: `algorithm:hex`, or 64 hexadecimal digits.
pub fn reads_as_digest(text: &str) -> bool {
    is_id(text) || matches!(text.parse::<Digest>(), Ok(_) | Err(DigestError::Algorithm(_)))
}

fn is_id(text: &str) -> bool {
    Digest::from_hex(text).is_ok()
}

/// Returns the text after a user name or password in front of a registry, if there is one. No digest has a slash, and
/// no name without a registry has a colon and then something else than a digest.
fn after_user_info(text: &str) -> Option<&str> {
    #[cfg(test)]
    crate::work::add(text.len());
    let (name, after) = text.split_once('@')?;
    let is_digest = after.starts_with("sha256:");
    let is_user_info = after.contains('/') || (name.contains(':') && !name.contains('/') && !is_digest);
    is_user_info.then(|| text.rsplit('@').next().unwrap_or_default())
}

/// Returns a typed name or address for a message: cut to 200 characters, without a user name, a password or unprintable
/// characters.
pub fn shown(text: &str) -> String {
    let (scheme, rest) = text.find("://").map_or(("", text), |at| text.split_at(at + 3));
    let text = match after_user_info(rest) {
        Some(after) => format!("{scheme}[hidden]@{after}"),
        // A token alone: behind a scheme, what stands before the `@` is no name of an image unless a digest follows.
        None => match rest.split_once('@') {
            Some((name, after)) if !scheme.is_empty() && !name.contains('/') && !after.starts_with("sha256:") => {
                format!("{scheme}[hidden]@{after}")
            }
            _ => text.to_owned(),
        },
    };
    plain(&text, 200)
}

fn check_registry(registry: &str, given: &str) -> Result<(), ReferenceError> {
    if let Some((_, after)) = registry.rsplit_once('@') {
        return Err(ReferenceError::UserInfo { rest: shown(after) });
    }
    let (host, port) = match registry.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, "")) => (address, None),
            Some((address, port)) => (address, Some(port.strip_prefix(':').unwrap_or("x"))),
            None => ("", None),
        },
        None => match registry.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (registry, None),
        },
    };
    let host_ok = if registry.starts_with('[') {
        host.parse::<std::net::Ipv6Addr>().is_ok()
    } else {
        host.len() <= 253
            && host.split('.').all(|label| {
                !label.is_empty()
                    && label.len() <= 63
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            })
    };
    let port_ok = port
        .is_none_or(|port| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0));
    if host_ok && port_ok {
        return Ok(());
    }
    Err(ReferenceError::Registry { given: given.to_owned(), registry: shown(registry) })
}

fn check_repository(repository: &str, given: &str) -> Result<(), ReferenceError> {
    if repository.len() > 255 {
        return Err(ReferenceError::TooLong(repository.len()));
    }
    for component in repository.split('/') {
        if !component_is_valid(component) {
            let lower = repository.to_lowercase();
            if lower != repository && lower.split('/').all(component_is_valid) {
                return Err(ReferenceError::UpperCase {
                    given: given.to_owned(),
                    lower: given.replacen(repository, &lower, 1),
                });
            }
            return Err(ReferenceError::Repository { given: given.to_owned(), component: shown(component) });
        }
    }
    Ok(())
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn component_is_valid(component: &str) -> bool {
    #[cfg(test)]
    crate::work::add(component.len() + 1);
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    if !alphanumeric(*first) || !alphanumeric(*last) {
        return false;
    }
    bytes
        .split(|b| alphanumeric(*b))
        .filter(|separator| !separator.is_empty())
        .all(|separator| matches!(separator, b"." | b"_" | b"__") || separator.iter().all(|b| *b == b'-'))
}

fn check_tag(tag: &str, given: &str) -> Result<(), ReferenceError> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let ok = (1..=128).contains(&tag.len())
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'));
    if ok { Ok(()) } else { Err(ReferenceError::Tag { given: given.to_owned(), tag: shown(tag) }) }
}

#[cfg(test)]
mod tests;
