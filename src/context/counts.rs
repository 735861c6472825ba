//! Numbers of entries and bytes.

use std::collections::HashSet;

use super::{Entry, Kind};

/// Numbers of entries, and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files, with all their names, and links.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Bytes of the files' content.
    pub bytes: u64,
}

impl Counts {
    /// Adds other counts.
    pub fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.directories += other.directories;
        self.bytes += other.bytes;
    }

    /// Counts these entries.
    pub fn of<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut counts = Self::default();
        let mut seen = HashSet::new();
        for entry in entries {
            match &entry.kind {
                Kind::Directory => counts.directories += 1,
                Kind::Symlink { .. } => counts.files += 1,
                Kind::File { stamp, links } => {
                    counts.files += 1;
                    // Further names of a file are links in the layer: its content is read once.
                    if *links < 2 || seen.insert(stamp.identity) {
                        counts.bytes += stamp.size;
                    }
                }
            }
        }
        counts
    }
}
