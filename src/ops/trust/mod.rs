//! The trust store: certificates that are kept for one registry each, and the certificates that a registry sends.
//!
//! A directory `HOST:PORT` below the root holds `*.crt` and `*.pem`; [`pin`] writes `ca.crt` there. [`ask`] makes a TLS
//! handshake with a registry and sends no request.

mod change;
mod install;
mod system;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;

use crate::fs::{create_private_dir, replace_file, sync_dir};
use crate::registry::{NetworkFault, Wait, is_loopback_name};
use crate::tls::{
    CertificateFacts, ClientTls, RegistryHost, TlsError, TlsPolicy, classify, client, handshake, read_certificates,
    to_pem,
};

pub use change::{Change, InstallError};
pub use install::{Install, Reader, install, recognised, uninstall};

/// The file that [`pin`] writes.
const PINNED: &str = "ca.crt";
/// How the names of certificates' files end; other programs know the first only.
const ENDINGS: [&str; 2] = ["crt", "pem"];
/// The most hosts that are listed.
const MAX_HOSTS: usize = 10_000;
/// How long DNS is asked for a loopback name before loopback addresses are used.
const LOOPBACK_DNS_LIMIT: Duration = Duration::from_secs(1);

/// Why the trust store was not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The system refused.
    #[error("cannot {what} `{}`", path.display())]
    Io {
        /// The action that failed, a verb.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Nothing is kept for that registry.
    #[error("the trust store has nothing for {0}")]
    NotFound(RegistryHost),
    /// More entries than any trust store has.
    #[error("`{}` has more than {MAX_HOSTS} entries", .0.display())]
    TooMany(PathBuf),
}

/// Why a registry sent no certificate.
#[derive(Debug, thiserror::Error)]
#[error("cannot ask {host} for its certificate: {fault}")]
pub struct AskError {
    /// The registry.
    pub host: RegistryHost,
    /// What happened.
    pub fault: NetworkFault,
}

/// A file of the trust store.
#[derive(Debug)]
pub struct Kept {
    /// The directory's name, `host:port` or `host`.
    pub host: String,
    /// The file.
    pub file: PathBuf,
    /// Its certificates, or why they cannot be used.
    pub certificates: Result<Vec<CertificateFacts>, TlsError>,
}

/// A registry's answer to a handshake under a policy.
#[derive(Debug)]
pub struct Answer {
    /// The certificates it sent, its own first; not empty when `fault` is `None`.
    pub chain: Vec<CertificateDer<'static>>,
    /// Why the handshake failed, if it did.
    pub fault: Option<NetworkFault>,
}

/// Returns everything that is kept below `root`, by host.
pub fn list(root: &Path) -> Result<Vec<Kept>, TrustError> {
    listed(root, &ENDINGS)
}

/// Everything to trust below a directory of containers' or docker's form, by host.
pub fn list_of_others(root: &Path) -> Result<Vec<Kept>, TrustError> {
    listed(root, &ENDINGS[..1])
}

fn listed(root: &Path, endings: &[&str]) -> Result<Vec<Kept>, TrustError> {
    let mut kept = Vec::new();
    for directory in entries(root)? {
        let Some(host) = directory.file_name().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
        if host.parse::<RegistryHost>().is_err() || !directory.is_dir() {
            continue;
        }
        for file in certificate_files(&directory, endings)? {
            let facts = |list: Vec<CertificateDer<'_>>| {
                list.iter().filter_map(|der| CertificateFacts::from_der(der).ok()).collect()
            };
            let certificates = read_certificates(&file).map(facts);
            kept.push(Kept { host: host.clone(), file, certificates });
        }
    }
    Ok(kept)
}

/// Pins `certificates` for `host`, replacing earlier ones; returns the file.
///
/// # Errors
///
/// Fails if the directory or file cannot be written.
pub fn pin(root: &Path, host: &RegistryHost, certificates: &[CertificateDer<'_>]) -> Result<PathBuf, TrustError> {
    let directory = root.join(host.to_string());
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| TrustError::Io { what: "write", path, source }
    };
    create_private_dir(&directory).map_err(failed(&directory))?;
    let file = directory.join(PINNED);
    replace_file(&file, to_pem(certificates).as_bytes()).map_err(failed(&file))?;
    Ok(file)
}

