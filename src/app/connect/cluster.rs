//! What a command takes from the cluster: the registry of names without one, its certificate, its credential.

use std::cell::{Cell, OnceCell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::error::{AnotherCertificate, ConnectError, NoOwner, NoRegistry, NotAdmitted};
use super::trust::{chosen, vouches};
use super::{Session, address};
use crate::app::in_one_line;
use crate::cluster::{
    Admission, CertificateRule, ClusterError, ClusterRegistry, DISCOVERY_LIMIT, HostClaim, KnownHosts, OneOfSeveral,
    Query, Scheme, Vouching, admission, certificate_rule, discover, may_be_shown, owner,
};
use crate::config::Source;
use crate::credentials::{ANY_USERNAME, Credential, RegistryRoles, Resolution, SecretOrigin};
use crate::image::Reference;
use crate::registry::is_internal;
use crate::tls::{CertificateFacts, Origin, TlsPolicy, certificates_of};

/// Which cluster, as a command names it.
#[derive(Debug, Clone, Default)]
pub struct ClusterOptions {
    /// The kubeconfig, before those of the environment.
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig.
    pub context: Option<String>,
    /// The name that idpbuilder gave the cluster.
    pub cluster_name: Option<String>,
}

/// A command's connection to the cluster.
pub struct ClusterConnection<'a> {
    session: Session<'a>,
    options: ClusterOptions,
    /// The answer, asked for at most once a command.
    found: OnceCell<Result<ClusterRegistry, Arc<ClusterError>>>,
    /// The messages that were printed already.
    printed: RefCell<Vec<String>>,
    /// Whether the caller reports what the cluster lacks.
    caller_reports_lacks: Cell<bool>,
    /// Names of the cluster, and whether it may speak for each: decided once a command.
    admitted: RefCell<Vec<(String, bool)>>,
}

impl<'a> ClusterConnection<'a> {
    /// Returns a connection that asks no cluster before an answer is needed.
    pub fn new(session: Session<'a>, options: ClusterOptions) -> Self {
        Self {
            session,
            options,
            found: OnceCell::new(),
            printed: RefCell::default(),
            caller_reports_lacks: Cell::new(false),
            admitted: RefCell::default(),
        }
    }

    /// The cluster's registry, asked for at the first call. The outer failure is the command's own end.
    pub(crate) fn find(&self) -> Result<Result<&ClusterRegistry, &Arc<ClusterError>>, ConnectError> {
        self.find_within(DISCOVERY_LIMIT)
    }

    /// Asks for the cluster's registry within `limit`. The names found are remembered for the credential helper.
    pub(crate) fn find_within(
        &self,
        limit: Duration,
    ) -> Result<Result<&ClusterRegistry, &Arc<ClusterError>>, ConnectError> {
        if let Some(found) = self.found.get() {
            return Ok(found.as_ref());
        }
        let query = self.query();
        let asking = discover(&query, limit, &self.session.surroundings.interrupt);
        let found = self.session.console.block_on(asking)?.map_err(Arc::new);
        if let Ok(cluster) = &found {
            self.remember(cluster, None)?;
            if let Some(OneOfSeveral { used, others }) = &cluster.localbuilds {
                self.warn_once(&format!(
                    "cluster {} has more than one Localbuild; {used} is used, which has the cluster's name, and \
                         not {}",
                    cluster.context,
                    others.join(", ")
                ));
            }
        }
        Ok(self.found.get_or_init(|| found).as_ref())
    }

    fn remember(&self, cluster: &ClusterRegistry, accepted: Option<&str>) -> Result<(), ConnectError> {
        if let Err(error) =
            KnownHosts::new(&self.session.surroundings.settings(None)?.home.value).remember(cluster, accepted)
        {
            let text = format!("the names of cluster {} are not remembered: {error}", cluster.context);
            if accepted.is_some() { self.warn_once(&text) } else { self.session.console.detail(&text) }
        }
        Ok(())
    }

