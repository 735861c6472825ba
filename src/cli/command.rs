//! What a command is: a row of the table in `applet`, with its definition and what runs it.

use std::ffi::OsString;

use clap::{ArgMatches, Command, Parser};

use super::exit;
use super::failure::{Failure, Outcome};
use super::terminal::Ui;

/// Name of the executable itself.
pub(crate) const EXECUTABLE: &str = "idpbuilder-oci";

/// Arguments that run their command.
pub(crate) trait Run: Parser {
    fn run(self, ui: &mut Ui) -> Outcome;
}

/// Arguments of a command about the table of commands, such as the one that links each.
pub(crate) trait RunOnTable: Parser {
    fn run(self, ui: &mut Ui, table: &[Applet]) -> Outcome;
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
    run: fn(&ArgMatches, &mut Ui, &[Applet]) -> Outcome,
}

/// Returns a row for a command whose arguments run it.
pub(crate) const fn row<A: Run>(name: &'static str, link: Option<&'static str>) -> Applet {
    let run = |matches: &ArgMatches, ui: &mut Ui, _: &[Applet]| parsed::<A>(matches)?.run(ui);
    Applet { name, link, protocol: None, definition: A::command, run }
}

/// Returns a row for a command about the whole table.
pub(crate) const fn of_table<A: RunOnTable>(name: &'static str) -> Applet {
    let run = |matches: &ArgMatches, ui: &mut Ui, table: &[Applet]| parsed::<A>(matches)?.run(ui, table);
    Applet { name, link: None, protocol: None, definition: A::command, run }
}

/// Returns a row whose definition is for help, completions and the manual only.
pub(crate) const fn protocol<A: Parser>(
    name: &'static str,
    link: &'static str,
    protocol: fn(&[OsString], &mut Ui) -> u8,
) -> Applet {
    Applet { name, link: Some(link), protocol: Some(protocol), definition: A::command, run: |_, _, _| Ok(()) }
}

fn parsed<A: Parser>(matches: &ArgMatches) -> Result<A, Failure> {
    A::from_arg_matches(matches).map_err(|error| Failure::usage(error.to_string()))
}

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

    /// Returns the definition of the command as a subcommand of the executable.
    fn subcommand(&self) -> Command {
        (self.definition)().name(self.name).max_term_width(100)
    }

    /// Runs the command. `table` is the one that this row is in.
    pub(crate) fn run(&self, matches: &ArgMatches, ui: &mut Ui, table: &[Applet]) -> Outcome {
        (self.run)(matches, ui, table)
    }
}

/// Returns the executable's own command, with every row of the table as a subcommand.
pub(crate) fn front(table: &[Applet]) -> Command {
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
        .subcommands(table.iter().map(Applet::subcommand))
        .disable_help_subcommand(true)
        .after_help(exit::TABLE)
        .max_term_width(100)
}
