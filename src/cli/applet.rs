//! The one table of applets: it drives dispatch, `--list`, links, help, completions and man pages.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::command::{Applet, of_table, protocol, row};
use super::commands::{
    build, credential, doctor, generate, index, inspect, install, list, load, login, pull, push, rm, save, serve, tag,
    trust,
};

/// Every applet, in the order in which help lists them.
pub(crate) const APPLETS: &[Applet] = &[
    row::<build::Args>("build", Some("idpbuilder-build")),
    row::<push::Args>("push", Some("idpbuilder-push")),
    row::<pull::Args>("pull", Some("idpbuilder-pull")),
    row::<tag::Args>("tag", Some("idpbuilder-tag")),
    row::<list::Args>("list", Some("idpbuilder-list")),
    row::<inspect::Args>("inspect", Some("idpbuilder-inspect")),
    row::<index::Args>("index", Some("idpbuilder-index")),
    row::<rm::Args>("rm", Some("idpbuilder-rm")),
    row::<save::Args>("save", Some("idpbuilder-save")),
    row::<load::Args>("load", Some("idpbuilder-load")),
    row::<serve::Args>("serve", Some("idpbuilder-serve")),
    row::<trust::Args>("trust", Some("idpbuilder-trust")),
    row::<login::Args>("login", Some("idpbuilder-login")),
    row::<login::LogoutArgs>("logout", Some("idpbuilder-logout")),
    row::<doctor::Args>("doctor", Some("idpbuilder-doctor")),
    protocol::<credential::Args>("credential", credential::NAME, credential::run),
    of_table::<install::Args>("install"),
    of_table::<install::UninstallArgs>("uninstall"),
    of_table::<generate::Args>("generate"),
];

/// What the arguments ask for.
pub(crate) enum Request<'a> {
    /// Run an applet with these arguments, its own name first.
    Applet(&'a Applet, Vec<OsString>),
    /// Show the executable's help; `true` when it was asked for.
    Help(bool),
    /// List the applets.
    List,
    /// Show the version.
    Version,
    /// A word that is no applet.
    Unknown(String),
}

/// Base name of `argv[0]` without `.exe`; exact match in the table, otherwise `argv[1]` decides.
pub(crate) fn dispatch(args: &[OsString]) -> Request<'static> {
    let own = args.first().map(|arg| Path::new(arg).file_name().unwrap_or(arg)).unwrap_or_default();
    let own = own.to_str().unwrap_or_default();
    let own = own.strip_suffix(".exe").unwrap_or(own);
    let rest = args.get(1..).unwrap_or_default();
    if let Some(applet) = APPLETS.iter().find(|applet| applet.link == Some(own)) {
        return Request::Applet(applet, with_name(own, rest));
    }
    let Some(first) = rest.first() else { return Request::Help(false) };
    match first.to_str() {
        Some("--list") => return Request::List,
        Some("--help" | "-h" | "help") if rest.len() == 1 => return Request::Help(true),
        Some("--version" | "-V") => return Request::Version,
        _ => {}
    }
    let (name, arguments) = match (first.to_str(), rest.get(1)) {
        // `idpbuilder-oci help build`
        (Some("help"), Some(name)) => (name.as_os_str(), vec![OsString::from("--help")]),
        _ => (first.as_os_str(), rest[1..].to_vec()),
    };
    let matches =
        |applet: &&Applet| name == OsStr::new(applet.name) || applet.link.is_some_and(|link| name == OsStr::new(link));
    match APPLETS.iter().find(matches) {
        Some(applet) => Request::Applet(applet, with_name(applet.name, &arguments)),
        None => Request::Unknown(name.to_string_lossy().chars().take(80).collect()),
    }
}

fn with_name(name: &str, rest: &[OsString]) -> Vec<OsString> {
    std::iter::once(OsString::from(name)).chain(rest.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command::front;

    fn asked(words: &[&str]) -> String {
        let args: Vec<OsString> = words.iter().map(OsString::from).collect();
        match dispatch(&args) {
            Request::Applet(applet, args) => format!("{} {}", applet.name, args.len() - 1),
            Request::Help(asked) => format!("help {asked}"),
            Request::List => "list".into(),
            Request::Version => "version".into(),
            Request::Unknown(name) => format!("unknown {name}"),
        }
    }

    #[test]
    fn the_name_decides_then_the_first_word() {
        for (words, expected) in [
            (&["idpbuilder-build", "."][..], "build 1"),
            (&["/usr/bin/idpbuilder-push.exe", "a", "b"], "push 2"),
            (&["idpbuilder-oci", "build", "."], "build 1"),
            (&["idpbuilder-oci", "idpbuilder-build"], "build 0"),
            (&["renamed", "list"], "list 0"),
            (&["idpbuilder-oci", "help", "push"], "push 1"),
            (&["idpbuilder-oci"], "help false"),
            (&[], "help false"),
            (&["idpbuilder-oci", "--help"], "help true"),
            (&["idpbuilder-oci", "help"], "help true"),
            (&["idpbuilder-oci", "--list"], "list"),
            (&["idpbuilder-oci", "-V"], "version"),
            (&["idpbuilder-oci", "bild"], "unknown bild"),
            (&["idpbuilder-buildx", "x"], "unknown x"),
            (&["docker-credential-idpbuilder", "get"], "credential 1"),
            (&["idpbuilder-oci", "credential", "list"], "credential 1"),
        ] {
            assert_eq!(asked(words), expected, "{words:?}");
        }
    }

    #[test]
    fn definitions_are_consistent() {
        front(APPLETS).debug_assert();
        let mut names: Vec<&str> = APPLETS.iter().map(|applet| applet.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), APPLETS.len());
        for applet in APPLETS {
            applet.command().debug_assert();
            let own = format!("idpbuilder-{}", applet.name);
            assert!(applet.link.is_none_or(|link| link == own || applet.protocol.is_some()));
        }
    }
}
