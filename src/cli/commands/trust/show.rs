//! `idpbuilder-trust show`.

use std::fmt::Write as _;
use std::path::PathBuf;

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use serde::Serialize;

use super::{ASK_LIMIT, Shape, Shown, described, names, valid_until};
use crate::app::connect::{add_system_roots, address, trusted};
use crate::cli::args::cluster::ClusterArgs;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::render::format::json;
use crate::cli::terminal::Ui;
use crate::cluster::Scheme;
use crate::ops::trust::{Answer, AskFailure, ask};
use crate::text::counted;
use crate::tls::{CertificateFacts, Origin, RegistryHost, TlsPolicy, TrustStore, judge};

#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// The registry
    #[arg(value_name = "HOST[:PORT]")]
    host: String,
    /// How to print
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Shape::Table)]
    format: Shape,
    /// File with trusted certificates (PEM), as other commands take it
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Directory with *.crt to trust and *.cert with *.key to show to the registry
    #[arg(long, value_name = "DIR")]
    cert_dir: Option<PathBuf>,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Everything `show` tells.
#[derive(Debug, Serialize)]
struct Report {
    host: String,
    anchors: Vec<AnchorLine>,
    presented: Vec<Shown>,
    accepted: Option<bool>,
    reason: String,
}

#[derive(Debug, Serialize)]
struct AnchorLine {
    origin: String,
    /// Certificates of this origin; the system's are counted, not shown.
    count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<Shown>,
}

impl Show {
    pub(crate) fn run(self, ui: &Ui) -> Outcome {
        let connection = self.cluster.connect(ui);
        let host = address(&self.host)?;
        let (mut trust, warnings) = trusted(ui.session(), &host, self.ca_file.as_deref(), self.cert_dir.as_deref())?;
        add_system_roots(ui.session(), &mut trust);
        for warning in warnings {
            ui.warn(&warning);
        }
        if let Some(cluster) = connection.serving(&host.to_string(), false)?
            && cluster.scheme == Scheme::Https
        {
            match connection.trust(cluster, &host.to_string(), TlsPolicy::Verify(trust.clone()), None) {
                Ok(TlsPolicy::Verify(with_cluster)) => trust = with_cluster,
                Ok(_) => {}
                // Commands stop here; what is trusted and what the registry shows is what this one is for.
                Err(error) => ui.warn(&Failure::from(error).summary()),
            }
        }
        let policy = TlsPolicy::Verify(trust.clone());
        let asked = ask(&host, &policy, ASK_LIMIT);
        let (chain, accepted, reason) = match ui.block_on(asked)? {
            Ok(Answer { chain, fault: None }) => {
                let reason = accepted_by(&trust, &chain, &host);
                (chain, Some(true), reason)
            }
            Ok(Answer { chain, fault: Some(fault) }) => (chain, Some(false), fault.to_string()),
            Err(AskFailure::Network(error)) => (Vec::new(), None, error.fault.to_string()),
            Err(AskFailure::Tls(error)) => return Err(error.into()),
        };
        let presented: Vec<_> = chain.iter().filter_map(|der| CertificateFacts::from_der(der).ok()).collect();
        if self.format == Shape::Json {
            let report = Report {
                host: host.to_string(),
                anchors: anchors(&trust),
                presented: presented.into_iter().map(Shown::from).collect(),
                accepted,
                reason,
            };
            return Ok(ui.data_verbatim(&json(&report))?);
        }
        let mut text = format!("Trusted for {host}, in the order of use:\n");
        for AnchorLine { origin, count, certificate } in anchors(&trust) {
            match certificate {
                Some(shown) => {
                    let until = valid_until(shown.not_after, Timestamp::now());
                    let names = names(&shown.names);
                    let _ = writeln!(text, "  {origin}\n    {}\n    for {names}, until {until}", shown.fingerprint);
                }
                None => {
                    let _ = writeln!(text, "  {origin}: {}", counted(count, "certificate"));
                }
            }
        }
        if !presented.is_empty() {
            let _ = writeln!(text, "\nShown by {host}:\n{}", described(&presented));
        }
        let verdict = match accepted {
            Some(true) => "Accepted",
            Some(false) => "Refused",
            None => "Not asked",
        };
        Ok(ui.data(&format!("{text}\n{verdict}: {reason}"))?)
    }
}

fn anchors(trust: &TrustStore) -> Vec<AnchorLine> {
    let mut lines = Vec::new();
    for anchor in trust.anchors().iter().filter(|anchor| anchor.origin != Origin::System) {
        let certificate = CertificateFacts::from_der(&anchor.certificate).ok().map(Shown::from);
        lines.push(AnchorLine { origin: anchor.origin.to_string(), count: 1, certificate });
    }
    let count = trust.only(&Origin::System).anchors().len();
    lines.push(AnchorLine { origin: Origin::System.to_string(), count, certificate: None });
    lines
}

/// The first origin that alone is enough to trust the chain.
fn accepted_by(trust: &TrustStore, chain: &[CertificateDer<'static>], host: &RegistryHost) -> String {
    for (origin, _) in trust.sources() {
        let alone = trust.only(origin);
        if judge(&alone, chain, host).is_err() {
            continue;
        }
        let exact = alone.anchors().iter().any(|anchor| chain.first() == Some(&anchor.certificate));
        return match (exact, origin) {
            (true, Origin::File(_) | Origin::Kept(_) | Origin::Directory(_) | Origin::Cluster(_)) => {
                format!("it is exactly the certificate of {origin}")
            }
            _ => format!("an authority of {origin} vouches for it"),
        };
    }
    "several of these together vouch for it".to_owned()
}
