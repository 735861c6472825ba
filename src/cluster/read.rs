//! Reads what one cluster says about its registry: a Localbuild and two Secrets, or what other versions have instead.

use std::sync::Arc;

use super::address::Address;
use super::api::{self, Api};
use super::documents::{
    GiteaProvider, Ingress, List, Listed, Localbuild, ObjectName, SecretObject, Service, choose, routes,
};
use super::error::ClusterError;
use super::kubeconfig;
use super::reach::{GITEA_NAMESPACE, GITEA_SECRET, NamedBy, may_read};
use super::registry::{ClusterCertificate, ClusterRegistry, Login, OneOfSeveral};

const PROVIDERS: &str = "/apis/idpbuilder.cnoe.io/v1alpha2/giteaproviders";
const INGRESSES: &str = "/apis/networking.k8s.io/v1/namespaces/gitea/ingresses";
const INGRESS_SERVICES: &str = "/api/v1/namespaces/ingress-nginx/services";
const INGRESS_SERVICE: &str = "ingress-nginx-controller";
/// The copy of the certificate that has no key beside it.
const CERTIFICATE_SECRET: (&str, &str) = ("default", "idpbuilder-cert");

/// A context's answer when asked for its Localbuild.
pub(super) enum Answered {
    Found(Box<Localbuild>, Option<OneOfSeveral>),
    /// The version of idpbuilder has no Localbuild.
    None,
    /// Listing Localbuilds is forbidden, so there may be one.
    Forbidden(ClusterError),
}

/// Chooses the object with the cluster's name, as idpbuilder creates it; of several, also returns all names.
pub(super) fn only<T: Listed>(context: &str, mut items: Vec<T>) -> Result<(T, Option<OneOfSeveral>), ClusterError> {
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

/// Reads address, certificate and login of one cluster's registry.
pub(super) async fn read(api: &Api, answered: Answered) -> Result<ClusterRegistry, ClusterError> {
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
    // The Localbuild reports Gitea as available late; the token alone proves that it is.
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

/// Returns the object that newer versions have in place of the Localbuild.
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

/// Returns the address from Gitea's Ingresses and their controller's port.
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

/// Returns the administrator's login, and the Secret's key that holds its token or password.
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
