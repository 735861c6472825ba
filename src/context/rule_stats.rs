//! Counts what each rule decides. No file is read, and unreadable entries are skipped.

use std::path::PathBuf;

use rustix::fs::{AtFlags, Dir, FileType, statat};

use super::walk::{is_directory, place, relative_to};
use super::{Context, ContextError, IgnoreRules};
use crate::fs::{DIRECTORY, open_beneath};
use crate::progress::Interrupt;

/// The entries that one rule excludes or, as an exception, includes again.
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
    pub fn rule_stats(
        &self,
        rules: &IgnoreRules,
        skip: &[PathBuf],
        interrupt: &Interrupt,
    ) -> Result<Vec<Decided>, ContextError> {
        let mut decided = vec![Decided::default(); rules.rules().len()];
        let skip = relative_to(self.root(), skip);
        let mut waiting = vec![Vec::new()];
        while let Some(directory) = waiting.pop() {
            let opened = open_beneath(self.handle(), place(&directory), DIRECTORY).and_then(Dir::new);
            let Ok(mut names) = opened else { continue };
            while let Some(Ok(name)) = names.read() {
                if interrupt.requested() {
                    return Err(ContextError::Interrupted);
                }
                let Ok(opened) = names.fd() else { break };
                if matches!(name.file_name().to_bytes(), b"." | b"..") {
                    continue;
                }
                let mut path = directory.clone();
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(name.file_name().to_bytes());
                if skip.contains(&path) {
                    continue;
                }
                if is_directory(opened, &name) {
                    waiting.push(path);
                    continue;
                }
                let Some(index) = rules.deciding(&path) else { continue };
                let Ok(stat) = statat(opened, name.file_name(), AtFlags::SYMLINK_NOFOLLOW) else { continue };
                decided[index].entries += 1;
                if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
                    decided[index].bytes += u64::try_from(stat.st_size).unwrap_or_default();
                }
            }
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
            let counted = context.rule_stats(&rules, skip, &Interrupt::default()).expect("walked");
            counted.into_iter().map(|Decided { entries, bytes }| (entries, bytes)).collect::<Vec<_>>()
        };
        assert_eq!(count(&[]), [(3, 15), (1, 7), (1, 1), (0, 0)]);
        assert_eq!(count(&[context.root().join("c.tmp")]), [(3, 15), (0, 0), (1, 1), (0, 0)]);
    }
}
