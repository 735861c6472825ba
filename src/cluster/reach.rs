//! How far a cluster is believed: the hosts it may claim, the Secrets that are read, and when its
//! certificate alone is sufficient. No I/O.
//!
//! A kubeconfig can lead to a cluster that other people administer. Its Localbuild then names a host and a Secret of
//! their choice, and only these rules keep that text from obtaining a password of this user.

use crate::credentials::SecretOrigin;

/// The domain of the names that idpbuilder gives by default. Every name in it is this machine.
const DOMAIN: &str = "localtest.me";
/// The namespace of the credential.
pub(super) const GITEA_NAMESPACE: &str = "gitea";
/// The Secret with the credential, as every version of idpbuilder names it.
pub(super) const GITEA_SECRET: &str = "gitea-credential";
/// The most characters of an object's name (a DNS subdomain, RFC 1123).
const MAX_OBJECT_NAME: usize = 253;

/// Well-known public registries. A cluster that claims one of these hosts, or a name below it, is never believed.
const PUBLIC_REGISTRIES: [&str; 19] = [
    "amazonaws.com",
    "azurecr.io",
    "cgr.dev",
    "docker.com",
    "docker.io",
    "gcr.io",
    "ghcr.io",
    "github.com",
    "gitlab.com",
    "icr.io",
    "k8s.io",
    "lscr.io",
    "mcr.microsoft.com",
    "nvcr.io",
    "pkg.dev",
    "public.ecr.aws",
    "quay.io",
    "redhat.com",
    "redhat.io",
];

/// The relation of a context to a host that its cluster claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostClaim {
    /// `localtest.me` or a name below it.
    OwnDomain,
    /// A host that was accepted for this context before.
    Accepted,
    /// Any other host.
    New,
    /// A public registry, or a name below one.
    PublicRegistry,
}

impl HostClaim {
    /// Returns what `name` (`host:port`) is to a context for which these names were accepted before.
    pub fn of(name: &str, accepted: &[String]) -> Self {
        let host = host_of(name);
        if is_below(host, DOMAIN) {
            Self::OwnDomain
        } else if PUBLIC_REGISTRIES.iter().any(|registry| is_below(host, registry)) {
            Self::PublicRegistry
        } else if accepted.iter().any(|before| before.eq_ignore_ascii_case(name)) {
            Self::Accepted
        } else {
            Self::New
        }
    }
}

/// What a command does with a cluster's claim to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It accepts the claim.
    Use,
    /// It accepts the claim and records the host for the context.
    UseAndRemember,
    /// It asks the user on the terminal.
    Ask,
    /// It rejects the claim.
    Refuse,
}

/// Decides about a claim. `named`: the command names the context. `terminal`: the user can answer.
pub fn admission(claim: HostClaim, named: bool, terminal: bool) -> Admission {
    match (claim, named, terminal) {
        (HostClaim::OwnDomain | HostClaim::Accepted, _, _) => Admission::Use,
        (HostClaim::New, true, _) => Admission::UseAndRemember,
        (HostClaim::New, false, true) => Admission::Ask,
        (HostClaim::New, false, false) | (HostClaim::PublicRegistry, _, _) => Admission::Refuse,
    }
}

/// The object that names a Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamedBy {
    Localbuild,
    Provider,
}

/// Returns whether the Secret that an object names may be read with this user's rights.
pub(super) fn may_read(named_by: NamedBy, namespace: &str, name: &str) -> bool {
    namespace == GITEA_NAMESPACE
        && match named_by {
            NamedBy::Localbuild => name == GITEA_SECRET,
            NamedBy::Provider => is_object_name(name),
        }
}

/// The trust for a host other than the cluster's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChosenTrust {
    /// Only the system's roots.
    Nothing,
    /// Files: `--ca-file`, `--cert-dir`, or a `certs.d` directory of other programs.
    Files,
    /// A certificate kept with `idpbuilder-trust add`.
    Kept,
}

/// Which certificates count for the cluster's own host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateRule {
    /// The cluster's, besides the system's roots.
    Cluster,
    /// The chosen ones alone.
    Chosen,
    /// None: the connection is refused.
    Refused,
}

