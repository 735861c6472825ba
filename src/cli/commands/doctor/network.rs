//! The lines about the way to the registry and what it allows.

use std::time::Duration;

use super::Args;
use super::plan::{Plan, credential_line};
use crate::app::connect::{Connection, proxies};
use crate::app::ends_soon;
use crate::cli::failure::advice::certificate::remedy;
use crate::cli::failure::advice::registry::explain;
use crate::cli::failure::{Failure, Kind, Outcome};
use crate::cli::render::diagnosis::Line;
use crate::cli::terminal::Ui;
use crate::ops::doctor::{Limits, Network, Step, anchor, network};
use crate::progress::Interrupt;
use crate::registry::{GiteaVersion, LATE_LIMIT, NetworkFault, Registry, RegistryConfig, RegistryError, Timeouts};
use crate::tls::{CertificateFacts, HandshakeFault, Presented, TlsPolicy};

/// How long one step to the registry may take, and all of them.
const LIMITS: Limits = Limits { step: Duration::from_secs(3), total: Duration::from_millis(6500) };

pub(crate) const CHECKS: [&str; 8] =
    ["DNS", "TCP", "TLS", "trust", "credential", "authentication", "push permission", "Gitea"];

const NO_CONNECTION: &str = "no connection";

impl Args {
    fn limits(connection: &Connection<'_>) -> Limits {
        match connection.options().timeout {
            Some(step) => Limits { step, total: step * 5 },
            None => LIMITS,
        }
    }

    pub(crate) fn registry_lines(
        ui: &Ui,
        connection: &Connection<'_>,
        registry: &str,
        plan: Plan,
        lines: &mut Vec<Line>,
    ) -> Outcome {
        let Plan { repository, policy, resolution, unused } = plan;
        let policy = match policy {
            Ok(policy) => policy,
            Err(failure) => {
                lines.extend(CHECKS[..3].iter().map(|check| Line::skip(check, "trust is not settled")));
                lines.push(Line::fail("trust", &failure, "see what is in ~/.idpbuilder/certs"));
                lines.push(credential_line(&resolution, unused));
                lines.extend(CHECKS[5..].iter().map(|check| Line::skip(check, "no connection")));
                return Ok(());
            }
        };
        let limits = Self::limits(connection);
        let config = RegistryConfig {
            credential: resolution.credential.clone(),
            proxies: proxies(ui.session()),
            // Longer than a step, which may end the wait for an upload session and cancel it nevertheless.
            timeouts: Timeouts { connect: limits.step, answer: limits.step + LATE_LIMIT, stall: limits.step },
            // The steps look at the interrupt themselves, for the same reason.
            interrupt: Interrupt::default(),
            ..RegistryConfig::new(registry, policy.clone(), connection.elsewhere()?)
        };
        let client = Registry::open(config).map_err(explain)?;
        let asking = network(&client, repository.as_deref(), limits, &ui.interrupt);
        let found = ui.block_on(asking)?;
        let Network { proxied, dns, tcp, tls, authentication, push, gitea } = found;
        let through = if proxied { "through a proxy" } else { NO_CONNECTION };
        lines.push(line("DNS", dns, through, |found| {
            let addresses = found.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let why = if found.fell_back { " (DNS has none; the name means this machine)" } else { "" };
            Line::ok("DNS", format!("{addresses}{why}"))
        }));
        lines.push(line("TCP", tcp, through, |address| Line::ok("TCP", format!("connected to {address}"))));
        let presented = match &tls {
            Step::Passed(presented) => presented.clone(),
            _ => None,
        };
        lines.push(tls_line(tls, &policy));
        lines.push(trust_line(&policy, presented.as_ref()));
        lines.push(credential_line(&resolution, unused));
        let authenticated = authentication.passed();
        let who =
            if resolution.credential.is_some() { "the credential is accepted" } else { "no credential is asked for" };
        lines.push(line("authentication", authentication, NO_CONNECTION, |()| {
            if client.shows_password() {
                Line::warn("authentication", "the access token is not accepted, the password beside it is")
            } else {
                Line::ok("authentication", who)
            }
        }));
        lines.push(match &repository {
            None if authenticated => {
                Line::skip("push permission", "no owner is known").fix("name a repository: --repository OWNER/NAME")
            }
            Some(name) => line("push permission", push, "not authenticated", |()| {
                Line::ok("push permission", format!("{name}: an upload session was opened and cancelled"))
            }),
            None => Line::skip("push permission", "not authenticated"),
        });
        lines.push(gitea_line(gitea));
        Ok(())
    }
}

