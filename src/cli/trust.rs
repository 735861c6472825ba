//! `idpbuilder-trust`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use jiff::{Timestamp, ToSpan as _};
use rustls::pki_types::CertificateDer;
use serde::Serialize;

use super::applet::Run;
use super::cluster::ClusterArgs;
use super::cluster_causes::told;
use super::failure::{Failure, Kind, Outcome, Paint};
use super::format::{Column, Format, json};
use super::registry::{address, trust_store, trusted};
use super::trust_install::InstallArgs;
use super::ui::Ui;
use crate::audit::Event;
use crate::cluster::{ClusterError, Scheme};
use crate::registry::NetworkFault;
use crate::tls::{
    CertificateFacts, HandshakeFault, Origin, RegistryHost, TlsPolicy, TrustStore, certificates_of, judge,
    read_certificates,
};
use crate::trust::{Answer, AskError, AskFailure, Kept, ask, list, pin, pinned, unpin};

/// How long a registry may take to show its certificate.
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// Keep, show and remove the certificates that registries are trusted by
///
/// A kept certificate is trusted for its HOST alone, exactly as it is or as an authority, besides the system's
/// roots. A HOST without a port means port 443.
#[derive(Debug, clap::Parser)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List the kept certificates
    List {
        /// How to print
        #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Shape::Table)]
        format: Shape,
    },
    /// Show who is trusted for HOST, what HOST shows now, and whether and why that is accepted
    Show(Show),
    /// Trust a certificate for HOST, in place of the one added before
    Add(Add),
    /// Remove what was added for HOST
    Remove {
        /// The registry
        #[arg(value_name = "HOST[:PORT]")]
        host: String,
    },
    /// Give what was added for HOST to other programs, or take it back
    Install(InstallArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Shape {
    Table,
    Json,
}

#[derive(Debug, clap::Args)]
struct Show {
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

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("source").required(true).args(["from_server", "from_cluster", "file"]))]
struct Add {
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

impl Run for Args {
    fn run(self, ui: &mut Ui) -> Outcome {
        match self.verb {
            Verb::List { format } => list_all(ui, format),
            Verb::Show(show) => show.run(ui),
            Verb::Add(add) => add.run(ui),
            Verb::Install(install) => install.run(ui),
            Verb::Remove { host } => {
                let host = address(&host)?;
                for file in unpin(&trust_store(ui)?, &host)? {
                    written_down(ui, Event::TrustRemove, &host, &file.display().to_string(), None);
                    ui.data(&format!("Removed `{}`", file.display()))?;
                }
                Ok(())
            }
        }
    }
}

/// What of a certificate is printed.
#[derive(Debug, Serialize)]
struct Shown {
    subject: String,
    issuer: String,
    names: Vec<String>,
    not_before: Timestamp,
    not_after: Timestamp,
    fingerprint: String,
    authority: bool,
}

impl From<CertificateFacts> for Shown {
    fn from(facts: CertificateFacts) -> Self {
        let CertificateFacts { subject, issuer, names, not_before, not_after, fingerprint, is_ca, .. } = facts;
        Self { subject, issuer, names, not_before, not_after, fingerprint, authority: is_ca }
    }
}

#[derive(Debug, Serialize)]
struct Line {
    host: String,
    file: String,
    #[serde(flatten)]
    certificate: Shown,
}

const COLUMNS: &[Column] = &[
    ("Host", "HOST"),
    ("Fingerprint", "FINGERPRINT"),
    ("Names", "NAMES"),
    ("ValidUntil", "VALID UNTIL"),
    ("File", "FILE"),
];

fn list_all(ui: &Ui, shape: Shape) -> Outcome {
    let now = Timestamp::now();
    let mut rows = Vec::new();
    for Kept { host, file, certificates } in list(&trust_store(ui)?)? {
        let file = file.display().to_string();
        match certificates {
            Ok(certificates) => rows.extend(certificates.into_iter().map(|facts| {
                let until = valid_until(facts.not_after, now);
                let values = vec![host.clone(), facts.fingerprint.clone(), names(&facts.names), until, file.clone()];
                (values, Line { host: host.clone(), file: file.clone(), certificate: facts.into() })
            })),
            Err(error) => ui.warn(&in_one_line(&error)),
        }
    }
    let format = if shape == Shape::Json { Format::Json } else { Format::Table };
    ui.data(&format.render(COLUMNS, &["Host", "Fingerprint", "Names", "ValidUntil", "File"], &rows)?)
}

/// An error and its causes in one line.
pub(super) fn in_one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn names(names: &[String]) -> String {
    if names.is_empty() { "(none)".to_owned() } else { names.join(",") }
}

/// The day a certificate ends, marked when that is over or within 30 days.
fn valid_until(not_after: Timestamp, now: Timestamp) -> String {
    let day = not_after.strftime("%Y-%m-%d");
    if not_after < now {
        return format!("{day} (expired)");
    }
    if ends_soon(not_after, now) {
        return format!("{day} (ends within 30 days)");
    }
    day.to_string()
}

/// Whether a certificate is over or will be in 30 days.
pub(super) fn ends_soon(not_after: Timestamp, now: Timestamp) -> bool {
    now.checked_add((30 * 24).hours()).is_ok_and(|soon| not_after < soon)
}

/// A line of the audit log. What is done is done: a log that cannot be written is a warning.
pub(super) fn written_down(ui: &Ui, event: Event, host: &RegistryHost, source: &str, fingerprint: Option<&str>) {
    if let Err(failure) = ui.audit(event, &host.to_string(), Some(source), fingerprint) {
        ui.warn(failure.render(Paint(false)).trim_end());
    }
}

impl Add {
    fn run(self, ui: &Ui) -> Outcome {
        let host = address(&self.host)?;
        let before = pinned(&trust_store(ui)?, &host);
        let certificates = if self.from_server {
            vec![self.shown_by(ui, &host, &before)?]
        } else if let Some(file) = &self.file {
            read_certificates(&ui.absolute(file))?
        } else {
            self.of_cluster(ui, &host)?
        };
        let facts: Vec<_> = certificates.iter().filter_map(|der| CertificateFacts::from_der(der).ok()).collect();
        if !self.from_server {
            ui.status(&described(&facts));
            tell_replaced(ui, &host, &before, &facts);
        }
        let file = pin(&trust_store(ui)?, &host, &certificates)?;
        let source = match &self.file {
            Some(file) => ui.absolute(file).display().to_string(),
            None if self.from_server => "the registry".to_owned(),
            None => "the cluster".to_owned(),
        };
        for certificate in facts {
            written_down(ui, Event::TrustAdd, &host, &source, Some(&certificate.fingerprint));
            ui.data(&format!("Trusting {} for {host} (`{}`)", certificate.fingerprint, file.display()))?;
        }
        Ok(())
    }

