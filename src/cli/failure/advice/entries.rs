//! Advice about stored credentials.

use crate::cli::failure::{Failure, Kind};
use crate::credentials::{EntriesError, InvalidHostKey, KeyringError};
use crate::fs::LockError;

impl From<InvalidHostKey> for Failure {
    fn from(error: InvalidHostKey) -> Self {
        Self::new(Kind::Usage, error).hint("an address is host or host:port, for example gitea.cnoe.localtest.me:8443")
    }
}

impl From<EntriesError> for Failure {
    fn from(error: EntriesError) -> Self {
        let hint = match &error {
            EntriesError::Read { path, .. } | EntriesError::Write { path, .. } => Some(format!(
                "make `{}` yours to read and write, or remove it and store the credentials again",
                path.display()
            )),
            EntriesError::TooLarge { path } | EntriesError::Syntax { path, .. } => {
                Some(format!("remove `{}` and store the credentials again", path.display()))
            }
            EntriesError::Version { .. } => Some("use the version that wrote it, or a later one".to_owned()),
            EntriesError::Keyring(KeyringError::Interrupted)
            | EntriesError::Lock(LockError::Interrupted(_) | LockError::Io { .. })
            | EntriesError::TooLong => None,
            EntriesError::Keyring(_) => Some(
                "unlock the keyring and try again, or choose a file of mode 0600: credential_store = \"file\" in \
                 config.toml"
                    .to_owned(),
            ),
            EntriesError::Missing { key } => {
                Some(format!("unlock the keyring, or store the credential for {key} again"))
            }
            EntriesError::Damaged { .. } => Some("store the credential again".to_owned()),
            EntriesError::Lock(LockError::Deadline { .. }) => {
                Some("try again when the other command has ended".to_owned())
            }
        };
        let kind = match &error {
            EntriesError::Keyring(KeyringError::Interrupted) | EntriesError::Lock(LockError::Interrupted(_)) => {
                Kind::Interrupted
            }
            EntriesError::Keyring(KeyringError::Deadline(_)) | EntriesError::Lock(LockError::Deadline { .. }) => {
                Kind::Deadline
            }
            _ => Kind::Failed,
        };
        let failure = Self::new(kind, error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