/// Decides which certificates count. `contradicted`: the cluster's certificate does not chain to the chosen ones.
pub fn certificate_rule(chosen: ChosenTrust, contradicted: bool) -> CertificateRule {
    match (chosen, contradicted) {
        (ChosenTrust::Nothing, _) => CertificateRule::Cluster,
        (ChosenTrust::Files, _) | (ChosenTrust::Kept, false) => CertificateRule::Chosen,
        (ChosenTrust::Kept, true) => CertificateRule::Refused,
    }
}

/// Which certificate vouches for a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vouching {
    /// A certificate that the user chose, or the user's choice to need none.
    Chosen,
    /// A root of the system.
    System,
    /// The cluster's, and nothing else.
    ClusterAlone,
}

/// Returns whether a credential of this origin may be shown to a host of the cluster.
///
/// The cluster's Secret and `GITEA_*` are for the cluster's registry, so the cluster's certificate is enough for them.
/// Any other credential was meant for a server that was verified in another way. A name of idpbuilder's own domain has
/// no other way: it is this machine, and whichever cluster runs here.
pub fn may_be_shown(origin: SecretOrigin, vouching: Vouching, claim: HostClaim) -> bool {
    match vouching {
        Vouching::Chosen | Vouching::System => true,
        Vouching::ClusterAlone => match origin {
            SecretOrigin::ClusterSecret | SecretOrigin::GiteaVariables => true,
            SecretOrigin::Flags
            | SecretOrigin::BaseFlags
            | SecretOrigin::Variables
            | SecretOrigin::BaseVariables
            | SecretOrigin::NamedEntry => claim == HostClaim::OwnDomain,
        },
    }
}

fn host_of(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit()) => host,
        _ => name,
    }
}

