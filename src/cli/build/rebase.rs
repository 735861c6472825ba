//! `idpbuilder-build --rebase`: an image on another base.

use super::super::arguments::platform_or_host;
use super::super::base::SCRATCH;
use super::super::failure::{Failure, Kind, Outcome};
use super::super::tag::{names, now};
use super::super::ui::Ui;
use super::{Args, layers, tell_replaced, tell_triggers};
use crate::build::{OldBase, RebaseConfig, RebaseError, rebase};
use crate::image::{Content, Platform, Reference};

impl Args {
    /// Puts the image that stands in the context's place on the base `new`.
    pub(super) fn rebase(&self, ui: &Ui, new: &str) -> Outcome {
        let name = self.directory.as_ref().and_then(|name| name.to_str()).ok_or_else(|| {
            Failure::usage("--rebase needs an image").hint("idpbuilder-build --rebase BASE IMAGE -t NAME")
        })?;
        let names = names(&self.tags)?;
        let store = self.store.open(ui)?;
        let progress = ui.progress(self.progress.progress);
        let lease = store.lease()?;
        let selection = store.resolve(name)?;
        let platform: Option<Platform> = match store.document(&selection.descriptor)?.content {
            Content::Index(_) => Some(platform_or_host(ui, self.platform.as_deref())?),
            Content::Manifest(_) => self.platform.as_deref().map(str::parse::<Platform>).transpose()?,
        };
        let image = store.image(name, &selection.descriptor, platform.as_ref())?;
        let bases = self.bases(ui, &store, &lease, &progress);
        let platform = image.config.platform();
        let old = match self.old_base.as_deref() {
            None => OldBase::Annotated,
            Some(old) => bases.find(old, &platform)?.map_or(OldBase::Scratch, |base| OldBase::Image(Box::new(base))),
        };
        let Some(base) = bases.find(new, &platform)? else {
            return Err(Failure::usage(format!("--rebase needs an image, and {SCRATCH} is none")));
        };
        tell_triggers(ui, new, &base);
        let shown = format!("  base      {new} ({}, {})", base.digest, layers(base.layers.len()));
        let config = RebaseConfig { image: name.to_owned(), old, new: base, names, built_at: now() };
        let outcome = rebase(&config, &image, &store, &lease)?;
        drop((bases, progress));
        self.write_files(ui, Some(outcome.image_id), &outcome.document, &config.names)?;
        if self.quiet {
            return ui.data(&outcome.image_id.to_string());
        }
        tell_replaced(ui, &outcome.replaced);
        let saved = config.names.iter().map(|name| format!("Image saved to local store: {name}"));
        let mut lines: Vec<String> = saved.collect();
        lines.push(format!("  image id  {}", outcome.image_id));
        lines.push(format!("  digest    {}", outcome.document.digest()));
        lines.push(shown);
        lines.push(format!("  own       {}", layers(outcome.layers.1)));
        lines.push(format!("  store     {}", store.root().display()));
        ui.data(&lines.join("\n"))
    }
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