/// Returns the certificates that [`pin`] would replace; unreadable ones are left out.
pub fn pinned(root: &Path, host: &RegistryHost) -> Vec<CertificateFacts> {
    let file = root.join(host.to_string()).join(PINNED);
    let certificates = read_certificates(&file).unwrap_or_default();
    certificates.iter().filter_map(|der| CertificateFacts::from_der(der).ok()).collect()
}

/// Returns the certificates kept for `host`.
///
/// # Errors
///
/// Fails if there are none, or if a file cannot be read.
pub fn kept(root: &Path, host: &RegistryHost) -> Result<Vec<CertificateDer<'static>>, KeptError> {
    let mut certificates = Vec::new();
    for directory in host.directories(root) {
        for file in certificate_files(&directory, &ENDINGS)? {
            certificates.extend(read_certificates(&file)?);
        }
    }
    if certificates.is_empty() {
        return Err(TrustError::NotFound(host.clone()).into());
    }
    Ok(certificates)
}

/// Why the certificates kept for a host were not read.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// The trust store.
    #[error(transparent)]
    Store(#[from] TrustError),
    /// A file of it.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Removes every certificate kept for `host`; returns their files. Other files stay, and with them the directory.
///
/// # Errors
///
/// Fails if there are none, or if a file cannot be removed.
pub fn unpin(root: &Path, host: &RegistryHost) -> Result<Vec<PathBuf>, TrustError> {
    let mut removed = Vec::new();
    for directory in host.directories(root) {
        let files = certificate_files(&directory, &ENDINGS)?;
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| TrustError::Io { what: "remove", path, source }
        };
        for file in files {
            std::fs::remove_file(&file).map_err(failed(&file))?;
            removed.push(file);
        }
        match std::fs::remove_dir(&directory) {
            Ok(()) => sync_dir(root).map_err(failed(root))?,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => {}
            Err(error) => return Err(failed(&directory)(error)),
        }
    }
    if removed.is_empty() {
        return Err(TrustError::NotFound(host.clone()));
    }
    Ok(removed)
}

