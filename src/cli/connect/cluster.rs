//! What a command takes from the cluster: the registry of names without one, its certificate, its credential.

use std::cell::{Cell, OnceCell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;

use super::registry::address;
use crate::cli::failure::advice::cluster::{self, NoOwner, NoRegistry, NotAdmitted, summary};
use crate::cli::failure::{Failure, Kind};
use crate::cli::terminal::Ui;
use crate::cluster::{
    Admission, CertificateRule, ChosenTrust, ClusterError, ClusterRegistry, DISCOVERY_LIMIT, HostClaim, KnownHosts,
    OneOfSeveral, Query, Scheme, Vouching, admission, certificate_rule, discover, may_be_shown, owner,
};
use crate::config::Source;
use crate::credentials::{ANY_USERNAME, Credential, RegistryRoles, Resolution, SecretOrigin};
use crate::image::Reference;
use crate::registry::is_internal;
use crate::tls::{CertificateFacts, Origin, RegistryHost, TlsPolicy, TrustStore, certificates_of, judge};

/// Id of the flag `--context`, which a command whose own `--context` is something else gives another name.
pub(crate) const KUBE_CONTEXT: &str = "kube_context";

/// Which cluster.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Cluster options")]
pub(crate) struct ClusterArgs {
    /// Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]
    #[arg(id = KUBE_CONTEXT, long = "context", value_name = "NAME")]
    context: Option<String>,
    /// Name that idpbuilder gave the cluster: the context kind-NAME
    #[arg(long, value_name = "NAME", conflicts_with = KUBE_CONTEXT)]
    cluster_name: Option<String>,
    /// The answer, asked for at most once a command.
    #[arg(skip)]
    found: OnceCell<Result<ClusterRegistry, Arc<ClusterError>>>,
    /// What was told already.
    #[arg(skip)]
    told: RefCell<Vec<String>>,
    /// Whether somebody else tells what the cluster lacks.
    #[arg(skip)]
    diagnosed: Cell<bool>,
    /// Names of the cluster, and whether it may speak for each: decided once a command.
    #[arg(skip)]
    admitted: RefCell<Vec<(String, bool)>>,
}

impl ClusterArgs {
    /// The cluster's registry, asked for at the first call. The outer failure is the command's own end.
    pub(crate) fn find(&self, ui: &Ui) -> Result<Result<&ClusterRegistry, &Arc<ClusterError>>, Failure> {
        self.find_within(ui, DISCOVERY_LIMIT)
    }

    /// The same with another limit. What is found is remembered, so that the credential helper knows the names.
    pub(crate) fn find_within(
        &self,
        ui: &Ui,
        limit: Duration,
    ) -> Result<Result<&ClusterRegistry, &Arc<ClusterError>>, Failure> {
        if let Some(found) = self.found.get() {
            return Ok(found.as_ref());
        }
        let query = self.query(ui);
        let asking = discover(&query, limit, &ui.interrupt);
        let found = ui.block_on(asking)?.map_err(Arc::new);
        if let Ok(cluster) = &found {
            self.remember(ui, cluster, None)?;
            if let Some(OneOfSeveral { used, others }) = &cluster.localbuilds {
                self.warn_once(
                    ui,
                    &format!(
                        "cluster {} has more than one Localbuild; {used} is used, which has the cluster's name, and \
                         not {}",
                        cluster.context,
                        others.join(", ")
                    ),
                );
            }
        }
        Ok(self.found.get_or_init(|| found).as_ref())
    }

    fn remember(&self, ui: &Ui, cluster: &ClusterRegistry, accepted: Option<&str>) -> Result<(), Failure> {
        if let Err(error) = KnownHosts::new(&ui.surroundings.settings(None)?.home.value).remember(cluster, accepted) {
            let text = format!("the names of cluster {} are not remembered: {error}", cluster.context);
            if accepted.is_some() { self.warn_once(ui, &text) } else { ui.detail(&text) }
        }
        Ok(())
    }

    /// Whether the cluster may speak for a name of its own, `host:port`. Asks where the rules say so and a person can
    /// answer.
    fn admits(&self, ui: &Ui, cluster: &ClusterRegistry, name: &str) -> Result<bool, Failure> {
        if let Some((_, verdict)) = self.admitted.borrow().iter().find(|(before, _)| before == name) {
            return Ok(*verdict);
        }
        let accepted = KnownHosts::new(&ui.surroundings.settings(None)?.home.value).accepted(&cluster.context);
        let verdict = match admission(HostClaim::of(name, &accepted), self.is_named(), ui.can_ask()) {
            Admission::Use => true,
            Admission::Refuse => false,
            Admission::UseAndRemember => {
                self.remember(ui, cluster, Some(name))?;
                true
            }
            Admission::Ask => {
                let question = format!(
                    "Cluster {} says that its registry is {name}, outside localtest.me.\nUse the cluster's certificate \
                     and credential for {name}, now and later?",
                    cluster.context
                );
                let yes = ui.confirm(&question)? == Some(true);
                if yes {
                    self.remember(ui, cluster, Some(name))?;
                }
                yes
            }
        };
        self.admitted.borrow_mut().push((name.to_owned(), verdict));
        Ok(verdict)
    }

    /// Whether the cluster serves a registry and may speak for it; a warning says when it may not.
    pub(crate) fn speaks_for(&self, ui: &Ui, cluster: &ClusterRegistry, registry: &str) -> Result<bool, Failure> {
        let Some(name) = cluster.name_of(registry) else { return Ok(false) };
        let admitted = self.admits(ui, cluster, name)?;
        if admitted {
            self.print_use(ui, cluster, name);
        } else {
            self.warn_once(ui, &NotAdmitted::new(cluster, name).in_one_line());
        }
        Ok(admitted)
    }

    /// The cluster's names that it may speak for.
    pub(crate) fn admitted_names(&self, ui: &Ui, cluster: &ClusterRegistry) -> Result<Vec<String>, Failure> {
        let mut names = Vec::new();
        for name in &cluster.names {
            if self.admits(ui, cluster, name)? {
                names.push(name.clone());
            } else {
                self.warn_once(ui, &NotAdmitted::new(cluster, name).in_one_line());
            }
        }
        Ok(names)
    }

    /// Fails unless the cluster may speak for the registry that it names as its own.
    pub(crate) fn admit(&self, ui: &Ui, cluster: &ClusterRegistry) -> Result<(), Failure> {
        let name = cluster.registry();
        if self.admits(ui, cluster, name)? { Ok(()) } else { Err(NotAdmitted::new(cluster, name).into()) }
    }

    fn query(&self, ui: &Ui) -> Query {
        let listed = ui.env.os("KUBECONFIG").map(|list| {
            std::env::split_paths(list)
                .filter(|path| !path.as_os_str().is_empty())
                .map(|path| ui.surroundings.absolute(&path))
                .collect()
        });
        let default = || ui.surroundings.home().ok().map(|home| home.join(".kube/config")).into_iter().collect();
        Query {
            kubeconfig: self.kubeconfig.as_deref().map(|path: &Path| ui.surroundings.absolute(path)),
            files: listed.unwrap_or_else(default),
            context: self.context.clone(),
            cluster_name: self.cluster_name.clone(),
            system: ui.surroundings.system_roots.clone(),
        }
    }

    /// The kubeconfigs that are read, and who named them.
    pub(crate) fn kubeconfigs(&self, ui: &Ui) -> (Vec<PathBuf>, Source) {
        let Query { kubeconfig, files, .. } = self.query(ui);
        match kubeconfig {
            Some(file) => (vec![file], Source::Flag("--kubeconfig")),
            None if ui.env.os("KUBECONFIG").is_some() => (files, Source::Environment("KUBECONFIG")),
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
        self.context.is_some() || self.cluster_name.is_some()
    }

    /// Whether somebody said which cluster.
    pub(crate) fn is_given(&self) -> bool {
        self.kubeconfig.is_some() || self.context.is_some() || self.cluster_name.is_some()
    }

    /// A reference without a registry, at the cluster's.
    pub(crate) fn locate(&self, ui: &Ui, reference: &Reference) -> Result<Reference, Failure> {
        let cluster = match self.find(ui)? {
            Ok(cluster) if cluster.ready => cluster,
            Ok(cluster) => {
                let error = ClusterError::GiteaNotReady { context: cluster.context.clone() };
                return Err(NoRegistry::new(reference, Arc::new(error)).into());
            }
            // What was asked for by name is what failed, whatever else could say which registry.
            Err(error) if self.is_given() => return Err(cluster::failure(error)),
            Err(error) => return Err(NoRegistry::new(reference, Arc::clone(error)).into()),
        };
        self.admit(ui, cluster)?;
        let located = reference.at_registry(cluster.registry())?;
        self.print_use(ui, cluster, cluster.registry());
        Ok(located)
    }

    /// The cluster, if the registry is its own. A registry elsewhere that somebody has a credential for is
    /// none of its business and does not cost the time to ask.
    pub(crate) fn serving(
        &self,
        ui: &Ui,
        registry: &str,
        has_credential: bool,
    ) -> Result<Option<&ClusterRegistry>, Failure> {
        if has_credential && !is_internal(host(registry)) && !self.is_given() {
            return Ok(None);
        }
        match self.find(ui)? {
            Ok(cluster) if cluster.serves(registry) => Ok(self.speaks_for(ui, cluster, registry)?.then_some(cluster)),
            Ok(cluster) => {
                ui.detail(&format!("{registry} is not the registry of cluster {}", cluster.context));
                Ok(None)
            }
            Err(error) => {
                let text = format!("nothing from a cluster: {}", summary(error.as_ref()));
                if self.is_given() {
                    self.warn_once(ui, &text);
                } else {
                    ui.detail(&text);
                }
                Ok(None)
            }
        }
    }

    /// What is different about the cluster's own registry: the reference, the policy, the credential.
    pub(crate) fn apply(
        &self,
        ui: &Ui,
        cluster: &ClusterRegistry,
        reference: &Reference,
        policy: TlsPolicy,
        resolution: &mut Resolution,
    ) -> Result<(Reference, TlsPolicy), Failure> {
        if !cluster.ready {
            self.warn_of_lack(ui, &format!("Gitea in cluster {} is not ready yet", cluster.context));
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
                (Err(error), _) => missing = Some(format!("no credential from {source}: {}", summary(error))),
            }
        }
        resolution.close();
        let reference = self.settle(ui, cluster, reference, resolution.credential.as_ref())?;
        if let Some(missing) = missing {
            self.warn_of_lack(ui, &missing);
        }
        let registry = reference.registry().unwrap_or_default().to_owned();
        let shown = resolution.source.as_deref().zip(resolution.origin);
        Ok((reference, self.trust(ui, cluster, &registry, policy, shown)?))
    }

    /// The policy for a registry of the cluster: with the cluster's certificate where a person chose none, and the
    /// credential that is `shown`, with the name of its source, may be shown on that alone.
    pub(crate) fn trust(
        &self,
        ui: &Ui,
        cluster: &ClusterRegistry,
        registry: &str,
        policy: TlsPolicy,
        shown: Option<(&str, SecretOrigin)>,
    ) -> Result<TlsPolicy, Failure> {
        let TlsPolicy::Verify(mut trust) = policy else { return Ok(policy) };
        if cluster.scheme == Scheme::Http {
            return Err(Failure::usage(format!("the registry of cluster {} has no TLS", cluster.context))
                .hint("use it without, if everything on the way may be read and changed: --plain-http")
                .hint("idpbuilder create --protocol https makes a cluster whose registry has TLS"));
        }
        let certificate = match &cluster.certificate {
            Ok(certificate) => certificate,
            Err(error) => {
                self.warn_of_lack(ui, &format!("no certificate from cluster {}: {}", cluster.context, summary(error)));
                return Ok(TlsPolicy::Verify(trust));
            }
        };
        let origin = Origin::Cluster(format!("{} ({})", certificate.origin, cluster.context));
        let certificates = match certificates_of(certificate.pem.as_bytes(), &origin) {
            Ok(certificates) => certificates,
            Err(error) => {
                self.warn_once(ui, &format!("no certificate from cluster {}: {error}", cluster.context));
                return Ok(TlsPolicy::Verify(trust));
            }
        };
        let host = address(registry)?;
        let contradicted = !vouches(&trust, &certificates, &host);
        match certificate_rule(chosen(&trust), contradicted) {
            CertificateRule::Cluster => {
                let accepted = KnownHosts::new(&ui.surroundings.settings(None)?.home.value).accepted(&cluster.context);
                let claim = HostClaim::of(&host.to_string(), &accepted);
                match shown {
                    Some((source, shown)) if !may_be_shown(shown, Vouching::ClusterAlone, claim) => self.warn_once(
                        ui,
                        &format!(
                            "the credential from {source} is not for a registry that only cluster {} vouches for, so \
                             its certificate does not count for {host}; to keep that certificate: idpbuilder-trust add \
                             {host} --from-cluster",
                            cluster.context
                        ),
                    ),
                    _ => {
                        trust.add_pem(certificate.pem.as_bytes(), origin)?;
                    }
                }
            }
            CertificateRule::Chosen if contradicted => self.warn_once(
                ui,
                &format!(
                    "the certificates in files for {host} do not vouch for the one that cluster {} has, which does not \
                     count",
                    cluster.context
                ),
            ),
            CertificateRule::Chosen => {}
            CertificateRule::Refused => {
                return Err(Failure::new(
                    Kind::Network,
                    format!(
                        "the certificate kept for {host} is not the one that cluster {} has; nothing was sent",
                        cluster.context
                    ),
                )
                .hint(format!("see both: idpbuilder-trust show {host}"))
                .hint(format!("if the cluster was made anew: idpbuilder-trust add {host} --from-cluster")));
            }
        }
        Ok(TlsPolicy::Verify(trust))
    }

    /// The reference that the registry understands: with an owner, and without what path routing adds.
    fn settle(
        &self,
        ui: &Ui,
        cluster: &ClusterRegistry,
        reference: &Reference,
        credential: Option<&Credential>,
    ) -> Result<Reference, Failure> {
        let mut repository = cluster.without_prefix(reference.repository()).to_owned();
        if !repository.contains('/') {
            let user = credential.and_then(Credential::username);
            let user = user.filter(|username| *username != ANY_USERNAME).and_then(owner);
            let Some(owner) = user.or_else(|| cluster.owner()) else {
                let source = cluster.login.as_ref().err().map(Arc::clone);
                return Err(NoOwner::new(reference, source).into());
            };
            self.status_once(ui, &format!("Using owner {owner}"));
            repository = format!("{owner}/{repository}");
        }
        let settled = reference.with_repository(&repository)?;
        if !cluster.registry().eq_ignore_ascii_case(reference.registry().unwrap_or_default()) {
            let inside = settled.at_registry(cluster.registry())?;
            self.status_once(ui, &format!("Deployments in the cluster pull it as {}", inside.name()));
        }
        Ok(settled)
    }

    /// Says that the word of a cluster is used for a registry, also when quiet: once a command.
    pub(crate) fn print_use(&self, ui: &Ui, cluster: &ClusterRegistry, name: &str) {
        let text = format!("Using registry {name} (cluster {})", cluster.context);
        if !self.diagnosed.get() && self.is_news(&text) {
            ui.notice(&text);
        }
    }

    fn status_once(&self, ui: &Ui, text: &str) {
        if self.is_news(text) {
            ui.status(text);
        }
    }

    pub(crate) fn warn_once(&self, ui: &Ui, text: &str) {
        if self.is_news(text) {
            ui.warn(text);
        }
    }

    /// From here on, no warning says what the cluster lacks: the caller does.
    pub(crate) fn leave_lacks_to_caller(&self) {
        self.diagnosed.set(true);
    }

    fn warn_of_lack(&self, ui: &Ui, text: &str) {
        if !self.diagnosed.get() {
            self.warn_once(ui, text);
        }
    }

    fn is_news(&self, text: &str) -> bool {
        let mut told = self.told.borrow_mut();
        let news = !told.iter().any(|before| before == text);
        if news {
            told.push(text.to_owned());
        }
        news
    }
}

/// The cluster's names that it may speak for without a question.
pub(crate) fn names_in_use(ui: &Ui, cluster: &ClusterRegistry) -> Result<Vec<String>, Failure> {
    let accepted = KnownHosts::new(&ui.surroundings.settings(None)?.home.value).accepted(&cluster.context);
    let in_use = |name: &&String| admission(HostClaim::of(name, &accepted), false, false) == Admission::Use;
    Ok(cluster.names.iter().filter(in_use).cloned().collect())
}

/// What a person chose to trust for a host.
fn chosen(trust: &TrustStore) -> ChosenTrust {
    let any = |of: fn(&Origin) -> bool| trust.anchors().iter().any(|anchor| of(&anchor.origin));
    if any(|origin| matches!(origin, Origin::Kept(_))) {
        ChosenTrust::Kept
    } else if any(|origin| matches!(origin, Origin::File(_))) {
        ChosenTrust::Files
    } else {
        ChosenTrust::Nothing
    }
}

/// Whether what is trusted, the system's roots excepted, has one of these certificates or vouches for it.
fn vouches(trust: &TrustStore, certificates: &[CertificateDer<'static>], host: &RegistryHost) -> bool {
    let anchors = || trust.anchors().iter().filter(|anchor| anchor.origin != Origin::System);
    let same = |certificate: &CertificateDer<'static>| anchors().any(|anchor| anchor.certificate == *certificate);
    certificates.iter().any(|certificate| {
        same(certificate)
            || anchors()
                .any(|anchor| judge(&trust.only(&anchor.origin), std::slice::from_ref(certificate), host).is_ok())
    })
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
