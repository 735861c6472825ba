//! `idpbuilder-build --verify-reproducible`: the image once more, and where the two would differ.

use crate::cli::failure::{Failure, Kind, Outcome};
use crate::cli::render::difference::details;
use crate::cli::terminal::Ui;
use crate::image::{Document, Platform};
use crate::ops::build::{BuildConfig, build_again};
use crate::ops::inspect::{Change, Difference, Place, first_difference};
use crate::progress::{Interrupt, Progress};
use crate::store::ImageStore;
use crate::text::counted;

/// Builds the images of `configs` again and fails unless they are those of `built`.
pub(crate) fn verify(
    configs: &[BuildConfig],
    built: &[&Document],
    store: &ImageStore,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Outcome {
    for (config, first) in configs.iter().zip(built) {
        let scratch = store.scratch()?;
        let second = build_again(config, store, scratch.store(), progress, interrupt)?.document;
        let second = (scratch.store(), &second.descriptor);
        if let Some(place) = first_difference((store, &first.descriptor), second, interrupt)? {
            return Err(failure(&place, (configs.len() > 1).then_some(&config.platform)));
        }
    }
    Ok(())
}

/// Says that the images were verified.
pub(crate) fn print_report(ui: &Ui, built: &[&Document]) {
    let digests: Vec<String> = built.iter().map(|document| document.digest().to_string()).collect();
    ui.status(&format!("Built twice with the same digest: {}", digests.join(", ")));
}

fn failure(place: &Place, platform: Option<&Platform>) -> Failure {
    let of = platform.map(|platform| format!(" for {platform}")).unwrap_or_default();
    let files = "files that changed between the two builds are the usual reason; build again when nothing changes them, \
                 or leave them out with --exclude";
    let hint = match place {
        Place::Path { .. } | Place::Count { .. } => files,
        Place::Bytes { .. } | Place::Configuration(_) | Place::Manifest(_) | Place::Writing => {
            "the same files and options should always make the same bytes: please report it, with the options"
        }
    };
    Failure::new(Kind::Failed, format!("a second build{of} makes another image: {}", summary(place)))
        .hint(hint)
        .hint("the image of the first build is in the local store")
}

fn summary(place: &Place) -> String {
    match place {
        Place::Path { layer, difference } => format!("layer {layer}: {}", difference_told(difference)),
        Place::Bytes { layer } => format!("layer {layer} has the same files and other bytes"),
        Place::Count { first, second } => {
            format!("it has {}, and the first build's has {first}", counted(*second, "layer"))
        }
        Place::Configuration(difference) => format!("configuration: {}", difference_told(difference)),
        Place::Manifest(difference) => format!("manifest: {}", difference_told(difference)),
        Place::Writing => "the same fields are written in other bytes".to_owned(),
    }
}

fn difference_told(found: &Difference) -> String {
    let (place, details) = details(found);
    match found.change {
        Change::Added => format!("{place} is in the second build only"),
        Change::Removed => format!("{place} is in the first build only"),
        Change::Changed => format!("{place} differs: {details}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::inspect::{About, Aspect};

    fn difference(change: Change) -> Difference {
        let aspects = vec![Aspect { name: "mode", from: "0644".into(), to: "0600".into() }];
        Difference { place: "etc/app".into(), about: About::Path, change, aspects }
    }

    #[test]
    fn every_place_is_told() {
        for (place, expected) in [
            (
                Place::Path { layer: 2, difference: difference(Change::Changed) },
                "layer 2: etc/app differs: mode 0644 -> 0600",
            ),
            (
                Place::Path { layer: 1, difference: difference(Change::Added) },
                "layer 1: etc/app is in the second build only",
            ),
            (Place::Configuration(difference(Change::Removed)), "configuration: etc/app is in the first build only"),
            (Place::Manifest(difference(Change::Changed)), "manifest: etc/app differs: mode 0644 -> 0600"),
            (Place::Bytes { layer: 3 }, "layer 3 has the same files and other bytes"),
            (Place::Count { first: 1, second: 2 }, "it has 2 layers, and the first build's has 1"),
            (Place::Writing, "the same fields are written in other bytes"),
        ] {
            assert_eq!(summary(&place), expected);
            let failure = failure(&place, Some(&Platform::new("linux", "arm64", None)));
            assert_eq!(failure.code(), 1);
            assert_eq!(failure.summary(), format!("a second build for linux/arm64 makes another image: {expected}"));
        }
    }
}
