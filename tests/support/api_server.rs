//! A stand-in for a cluster's API server: recorded answers over TLS, to clients whose certificate its
//! authority signed. Comes with the kubeconfig that leads to it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

/// The path of the cluster's Localbuilds.
pub const LOCALBUILDS: &str = "/apis/idpbuilder.cnoe.io/v1alpha1/localbuilds";
/// The path of the Gitea providers of newer idpbuilder versions.
pub const PROVIDERS: &str = "/apis/idpbuilder.cnoe.io/v1alpha2/giteaproviders";
/// The path of the ingresses in Gitea's namespace.
pub const INGRESSES: &str = "/apis/networking.k8s.io/v1/namespaces/gitea/ingresses";
/// The path of the ingress controller's Service.
pub const INGRESS_SERVICE: &str = "/api/v1/namespaces/ingress-nginx/services/ingress-nginx-controller";
/// The path of the Secret with Gitea's credential.
pub const CREDENTIAL: &str = "/api/v1/namespaces/gitea/secrets/gitea-credential";
/// The path of the Secret with the cluster's certificate.
pub const CERTIFICATE: &str = "/api/v1/namespaces/default/secrets/idpbuilder-cert";

/// Answers by path; every other path is not found.
pub type Answers = BTreeMap<String, (u16, Value)>;

/// How long the server's certificate is valid.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// The certificate is valid today.
    Now,
    /// The certificate has expired.
    Over,
}

struct Shared {
    answers: Answers,
    seen: Mutex<Vec<String>>,
    stop: AtomicBool,
}

/// A running stand-in; stops listening when dropped.
pub struct ApiServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    authority: String,
    client: (String, String),
}

struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        Self::with_key(CertificateParams::default(), KeyPair::generate().expect("a key"))
    }

    fn with_key(mut params: CertificateParams, key: KeyPair) -> Self {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("signed");
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn sign(
        &self,
        names: &[&str],
        usage: ExtendedKeyUsagePurpose,
        validity: Validity,
    ) -> (rcgen::Certificate, KeyPair) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.extended_key_usages = vec![usage];
        if validity == Validity::Over {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().expect("a key");
        (params.signed_by(&key, &self.issuer).expect("signed"), key)
    }
}

impl ApiServer {
    /// Starts a stand-in whose certificate is valid.
    pub fn start(answers: Answers) -> Self {
        Self::start_with(answers, Validity::Now)
    }

    /// Starts a stand-in with the validity of its certificate.
    pub fn start_with(answers: Answers, validity: Validity) -> Self {
        let authority = Authority::new();
        let (certificate, key) = authority.sign(&["127.0.0.1"], ExtendedKeyUsagePurpose::ServerAuth, validity);
        Self::serve(answers, &authority, certificate.der().clone(), &key)
    }

    /// A server whose own certificate is the authority that the kubeconfig names.
    pub fn its_own_authority(answers: Answers) -> Self {
        let key = KeyPair::generate().expect("a key");
        let again = KeyPair::try_from(key.serialize_der()).expect("a key");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        let authority = Authority::with_key(params, key);
        let certificate = authority.certificate.der().clone();
        Self::serve(answers, &authority, certificate, &again)
    }

