//! Advice about connections to registries: address, trust and credential.

use super::cluster::{advise, failure};
use crate::app::connect::{AnotherCertificate, ConnectError, NoOwner, NoRegistry, NotAdmitted};
use crate::cli::failure::{Failure, Kind};

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Console(error) => error.into(),
            ConnectError::Config(error) => error.into(),
            ConnectError::Record(error) => error.into(),
            ConnectError::Reference(error) => error.into(),
            ConnectError::Host(error) => Self::new(Kind::Usage, error).hint("an address is host or host:port"),
            ConnectError::Tls(error) => error.into(),
            ConnectError::Cluster(error) => failure(&error),
            ConnectError::NoRegistry(error) => error.into(),
            ConnectError::NotAdmitted(error) => error.into(),
            ConnectError::NoOwner(error) => error.into(),
            ConnectError::AnotherCertificate(AnotherCertificate { ref host, .. }) => {
                let hints = [
                    format!("see both: idpbuilder-trust show {host}"),
                    format!("if the cluster was made anew: idpbuilder-trust add {host} --from-cluster"),
                ];
                hints.into_iter().fold(Self::new(Kind::Network, error), Self::hint)
            }
            ConnectError::ClusterWithoutTls { .. } => Self::new(Kind::Usage, error)
                .hint("use it without, if everything on the way may be read and changed: --plain-http")
                .hint("idpbuilder create --protocol https makes a cluster whose registry has TLS"),
            ConnectError::Pinned { ref registry, ref kept } => {
                let hints = [
                    format!("if you mean it, name the registry: --insecure={registry}"),
                    format!("if its certificate is a new one, replace what {} trusts", kept.display()),
                ];
                hints.into_iter().fold(Self::new(Kind::Usage, error), Self::hint)
            }
            ConnectError::NotConfirmed => {
                Self::new(Kind::Usage, error).hint("trust the registry's certificate with --ca-file FILE instead")
            }
            ConnectError::SeveralRegistries(_) => Self::new(Kind::Usage, error)
                .hint("push to one registry after the other, or log in to each: idpbuilder-login HOST[:PORT]"),
            ConnectError::UsernameAlone => Self::new(Kind::Usage, error).hint(
                "give it with --password-stdin, for example: idpbuilder-push ... -u NAME --password-stdin < FILE",
            ),
            ConnectError::FromCredsPassword => Self::new(Kind::Usage, error)
                .hint("set IDPBUILDER_FROM_PASSWORD, which other users of this machine cannot see"),
            ConnectError::NotAnAddress(_)
            | ConnectError::CredsForm
            | ConnectError::FromCredsForm
            | ConnectError::NothingTyped
            | ConnectError::PasswordNotText
            | ConnectError::PasswordTooLong
            | ConnectError::NoPassword => Self::new(Kind::Usage, error),
            ConnectError::Interrupted(error) => Self::new(Kind::Interrupted, error),
        }
    }
}

impl From<NoRegistry> for Failure {
    fn from(error: NoRegistry) -> Self {
        let (kind, hints) = advise(&error.source);
        if kind == Kind::Interrupted {
            return Self::new(kind, error);
        }
        hints
            .into_iter()
            .fold(Self::new(kind, error), Self::hint)
            .hint("or write the registry in front, for example gitea.cnoe.localtest.me:8443/giteaadmin/app:v1")
            .hint("or give --registry HOST[:PORT], or set IDPBUILDER_REGISTRY or default_registry in config.toml")
    }
}

impl From<NotAdmitted> for Failure {
    fn from(error: NotAdmitted) -> Self {
        let advice = error.advice();
        Self::new(Kind::Usage, error)
            .hint(advice)
            .hint("or write another registry in front of the image, or give --registry HOST[:PORT]")
    }
}

impl From<NoOwner> for Failure {
    fn from(error: NoOwner) -> Self {
        let (kind, hints) = error.source.as_deref().map_or((Kind::Usage, Vec::new()), advise);
        let registry = error.reference.registry().unwrap_or_default();
        let example = format!("write the owner in front: {registry}/OWNER/{}", error.reference.repository());
        hints.into_iter().fold(Self::new(kind, error), Self::hint).hint(example)
    }
}
