//! What an idpbuilder cluster says about its registry: address, certificate, credential.
//!
//! Read from the API server that a kubeconfig names: a Localbuild and two Secrets, or what older and
//! newer versions have instead. Nothing is written, no Secret with a private key is asked for, and no
//! answer is kept beyond the value returned, its names excepted, which a caller may have remembered ([`KnownHosts`]).
//! Paths are given by the caller.

mod address;
mod api;
mod connect;
mod documents;
mod error;
mod inputs;
mod known;
mod kubeconfig;
mod reach;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use kube::config::Kubeconfig;

use address::Address;
use api::Api;
use documents::{GiteaProvider, Ingress, List, Listed, Localbuild, ObjectName, SecretObject, Service, choose, routes};
use inputs::Patience;
use reach::{GITEA_NAMESPACE, GITEA_SECRET, NamedBy, may_read};

pub use address::{DEFAULT_NAMES, Scheme};
pub use error::{ClusterError, Part, Place, PluginFault};
pub use known::{KnownCluster, KnownHosts};
pub use kubeconfig::{MAX_KUBECONFIG_BYTES, Query};
pub use reach::{
    Admission, CertificateRule, ChosenTrust, HostClaim, Vouching, admission, certificate_rule, may_be_shown,
};

use crate::credentials::{Credential, Secret};
use crate::image::Reference;
use crate::progress::Interrupt;
use crate::tls::SystemRoots;

/// How long discovery may take altogether.
pub const DISCOVERY_LIMIT: Duration = Duration::from_secs(3);
/// How long each of several contexts may take to say whether it serves Localbuilds.
const PROBE_LIMIT: Duration = Duration::from_secs(2);
/// How often a waiting discovery looks at the interrupt.
const TICK: Duration = Duration::from_millis(50);

const LOCALBUILDS: &str = "/apis/idpbuilder.cnoe.io/v1alpha1/localbuilds";
const PROVIDERS: &str = "/apis/idpbuilder.cnoe.io/v1alpha2/giteaproviders";
const INGRESSES: &str = "/apis/networking.k8s.io/v1/namespaces/gitea/ingresses";
const INGRESS_SERVICES: &str = "/api/v1/namespaces/ingress-nginx/services";
const INGRESS_SERVICE: &str = "ingress-nginx-controller";
/// The copy of the certificate that has no key beside it.
const CERTIFICATE_SECRET: (&str, &str) = ("default", "idpbuilder-cert");

/// A cluster's registry.
#[derive(Debug)]
pub struct ClusterRegistry {
    /// The context it was found through.
    pub context: String,
    /// With TLS or without.
    pub scheme: Scheme,
    /// The host that the cluster's nodes pull from.
    pub host: String,
    /// The port.
    pub port: u16,
    /// `host:port` of every way to it, the one for a Deployment first.
    pub names: Vec<String>,
    /// What may stand before the owner in a repository and means nothing, under path routing.
    pub path_prefix: Option<&'static str>,
    /// The Localbuild that was read and those that were not, where there are several.
    pub localbuilds: Option<OneOfSeveral>,
    /// Whether Gitea is running and its credential complete, as far as the cluster tells.
    pub ready: bool,
    /// The certificate it shows, or why that is not known.
    pub certificate: Result<ClusterCertificate, Arc<ClusterError>>,
    /// Who may push, or why that is not known.
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

/// The certificate that a cluster's ingress shows.
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
    /// `host:port` for a Deployment.
    pub fn registry(&self) -> &str {
        &self.names[0]
    }

    /// Whether `registry` (`host` or `host:port`) is one of its names.
    pub fn serves(&self, registry: &str) -> bool {
        self.name_of(registry).is_some()
    }

