//! The credentials that `idpbuilder-login` stores: in the system's keyring, or in a file of mode 0600.

mod index;
mod keyring;
mod source;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use index::{Index, Record};
pub use keyring::{Item, Keyring, KeyringError, SystemKeyring};

use super::{Credential, HostKey, Secret};
use crate::config::StoreKind;
use crate::fs::LockError;
use crate::progress::Interrupt;

/// How long the keyring may take: long enough for the user to unlock it, short enough for a waiting program.
pub const KEYRING_LIMIT: Duration = Duration::from_secs(10);

/// The most bytes of a user name or a secret.
pub const MAX_FIELD_BYTES: usize = 64 * 1024;

/// Where an entry was stored.
#[derive(Debug, Clone)]
pub enum Kept {
    /// In the keyring.
    Keyring,
    /// In the file.
    File {
        /// The file.
        path: PathBuf,
        /// Why the keyring was not used, for a warning; `None` if the file was requested.
        instead: Option<KeyringError>,
    },
}

/// An entry, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnEntry {
    /// The registry.
    pub key: HostKey,
    /// The registry's address as the user typed it when the entry was made.
    pub server: String,
    /// The user name; empty for a token without one.
    pub username: String,
    /// Whether the keyring holds it.
    pub in_keyring: bool,
}

/// Why the credential store cannot be read or changed. Holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum EntriesError {
    /// The system refused.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The system refused.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The file is larger than the limit.
    #[error("`{}` would be, or is, larger than 1 MiB", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file does not have the expected form.
    #[error("`{}` is damaged (line {line}, column {column})", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where, counted from 1.
        line: usize,
        /// Where in the line.
        column: usize,
    },
    /// A later version of ours wrote it.
    #[error("`{}` has version {version}, which is not known", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version.
        version: u32,
    },
    /// Another process holds the file's lock for too long.
    #[error("the file of credentials is in use")]
    Lock(#[from] LockError),
    /// The keyring failed, and nothing else may be used.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The keyring should have the entry and says that it has none: it may be locked, or the entry was removed there.
    #[error("the keyring does not give the entry for {key}; it may be locked")]
    Missing {
        /// The registry.
        key: HostKey,
    },
    /// The stored value is not a valid credential.
    #[error("the entry for {key} is damaged")]
    Damaged {
        /// The registry.
        key: HostKey,
    },
    /// The user name or secret is longer than the limit.
    #[error("a user name or secret longer than 64 KiB is not kept")]
    TooLong,
}

/// A person's own entries. Calls block, for at most [`KEYRING_LIMIT`] and the wait for a lock.
pub struct CredentialStore {
    kind: StoreKind,
    index: Index,
    keyring: Arc<dyn Keyring>,
    patience: Duration,
    interrupt: Interrupt,
}

impl std::fmt::Debug for CredentialStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnEntries").field("kind", &self.kind).field("index", &self.index).finish_non_exhaustive()
    }
}

/// A credential as an item of the keyring or the file has it.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Kind {
    Basic { username: String, secret: Zeroizing<String> },
    IdentityToken { username: String, secret: Zeroizing<String> },
    RegistryToken { secret: Zeroizing<String> },
}

impl CredentialStore {
    /// Returns the entries below `home` (`~/.idpbuilder`). Nothing is read, created or asked yet.
    pub fn open(kind: StoreKind, home: &Path, keyring: Arc<dyn Keyring>) -> Self {
        Self { kind, index: Index::new(home), keyring, patience: KEYRING_LIMIT, interrupt: Interrupt::default() }
    }

    /// Returns the store with an interrupt that ends a wait for the keyring.
    #[must_use]
    pub fn with_interrupt(mut self, interrupt: Interrupt) -> Self {
        self.interrupt = interrupt;
        self
    }

    /// Returns the store with `patience` as the limit on each keyring call.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Returns the file; it may not be there.
    pub fn path(&self) -> &Path {
        self.index.path()
    }

    /// Returns the credential kept for a registry. One that nothing is kept for costs a look at the file and no more.
    pub fn get(&self, key: &HostKey) -> Result<Option<Credential>, EntriesError> {
        let Some(record) = self.index.find(key)? else { return Ok(None) };
        let damaged = || EntriesError::Damaged { key: key.clone() };
        if let Some(item) = record.item {
            return read(item.as_bytes()).map(Some).ok_or_else(damaged);
        }
        let name = key.to_string();
        let item = keyring::within(&self.keyring, self.patience, &self.interrupt, move |keyring| keyring.get(&name))?;
        let item = item.ok_or_else(|| EntriesError::Missing { key: key.clone() })?;
        read(&item).map(Some).ok_or_else(damaged)
    }

