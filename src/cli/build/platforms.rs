//! `idpbuilder-build` for several platforms: an index of one image each.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicatif::HumanBytes;

use super::super::failure::{Failure, Outcome};
use super::super::ui::Ui;
use super::{Args, tell_replaced};
use crate::build::{BuildConfig, IndexOutcome, build_index};
use crate::image::{Document, Platform};
use crate::progress::Progress;
use crate::store::ImageStore;

/// `--platform` as a list; a platform that comes twice counts once.
pub(super) fn platforms(text: &str) -> Result<Vec<Platform>, Failure> {
    let mut platforms: Vec<Platform> = Vec::new();
    for text in text.split(',') {
        let platform = text.trim().parse::<Platform>()?;
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
    }
    Ok(platforms)
}

/// `PLATFORM=DIR` arguments, each for one of `platforms`.
pub(super) fn contexts(given: &[String], platforms: &[Platform]) -> Result<Vec<(Platform, PathBuf)>, Failure> {
    let mut contexts: Vec<(Platform, PathBuf)> = Vec::new();
    for text in given {
        let (platform, directory) = text
            .split_once('=')
            .filter(|(_, directory)| !directory.is_empty())
            .ok_or_else(|| Failure::usage(format!("--context-for takes PLATFORM=DIR, not `{text}`")))?;
        let platform = platform.parse::<Platform>()?;
        if !platforms.contains(&platform) {
            return Err(Failure::usage(format!("--context-for names {platform}, which is not built"))
                .hint(format!("add it to --platform, for example --platform linux/amd64,{platform}")));
        }
        if contexts.iter().any(|(other, _)| *other == platform) {
            return Err(Failure::usage(format!("--context-for names {platform} twice")));
        }
        contexts.push((platform, PathBuf::from(directory)));
    }
    Ok(contexts)
}

impl Args {
    pub(super) fn build_index(
        &self,
        ui: &Ui,
        configs: &[BuildConfig],
        store: &ImageStore,
        progress: Arc<dyn Progress>,
    ) -> Outcome {
        let outcome = ui.run_blocking(|interrupt| Ok(build_index(configs, store, progress.as_ref(), interrupt)?))?;
        let built: Vec<&Document> = outcome.images.iter().map(|(_, image)| &image.document).collect();
        self.verify(ui, configs, &built, store, progress.as_ref())?;
        drop(progress);
        self.write_files(ui, None, &outcome.document, &outcome.names)?;
        if self.quiet {
            return ui.data(&outcome.document.digest().to_string());
        }
        tell_replaced(ui, &outcome.replaced);
        ui.data(&summary(&outcome, store.root()))
    }
}

fn summary(outcome: &IndexOutcome, store: &Path) -> String {
    let saved = outcome.names.iter().map(|name| format!("Index saved to local store: {name}"));
    let mut lines: Vec<String> = saved.collect();
    lines.push(format!("  digest    {}", outcome.document.digest()));
    for (platform, image) in &outcome.images {
        lines.push(format!("  image     {platform} {} ({})", image.document.digest(), HumanBytes(image.size)));
    }
    lines.push(format!("  store     {}", store.display()));
    lines.join("\n")
}
