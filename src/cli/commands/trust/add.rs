//! `idpbuilder-trust add`.

use std::path::PathBuf;

use rustls::pki_types::CertificateDer;

use super::{ASK_LIMIT, described, written_down};
use crate::app::connect::NotAdmitted;
use crate::app::connect::{address, trust_store};
use crate::app::in_one_line;
use crate::audit::Event;
use crate::cli::args::cluster::ClusterArgs;
use crate::cli::failure::advice::certificate::{fitting_name, remedy};
use crate::cli::failure::{Failure, Kind, Outcome};
use crate::cli::terminal::Ui;
use crate::cluster::ClusterError;
use crate::ops::trust::{AskError, AskFailure, ask, pin, pinned};
use crate::registry::NetworkFault;
use crate::tls::{
    CertificateFacts, HandshakeFault, Origin, RegistryHost, TlsPolicy, TrustStore, certificates_of, judge,
    read_certificates,
};

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("source").required(true).args(["from_server", "from_cluster", "file"]))]
pub(crate) struct Add {
    /// The registry
    #[arg(value_name = "HOST[:PORT]")]
    host: String,
    /// File with certificates (PEM): authorities, or the registry's own
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Trust the certificate that the registry shows now, after you compared its fingerprint
    #[arg(long)]
    from_server: bool,
    /// Trust the certificate that the cluster says its registry has
    #[arg(long)]
    from_cluster: bool,
    /// SHA-256 of the certificate's DER form; answers the question of --from-server
    #[arg(long, value_name = "sha256:HEX", conflicts_with_all = ["from_cluster", "file"])]
    fingerprint: Option<String>,
    #[command(flatten)]
    cluster: ClusterArgs,
}

impl Add {
    pub(crate) fn run(self, ui: &Ui) -> Outcome {
        let host = address(&self.host)?;
        let before = pinned(&trust_store(ui.session())?, &host);
        let certificates = if self.from_server {
            vec![self.shown_by(ui, &host, &before)?]
        } else if let Some(file) = &self.file {
            read_certificates(&ui.surroundings.absolute(file))?
        } else {
            self.of_cluster(ui, &host)?
        };
        let facts: Vec<_> = certificates.iter().filter_map(|der| CertificateFacts::from_der(der).ok()).collect();
        if !self.from_server {
            ui.status(&described(&facts));
            print_replaced(ui, &host, &before, &facts);
        }
        let file = pin(&trust_store(ui.session())?, &host, &certificates)?;
        let source = match &self.file {
            Some(file) => ui.surroundings.absolute(file).display().to_string(),
            None if self.from_server => "the registry".to_owned(),
            None => "the cluster".to_owned(),
        };
        for certificate in facts {
            written_down(ui, Event::TrustAdd, &host, &source, Some(&certificate.fingerprint));
            ui.data(&format!("Trusting {} for {host} (`{}`)", certificate.fingerprint, file.display()))?;
        }
        Ok(())
    }

