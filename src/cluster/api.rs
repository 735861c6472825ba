//! Reads from the API server of one context: bounded `GET` requests with typed errors.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use http_body::Body as _;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Request;
use kube::core::params::{GetParams, ListParams};
use kube::{Client, Config};
use rustls::pki_types::CertificateDer;
use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::connect;
use super::documents::{List, Listed, ObjectKind};
use super::error::{ClusterError, Part, Place};
use super::inputs::{Patience, decoded, name_authority, read_inputs};
use super::kubeconfig::{cluster, unusable};
use crate::progress::Interrupt;
use crate::tls::{self, ClientTls, Origin, SystemRoots, TlsPolicy, TrustStore, to_pem};

/// The most bytes of an answer that are read, twice the size of the largest object that the API server stores.
const MAX_ANSWER_BYTES: usize = 4 << 20;
/// The most objects of a list that are requested.
const MAX_OBJECTS: u32 = 100;
/// The most characters of an API server's text that a message quotes.
pub(super) const MAX_SHOWN: usize = 100;
/// The most links of an error's chain that are followed.
const MAX_DEPTH: usize = 32;

/// One API server, seen through one context.
pub(super) struct Api {
    client: Client,
    place: Place,
}

impl Api {
    /// Returns the API server that a context names, without a request.
    pub(super) fn place_of(config: &Kubeconfig, context: &str) -> Result<Place, ClusterError> {
        let incomplete = || ClusterError::Incomplete { context: context.to_owned(), part: Part::Server };
        let cluster = cluster(config, context).ok_or_else(incomplete)?;
        let url = cluster.server.as_deref().ok_or_else(incomplete)?;
        // The answers decide which certificate is trusted, so the API server must be the one that the kubeconfig names.
        if cluster.insecure_skip_tls_verify == Some(true) || !url.starts_with("https://") {
            return Err(ClusterError::Unverified { context: context.to_owned() });
        }
        if cluster.proxy_url.as_deref().is_some_and(|proxy| !proxy.is_empty()) {
            return Err(ClusterError::Proxied { context: context.to_owned() });
        }
        let authority = url.trim_start_matches("https://").split(['/', '?', '#']).next().unwrap_or_default();
        let server = authority.rsplit('@').next().unwrap_or_default();
        Ok(Place { context: context.to_owned(), server: server.to_owned() })
    }

    /// Prepares the connection; runs the credential plugin if the context has one. Another thread waits for files
    /// and plugins, until `patience` or this future ends.
    pub(super) async fn open(
        config: Kubeconfig,
        place: Place,
        patience: Patience,
        system: SystemRoots,
    ) -> Result<Self, ClusterError> {
        let abandoned = Abandoned(patience.abandoned.clone());
        let context = place.context.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let mut config = read_inputs(config, &context, &patience)?;
            name_authority(&mut config, &context, &system)?;
            Ok(config)
        });
        let config = reading.await.expect("reading does not panic")?;
        drop(abandoned);
        let options = KubeConfigOptions { context: Some(place.context.clone()), ..KubeConfigOptions::default() };
        let none = Path::new("");
        // The content of every file is already in the configuration.
        let mut config = Config::from_custom_kubeconfig(config, &options)
            .await
            .map_err(|error| unusable(none, &place.context, error))?;
        // Proxy variables of the environment are for the registry, not for a cluster on this machine.
        config.proxy_url = None;
        // The time limit is short, so a failed request is not repeated; the user can run the command again.
        config.default_retry = false;
        let tls = client_tls(&config, &place.context)?;
        let client = connect::client(&config, &tls).map_err(|error| place.failed(error))?;
        Ok(Self { client, place })
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn context(&self) -> &str {
        &self.place.context
    }

    /// Returns the object of that name below a path, or the list of all; `None` when it, or its kind, is not there.
    ///
    /// # Errors
    ///
    /// [`ClusterError::WrongKind`] for an answer of another kind than `kind`.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        what: &str,
        kind: &str,
        path: &str,
        name: Option<&str>,
    ) -> Result<Option<T>, ClusterError> {
        let request = match name {
            Some(name) => Request::new(path).get(name, &GetParams::default()),
            None => Request::new(path).list(&ListParams::default().limit(MAX_OBJECTS)),
        };
        let request = request.map_err(|_| self.answer(what, None))?.map(Body::from);
        let answer = self.client.send(request).await.map_err(|error| self.place.failed(error))?;
        let context = || self.place.context.clone();
        match answer.status().as_u16() {
            200 => {}
            401 => return Err(ClusterError::Unauthorized { context: context() }),
            403 => return Err(ClusterError::Forbidden { context: context(), what: what.to_owned() }),
            404 => return Ok(None),
            status => return Err(self.answer(what, Some(status))),
        }
        // The answer may hold a Secret.
        let mut bytes = Zeroizing::new(Vec::new());
        let mut body = answer.into_body();
        while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let Ok(data) = frame.map_err(|error| self.place.failed(error))?.into_data() else { continue };
            if bytes.len() + data.len() > MAX_ANSWER_BYTES {
                return Err(self.answer(what, None));
            }
            bytes.extend_from_slice(&data);
        }
        let answered: ObjectKind = serde_json::from_slice(&bytes).map_err(|_| self.answer(what, None))?;
        self.check_kind(what, kind, answered.kind.as_deref())?;
        serde_json::from_slice(&bytes).map(Some).map_err(|_| self.answer(what, None))
    }

    /// Returns the objects of a list; none where the API server does not know their kind.
    pub(super) async fn list<T: DeserializeOwned + Listed>(
        &self,
        what: &str,
        path: &str,
    ) -> Result<Vec<T>, ClusterError> {
        let list = self.ask::<List<T>>(what, &format!("{}List", T::KIND), path, None).await?;
        let items = list.map(List::items).unwrap_or_default();
        for item in &items {
            self.check_kind(what, T::KIND, item.kind())?;
        }
        Ok(items)
    }

    fn check_kind(&self, what: &str, expected: &str, found: Option<&str>) -> Result<(), ClusterError> {
        match found {
            Some(found) if found != expected => Err(ClusterError::WrongKind {
                context: self.place.context.clone(),
                what: what.to_owned(),
                kind: found.chars().take(MAX_SHOWN).collect(),
            }),
            _ => Ok(()),
        }
    }

    fn answer(&self, what: &str, status: Option<u16>) -> ClusterError {
        ClusterError::Answer { context: self.place.context.clone(), what: what.to_owned(), status }
    }
}