    /// The name that `registry` (`host` or `host:port`) is, with its port.
    pub fn name_of(&self, registry: &str) -> Option<&str> {
        let registry = registry.to_ascii_lowercase();
        let full = if registry.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
            registry
        } else {
            format!("{registry}:{}", self.scheme.default_port())
        };
        self.names.iter().find(|name| **name == full).map(String::as_str)
    }

    /// Every name that references to it may have, out of `names`, which the cluster may speak for. Names of idpbuilder's
    /// own domain are those under the other routing too: a cluster made anew may have that.
    pub fn every_name(&self, names: &[String]) -> Vec<String> {
        let own = |name: &String| HostClaim::of(name, &[]) == HostClaim::OwnDomain;
        let path_routing = self.path_prefix.is_some();
        let (own, others): (Vec<_>, Vec<_>) = names.iter().cloned().partition(own);
        let mut every = address::under_either_routing(&own, self.scheme, path_routing);
        every.extend(address::as_written(&others, self.scheme));
        every
    }

    /// The owner of images that name none: the user, lower-cased.
    pub fn owner(&self) -> Option<String> {
        self.login.as_ref().ok().and_then(|login| owner(&login.username))
    }

    /// The repository without what path routing puts before it.
    pub fn without_prefix<'a>(&self, repository: &'a str) -> &'a str {
        let prefixed = || repository.strip_prefix(self.path_prefix?)?.strip_prefix('/');
        prefixed().unwrap_or(repository)
    }

    /// What the registry is shown.
    pub fn credential(&self) -> Option<Credential> {
        let Login { username, secret, password, place, .. } = self.login.as_ref().ok()?;
        let (username, secret) = (username.clone(), secret.clone());
        Some(match password.clone() {
            Some(password) => Credential::TokenOrPassword { username, token: secret, password, place: place.clone() },
            None => Credential::Basic { username, secret },
        })
    }
}

/// A user name as the first part of a repository, if it can be one.
pub fn owner(username: &str) -> Option<String> {
    let owner = username.to_lowercase();
    let whole = !owner.contains('/') && Reference::from_parts(None, &owner, None).is_ok();
    whole.then_some(owner)
}

/// Finds the registry of the cluster that `query` means, within `limit`. Needs a runtime with I/O and time.
///
/// What is wrong with the certificate or the credential alone is told in their place: a command may not
/// need them.
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

/// How long a plugin may take within `limit`: a little less, so that the error names the plugin.
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

