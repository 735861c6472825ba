//! `--platform`: `os[(version+feature...)][/architecture[/variant]]`, or an architecture alone.

use std::str::FromStr;

use super::{DEFAULT_OS, Platform};

/// Rust's name of the architecture that this program is compiled for.
const MACHINE: &str = if cfg!(target_arch = "x86_64") {
    "x86_64"
} else if cfg!(target_arch = "aarch64") {
    "aarch64"
} else if cfg!(target_arch = "x86") {
    "x86"
} else if cfg!(target_arch = "arm") {
    "arm"
} else if cfg!(target_arch = "riscv64") {
    "riscv64"
} else if cfg!(target_arch = "s390x") {
    "s390x"
} else if cfg!(target_arch = "powerpc64") {
    "powerpc64"
} else if cfg!(target_arch = "loongarch64") {
    "loongarch64"
} else {
    "unknown"
};

/// The longest part of a platform, in bytes.
const MAX_PART_BYTES: usize = 64;

/// The most features of an operating system that are read.
const MAX_FEATURES: usize = 64;

/// Operating systems that stand alone (Go's list).
const SYSTEMS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
];

/// Architectures that stand alone (Go's list).
const ARCHITECTURES: &[&str] = &[
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "arm64",
    "arm64be",
    "armbe",
    "loong64",
    "mips",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "mipsle",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
];

/// A text that is not a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a platform (expected os/architecture[/variant], for example linux/arm64)")]
pub struct PlatformError(String);

impl FromStr for Platform {
    type Err = PlatformError;

    /// Parses what people write. The part that is missing of `linux` or `arm64` is this program's architecture or Linux.
    fn from_str(text: &str) -> Result<Self, PlatformError> {
        parse(text, MACHINE).ok_or_else(|| PlatformError(crate::text::plain(text, 80)))
    }
}

/// Parses a platform; `architecture` is Rust's name of the one that an operating system alone stands for.
pub(super) fn parse(text: &str, architecture: &str) -> Option<Platform> {
    let parts: Vec<&str> = text.splitn(4, '/').collect();
    let (os, version, features) = operating_system(parts[0])?;
    if !parts[1..].iter().all(|part| is_word(part, true)) {
        return None;
    }
    let platform = match parts[..] {
        [alone] => {
            let system = Platform::new(os, "", None).os;
            let given = Platform::new(DEFAULT_OS, alone, None);
            if SYSTEMS.contains(&system.as_str()) {
                Platform { os: system, ..Platform::linux(architecture) }
            } else if ARCHITECTURES.contains(&given.architecture.as_str()) {
                given
            } else {
                return None;
            }
        }
        [_, architecture] => Platform::new(os, architecture, None),
        [_, architecture, variant] => {
            let platform = Platform::new(os, architecture, Some(variant));
            // Written, it is kept; it is the same platform without.
            let written = (platform.architecture == "arm64" && platform.variant.is_none()).then(|| "v8".to_owned());
            Platform { variant: platform.variant.or(written), ..platform }
        }
        _ => return None,
    };
    Some(Platform { os_version: version, os_features: features, ..platform })
}

/// The name of an operating system, its version and its features.
type System<'a> = (&'a str, Option<String>, Option<Vec<String>>);

fn operating_system(text: &str) -> Option<System<'_>> {
    let Some((os, options)) = text.split_once('(') else {
        return is_word(text, false).then_some((text, None, None));
    };
    let options = options.strip_suffix(')').filter(|_| is_word(os, false))?;
    let mut parts = options.split('+');
    let version = match parts.next() {
        None | Some("") => None,
        Some(version) => Some(option(version)?),
    };
    let features = parts.map(option).collect::<Option<Vec<_>>>().filter(|features| features.len() <= MAX_FEATURES)?;
    Some((os, version, (!features.is_empty()).then_some(features)))
}

/// Decodes a version or a feature.
fn option(text: &str) -> Option<String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.%-".contains(&byte);
    if text.is_empty() || text.len() > MAX_PART_BYTES || !text.bytes().all(is_allowed) {
        return None;
    }
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let value = digit(rest.next())? * 16 + digit(rest.next())?;
        bytes.push(u8::try_from(value).expect("two digits"));
    }
    String::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))
}

fn is_word(text: &str, dots: bool) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte) || dots && byte == b'.';
    !text.is_empty() && text.len() <= MAX_PART_BYTES && text.bytes().all(is_allowed)
}