    /// Whether the cluster may speak for a name of its own, `host:port`. Asks where the rules say so and a person can
    /// answer.
    fn admits(&self, cluster: &ClusterRegistry, name: &str) -> Result<bool, ConnectError> {
        if let Some((_, verdict)) = self.admitted.borrow().iter().find(|(before, _)| before == name) {
            return Ok(*verdict);
        }
        let accepted =
            KnownHosts::new(&self.session.surroundings.settings(None)?.home.value).accepted(&cluster.context);
        let verdict = match admission(HostClaim::of(name, &accepted), self.is_named(), self.session.console.can_ask()) {
            Admission::Use => true,
            Admission::Refuse => false,
            Admission::UseAndRemember => {
                self.remember(cluster, Some(name))?;
                true
            }
            Admission::Ask => {
                let question = format!(
                    "Cluster {} says that its registry is {name}, outside localtest.me.\nUse the cluster's certificate \
                     and credential for {name}, now and later?",
                    cluster.context
                );
                let yes = self.session.console.confirm(&question)? == Some(true);
                if yes {
                    self.remember(cluster, Some(name))?;
                }
                yes
            }
        };
        self.admitted.borrow_mut().push((name.to_owned(), verdict));
        Ok(verdict)
    }

    /// Whether the cluster serves a registry and may speak for it; a warning says when it may not.
    pub(crate) fn speaks_for(&self, cluster: &ClusterRegistry, registry: &str) -> Result<bool, ConnectError> {
        let Some(name) = cluster.name_of(registry) else { return Ok(false) };
        let admitted = self.admits(cluster, name)?;
        if admitted {
            self.print_use(cluster, name);
        } else {
            self.warn_once(&NotAdmitted::new(cluster, name).in_one_line());
        }
        Ok(admitted)
    }

    /// The cluster's names that it may speak for.
    pub(crate) fn admitted_names(&self, cluster: &ClusterRegistry) -> Result<Vec<String>, ConnectError> {
        let mut names = Vec::new();
        for name in &cluster.names {
            if self.admits(cluster, name)? {
                names.push(name.clone());
            } else {
                self.warn_once(&NotAdmitted::new(cluster, name).in_one_line());
            }
        }
        Ok(names)
    }

    /// Fails unless the cluster may speak for the registry that it names as its own.
    pub(crate) fn admit(&self, cluster: &ClusterRegistry) -> Result<(), ConnectError> {
        let name = cluster.registry();
        if self.admits(cluster, name)? { Ok(()) } else { Err(NotAdmitted::new(cluster, name).into()) }
    }

    fn query(&self) -> Query {
        let listed = self.session.surroundings.kubeconfigs.clone();
        let default =
            || self.session.surroundings.home().ok().map(|home| home.join(".kube/config")).into_iter().collect();
        Query {
            kubeconfig: self.options.kubeconfig.as_deref().map(|path: &Path| self.session.surroundings.absolute(path)),
            files: listed.unwrap_or_else(default),
            context: self.options.context.clone(),
            cluster_name: self.options.cluster_name.clone(),
            system: self.session.surroundings.system_roots.clone(),
        }
    }

    /// The kubeconfigs that are read, and who named them.
    pub(crate) fn kubeconfigs(&self) -> (Vec<PathBuf>, Source) {
        let Query { kubeconfig, files, .. } = self.query();
        match kubeconfig {
            Some(file) => (vec![file], Source::Flag("--kubeconfig")),
            None if self.session.surroundings.kubeconfigs.is_some() => (files, Source::Environment("KUBECONFIG")),
            None => (files, Source::Default),
        }
    }

    /// Whether a certificate of this fingerprint is the cluster's, as far as the cluster was asked already.
    pub(crate) fn has_certificate(&self, fingerprint: &str) -> bool {
        let Some(Ok(ClusterRegistry { certificate: Ok(certificate), .. })) = self.found.get() else { return false };
        let origin = Origin::Cluster(certificate.origin.clone());
        let certificates = certificates_of(certificate.pem.as_bytes(), &origin).unwrap_or_default();
        let facts = certificates.iter().filter_map(|der| CertificateFacts::from_der(der).ok());
        facts.into_iter().any(|facts| facts.fingerprint == fingerprint)
    }

    /// Whether the command names the context.
    fn is_named(&self) -> bool {
        self.options.context.is_some() || self.options.cluster_name.is_some()
    }

    /// Returns whether flags name the cluster.
    pub(crate) fn is_given(&self) -> bool {
        self.options.kubeconfig.is_some() || self.options.context.is_some() || self.options.cluster_name.is_some()
    }

