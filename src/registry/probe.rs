//! Requests that change nothing: a diagnosis makes them, one step of a connection at a time.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ::http::{Method, StatusCode};
use serde::Deserialize;

use super::http::location;
use super::http::origin::Origin;
use super::request::{Access, empty};
use super::{Registry, RegistryError};
use crate::tls::{CertificateFacts, Presented};

/// Bytes an answer about a version may have.
const MAX_VERSION_BYTES: u64 = 4096;
/// Characters of a version that are kept.
const MAX_VERSION: usize = 60;
/// How long the answer about a session is awaited after the caller gave it up, to cancel the session that it may have
/// opened.
pub const LATE_LIMIT: Duration = Duration::from_secs(1);
/// How long forgetting a probed session may take.
const CANCEL_LIMIT: Duration = Duration::from_secs(1);

/// What the registry's name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether DNS had none and they are this machine's, which the name means.
    pub fell_back: bool,
}

/// An answer to the question for Gitea's version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GiteaVersion {
    /// The version.
    Told(String),
    /// There is nothing at its address: no Gitea.
    Absent,
    /// An answer with this status and without a version: no Gitea, or one that hides its version.
    NotTold(StatusCode),
}

impl Registry {
    /// Returns whether requests to the registry go through a proxy, which then resolves and connects.
    pub fn is_proxied(&self) -> bool {
        self.uri("").is_ok_and(|uri| self.transport.is_proxied(&uri))
    }

    /// Returns the chain the registry showed last; `None` where TLS is not used.
    pub fn presented(&self) -> Option<Presented> {
        self.transport.presented()
    }

    /// Returns the certificate that the registry itself showed last; certificates of other hosts do not count.
    pub fn own_certificate(&self) -> Option<CertificateFacts> {
        let host = self.authority.as_str().parse().ok()?;
        self.transport.presented()?.chain_of(&host).into_iter().next()
    }

    /// Resolves the registry's name as requests do.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Network`] where the name has no address.
    pub async fn resolve(&self) -> Result<Resolved, RegistryError> {
        let (addresses, fell_back) = self.transport.resolve(&self.uri("")?).await?;
        Ok(Resolved { addresses, fell_back })
    }

    /// Opens a TCP connection to one of the addresses, and closes it.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Network`] where none of the addresses accepts a connection.
    pub async fn connect(&self, addresses: &[IpAddr]) -> Result<SocketAddr, RegistryError> {
        let uri = self.uri("")?;
        let port = uri.port_u16().unwrap_or(if self.own.is_https() { 443 } else { 80 });
        let addresses: Vec<SocketAddr> = addresses.iter().map(|address| SocketAddr::new(*address, port)).collect();
        self.transport.connect(&uri, &addresses).await
    }

    /// Returns whether the registry has not asked for a credential so far, so that none was checked either.
    pub fn asks_nobody(&self) -> bool {
        self.auth.is_open()
    }

    /// Shows the credential where the specification has the check for it. An empty repository means the registry as
    /// a whole.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Unauthorized`] where the registry does not accept the credential, and any other fault of the
    /// request.
    pub async fn authenticate(&self, repository: &str) -> Result<(), RegistryError> {
        let mut reply = self.call(Access::Pull, repository, empty(Method::GET, self.uri("")?)).await?;
        if reply.status.is_success() {
            reply.discard().await;
            return Ok(());
        }
        Err(self.refused(&mut reply).await)
    }

    /// Returns whether the registry would accept a push to the repository: opens an upload session and cancels it.
    /// Nothing is sent into it, so nothing can be committed.
    ///
    /// `None` when there was no answer by the end of `enough`. A session that is opened soon after that is cancelled
    /// as well: all of this takes at most [`LATE_LIMIT`] and the time for cancelling longer than `enough`.
    ///
    /// # Errors
    ///
    /// The answer is the error of the request that opens the session.
    pub async fn probe_push(
        &self,
        repository: &str,
        enough: impl Future<Output = ()>,
    ) -> Option<Result<(), RegistryError>> {
        let mut opening = std::pin::pin!(self.open_session(repository, 0));
        let in_time = tokio::select! {
            answer = &mut opening => Some(answer),
            () = enough => None,
        };
        let (opened, answer) = match in_time {
            Some(Ok(session)) => (session, Some(Ok(()))),
            Some(Err(error)) => return Some(Err(error)),
            None => match tokio::time::timeout(LATE_LIMIT, opening).await {
                Ok(Ok(session)) => (session, None),
                Ok(Err(_)) | Err(_) => (None, None),
            },
        };
        if let Some(session) = opened {
            let _ = tokio::time::timeout(CANCEL_LIMIT, self.cancel(repository, &session)).await;
        }
        answer
    }

    /// Returns the version of Gitea, which Gitea has below `prefix` (`/gitea`, or nothing).
    ///
    /// # Errors
    ///
    /// Any fault of the request; an answer without a version is none.
    pub async fn gitea_version(&self, prefix: &str) -> Result<GiteaVersion, RegistryError> {
        let uri = location::absolute(self.own.is_https(), &self.authority, &format!("{prefix}/api/v1/version"));
        let uri = uri.map_err(|_| RegistryError::Address(self.host.clone()))?;
        let reply = self.transport.send(empty(Method::GET, uri)).await?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(GiteaVersion::Absent);
        }
        if reply.status != StatusCode::OK || Origin::of(&reply.uri).as_ref() != Some(&self.own) {
            return Ok(GiteaVersion::NotTold(reply.status));
        }
        let status = reply.status;
        let body = reply.document(MAX_VERSION_BYTES).await.unwrap_or_default();
        Ok(version(&body).map_or(GiteaVersion::NotTold(status), GiteaVersion::Told))
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
