//! Values that belong to a flag and were written apart from it: some flags have none unless it follows `=`.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, Error};

/// What was probably meant where `command` has no use for a word of `arguments`, its own name first.
pub(crate) fn meant(command: &Command, arguments: &[OsString], error: &Error) -> Option<String> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg) else { return None };
    let apart = |flag: &Arg| {
        let value = word_after(arguments, flag)?;
        // Otherwise the word became an argument, and another one is too many for it.
        (value == word.as_str() || !Path::new(value).exists()).then(|| with_equals(flag))
    };
    command.get_arguments().filter(|flag| flag.is_require_equals_set()).find_map(apart)
}

/// Whether `word` comes right after `flag`, such as `--push`.
pub(crate) fn follows(arguments: &[OsString], flag: &str, word: &OsStr) -> bool {
    arguments.windows(2).any(|pair| pair[0] == flag && pair[1] == word)
}

fn word_after<'a>(arguments: &'a [OsString], flag: &Arg) -> Option<&'a OsStr> {
    let long = format!("--{}", flag.get_long()?);
    let pair = arguments.windows(2).find(|pair| pair[0] == *long)?;
    let is_flag = pair[1].as_encoded_bytes().starts_with(b"-");
    (!is_flag).then_some(pair[1].as_os_str())
}

fn with_equals(flag: &Arg) -> String {
    let long = flag.get_long().unwrap_or_default();
    let value = flag.get_value_names().and_then(<[_]>::first).map_or("VALUE", |name| name.as_str());
    format!("write --{long}={value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_apart_from_its_flag_is_recognised() {
        let command = || {
            Command::new("run")
                .arg(Arg::new("place"))
                .arg(Arg::new("push").long("push").value_name("DEST").num_args(0..=1).require_equals(true))
                .arg(Arg::new("tag").long("tag"))
        };
        let told = |words: &[&str]| {
            let arguments: Vec<OsString> = ["run"].iter().chain(words).map(OsString::from).collect();
            let error = command().try_get_matches_from(&arguments).expect_err("refused");
            meant(&command(), &arguments, &error)
        };
        let expected = Some("write --push=DEST".to_owned());
        assert_eq!(told(&["here", "--push", "host/x"]), expected);
        assert_eq!(told(&["--push", "host/x", "here"]), expected);
        assert_eq!(told(&["--push", "/", "here"]), None);
        assert_eq!(told(&["here", "there", "--push"]), None);
        assert_eq!(told(&["here", "--push", "--unknown"]), None);
        assert_eq!(told(&["here", "--tag", "x", "there"]), None);
    }
}
