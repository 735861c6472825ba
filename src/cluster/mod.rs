//! What an idpbuilder cluster says about its registry: address, certificate, credential.
//!
//! The API server that a kubeconfig names is asked for a Localbuild and two Secrets, or for what older and newer
//! versions have instead. Nothing is written to the cluster, and no Secret with a private key is read. Only the
//! registry's names outlive the returned value: a caller may store them in [`KnownHosts`]. The caller passes all paths.

mod address;
mod api;
mod connect;
mod documents;
mod error;
mod inputs;
mod known;
mod kubeconfig;
mod reach;
mod read;
mod registry;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use kube::config::Kubeconfig;

use api::Api;
use documents::Localbuild;
use inputs::Patience;
use read::{Answered, only, read};

pub use address::{DEFAULT_NAMES, Scheme};
pub use error::{ClusterError, Part, Place, PluginFault};
pub use known::{KnownCluster, KnownHosts};
pub use kubeconfig::{MAX_KUBECONFIG_BYTES, Query};
pub use reach::{
    Admission, CertificateRule, ChosenTrust, HostClaim, Vouching, admission, certificate_rule, may_be_shown,
};
pub use registry::{ClusterCertificate, ClusterRegistry, Login, OneOfSeveral, owner};

use crate::progress::Interrupt;
use crate::tls::SystemRoots;

/// How long discovery may take altogether.
pub const DISCOVERY_LIMIT: Duration = Duration::from_secs(3);
/// How long each of several contexts may take to say whether it serves Localbuilds.
const PROBE_LIMIT: Duration = Duration::from_secs(2);
/// How often a waiting discovery polls the interrupt.
const TICK: Duration = Duration::from_millis(50);

const LOCALBUILDS: &str = "/apis/idpbuilder.cnoe.io/v1alpha1/localbuilds";
/// Finds the registry of the cluster that `query` selects, within `limit`. Needs a runtime with I/O and time.
///
/// A failure to read only the certificate or only the credential is returned in the value's field, since a command may
/// not need them.
///
/// # Errors
///
/// Fails if no kubeconfig or context can be used, the API server does not answer within `limit`, the interrupt is
/// requested, or the cluster has no Gitea.
pub async fn discover(query: &Query, limit: Duration, interrupt: &Interrupt) -> Result<ClusterRegistry, ClusterError> {
    let asked = OnceLock::new();
    let interrupted = async {
        while !interrupt.requested() {
            // A signal sets a flag, which wakes no task.
            tokio::time::sleep(TICK).await;
        }
    };
    tokio::select! {
        found = tokio::time::timeout(limit, find(query, &asked, limit, interrupt)) => match found {
            Ok(found) => found,
            Err(_) => Err(ClusterError::Deadline { place: asked.get().cloned(), limit }),
        },
        () = interrupted => Err(ClusterError::Interrupted),
    }
}

/// Returns how long a plugin may take within `limit`: a little less, so that the error names the plugin.
fn patience(limit: Duration, interrupt: &Interrupt) -> Patience {
    let limit = limit.mul_f64(0.9);
    Patience { limit, deadline: Instant::now() + limit, interrupt: interrupt.clone(), abandoned: Interrupt::default() }
}

async fn find(
    query: &Query,
    asked: &OnceLock<Place>,
    limit: Duration,
    interrupt: &Interrupt,
) -> Result<ClusterRegistry, ClusterError> {
    let reading = query.clone();
    let config = tokio::task::spawn_blocking(move || kubeconfig::load(&reading)).await;
    let config = config.expect("reading a kubeconfig does not panic")?;
    let candidates = kubeconfig::candidates(&config, query)?;
    let (api, localbuild) = match &candidates[..] {
        [only] => probe((&config, &query.system), only, asked, patience(limit, interrupt)).await?,
        several => {
            let asking = several.iter().map(|context| {
                let place = OnceLock::new();
                let config = &config;
                let patience = patience(PROBE_LIMIT.min(limit), interrupt);
                async move {
                    let probed =
                        tokio::time::timeout(PROBE_LIMIT, probe((config, &query.system), context, &place, patience))
                            .await;
                    probed.unwrap_or_else(|_| {
                        Err(ClusterError::Deadline { place: place.get().cloned(), limit: PROBE_LIMIT })
                    })
                }
            });
            let mut probed = join_all(asking).await;
            let serves: Vec<bool> =
                probed.iter().map(|result| matches!(result, Ok((_, Answered::Found(..))))).collect();
            let chosen = kubeconfig::select(several, &serves, config.current_context.as_deref())?;
            let (api, localbuild) = probed.swap_remove(chosen)?;
            let _ = asked.set(api.place().clone());
            (api, localbuild)
        }
    };
    read(&api, localbuild).await
}

async fn probe(
    (config, system): (&Kubeconfig, &SystemRoots),
    context: &str,
    asked: &OnceLock<Place>,
    patience: Patience,
) -> Result<(Api, Answered), ClusterError> {
    let place = Api::place_of(config, context)?;
    let _ = asked.set(place.clone());
    let api = Api::open(config.clone(), place, patience, system.clone()).await?;
    let answered = match api.list::<Localbuild>("Localbuilds", LOCALBUILDS).await {
        Ok(list) if list.is_empty() => Answered::None,
        Ok(list) => {
            let (localbuild, names) = only(context, list)?;
            Answered::Found(Box::new(localbuild), names)
        }
        Err(error @ ClusterError::Forbidden { .. }) => Answered::Forbidden(error),
        Err(error) => return Err(error),
    };
    Ok((api, answered))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kubeconfig whose API server takes connections and never says anything.
    fn silent(dir: &std::path::Path) -> (std::net::TcpListener, Query) {
        use base64::Engine as _;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
        let server = listener.local_addr().expect("bound");
        let authority = rcgen::generate_simple_self_signed(vec!["a.example".to_owned()]).expect("signed").cert.pem();
        let authority = base64::engine::general_purpose::STANDARD.encode(authority);
        let path = dir.join("config");
        let text = format!(
            "current-context: a\ncontexts: [{{name: a, context: {{cluster: a, user: a}}}}]\n\
             clusters: [{{name: a, cluster: {{server: 'https://{server}', certificate-authority-data: {authority}}}}}]\n"
        );
        std::fs::write(&path, text).expect("written");
        (
            listener,
            Query {
                kubeconfig: Some(path),
                files: Vec::new(),
                context: None,
                cluster_name: None,
                system: SystemRoots::default(),
            },
        )
    }

    #[tokio::test]
    async fn silence_ends_with_the_deadline_or_the_interrupt() {
        let dir = tempfile::tempdir().expect("a directory");
        let (_listener, query) = silent(dir.path());
        let limit = Duration::from_millis(200);
        let error = discover(&query, limit, &Interrupt::default()).await.expect_err("silence");
        assert!(
            matches!(&error, ClusterError::Deadline { place: Some(place), .. } if place.context == "a"),
            "{error:?}"
        );
        let interrupt = Interrupt::default();
        let stopping = interrupt.clone();
        let (error, ()) = tokio::join!(discover(&query, Duration::from_mins(1), &interrupt), async move {
            tokio::task::yield_now().await;
            stopping.request();
        });
        assert!(matches!(error.expect_err("stopped"), ClusterError::Interrupted));
    }
}
