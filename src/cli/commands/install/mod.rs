//! `idpbuilder-oci install` and `uninstall`: the links that make each applet a command, and other programs' settings.

pub(crate) mod cred_helpers;

use std::path::{Path, PathBuf};

use crate::cli::command::{Applet, EXECUTABLE, RunOnTable};
use crate::cli::failure::{Failure, Kind, Outcome};
use crate::cli::terminal::Ui;
use cred_helpers::{ReaderArgs, RegistriesArgs, carry_out, warn_of_missing_helper, warn_of_wired};

/// Make a link for every applet, and have Docker and Podman ask our credential helper
///
/// Links point to this executable. A file of that name that is not such a link is left alone and reported. In the files
/// of other programs only credHelpers is touched; what was there is restored by uninstall.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    readers: ReaderArgs,
    #[command(flatten)]
    registries: RegistriesArgs,
}

/// Remove the links that install made, and have Docker and Podman ask our credential helper no more
///
/// Only links to this executable are removed. Files of other programs are as they were before install, byte for byte,
/// unless another program changed them since: then only what install added is removed.
#[derive(Debug, clap::Parser)]
pub(crate) struct UninstallArgs {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    readers: ReaderArgs,
}

#[derive(Debug, clap::Args)]
struct Place {
    /// Directory of the links [default: the executable's own]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Say what would be done, with a diff of other programs' files, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// What is where a link should be.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    OurLink,
    Other,
}

impl Place {
    fn resolve(&self, ui: &Ui) -> Result<(PathBuf, PathBuf), Failure> {
        let executable = ui
            .env
            .executable
            .as_deref()
            .and_then(|path| path.canonicalize().ok())
            .ok_or_else(|| Failure::new(Kind::Failed, format!("cannot find the file of {EXECUTABLE}")))?;
        let directory = match &self.dir {
            Some(directory) => ui.surroundings.absolute(directory),
            None => crate::fs::parent(&executable).to_owned(),
        };
        Ok((executable, directory))
    }
}

fn examine(link: &Path, executable: &Path) -> Found {
    match std::fs::symlink_metadata(link) {
        Err(_) => Found::Nothing,
        Ok(metadata) if metadata.is_symlink() && link.canonicalize().is_ok_and(|target| target == executable) => {
            Found::OurLink
        }
        Ok(_) => Found::Other,
    }
}

fn links(table: &[Applet]) -> impl Iterator<Item = &'static str> {
    // The executable's own name too, so that one directory on PATH is enough.
    std::iter::once(EXECUTABLE).chain(table.iter().filter_map(|applet| applet.link))
}

impl RunOnTable for Args {
    fn run(self, ui: &mut Ui, table: &[Applet]) -> Outcome {
        let (executable, directory) = self.place.resolve(ui)?;
        let ui = &*ui;
        let cluster = self.registries.connect(ui);
        // What cannot be done is found out before anything is.
        let plan = self.readers.plan_install(ui, &self.registries, &cluster)?;
        let failed = |path: &Path, source: std::io::Error| {
            Failure::new(Kind::Failed, format!("cannot make `{}`: {source}", path.display()))
                .hint("choose a directory you may write with --dir, for example --dir ~/.local/bin")
        };
        if !self.place.dry_run {
            std::fs::create_dir_all(&directory).map_err(|source| failed(&directory, source))?;
        }
        let mut in_the_way = Vec::new();
        for name in links(table) {
            let link = directory.join(name);
            if link == executable {
                continue;
            }
            match examine(&link, &executable) {
                Found::OurLink => {}
                Found::Other => in_the_way.push(link.display().to_string()),
                Found::Nothing => {
                    if !self.place.dry_run {
                        std::os::unix::fs::symlink(&executable, &link).map_err(|source| failed(&link, source))?;
                    }
                    ui.data(&format!("{} -> {}", link.display(), executable.display()))?;
                }
            }
        }
        if !in_the_way.is_empty() {
            return Err(Failure::new(Kind::Failed, format!("left alone what was there: {}", in_the_way.join(", ")))
                .hint("remove these files, or choose another directory with --dir"));
        }
        let on_path = ui.env.os("PATH").is_some_and(|path| {
            path.as_encoded_bytes().split(|b| *b == b':').any(|entry| entry == directory.as_os_str().as_encoded_bytes())
        });
        if !on_path {
            ui.status(&format!("{} is not on PATH; add it to use the commands by name", directory.display()));
        }
        if let Some(plan) = plan {
            carry_out(ui, plan, || self.readers.plan_install(ui, &self.registries, &cluster), self.place.dry_run)?;
            if !self.place.dry_run {
                warn_of_missing_helper(ui);
            }
        }
        Ok(())
    }
}

impl RunOnTable for UninstallArgs {
    fn run(self, ui: &mut Ui, table: &[Applet]) -> Outcome {
        let (executable, directory) = self.place.resolve(ui)?;
        // First, because a program that still asks for a removed helper fails.
        match self.readers.plan_uninstall(ui)? {
            Some(plan) => carry_out(ui, plan, || self.readers.plan_uninstall(ui), self.place.dry_run)?,
            None => warn_of_wired(ui),
        }
        for name in links(table) {
            let link = directory.join(name);
            if link == executable || examine(&link, &executable) != Found::OurLink {
                continue;
            }
            if !self.place.dry_run {
                std::fs::remove_file(&link).map_err(|source| {
                    Failure::new(Kind::Failed, format!("cannot remove `{}`: {source}", link.display()))
                })?;
            }
            ui.data(&format!("removed {}", link.display()))?;
        }
        Ok(())
    }
}
