//! The HTTP client of one API server: kube's client with this crate's TLS verification.
//!
//! kube's own verification refuses an API server whose certificate is its own authority. kube accepts a connection as a
//! service, so this file names the HTTP library too.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_rustls::{DefaultServerNameResolver, FixedServerNameResolver, HttpsConnector, ResolveServerName};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ClientBuilder, ConfigExt as _};
use kube::{Client, Config};
use tower_service::Service;

use crate::tls::{ClientConfig, ClientTls};

/// The HTTP client with the type of error that kube's layers have.
#[derive(Clone)]
struct Boxed(HttpClient<HttpsConnector<HttpConnector>, Body>);

type BoxError = Box<dyn Error + Send + Sync>;

impl Service<Request<Body>> for Boxed {
    type Response = Response<Incoming>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context).map_err(BoxError::from)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move { answer.await.map_err(BoxError::from) })
    }
}

/// Returns a client of the API server that `config` names. Nothing is sent yet.
///
/// # Errors
///
/// Fails if the credential cannot be put into a header, or the name in the kubeconfig's `tls-server-name` is none.
pub(super) fn client(config: &Config, tls: &ClientTls) -> kube::Result<Client> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    let names: Arc<dyn ResolveServerName + Send + Sync> = match &config.tls_server_name {
        Some(name) => {
            let invalid = |error| kube::Error::RustlsTls(kube::client::RustlsTlsError::InvalidServerName(error));
            Arc::new(FixedServerNameResolver::new(name.clone().try_into().map_err(invalid)?))
        }
        None => Arc::new(DefaultServerNameResolver::default()),
    };
    let https = HttpsConnector::new(tcp, Arc::new(ClientConfig::clone(&tls.config)), true, names);
    let http = Boxed(HttpClient::builder(TokioExecutor::new()).build(https));
    let builder = ClientBuilder::new(http, config.default_namespace.clone()).with_layer(&config.extra_headers_layer()?);
    let address = config.base_uri_layer();
    Ok(match config.auth_layer()? {
        Some(credential) => builder.with_layer(&credential).with_layer(&address).build(),
        None => builder.with_layer(&address).build(),
    })
}
