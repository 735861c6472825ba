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

/// A parsed reference.
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
        /// The same in lower case.
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
    /// A reference from its parts, checked like a typed one.
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

    /// `host` or `host:port`, when one was written.
    pub fn registry(&self) -> Option<&str> {
        self.registry.as_deref()
    }

    /// The repository without its registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, when one was written.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, when one was written.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The same image with `latest` where neither tag nor digest was written.
    #[must_use]
    pub fn with_default_tag(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some("latest".to_owned());
        }
        self
    }

    /// The same repository and tag at another registry.
    pub fn at_registry(&self, registry: &str) -> Result<Self, ReferenceError> {
        check_registry(registry, registry)?;
        Ok(Self { registry: Some(registry.to_owned()), ..self.clone() })
    }

    /// The same registry, tag and digest with another repository.
    pub fn with_repository(&self, repository: &str) -> Result<Self, ReferenceError> {
        check_repository(repository, &shown(repository))?;
        Ok(Self { repository: repository.to_owned(), ..self.clone() })
    }

    /// Returns whether the name would be taken for a digest or an id where it is typed: its repository is the name of a
    /// digest's algorithm, or 64 hexadecimal digits. Docker refuses such names as well.
    pub fn reads_as_digest(&self) -> bool {
        self.registry.is_none() && (ALGORITHMS.contains(&self.repository.as_str()) || is_id(&self.repository))
    }

    /// `[registry/]repository`, without tag and digest.
    pub fn name(&self) -> String {
        match &self.registry {
            Some(registry) => format!("{registry}/{}", self.repository),
            None => self.repository.clone(),
        }
    }

    /// `[registry/]repository@digest`: how a pushed image is referred to for good.
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

/// What follows a user name or password in front of a registry, if there is one. No digest has a slash, and no name
/// without a registry has a colon and then something else than a digest.
fn after_user_info(text: &str) -> Option<&str> {
    #[cfg(test)]
    crate::work::add(text.len());
    let (name, after) = text.split_once('@')?;
    let is_digest = after.starts_with("sha256:");
    let is_user_info = after.contains('/') || (name.contains(':') && !name.contains('/') && !is_digest);
    is_user_info.then(|| text.rsplit('@').next().unwrap_or_default())
}

