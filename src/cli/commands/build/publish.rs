//! `idpbuilder-build --push`: what is packed goes to the registries while the rest is being packed.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::super::push::{Kept, continuation, print_report, push_config};
use super::sources::is_standard_input;
use super::{Args, Built, make};
use crate::app::connect::{Connection, names_image};
use crate::cli::args::spelling::follows;
use crate::cli::failure::{Failure, Kind, Outcome};
use crate::cli::render::push::Report;
use crate::cli::terminal::Ui;
use crate::image::Reference;
use crate::ops::build::{BuildConfig, StoredLayers};
use crate::ops::push::{LayerStream, PushConfig, push_while_building};
use crate::progress::{Event, Progress};
use crate::store::ImageStore;

impl Args {
    /// Refuses a destination that became the context, because it was written apart from `--push`.
    pub(crate) fn check_push(&self, ui: &Ui) -> Result<(), Failure> {
        let Some(word) = self.directory.as_deref().filter(|_| self.push.is_some()) else { return Ok(()) };
        if is_standard_input(word) || word.exists() || !follows(&ui.env.args, "--push", word.as_os_str()) {
            return Ok(());
        }
        Err(Failure::usage(format!(
            "`{}` after --push is taken for CONTEXT, and there is no such directory",
            word.display()
        ))
        .hint("write --push=DEST"))
    }

    /// The first destination that names an image.
    pub(crate) fn pushed_name(&self) -> Result<Option<&String>, Failure> {
        for text in self.push.iter().flatten().filter(|text| !text.is_empty()) {
            if names_image(text)? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    /// Where `--push` goes: what it says, or what the image's names say.
    pub(crate) fn push_destinations(
        &self,
        connection: &Connection<'_>,
        names: &[Reference],
    ) -> Result<Option<Vec<Reference>>, Failure> {
        let Some(given) = &self.push else { return Ok(None) };
        let store = self.store.store.as_deref();
        let given: Vec<String> = given.iter().filter(|text| !text.is_empty()).cloned().collect();
        let mut references = Vec::new();
        for name in names {
            for reference in connection.destinations(name, &given, store)? {
                if !references.contains(&reference) {
                    references.push(reference);
                }
            }
        }
        connection.note_destinations(&references)?;
        Ok(Some(references))
    }

    /// The push to these destinations.
    pub(crate) fn push_config(
        &self,
        ui: &Ui,
        connection: &Connection<'_>,
        destinations: Option<Vec<Reference>>,
    ) -> Result<Option<PushConfig>, Failure> {
        let Some(references) = destinations else { return Ok(None) };
        push_config(ui, references, connection, &self.transfer, &self.blobs, self.store.store.as_deref()).map(Some)
    }

    /// Builds and pushes at the same time. An image that is built stays in the store, whatever becomes of the push.
    pub(crate) fn build_and_push(
        ui: &Ui,
        mut configs: Vec<BuildConfig>,
        verify: bool,
        push: PushConfig,
        store: &ImageStore,
        progress: &Arc<dyn Progress>,
    ) -> Result<(Built, Report), Failure> {
        let (stored, blobs) = StoredLayers::channel();
        for config in &mut configs {
            config.stored = stored.clone();
        }
        // The stream of layers ends with the build.
        drop(stored);
        let (finished, image) = oneshot::channel();
        let kept = Arc::new(Kept::new(Arc::clone(progress)));
        let sending = Arc::clone(&kept) as Arc<dyn Progress>;
        let (builder, building_progress, interrupt) = (store.clone(), Arc::clone(progress), ui.interrupt.clone());
        let (ended, signal) = ui.drive(async {
            let building = tokio::task::spawn_blocking(move || {
                let built = make(&configs, verify, &builder, building_progress.as_ref(), &interrupt)?;
                // The push may have ended already.
                let _ = finished.send(built.document().digest());
                Ok::<_, Failure>(built)
            });
            let pushing = async {
                let pushing = push_while_building(push, store, LayerStream { blobs, image }, sending, &ui.interrupt);
                let pushed = Box::pin(pushing).await;
                // Who stops the push stops the build as well.
                if pushed.is_err() && !ui.interrupt.requested() {
                    progress.emit(Event::Warning("the push failed, as will be told; the image is built nevertheless"));
                }
                pushed
            };
            let (built, pushed) = tokio::join!(building, pushing);
            let built = built.expect("building does not panic")?;
            let report = match pushed.transpose() {
                Some(pushed) => pushed.into(),
                None => Report::failed(Failure::new(Kind::Failed, "the image was built and not pushed")),
            };
            Ok((built, report))
        })?;
        // Layers are reproducible, so what was sent before the build was stopped counts for the next one too.
        let how = continuation(kept.bytes());
        match (ended, signal) {
            (Some(Ok((built, report))), signal) => Ok((built, report.stopped_by(signal).continued(how))),
            (_, Some(signal)) => {
                let stopped = Failure::stopped_by(signal);
                Err(how.iter().fold(stopped, |stopped, how| stopped.continued(how)))
            }
            (ended, None) => ended.expect("nothing else stops it"),
        }
    }

    /// What became of the push: the references to deploy are the last lines.
    pub(crate) fn print_push(ui: &Ui, connection: &Connection<'_>, report: Report) -> Outcome {
        print_report(ui, connection, &report.done);
        let printed = ui.data(&report.pinned()).map_err(Failure::from);
        report.end().and(printed)
    }
}
