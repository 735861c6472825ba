//! `idpbuilder-tag`.

use crate::cli::applet::Run;
use crate::cli::args::StoreArgs;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::terminal::Ui;
use crate::image::Reference;

/// Give further names to a stored image
///
/// The image gets every DST as a name; a name that stood for another image moves. No data is copied.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    /// Name, digest or id of a stored image
    #[arg(value_name = "SRC")]
    source: String,
    /// New names
    #[arg(value_name = "DST", required = true)]
    destinations: Vec<String>,
    #[command(flatten)]
    store: StoreArgs,
    /// Print nothing
    #[arg(short, long)]
    quiet: bool,
}

impl Run for Args {
    fn run(self, ui: &mut Ui) -> Outcome {
        ui.silence(self.quiet);
        let names = names(&self.destinations)?;
        let store = self.store.open(ui)?;
        let outcome = crate::ops::tag::tag(&store, &self.source, names, &now())?;
        for name in &outcome.names {
            ui.status(&format!("{name} is {}", outcome.digest));
        }
        super::build::print_replaced(ui, &outcome.replaced);
        Ok(())
    }
}

/// Names for an image, `latest` where no tag is given.
pub(crate) fn names(given: &[String]) -> Result<Vec<Reference>, Failure> {
    let mut names = Vec::new();
    for text in given {
        let name = local_name(text.parse::<Reference>()?)?.with_default_tag();
        if name.digest().is_some() {
            return Err(Failure::usage(format!("`{text}` has a digest; a new name takes a tag only")));
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Refuses a name for the local store that would be taken for a digest where it is typed.
pub(crate) fn local_name(name: Reference) -> Result<Reference, Failure> {
    if name.reads_as_digest() {
        return Err(Failure::usage(format!("`{name}` reads as a digest or an id, so it cannot be a name"))
            .hint("give a name and a tag, for example app:v1"));
    }
    Ok(name)
}

/// The wall clock, RFC 3339, whole seconds.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().round(jiff::Unit::Second).map_or_else(|_| String::new(), |now| now.to_string())
}
