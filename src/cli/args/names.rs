//! Names for images of the local store.

use crate::cli::failure::Failure;
use crate::image::Reference;

/// Parses names for an image; a name without a tag gets `latest`.
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
