//! `idpbuilder-pull`.

use std::path::PathBuf;
use std::sync::Arc;

use crate::app::connect::proxies;
use crate::app::now;
use crate::cli::args::names::{local_name, names};
use crate::cli::args::registry::{BlobHostArgs, RegistryArgs};
use crate::cli::args::transfer::TransferArgs;
use crate::cli::args::{ProgressArgs, StoreArgs, platform_or_host};
use crate::cli::command::Run;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::render::result_files;
use crate::cli::terminal::Ui;
use crate::image::Reference;
use crate::ops::pull::{PullConfig, PullError, pull};

/// Pull an image from a registry into the local store
///
/// Fetches what the store lacks and checks every digest. Prints REPOSITORY@DIGEST.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    /// Image of a registry
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Name in the local store [default: IMAGE]
    #[arg(short, long = "tag", value_name = "NAME[:TAG]")]
    tag: Option<String>,
    /// Platform to take out of an index [default: Linux on this machine's architecture]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", conflicts_with = "all_platforms")]
    platform: Option<String>,
    /// Keep every platform of an index
    #[arg(long)]
    all_platforms: bool,
    /// Blobs to fetch at the same time
    #[arg(short, long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
    /// Read the blobs that the store has, also where their files did not change since they were written
    #[arg(long)]
    verify: bool,
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

impl Run for Args {
    fn run(self, ui: &mut Ui) -> Outcome {
        ui.silence(self.quiet);
        ui.explain(self.progress.verbose);
        let ui = &*ui;
        let connection = self.registry.connect(ui);
        result_files::check(ui, self.digestfile.as_deref())?;
        let store_flag = self.store.store.as_deref();
        let asked: Reference = self.image.parse()?;
        let reference = connection.locate(asked.clone(), store_flag)?.with_default_tag();
        let name = match &self.tag {
            Some(tag) => names(std::slice::from_ref(tag))?.remove(0),
            None => local_name(asked)?.with_default_tag(),
        };
        let platform = if self.all_platforms { None } else { Some(platform_or_host(ui, self.platform.as_deref())?) };
        let store = self.store.open(ui)?;
        let progress = self.transfer.traced(ui, ui.progress(self.progress.progress))?;
        for target in connection.targets(vec![reference])? {
            let config = PullConfig {
                reference: target.reference.clone(),
                policy: target.policy,
                elsewhere: connection.elsewhere()?,
                credential: target.credential,
                platform: platform.clone(),
                must_fit: self.platform.is_some(),
                name: Some(name.clone()),
                created: Some(now()),
                jobs: usize::from(self.jobs),
                timeouts: self.transfer.timeouts(connection.timeouts()),
                retry: self.transfer.retry(),
                rates: self.transfer.rates(),
                proxies: proxies(ui.session()),
                blob_hosts: self.blobs.hosts()?,
                verify: self.verify,
            };
            let progress = Arc::clone(&progress);
            let pulling = async { pull(config, &store, progress, &ui.interrupt).await.map_err(advised) };
            let outcome = ui.block_on(pulling)??;
            result_files::write(ui, self.digestfile.as_deref(), &outcome.descriptor.digest.to_string())?;
            connection.print_expiry(&target.reference, outcome.certificate.as_ref());
            ui.status(&format!("Image saved to local store: {name}"));
            ui.data(&target.reference.pinned(outcome.descriptor.digest))?;
        }
        Ok(())
    }
}

/// The failure, with what only a pull can do against it.
fn advised(error: PullError) -> Failure {
    let has_others = matches!(error, PullError::Platform { .. });
    let failure = Failure::from(error);
    if has_others { failure.hint("or keep all with --all-platforms") } else { failure }
}
