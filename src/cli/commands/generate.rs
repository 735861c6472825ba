//! `idpbuilder-oci generate`: completions and man pages out of the applet table.

use std::path::{Path, PathBuf};

use clap::{ArgAction, Command};
use clap_complete::Shell;

use crate::cli::command::{Applet, EXECUTABLE, RunOnTable, front};
use crate::cli::failure::{Failure, Kind, Outcome};
use crate::cli::terminal::Ui;

/// Write shell completions and man pages
///
/// Fills DIR/completions (one folder a shell) and DIR/man with files for every applet.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    /// Directory that gets completions/ and man/
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Print the paths only
    #[arg(long)]
    dry_run: bool,
}

/// The shells, the folder of each, and the name its files need to be found by.
const SHELLS: &[(Shell, &str)] = &[
    (Shell::Bash, "bash"),
    (Shell::Zsh, "zsh"),
    (Shell::Fish, "fish"),
    (Shell::PowerShell, "powershell"),
    (Shell::Elvish, "elvish"),
];

impl RunOnTable for Args {
    fn run(self, ui: &mut Ui, table: &[Applet]) -> Outcome {
        let root = ui.surroundings.absolute(&self.directory);
        for (path, content) in files(table) {
            if !self.dry_run {
                write(&root.join(&path), &content)?;
            }
            ui.data(&path.display().to_string())?;
        }
        Ok(())
    }
}

fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let failed = |source: std::io::Error| {
        let text = format!("cannot write `{}`: {source}", path.display());
        Failure::new(Kind::Failed, text)
    };
    std::fs::create_dir_all(crate::fs::parent(path)).map_err(failed)?;
    std::fs::write(path, content).map_err(failed)
}

/// Every generated file: path below the target directory, content.
pub(crate) fn files(table: &[Applet]) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for command in commands(table) {
        let name = command.get_name().to_owned();
        for (shell, folder) in SHELLS {
            let mut content = Vec::new();
            clap_complete::generate(*shell, &mut command.clone(), name.clone(), &mut content);
            let file = match shell {
                Shell::Bash => name.clone(),
                Shell::Zsh => format!("_{name}"),
                Shell::Fish => format!("{name}.fish"),
                Shell::PowerShell => format!("_{name}.ps1"),
                _ => format!("{name}.elv"),
            };
            files.push((Path::new("completions").join(folder).join(file), content));
        }
        files.push((Path::new("man").join(format!("{name}.1")), page(command)));
    }
    files
}

/// The executable and every applet that is called by a name of its own.
fn commands(table: &[Applet]) -> Vec<Command> {
    let applets = table.iter().filter(|applet| applet.link.is_some()).map(Applet::command);
    std::iter::once(front(table).bin_name(EXECUTABLE)).chain(applets).collect()
}

fn page(command: Command) -> Vec<u8> {
    let mut content = Vec::new();
    let repeated = repeated(&command);
    let man = clap_mangen::Man::new(command).date("").source(format!("{EXECUTABLE} {}", env!("CARGO_PKG_VERSION")));
    man.render(&mut content).expect("a vector takes every byte");
    let mut text = String::from_utf8(content).expect("help is text");
    for name in repeated {
        // The synopsis is what comes first; its maker knows no repetition.
        for (open, close) in [('<', '>'), ('[', ']')] {
            let once = format!("{open}\\fI{name}\\fR{close} ");
            text = text.replacen(&once, &format!("{open}\\fI{name}\\fR{close}... "), 1);
        }
    }
    text.into_bytes()
}

/// Names of the positional arguments that can be given more than once.
fn repeated(command: &Command) -> Vec<String> {
    let several = command.get_positionals().filter(|argument| matches!(argument.get_action(), ArgAction::Append));
    several.filter_map(|argument| argument.get_value_names()?.first().map(ToString::to_string)).collect()
}