    /// Returns the certificate that the registry shows, once the user confirmed it.
    fn shown_by(
        &self,
        ui: &Ui,
        host: &RegistryHost,
        before: &[CertificateFacts],
    ) -> Result<CertificateDer<'static>, Failure> {
        let expected = self.fingerprint.as_deref().map(fingerprint).transpose()?;
        let answer = ui.block_on(ask(host, &TlsPolicy::SkipVerify, ASK_LIMIT))??;
        // A server that requires a client certificate has already shown and proven its own.
        if let Some(fault) = answer.fault
            && !matches!(fault, NetworkFault::Tls { fault: HandshakeFault::PeerRefused(_), .. })
        {
            return Err(AskFailure::Network(AskError { host: host.clone(), fault }).into());
        }
        let chain: Vec<_> = answer.chain.iter().filter_map(|der| CertificateFacts::from_der(der).ok()).collect();
        let own = answer.chain.into_iter().next();
        let own = own.ok_or_else(|| Failure::new(Kind::Network, format!("{host} shows no certificate")))?;
        let facts = CertificateFacts::from_der(&own).map_err(|error| Failure::new(Kind::Network, error))?;
        ui.status(&format!("{host} shows\n{}", described(&chain)));
        if chain.len() > 1 {
            ui.status(&format!("The first of them is meant, {}", facts.fingerprint));
        }
        print_replaced(ui, host, before, std::slice::from_ref(&facts));
        let mut alone = TrustStore::empty();
        alone
            .add_pem(crate::tls::to_pem(std::slice::from_ref(&own)).as_bytes(), Origin::File(PathBuf::from("shown")))?;
        if let Err(fault) = judge(&alone, std::slice::from_ref(&own), host) {
            if let Some(failure) = never_accepted(host, &fault) {
                return Err(failure);
            }
            ui.warn(&format!("commands will refuse {host} even when its certificate is kept: {fault}"));
        }
        match expected {
            Some(expected) if expected == facts.fingerprint => Ok(own),
            Some(expected) => Err(Failure::new(
                Kind::Network,
                format!("{host} shows a certificate with fingerprint {}, not {expected}", facts.fingerprint),
            )
            .hint("nothing was kept: either the fingerprint is of another certificate, or another server answers in between")),
            None => match ui.confirm(&format!("Trust this certificate for {host}?"))? {
                Some(true) => Ok(own),
                Some(false) => Err(Failure::usage("not confirmed; nothing was kept")),
                None => Err(Failure::usage("there is no terminal to ask on whether this is the right certificate")
                    .hint("compare the fingerprint with what the registry's owner says, then run")
                    .hint(format!("idpbuilder-trust add {host} --from-server --fingerprint {}", facts.fingerprint))),
            },
        }
    }

    fn of_cluster(&self, ui: &Ui, host: &RegistryHost) -> Result<Vec<CertificateDer<'static>>, Failure> {
        let connection = self.cluster.connect(ui);
        let failed = |error: &ClusterError| {
            Failure::new(Kind::Network, format!("no certificate from a cluster: {}", in_one_line(error)))
                .hint("choose the cluster with --context, --cluster-name or --kubeconfig; --from-server needs none")
        };
        let cluster = match connection.find()? {
            Ok(cluster) => cluster,
            Err(error) => return Err(failed(error)),
        };
        if !cluster.serves(&host.to_string()) {
            let text = format!("{host} is not the registry of cluster {}", cluster.context);
            return Err(Failure::usage(text).hint(format!("its registry is {}", cluster.names.join(", "))));
        }
        if connection.serving(&host.to_string(), false)?.is_none() {
            return Err(NotAdmitted::new(cluster, &host.to_string()).into());
        }
        let certificate = cluster.certificate.as_ref().map_err(|error| failed(error))?;
        let origin = Origin::Cluster(format!("{} ({})", certificate.origin, cluster.context));
        ui.status(&format!("{origin} has"));
        Ok(certificates_of(certificate.pem.as_bytes(), &origin)?)
    }
}

/// The failure where keeping the shown certificate for `host` would be of no use, however often it is tried.
fn never_accepted(host: &RegistryHost, fault: &HandshakeFault) -> Option<Failure> {
    let hints = match fault {
        HandshakeFault::NotValidForName { names } => match fitting_name(&host.to_string(), names) {
            Some(name) => vec![format!(
                "it is for {name} too, which leads to the same machine: idpbuilder-trust add {name} --from-server, and \
                 use {name} in place of {host}"
            )],
            None => remedy(&host.to_string(), fault),
        },
        HandshakeFault::NoNames { .. } | HandshakeFault::Unverifiable(_) => remedy(&host.to_string(), fault),
        _ => return None,
    };
    let failure =
        Failure::new(Kind::Network, format!("{host} would be refused even if its certificate were kept: {fault}"));
    Some(hints.into_iter().fold(failure.hint("nothing was kept"), Failure::hint))
}

/// Warns of what is kept for `host` and would be no more.
fn print_replaced(ui: &Ui, host: &RegistryHost, before: &[CertificateFacts], after: &[CertificateFacts]) {
    let gone = before.iter().filter(|old| !after.iter().any(|new| new.fingerprint == old.fingerprint));
    for CertificateFacts { fingerprint, .. } in gone {
        ui.warn(&format!("another certificate was kept for {host} and will be replaced: {fingerprint}"));
    }
}

/// `sha256:` and 64 lower-case digits, out of what other programs print: upper case, colons between bytes.
fn fingerprint(text: &str) -> Result<String, Failure> {
    let lower = text.to_ascii_lowercase();
    let digits: String = lower.strip_prefix("sha256:").unwrap_or(&lower).chars().filter(|c| *c != ':').collect();
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(Failure::usage("--fingerprint takes sha256: and 64 hexadecimal digits"));
    }
    Ok(format!("sha256:{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_as_other_programs_print_them() {
        let digits = "0123456789abcdef".repeat(4);
        let colons: Vec<_> = digits.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair)).collect();
        for text in [format!("sha256:{digits}"), digits.to_uppercase(), colons.join(":")] {
            assert_eq!(fingerprint(&text).expect("one"), format!("sha256:{digits}"));
        }
        for text in ["", "sha256:", "sha1:0123", &digits[1..], &format!("{digits}0"), &"g".repeat(64)] {
            assert!(fingerprint(text).is_err(), "{text}");
        }
    }
}
