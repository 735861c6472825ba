//! The certificates that are trusted for a registry, without the cluster's.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::pki_types::CertificateDer;

use super::Session;
use super::destination::address;
use super::error::ConnectError;
use crate::app::{ends_soon, in_one_line};
use crate::cluster::ChosenTrust;
use crate::config::ConfigError;
use crate::ops::trust::ask;
use crate::tls::{CertificateFacts, Origin, RegistryHost, TlsPolicy, TrustStore, judge};

/// How long to ask for the certificate that is not going to be verified.
const FINGERPRINT_LIMIT: Duration = Duration::from_secs(5);

/// Returns the directory of certificates that are kept for one host each.
pub(crate) fn trust_store(session: Session<'_>) -> Result<PathBuf, ConfigError> {
    Ok(session.surroundings.settings(None)?.home.value.join("certs"))
}

/// Returns the directories in which other programs keep certificates for one host each, in the order of use.
pub(crate) fn other_directories(session: Session<'_>) -> Vec<PathBuf> {
    let own = session.surroundings.home().ok().map(|home| home.join(".config/containers/certs.d"));
    let system = ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(PathBuf::from);
    own.into_iter().chain(system).collect()
}

/// Adds the system's roots, and reports those that cannot be read.
pub(crate) fn add_system_roots(session: Session<'_>, trust: &mut TrustStore) {
    trust.add_system_roots(&session.surroundings.system_roots);
    for failure in trust.failures() {
        session.console.detail(failure);
    }
}

/// Returns the certificates trusted for `host`, in the order of use, without the cluster's and the system's roots; and
/// the warnings about them.
pub(crate) fn trusted(
    session: Session<'_>,
    host: &RegistryHost,
    ca_file: Option<&Path>,
    cert_dir: Option<&Path>,
) -> Result<(TrustStore, Vec<String>), ConnectError> {
    let mut trust = TrustStore::empty();
    let mut warnings = Vec::new();
    if let Some(file) = ca_file {
        trust.add_file(&session.surroundings.absolute(file))?;
    }
    if let Some(directory) = cert_dir
        && let Some(error) = trust.add_client_directory(&session.surroundings.absolute(directory)).into_iter().next()
    {
        return Err(error.into());
    }
    for directory in host.directories(&trust_store(session)?) {
        trust.add_kept(&directory)?;
    }
    // Faults in other programs' directories do not stop a command.
    for root in other_directories(session) {
        for directory in host.directories(&root) {
            if directory.is_dir() {
                warnings.extend(trust.add_client_directory(&directory).iter().map(|error| in_one_line(error)));
            }
        }
    }
    if let Some(identity) = trust.identity() {
        session.console.detail(&format!("client certificate for {host}: `{}`", identity.path.display()));
        if let Some(key) = &identity.exposed_key {
            warnings.push(format!("everybody on this machine can read the key `{0}`: chmod 600 {0}", key.display()));
        }
    }
    Ok((trust, warnings))
}

/// Returns a warning if a certificate that is kept for `host` ends soon or has ended.
pub(super) fn ending(host: &RegistryHost, trust: &TrustStore) -> Option<String> {
    let now = jiff::Timestamp::now();
    for anchor in trust.anchors().iter().filter(|anchor| matches!(anchor.origin, Origin::Kept(_))) {
        let Ok(facts) = CertificateFacts::from_der(&anchor.certificate) else { continue };
        if ends_soon(facts.not_after, now) {
            let what = if facts.not_after < now { "ended" } else { "ends" };
            return Some(format!(
                "the certificate kept for {host} in {} {what} on {}; when the registry has a new one: idpbuilder-trust \
                 add {host} --from-server",
                anchor.origin,
                facts.not_after.strftime("%Y-%m-%d")
            ));
        }
    }
    None
}

/// Returns the fingerprint of the certificate that the registry shows right now; `None` if it cannot be reached, which
/// the work itself reports.
pub(super) fn shown_fingerprint(session: Session<'_>, registry: &str) -> Result<Option<String>, ConnectError> {
    let host = address(registry)?;
    let asked = ask(&host, &TlsPolicy::SkipVerify, FINGERPRINT_LIMIT);
    let chain = session.console.block_on(asked)?.map(|answer| answer.chain).unwrap_or_default();
    Ok(chain.first().and_then(|own| CertificateFacts::from_der(own).ok()).map(|facts| facts.fingerprint))
}

/// Returns what the user chose to trust for a host.
pub(super) fn chosen(trust: &TrustStore) -> ChosenTrust {
    let any = |of: fn(&Origin) -> bool| trust.anchors().iter().any(|anchor| of(&anchor.origin));
    if any(|origin| matches!(origin, Origin::Kept(_))) {
        ChosenTrust::Kept
    } else if any(|origin| matches!(origin, Origin::File(_))) {
        ChosenTrust::Files
    } else {
        ChosenTrust::Nothing
    }
}

/// Returns whether the trusted certificates, without the system's roots, contain one of `certificates` or vouch for it.
pub(super) fn vouches(trust: &TrustStore, certificates: &[CertificateDer<'static>], host: &RegistryHost) -> bool {
    let anchors = || trust.anchors().iter().filter(|anchor| anchor.origin != Origin::System);
    let same = |certificate: &CertificateDer<'static>| anchors().any(|anchor| anchor.certificate == *certificate);
    certificates.iter().any(|certificate| {
        same(certificate)
            || anchors()
                .any(|anchor| judge(&trust.only(&anchor.origin), std::slice::from_ref(certificate), host).is_ok())
    })
}
