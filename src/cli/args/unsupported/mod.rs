//! Flags of docker, podman and buildah that a command of this program does not have: each is refused with what to do
//! instead, where a parser would guess the nearest name.
//!
//! The flags are not part of the commands' definitions, so neither help nor completions offer them.

pub(crate) mod build;
mod images;

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::cli::failure::Failure;

/// A flag that people know from another program.
pub(crate) struct Flag {
    /// Its names, dashes included.
    pub(crate) names: &'static [&'static str],
    /// Why the command does not have it; completes the sentence that begins with the flag.
    reason: &'static str,
    /// What to do instead.
    instead: &'static str,
}

const fn flag(names: &'static [&'static str], reason: &'static str, instead: &'static str) -> Flag {
    Flag { names, reason, instead }
}

/// Returns the flags that `command` refuses with advice of their own.
pub(crate) fn flags(command: &str) -> &'static [Flag] {
    match command {
        "build" => build::FLAGS,
        "push" => images::PUSH,
        "pull" => images::PULL,
        "tag" => images::TAG,
        "list" => images::LIST,
        "inspect" => images::INSPECT,
        "rm" => images::RM,
        "save" => images::SAVE,
        "load" => images::LOAD,
        _ => &[],
    }
}

/// Returns the failure to show in place of `error`, if `error` is about a flag that another program has.
pub(crate) fn refusal(command: &str, error: &Error) -> Option<Failure> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg) else { return None };
    let name = word.split('=').next().unwrap_or(word);
    let Flag { reason, instead, .. } = flags(command).iter().find(|flag| flag.names.contains(&name))?;
    Some(Failure::usage(format!("{name} {reason}")).hint(*instead))
}
