//! The credential store as a source of the chain.

use std::path::PathBuf;

use super::{CredentialStore, EntriesError};
use crate::credentials::docker_config::is_readable_by_others;
use crate::credentials::{Answer, CredentialSource};

impl CredentialSource for CredentialStore {
    fn name(&self) -> String {
        "the stored credentials".into()
    }

    fn exposed(&self, registry: &str, _repository: &str) -> Option<PathBuf> {
        let record = self.index.find(&registry.parse().ok()?).ok()??;
        (record.item.is_some() && is_readable_by_others(self.path())).then(|| self.path().to_owned())
    }

    fn find(&self, registry: &str, _repository: &str) -> Answer {
        // A text that is not an address has no entry.
        let Ok(key) = registry.parse() else { return Answer::NotFound };
        match self.get(&key) {
            Ok(Some(credential)) => Answer::Found(credential),
            Ok(None) => Answer::NotFound,
            // There may be an entry, so the search ends: another source's user would be the wrong one.
            Err(
                error @ (EntriesError::Read { .. }
                | EntriesError::Syntax { .. }
                | EntriesError::TooLarge { .. }
                | EntriesError::Version { .. }),
            ) => Answer::Doubtful(error.into(), None),
            Err(error) => Answer::Failed(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::credentials::{Credential, CredentialError, Keyring, Secret, StoreKind};

    #[test]
    fn an_entry_is_found_by_any_spelling_and_damage_is_a_failure() {
        let home = tempfile::tempdir().expect("a directory");
        let keyring: Arc<dyn Keyring> = Arc::new(super::super::keyring::tests::Fake::default());
        let entries = CredentialStore::open(StoreKind::File, home.path(), keyring);
        assert!(matches!(entries.find("r.example", "team/app"), Answer::NotFound));
        let credential = Credential::Basic { username: "u".into(), secret: Secret::new("hunter2".into()) };
        entries.put(&"r.example".parse().expect("an address"), "r.example", &credential).expect("kept");
        assert!(matches!(entries.find("R.example:443", "team/app"), Answer::Found(Credential::Basic { .. })));
        assert!(matches!(entries.find("not an address", ""), Answer::NotFound));
        std::fs::write(entries.path(), "{").expect("written");
        assert!(matches!(entries.find("r.example", ""), Answer::Doubtful(CredentialError::Own(_), None)));
        for nothing in ["", "\n", "null\n"] {
            std::fs::write(entries.path(), nothing).expect("written");
            assert!(matches!(entries.find("r.example", ""), Answer::NotFound), "{nothing:?}");
        }
    }
}
