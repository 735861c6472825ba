//! Why a command has no connection to a registry.

use std::path::PathBuf;
use std::sync::Arc;

use crate::app::{ConsoleError, RecordError};
use crate::cluster::{ClusterError, ClusterRegistry, HostClaim};
use crate::config::ConfigError;
use crate::credentials::CredentialError;
use crate::image::{Reference, ReferenceError};
use crate::tls::{InvalidHost, RegistryHost, TlsError};

/// Why registry, trust or credential of a command are undecided.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The person, or a signal, ended the work.
    #[error(transparent)]
    Console(#[from] ConsoleError),
    /// There are no settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The audit log cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A text is no reference.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A text is no `host` or `host:port`.
    #[error(transparent)]
    Host(#[from] InvalidHost),
    /// A certificate cannot be read.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The cluster that was named has no answer.
    #[error(transparent)]
    Cluster(Arc<ClusterError>),
    /// A name does not say which registry.
    #[error(transparent)]
    NoRegistry(#[from] NoRegistry),
    /// A cluster may not speak for the registry that it names.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    /// A name does not say whose image it is.
    #[error(transparent)]
    NoOwner(#[from] NoOwner),
    /// The certificate that is kept is not the cluster's.
    #[error(transparent)]
    AnotherCertificate(#[from] AnotherCertificate),
    /// The cluster's registry speaks http alone.
    #[error("the registry of cluster {context} has no TLS")]
    ClusterWithoutTls {
        /// The cluster's context.
        context: String,
    },
    /// A text is no address of a registry.
    #[error("`{0}` is not a registry address (expected host or host:port)")]
    NotAnAddress(String),
    /// A certificate is kept for a registry that is not to be verified.
    #[error("{registry} has a trusted certificate; it is not used without verifying")]
    Pinned {
        /// The registry.
        registry: String,
        /// Where its certificate is.
        kept: PathBuf,
    },
    /// A person answered no.
    #[error("not confirmed; nothing was sent")]
    NotConfirmed,
    /// One credential for several registries.
    #[error("one credential was given for {} registries: {}", .0.len(), .0.join(", "))]
    SeveralRegistries(Vec<String>),
    /// `--creds` is not a name and a password.
    #[error("--creds takes NAME:PASSWORD")]
    CredsForm,
    /// `--username` without any password.
    #[error("--username needs a password")]
    UsernameAlone,
    /// `--from-creds` begins or ends with its colon.
    #[error("--from-creds takes NAME:PASSWORD, or NAME alone")]
    FromCredsForm,
    /// `--from-creds` has a name alone, and no person can be asked.
    #[error("--from-creds has no password")]
    FromCredsPassword,
    /// The answer is empty.
    #[error("no password was typed")]
    NothingTyped,
    /// Standard input is not text, or cannot be read.
    #[error("the password on standard input is not UTF-8 text")]
    PasswordNotText,
    /// Standard input has more than a password.
    #[error("the password on standard input is longer than 64 KiB")]
    PasswordTooLong,
    /// Standard input is empty.
    #[error("standard input has no password")]
    NoPassword,
    /// A signal ended the wait for a source of credentials.
    #[error(transparent)]
    Interrupted(CredentialError),
}

/// The certificate that is kept for a host is not the one that the cluster has for it.
#[derive(Debug, thiserror::Error)]
#[error("the certificate kept for {host} is not the one that cluster {context} has; nothing was sent")]
pub struct AnotherCertificate {
    pub(crate) host: RegistryHost,
    pub(crate) context: String,
}

/// A name without a registry, and no cluster that could say which.
#[derive(Debug, thiserror::Error)]
#[error("`{reference}` does not say which registry")]
pub struct NoRegistry {
    pub(crate) reference: Reference,
    #[source]
    pub(crate) source: Arc<ClusterError>,
}

impl NoRegistry {
    pub(crate) fn new(reference: &Reference, source: Arc<ClusterError>) -> Self {
        Self { reference: reference.clone(), source }
    }
}

/// A cluster that says that it serves a host which it may not speak for.
#[derive(Debug, thiserror::Error)]
#[error("cluster {context} says that its registry is {name}{}, so nothing of the cluster is used for it", self.why())]
pub struct NotAdmitted {
    context: String,
    name: String,
    public: bool,
}

impl NotAdmitted {
    pub(crate) fn new(cluster: &ClusterRegistry, name: &str) -> Self {
        let public = HostClaim::of(name, &[]) == HostClaim::PublicRegistry;
        Self { context: cluster.context.clone(), name: name.to_owned(), public }
    }

    fn why(&self) -> &'static str {
        if self.public { ", which is a public registry" } else { ", outside localtest.me, and that was not accepted" }
    }

    /// Returns what a person can do about it.
    pub(crate) fn advice(&self) -> String {
        if self.public {
            return "log in to it yourself: idpbuilder-login HOST".to_owned();
        }
        let context = &self.context;
        format!(
            "if that is true, name the context once: --context {context} (idpbuilder-build: --kube-context {context})"
        )
    }

    /// The error with its advice, for a warning.
    pub(crate) fn in_one_line(&self) -> String {
        format!("{self}; {}", self.advice())
    }
}

/// A name without an owner, and no user who could be it.
#[derive(Debug, thiserror::Error)]
#[error("`{reference}` does not say whose image it is")]
pub struct NoOwner {
    pub(crate) reference: Reference,
    #[source]
    pub(crate) source: Option<Arc<ClusterError>>,
}

impl NoOwner {
    pub(crate) fn new(reference: &Reference, source: Option<Arc<ClusterError>>) -> Self {
        Self { reference: reference.clone(), source }
    }
}
