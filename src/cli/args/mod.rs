//! Arguments that several applets share.

pub(crate) mod go_duration;
pub(crate) mod image_config;
pub(crate) mod names;
pub(crate) mod size;
pub(crate) mod spelling;
pub(crate) mod transfer;
pub(crate) mod unsupported;

use std::path::PathBuf;

use super::failure::Failure;
use super::terminal::Ui;
use super::terminal::progress::Mode;
use crate::image::Platform;
use crate::store::ImageStore;

/// Where the images are.
#[derive(Debug, clap::Args)]
pub(crate) struct StoreArgs {
    /// Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
}

impl StoreArgs {
    pub(crate) fn open(&self, ui: &Ui) -> Result<ImageStore, Failure> {
        ui.store(self.store.as_deref())
    }
}

/// How much to say while working.
#[derive(Debug, clap::Args)]
pub(crate) struct ProgressArgs {
    /// How to show progress on standard error
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Mode::Auto)]
    pub(crate) progress: Mode,
    /// Say more about each step
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

/// Parses `--platform`, or answers Linux on this machine's architecture.
pub(crate) fn platform_or_host(ui: &Ui, given: Option<&str>) -> Result<Platform, Failure> {
    match given {
        Some(text) if text.contains(',') => Err(Failure::usage(format!("`{text}` names several platforms; give one"))),
        Some(text) => Ok(text.parse::<Platform>()?),
        None => Ok(Platform::linux(ui.env.architecture())),
    }
}
