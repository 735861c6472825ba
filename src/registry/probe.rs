//! Questions that change nothing: what a diagnosis asks, one step of a connection at a time.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ::http::{Method, StatusCode};
use serde::Deserialize;

use super::origin::Origin;
use super::{Access, Registry, RegistryError, empty};
use crate::image::Descriptor;
use crate::tls::{CertificateFacts, Presented};

/// Bytes an answer about a version may have.
const MAX_VERSION_BYTES: u64 = 4096;
/// Characters of a version that are kept.
const MAX_VERSION: usize = 60;
/// How long forgetting a probed session may take.
const CANCEL_LIMIT: Duration = Duration::from_secs(2);

/// What the registry's name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether DNS had none and they are this machine's, which the name means.
    pub fell_back: bool,
}

impl Registry {
    /// Whether requests to the registry go through a proxy, which then resolves and connects.
    pub fn is_proxied(&self) -> bool {
        self.uri("").is_ok_and(|uri| self.transport.is_proxied(&uri))
    }

    /// The chain the registry showed last; `None` where TLS is not used.
    pub fn presented(&self) -> Option<Presented> {
        self.transport.presented()
    }

    /// The certificate that the registry itself showed last, whoever else was met since.
    pub fn own_certificate(&self) -> Option<CertificateFacts> {
        let host = self.authority.as_str().parse().ok()?;
        self.transport.presented()?.chain_of(&host).into_iter().next()
    }

    /// Resolves the registry's name as requests do.
    pub async fn resolve(&self) -> Result<Resolved, RegistryError> {
        let (addresses, fell_back) = self.transport.resolve(&self.uri("")?).await?;
        Ok(Resolved { addresses, fell_back })
    }

    /// Opens a TCP connection to one of the addresses, and closes it.
    pub async fn connect(&self, addresses: &[IpAddr]) -> Result<SocketAddr, RegistryError> {
        let uri = self.uri("")?;
        let port = uri.port_u16().unwrap_or(if self.own.is_https() { 443 } else { 80 });
        let addresses: Vec<SocketAddr> = addresses.iter().map(|address| SocketAddr::new(*address, port)).collect();
        self.transport.connect(&uri, &addresses).await
    }

    /// Shows the credential where the specification has the check for it.
    pub async fn authenticate(&self, repository: &str) -> Result<(), RegistryError> {
        let mut reply = self.call(Access::Pull, repository, empty(Method::GET, self.uri("")?)).await?;
        if reply.status.is_success() {
            reply.discard().await;
            return Ok(());
        }
        Err(self.refused(&mut reply).await)
    }

    /// Whether a push to the repository would be let in: opens an upload session and cancels it.
    /// Nothing is sent into it, so nothing can be committed.
    pub async fn probe_push(&self, repository: &str) -> Result<(), RegistryError> {
        if let Some(session) = self.open_session(repository, &Descriptor::of("application/octet-stream", b"")).await? {
            let _ = tokio::time::timeout(CANCEL_LIMIT, self.cancel(repository, &session)).await;
        }
        Ok(())
    }

    /// The version of Gitea that serves the registry, if it is one and says so to anybody.
    pub async fn gitea_version(&self) -> Option<String> {
        let scheme = if self.own.is_https() { "https" } else { "http" };
        let uri = format!("{scheme}://{}/api/v1/version", self.authority).parse().ok()?;
        let reply = self.transport.send(empty(Method::GET, uri)).await.ok()?;
        if reply.status != StatusCode::OK || Origin::of(&reply.uri).as_ref() != Some(&self.own) {
            return None;
        }
        version(&reply.bytes(MAX_VERSION_BYTES).await.ok()?)
    }
}

fn version(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        version: String,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let version: String = answer.version.chars().take(MAX_VERSION).collect();
    (!version.is_empty() && version.bytes().all(|byte| byte.is_ascii_graphic())).then_some(version)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_a_version_is_a_version() {
        assert_eq!(version(br#"{"version":"1.24.3"}"#).as_deref(), Some("1.24.3"));
        for body in [&b"<html>"[..], b"{}", br#"{"version":""}"#, br#"{"version":"\u001b[31m"}"#, br#"{"version":1}"#] {
            assert_eq!(version(body), None);
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(body: Vec<u8>) {
            let _ = version(&body);
        }
    }
}
