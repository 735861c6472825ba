//! What `idpbuilder-build` says of an image that is built: to people, and to scripts in files.

use std::path::Path;

use serde_json::json;

use super::{Args, Built, platforms};
use crate::cli::failure::{Failure, Outcome};
use crate::cli::render::names::print_replaced;
use crate::cli::render::{format, result_files};
use crate::cli::terminal::Ui;
use crate::image::{Digest, Document, Reference};
use crate::ops::build::{Base, BuildOutcome};
use crate::store::ImageStore;
use crate::text::{counted, size};

impl Args {
    /// What was built: the summary or, where that is enough, the id; files where scripts asked for some.
    pub(crate) fn print_report(
        &self,
        ui: &Ui,
        built: &Built,
        base: Option<&Base>,
        store: &ImageStore,
        pushed: bool,
    ) -> Outcome {
        let (id, replaced, text) = match built {
            Built::Image(image) => {
                self.write_files(ui, Some(image.image_id), &image.document, &image.names)?;
                let base = base.map(|base| (self.from.as_str(), base));
                (image.image_id, &image.replaced, summary(image, base, store.root()))
            }
            Built::Index(index) => {
                self.write_files(ui, None, &index.document, &index.names)?;
                (index.document.digest(), &index.replaced, platforms::summary(index, store.root()))
            }
        };
        match (self.quiet, pushed) {
            (true, true) => Ok(()),
            (true, false) => Ok(ui.data(&id.to_string())?),
            (false, _) => {
                print_replaced(ui, replaced);
                Ok(ui.data(&text)?)
            }
        }
    }

    /// What scripts asked for. An index is its own image id, as buildx has it.
    pub(crate) fn write_files(
        &self,
        ui: &Ui,
        image_id: Option<Digest>,
        document: &Document,
        names: &[Reference],
    ) -> Result<(), Failure> {
        let mut metadata = json!({
            "containerimage.digest": document.digest(),
            "containerimage.descriptor": document.descriptor,
            "image.name": names.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        });
        if let Some(image_id) = image_id {
            metadata["containerimage.config.digest"] = json!(image_id);
        }
        let image_id = image_id.unwrap_or_else(|| document.digest());
        result_files::write(ui, self.iidfile.as_deref(), &image_id.to_string())?;
        result_files::write(ui, self.digestfile.as_deref(), &document.digest().to_string())?;
        result_files::write(ui, self.metadata_file.as_deref(), &format::json(&metadata))
    }
}

/// Warns that the base's ONBUILD triggers are not run.
pub(crate) fn print_triggers(ui: &Ui, shown: &str, base: &Base) {
    let count = base.triggers();
    if count > 0 {
        ui.warn(&format!("{shown} has ONBUILD instructions ({count}), which are kept and not run here"));
    }
}

pub(crate) fn layer_count(count: usize) -> String {
    counted(count, "layer")
}

fn summary(outcome: &BuildOutcome, base: Option<(&str, &Base)>, store: &Path) -> String {
    let names: Vec<String> = outcome.names.iter().map(ToString::to_string).collect();
    let mut lines: Vec<String> = names.iter().map(|name| format!("Image saved to local store: {name}")).collect();
    let uncompressed: u64 = outcome.layers.iter().map(|layer| layer.uncompressed).sum();
    lines.push(format!("  image id  {}", outcome.image_id));
    lines.push(format!("  digest    {}", outcome.document.digest()));
    if let Some((shown, base)) = base {
        lines.push(format!("  base      {shown} ({}, {})", base.digest, layer_count(base.layers.len())));
    }
    let whose = if base.is_some() { " of its own" } else { "" };
    lines.push(format!(
        "  size      {} ({}{whose} uncompressed, {}, {})",
        size(outcome.size),
        size(uncompressed),
        counted(outcome.files, "file"),
        counted(outcome.directories, "directory")
    ));
    let reused = outcome.layers.iter().filter(|layer| layer.reused).count();
    let reused = if reused > 0 { format!(" ({reused} unchanged)") } else { String::new() };
    let over = if base.is_some() { " over those of the base" } else { "" };
    lines.push(match outcome.layers.len() {
        0 => "  layers    those of the base".to_owned(),
        count => format!("  layers    {count}{over}{reused}"),
    });
    if let Some(file) = &outcome.ignore_file {
        lines.push(format!(
            "  ignored   {} by {}, not counting what is in {}",
            counted(outcome.excluded, "entry"),
            file.display(),
            if outcome.excluded == 1 { "it" } else { "them" }
        ));
    }
    lines.push(format!("  store     {}", store.display()));
    lines.join("\n")
}