/// Returns the certificate files in one host's directory, sorted; none if the directory is missing.
fn certificate_files(directory: &Path, endings: &[&str]) -> Result<Vec<PathBuf>, TrustError> {
    let mut files = entries(directory)?;
    files.retain(|file| file.extension().is_some_and(|found| endings.iter().any(|ending| found == *ending)));
    Ok(files)
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, TrustError> {
    let failed = |source| TrustError::Io { what: "read", path: directory.to_owned(), source };
    let listing = match std::fs::read_dir(directory) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut paths = Vec::new();
    for entry in listing {
        if paths.len() == MAX_HOSTS {
            return Err(TrustError::TooMany(directory.to_owned()));
        }
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Asks `host` for its certificates within `limit`, by a TLS handshake under `policy` without a proxy.
///
/// A handshake that failed after the server sent its certificates is an answer with a fault.
///
/// # Errors
///
/// Fails if the server sent no certificate, or if `policy` cannot be used.
pub async fn ask(host: &RegistryHost, policy: &TlsPolicy, limit: Duration) -> Result<Answer, AskFailure> {
    let failed = |fault| AskFailure::Network(AskError { host: host.clone(), fault });
    let Some(tls) = client(policy)? else { return Err(failed(NetworkFault::Other(String::new()))) };
    let talk = async {
        let stream = connect(host).await?;
        handshake(&tls, host, stream).await.map_err(|error| network_fault(&error, Some(&tls)))
    };
    let fault = match tokio::time::timeout(limit, talk).await {
        Ok(outcome) => outcome.err(),
        Err(_) => Some(NetworkFault::Timeout { wait: Wait::Connect, limit }),
    };
    let chain = tls.presented.certificates();
    match fault {
        Some(fault) if chain.is_empty() => Err(failed(fault)),
        fault => Ok(Answer { chain, fault }),
    }
}

/// Why asking a registry gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskFailure {
    /// The network or the registry failed.
    #[error(transparent)]
    Network(AskError),
    /// The local TLS configuration failed.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

async fn connect(host: &RegistryHost) -> Result<TcpStream, NetworkFault> {
    let bare = host.host().trim_start_matches('[').trim_end_matches(']');
    let lookup = async { tokio::net::lookup_host((bare, host.port())).await.map(Vec::from_iter) };
    let addresses = if is_loopback_name(host.host()) {
        let here = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        match tokio::time::timeout(LOOPBACK_DNS_LIMIT, lookup).await {
            Ok(Ok(found)) if !found.is_empty() => found,
            _ => here.map(|address| SocketAddr::new(address, host.port())).to_vec(),
        }
    } else {
        lookup.await.map_err(|_| NetworkFault::Dns)?
    };
    if addresses.is_empty() {
        return Err(NetworkFault::Dns);
    }
    TcpStream::connect(&addresses[..]).await.map_err(|error| network_fault(&error, None))
}

fn network_fault(error: &io::Error, tls: Option<&ClientTls>) -> NetworkFault {
    if let Some(fault) = classify(error) {
        let (chain, chosen) = tls.map(|tls| (tls.presented.chain(), tls.chosen.clone())).unwrap_or_default();
        return NetworkFault::Tls { fault, chain, chosen };
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => NetworkFault::Refused,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => NetworkFault::Unreachable,
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => NetworkFault::Reset,
        io::ErrorKind::UnexpectedEof => NetworkFault::Closed,
        _ => NetworkFault::Other(crate::text::plain(&error.to_string(), 200)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn certificate(name: &str) -> CertificateDer<'static> {
        rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("signed").cert.der().clone()
    }

    #[test]
    fn what_is_pinned_is_listed_replaced_and_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().join("certs");
        let host: RegistryHost = "a.example".parse().expect("a host");
        assert!(list(&root).expect("nothing yet").is_empty());
        assert!(matches!(unpin(&root, &host), Err(TrustError::NotFound(_))));
        pin(&root, &host, &[certificate("old.example")]).expect("pinned");
        assert_eq!(pinned(&root, &host)[0].names, ["old.example"]);
        let file = pin(&root, &host, &[certificate("a.example"), certificate("b.example")]).expect("pinned");
        assert_eq!(file, root.join("a.example:443/ca.crt"));
        for (path, mode) in [(root.as_path(), 0o700), (file.parent().expect("one"), 0o700), (&file, 0o600)] {
            assert_eq!(std::fs::metadata(path).expect("there").permissions().mode() & 0o777, mode, "{path:?}");
        }
        std::fs::create_dir_all(root.join("a.example")).expect("made");
        std::fs::write(root.join("a.example/mine.pem"), "no certificate").expect("written");
        std::fs::write(root.join("a.example/notes"), "kept").expect("written");
        std::fs::create_dir(root.join("no host")).expect("made");

        let kept = list(&root).expect("listed");
        let [damaged, pinned] = &kept[..] else { panic!("{kept:?}") };
        assert_eq!((damaged.host.as_str(), damaged.certificates.is_err()), ("a.example", true));
        let names: Vec<_> = pinned.certificates.as_ref().expect("whole").iter().map(|facts| &facts.names[0]).collect();
        assert_eq!(names, ["a.example", "b.example"]);

        let removed = unpin(&root, &host).expect("removed");
        assert_eq!(removed, [file.clone(), root.join("a.example/mine.pem")]);
        assert!(!file.parent().expect("one").exists() && root.join("a.example/notes").exists());
    }

    #[test]
    fn a_trust_store_has_a_limited_number_of_entries() {
        let dir = tempfile::tempdir().expect("a directory");
        for number in 0..MAX_HOSTS {
            std::fs::File::create(dir.path().join(number.to_string())).expect("made");
        }
        assert!(list(dir.path()).expect("as many as are read").is_empty());
        std::fs::File::create(dir.path().join("one-more")).expect("made");
        for refused in [list(dir.path()), list_of_others(dir.path())] {
            assert!(matches!(refused, Err(TrustError::TooMany(_))), "{refused:?}");
        }
    }
}
