//! The objects of the API server, reduced to the fields about the registry. No I/O.
//!
//! All fields are optional, since each version of idpbuilder leaves out different ones.

use serde::Deserialize;
use zeroize::Zeroizing;

use super::inputs::decoded;
use crate::credentials::Secret;

/// The fields that every object has.
#[derive(Debug, Deserialize)]
pub(super) struct ObjectKind {
    pub(super) kind: Option<String>,
}

/// A list of objects.
#[derive(Debug, Deserialize)]
pub(super) struct List<T> {
    items: Option<Vec<T>>,
}

impl<T> List<T> {
    pub(super) fn items(self) -> Vec<T> {
        self.items.unwrap_or_default()
    }
}

/// `idpbuilder.cnoe.io/v1alpha1` `Localbuild`: one for a cluster.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Localbuild {
    kind: Option<String>,
    metadata: Option<ObjectMetadata>,
    spec: Option<LocalbuildSpec>,
    status: Option<LocalbuildStatus>,
}

#[derive(Debug, Default, Deserialize)]
struct ObjectMetadata {
    name: Option<String>,
}

impl ObjectMetadata {
    fn name(metadata: Option<&Self>) -> &str {
        metadata.and_then(|metadata| metadata.name.as_deref()).unwrap_or_default()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LocalbuildSpec {
    build_customization: Option<BuildCustomization>,
}

/// The options with which the cluster was created.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BuildCustomization {
    pub(super) protocol: Option<String>,
    pub(super) host: Option<String>,
    pub(super) ingress_host: Option<String>,
    pub(super) port: Option<String>,
    pub(super) use_path_routing: Option<bool>,
    pub(super) self_signed_cert: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct LocalbuildStatus {
    gitea: Option<GiteaStatus>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GiteaStatus {
    available: Option<bool>,
    #[serde(rename = "externalURL")]
    external_url: Option<String>,
    // The API misspells the key; the alias is for versions that correct it.
    #[serde(rename = "adminUserSecretNameecret", alias = "adminUserSecretName")]
    secret_name: Option<String>,
    #[serde(rename = "adminUserSecretNamespace")]
    secret_namespace: Option<String>,
}

/// `namespace` and `name` of an object.
pub(super) type ObjectName = (String, String);

/// An object of a list in which only one kind belongs.
pub(super) trait Listed {
    /// The kind of every object of the list.
    const KIND: &'static str;

    /// Returns the object's own `kind`, if it has one.
    fn kind(&self) -> Option<&str>;

    /// Returns the object's name; empty where it has none.
    fn name(&self) -> &str;
}

impl Listed for Localbuild {
    const KIND: &'static str = "Localbuild";

    fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }

    fn name(&self) -> &str {
        ObjectMetadata::name(self.metadata.as_ref())
    }
}

impl Localbuild {
    pub(super) fn customization(&self) -> BuildCustomization {
        self.spec.as_ref().and_then(|spec| spec.build_customization.clone()).unwrap_or_default()
    }

    fn gitea(&self) -> Option<&GiteaStatus> {
        self.status.as_ref()?.gitea.as_ref()
    }

    /// Returns whether Gitea has answered and its credential exists.
    pub(super) fn gitea_is_available(&self) -> bool {
        self.gitea().is_some_and(|gitea| gitea.available == Some(true))
    }

    pub(super) fn external_url(&self) -> Option<&str> {
        self.gitea()?.external_url.as_deref()
    }

    /// Returns the Secret with the credential.
    pub(super) fn secret(&self) -> Option<ObjectName> {
        let gitea = self.gitea()?;
        let text = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        Some((text(&gitea.secret_namespace)?, text(&gitea.secret_name)?))
    }
}

/// `idpbuilder.cnoe.io/v1alpha2` `GiteaProvider`, which replaces the Localbuild.
#[derive(Debug, Default, Deserialize)]
pub(super) struct GiteaProvider {
    kind: Option<String>,
    metadata: Option<ObjectMetadata>,
    status: Option<ProviderStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProviderStatus {
    endpoint: Option<String>,
    credentials_secret_ref: Option<SecretReference>,
}

#[derive(Debug, Deserialize)]
struct SecretReference {
    name: String,
    namespace: Option<String>,
}

impl Listed for GiteaProvider {
    const KIND: &'static str = "GiteaProvider";

    fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }

    fn name(&self) -> &str {
        ObjectMetadata::name(self.metadata.as_ref())
    }
}

/// Returns which of several objects of a cluster is meant: the only one, or the one named as the cluster is.
pub(super) fn choose(names: &[&str], cluster: Option<&str>) -> Option<usize> {
    let mut matches = names.iter().enumerate().filter(|(_, name)| Some(**name) == cluster).map(|(at, _)| at);
    match (names.len(), matches.next(), matches.next()) {
        (1, _, _) => Some(0),
        (_, Some(at), None) => Some(at),
        _ => None,
    }
}

impl GiteaProvider {
    pub(super) fn endpoint(&self) -> Option<&str> {
        self.status.as_ref()?.endpoint.as_deref()
    }

    pub(super) fn secret(&self, default_namespace: &str) -> Option<ObjectName> {
        let reference = self.status.as_ref()?.credentials_secret_ref.as_ref()?;
        Some((reference.namespace.clone().unwrap_or_else(|| default_namespace.to_owned()), reference.name.clone()))
    }
}

/// `networking.k8s.io/v1` `Ingress`.
#[derive(Debug, Deserialize)]
pub(super) struct Ingress {
    spec: Option<IngressSpec>,
}

#[derive(Debug, Deserialize)]
struct IngressSpec {
    rules: Option<Vec<IngressRule>>,
}

#[derive(Debug, Deserialize)]
struct IngressRule {
    host: Option<String>,
    http: Option<IngressPaths>,
}

#[derive(Debug, Deserialize)]
struct IngressPaths {
    paths: Option<Vec<IngressPath>>,
}

#[derive(Debug, Deserialize)]
struct IngressPath {
    path: Option<String>,
}

/// Returns the host names of Gitea's Ingresses with the paths below each.
pub(super) fn routes(ingresses: &[Ingress]) -> Vec<(String, Vec<String>)> {
    let rules = ingresses.iter().filter_map(|ingress| ingress.spec.as_ref()?.rules.as_ref()).flatten();
    let route = |rule: &IngressRule| {
        let paths = rule.http.iter().filter_map(|http| http.paths.as_ref()).flatten();
        Some((rule.host.clone()?, paths.filter_map(|path| path.path.clone()).collect()))
    };
    rules.filter_map(route).collect()
}

/// `v1` `Service` of the ingress controller.
#[derive(Debug, Deserialize)]
pub(super) struct Service {
    spec: Option<ServiceSpec>,
}

#[derive(Debug, Deserialize)]
struct ServiceSpec {
    ports: Option<Vec<ServicePort>>,
}

#[derive(Debug, Deserialize)]
struct ServicePort {
    name: Option<String>,
    port: Option<u16>,
}

impl Service {
    /// Returns the protocol and port that the cluster was made with: idpbuilder names that port after both.
    pub(super) fn entrance(&self) -> Option<(String, u16)> {
        self.spec.as_ref()?.ports.as_ref()?.iter().find_map(|port| {
            let number = port.port?;
            let (protocol, suffix) = port.name.as_deref()?.split_once('-')?;
            (suffix.parse() == Ok(number)).then(|| (protocol.to_owned(), number))
        })
    }
}

/// `v1` `Secret`. Only the keys below are kept; a private key beside them is not.
#[derive(Deserialize)]
pub(super) struct SecretObject {
    data: Option<SecretData>,
}

#[derive(Deserialize)]
struct SecretData {
    username: Option<String>,
    password: Option<String>,
    token: Option<String>,
    #[serde(rename = "ca.crt")]
    ca_crt: Option<String>,
}

impl SecretObject {
    /// Returns the user name, and the token or else the password, with the key it was under; the password too, where
    /// both are there and differ.
    ///
    /// Fails with the key that is missing.
    pub(super) fn login(self) -> Result<(String, Secret, &'static str, Option<Secret>), &'static str> {
        let data = self.data.ok_or("username")?;
        let username = decode(data.username).ok_or("username")?;
        let username = username.trim().to_owned();
        let token = decode(data.token).map(|token| (token, "token"));
        let password = decode(data.password);
        let (secret, key) = token.or_else(|| password.clone().map(|password| (password, "password"))).ok_or("token")?;
        let own = |text: &Zeroizing<String>| Secret::new(text.as_str().to_owned());
        let spare = password.as_ref().filter(|password| **password != secret).map(own);
        Ok((username, own(&secret), key, spare))
    }

    /// Returns the certificate, PEM.
    pub(super) fn certificate(self) -> Option<String> {
        self.data.and_then(|data| decode(data.ca_crt)).map(|text| text.as_str().to_owned())
    }
}

/// Returns a Secret's value: base64 of text that is not empty.
fn decode(value: Option<String>) -> Option<Zeroizing<String>> {
    let value = Zeroizing::new(value?);
    let bytes = decoded(&value)?;
    let text = std::str::from_utf8(&bytes).ok()?;
    (!text.trim().is_empty()).then(|| Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn of<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
        serde_json::from_value(value).expect("readable")
    }

    #[test]
    fn localbuilds_of_every_version_are_read() {
        let now: Localbuild = of(json!({
            "metadata": {"name": "localdev"},
            "spec": {"packageConfigs": {}, "buildCustomization": {
                "protocol": "https", "host": "cnoe.localtest.me", "ingressHost": "cnoe.localtest.me", "port": "8443",
                "usePathRouting": true, "selfSignedCert": "PEM", "staticPassword": false}},
            "status": {"gitea": {"available": true, "externalURL": "https://gitea.cnoe.localtest.me:8443",
                "adminUserSecretNameecret": "gitea-credential", "adminUserSecretNamespace": "gitea"}}
        }));
        let customization = now.customization();
        assert_eq!(customization.port.as_deref(), Some("8443"));
        assert_eq!((customization.use_path_routing, now.gitea_is_available()), (Some(true), true));
        assert_eq!(now.secret(), Some(("gitea".into(), "gitea-credential".into())));

        let v06: Localbuild = of(json!({
            "spec": {"packageConfigs": {}},
            "status": {"gitea": {"available": true, "externalURL": "https://gitea.cnoe.localtest.me:8443",
                "adminUserSecretNameecret": "gitea-credential", "adminUserSecretNamespace": "gitea"}}
        }));
        assert_eq!(v06.external_url(), Some("https://gitea.cnoe.localtest.me:8443"));
        assert_eq!(v06.customization().host, None);

        let young: Localbuild = of(json!({"spec": {"buildCustomization": {"host": "h"}}, "status": {"gitea": {}}}));
        assert!(!young.gitea_is_available() && young.secret().is_none());
        let bare: Localbuild = of(json!({}));
        assert!(!bare.gitea_is_available() && bare.external_url().is_none());
        assert_eq!(of::<List<Localbuild>>(json!({"items": null})).items().len(), 0);
    }

    #[test]
    fn providers_ingresses_and_services_are_read() {
        let provider: GiteaProvider = of(json!({"status": {"endpoint": "https://h/gitea",
            "credentialsSecretRef": {"name": "gitea-credential", "key": "token"}}}));
        assert_eq!(provider.endpoint(), Some("https://h/gitea"));
        assert_eq!(provider.secret("gitea"), Some(("gitea".into(), "gitea-credential".into())));
        assert_eq!(of::<GiteaProvider>(json!({})).secret("gitea"), None);

        let ingress: Ingress = of(json!({"spec": {"rules": [
            {"host": "a", "http": {"paths": [{"path": "/v2"}, {}]}}, {"host": "b"}, {"http": {}}]}}));
        assert_eq!(routes(&[ingress]), [("a".to_owned(), vec!["/v2".to_owned()]), ("b".to_owned(), vec![])]);

        let service: Service = of(json!({"spec": {"ports": [
            {"name": "http", "port": 80}, {"name": "https", "port": 443}, {"name": "https-8443", "port": 8443}]}}));
        assert_eq!(service.entrance(), Some(("https".into(), 8443)));
        assert_eq!(of::<Service>(json!({"spec": {"ports": [{"name": "https-1", "port": 443}]}})).entrance(), None);
    }

    #[test]
    fn of_several_the_one_named_as_the_cluster_is_meant() {
        for (names, cluster, expected) in [
            (&["a"][..], Some("b"), Some(0)),
            (&["a"], None, Some(0)),
            (&["a", "b"], Some("b"), Some(1)),
            (&["a", "b"], Some("c"), None),
            (&["a", "b"], None, None),
            (&["a", "a"], Some("a"), None),
            (&["", ""], None, None),
            (&[], Some("a"), None),
        ] {
            assert_eq!(choose(names, cluster), expected, "{names:?} {cluster:?}");
        }
        let pod: Localbuild = of(json!({"kind": "Pod", "metadata": {"name": "a"}}));
        assert_eq!((pod.kind(), pod.name()), (Some("Pod"), "a"));
    }

    fn secret(pairs: &[(&str, &str)]) -> SecretObject {
        let data: serde_json::Map<_, _> =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), json!(STANDARD.encode(value)))).collect();
        of(json!({"data": data}))
    }

