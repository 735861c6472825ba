//! `idpbuilder-load`.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::PathBuf;

use super::applet::Run;
use super::arguments::{ProgressArgs, StoreArgs};
use super::failure::{Failure, Kind, Outcome};
use super::tag::now;
use super::ui::Ui;
use crate::archive::load;

/// Load images from an archive into the local store
///
/// Reads what `docker save`, `podman save`, skopeo and idpbuilder-save write, compressed or not.
#[derive(Debug, clap::Parser)]
pub(super) struct Args {
    /// File to read; - is standard input [default: standard input]
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Print names only
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    progress: ProgressArgs,
    #[command(flatten)]
    store: StoreArgs,
}

impl Run for Args {
    fn run(self, ui: &mut Ui) -> Outcome {
        ui.silence(self.quiet);
        ui.explain(self.progress.verbose);
        let input = self.input.as_ref().filter(|path| path.as_os_str() != "-");
        if input.is_none() && ui.env.stdin_is_terminal {
            return Err(Failure::usage("there is no archive on a terminal")
                .hint("name a file with -i FILE, or pipe one: docker save IMAGE | idpbuilder-load"));
        }
        let store = self.store.open(ui)?;
        let progress = ui.progress(self.progress.progress);
        let outcome = ui.run_blocking(|interrupt| {
            let reader: Box<dyn Read> = match input {
                None => Box::new(std::io::stdin().lock()),
                Some(path) => Box::new(File::open(ui.absolute(path)).map_err(|source| {
                    Failure::new(Kind::Image, format!("cannot read `{}`: {source}", path.display()))
                })?),
            };
            let reader = BufReader::with_capacity(1 << 20, reader);
            Ok(load(&store, reader, &now(), progress.as_ref(), interrupt)?)
        })?;
        for (name, digest) in &outcome.images {
            ui.data(&match name {
                Some(name) if self.quiet => name.to_string(),
                Some(name) => format!("Loaded image: {name}"),
                None => format!("Loaded image id: {digest}"),
            })?;
        }
        Ok(())
    }
}
