//! The credential from the command line.

use super::{Answer, Credential, CredentialSource, Secret, SecretOrigin};

/// A user name and a secret from flags.
#[derive(Debug, Clone)]
pub struct ExplicitCredential {
    /// `--username`, or the part of `--creds` before the first colon.
    pub username: String,
    /// `--password`, `--password-stdin`, or the rest of `--creds`.
    pub secret: Secret,
    /// Whether `--from-creds` gave them, for the registry of base images.
    pub for_base: bool,
}

impl CredentialSource for ExplicitCredential {
    fn name(&self) -> String {
        if self.for_base { "--from-creds".into() } else { "the command line".into() }
    }

    fn origin(&self) -> SecretOrigin {
        if self.for_base { SecretOrigin::BaseFlags } else { SecretOrigin::Flags }
    }

    fn find(&self, _registry: &str, _repository: &str) -> Answer {
        Answer::Found(Credential::Basic { username: self.username.clone(), secret: self.secret.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_for_bases_are_another_origin() {
        let given =
            |for_base| ExplicitCredential { username: "u".into(), secret: Secret::new("p:@ /".into()), for_base };
        let Answer::Found(Credential::Basic { username, secret }) = given(false).find("r", "") else {
            panic!("found");
        };
        assert_eq!((username.as_str(), secret.expose()), ("u", "p:@ /"));
        let origin = |for_base| (given(for_base).name(), given(for_base).origin());
        assert_eq!(origin(false), ("the command line".into(), SecretOrigin::Flags));
        assert_eq!(origin(true), ("--from-creds".into(), SecretOrigin::BaseFlags));
    }
}