/// What was typed where a name or an address belongs, cut to a length fit for a message, without a user name,
/// a password or characters that are not there to be seen.
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(text: &str) -> (Option<String>, String, Option<String>, bool) {
        let reference: Reference = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        (
            reference.registry().map(str::to_owned),
            reference.repository().to_owned(),
            reference.tag().map(str::to_owned),
            reference.digest().is_some(),
        )
    }

    #[test]
    fn grammar() {
        let s = |text: &str| Some(text.to_owned());
        let digest = Digest::of(b"");
        for (text, expected) in [
            ("app", (None, "app".into(), None, false)),
            ("app:v1", (None, "app".into(), s("v1"), false)),
            ("team/app:v1", (None, "team/app".into(), s("v1"), false)),
            ("localhost/app", (s("localhost"), "app".into(), None, false)),
            ("localhost:5000/app:v1", (s("localhost:5000"), "app".into(), s("v1"), false)),
            (
                "gitea.cnoe.localtest.me:8443/giteaadmin/app:V1.2_x",
                (s("gitea.cnoe.localtest.me:8443"), "giteaadmin/app".into(), s("V1.2_x"), false),
            ),
            ("[::1]:5000/app", (s("[::1]:5000"), "app".into(), None, false)),
            ("docker://docker.io/library/app", (s("docker.io"), "library/app".into(), None, false)),
            ("https://reg.example/a/b:c", (s("reg.example"), "a/b".into(), s("c"), false)),
            ("a__b/c.d/e---f", (None, "a__b/c.d/e---f".into(), None, false)),
        ] {
            assert_eq!(parts(text), expected, "{text}");
        }
        assert_eq!(parts(&format!("r.io/app:v1@{digest}")), (s("r.io"), "app".into(), s("v1"), true));
    }

    #[test]
    fn refusals() {
        let error = |text: &str| text.parse::<Reference>().expect_err(text);
        assert_eq!(error(""), ReferenceError::Empty);
        assert_eq!(
            error("giteaAdmin/app:v1"),
            ReferenceError::UpperCase { given: "giteaAdmin/app:v1".into(), lower: "giteaadmin/app:v1".into() }
        );
        for text in ["/app", "app/", "a//b", "-app", "app-", "a___b", "a._b", "app b", "é", "."] {
            assert!(matches!(error(text), ReferenceError::Repository { .. }), "{text}");
        }
        for text in ["app:", "app:-x", "app:a b", &format!("app:{}", "x".repeat(129))] {
            assert!(matches!(error(text), ReferenceError::Tag { .. }), "{text}");
        }
        for text in ["host:port/app", "h.x:0/app", "h.x:99999/app", "[::g]/app", "-a.b/app", "a..b/app", "[::1]x/app"] {
            assert!(matches!(error(text), ReferenceError::Registry { .. }), "{text}");
        }
        assert!(matches!(error("app@sha256:12"), ReferenceError::Digest { .. }));
        assert!(matches!(error(&"a".repeat(256)), ReferenceError::TooLong(256)));
    }

    #[test]
    fn every_limit_of_a_reference_holds_to_the_byte() {
        let parse = |text: String| text.parse::<Reference>();
        let ok = |text: String| parse(text.clone()).unwrap_or_else(|error| panic!("{text}: {error}"));
        // Everything together: 1024 bytes without the scheme.
        let digest = |length: usize| format!("app@{}", "x".repeat(length - 4));
        for scheme in ["", "docker://", "https://"] {
            let long = parse(format!("{scheme}{}", digest(1024)));
            assert!(matches!(long, Err(ReferenceError::Digest { .. })), "{scheme}: {long:?}");
            assert_eq!(parse(format!("{scheme}{}", digest(1025))), Err(ReferenceError::TooLong(1025)));
        }
        // The repository: 255 bytes, however many components it has.
        for (part, count) in [("a", 255), ("a/", 127)] {
            let name = part.repeat(count) + if count == 127 { "a" } else { "" };
            assert_eq!(ok(name.clone()).repository().len(), 255);
            let longer = format!("{name}a");
            assert_eq!(parse(longer.clone()), Err(ReferenceError::TooLong(256)));
            assert_eq!(Reference::from_parts(None, &longer, None), Err(ReferenceError::TooLong(256)));
            assert_eq!(ok("app".into()).with_repository(&longer), Err(ReferenceError::TooLong(256)));
            assert!(ok("app".into()).with_repository(&name).is_ok());
        }
        // The tag: 128 bytes.
        for (length, fits) in [(0, false), (1, true), (128, true), (129, false)] {
            let tag = "t".repeat(length);
            assert_eq!(parse(format!("app:{tag}")).is_ok(), fits, "{length}");
            assert_eq!(Reference::from_parts(None, "app", Some(&tag)).is_ok(), fits, "{length}");
        }
        // The host: 253 bytes in labels of 63.
        let label = |length: usize| "h".repeat(length);
        let host = |last: usize| [label(63), label(63), label(63), label(last)].join(".");
        for (host, fits) in [
            (format!("{}.x", label(63)), true),
            (format!("{}.x", label(64)), false),
            (format!("x.{}", label(64)), false),
            (host(61), true),
            (host(62), false),
        ] {
            assert_eq!(parse(format!("{host}/app")).is_ok(), fits, "{host}");
            assert_eq!(Reference::from_parts(Some(&host), "app", None).is_ok(), fits, "{host}");
            assert_eq!(ok("app".into()).at_registry(&host).is_ok(), fits, "{host}");
        }
        // The port: 1 to 65535.
        for (port, fits) in [("0", false), ("1", true), ("65535", true), ("65536", false), ("", false), ("+1", false)] {
            assert_eq!(parse(format!("h.x:{port}/app")).is_ok(), fits, "{port}");
            assert_eq!(parse(format!("[::1]:{port}/app")).is_ok(), fits, "{port}");
        }
        // What a message repeats: 200 characters.
        assert_eq!([200, 201].map(|length| shown(&"x".repeat(length)).len()), [200, 200]);
    }

    #[test]
    fn messages_never_carry_userinfo() {
        for text in [
            "https://user:hunter2@host.example/App",
            "http://user:hunter2@host.example:5000/a/b:v1",
            "user:hunter2@host/a/b",
            "user@corp:hunter2@host/a/b:v1",
            "user:hunter2@host",
            "user:hunter2@host:5000",
        ] {
            let error = text.parse::<Reference>().expect_err("userinfo");
            assert!(matches!(&error, ReferenceError::UserInfo { rest } if rest.starts_with("host")), "{error:?}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error}");
        }
        assert_eq!(shown("http://user:hunter2@host/App"), "http://[hidden]@host/App");
        assert_eq!(shown("https://hunter2@a b"), "https://[hidden]@a b");
        assert_eq!(shown("docker://app@sha256:x"), "docker://app@sha256:x");
        let pinned = format!("app:v1@{}", Digest::of(b""));
        assert_eq!([shown(&pinned), shown("host:5000/app@x")], [pinned, "host:5000/app@x".to_owned()]);
        for registry in ["user:hunter2@host", "user:hunter2@host:5000"] {
            let error = Reference::from_parts(Some(registry), "x", None).expect_err("userinfo");
            assert!(!format!("{error:?}").contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn twice_the_reference_is_twice_the_work() {
        for part in ["a", "A", "a/", "A/", "a:", "a@", "@/", "-", "a.", "[", "]", "//", "://", "é", "https://a:b@"] {
            for end in ["", "A", ":", "@sha256:"] {
                // What is too long is shown, too.
                for most in [120 / part.len(), 500 / part.len(), 2000] {
                    crate::work::grows_with_size(most, |parts| (part.repeat(parts) + end).parse::<Reference>());
                }
            }
        }
    }

    #[test]
    fn default_tag_only_where_nothing_was_written() {
        let tagged = |text: &str| text.parse::<Reference>().expect(text).with_default_tag().to_string();
        assert_eq!(tagged("app"), "app:latest");
        assert_eq!(tagged("app:v1"), "app:v1");
        let pinned = format!("app@{}", Digest::of(b""));
        assert_eq!(tagged(&pinned), pinned);
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in ".{0,300}") {
            let _ = text.parse::<Reference>();
        }

        #[test]
        fn display_round_trips(text in "([a-z]{1,8}\\.[a-z]{2}(:[1-9][0-9]{1,3})?/)?[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,2}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,10})?") {
            let reference: Reference = text.parse().expect("the grammar generates references");
            prop_assert_eq!(reference.to_string(), text);
        }
    }
}