    /// The certificate that the registry shows, once somebody said that it is the right one.
    fn shown_by(
        &self,
        ui: &Ui,
        host: &RegistryHost,
        before: &[CertificateFacts],
    ) -> Result<CertificateDer<'static>, Failure> {
        let expected = self.fingerprint.as_deref().map(fingerprint).transpose()?;
        let answer = ui.block_on(ask(host, &TlsPolicy::SkipVerify, ASK_LIMIT))?;
        // Whoever wants a certificate of ours has shown and signed with its own before it says so.
        if let Some(fault) = answer.fault
            && !matches!(fault, NetworkFault::Tls { fault: HandshakeFault::PeerRefused(_), .. })
        {
            return Err(AskFailure::Network(AskError { host: host.clone(), fault }).into());
        }
        let own = answer.chain.into_iter().next();
        let own = own.ok_or_else(|| Failure::new(Kind::Network, format!("{host} shows no certificate")))?;
        let facts = CertificateFacts::from_der(&own).map_err(|error| Failure::new(Kind::Network, error))?;
        ui.status(&format!("{host} shows\n{}", described(std::slice::from_ref(&facts))));
        tell_replaced(ui, host, before, std::slice::from_ref(&facts));
        let mut alone = TrustStore::empty();
        alone
            .add_pem(crate::tls::to_pem(std::slice::from_ref(&own)).as_bytes(), Origin::File(PathBuf::from("shown")))?;
        if let Err(fault) = judge(&alone, std::slice::from_ref(&own), host)? {
            let fault = NetworkFault::Tls { fault, chain: Vec::new(), chosen: Vec::new() };
            ui.warn(&format!("commands will refuse {host} even when its certificate is kept: {fault}"));
        }
        match expected {
            Some(expected) if expected == facts.fingerprint => Ok(own),
            Some(expected) => Err(Failure::new(
                Kind::Network,
                format!("{host} shows a certificate with fingerprint {}, not {expected}", facts.fingerprint),
            )
            .hint("nothing was kept: either the fingerprint is of another certificate, or somebody is on the way")),
            None => match ui.confirm(&format!("Trust this certificate for {host}?"))? {
                Some(true) => Ok(own),
                Some(false) => Err(Failure::usage("not confirmed; nothing was kept")),
                None => Err(Failure::usage("nobody can be asked whether this is the right certificate")
                    .hint("compare the fingerprint with what the registry's owner says, then run")
                    .hint(format!("idpbuilder-trust add {host} --from-server --fingerprint {}", facts.fingerprint))),
            },
        }
    }