/// What a context answers to the question for its Localbuild.
enum Answered {
    Found(Box<Localbuild>, Option<OneOfSeveral>),
    /// Versions that have none.
    None,
    /// It may have one.
    Forbidden(ClusterError),
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

/// The object that is meant, and where there are several, its name and those of the others. idpbuilder keeps one in a
/// cluster, named as the cluster.
fn only<T: Listed>(context: &str, mut items: Vec<T>) -> Result<(T, Option<OneOfSeveral>), ClusterError> {
    let names: Vec<&str> = items.iter().map(Listed::name).collect();
    let shown = |name: &&str| name.chars().take(api::MAX_SHOWN).collect::<String>();
    let mut shown: Vec<String> = names.iter().map(shown).collect();
    let Some(at) = choose(&names, kubeconfig::cluster_name(context)) else {
        return Err(ClusterError::SeveralObjects { context: context.to_owned(), kind: T::KIND, names: shown });
    };
    let used = shown.remove(at);
    let others = (!shown.is_empty()).then_some(OneOfSeveral { used, others: shown });
    Ok((items.swap_remove(at), others))
}

/// Everything about the registry of one cluster.
async fn read(api: &Api, answered: Answered) -> Result<ClusterRegistry, ClusterError> {
    let context = api.context().to_owned();
    let (localbuild, localbuilds, forbidden) = match answered {
        Answered::Found(localbuild, localbuilds) => (Some(localbuild), localbuilds, None),
        Answered::None => (None, None, None),
        Answered::Forbidden(error) => (None, None, Some(error)),
    };
    let customization = localbuild.as_ref().map(|localbuild| localbuild.customization()).unwrap_or_default();
    let named = localbuild.as_ref().and_then(|localbuild| localbuild.secret());
    let mut named = named.map(|secret| (NamedBy::Localbuild, secret));
    let mut address =
        Address::of_customization(&customization).or_else(|| Address::of_url(localbuild.as_ref()?.external_url()?));
    if address.is_none() {
        let provider = provider(api).await?;
        address = provider.as_ref().and_then(|provider| Address::of_url(provider.endpoint()?));
        named = named.or_else(|| Some((NamedBy::Provider, provider.as_ref()?.secret(GITEA_NAMESPACE)?)));
    }
    let address = match address {
        Some(address) => address,
        None => match (by_routes(api).await, forbidden) {
            (Ok(Some(address)), _) => address,
            (Ok(None) | Err(ClusterError::Forbidden { .. }), Some(forbidden)) => return Err(forbidden),
            (Ok(None), None) if localbuild.is_some() => return Err(ClusterError::GiteaNotReady { context }),
            (Ok(None), None) => return Err(ClusterError::NoGitea { context }),
            (Err(error), _) => return Err(error),
        },
    };
    let secret = match named {
        None => Ok((GITEA_NAMESPACE.to_owned(), GITEA_SECRET.to_owned())),
        Some((by, (namespace, name))) if may_read(by, &namespace, &name) => Ok((namespace, name)),
        Some((_, (namespace, name))) => {
            let name = format!("{namespace}/{name}").chars().take(api::MAX_SHOWN).collect();
            Err(ClusterError::ForeignSecret { context: context.clone(), name })
        }
    };
    let login = async { login(api, &secret?).await };
    let (login, certificate) = tokio::join!(login, certificate(api));
    let own = customization.self_signed_cert.filter(|pem| !pem.trim().is_empty());
    let certificate = match (certificate, own) {
        (Err(_), Some(pem)) => Ok(ClusterCertificate { pem, origin: "Localbuild".to_owned() }),
        (certificate, _) => certificate,
    };
    // The Localbuild says so last of all; the token alone is proof enough.
    let told = localbuild.as_ref().is_none_or(|localbuild| localbuild.gitea_is_available());
    let ready = told || login.as_ref().is_ok_and(|(_, key)| *key == "token");
    Ok(ClusterRegistry {
        context,
        scheme: address.scheme,
        names: address.names(),
        host: address.host,
        port: address.port,
        path_prefix: address.path_prefix,
        localbuilds,
        ready,
        certificate: certificate.map_err(Arc::new),
        login: login.map(|(login, _)| login).map_err(Arc::new),
    })
}

/// The object that newer versions have in the Localbuild's place.
async fn provider(api: &Api) -> Result<Option<GiteaProvider>, ClusterError> {
    match api.list::<GiteaProvider>("GiteaProviders", PROVIDERS).await {
        Ok(mut list) => {
            list.retain(|provider| provider.endpoint().is_some());
            if list.is_empty() { Ok(None) } else { only(api.context(), list).map(|(provider, _)| Some(provider)) }
        }
        Err(ClusterError::Forbidden { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The address by Gitea's Ingresses and the port of their controller.
async fn by_routes(api: &Api) -> Result<Option<Address>, ClusterError> {
    let (ingresses, service) = tokio::join!(
        api.ask::<List<Ingress>>("the Ingresses in gitea", "IngressList", INGRESSES, None),
        api.ask::<Service>(
            "the Service ingress-nginx/ingress-nginx-controller",
            "Service",
            INGRESS_SERVICES,
            Some(INGRESS_SERVICE)
        )
    );
    let routes = routes(&ingresses?.map(List::items).unwrap_or_default());
    if routes.is_empty() {
        return Ok(None);
    }
    Ok(Address::of_routes(&routes, service?.and_then(|service| service.entrance())))
}

fn secrets(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/secrets")
}

/// Who may push, and the key that proves it.
async fn login(api: &Api, (namespace, name): &ObjectName) -> Result<(Login, &'static str), ClusterError> {
    let context = || api.context().to_owned();
    let full = format!("{namespace}/{name}");
    let object =
        api.ask::<SecretObject>(&format!("the Secret {full}"), "Secret", &secrets(namespace), Some(name)).await?;
    let object = object.ok_or_else(|| ClusterError::MissingSecret { context: context(), name: full.clone() })?;
    match object.login() {
        Ok((username, secret, key, password)) => {
            let (origin, place) = (format!("Secret {full}, key {key}"), format!("Secret {full}"));
            Ok((Login { username, secret, password, origin, place }, key))
        }
        Err(key) => Err(ClusterError::SecretContent { context: context(), name: full, key }),
    }
}

async fn certificate(api: &Api) -> Result<ClusterCertificate, ClusterError> {
    let context = || api.context().to_owned();
    let (namespace, name) = CERTIFICATE_SECRET;
    let full = format!("{namespace}/{name}");
    let object =
        api.ask::<SecretObject>(&format!("the Secret {full}"), "Secret", &secrets(namespace), Some(name)).await?;
    let object = object.ok_or_else(|| ClusterError::MissingSecret { context: context(), name: full.clone() })?;
    match object.certificate() {
        Some(pem) => Ok(ClusterCertificate { pem, origin: format!("Secret {full}") }),
        None => Err(ClusterError::SecretContent { context: context(), name: full, key: "ca.crt" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn registry(names: &[&str], path_prefix: Option<&'static str>) -> ClusterRegistry {
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
