//! Installs pinned certificates where other programs look for them.
//!
//! Each installed file begins with a line that holds the digest of the rest. A file without this line, or one that was
//! changed since, belongs to another program and is neither replaced nor removed. All steps are planned before the
//! first file changes.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::pki_types::CertificateDer;

use super::change::{Change, InstallError};
use super::system::{SystemStore, system_store};
use crate::fs::{parent, replace_public_file};
use crate::image::Digest;
use crate::tls::{Origin, RegistryHost, certificates_of, to_pem};

/// The beginning of the first line of our files; the digest of the following lines comes after it.
const MARK: &[u8] = b"# written by idpbuilder-trust, what follows is ";
/// The largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The programs that read the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// The Docker daemon and clients that look where it does.
    Docker,
    /// Podman, skopeo and buildah, of this user.
    Podman,
    /// containerd, where its `config_path` is `/etc/containerd/certs.d`.
    Containerd,
    /// Every program of this system.
    System,
}

/// Where and how to install.
#[derive(Debug, Clone)]
pub struct Install {
    /// The root of the system's directories, `/` outside of tests.
    pub root: PathBuf,
    /// The user's `containers/certs.d`.
    pub user: PathBuf,
    /// Plan the steps and change nothing.
    pub dry_run: bool,
    /// The time limit for the program that rebuilds the system's store.
    pub patience: Duration,
}

