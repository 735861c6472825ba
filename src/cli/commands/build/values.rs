//! Values of the build's arguments, as they are typed.

use std::collections::BTreeMap;

use crate::cli::failure::Failure;
use crate::ops::build::{Layers, MAX_LAYERS, Owner};

/// `KEY=VALUE` arguments. A key alone is a mistake more often than a wish for an empty value, which `KEY=` is.
pub(crate) fn pairs(flag: &str, given: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let mut pairs = BTreeMap::new();
    for text in given {
        let wrong = || Failure::usage(format!("{flag} takes KEY=VALUE, not `{text}`"));
        let Some((key, value)) = text.split_once('=') else {
            return Err(match text.trim() {
                "" => wrong(),
                key => wrong().hint(format!("an empty value is written {flag} {key}=")),
            });
        };
        if key.trim().is_empty() {
            return Err(wrong());
        }
        pairs.insert(key.to_owned(), value.to_owned());
    }
    Ok(pairs)
}

/// `--layers` as it is typed.
pub(crate) fn layers(text: &str) -> Result<Layers, String> {
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
pub(crate) fn mode(flag: &str, text: &str) -> Result<u32, Failure> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match u32::from_str_radix(text, 8) {
        Ok(mode) if digits && mode <= 0o7777 => Ok(mode),
        _ => Err(Failure::usage(format!("{flag} takes permissions in octal, for example 0644, not `{text}`"))),
    }
}

/// The owner that `flag` says.
pub(crate) fn owner(flag: &str, text: &str) -> Result<Owner, Failure> {
    let (uid, gid) = text.split_once(':').unwrap_or((text, text));
    // The highest number is how chown(2) says that an owner stays.
    let is_plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let number = |part: &str| part.parse::<u32>().ok().filter(|id| *id < u32::MAX && is_plain(part)).map(u64::from);
    match (number(uid), number(gid)) {
        (Some(uid), Some(gid)) => Ok(Owner { uid, gid }),
        _ if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':') => {
            Err(Failure::usage(format!("{flag} takes UID[:GID] as numbers from 0 to {}, not `{text}`", u32::MAX - 1)))
        }
        _ => Err(Failure::usage(format!("{flag} takes UID[:GID] as numbers, not `{text}`"))
            .hint("names mean nothing without the image's /etc/passwd; look the number up there")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_have_a_key_and_a_value() {
        let parse = |text: &str| pairs("--label", &[text.to_owned()]).map(|pairs| pairs.into_iter().next());
        for (text, key, value) in [("a=b", "a", "b"), ("a=", "a", ""), ("a=b=c", "a", "b=c")] {
            assert_eq!(parse(text).expect(text), Some((key.to_owned(), value.to_owned())));
        }
        for text in ["a", "", "=b", " =b", " "] {
            parse(text).expect_err(text);
        }
    }

    #[test]
    fn owners_are_numbers_that_a_file_can_have() {
        for (text, uid, gid) in [
            ("0", 0, 0),
            ("5:6", 5, 6),
            ("4294967294", 4_294_967_294, 4_294_967_294),
            ("0:4294967294", 0, 4_294_967_294),
        ] {
            assert_eq!(owner("--chown", text).expect(text), Owner { uid, gid });
        }
        for text in ["4294967295", "0:4294967295", "4294967296", "-1", "+1", "1:", ":1", "", "a", "1:2:3", " 1", "0x1"]
        {
            owner("--chown", text).expect_err(text);
        }
    }
}