/// Signals a thread on drop that its result is no longer awaited.
struct Abandoned(Interrupt);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.request();
    }
}

impl Place {
    /// Converts an error of the library.
    fn failed(&self, error: kube::Error) -> ClusterError {
        let context = || self.context.clone();
        match error {
            kube::Error::InferKubeconfig(error) => unusable(Path::new(""), &self.context, error),
            // The token is not a valid header value.
            kube::Error::Auth(_) => ClusterError::Unauthorized { context: context() },
            kube::Error::RustlsTls(_) => ClusterError::Incomplete { context: context(), part: Part::ClientCertificate },
            error => match tls::classify(&error) {
                Some(fault) => ClusterError::Tls { place: self.clone(), fault },
                None => ClusterError::Unreachable { place: self.clone(), source: root_cause(&error) },
            },
        }
    }
}

/// Returns the protection of connections to the API server, by the rules that hold for a registry: the kubeconfig's
/// authority vouches for its certificate, or is that certificate itself.
fn client_tls(config: &Config, context: &str) -> Result<ClientTls, ClusterError> {
    let missing = |part| ClusterError::Incomplete { context: context.to_owned(), part };
    let mut trust = TrustStore::empty();
    // Where it names none, the system's roots were put there (`name_authority`).
    let authorities = config.root_cert.iter().flatten().map(|der| CertificateDer::from(der.as_slice()));
    let authorities: Vec<_> = authorities.collect();
    if !authorities.is_empty() {
        let origin = Origin::File(PathBuf::from("kubeconfig"));
        trust.add_pem(to_pem(&authorities).as_bytes(), origin).map_err(|_| missing(Part::Authority))?;
    }
    let user = &config.auth_info;
    match (&user.client_certificate_data, &user.client_key_data) {
        (None, None) => {}
        (Some(certificate), Some(key)) => {
            let certificate = decoded(certificate).ok_or_else(|| missing(Part::ClientCertificate))?;
            let key = decoded(key.expose_secret()).ok_or_else(|| missing(Part::ClientKey))?;
            let set = trust.set_identity(&certificate, &key, Path::new("kubeconfig"));
            set.map_err(|_| missing(Part::ClientCertificate))?;
        }
        (Some(_), None) => return Err(missing(Part::ClientKey)),
        (None, Some(_)) => return Err(missing(Part::ClientCertificate)),
    }
    let tls = tls::client(&TlsPolicy::Verify(trust));
    let tls = tls.map_err(|_| missing(Part::Authority))?;
    Ok(tls.expect("a policy that verifies has a configuration"))
}

/// Returns the innermost reason.
fn root_cause(error: &(dyn Error + 'static)) -> io::Error {
    let root = links(error).last().unwrap_or(error);
    let kind = root.downcast_ref::<io::Error>().map_or(io::ErrorKind::Other, io::Error::kind);
    io::Error::new(kind, root.to_string())
}

/// Returns the chain of sources, through `io::Error` too, whose content is not its source.
fn links<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    fn next<'a>(link: &&'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
        let link: &'a (dyn Error + 'static) = *link;
        match link.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => link.source(),
        }
    }
    std::iter::successors(Some(error), next).take(MAX_DEPTH)
}