/// Returns whether `host` is `domain` or a name below it.
fn is_below(host: &str, domain: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Returns whether the API server could have an object of that name; any other text could lead to another path.
fn is_object_name(name: &str) -> bool {
    let part = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !part.is_empty() && !part.starts_with('-') && !part.ends_with('-') && part.bytes().all(allowed)
    };
    name.len() <= MAX_OBJECT_NAME && name.split('.').all(part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_host_is_to_a_context() {
        let accepted = ["gitea.dev.example:8443".to_owned(), "ghcr.io:443".to_owned()];
        for (name, expected) in [
            ("localtest.me:443", HostClaim::OwnDomain),
            ("gitea.cnoe.localtest.me:8443", HostClaim::OwnDomain),
            ("Gitea.CNOE.LocalTest.Me:1", HostClaim::OwnDomain),
            ("gitea.dev.example:8443", HostClaim::Accepted),
            ("Gitea.Dev.Example:8443", HostClaim::Accepted),
            ("gitea.dev.example:8444", HostClaim::New),
            ("dev.example:8443", HostClaim::New),
            ("localtest.me.evil.example:443", HostClaim::New),
            ("evil-localtest.me:443", HostClaim::New),
            ("notlocaltest.me:443", HostClaim::New),
            ("localtest.me.:443", HostClaim::New),
            ("localtest.me@evil.example:443", HostClaim::New),
            ("xn--localtest-x.me:443", HostClaim::New),
            ("127.0.0.1:8443", HostClaim::New),
            ("127.0.0.2:7001", HostClaim::New),
            ("[::1]:443", HostClaim::New),
            ("localhost:443", HostClaim::New),
            ("ghcr.io:443", HostClaim::PublicRegistry),
            ("gitea.GHCR.io:8443", HostClaim::PublicRegistry),
            ("index.docker.io:443", HostClaim::PublicRegistry),
            ("1.dkr.ecr.eu-west-1.amazonaws.com:443", HostClaim::PublicRegistry),
            ("notghcr.io:443", HostClaim::New),
            ("", HostClaim::New),
        ] {
            assert_eq!(HostClaim::of(name, &accepted), expected, "{name}");
        }
    }

    #[test]
    fn the_whole_table_of_admission() {
        use Admission::{Ask, Refuse, Use, UseAndRemember};
        // Context named, terminal: neither, terminal alone, named alone, both.
        let cases = [(false, false), (false, true), (true, false), (true, true)];
        for (claim, expected) in [
            (HostClaim::OwnDomain, [Use, Use, Use, Use]),
            (HostClaim::Accepted, [Use, Use, Use, Use]),
            (HostClaim::New, [Refuse, Ask, UseAndRemember, UseAndRemember]),
            (HostClaim::PublicRegistry, [Refuse, Refuse, Refuse, Refuse]),
        ] {
            assert_eq!(cases.map(|(named, terminal)| admission(claim, named, terminal)), expected, "{claim:?}");
        }
    }

    #[test]
    fn only_the_secrets_of_gitea_are_read() {
        for (namespace, name, localbuild, provider) in [
            ("gitea", "gitea-credential", true, true),
            ("gitea", "admin", false, true),
            ("gitea", "admin.v2", false, true),
            ("prod", "db-credential", false, false),
            ("prod", "gitea-credential", false, false),
            ("", "gitea-credential", false, false),
            ("gitea", "", false, false),
            ("Gitea", "gitea-credential", false, false),
            ("gitea ", "gitea-credential", false, false),
            ("gitea/secrets", "gitea-credential", false, false),
            ("gitea", "../../prod/secrets/db", false, false),
            ("gitea", "a/b", false, false),
            ("gitea", "a?watch=1", false, false),
            ("gitea", "a%2fb", false, false),
            ("gitea", "a..b", false, false),
            ("gitea", "-a", false, false),
            ("gitea", "A", false, false),
        ] {
            let read = [NamedBy::Localbuild, NamedBy::Provider].map(|by| may_read(by, namespace, name));
            assert_eq!(read, [localbuild, provider], "{namespace}/{name}");
        }
        assert!(may_read(NamedBy::Provider, "gitea", &"a".repeat(MAX_OBJECT_NAME)));
        assert!(!may_read(NamedBy::Provider, "gitea", &"a".repeat(MAX_OBJECT_NAME + 1)));
    }

    #[test]
    fn the_whole_table_of_certificates() {
        for (chosen, agrees, contradicted) in [
            (ChosenTrust::Nothing, CertificateRule::Cluster, CertificateRule::Cluster),
            (ChosenTrust::Files, CertificateRule::Chosen, CertificateRule::Chosen),
            (ChosenTrust::Kept, CertificateRule::Chosen, CertificateRule::Refused),
        ] {
            let rules = [false, true].map(|contradicted| certificate_rule(chosen, contradicted));
            assert_eq!(rules, [agrees, contradicted], "{chosen:?}");
        }
    }

    #[test]
    fn the_whole_table_of_credentials() {
        use SecretOrigin::{BaseFlags, BaseVariables, ClusterSecret, Flags, GiteaVariables, NamedEntry, Variables};
        let claims = [HostClaim::OwnDomain, HostClaim::Accepted, HostClaim::New, HostClaim::PublicRegistry];
        for origin in [Flags, BaseFlags, Variables, BaseVariables, GiteaVariables, ClusterSecret, NamedEntry] {
            for vouching in [Vouching::Chosen, Vouching::System] {
                assert_eq!(claims.map(|claim| may_be_shown(origin, vouching, claim)), [true; 4], "{origin:?}");
            }
            let alone = claims.map(|claim| may_be_shown(origin, Vouching::ClusterAlone, claim));
            let for_the_cluster = matches!(origin, GiteaVariables | ClusterSecret);
            assert_eq!(alone, [true, for_the_cluster, for_the_cluster, for_the_cluster], "{origin:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_of_the_own_domain_ends_with_it(name in "[a-z.:0-9-]{0,30}(localtest\\.me)?[a-z.:0-9-]{0,12}") {
            if HostClaim::of(&name, &[]) == HostClaim::OwnDomain {
                let host = host_of(&name);
                prop_assert!(host == DOMAIN || host.ends_with(".localtest.me"), "{host}");
            }
        }
    }
}