/// Installs a server's certificates (DER) for other programs, and returns the steps.
///
/// # Errors
///
/// Fails without a change if files of other programs are in the way or the system has no known store. Fails after a
/// change if a file cannot be written or the system's program fails; files for the system's store are then removed.
pub fn install(
    to: &Install,
    readers: &[Reader],
    host: &RegistryHost,
    certificates: &[CertificateDer<'_>],
) -> Result<Vec<Change>, InstallError> {
    let mut plans = Vec::new();
    let mut foreign = Vec::new();
    for reader in readers {
        let store = if *reader == Reader::System { Some(system_store(&to.root)?) } else { None };
        let mut steps = Vec::new();
        for (path, body) in files(to, *reader, store, host, certificates) {
            let content = marked(&body);
            let step = match examine(&path)? {
                Found::Nothing => Change::Write(path),
                Found::File(there) if there == content => Change::Keep(path),
                Found::File(there) if recognised(&there) => Change::Write(path),
                Found::File(there) if same_certificates(&there, &body) => Change::Keep(path),
                Found::File(_) | Found::Other => {
                    foreign.push(path);
                    continue;
                }
            };
            steps.push((step, content));
        }
        plans.push((store, steps));
    }
    if !foreign.is_empty() {
        return Err(InstallError::Foreign(foreign));
    }
    let mut changes = Vec::new();
    for (store, steps) in plans {
        let written: Vec<&Path> = steps.iter().filter_map(|(step, _)| step.written()).collect();
        if !to.dry_run {
            for (step, content) in &steps {
                let Some(path) = step.written() else { continue };
                write(path, content)?;
            }
        }
        let run = store.filter(|_| !written.is_empty()).map(|store| (store, store.add));
        if let Some((store, words)) = run
            && !to.dry_run
            && let Err(error) = store.run(&to.root, words, to.patience)
        {
            // Removed so that the next attempt writes them and runs the program again.
            for path in written {
                let _ = std::fs::remove_file(path);
            }
            return Err(error);
        }
        changes.extend(steps.into_iter().map(|(step, _)| step));
        changes.extend(run.map(|(store, words)| store.step(&to.root, words)));
    }
    Ok(changes)
}

/// Removes the files that [`install`] wrote, and returns the steps.
///
/// # Errors
///
/// Fails if a file cannot be read or removed, or if the system's program fails.
pub fn uninstall(to: &Install, readers: &[Reader], host: &RegistryHost) -> Result<Vec<Change>, InstallError> {
    let mut changes = Vec::new();
    for reader in readers {
        let store = if *reader == Reader::System { Some(system_store(&to.root)?) } else { None };
        let mut removed = false;
        for path in candidates(to, *reader, store, host) {
            match examine(&path)? {
                Found::Nothing => {}
                Found::File(content) if recognised(&content) => {
                    if !to.dry_run {
                        remove(&path)?;
                    }
                    removed = true;
                    changes.push(Change::Remove(path));
                }
                Found::File(_) | Found::Other => changes.push(Change::Leave(path)),
            }
        }
        if let Some(store) = store.filter(|_| removed) {
            if !to.dry_run {
                store.run(&to.root, store.remove, to.patience)?;
            }
            changes.push(store.step(&to.root, store.remove));
        }
    }
    Ok(changes)
}

/// Returns whether this program wrote the content and it has not changed since.
pub fn recognised(content: &[u8]) -> bool {
    let Some(rest) = content.strip_prefix(MARK) else { return false };
    let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { return false };
    let (digest, body) = (&rest[..end], &rest[end + 1..]);
    Digest::of(body).to_string().as_bytes() == digest
}

fn marked(body: &str) -> Vec<u8> {
    [MARK, Digest::of(body.as_bytes()).to_string().as_bytes(), b"\n", body.as_bytes()].concat()
}

/// Returns the name of a server's directory for other programs: as in references, without the port of HTTPS.
fn directory(host: &RegistryHost) -> String {
    let names = host.directories(Path::new(""));
    names.last().map(|name| name.display().to_string()).unwrap_or_default()
}

/// Returns the paths and contents of one reader's files, without the marking line.
fn files(
    to: &Install,
    reader: Reader,
    store: Option<SystemStore>,
    host: &RegistryHost,
    certificates: &[CertificateDer<'_>],
) -> Vec<(PathBuf, String)> {
    let paths = places(to, reader, store, host);
    let pem = to_pem(certificates);
    match reader {
        Reader::Docker | Reader::Podman => paths.into_iter().zip([pem]).collect(),
        Reader::Containerd => {
            let authority = paths.first().map(|path| path.display().to_string()).unwrap_or_default();
            let url = format!("https://{}", directory(host));
            let hosts = format!(
                "server = {url:?}\n\n[host.{url:?}]\n  capabilities = [\"pull\", \"resolve\", \"push\"]\n  \
                 ca = {authority:?}\n"
            );
            paths.into_iter().zip([pem, hosts]).collect()
        }
        // The system's programs read one certificate from each file.
        Reader::System => {
            let one = |certificate: &CertificateDer<'_>| to_pem(std::slice::from_ref(certificate));
            paths.into_iter().zip(certificates.iter().map(one)).collect()
        }
    }
}

/// Returns the paths of one reader's files, in order; for the system, as many as a chain may have certificates.
fn places(to: &Install, reader: Reader, store: Option<SystemStore>, host: &RegistryHost) -> Vec<PathBuf> {
    let name = directory(host);
    match reader {
        Reader::Docker => vec![to.root.join("etc/docker/certs.d").join(name).join("ca.crt")],
        Reader::Podman => vec![to.user.join(name).join("ca.crt")],
        Reader::Containerd => {
            let directory = to.root.join("etc/containerd/certs.d").join(name);
            vec![directory.join("ca.crt"), directory.join("hosts.toml")]
        }
        Reader::System => {
            let Some(store) = store else { return Vec::new() };
            let plain: String =
                host.to_string().chars().map(|letter| if "[]:".contains(letter) { '_' } else { letter }).collect();
            let file = |number: usize| match number {
                1 => format!("idpbuilder-{plain}.crt"),
                _ => format!("idpbuilder-{plain}-{number}.crt"),
            };
            (1..=crate::tls::MAX_CERTIFICATES).map(|number| to.root.join(store.directory).join(file(number))).collect()
        }
    }
}

fn candidates(to: &Install, reader: Reader, store: Option<SystemStore>, host: &RegistryHost) -> Vec<PathBuf> {
    let paths = places(to, reader, store, host).into_iter();
    match reader {
        // The system's files are numbered without gaps.
        Reader::System => paths.take_while(|path| path.symlink_metadata().is_ok()).collect(),
        _ => paths.collect(),
    }
}

enum Found {
    Nothing,
    File(Vec<u8>),
    Other,
}

fn examine(path: &Path) -> Result<Found, InstallError> {
    let failed = |source| InstallError::Io { action: "read", path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
        Err(error) => Err(failed(error)),
        // This program writes neither links nor large files.
        Ok(metadata) if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES => Ok(Found::Other),
        Ok(_) => std::fs::read(path).map(Found::File).map_err(failed),
    }
}

/// Returns whether a file of another program holds the same certificates.
fn same_certificates(there: &[u8], body: &str) -> bool {
    let read = |text: &[u8]| certificates_of(text, &Origin::System).ok();
    read(there).is_some_and(|there| Some(there) == read(body.as_bytes()))
}

fn write(path: &Path, content: &[u8]) -> Result<(), InstallError> {
    let directory = parent(path);
    std::fs::create_dir_all(directory).map_err(|source| InstallError::Io {
        action: "make",
        path: directory.to_owned(),
        source,
    })?;
    replace_public_file(path, content).map_err(|source| InstallError::Io {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

fn remove(path: &Path) -> Result<(), InstallError> {
    std::fs::remove_file(path).map_err(|source| InstallError::Io {
        action: "remove",
        path: path.to_owned(),
        source,
    })?;
    // Removes a server's directory if it is empty; shared directories stay.
    if path.file_name().is_some_and(|name| name == "ca.crt" || name == "hosts.toml") {
        let _ = std::fs::remove_dir(parent(path));
    }
    Ok(())
}
