//! Arguments that several applets share.

pub(crate) mod cluster;
pub(crate) mod go_duration;
pub(crate) mod image_config;
pub(crate) mod names;
pub(crate) mod registry;
pub(crate) mod size;
pub(crate) mod spelling;
pub(crate) mod transfer;
pub(crate) mod unsupported;

use std::path::{Path, PathBuf};

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
        open_store(ui, self.store.as_deref())
    }
}

/// Opens the image store that the flag or the settings name.
pub(crate) fn open_store(ui: &Ui, flag: Option<&Path>) -> Result<ImageStore, Failure> {
    let settings = ui.surroundings.settings(flag)?;
    Ok(ImageStore::open(&settings.store.value)?.with_interrupt(ui.interrupt.clone()).with_verified())
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
