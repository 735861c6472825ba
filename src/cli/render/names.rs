//! What becomes of names.

use crate::cli::terminal::Ui;
use crate::image::Digest;

/// Prints which images have no name any more.
pub(crate) fn print_replaced(ui: &Ui, replaced: &[Digest]) {
    if let [_, ..] = replaced {
        let digests: Vec<String> = replaced.iter().map(Digest::short).collect();
        ui.status(&format!("No name is left for {}; idpbuilder-rm --prune frees its space", digests.join(", ")));
    }
}