    fn of_cluster(&self, ui: &Ui, host: &RegistryHost) -> Result<Vec<CertificateDer<'static>>, Failure> {
        let failed = |error: &ClusterError| {
            Failure::new(Kind::Network, format!("no certificate from a cluster: {}", told(error)))
                .hint("choose the cluster with --context, --cluster-name or --kubeconfig; --from-server needs none")
        };
        let cluster = match self.cluster.find(ui)? {
            Ok(cluster) => cluster,
            Err(error) => return Err(failed(error)),
        };
        if !cluster.serves(&host.to_string()) {
            let text = format!("{host} is not the registry of cluster {}", cluster.context);
            return Err(Failure::usage(text).hint(format!("its registry is {}", cluster.names.join(", "))));
        }
        let certificate = cluster.certificate.as_ref().map_err(|error| failed(error))?;
        let origin = Origin::Cluster(format!("{} ({})", certificate.origin, cluster.context));
        ui.status(&format!("{origin} has"));
        Ok(certificates_of(certificate.pem.as_bytes(), &origin)?)
    }
}

/// Warns of what is kept for `host` and would be no more.
fn tell_replaced(ui: &Ui, host: &RegistryHost, before: &[CertificateFacts], after: &[CertificateFacts]) {
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

/// Certificates for a person to compare.
fn described(certificates: &[CertificateFacts]) -> String {
    let now = Timestamp::now();
    let one = |facts: &CertificateFacts| {
        let issuer = if facts.self_signed { "itself" } else { &facts.issuer };
        let subject = if facts.subject.is_empty() { "(none)" } else { &facts.subject };
        format!(
            "  subject      {subject}\n  issuer       {issuer}\n  names        {}\n  valid        {} to {}\n  \
             fingerprint  {}",
            names(&facts.names),
            facts.not_before.strftime("%Y-%m-%d"),
            valid_until(facts.not_after, now),
            facts.fingerprint
        )
    };
    certificates.iter().map(one).collect::<Vec<_>>().join("\n\n")
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
    fn run(self, ui: &Ui) -> Outcome {
        let host = address(&self.host)?;
        let (mut trust, warnings) = trusted(ui, &host, self.ca_file.as_deref(), self.cert_dir.as_deref())?;
        for warning in warnings {
            ui.warn(&warning);
        }
        if let Some(cluster) = self.cluster.serving(ui, &host.to_string(), false)?
            && cluster.scheme == Scheme::Https
            && let TlsPolicy::Verify(with_cluster) =
                self.cluster.trust(ui, cluster, TlsPolicy::Verify(trust.clone()))?
        {
            trust = with_cluster;
        }
        let policy = TlsPolicy::Verify(trust.clone());
        let asked = async { Ok::<_, Failure>(ask(&host, &policy, ASK_LIMIT).await) };
        let (chain, accepted, reason) = match ui.block_on(asked)? {
            Ok(Answer { chain, fault: None }) => {
                let reason = accepted_by(&trust, &chain, &host)?;
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
            return ui.data(&json(&report));
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
                    let _ = writeln!(text, "  {origin}: {count} certificates");
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
        ui.data(&format!("{text}\n{verdict}: {reason}"))
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
fn accepted_by(trust: &TrustStore, chain: &[CertificateDer<'static>], host: &RegistryHost) -> Result<String, Failure> {
    for (origin, _) in trust.sources() {
        let alone = trust.only(origin);
        if judge(&alone, chain, host)?.is_err() {
            continue;
        }
        let exact = alone.anchors().iter().any(|anchor| chain.first() == Some(&anchor.certificate));
        return Ok(match (exact, origin) {
            (true, Origin::File(_) | Origin::Kept(_) | Origin::Directory(_) | Origin::Cluster(_)) => {
                format!("it is exactly the certificate of {origin}")
            }
            _ => format!("an authority of {origin} vouches for it"),
        });
    }
    Ok("several of these together vouch for it".to_owned())
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

    #[test]
    fn the_end_of_a_certificate_is_marked() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
        for (text, expected) in [
            ("2025-12-31T00:00:00Z", "2025-12-31 (expired)"),
            ("2026-01-30T23:00:00Z", "2026-01-30 (ends within 30 days)"),
            ("2026-02-01T00:00:00Z", "2026-02-01"),
        ] {
            assert_eq!(valid_until(text.parse().expect("a time"), now), expected);
        }
    }
}
