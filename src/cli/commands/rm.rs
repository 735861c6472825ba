//! `idpbuilder-rm`.

use std::time::Duration;

use crate::cli::args::StoreArgs;
use crate::cli::command::Run;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::terminal::Ui;
use crate::ops::remove::{RemoveError, remove, remove_all};
use crate::store::{Entry, StoreError};
use crate::text::{counted, escaped, size};

/// Remove images from the local store
///
/// A name is removed; the data it shares with other images stays. --prune frees what no name reaches, also what
/// idpbuilder-serve kept by its digest.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    /// Names, digests or ids of stored images
    #[arg(value_name = "IMAGE", required_unless_present_any = ["all", "prune"], conflicts_with = "all")]
    images: Vec<String>,
    /// Do not ask, do not mind images that are not there, and remove all that an id fits, under all names
    #[arg(short, long)]
    force: bool,
    /// Remove every image
    #[arg(short, long)]
    all: bool,
    /// Then free the space of everything that no name reaches
    #[arg(long)]
    prune: bool,
    /// Longest wait for other commands that use the store
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    lock_timeout: u64,
    #[command(flatten)]
    store: StoreArgs,
    /// Print nothing
    #[arg(short, long)]
    quiet: bool,
}

impl Run for Args {
    fn run(self, ui: &mut Ui) -> Outcome {
        let store = self.store.open(ui)?.with_patience(Duration::from_secs(self.lock_timeout));
        let mut failure = None;
        let mut printed = Ok(());
        if self.all {
            let count = store.entries()?.len();
            if count > 0 && !self.force {
                match ui.confirm(&format!("Remove {} from {}?", counted(count, "image"), store.root().display()))? {
                    Some(true) => {}
                    Some(false) => return Err(Failure::new(crate::cli::failure::Kind::Failed, "nothing was removed")),
                    None => {
                        return Err(Failure::usage("--all asks first, and there is no terminal to ask on")
                            .hint("--all --force removes without asking"));
                    }
                }
            }
            printed = self.print_report(ui, &remove_all(&store)?);
        }
        for image in &self.images {
            match remove(&store, image, self.force) {
                // What is removed is removed, whether or not its reader stayed.
                Ok(removed) => printed = printed.and(self.print_report(ui, &removed)),
                Err(RemoveError::Store(StoreError::NotFound { .. })) if self.force => {}
                // The other images are removed all the same; the first error is reported at the end.
                Err(error) => {
                    let error = Failure::from(error);
                    match failure {
                        None => failure = Some(error),
                        Some(_) => crate::cli::failure::print(ui, &error),
                    }
                }
            }
        }
        if self.prune {
            let pruned = store.prune()?;
            if !self.quiet {
                if pruned.manifests > 0 {
                    printed = printed.and(
                        ui.data(&format!("Removed {} without a tag", counted(pruned.manifests, "manifest")))
                            .map_err(Failure::from),
                    );
                }
                let freed = format!("Freed {} in {}", size(pruned.bytes), counted(pruned.blobs, "blob"));
                printed = printed.and(ui.data(&freed).map_err(Failure::from));
            }
        }
        failure.map_or(printed, Err)
    }
}

impl Args {
    fn print_report(&self, ui: &Ui, removed: &[Entry]) -> Outcome {
        for entry in removed {
            if !self.quiet {
                let digest = entry.descriptor.digest;
                ui.data(&match &entry.name {
                    Some(name) => format!("Removed {} ({digest})", escaped(name)),
                    None => format!("Removed {digest}"),
                })?;
            }
        }
        Ok(())
    }
}
