//! Applets: arguments in, text and exit codes out. The only place that prints, asks and exits.

mod applet;
mod args;
mod command;
mod commands;
pub mod exit;
pub mod failure;
#[cfg(test)]
mod refused_flags;
mod render;
mod terminal;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use applet::{APPLETS, Request};
use clap::error::ErrorKind;
use command::{Applet, EXECUTABLE, front};
use failure::{Failure, Outcome};
use terminal::Ui;

use crate::env::Env;

/// Runs the applet the program was started as.
pub fn main(env: Env) -> ExitCode {
    terminal::hardening::forbid_core_dumps();
    let code = run(env);
    // A thread that waits for a program ends with the process, and the program would not.
    crate::children::end_all();
    code
}

fn run(env: Env) -> ExitCode {
    let mut ui = Ui::new(env);
    let code = dispatch(&mut ui);
    ui.settle();
    code
}

fn dispatch(ui: &mut Ui) -> ExitCode {
    let args = ui.env.args.clone();
    let outcome = match applet::dispatch(&args) {
        Request::Applet(applet, arguments) => return parse_and_run(applet, &arguments, ui),
        Request::Help(true) => ui.data(&front(APPLETS).render_long_help().to_string()).map_err(Failure::from),
        Request::Help(false) => {
            ui.status(&front(APPLETS).render_help().to_string());
            return ExitCode::from(exit::USAGE);
        }
        Request::List => ui
            .data(&APPLETS.iter().filter_map(|applet| applet.link).collect::<Vec<_>>().join("\n"))
            .map_err(Failure::from),
        Request::Version => ui.data(&format!("{EXECUTABLE} {}", env!("CARGO_PKG_VERSION"))).map_err(Failure::from),
        Request::Unknown(name) => Err(unknown(&name)),
    };
    finish(ui, outcome)
}

fn unknown(name: &str) -> Failure {
    let names: Vec<&str> = APPLETS.iter().map(|applet| applet.name).collect();
    Failure::usage(format!("`{name}` is not an applet of {EXECUTABLE}"))
        .hint(format!("the applets are {}", names.join(", ")))
        .hint(format!("{EXECUTABLE} --help says what each does"))
}

fn parse_and_run(applet: &Applet, arguments: &[std::ffi::OsString], ui: &mut Ui) -> ExitCode {
    ui.surroundings.command = applet.name;
    if let Some(run) = applet.protocol {
        terminal::panics::explain_panics();
        return guarded(|| run(arguments, ui)).map_or(ExitCode::from(exit::BUG), ExitCode::from);
    }
    let matches = match applet.command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => {
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let text = error.render();
            if asked {
                return finish(ui, ui.data(&text.to_string()).map_err(Failure::from));
            }
            if let Some(failure) = args::unsupported::refusal(applet.name, &error) {
                return finish(ui, Err(failure));
            }
            ui.refuse(&text);
            if let Some(hint) = args::spelling::meant(&applet.command(), arguments, &error) {
                ui.advise(&hint);
            }
            return ExitCode::from(exit::USAGE);
        }
    };
    terminal::panics::explain_panics();
    match guarded(|| applet.run(&matches, ui, APPLETS)) {
        Ok(outcome) => finish(ui, outcome),
        Err(Bug) => ExitCode::from(exit::BUG),
    }
}

/// A panic, already told.
#[derive(Debug, PartialEq, Eq)]
struct Bug;

fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Bug> {
    std::panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| Bug)
}

fn finish(ui: &Ui, outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::from(exit::DONE),
        Err(failure) if failure.is_output_closed() => ExitCode::from(failure.code()),
        Err(failure) => {
            failure::print(ui, &failure);
            ExitCode::from(failure.code())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_bug_and_not_a_crash() {
        assert_eq!(guarded(|| 1), Ok(1));
        let panicked: Result<(), Bug> = guarded(|| panic!("on purpose"));
        assert_eq!(panicked, Err(Bug));
        assert_eq!(exit::BUG, 70);
    }
}
