//! The server: binding, accepting and stopping.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::access::AccessLine;
use super::certificate::{CertificateError, Identity};
use super::connections::ConnectionSlots;
use super::htpasswd::{self, Htpasswd, HtpasswdError};
use super::http::{Connections, Stop};
use super::limits::Limits;
use super::login::Users;
use super::registry::Registry;
use super::sessions::Sessions;
use crate::fs::{self, Links};
use crate::store::{ImageStore, StoreError};

/// How often idle upload sessions are looked for.
const SWEEP: Duration = Duration::from_mins(1);

/// The pause after an accept that failed, most likely because file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Whether the server speaks TLS, and with which certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServeTls {
    /// Plain HTTP.
    Off,
    /// A certificate that is generated at start; its key never leaves memory.
    SelfSigned {
        /// Host names and IP addresses beside `localhost`, loopback and the listening address.
        names: Vec<String>,
    },
    /// A certificate chain and key from PEM files.
    Files {
        /// The chain, leaf first.
        certificate: PathBuf,
        /// The leaf's private key.
        key: PathBuf,
    },
}

/// What to serve, at which address, and to which users.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// Address and port; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Transport security.
    pub tls: ServeTls,
    /// The users file. Without one, every client has every right.
    pub htpasswd: Option<PathBuf>,
    /// Refuses everything that writes.
    pub read_only: bool,
    /// What is served.
    pub store: ImageStore,
}

/// Why the server did not start or continue.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is in use or does not belong to this machine.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The users file cannot be read.
    #[error("cannot read `{}`", path.display())]
    ReadUsers {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The users file is not valid.
    #[error("`{}` is not a usable htpasswd file", path.display())]
    Users {
        /// The file.
        path: PathBuf,
        /// The line and the reason.
        #[source]
        source: HtpasswdError,
    },
    /// There is no certificate to serve.
    #[error("TLS cannot be offered")]
    Certificate(#[from] CertificateError),
    /// The store cannot be used.
    #[error("the image store cannot be served")]
    Store(#[from] StoreError),
    /// The system has no random numbers.
    #[error("the system has no random numbers")]
    Random,
    /// A thread of the server panicked.
    #[error("starting was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
}

/// A bound server that does not answer yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    identity: Option<Identity>,
    registry: Arc<Registry>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Reads users and certificates, takes the store's lease, and binds the address.
    ///
    /// While a server that may write exists, its store cannot be pruned.
    pub async fn bind(config: ServeConfig) -> Result<Self, ServeError> {
        Self::bind_with(config, Limits::default()).await
    }

    /// Opens the listener with `limits`, as [`Self::bind`] does with the defaults.
    pub async fn bind_with(config: ServeConfig, limits: Limits) -> Result<Self, ServeError> {
        let listen = config.listen;
        let prepared = tokio::task::spawn_blocking(move || prepare(config, limits)).await;
        let (registry, identity) = prepared.map_err(ServeError::Interrupted)??;
        let failed = |source| ServeError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, identity, registry: Arc::new(registry) })
    }

    /// Returns the address that was bound, with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL at which clients on this machine reach the server; without a trailing slash.
    pub fn url(&self) -> String {
        let scheme = if self.identity.is_some() { "https" } else { "http" };
        if self.address.ip().is_unspecified() {
            return format!("{scheme}://localhost:{}", self.address.port());
        }
        format!("{scheme}://{}", self.address)
    }

    /// Returns the certificate made at start, PEM: what clients need to trust.
    pub fn certificate_pem(&self) -> Option<&str> {
        self.identity.as_ref()?.pem.as_deref()
    }

    /// Serves until `stop` ends; requests in flight may then finish within the grace period.
    /// `log` is called once a request, from the threads that serve.
    pub async fn run(
        self,
        stop: impl Future<Output = ()>,
        log: Arc<dyn Fn(&AccessLine) + Send + Sync>,
    ) -> Result<(), ServeError> {
        let Self { listener, identity, registry, .. } = self;
        let limits = registry.limits.clone();
        let places = ConnectionSlots::new(limits.connections);
        let grace = limits.grace;
        let tls = identity.map(|identity| identity.config);
        let connections = Arc::new(Connections::new(Arc::clone(&registry), tls, log, limits));
        let mut open = JoinSet::new();
        let stopping = Stop::new();
        let mut sweep = tokio::time::interval(SWEEP);
        let mut stop = std::pin::pin!(stop);
        // A connection for which there is no place yet.
        let mut next = None;
        loop {
            tokio::select! {
                () = &mut stop => break,
                accepted = listener.accept(), if next.is_none() => {
                    next = accepted.ok();
                    if next.is_none() {
                        places.make_room();
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
                place = places.take(), if next.is_some() => {
                    if let Some((stream, peer)) = next.take() {
                        open.spawn(Arc::clone(&connections).serve(stream, peer, place, stopping.watcher()));
                    }
                }
                Some(_) = open.join_next() => {}
                _ = sweep.tick() => {
                    let expired = registry.sessions.expire(Instant::now());
                    tokio::task::spawn_blocking(move || drop(expired));
                }
            }
        }
        drop(listener);
        // Connections that are still open then are closed.
        let _ = tokio::time::timeout(grace, stopping.finish()).await;
        open.shutdown().await;
        Ok(())
    }
}

fn prepare(config: ServeConfig, limits: Limits) -> Result<(Registry, Option<Identity>), ServeError> {
    let random = rustls::crypto::ring::default_provider().secure_random;
    let users = match &config.htpasswd {
        None => None,
        Some(path) => {
            let mut salt = [0; 32];
            random.fill(&mut salt).map_err(|_| ServeError::Random)?;
            Some(Arc::new(Users::new(read_users(path)?, salt)))
        }
    };
    let identity = match &config.tls {
        ServeTls::Off => None,
        ServeTls::SelfSigned { names } => Some(Identity::self_signed(names, config.listen.ip())?),
        ServeTls::Files { certificate, key } => Some(Identity::from_files(certificate, key)?),
    };
    let lease = if config.read_only { None } else { Some(Arc::new(config.store.lease()?)) };
    let sessions = Sessions::new(random, &limits);
    let registry = Registry {
        store: config.store,
        lease,
        users,
        sessions,
        turns: Arc::new(Semaphore::new(limits.documents)),
        limits,
    };
    Ok((registry, identity))
}

fn read_users(path: &Path) -> Result<Htpasswd, ServeError> {
    let failed = |source| ServeError::ReadUsers { path: path.to_owned(), source };
    let bytes = fs::read_regular(path, htpasswd::MAX_BYTES, Links::Follow).map_err(failed)?;
    Htpasswd::parse(&bytes).map_err(|source| ServeError::Users { path: path.to_owned(), source })
}