    /// A reference without a registry, at the cluster's.
    pub(crate) fn locate(&self, reference: &Reference) -> Result<Reference, ConnectError> {
        let cluster = match self.find()? {
            Ok(cluster) if cluster.ready => cluster,
            Ok(cluster) => {
                let error = ClusterError::GiteaNotReady { context: cluster.context.clone() };
                return Err(NoRegistry::new(reference, Arc::new(error)).into());
            }
            // What was asked for by name is what failed, whatever else could say which registry.
            Err(error) if self.is_given() => return Err(ConnectError::Cluster(Arc::clone(error))),
            Err(error) => return Err(NoRegistry::new(reference, Arc::clone(error)).into()),
        };
        self.admit(cluster)?;
        let located = reference.at_registry(cluster.registry())?;
        self.print_use(cluster, cluster.registry());
        Ok(located)
    }

    /// Returns the cluster if the registry is its own. For an external registry with a credential, the cluster is not
    /// asked, which would cost time.
    pub(crate) fn serving(
        &self,
        registry: &str,
        has_credential: bool,
    ) -> Result<Option<&ClusterRegistry>, ConnectError> {
        if has_credential && !is_internal(host(registry)) && !self.is_given() {
            return Ok(None);
        }
        match self.find()? {
            Ok(cluster) if cluster.serves(registry) => Ok(self.speaks_for(cluster, registry)?.then_some(cluster)),
            Ok(cluster) => {
                self.session.console.detail(&format!("{registry} is not the registry of cluster {}", cluster.context));
                Ok(None)
            }
            Err(error) => {
                let text = format!("nothing from a cluster: {}", in_one_line(error.as_ref()));
                if self.is_given() {
                    self.warn_once(&text);
                } else {
                    self.session.console.detail(&text);
                }
                Ok(None)
            }
        }
    }

    /// What is different about the cluster's own registry: the reference, the policy, the credential.
    pub(crate) fn apply(
        &self,
        cluster: &ClusterRegistry,
        reference: &Reference,
        policy: TlsPolicy,
        resolution: &mut Resolution,
    ) -> Result<(Reference, TlsPolicy), ConnectError> {
        if !cluster.ready {
            self.warn_of_lack(&format!("Gitea in cluster {} is not ready yet", cluster.context));
        }
        // Only where every other source had nothing; one that failed has the last word.
        let mut missing = None;
        let own = cluster.serves(reference.registry().unwrap_or_default());
        let roles = RegistryRoles { cluster: own, ..RegistryRoles::default() };
        if resolution.is_open() && roles.may_see(SecretOrigin::ClusterSecret) {
            let source = format!("cluster {}", cluster.context);
            resolution.tried.push(source.clone());
            match (&cluster.login, cluster.credential()) {
                (Ok(login), Some(credential)) => {
                    resolution.take(format!("{source} ({})", login.origin), SecretOrigin::ClusterSecret, credential);
                }
                (Ok(_), None) => {}
                (Err(error), _) => {
                    missing = Some(format!("no credential from {source}: {}", in_one_line(error.as_ref())));
                }
            }
        }
        resolution.close();
        let reference = self.settle(cluster, reference, resolution.credential.as_ref())?;
        if let Some(missing) = missing {
            self.warn_of_lack(&missing);
        }
        let registry = reference.registry().unwrap_or_default().to_owned();
        let shown = resolution.source.as_deref().zip(resolution.origin);
        Ok((reference, self.trust(cluster, &registry, policy, shown)?))
    }

    /// The policy for a registry of the cluster: with the cluster's certificate where a person chose none, and the
    /// credential that is `shown`, with the name of its source, may be shown on that alone.
    pub(crate) fn trust(
        &self,
        cluster: &ClusterRegistry,
        registry: &str,
        policy: TlsPolicy,
        shown: Option<(&str, SecretOrigin)>,
    ) -> Result<TlsPolicy, ConnectError> {
        let TlsPolicy::Verify(mut trust) = policy else { return Ok(policy) };
        if cluster.scheme == Scheme::Http {
            return Err(ConnectError::ClusterWithoutTls { context: cluster.context.clone() });
        }
        let certificate = match &cluster.certificate {
            Ok(certificate) => certificate,
            Err(error) => {
                self.warn_of_lack(&format!(
                    "no certificate from cluster {}: {}",
                    cluster.context,
                    in_one_line(error.as_ref())
                ));
                return Ok(TlsPolicy::Verify(trust));
            }
        };
        let origin = Origin::Cluster(format!("{} ({})", certificate.origin, cluster.context));
        let certificates = match certificates_of(certificate.pem.as_bytes(), &origin) {
            Ok(certificates) => certificates,
            Err(error) => {
                self.warn_once(&format!("no certificate from cluster {}: {error}", cluster.context));
                return Ok(TlsPolicy::Verify(trust));
            }
        };
        let host = address(registry)?;
        let contradicted = !vouches(&trust, &certificates, &host);
        match certificate_rule(chosen(&trust), contradicted) {
            CertificateRule::Cluster => {
                let accepted =
                    KnownHosts::new(&self.session.surroundings.settings(None)?.home.value).accepted(&cluster.context);
                let claim = HostClaim::of(&host.to_string(), &accepted);
                match shown {
                    Some((source, shown)) if !may_be_shown(shown, Vouching::ClusterAlone, claim) => {
                        self.warn_once(&format!(
                            "the credential from {source} is not for a registry that only cluster {} vouches for, so \
                             its certificate does not count for {host}; to keep that certificate: idpbuilder-trust add \
                             {host} --from-cluster",
                            cluster.context
                        ));
                    }
                    _ => {
                        trust.add_pem(certificate.pem.as_bytes(), origin)?;
                    }
                }
            }
            CertificateRule::Chosen if contradicted => self.warn_once(&format!(
                "the certificates in files for {host} do not vouch for the one that cluster {} has, which does not \
                 count",
                cluster.context
            )),
            CertificateRule::Chosen => {}
            CertificateRule::Refused => {
                return Err(AnotherCertificate { host, context: cluster.context.clone() }.into());
            }
        }
        Ok(TlsPolicy::Verify(trust))
    }

