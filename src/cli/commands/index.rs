//! `idpbuilder-index`.

use crate::app::now;
use crate::cli::args::StoreArgs;
use crate::cli::args::names::local_name;
use crate::cli::command::Run;
use crate::cli::failure::{Failure, Kind, Outcome};
use crate::cli::render::names::print_replaced;
use crate::cli::terminal::Ui;
use crate::image::{Descriptor, Reference};
use crate::ops::index::{IndexError, IndexOutcome, add, create, remove};

/// Make and change indexes: one name for an image each platform
///
/// An index refers to images of the local store, which stay what they are. Push, list, inspect and save take it by
/// its name as they take an image.
#[derive(Debug, clap::Parser)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make an index of images; of an IMAGE that is an index, all its images are taken
    Create {
        /// Name of the index; what has it loses it
        #[arg(value_name = "NAME")]
        name: String,
        /// Names, digests or ids of stored images
        #[arg(value_name = "IMAGE", required = true)]
        images: Vec<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Add images to an index, in place of those for the same platform
    Add {
        /// Name of the index
        #[arg(value_name = "NAME")]
        name: String,
        /// Names, digests or ids of stored images
        #[arg(value_name = "IMAGE", required = true)]
        images: Vec<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Remove images from an index; the store keeps them until it is pruned
    #[command(visible_alias = "remove")]
    Rm {
        /// Name of the index
        #[arg(value_name = "NAME")]
        name: String,
        /// Platforms (os/architecture[/variant]) or digests of manifests
        #[arg(value_name = "PLATFORM|DIGEST", required = true)]
        wanted: Vec<String>,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, clap::Args)]
struct Common {
    /// Print the digest only
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    store: StoreArgs,
}

impl Run for Args {
    fn run(self, ui: &mut Ui) -> Outcome {
        let (name, common) = match &self.verb {
            Verb::Create { name, common, .. } | Verb::Add { name, common, .. } | Verb::Rm { name, common, .. } => {
                (local_name(name.parse::<Reference>()?)?, common)
            }
        };
        ui.silence(common.quiet);
        let store = common.store.open(ui)?.removing_unpublished();
        let outcome = match &self.verb {
            Verb::Create { images, .. } => create(&store, &name, images, &now())?,
            Verb::Add { images, .. } => add(&store, &name, images, &now())?,
            Verb::Rm { wanted, .. } => remove(&store, &name, wanted, &now())?,
        };
        print_report(ui, &outcome)
    }
}

fn print_report(ui: &Ui, outcome: &IndexOutcome) -> Outcome {
    for (word, images) in [("Added", &outcome.added), ("Removed", &outcome.removed)] {
        for image in images {
            ui.status(&format!("{word} {} ({})", platform(image), image.digest));
        }
    }
    print_replaced(ui, &outcome.replaced);
    ui.status(&format!("Index saved to local store: {}", outcome.name));
    Ok(ui.data(&outcome.document.digest().to_string())?)
}

/// The platform of an index's entry, for people.
fn platform(image: &Descriptor) -> String {
    image.platform.as_ref().map_or_else(|| "no platform".to_owned(), crate::image::Platform::full)
}

impl From<IndexError> for Failure {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Store(error) => error.into(),
            IndexError::NotAnIndex(ref name) => {
                let hint = format!("make an index under another name: idpbuilder-index create NAME {name} ...");
                Self::new(Kind::Image, error).hint(hint)
            }
            IndexError::DigestInName(_) => Self::new(Kind::Usage, error).hint("give a name with a tag"),
            IndexError::PlatformTwice { .. } => Self::new(Kind::Image, error)
                .hint("leave one out; idpbuilder-index add puts an image in the place of another"),
            IndexError::NothingFits { .. } => Self::new(Kind::Image, error)
                .hint("give one of these platforms, or a manifest's digest; idpbuilder-inspect NAME shows both"),
            IndexError::Several { .. } => {
                Self::new(Kind::Image, error).hint("give one of these as it is written here, or a manifest's digest")
            }
            IndexError::Empty(ref name) => {
                let hint = format!("idpbuilder-rm {name} removes the index itself");
                Self::new(Kind::Usage, error).hint(hint)
            }
            IndexError::NoPlatform(_) => {
                Self::new(Kind::Image, error).hint("an index names images of containers, a platform each")
            }
            IndexError::TooMany => Self::new(Kind::Usage, error),
        }
    }
}
