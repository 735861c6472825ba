//! The index of the credential store: which registries have an entry, and the entry itself if no keyring holds it.
//!
//! The file exists because not every keyring can list its items, and because a registry without an entry must
//! neither start a keyring nor cause it to prompt.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::EntriesError;
use crate::credentials::HostKey;
use crate::fs::{self, FileLock, Hold, Links, Unreadable};

/// The most bytes of the file that are read.
const MAX_BYTES: u64 = 1 << 20;
/// How long to wait for another process that writes.
const PATIENCE: Duration = Duration::from_secs(5);

/// The file's record of one registry.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Record {
    /// The address as the user typed it, for programs that compare it byte by byte.
    pub(super) server: String,
    /// The user name, case kept.
    pub(super) username: String,
    /// The entry, where no keyring keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) item: Option<Zeroizing<String>>,
    /// Whether the keyring may still have an earlier entry, although this one is kept here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) left_in_keyring: bool,
}

impl Record {
    /// Returns whether the keyring has, or may have, an entry for the registry.
    pub(super) fn is_in_keyring(&self) -> bool {
        self.item.is_none() || self.left_in_keyring
    }
}

/// Omits the entry.
impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record").field("server", &self.server).field("username", &self.username).finish_non_exhaustive()
    }
}

/// The records by the text of their [`HostKey`].
pub(super) type Records = BTreeMap<String, Record>;

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    entries: Records,
}

/// The version of the file's form.
const VERSION: u32 = 1;

/// The file `credentials.json`.
#[derive(Debug)]
pub(super) struct Index {
    path: PathBuf,
}

impl Index {
    pub(super) fn new(home: &Path) -> Self {
        Self { path: home.join("credentials.json") }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the current index; a missing file is an empty index.
    pub(super) fn read(&self) -> Result<Records, EntriesError> {
        let bytes = match fs::read_regular(&self.path, MAX_BYTES, Links::Follow) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Records::new()),
            Err(error) => {
                let path = self.path.clone();
                return Err(match Unreadable::of(&error) {
                    Some(Unreadable::TooLarge { .. }) => EntriesError::TooLarge { path },
                    _ => EntriesError::Read { path, source: error },
                });
            }
        };
        // The parser's message may quote a secret.
        let syntax = |error: serde_json::Error| EntriesError::Syntax {
            path: self.path.clone(),
            line: error.line(),
            column: error.column(),
        };
        // An empty file has no entry for any registry.
        if bytes.trim_ascii().is_empty() {
            return Ok(Records::new());
        }
        let Some(document) = serde_json::from_slice::<Option<Document>>(&bytes).map_err(syntax)? else {
            return Ok(Records::new());
        };
        if document.version != VERSION {
            return Err(EntriesError::Version { path: self.path.clone(), version: document.version });
        }
        Ok(document.entries)
    }

    /// Changes the index under its lock; returns what `change` returns.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut Records) -> T) -> Result<T, EntriesError> {
        let failed = |source| EntriesError::Write { path: self.path.clone(), source };
        fs::create_private_dir(fs::parent(&self.path)).map_err(failed)?;
        let lock = self.path.with_file_name(".credentials.lock");
        let _lock = FileLock::acquire(&lock, Hold::Exclusive, PATIENCE)?;
        let mut entries = self.read()?;
        let result = change(&mut entries);
        let document = Document { version: VERSION, entries };
        let mut bytes = Zeroizing::new(serde_json::to_vec_pretty(&document).expect("a document has only strings"));
        bytes.push(b'\n');
        if bytes.len() as u64 > MAX_BYTES {
            return Err(EntriesError::TooLarge { path: self.path.clone() });
        }
        fs::replace_secret_file(&self.path, &bytes).map_err(failed)?;
        Ok(result)
    }

    pub(super) fn find(&self, key: &HostKey) -> Result<Option<Record>, EntriesError> {
        Ok(self.read()?.remove(&key.to_string()))
    }
}
