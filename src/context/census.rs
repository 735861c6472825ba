//! What the rules decide, counted: nothing of it is read, and what cannot be looked at is passed over.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use ignore::WalkBuilder;

use super::{Context, ContextError, IgnoreRules};
use crate::progress::Interrupt;

/// What one rule decides: it leaves that out, or brings it back if it is an exception.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Decided {
    /// Files, links and whatever else is not a directory.
    pub entries: u64,
    /// Bytes of the files.
    pub bytes: u64,
}

impl Context {
    /// Walks through everything, also where the rules look no further, and counts what each rule decides, in the order of
    /// [`IgnoreRules::rules`]. `skip` is left out of the count.
    pub fn census(
        &self,
        rules: &IgnoreRules,
        skip: &[PathBuf],
        interrupt: &Interrupt,
    ) -> Result<Vec<Decided>, ContextError> {
        let mut decided = vec![Decided::default(); rules.rules().len()];
        let skip = skip.to_vec();
        let walk = WalkBuilder::new(self.root())
            .standard_filters(false)
            .filter_entry(move |entry| !skip.iter().any(|skip| skip == entry.path()))
            .build();
        for found in walk.flatten() {
            if interrupt.requested() {
                return Err(ContextError::Interrupted);
            }
            if found.file_type().is_some_and(|kind| kind.is_dir()) {
                continue;
            }
            let relative = found.path().strip_prefix(self.root()).unwrap_or(found.path());
            let Some(index) = rules.deciding(relative.as_os_str().as_bytes()) else { continue };
            let Ok(metadata) = std::fs::symlink_metadata(found.path()) else { continue };
            decided[index].entries += 1;
            decided[index].bytes += if metadata.is_file() { metadata.size() } else { 0 };
        }
        Ok(decided)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_told_what_it_decides() {
        let directory = tempfile::tempdir().expect("a directory");
        for (path, size) in [("a/b/one", 10), ("a/two", 5), ("keep/x", 3), ("c.tmp", 7), ("a/back", 1)] {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, vec![0; size]).expect("written");
        }
        std::os::unix::net::UnixListener::bind(directory.path().join("a/socket")).expect("a socket");
        let context = Context::open(directory.path()).expect("a context");
        let patterns = ["a", "*.tmp", "!a/back", "missing"].map(str::to_owned);
        let rules = context.rules(None, &patterns).expect("patterns");
        let count = |skip: &[PathBuf]| {
            let counted = context.census(&rules, skip, &Interrupt::default()).expect("walked");
            counted.into_iter().map(|Decided { entries, bytes }| (entries, bytes)).collect::<Vec<_>>()
        };
        assert_eq!(count(&[]), [(3, 15), (1, 7), (1, 1), (0, 0)]);
        assert_eq!(count(&[context.root().join("c.tmp")]), [(3, 15), (0, 0), (1, 1), (0, 0)]);
    }
}
