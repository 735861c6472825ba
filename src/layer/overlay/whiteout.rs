//! Names by which a layer removes what the layers below have (image-spec, "Whiteouts"). A source cannot have them.

/// What a name begins with that hides the name that follows in the layers below.
pub(crate) const WHITEOUT: &[u8] = b".wh.";

/// What hides everything of a directory in the layers below.
pub(crate) const OPAQUE: &[u8] = b".wh..wh..opq";

/// What is wrong with a path that [`removes`].
pub(crate) const REMOVES: &str = "has a name that removes files of the layers below (`.wh.`)";

/// Returns whether something at a path would not be there once a layer is unpacked, but take away what is below.
pub(crate) fn removes(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').any(|name| name.starts_with(WHITEOUT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_of_a_path_may_remove() {
        for path in [".wh.a", "a/.wh.b", "a/.wh.b/c", ".wh..wh..opq", ".wh."] {
            assert!(removes(path.as_bytes()), "{path}");
        }
        for path in ["", "a.wh.b", ".wha", "wh.a", "a/.wh", ".WH.a"] {
            assert!(!removes(path.as_bytes()), "{path}");
        }
    }
}