    fn serve(answers: Answers, authority: &Authority, certificate: CertificateDer<'static>, key: &KeyPair) -> Self {
        let (client, client_key) = authority.sign(&[], ExtendedKeyUsagePurpose::ClientAuth, Validity::Now);
        let config = server_config(authority, certificate, key);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared { answers, seen: Mutex::default(), stop: AtomicBool::new(false) });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if accepting.stop.load(Ordering::Relaxed) {
                    return;
                }
                let (shared, config) = (Arc::clone(&accepting), Arc::clone(&config));
                std::thread::spawn(move || {
                    // A client that refuses our certificate is part of some tests.
                    let _ = converse(stream, config, &shared);
                });
            }
        });
        Self {
            address,
            shared,
            authority: authority.certificate.pem(),
            client: (client.pem(), client_key.serialize_pem()),
        }
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Paths asked for so far by whom the authority knows.
    pub fn seen(&self) -> Vec<String> {
        self.shared.seen.lock().expect("unpoisoned").clone()
    }

    /// The kubeconfig's parts for a context of that name.
    pub fn context(&self, name: &str) -> Context {
        let data = |pem: &str| STANDARD.encode(pem);
        Context {
            name: name.to_owned(),
            cluster: json!({
                "server": format!("https://{}", self.address),
                "certificate-authority-data": data(&self.authority),
            }),
            user: json!({
                "client-certificate-data": data(&self.client.0),
                "client-key-data": data(&self.client.1),
            }),
        }
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

/// One context with its cluster and user.
#[derive(Clone)]
pub struct Context {
    /// The context's name.
    pub name: String,
    /// The `cluster` entry of the kubeconfig.
    pub cluster: Value,
    /// The `user` entry of the kubeconfig.
    pub user: Value,
}

/// A kubeconfig of those contexts; JSON is YAML.
pub fn kubeconfig(current: &str, contexts: &[Context]) -> String {
    let of = |part: &dyn Fn(&Context) -> Value| contexts.iter().map(part).collect::<Vec<_>>();
    let document = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": current,
        "clusters": of(&|context| json!({"name": context.name, "cluster": context.cluster})),
        "users": of(&|context| json!({"name": context.name, "user": context.user})),
        "contexts": of(&|context| {
            json!({"name": context.name, "context": {"cluster": context.name, "user": context.name}})
        }),
    });
    serde_json::to_string_pretty(&document).expect("serialised")
}

fn server_config(authority: &Authority, certificate: CertificateDer<'static>, key: &KeyPair) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate.der().clone()).expect("a root");
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(clients.allow_unauthenticated().build().expect("a verifier"))
        .with_single_cert(vec![certificate], key)
        .expect("a pair");
    Arc::new(config)
}

fn converse(stream: TcpStream, config: Arc<ServerConfig>, shared: &Shared) -> std::io::Result<()> {
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut reader = BufReader::new(StreamOwned::new(connection, stream));
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let mut line = String::new();
        while reader.read_line(&mut line)? > 2 {
            line.clear();
        }
        let target = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let path = target.split('?').next().unwrap_or_default().to_owned();
        let anonymous = reader.get_ref().conn.peer_certificates().is_none();
        let missing = (404, json!({"kind": "Status", "code": 404, "reason": "NotFound"}));
        let (status, body) = if anonymous {
            (401, json!({"kind": "Status", "code": 401, "reason": "Unauthorized"}))
        } else {
            shared.seen.lock().expect("unpoisoned").push(path.clone());
            shared.answers.get(&path).cloned().unwrap_or(missing)
        };
        let body = body.to_string();
        let stream = reader.get_mut();
        write!(
            stream,
            "HTTP/1.1 {status} Recorded\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        stream.flush()?;
    }
}

/// A Secret with those values.
pub fn secret(pairs: &[(&str, &str)]) -> Value {
    let data: serde_json::Map<String, Value> =
        pairs.iter().map(|(key, value)| ((*key).to_owned(), json!(STANDARD.encode(value)))).collect();
    json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": data})
}

/// What the API server says to those who may not.
pub fn forbidden() -> (u16, Value) {
    (
        403,
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403,
        "message": "User \"developer\" cannot get resource"}),
    )
}

/// A Localbuild as idpbuilder writes it for `cnoe.localtest.me` at `port`.
pub fn localbuild(port: &str, path_routing: bool) -> Value {
    let url = if path_routing {
        format!("https://cnoe.localtest.me:{port}/gitea")
    } else {
        format!("https://gitea.cnoe.localtest.me:{port}")
    };
    json!({"apiVersion": "idpbuilder.cnoe.io/v1alpha1", "kind": "LocalbuildList", "items": [{
        "metadata": {"name": "localdev"},
        "spec": {"packageConfigs": {}, "buildCustomization": {
            "protocol": "https", "host": "cnoe.localtest.me", "ingressHost": "cnoe.localtest.me", "port": port,
            "usePathRouting": path_routing}},
        "status": {"gitea": {"available": true, "externalURL": url, "internalURL": url,
            "adminUserSecretNameecret": "gitea-credential", "adminUserSecretNamespace": "gitea"}}
    }]})
}
