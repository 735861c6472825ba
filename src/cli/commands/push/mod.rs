//! `idpbuilder-push`.

mod kept;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::app::connect::{Connection, Target, proxies};
use crate::cli::args::registry::{BlobHostArgs, RegistryArgs};
use crate::cli::args::size::{bytes, time};
use crate::cli::args::transfer::TransferArgs;
use crate::cli::args::{ProgressArgs, StoreArgs};
use crate::cli::command::Run;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::render::push::{self as render, Report};
use crate::cli::render::result_files;
use crate::cli::terminal::Ui;
use crate::image::Reference;
use crate::ops::push::{DEFAULT_JOBS, Destination, PushConfig, PushOutcome, preview, push};
use crate::progress::Progress;
use crate::registry::Limits;
use crate::text;
pub(crate) use kept::{Kept, continuation};

/// Push a stored image to a registry
///
/// Sends what the registry lacks, then the manifest by digest and by tag, and asks the registry whether the tag
/// stands for that digest. Prints REPOSITORY@DIGEST of each destination last. A destination that fails does not keep
/// the others from being tried: what stands is printed, and the error names what does not.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    /// Name, digest or id of a stored image
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Where to push, a reference or a registry alone [default: where IMAGE's own name says]
    #[arg(value_name = "DESTINATION")]
    destinations: Vec<String>,
    /// Blobs to send at the same time
    #[arg(short, long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
    /// Send no more than this in one request, 64 KiB at least [default: what takes about 5s, up to 512 MiB]
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    chunk_size: Option<u64>,
    /// Read everything back from the registry in the end and compare the digests
    #[arg(long)]
    verify: bool,
    /// Pull the image without a credential, every blob to its end, until that works, at most for TIME; nothing of it is
    /// kept [default of TIME: 60s]
    #[arg(long, value_name = "TIME", value_parser = time, num_args = 0..=1, require_equals = true, default_missing_value = "60s")]
    wait: Option<Duration>,
    /// Say what would be skipped, mounted and uploaded, and whether it would be permitted; send nothing
    #[arg(long, conflicts_with_all = ["verify", "wait", "digestfile"])]
    dry_run: bool,
    /// How to print what was done, or would be
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text")]
    format: Format,
    /// Write the manifest's digest to FILE
    #[arg(long, visible_alias = "digest-file", value_name = "FILE")]
    digestfile: Option<PathBuf>,
    /// Print REPOSITORY@DIGEST only
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    progress: ProgressArgs,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    transfer: TransferArgs,
    #[command(flatten)]
    blobs: BlobHostArgs,
    // Last, because its headings hold for whatever follows.
    #[command(flatten)]
    registry: RegistryArgs,
}

/// How to print the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// REPOSITORY@DIGEST a line; with --dry-run a line a blob
    Text,
    /// An array with an object a destination
    Json,
}

impl Run for Args {
    fn run(self, ui: &mut Ui) -> Outcome {
        ui.silence(self.quiet);
        ui.explain(self.progress.verbose);
        let ui = &*ui;
        let connection = self.registry.connect(ui);
        result_files::check(ui, self.digestfile.as_deref())?;
        let store_flag = self.store.store.as_deref();
        let store = self.store.open(ui)?;
        let name = self.own_name(&store)?;
        let references = connection.destinations(&name, &self.destinations, store_flag)?;
        let config = PushConfig {
            image: self.image.clone(),
            jobs: usize::from(self.jobs),
            limits: self.chunk_size.map_or_else(Limits::default, Limits::chunks_of),
            verify: self.verify,
            wait: self.wait,
            ..push_config(ui, references, &connection, &self.transfer, &self.blobs, store_flag)?
        };
        if self.chunk_size.is_some_and(|size| size < Limits::MIN_CHUNK) {
            ui.warn(&format!("pieces are of {} at least", text::size(Limits::MIN_CHUNK)));
        }
        let progress = self.transfer.traced(ui, ui.progress(self.progress.progress))?;
        if self.dry_run {
            let report = Report::of(ui.drive(preview(config, &store, progress, &ui.interrupt))?);
            if report.undone.is_empty() {
                ui.status("Nothing was sent; the registry would let it in");
            }
            let printed = match self.format {
                Format::Json => ui.data_verbatim(&render::previews_as_json(&report)).map_err(Failure::from),
                Format::Text => ui.data(&render::previews_as_text(&report.done)).map_err(Failure::from),
            };
            return report.end().and(printed);
        }
        let kept = Arc::new(Kept::new(progress));
        let progress = Arc::clone(&kept) as Arc<dyn Progress>;
        let report = Report::of(ui.drive(push(config, &store, progress, &ui.interrupt))?);
        self.print_report(ui, &connection, report.continued(continuation(kept.bytes())))
    }
}

impl Args {
    /// The name of the image that destinations are made from, when one gives only a registry.
    fn own_name(&self, store: &crate::store::ImageStore) -> Result<Reference, Failure> {
        let selection = store.resolve(&self.image)?;
        let name = selection.entries.iter().find_map(|entry| entry.name.as_deref()?.parse::<Reference>().ok());
        name.or_else(|| self.image.parse().ok()).ok_or_else(|| {
            Failure::usage(format!("`{}` has no name", self.image)).hint("name it first with idpbuilder-tag")
        })
    }

    fn print_report(&self, ui: &Ui, connection: &Connection<'_>, report: Report) -> Outcome {
        if let Some(first) = report.done.first() {
            result_files::write(ui, self.digestfile.as_deref(), &first.digest.to_string())?;
        }
        print_report(ui, connection, &report.done);
        let printed = match self.format {
            Format::Json => ui.data_verbatim(&render::report_as_json(&report)).map_err(Failure::from),
            Format::Text => ui.data(&report.pinned()).map_err(Failure::from),
        };
        report.end().and(printed)
    }
}

/// Returns the configuration of a push to `references`; the caller sets the image.
pub(crate) fn push_config(
    ui: &Ui,
    references: Vec<Reference>,
    connection: &Connection<'_>,
    transfer: &TransferArgs,
    blobs: &BlobHostArgs,
    store: Option<&Path>,
) -> Result<PushConfig, Failure> {
    let destination = |Target { reference, policy, credential }| Destination { reference, policy, credential };
    Ok(PushConfig {
        image: String::new(),
        destinations: connection.targets(references)?.into_iter().map(destination).collect(),
        jobs: DEFAULT_JOBS,
        elsewhere: connection.elsewhere()?,
        blob_hosts: blobs.hosts()?,
        limits: Limits::default(),
        timeouts: transfer.timeouts(connection.timeouts()),
        rates: transfer.rates(),
        proxies: proxies(ui.session()),
        retry: transfer.retry(),
        state: Some(ui.surroundings.settings(store)?.home.value),
        verify: false,
        wait: None,
    })
}

/// What was done, for people.
pub(crate) fn print_report(ui: &Ui, connection: &Connection<'_>, outcomes: &[PushOutcome]) {
    for outcome in outcomes {
        connection.print_expiry(&outcome.reference, outcome.certificate.as_ref());
        ui.status(&render::outcome_as_line(outcome));
    }
}