    #[test]
    fn a_token_is_preferred_and_the_user_keeps_its_case() {
        let login = |pairs: &[(&str, &str)]| {
            secret(pairs).login().map(|(user, secret, key, password)| {
                let password = password.map_or_else(String::new, |password| format!(", else {}", password.expose()));
                format!("{user} {} {key}{password}", secret.expose())
            })
        };
        let user = ("username", "giteaAdmin");
        assert_eq!(login(&[user, ("password", "p:@/"), ("token", "t")]), Ok("giteaAdmin t token, else p:@/".into()));
        assert_eq!(login(&[user, ("password", "t"), ("token", "t")]), Ok("giteaAdmin t token".into()));
        assert_eq!(login(&[user, ("token", "t")]), Ok("giteaAdmin t token".into()));
        assert_eq!(login(&[user, ("password", "p:@/")]), Ok("giteaAdmin p:@/ password".into()));
        assert_eq!(login(&[user, ("token", "")]), Err("token"));
        assert_eq!(login(&[("token", "t")]), Err("username"));
        assert_eq!(of::<SecretObject>(json!({})).login().expect_err("none"), "username");
        // Go's decoder passes over line breaks.
        let broken: SecretObject = of(json!({"data": {"username": "Z2l0\nZWFB\r\nZG1pbg==\n", "token": "dA==\n"}}));
        assert_eq!(broken.login().map(|(user, ..)| user), Ok("giteaAdmin".to_owned()));
        let damaged: SecretObject = of(json!({"data": {"username": "!", "token": "/w=="}}));
        assert_eq!(damaged.login().expect_err("damaged"), "username");
    }

