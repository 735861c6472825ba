//! What a command takes from the cluster: the registry of names without one, its certificate, its credential.

use std::cell::{Cell, OnceCell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::cluster_causes::{NoOwner, NoRegistry, told};
use super::failure::Failure;
use super::ui::Ui;
use crate::cluster::{ClusterError, ClusterRegistry, DISCOVERY_LIMIT, KnownHosts, Query, Scheme, discover, owner};
use crate::config::Source;
use crate::credentials::{ANY_USERNAME, Credential, Resolution};
use crate::image::Reference;
use crate::registry::is_internal;
use crate::tls::{Origin, TlsPolicy};

/// Id of the flag `--context`, which a command whose own `--context` is something else gives another name.
pub(super) const KUBE_CONTEXT: &str = "kube_context";

/// Which cluster.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Cluster options")]
pub(super) struct ClusterArgs {
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
}

impl ClusterArgs {
    /// The cluster's registry, asked for at the first call. The outer failure is the command's own end.
    pub(super) fn find(&self, ui: &Ui) -> Result<Result<&ClusterRegistry, &Arc<ClusterError>>, Failure> {
        self.find_within(ui, DISCOVERY_LIMIT)
    }

    /// The same with another limit. What is found is remembered, so that the credential helper knows the names.
    pub(super) fn find_within(
        &self,
        ui: &Ui,
        limit: Duration,
    ) -> Result<Result<&ClusterRegistry, &Arc<ClusterError>>, Failure> {
        if let Some(found) = self.found.get() {
            return Ok(found.as_ref());
        }
        let query = self.query(ui);
        let asking = async { Ok::<_, Failure>(discover(&query, limit, &ui.interrupt).await) };
        let found = ui.block_on(asking)?.map_err(Arc::new);
        if let Ok(cluster) = &found
            && let Err(error) = KnownHosts::new(&ui.settings(None)?.home.value).remember(cluster)
        {
            ui.detail(&format!("the names of cluster {} are not remembered: {error}", cluster.context));
        }
        Ok(self.found.get_or_init(|| found).as_ref())
    }

    fn query(&self, ui: &Ui) -> Query {
        let listed = ui.env.os("KUBECONFIG").map(|list| {
            std::env::split_paths(list)
                .filter(|path| !path.as_os_str().is_empty())
                .map(|path| ui.absolute(&path))
                .collect()
        });
        let default = || ui.env.home().map(|home| home.join(".kube/config")).into_iter().collect();
        Query {
            kubeconfig: self.kubeconfig.as_deref().map(|path: &Path| ui.absolute(path)),
            files: listed.unwrap_or_else(default),
            context: self.context.clone(),
            cluster_name: self.cluster_name.clone(),
        }
    }

    /// The kubeconfigs that are read, and who named them.
    pub(super) fn kubeconfigs(&self, ui: &Ui) -> (Vec<PathBuf>, Source) {
        let Query { kubeconfig, files, .. } = self.query(ui);
        match kubeconfig {
            Some(file) => (vec![file], Source::Flag("--kubeconfig")),
            None if ui.env.os("KUBECONFIG").is_some() => (files, Source::Environment("KUBECONFIG")),
            None => (files, Source::Default),
        }
    }

    /// Whether somebody said which cluster.
    pub(super) fn is_given(&self) -> bool {
        self.kubeconfig.is_some() || self.context.is_some() || self.cluster_name.is_some()
    }

    /// A reference without a registry, at the cluster's.
    pub(super) fn locate(&self, ui: &Ui, reference: &Reference) -> Result<Reference, Failure> {
        let cluster = match self.find(ui)? {
            Ok(cluster) if cluster.ready => cluster,
            Ok(cluster) => {
                let error = ClusterError::GiteaNotReady { context: cluster.context.clone() };
                return Err(NoRegistry::new(reference, Arc::new(error)).into());
            }
            Err(error) => return Err(NoRegistry::new(reference, Arc::clone(error)).into()),
        };
        let located = reference.at_registry(cluster.registry())?;
        self.status_once(ui, &format!("Using registry {} (cluster {})", cluster.registry(), cluster.context));
        Ok(located)
    }

    /// The cluster, if the registry is its own. A registry elsewhere that somebody has a credential for is
    /// none of its business and does not cost the time to ask.
    pub(super) fn serving(
        &self,
        ui: &Ui,
        registry: &str,
        has_credential: bool,
    ) -> Result<Option<&ClusterRegistry>, Failure> {
        if has_credential && !is_internal(host(registry)) && !self.is_given() {
            return Ok(None);
        }
        match self.find(ui)? {
            Ok(cluster) if cluster.serves(registry) => Ok(Some(cluster)),
            Ok(cluster) => {
                ui.detail(&format!("{registry} is not the registry of cluster {}", cluster.context));
                Ok(None)
            }
            Err(error) => {
                let text = format!("nothing from a cluster: {}", told(error.as_ref()));
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
    pub(super) fn apply(
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
        if resolution.is_open() {
            let source = format!("cluster {}", cluster.context);
            resolution.tried.push(source.clone());
            match (&cluster.login, cluster.credential()) {
                (Ok(login), Some(credential)) => resolution.take(format!("{source} ({})", login.origin), credential),
                (Ok(_), None) => {}
                (Err(error), _) => missing = Some(format!("no credential from {source}: {}", told(error))),
            }
        }
        resolution.close();
        let reference = self.settle(ui, cluster, reference, resolution.credential.as_ref())?;
        if let Some(missing) = missing {
            self.warn_of_lack(ui, &missing);
        }
        Ok((reference, self.trust(ui, cluster, policy)?))
    }

    /// The policy with the cluster's certificate among those that are trusted.
    pub(super) fn trust(&self, ui: &Ui, cluster: &ClusterRegistry, policy: TlsPolicy) -> Result<TlsPolicy, Failure> {
        let TlsPolicy::Verify(mut trust) = policy else { return Ok(policy) };
        if cluster.scheme == Scheme::Http {
            return Err(Failure::usage(format!("the registry of cluster {} has no TLS", cluster.context))
                .hint("use it without, if everything on the way may be read and changed: --plain-http")
                .hint("idpbuilder create --protocol https makes a cluster whose registry has TLS"));
        }
        match &cluster.certificate {
            Ok(certificate) => {
                let origin = Origin::Cluster(format!("{} ({})", certificate.origin, cluster.context));
                if let Err(error) = trust.add_pem(certificate.pem.as_bytes(), origin) {
                    self.warn_once(ui, &format!("no certificate from cluster {}: {error}", cluster.context));
                }
            }
            Err(error) => {
                self.warn_of_lack(ui, &format!("no certificate from cluster {}: {}", cluster.context, told(error)));
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
            let user = match credential {
                Some(Credential::Basic { username, .. }) if username != ANY_USERNAME => owner(username),
                _ => None,
            };
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

    fn status_once(&self, ui: &Ui, text: &str) {
        if self.is_news(text) {
            ui.status(text);
        }
    }

    pub(super) fn warn_once(&self, ui: &Ui, text: &str) {
        if self.is_news(text) {
            ui.warn(text);
        }
    }

    /// From here on, no warning says what the cluster lacks: the caller does.
    pub(super) fn leave_lacks_to_caller(&self) {
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
