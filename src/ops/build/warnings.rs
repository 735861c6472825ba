//! Warnings about a directory that goes into an image.

use std::path::Path;

use crate::context::{Context, IGNORE_FILES, LeaveOut, Listing, SecretFiles, advice};

/// Sentences about what was listed by the rules of `ignore_file`. `copied` says that it is not the context but a further
/// source; `store_root` is where the store really is.
pub(super) fn warnings(
    listing: &Listing,
    context: &Context,
    ignore_file: Option<&Path>,
    copied: bool,
    store_root: &Path,
) -> Vec<String> {
    let given = context.given().display();
    let name = if copied { format!("`{given}`") } else { format!("the build context `{given}`") };
    let skipped = listing.skipped.iter().map(|skipped| {
        let what =
            if skipped == store_root { "the image store" } else { "where credentials and certificates are kept" };
        format!("`{}`, {what}, is inside {name} and stays out of the image", skipped.display())
    });
    let mut warnings: Vec<String> = skipped.collect();
    if listing.entries.is_empty() {
        warnings.push(match listing.excluded {
            0 => format!("{name} is empty, and so is its layer"),
            count => format!("the ignore patterns exclude everything in {name} ({count}); its layer is empty"),
        });
    }
    warnings.extend(listing.socket_warning(context));
    let own = context.shown(Path::new(IGNORE_FILES[1]));
    let how = LeaveOut::IgnoreFile(ignore_file.unwrap_or(&own));
    warnings.extend(context.secrets(&listing.entries).iter().collect::<SecretFiles>().warning(Some(&name), how));
    warnings.extend(advice(&listing.entries, copied.then(|| context.given())));
    warnings
}