    #[test]
    fn a_certificate_is_all_that_is_kept_of_its_secret() {
        let object = secret(&[("ca.crt", "PEM"), ("tls.key", "hunter2")]);
        assert_eq!(object.certificate().as_deref(), Some("PEM"));
        assert_eq!(secret(&[("tls.crt", "PEM")]).certificate(), None);
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "\\PC{0,300}", inside in "[\\[\\]{}:,\"a-z0-9]{0,80}") {
            for text in [text, format!("{{\"spec\":{inside},\"status\":{inside},\"data\":{inside}}}")] {
                let _ = serde_json::from_str::<List<Localbuild>>(&text);
                let _ = serde_json::from_str::<Localbuild>(&text).map(|build| (build.secret(), build.customization()));
                let _ = serde_json::from_str::<GiteaProvider>(&text).map(|provider| provider.secret("gitea"));
                let _ = serde_json::from_str::<Ingress>(&text).map(|ingress| routes(&[ingress]));
                let _ = serde_json::from_str::<Service>(&text).map(|service| service.entrance());
                let _ = serde_json::from_str::<SecretObject>(&text).map(SecretObject::login);
            }
        }

        #[test]
        fn decoding_never_panics(value in "[A-Za-z0-9+/=]{0,40}") {
            let _ = decode(Some(value));
        }
    }
}
