//! The errors of credential sources.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::{EntriesError, KeyringError, MAX_CONFIG_BYTES};
use crate::text;

/// Why a source that should have a credential could not provide it.
///
/// Holds no secret, and only the first line of a helper's error.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// A user name without a secret.
    #[error("{username} names a user, but there is no {}", secrets.join(" or "))]
    MissingSecret {
        /// The source of the user name.
        username: String,
        /// The sources that could hold its secret.
        secrets: Vec<String>,
    },
    /// A secret without a user name.
    #[error("{secret} is given, but there is no {}", usernames.join(" or "))]
    MissingUsername {
        /// The source of the secret.
        secret: String,
        /// The sources that could hold its user name.
        usernames: Vec<String>,
    },
    /// The system refused.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The file is larger than the limit.
    #[error("{origin} is larger than the {} allowed", text::size(MAX_CONFIG_BYTES))]
    TooLarge {
        /// The file or variable.
        origin: String,
    },
    /// The content is not JSON, or not of the form of Docker's configuration.
    #[error("{origin} is not a Docker config file (line {line}, column {column})")]
    Syntax {
        /// The file or variable.
        origin: String,
        /// The line, counted from 1.
        line: usize,
        /// The position in the line.
        column: usize,
    },
    /// The entry for the registry is there but makes no sense.
    #[error("the entry for {registry} in {origin} is not a credential")]
    Entry {
        /// The file or variable.
        origin: String,
        /// The entry's registry.
        registry: String,
    },
    /// A helper's name that cannot be one.
    #[error("{origin} names {helper:?} as credential helper, which is not a name")]
    HelperName {
        /// The file or variable.
        origin: String,
        /// The name.
        helper: String,
    },
    /// The helper did not start; it may not be installed.
    #[error("cannot start the credential helper `{program}`")]
    HelperStart {
        /// The program.
        program: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The helper was stopped because it took too long.
    #[error("the credential helper `{program}` did not answer within {}", text::duration(*waited))]
    HelperDeadline {
        /// The program.
        program: String,
        /// The time limit.
        waited: Duration,
    },
    /// The wait for the helper was ended from here.
    #[error("the wait for the credential helper `{program}` was interrupted")]
    HelperInterrupted {
        /// The program.
        program: String,
    },
    /// The helper failed, and not because it has no credential.
    #[error(
        "the credential helper `{program}` failed{}{}",
        status.map(|code| format!(" (exit {code})")).unwrap_or_default(),
        reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default()
    )]
    HelperFailed {
        /// The program.
        program: String,
        /// Its exit code, unless a signal ended it.
        status: Option<i32>,
        /// The first line of what it said.
        reason: Option<String>,
    },
    /// The helper succeeded and said something that is not a credential.
    #[error("the credential helper `{program}` answered with something other than a credential")]
    HelperAnswer {
        /// The program.
        program: String,
    },
    /// The source's value is not a valid credential.
    #[error("what it has is damaged: {0}")]
    Damaged(&'static str),
    /// A variable for a token is there and empty, beside a password.
    #[error("`{token}` is empty; `{password}` is not used in its place")]
    EmptyToken {
        /// The variable for the token.
        token: &'static str,
        /// The variable for the password.
        password: &'static str,
    },
    /// The credential store failed.
    #[error(transparent)]
    Own(#[from] EntriesError),
}

impl CredentialError {
    /// Returns whether a helper is to blame.
    pub fn is_of_helper(&self) -> bool {
        matches!(
            self,
            Self::HelperName { .. }
                | Self::HelperStart { .. }
                | Self::HelperDeadline { .. }
                | Self::HelperInterrupted { .. }
                | Self::HelperFailed { .. }
                | Self::HelperAnswer { .. }
        )
    }

    /// Returns whether the caller's interrupt ended the wait.
    pub fn is_interrupt(&self) -> bool {
        matches!(self, Self::HelperInterrupted { .. } | Self::Own(EntriesError::Keyring(KeyringError::Interrupted)))
    }
}
