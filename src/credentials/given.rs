//! The credential somebody gave on the command line.

use super::{Answer, Credential, CredentialError, CredentialSource, Secret};

/// A user name and a secret from flags. It is meant for the command's registry, whichever that is.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// `--username`, or the part of `--creds` before the first colon.
    pub username: Option<String>,
    /// `--password`, `--password-stdin`, or the rest of `--creds`.
    pub secret: Option<Secret>,
}

impl CredentialSource for Given {
    fn name(&self) -> String {
        "the command line".into()
    }

    fn find(&self, _registry: &str, _repository: &str) -> Answer {
        match (&self.username, &self.secret) {
            (None, None) => Answer::NotFound,
            (Some(username), Some(secret)) => {
                Answer::Found(Credential::Basic { username: username.clone(), secret: secret.clone() })
            }
            (Some(_), None) => Answer::Failed(CredentialError::MissingSecret {
                username: "`--username`".into(),
                secrets: vec!["`--password`".into(), "`--password-stdin`".into()],
            }),
            (None, Some(_)) => Answer::Failed(CredentialError::MissingUsername {
                secret: "a password".into(),
                usernames: vec!["`--username`".into()],
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_halves_are_needed() {
        let find = |username: Option<&str>, secret: Option<&str>| {
            let username = username.map(str::to_owned);
            Given { username, secret: secret.map(|text| Secret::new(text.into())) }.find("r", "")
        };
        assert!(matches!(find(None, None), Answer::NotFound));
        let Answer::Found(Credential::Basic { username, secret }) = find(Some("u"), Some("p:@ /")) else {
            panic!("found");
        };
        assert_eq!((username.as_str(), secret.expose()), ("u", "p:@ /"));
        assert!(matches!(find(Some("u"), None), Answer::Failed(CredentialError::MissingSecret { .. })));
        assert!(matches!(find(None, Some("p")), Answer::Failed(CredentialError::MissingUsername { .. })));
    }
}