    /// The reference that the registry understands: with an owner, and without what path routing adds.
    fn settle(
        &self,
        cluster: &ClusterRegistry,
        reference: &Reference,
        credential: Option<&Credential>,
    ) -> Result<Reference, ConnectError> {
        let mut repository = cluster.without_prefix(reference.repository()).to_owned();
        if !repository.contains('/') {
            let user = credential.and_then(Credential::username);
            let user = user.filter(|username| *username != ANY_USERNAME).and_then(owner);
            let Some(owner) = user.or_else(|| cluster.owner()) else {
                let source = cluster.login.as_ref().err().map(Arc::clone);
                return Err(NoOwner::new(reference, source).into());
            };
            self.status_once(&format!("Using owner {owner}"));
            repository = format!("{owner}/{repository}");
        }
        let settled = reference.with_repository(&repository)?;
        if !cluster.registry().eq_ignore_ascii_case(reference.registry().unwrap_or_default()) {
            let inside = settled.at_registry(cluster.registry())?;
            self.status_once(&format!("Deployments in the cluster pull it as {}", inside.name()));
        }
        Ok(settled)
    }

    /// Says that the word of a cluster is used for a registry, also when quiet: once a command.
    pub(crate) fn print_use(&self, cluster: &ClusterRegistry, name: &str) {
        let text = format!("Using registry {name} (cluster {})", cluster.context);
        if !self.caller_reports_lacks.get() && self.is_news(&text) {
            self.session.console.notice(&text);
        }
    }

    fn status_once(&self, text: &str) {
        if self.is_news(text) {
            self.session.console.status(text);
        }
    }

    pub(crate) fn warn_once(&self, text: &str) {
        if self.is_news(text) {
            self.session.console.warn(text);
        }
    }

    /// From here on, no warning says what the cluster lacks: the caller does.
    pub(crate) fn leave_lacks_to_caller(&self) {
        self.caller_reports_lacks.set(true);
    }

    fn warn_of_lack(&self, text: &str) {
        if !self.caller_reports_lacks.get() {
            self.warn_once(text);
        }
    }

    fn is_news(&self, text: &str) -> bool {
        let mut printed = self.printed.borrow_mut();
        let news = !printed.iter().any(|before| before == text);
        if news {
            printed.push(text.to_owned());
        }
        news
    }
}

/// The cluster's names that it may speak for without a question.
pub(crate) fn names_in_use(session: Session<'_>, cluster: &ClusterRegistry) -> Result<Vec<String>, ConnectError> {
    let accepted = KnownHosts::new(&session.surroundings.settings(None)?.home.value).accepted(&cluster.context);
    let in_use = |name: &&String| admission(HostClaim::of(name, &accepted), false, false) == Admission::Use;
    Ok(cluster.names.iter().filter(in_use).cloned().collect())
}

/// The host of `host[:port]`.
fn host(registry: &str) -> &str {
    match registry.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => host,
        _ => registry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_registries() {
        for (registry, expected) in [("a:1", "a"), ("a", "a"), ("[::1]:5000", "[::1]"), ("[::1]", "[::1]")] {
            assert_eq!(host(registry), expected);
        }
    }
}
