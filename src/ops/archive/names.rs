//! Names that images have in archives.

use crate::image::Reference;

/// Returns the name as the store gives it, with a tag; none for what cannot be a name there: it is no reference, or
/// reads as a digest where it is typed.
pub(super) fn usable(name: &str) -> Option<Reference> {
    let reference = name.parse::<Reference>().ok().filter(|reference| !reference.reads_as_digest())?;
    Some(reference.with_default_tag())
}

/// Returns the name as it is written into Docker's `manifest.json`, with a tag and without a digest; none for a name that
/// has no place there.
pub(super) fn repo_tag(name: &str) -> Option<Reference> {
    let reference = usable(name)?;
    Reference::from_parts(reference.registry(), reference.repository(), Some(reference.tag()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_the_store_and_dockers_archives_have_them() {
        let hex = "a".repeat(64);
        let digest = format!("sha256:{hex}");
        for (name, in_store, in_docker) in [
            ("app", "app:latest", "app:latest"),
            ("app:v1", "app:v1", "app:v1"),
            ("r.io:5000/a/b:v1", "r.io:5000/a/b:v1", "r.io:5000/a/b:v1"),
            ("v1", "v1:latest", "v1:latest"),
            (&*format!("app@{digest}"), &*format!("app@{digest}"), ""),
            (&*format!("app:v1@{digest}"), &*format!("app:v1@{digest}"), "app:v1"),
            ("", "", ""),
            ("v1.0+build5", "", ""),
            ("App:v1", "", ""),
            ("app:v 1", "", ""),
            ("<none>:<none>", "", ""),
            ("sha256:abc", "", ""),
            ("sha512:v1", "", ""),
            (&*digest, "", ""),
            (&*hex, "", ""),
            (&*format!("{hex}:v1"), "", ""),
            (&*format!("r.io/sha256:{hex}"), &*format!("r.io/sha256:{hex}"), &*format!("r.io/sha256:{hex}")),
            (&*format!("team/{hex}"), &*format!("team/{hex}:latest"), &*format!("team/{hex}:latest")),
        ] {
            let shown = |name: Option<Reference>| name.map_or_else(String::new, |name| name.to_string());
            assert_eq!(shown(usable(name)), in_store, "{name}");
            assert_eq!(shown(repo_tag(name)), in_docker, "{name}");
        }
    }
}
