//! The registry of a cluster: its address and names, its certificate and its administrator.

use std::sync::Arc;

use super::address::{self, Scheme};
use super::error::ClusterError;
use super::reach::HostClaim;
use crate::credentials::{Credential, Secret};
use crate::image::Reference;

/// A cluster's registry.
#[derive(Debug)]
pub struct ClusterRegistry {
    /// The context it was found through.
    pub context: String,
    /// HTTPS or HTTP.
    pub scheme: Scheme,
    /// The host that the cluster's nodes pull from.
    pub host: String,
    /// The port.
    pub port: u16,
    /// `host:port` of every address of it, the one for a Deployment first.
    pub names: Vec<String>,
    /// Under path routing, the prefix that may precede the owner in a repository without meaning.
    pub path_prefix: Option<&'static str>,
    /// The Localbuild that was read and those that were not, where there are several.
    pub localbuilds: Option<OneOfSeveral>,
    /// Whether Gitea is running and its credential complete, as far as the cluster reports.
    pub ready: bool,
    /// The certificate that its ingress sends, or why it is not known.
    pub certificate: Result<ClusterCertificate, Arc<ClusterError>>,
    /// The administrator's login, or why it is not known.
    pub login: Result<Login, Arc<ClusterError>>,
}

/// The object that was read where a cluster has several of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOfSeveral {
    /// Its name.
    pub used: String,
    /// The names of the others.
    pub others: Vec<String>,
}

/// The certificate that a cluster's ingress sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterCertificate {
    /// The certificate.
    pub pem: String,
    /// The object it was read from, for messages.
    pub origin: String,
}

/// The administrator of a cluster's Gitea.
#[derive(Debug, Clone)]
pub struct Login {
    /// The user name, case kept.
    pub username: String,
    /// The access token, or the password where there is none.
    pub secret: Secret,
    /// The password beside a token.
    pub password: Option<Secret>,
    /// The Secret and its key, for messages.
    pub origin: String,
    /// The Secret, for messages.
    pub place: String,
}

impl ClusterRegistry {
    /// Returns `host:port` for a Deployment.
    pub fn registry(&self) -> &str {
        &self.names[0]
    }

    /// Returns whether `registry` (`host` or `host:port`) is one of the registry's names.
    pub fn serves(&self, registry: &str) -> bool {
        self.name_of(registry).is_some()
    }

    /// Returns the name that equals `registry` (`host` or `host:port`), with its port.
    pub fn name_of(&self, registry: &str) -> Option<&str> {
        let registry = registry.to_ascii_lowercase();
        let full = if registry.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
            registry
        } else {
            format!("{registry}:{}", self.scheme.default_port())
        };
        self.names.iter().find(|name| **name == full).map(String::as_str)
    }

    /// Returns every name that references to the registry may use, derived from `names`, which the cluster may claim.
    ///
    /// Names of idpbuilder's own domain are returned for both kinds of routing, since a cluster that is created again
    /// may use the other one.
    pub fn every_name(&self, names: &[String]) -> Vec<String> {
        let own = |name: &String| HostClaim::of(name, &[]) == HostClaim::OwnDomain;
        let path_routing = self.path_prefix.is_some();
        let (own, others): (Vec<_>, Vec<_>) = names.iter().cloned().partition(own);
        let mut every = address::under_either_routing(&own, self.scheme, path_routing);
        every.extend(address::as_written(&others, self.scheme));
        every
    }

    /// Returns the owner for images without one: the user name, lower-cased.
    pub fn owner(&self) -> Option<String> {
        self.login.as_ref().ok().and_then(|login| owner(&login.username))
    }

    /// Returns the repository without the prefix of path routing.
    pub fn without_prefix<'a>(&self, repository: &'a str) -> &'a str {
        let prefixed = || repository.strip_prefix(self.path_prefix?)?.strip_prefix('/');
        prefixed().unwrap_or(repository)
    }

    /// Returns the credential for the registry.
    pub fn credential(&self) -> Option<Credential> {
        let Login { username, secret, password, place, .. } = self.login.as_ref().ok()?;
        let (username, secret) = (username.clone(), secret.clone());
        Some(match password.clone() {
            Some(password) => Credential::TokenOrPassword { username, token: secret, password, place: place.clone() },
            None => Credential::Basic { username, secret },
        })
    }
}

/// Returns a user name as the first part of a repository, if it is valid as one.
pub fn owner(username: &str) -> Option<String> {
    let owner = username.to_lowercase();
    let whole = !owner.contains('/') && Reference::from_parts(None, &owner, None).is_ok();
    whole.then_some(owner)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn registry(names: &[&str], path_prefix: Option<&'static str>) -> ClusterRegistry {
        let login = Login {
            username: "giteaAdmin".into(),
            secret: Secret::new("hunter2".into()),
            password: None,
            origin: "s".into(),
            place: "s".into(),
        };
        ClusterRegistry {
            context: "kind-localdev".into(),
            scheme: Scheme::Https,
            host: "h".into(),
            port: 443,
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            path_prefix,
            localbuilds: None,
            ready: true,
            certificate: Err(Arc::new(ClusterError::Interrupted)),
            login: Ok(login),
        }
    }

    #[test]
    fn a_registry_knows_its_names() {
        let cluster = registry(&["gitea.a.example:443", "gitea.b.example:443"], None);
        for name in ["gitea.a.example", "Gitea.A.example:443", "gitea.b.example:443"] {
            assert!(cluster.serves(name), "{name}");
        }
        for name in ["a.example", "gitea.a.example:8443", "gitea.a.example.evil:443", ""] {
            assert!(!cluster.serves(name), "{name}");
        }
        assert_eq!(cluster.without_prefix("gitea/app"), "gitea/app");
        let routed = registry(&["a.example:8443"], Some("gitea"));
        assert_eq!(routed.without_prefix("gitea/giteaadmin/app"), "giteaadmin/app");
        assert_eq!(routed.without_prefix("gitear/app"), "gitear/app");
        assert_eq!(routed.without_prefix("gitea"), "gitea");
    }

    #[test]
    fn names_under_the_other_routing_are_for_the_own_domain() {
        let names = ["gitea.cnoe.localtest.me:443".to_owned(), "gitea.ghcr.io:443".to_owned(), "ghcr.io:1".to_owned()];
        let cluster = registry(&["gitea.cnoe.localtest.me:443"], None);
        assert_eq!(
            cluster.every_name(&names),
            [
                "gitea.cnoe.localtest.me:443",
                "gitea.cnoe.localtest.me",
                "cnoe.localtest.me:443",
                "cnoe.localtest.me",
                "gitea.ghcr.io:443",
                "gitea.ghcr.io",
                "ghcr.io:1",
            ]
        );
    }

    #[test]
    fn the_owner_is_lower_case_and_the_user_is_not() {
        let cluster = registry(&["a:1"], None);
        assert_eq!(cluster.owner().as_deref(), Some("giteaadmin"));
        assert!(matches!(cluster.credential(), Some(Credential::Basic { username, .. }) if username == "giteaAdmin"));
        for name in ["a/b", "a@b.example", "", "-"] {
            assert_eq!(owner(name), None, "{name}");
        }
        assert!(!format!("{cluster:?}").contains("hunter2"));
    }
}
