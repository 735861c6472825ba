//! `idpbuilder-save`.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use crate::cli::args::{ProgressArgs, StoreArgs};
use crate::cli::command::Run;
use crate::cli::failure::{Failure, Kind, Outcome};
use crate::cli::terminal::Ui;
use crate::fs::Replacement;
use crate::image::Platform;
use crate::ops::archive::{ArchiveFormat, SaveOutcome, save};
use crate::text::escaped;

/// Save images as one file
///
/// Writes an archive that `docker load`, `podman load` and skopeo accept, to FILE or to a pipe. The same images
/// give the same bytes. Layers of zstd, which older engines do not read, are tars in a docker-archive.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    /// Names, digests or ids of stored images
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// File to write; - is standard output [default: standard output, when it is not a terminal]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Kind of archive
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Kinds::DockerArchive)]
    format: Kinds,
    /// Platform to take out of an index
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
    /// Say nothing
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    progress: ProgressArgs,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kinds {
    /// What docker load reads
    DockerArchive,
    /// An OCI image layout in a tar
    OciArchive,
}

impl Run for Args {
    fn run(self, ui: &mut Ui) -> Outcome {
        ui.silence(self.quiet);
        ui.explain(self.progress.verbose);
        let platform = self.platform.as_deref().map(str::parse::<Platform>).transpose()?;
        let format = match self.format {
            Kinds::DockerArchive => ArchiveFormat::Docker,
            Kinds::OciArchive => ArchiveFormat::Oci,
        };
        let output = self.output.as_ref().filter(|path| path.as_os_str() != "-");
        if output.is_none() && ui.env.stdout_is_terminal {
            return Err(Failure::usage("an archive is not for a terminal")
                .hint("name a file with -o FILE, or pipe it: idpbuilder-save IMAGE | docker load"));
        }
        let store = self.store.open(ui)?;
        let progress = ui.progress(self.progress.progress);
        let Some(path) = output else {
            ui.check_output()?;
            return ui.run_blocking::<_, Failure>(|interrupt| {
                let mut out = BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
                let saved =
                    save(&store, &self.images, format, platform.as_ref(), &mut out, progress.as_ref(), interrupt)?;
                out.flush().map_err(Failure::of_output)?;
                print_unnamed(ui, &saved);
                Ok(())
            });
        };
        let path = ui.surroundings.absolute(path);
        let failed =
            |source: std::io::Error| Failure::new(Kind::Failed, format!("cannot write `{}`: {source}", path.display()));
        ui.run_blocking::<_, Failure>(|interrupt| {
            // Only a whole archive gets the name.
            let mut file = Replacement::create(&path).map_err(failed)?;
            {
                let mut out = BufWriter::with_capacity(1 << 20, &mut file);
                let saved =
                    save(&store, &self.images, format, platform.as_ref(), &mut out, progress.as_ref(), interrupt)?;
                out.flush().map_err(failed)?;
                print_unnamed(ui, &saved);
            }
            file.commit().map_err(failed)
        })?;
        ui.status(&format!("Saved {} to {}", self.images.join(", "), path.display()));
        Ok(())
    }
}

/// Says which images are in the archive without the name they were asked for by.
fn print_unnamed(ui: &Ui, saved: &SaveOutcome) {
    for name in &saved.unnamed {
        ui.warn(&format!("a docker-archive cannot keep the name `{}`; its image is in it without", escaped(name)));
    }
}
