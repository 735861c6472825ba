//! Advice about clusters: from what discovery met to the fix.

use std::sync::Arc;

use crate::app::in_one_line;
use crate::cli::failure::{Failure, Kind};
use crate::cluster::ClusterError;
use crate::tls::HandshakeFault;

/// An error with its causes in one line.
pub(crate) fn summary(error: &ClusterError) -> String {
    in_one_line(error)
}

/// An error of discovery with what helps.
pub(crate) fn failure(error: &Arc<ClusterError>) -> Failure {
    let (kind, hints) = advise(error);
    hints.into_iter().fold(Failure::new(kind, Arc::clone(error)), Failure::hint)
}

/// What helps, and what it means for the exit code.
pub(crate) fn advise(error: &ClusterError) -> (Kind, Vec<String>) {
    let one = |kind, hint: &str| (kind, vec![hint.to_owned()]);
    match error {
        ClusterError::NoKubeconfig { .. } => {
            one(Kind::Usage, "make a cluster with idpbuilder create, or name its kubeconfig with --kubeconfig FILE")
        }
        ClusterError::NoContext { known } | ClusterError::NoSuchContext { known, .. } => {
            (Kind::Usage, vec![contexts(known)])
        }
        ClusterError::SeveralClusters { contexts: known } => (Kind::Usage, vec![contexts(known)]),
        ClusterError::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            one(Kind::Failed, "name a kubeconfig that exists with --kubeconfig FILE")
        }
        ClusterError::Read { path, .. } => (
            Kind::Failed,
            vec![format!("make `{}` readable, or name another kubeconfig with --kubeconfig", path.display())],
        ),
        ClusterError::ReadNamed { context, .. } => {
            (Kind::Failed, vec![format!("correct the path in the kubeconfig, or write it again: {}", export(context))])
        }
        ClusterError::Syntax { path, .. } => (
            Kind::Failed,
            vec![format!("correct the file; kubectl --kubeconfig {} config view shows what it means", path.display())],
        ),
        ClusterError::Incomplete { context, .. } => {
            (Kind::Failed, vec![format!("write the kubeconfig again: {}", export(context))])
        }
        ClusterError::Unverified { context } => (
            Kind::Failed,
            vec![format!("give it an https address and the cluster's certificate-authority-data: {}", export(context))],
        ),
        ClusterError::Proxied { .. } => {
            one(Kind::Failed, "choose another context with --context NAME (idpbuilder-build: --kube-context NAME)")
        }
        ClusterError::PluginStart { .. } => {
            one(Kind::Auth, "install the plugin that the kubeconfig's user names under exec")
        }
        ClusterError::Plugin { context, .. } => (
            Kind::Auth,
            vec![format!(
                "log in to the cluster again; kubectl --context {context} version shows what the plugin says"
            )],
        ),
        ClusterError::Unreachable { place, .. } => (Kind::Network, running(&place.context)),
        ClusterError::Deadline { place, .. } => {
            (Kind::Deadline, place.as_ref().map(|place| running(&place.context)).unwrap_or_default())
        }
        ClusterError::Tls { place, fault } => (Kind::Network, vec![handshake(&place.context, fault)]),
        ClusterError::Unauthorized { context } => {
            (Kind::Auth, vec![format!("write the kubeconfig again: {}", export(context))])
        }
        ClusterError::Forbidden { context, .. } => (
            Kind::Auth,
            vec![format!(
                "choose a context whose user may, or see what this one may: kubectl --context {context} auth can-i --list"
            )],
        ),
        ClusterError::MissingSecret { context, .. } | ClusterError::SecretContent { context, .. } => (
            Kind::Auth,
            vec![format!("idpbuilder makes it when Gitea starts; see kubectl --context {context} get pods -n gitea")],
        ),
        ClusterError::GiteaNotReady { context } => {
            (Kind::Registry, vec![format!("wait until it runs: kubectl --context {context} get pods -n gitea --watch")])
        }
        ClusterError::ForeignSecret { .. } => one(
            Kind::Auth,
            "only the Secret gitea/gitea-credential is read; give another credential with -u and --password-stdin",
        ),
        ClusterError::SeveralObjects { context, kind, .. } => (
            Kind::Usage,
            vec![format!(
                "delete those that are not in use: kubectl --context {context} delete {} NAME",
                kind.to_ascii_lowercase()
            )],
        ),
        ClusterError::WrongKind { context, .. } => {
            (Kind::Failed, vec![format!("see what it answers: kubectl --context {context} get localbuilds -o yaml")])
        }
        ClusterError::NoGitea { .. } => one(
            Kind::Failed,
            "choose an idpbuilder cluster with --cluster-name NAME or --context NAME (idpbuilder-build: --kube-context NAME)",
        ),
        ClusterError::Answer { context, .. } => {
            (Kind::Failed, vec![format!("see whether kubectl --context {context} get --raw /version works")])
        }
        ClusterError::Interrupted => (Kind::Interrupted, Vec::new()),
    }
}

fn contexts(known: &[String]) -> String {
    if known.is_empty() {
        return "make a cluster with idpbuilder create, or name its kubeconfig with --kubeconfig FILE".to_owned();
    }
    format!("choose one with --context NAME (idpbuilder-build: --kube-context NAME): {}", known.join(", "))
}

/// kind's way to write a context anew, as far as the context's name tells the cluster's.
fn export(context: &str) -> String {
    format!("kind export kubeconfig --name {}", context.strip_prefix("kind-").unwrap_or("NAME"))
}

fn running(context: &str) -> Vec<String> {
    let mut hints = vec!["see whether the cluster's container runs: docker ps".to_owned()];
    if context.starts_with("kind-") {
        hints.push(format!("after a restart of Docker its port may differ: {}", export(context)));
    }
    hints
}

fn handshake(context: &str, fault: &HandshakeFault) -> String {
    match fault {
        HandshakeFault::UnknownIssuer
        | HandshakeFault::CaUsedAsEndEntity
        | HandshakeFault::MissingIssuer { .. }
        | HandshakeFault::NotValidForName { .. }
        | HandshakeFault::NotTls => {
            format!("something else may listen on the port, or the cluster was made anew: {}", export(context))
        }
        HandshakeFault::Expired { .. } if !context.starts_with("kind-") => {
            "the certificate of the API server has to be renewed".to_owned()
        }
        HandshakeFault::Expired { .. } => {
            "the cluster's certificates last a year: make it anew with idpbuilder create --recreate".to_owned()
        }
        HandshakeFault::NotYetValid { .. } => "check the clocks of this machine and of the cluster".to_owned(),
        HandshakeFault::UnreadableRoots(_) => "see what SSL_CERT_FILE and SSL_CERT_DIR name".to_owned(),
        HandshakeFault::NoNames { .. } | HandshakeFault::Unverifiable(_) => {
            "the certificate of the API server has to be made anew".to_owned()
        }
        HandshakeFault::PeerRefused(_) | HandshakeFault::Incompatible(_) | HandshakeFault::Other(_) => {
            format!("write the kubeconfig again: {}", export(context))
        }
    }
}
