//! Values of the build's arguments, as they are typed.

use std::collections::BTreeMap;

use super::super::failure::Failure;
use crate::build::{Layers, MAX_LAYERS, Owner};

/// `KEY=VALUE` arguments; a key alone has an empty value, as docker has it.
pub(super) fn pairs(flag: &str, given: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let mut pairs = BTreeMap::new();
    for text in given {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        if key.trim().is_empty() {
            return Err(Failure::usage(format!("{flag} takes KEY=VALUE, not `{text}`")));
        }
        pairs.insert(key.to_owned(), value.to_owned());
    }
    Ok(pairs)
}

/// `--layers` as it is typed.
pub(super) fn layers(text: &str) -> Result<Layers, String> {
    match text {
        "auto" => Ok(Layers::Auto),
        "single" => Ok(Layers::AtMost(1)),
        number => match number.parse() {
            Ok(number) if (1..=MAX_LAYERS).contains(&number) => Ok(Layers::AtMost(number)),
            _ => Err(format!("give `auto`, `single` or a number from 1 to {MAX_LAYERS}")),
        },
    }
}

/// Permission bits as docker's `--chmod` has them: octal, the special bits included.
pub(super) fn mode(flag: &str, text: &str) -> Result<u32, Failure> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match u32::from_str_radix(text, 8) {
        Ok(mode) if digits && mode <= 0o7777 => Ok(mode),
        _ => Err(Failure::usage(format!("{flag} takes permissions in octal, for example 0644, not `{text}`"))),
    }
}

/// The owner that `flag` says.
pub(super) fn owner(flag: &str, text: &str) -> Result<Owner, Failure> {
    let (uid, gid) = text.split_once(':').unwrap_or((text, text));
    let number = |part: &str| part.parse::<u32>().ok().map(u64::from);
    match (number(uid), number(gid)) {
        (Some(uid), Some(gid)) => Ok(Owner { uid, gid }),
        _ => Err(Failure::usage(format!("{flag} takes UID[:GID] as numbers, not `{text}`"))
            .hint("names mean nothing without the image's /etc/passwd; look the number up there")),
    }
}
