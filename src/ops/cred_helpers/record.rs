//! What was changed, kept to take it back: no file's content, only our own edit of it and two digests.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::files::read;
use super::{CredHelperError, Reader};
use crate::credentials::MAX_CONFIG_BYTES;
use crate::fs::{check_limit, replace_file};
use crate::image::Digest;

/// The form that is written and read.
const VERSION: u32 = 1;

/// Everything that was wired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Records {
    version: u32,
    pub(super) files: Vec<Record>,
}

/// One file that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Who reads it.
    pub(super) readers: Vec<Reader>,
    /// Where they find it.
    pub(super) path: PathBuf,
    /// The file itself, behind links.
    pub(super) target: PathBuf,
    /// Whether it was not there before.
    pub(super) created: bool,
    /// Directories that were made for it, the outermost first.
    pub(super) directories: Vec<PathBuf>,
    /// Whether the object of helpers was not there before.
    pub(super) helpers_created: bool,
    /// The registries that were given our helper.
    pub(super) entries: Vec<Entry>,
    /// The last edit.
    pub(super) edit: Edit,
}

/// A registry, and the helper it had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) registry: String,
    pub(super) helper: Option<String>,
}

/// The one place where two texts differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Edit {
    /// The digest of the text before it.
    before: String,
    /// The digest of the text after it.
    after: String,
    /// Where, in bytes.
    at: usize,
    removed: String,
    inserted: String,
}

impl Edit {
    pub(super) fn between(before: &str, after: &str) -> Self {
        let common = before.bytes().zip(after.bytes()).take_while(|(one, other)| one == other).count();
        let boundary = |at: &usize| before.is_char_boundary(*at) && after.is_char_boundary(*at);
        let start = (0..=common).rev().find(boundary).unwrap_or(0);
        let ends = before[start..].bytes().rev().zip(after[start..].bytes().rev());
        let common = ends.take_while(|(one, other)| one == other).count();
        let (long, other) = (before.len(), after.len());
        let both = |same: &usize| before.is_char_boundary(long - same) && after.is_char_boundary(other - same);
        let same = (0..=common).rev().find(both).unwrap_or(0);
        Self {
            before: digest(before),
            after: digest(after),
            at: start,
            removed: before[start..long - same].to_owned(),
            inserted: after[start..other - same].to_owned(),
        }
    }

    /// Returns the text before the edit, if `text` is exactly the one after it.
    pub(super) fn undone(&self, text: &str) -> Option<Zeroizing<String>> {
        if digest(text) != self.after {
            return None;
        }
        let (before, rest) = (text.get(..self.at)?, text.get(self.at..)?);
        let restored = Zeroizing::new([before, &self.removed, rest.strip_prefix(&self.inserted)?].concat());
        (digest(&restored) == self.before).then_some(restored)
    }
}

fn digest(text: &str) -> String {
    Digest::of(text.as_bytes()).to_string()
}

impl Records {
    /// Returns the file they are in.
    pub(super) fn path(home: &Path) -> PathBuf {
        home.join("wiring.json")
    }

    /// Reads what is kept in the program's directory.
    pub(super) fn load(home: &Path) -> Result<Self, CredHelperError> {
        let path = Self::path(home);
        let Some(bytes) = read(&path)? else { return Ok(Self { version: VERSION, files: Vec::new() }) };
        let records: Option<Self> = serde_json::from_slice(&bytes).ok();
        records.filter(|records| records.version == VERSION).ok_or(CredHelperError::Record(path))
    }

    /// Writes them for the next command; with nothing to keep, nothing is kept.
    pub(super) fn save(&self, home: &Path) -> Result<(), CredHelperError> {
        let path = Self::path(home);
        let failed = |source| CredHelperError::Io { action: "write", path: path.clone(), source };
        if self.files.is_empty() {
            return match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
                _ => Ok(()),
            };
        }
        // A path that is not text cannot be written as JSON.
        let bytes = serde_json::to_vec_pretty(self).map_err(|error| failed(error.into()))?;
        check_limit(&bytes, MAX_CONFIG_BYTES).map_err(failed)?;
        replace_file(&path, &bytes).map_err(failed)
    }

    pub(super) fn of(&self, target: &Path) -> Option<&Record> {
        self.files.iter().find(|record| record.target == target)
    }

    /// Notes a further reader of a file, if there is a record of it.
    pub(super) fn share(&mut self, target: &Path, reader: Reader) {
        if let Some(record) = self.files.iter_mut().find(|record| record.target == target)
            && !record.readers.contains(&reader)
        {
            record.readers.push(reader);
        }
    }

    /// Puts a record in the place of the one for the same file.
    pub(super) fn put(&mut self, record: Record) {
        match self.files.iter_mut().find(|other| other.target == record.target) {
            Some(other) => *other = record,
            None => self.files.push(record),
        }
    }

    /// Forgets a file.
    pub(super) fn drop_of(&mut self, target: &Path) {
        self.files.retain(|record| record.target != target);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_edit_keeps_nothing_of_what_is_around_it() {
        let edit = Edit::between("{\"auth\": \"secret\", \"x\": {}}", "{\"auth\": \"secret\", \"x\": {\"r\": \"h\"}}");
        assert_eq!((edit.at, edit.removed.as_str(), edit.inserted.as_str()), (25, "", "\"r\": \"h\""));
        assert_eq!(edit.undone("{\"auth\": \"secret\", \"x\": {\"r\": \"i\"}}"), None);
    }

    #[test]
    fn records_are_private_and_nothing_is_no_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut records = Records::load(dir.path()).expect("nothing there");
        assert_eq!(records.files, []);
        records.put(Record {
            readers: vec![Reader::Docker],
            path: "/p".into(),
            target: "/t".into(),
            created: true,
            directories: Vec::new(),
            helpers_created: true,
            entries: Vec::new(),
            edit: Edit::between("", "x"),
        });
        records.save(dir.path()).expect("saved");
        assert_eq!(Records::load(dir.path()).expect("read"), records);
        let file = dir.path().join("wiring.json");
        assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
        for damaged in ["", "{}", "{\"version\":2,\"files\":[]}", "{\"version\":1,\"files\":[{}]}"] {
            std::fs::write(&file, damaged).expect("written");
            assert!(
                matches!(Records::load(dir.path()), Err(CredHelperError::Record(path)) if path == file),
                "{damaged}"
            );
        }
        records.drop_of(Path::new("/t"));
        records.save(dir.path()).expect("saved");
        records.save(dir.path()).expect("nothing to remove");
        assert!(!file.exists());
    }

    proptest! {
        #[test]
        fn every_edit_is_undone(before in "[aé😀\"{} ]{0,12}", after in "[aé😀\"{} ]{0,12}", other in "[aé]{0,4}") {
            let edit = Edit::between(&before, &after);
            prop_assert_eq!(edit.undone(&after).map(|text| text.to_string()), Some(before));
            if other != after {
                prop_assert_eq!(edit.undone(&other), None);
            }
        }

        #[test]
        fn reading_never_panics(text in ".{0,80}", at in 0_usize..9) {
            let _ = serde_json::from_str::<Records>(&text);
            let edit = Edit { at, ..Edit::between("", &text) };
            let _ = edit.undone(&text);
        }
    }
}
