//! What the rules leave out, counted: nothing of it is read, and what cannot be looked at is passed over.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{Context, ContextError, IgnoreRules};
use crate::progress::Interrupt;

/// What one rule leaves out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Files, links and whatever else is not a directory.
    pub entries: u64,
    /// Bytes of the files.
    pub bytes: u64,
}

impl Context {
    /// Walks through everything, also where the rules look no further, and counts what each rule leaves out. The key is
    /// the rule's place among [`IgnoreRules::rules`]. `skip` is left out of the count.
    pub fn census(
        &self,
        rules: &IgnoreRules,
        skip: Option<&Path>,
        interrupt: &Interrupt,
    ) -> Result<BTreeMap<usize, Dropped>, ContextError> {
        let mut dropped: BTreeMap<usize, Dropped> = BTreeMap::new();
        let mut waiting: Vec<PathBuf> = vec![self.root().to_owned()];
        while let Some(directory) = waiting.pop() {
            if interrupt.requested() {
                return Err(ContextError::Interrupted);
            }
            for found in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
                let path = found.path();
                let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
                if Some(path.as_path()) == skip {
                    continue;
                }
                if metadata.is_dir() {
                    waiting.push(path);
                    continue;
                }
                let relative = path.strip_prefix(self.root()).unwrap_or(&path);
                if let Some(index) = rules.excluding(relative.as_os_str().as_bytes()) {
                    let count = dropped.entry(index).or_default();
                    count.entries += 1;
                    count.bytes += if metadata.is_file() { metadata.size() } else { 0 };
                }
            }
        }
        Ok(dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_told_what_it_leaves_out() {
        let directory = tempfile::tempdir().expect("a directory");
        for (path, size) in [("a/b/one", 10), ("a/two", 5), ("keep/x", 3), ("c.tmp", 7), ("a/back", 1)] {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, vec![0; size]).expect("written");
        }
        std::os::unix::net::UnixListener::bind(directory.path().join("a/socket")).expect("a socket");
        let context = Context::open(directory.path()).expect("a context");
        let patterns = ["a", "*.tmp", "!a/back"].map(str::to_owned);
        let rules = context.rules(None, &patterns).expect("patterns");
        let counted = context.census(&rules, None, &Interrupt::default()).expect("walked");
        let expected = [(0, Dropped { entries: 3, bytes: 15 }), (1, Dropped { entries: 1, bytes: 7 })];
        assert_eq!(counted, BTreeMap::from(expected));
        let kept = context.census(&rules, Some(&context.root().join("c.tmp")), &Interrupt::default()).expect("walked");
        assert_eq!(kept.get(&1), None);
    }
}