fn line<T>(check: &'static str, step: Step<T>, skipped: &str, passed: impl FnOnce(T) -> Line) -> Line {
    match step {
        Step::Passed(value) => passed(value),
        Step::Failed(error) => {
            let fallback = match &error {
                RegistryError::Refused(_) => "the registry does not allow it: see whether it is read-only",
                _ => "try again with -v; the registry's log may say more",
            };
            let fault = fault(&error);
            let line = Line::fail(check, &explain(error), fallback);
            match fault {
                Some(fault) => line.found(fault),
                None => line,
            }
        }
        Step::Overdue(limit) => {
            let failure = Failure::new(Kind::Deadline, format!("no answer for {limit:?}"))
                .hint("try again, or wait longer with --timeout SECONDS");
            Line::fail(check, &failure, "")
        }
        Step::Skipped => Line::skip(check, skipped),
    }
}

/// The fault alone where there was no answer: the check says of what, and its text what the system said.
fn fault(error: &RegistryError) -> Option<String> {
    match error {
        RegistryError::Network { fault: fault @ NetworkFault::Dns, source: Some(source), .. } => {
            Some(format!("{fault}: {source}"))
        }
        RegistryError::Network { fault, .. } => Some(fault.to_string()),
        _ => None,
    }
}

fn tls_line(step: Step<Option<Presented>>, policy: &TlsPolicy) -> Line {
    line("TLS", step, NO_CONNECTION, |presented| {
        let Some(presented) = presented else {
            return Line::warn("TLS", "not used: everything can be read and changed");
        };
        let chain = presented.chain();
        let Some(own) = chain.first() else { return Line::warn("TLS", "no readable certificate was shown") };
        let found = described(own, chain.len());
        if matches!(policy, TlsPolicy::SkipVerify) {
            return Line::warn("TLS", format!("{found}, not verified"));
        }
        if ends_soon(own.not_after, jiff::Timestamp::now()) {
            let fault = HandshakeFault::Expired { not_after: Some(own.not_after) };
            let line = Line::warn("TLS", format!("{found}, soon over"));
            return remedy("", &fault).into_iter().fold(line, Line::fix);
        }
        Line::ok("TLS", format!("{found}, trusted"))
    })
}

/// Not everything is Gitea, so nothing here is a failure.
fn gitea_line(step: Step<GiteaVersion>) -> Line {
    match step {
        Step::Passed(GiteaVersion::Told(version)) => Line::ok("Gitea", version),
        Step::Passed(GiteaVersion::Absent) => Line::skip("Gitea", "it is another registry"),
        Step::Passed(GiteaVersion::NotTold(status)) => {
            Line::skip("Gitea", format!("it is another registry, or does not tell everybody its version ({status})"))
        }
        Step::Failed(error) => Line::skip("Gitea", format!("not told: {}", explain(error).summary())),
        Step::Overdue(limit) => Line::skip("Gitea", format!("no answer for {limit:?}")),
        Step::Skipped => Line::skip("Gitea", NO_CONNECTION),
    }
}

fn described(own: &CertificateFacts, count: usize) -> String {
    let names = if own.names.is_empty() { own.subject.clone() } else { own.names.join(", ") };
    let issuer = if own.self_signed { "self-signed".to_owned() } else { format!("issued by {}", own.issuer) };
    let chain = if count > 1 { format!(", chain of {count}") } else { String::new() };
    format!("certificate for {names}, {issuer}{chain}, valid until {}", own.not_after)
}

fn trust_line(policy: &TlsPolicy, presented: Option<&Presented>) -> Line {
    let TlsPolicy::Verify(trust) = policy else { return Line::warn("trust", "not asked for: anybody may answer") };
    let Some(presented) = presented else {
        let looked = trust.sources().iter().map(|(origin, count)| format!("{origin} ({count})"));
        return Line::skip("trust", format!("looked in {}", looked.collect::<Vec<_>>().join(", ")));
    };
    match anchor(trust, presented) {
        Some(anchor) => {
            let facts = CertificateFacts::from_der(&anchor.certificate);
            let fingerprint = facts.map(|facts| format!(", {}", facts.fingerprint)).unwrap_or_default();
            Line::ok("trust", format!("{}{fingerprint}", anchor.origin))
        }
        None => Line::ok("trust", "a chain to one of the trusted authorities"),
    }
}