    /// Stores a credential, replacing an existing one for the registry. `server` is the address as the user typed it.
    pub fn put(&self, key: &HostKey, server: &str, credential: &Credential) -> Result<Kept, EntriesError> {
        let item = write(credential);
        let username = match credential {
            Credential::Basic { username, .. }
            | Credential::TokenOrPassword { username, .. }
            | Credential::IdentityToken { username, .. } => username.clone(),
            Credential::RegistryToken(_) => String::new(),
        };
        if username.len() > MAX_FIELD_BYTES || item.len() > 2 * MAX_FIELD_BYTES {
            return Err(EntriesError::TooLong);
        }
        let record =
            |item| Record { server: server.to_owned(), username: username.clone(), item, left_in_keyring: false };
        let instead = match self.kind {
            StoreKind::File => None,
            StoreKind::Auto | StoreKind::Keyring => match self.put_in_keyring(key, &item) {
                Ok(()) => {
                    self.note(key, record(None))?;
                    return Ok(Kept::Keyring);
                }
                // A keyring that is locked, silent or dismissed is a refusal. Only a missing keyring is replaced by the
                // file.
                Err(error @ KeyringError::Absent(_)) if self.kind == StoreKind::Auto => Some(error),
                Err(error) => return Err(error.into()),
            },
        };
        let before = self.index.find(key)?;
        let in_keyring = before.is_some_and(|before| before.is_in_keyring());
        // Until the keyring's entry is removed, the file records it: a logout has to remove both.
        self.note(key, Record { left_in_keyring: in_keyring, ..record(Some(item.clone())) })?;
        if in_keyring && instead.is_none() && self.erase_in_keyring(key).is_ok() {
            self.note(key, record(Some(item)))?;
        }
        Ok(Kept::File { path: self.index.path().to_owned(), instead })
    }

    /// Removes the credential of a registry; returns whether there was one. The entry stays if the keyring fails to
    /// remove its part, since the secret could not be found without the entry.
    ///
    /// # Errors
    /// Fails where the keyring does not remove the entry. One that is absent is passed over if the settings say that
    /// credentials are kept in the file.
    pub fn erase(&self, key: &HostKey) -> Result<bool, EntriesError> {
        let Some(record) = self.index.find(key)? else { return Ok(false) };
        if record.is_in_keyring() {
            match self.erase_in_keyring(key) {
                Err(KeyringError::Absent(_)) if self.kind == StoreKind::File => {}
                erased => erased?,
            }
        }
        Ok(self.index.update(|records| records.remove(&key.to_string()))?.is_some())
    }

    /// Returns every entry, by address. No keyring is asked.
    pub fn list(&self) -> Result<Vec<OwnEntry>, EntriesError> {
        let entry = |(name, record): (String, Record)| {
            let key = name.parse().ok()?;
            Some(OwnEntry { key, server: record.server, username: record.username, in_keyring: record.item.is_none() })
        };
        Ok(self.index.read()?.into_iter().filter_map(entry).collect())
    }

    fn note(&self, key: &HostKey, record: Record) -> Result<Option<Record>, EntriesError> {
        self.index.update(|records| records.insert(key.to_string(), record))
    }

    fn put_in_keyring(&self, key: &HostKey, item: &Zeroizing<String>) -> Result<(), KeyringError> {
        let (name, item) = (key.to_string(), item.clone());
        keyring::within(&self.keyring, self.patience, &self.interrupt, move |keyring| {
            keyring.put(&name, item.as_bytes())
        })
    }

    fn erase_in_keyring(&self, key: &HostKey) -> Result<(), KeyringError> {
        let name = key.to_string();
        keyring::within(&self.keyring, self.patience, &self.interrupt, move |keyring| keyring.erase(&name))
    }
}

fn write(credential: &Credential) -> Zeroizing<String> {
    let own = |secret: &Secret| Zeroizing::new(secret.expose().to_owned());
    let kind = match credential {
        Credential::Basic { username, secret } | Credential::TokenOrPassword { username, token: secret, .. } => {
            Kind::Basic { username: username.clone(), secret: own(secret) }
        }
        Credential::IdentityToken { username, token } => {
            Kind::IdentityToken { username: username.clone(), secret: own(token) }
        }
        Credential::RegistryToken(token) => Kind::RegistryToken { secret: own(token) },
    };
    Zeroizing::new(serde_json::to_string(&kind).expect("a credential has only strings"))
}

fn read(item: &[u8]) -> Option<Credential> {
    let secret = |mut text: Zeroizing<String>| Secret::new(std::mem::take(&mut *text));
    Some(match serde_json::from_slice(item).ok()? {
        Kind::Basic { username, secret: text } => Credential::Basic { username, secret: secret(text) },
        Kind::IdentityToken { username, secret: text } => Credential::IdentityToken { username, token: secret(text) },
        Kind::RegistryToken { secret: text } => Credential::RegistryToken(secret(text)),
    })
}

#[cfg(test)]
mod tests;
