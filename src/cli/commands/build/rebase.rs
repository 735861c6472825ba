//! `idpbuilder-build --rebase`: an image on another base.

use super::{Args, layer_count, print_triggers};
use crate::app::base_image::SCRATCH;
use crate::app::connect::Connection;
use crate::app::now;
use crate::cli::failure::{Failure, Kind, Outcome};
use crate::cli::render::names::print_replaced;
use crate::cli::terminal::Ui;
use crate::image::{Content, Platform, Reference};
use crate::ops::build::{OldBase, Part, RebaseConfig, RebaseError, RebaseOutcome, rebase};
use crate::store::{Image, ImageStore};

impl Args {
    /// Puts the image, or all images of the index, that stands in the context's place on the base `new`.
    pub(crate) fn rebase(&self, ui: &Ui, connection: &Connection<'_>, new: &str, names: Vec<Reference>) -> Outcome {
        let name = self.directory.as_ref().and_then(|name| name.to_str()).ok_or_else(|| {
            Failure::usage("--rebase needs an image").hint("idpbuilder-build --rebase BASE IMAGE -t NAME")
        })?;
        let store = self.store.open(ui)?.removing_unpublished();
        let progress = self.transfer.traced(ui, ui.progress(self.progress.progress))?;
        let lease = store.lease()?;
        let bases = self.bases(ui, connection, &store, &lease, &progress);
        let (images, index) = self.images(name, &store)?;
        let mut parts = Vec::new();
        for image in images {
            let platform = image.config.platform().normalised();
            // The new base comes first: a credential that names no registry is for its registry.
            let Some(base) = bases.find(new, &platform)? else {
                return Err(Failure::usage(format!("--rebase needs an image, and {SCRATCH} is none")));
            };
            let old = match self.old_base.as_deref() {
                None => OldBase::Annotated,
                Some(old) => {
                    bases.find(old, &platform)?.map_or(OldBase::Scratch, |base| OldBase::Image(Box::new(base)))
                }
            };
            parts.push(Part { image, old, new: base });
        }
        if let Some(part) = parts.first() {
            print_triggers(ui, new, &part.new);
        }
        let config = RebaseConfig { image: name.to_owned(), parts, index, names, built_at: now() };
        let outcome = rebase(&config, &store, &lease)?;
        drop((bases, progress));
        let image_id = outcome.images.first().filter(|_| !index).map(|image| image.image_id);
        self.write_files(ui, image_id, &outcome.document, &config.names)?;
        if self.quiet {
            return Ok(ui.data(&image_id.unwrap_or_else(|| outcome.document.digest()).to_string())?);
        }
        print_replaced(ui, &outcome.replaced);
        Ok(ui.data(&summary(&config, &outcome, new, &store))?)
    }

    /// The images to put on another base, and whether they are an index's.
    fn images(&self, name: &str, store: &ImageStore) -> Result<(Vec<Image>, bool), Failure> {
        let descriptor = store.resolve(name)?.descriptor;
        let wanted = self.platform.as_deref().map(str::parse::<Platform>).transpose()?;
        let children = match (store.document(&descriptor)?.content, &wanted) {
            // Attestations are of the images as they were.
            (Content::Index(index), None) => store.images_of(&index)?,
            _ => return Ok((vec![store.image(name, &descriptor, wanted.as_ref())?], false)),
        };
        let images = children.iter().map(|child| store.image(name, child, None));
        Ok((images.collect::<Result<_, _>>()?, true))
    }
}

fn summary(config: &RebaseConfig, outcome: &RebaseOutcome, new: &str, store: &ImageStore) -> String {
    let what = if config.index { "Index" } else { "Image" };
    let saved = config.names.iter().map(|name| format!("{what} saved to local store: {name}"));
    let mut lines: Vec<String> = saved.collect();
    if let ([image], false) = (&outcome.images[..], config.index) {
        lines.push(format!("  image id  {}", image.image_id));
    }
    lines.push(format!("  digest    {}", outcome.document.digest()));
    for (part, image) in config.parts.iter().zip(&outcome.images) {
        if config.index {
            lines.push(format!("  image     {} {}", image.platform, image.document.digest()));
        }
        lines.push(format!("  base      {new} ({}, {})", part.new.digest, layer_count(part.new.layers.len())));
        lines.push(format!("  own       {}", layer_count(image.own)));
    }
    lines.push(format!("  store     {}", store.root().display()));
    lines.join("\n")
}

impl From<RebaseError> for Failure {
    fn from(error: RebaseError) -> Self {
        let name_it = "name the base that it has with --old-base; --old-base scratch where it has none";
        match error {
            RebaseError::Store(error) => error.into(),
            RebaseError::Base(error) => error.into(),
            RebaseError::BaseGone { ref name, ref digest, .. } => {
                // A registry has it by its digest, whatever the tag stands for by now.
                let at_registry = name.as_ref().and_then(|name| name.parse::<Reference>().ok());
                let at_registry = at_registry.filter(|name| name.registry().is_some());
                let hint = at_registry.map(|name| format!("name it: --old-base {}@{digest}", name.name()));
                Self::new(Kind::Image, error).hint(hint.unwrap_or_else(|| name_it.to_owned()))
            }
            RebaseError::NoBase(_) | RebaseError::NotOnBase { .. } => Self::new(Kind::Image, error).hint(name_it),
            RebaseError::LayerCount { .. } => {
                Self::new(Kind::Image, error).hint("pull or load the image again, or build it anew")
            }
        }
    }
}
