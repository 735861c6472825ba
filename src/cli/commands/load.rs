//! `idpbuilder-load`.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use crate::app::now;
use crate::cli::args::{ProgressArgs, StoreArgs};
use crate::cli::command::Run;
use crate::cli::failure::{Failure, Kind, Outcome};
use crate::cli::terminal::Ui;
use crate::image::Platform;
use crate::ops::archive::{LayoutStream, LoadNote, load};
use crate::text::{escaped, listed};

/// Load images from an archive into the local store
///
/// Reads what `docker save`, `podman save`, skopeo and idpbuilder-save write, compressed or not. Of an index that the
/// archive has in part, the images that are whole are loaded.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    /// File or image layout (a directory) to read; - is standard input [default: standard input]
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Keep one image of each index, the one for this platform
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
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
        let platform = self.platform.as_deref().map(str::parse::<Platform>).transpose()?;
        let store = self.store.open(ui)?;
        let progress = ui.progress(self.progress.progress);
        let outcome = ui.run_blocking::<_, Failure>(|interrupt| {
            let reader: Box<dyn Read> = match input {
                None => Box::new(std::io::stdin().lock()),
                Some(path) => open(&ui.surroundings.absolute(path)).map_err(|source| {
                    Failure::new(Kind::Image, format!("cannot read `{}`: {source}", path.display()))
                })?,
            };
            let reader = BufReader::with_capacity(1 << 20, reader);
            Ok(load(&store, reader, &now(), platform.as_ref(), progress.as_ref(), interrupt)?)
        })?;
        for note in &outcome.notes {
            ui.warn(&summary(note));
        }
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

/// Opens an archive, or a layout in a directory as one.
fn open(path: &Path) -> std::io::Result<Box<dyn Read>> {
    Ok(if path.is_dir() { Box::new(LayoutStream::open(path)?) } else { Box::new(File::open(path)?) })
}

/// What the store has otherwise than the archive, as a sentence.
fn summary(note: &LoadNote) -> String {
    match note {
        LoadNote::Unusable { name, digest } if name.is_empty() => {
            format!("the archive gives {digest} an empty name; it is loaded without one")
        }
        LoadNote::Unusable { name, digest } => {
            let name = escaped(&crate::image::shown(name)).into_owned();
            format!("`{name}` cannot be a name in the local store; {digest} is loaded without it")
        }
        LoadNote::Partial { index, kept, absent } => format!(
            "the archive has only a part of the index `{index}`: loaded {}; absent {}",
            listed(kept, "nothing"),
            listed(absent, "nothing")
        ),
        LoadNote::Absent { image } => {
            format!("the archive lists `{image}` and does not have all of it; it is left out")
        }
        LoadNote::Platform { image, available } => {
            format!("`{image}` is left out: it is for {}", listed(available, "no platform"))
        }
    }
}
