//! A person's own entries, opened by the settings, and where they went.

use std::sync::Arc;

use super::Session;
use crate::config::ConfigError;
use crate::credentials::{CredentialStore, Kept, SystemKeyring};

/// The entries in the program's directory and the system's keyring.
pub(crate) fn credential_store(session: Session<'_>) -> Result<CredentialStore, ConfigError> {
    let settings = session.surroundings.settings(None)?;
    let entries = CredentialStore::open(settings.credential_store.value, &settings.home.value, Arc::new(SystemKeyring));
    Ok(entries.with_interrupt(session.surroundings.interrupt.clone()))
}

/// Where an entry went, in words; warns where it is not where it should be.
pub(crate) fn kept(session: Session<'_>, kept: &Kept) -> String {
    match kept {
        Kept::Keyring => "the keyring".to_owned(),
        Kept::File { path, instead } => {
            if let Some(reason) = instead {
                session.console.warn(&format!(
                    "{reason}; the credential is kept unencrypted in `{}`, readable by you alone; credential_store = \
                     \"file\" in config.toml says that this is meant",
                    path.display()
                ));
            }
            format!("`{}`", path.display())
        }
    }
}
