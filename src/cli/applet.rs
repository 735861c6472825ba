//! The one table of applets: it drives dispatch, `--list`, links, help, completions and man pages.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::{ArgMatches, Command, Parser};

use super::commands::{
    build, credential, doctor, generate, index, inspect, install, list, load, login, pull, push, rm, save, serve, tag,
    trust,
};
use super::exit;
use super::failure::{Failure, Outcome};
use super::terminal::Ui;

/// Name of the executable itself.
pub(crate) const EXECUTABLE: &str = "idpbuilder-oci";

/// What an applet's arguments can do.
pub(crate) trait Run: Parser {
    fn run(self, ui: &mut Ui) -> Outcome;
}

/// One row of the table.
pub(crate) struct Applet {
    /// The word after `idpbuilder-oci`.
    pub(crate) name: &'static str,
    /// The link's name; commands about the executable itself have none.
    pub(crate) link: Option<&'static str>,
    /// For an applet whose arguments, answers and exit codes others fixed.
    pub(crate) protocol: Option<fn(&[OsString], &mut Ui) -> u8>,
    definition: fn() -> Command,
    run: fn(&ArgMatches, &mut Ui) -> Outcome,
}

const fn row<A: Run>(name: &'static str, link: Option<&'static str>) -> Applet {
    Applet { name, link, protocol: None, definition: A::command, run: run::<A> }
}

/// A row whose definition is for help, completions and the manual only.
const fn protocol<A: Parser>(
    name: &'static str,
    link: &'static str,
    protocol: fn(&[OsString], &mut Ui) -> u8,
) -> Applet {
    Applet { name, link: Some(link), protocol: Some(protocol), definition: A::command, run: |_, _| Ok(()) }
}

fn run<A: Run>(matches: &ArgMatches, ui: &mut Ui) -> Outcome {
    A::from_arg_matches(matches).map_err(|error| Failure::usage(error.to_string()))?.run(ui)
}

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
    row::<install::Args>("install", None),
    row::<install::UninstallArgs>("uninstall", None),
    row::<generate::Args>("generate", None),
];

impl Applet {
    /// The applet's command under the name it is called by.
    pub(crate) fn command(&self) -> Command {
        let name = self.link.map_or_else(|| format!("{EXECUTABLE} {}", self.name), str::to_owned);
        let command = (self.definition)()
            .name(name.clone())
            .bin_name(name)
            .version(env!("CARGO_PKG_VERSION"))
            .max_term_width(100);
        if self.protocol.is_some() { command } else { command.after_help(exit::TABLE) }
    }

    /// The same as a subcommand of the executable.
    fn subcommand(&self) -> Command {
        (self.definition)().name(self.name).max_term_width(100)
    }

    pub(crate) fn run(&self, matches: &ArgMatches, ui: &mut Ui) -> Outcome {
        (self.run)(matches, ui)
    }
}

/// The executable's own command, with every applet as a subcommand.
pub(crate) fn front() -> Command {
    Command::new(EXECUTABLE)
        .about("Build, keep and push OCI images for an idpbuilder cluster: directory in, verified reference out")
        .long_about(
            "Build, keep and push OCI images for an idpbuilder cluster: directory in, verified reference out, \
             with no daemon, no root and no login.\n\nEach applet also runs under its own name (idpbuilder-build, \
             idpbuilder-push, ...) when the executable is linked so; `idpbuilder-oci install` makes the links.",
        )
        .version(env!("CARGO_PKG_VERSION"))
        .arg(clap::Arg::new("list").long("list").action(clap::ArgAction::SetTrue).help("List the applets, one a line"))
        .subcommand_required(false)
        .subcommands(APPLETS.iter().map(Applet::subcommand))
        .disable_help_subcommand(true)
        .after_help(exit::TABLE)
        .max_term_width(100)
}

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
        front().debug_assert();
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
