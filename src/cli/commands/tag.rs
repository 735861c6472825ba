//! `idpbuilder-tag`.

use crate::app::now;
use crate::cli::args::StoreArgs;
use crate::cli::args::names::names;
use crate::cli::command::Run;
use crate::cli::failure::Outcome;
use crate::cli::render::names::print_replaced;
use crate::cli::terminal::Ui;

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
        print_replaced(ui, &outcome.replaced);
        Ok(())
    }
}
