//! `idpbuilder-trust`.

mod add;
mod install;
mod list;
mod show;

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::app::connect::{address, trust_store};
use crate::app::ends_soon;
use crate::audit::Event;
use crate::cli::command::Run;
use crate::cli::failure::{Failure, Outcome, Paint};
use crate::cli::terminal::Ui;
use crate::ops::trust::unpin;
use crate::text::escaped;
use crate::tls::{CertificateFacts, RegistryHost};

/// How long a registry may take to show its certificate.
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// Keep, show and remove the certificates that registries are trusted by
///
/// A kept certificate is trusted for its HOST alone, exactly as it is or as an authority, besides the system's
/// roots. A HOST without a port means port 443.
#[derive(Debug, clap::Parser)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List the kept certificates
    List(list::List),
    /// Show who is trusted for HOST, what HOST shows now, and whether and why that is accepted
    Show(show::Show),
    /// Trust a certificate for HOST, in place of the one added before
    Add(add::Add),
    /// Remove what was added for HOST
    Remove {
        /// The registry
        #[arg(value_name = "HOST[:PORT]")]
        host: String,
    },
    /// Give what was added for HOST to other programs, or take it back
    Install(install::InstallArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Shape {
    Table,
    Json,
}

impl Run for Args {
    fn run(self, ui: &mut Ui) -> Outcome {
        match self.verb {
            Verb::List(list) => list.run(ui),
            Verb::Show(show) => show.run(ui),
            Verb::Add(add) => add.run(ui),
            Verb::Install(install) => install.run(ui),
            Verb::Remove { host } => {
                let host = address(&host)?;
                for file in unpin(&trust_store(ui.session())?, &host)? {
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

fn names(names: &[String]) -> String {
    if names.is_empty() { "(none)".to_owned() } else { escaped(&names.join(",")).into_owned() }
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

/// A line of the audit log. What is done is done: a log that cannot be written is a warning.
pub(crate) fn written_down(ui: &Ui, event: Event, host: &RegistryHost, source: &str, fingerprint: Option<&str>) {
    if let Err(error) = ui.surroundings.audit(event, &host.to_string(), Some(source), fingerprint) {
        ui.warn(Failure::from(error).render(Paint(false)).trim_end());
    }
}

/// Certificates for a person to compare.
fn described(certificates: &[CertificateFacts]) -> String {
    let now = Timestamp::now();
    let one = |facts: &CertificateFacts| {
        let issuer = if facts.self_signed { "itself".into() } else { escaped(&facts.issuer) };
        let subject = if facts.subject.is_empty() { "(none)".into() } else { escaped(&facts.subject) };
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

#[cfg(test)]
mod tests {
    use super::*;

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
