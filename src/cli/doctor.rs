//! `idpbuilder-doctor`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use indicatif::HumanBytes;
use serde::Serialize;

use super::applet::Run;
use super::arguments::StoreArgs;
use super::cluster_causes;
use super::diagnosis::{Form, Line, report};
use super::failure::{Failure, Kind, Outcome};
use super::registry::{RegistryArgs, bare_registry, chain, proxies};
use super::registry_causes::explain;
use super::ui::Ui;
use crate::audit::Event;
use crate::cluster::{ClusterError, ClusterRegistry, owner};
use crate::config::{Setting, Settings, Source};
use crate::credentials::{ANY_USERNAME, Credential, Resolution};
use crate::doctor::{Limits, Network, Step, anchor, network, room, store_health};
use crate::image::Reference;
use crate::registry::{NetworkFault, Registry, RegistryConfig, RegistryError, Timeouts};
use crate::store::StoreError;
use crate::tls::{CertificateFacts, HandshakeFault, Origin, Presented, TlsPolicy};

/// How long one step to the registry may take, and all of them.
const LIMITS: Limits = Limits { step: Duration::from_secs(3), total: Duration::from_millis(6500) };
/// How long the sources of credentials may take.
const CREDENTIAL_LIMIT: Duration = Duration::from_secs(2);
/// How long the quick look at the store may take.
const STORE_LIMIT: Duration = Duration::from_secs(1);
/// How long before its end a certificate is worth a warning.
const EXPIRY: jiff::SignedDuration = jiff::SignedDuration::from_hours(30 * 24);
/// Less room than this is worth a warning, in bytes.
const LITTLE_ROOM: u64 = 1 << 30;

/// Check every step from here to a pushed image
///
/// One line for each: cluster, registry, DNS, TCP, TLS, trust, credential, authentication, push permission, Gitea,
/// disk, store, settings. A line that fails says what fixes it. Permission to push is found out by opening an upload
/// session and cancelling it; nothing is pushed. Ends with the exit code of the first line that failed.
#[derive(Debug, clap::Parser)]
pub(super) struct Args {
    /// Registry to check [default: the one that a push without a registry would use]
    #[arg(value_name = "HOST[:PORT]", conflicts_with = "registry")]
    host: Option<String>,
    /// Repository to try a push for [default: OWNER/idpbuilder-doctor]
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
    /// Hash every blob of the store; takes as long as reading them
    #[arg(long)]
    deep: bool,
    /// Print the settings with their sources and nothing else
    #[arg(long)]
    settings: bool,
    /// How to print
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Form::Text)]
    format: Form,
    /// Say more about each step
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// What is known before anything is sent to the registry.
struct Plan {
    repository: Option<String>,
    policy: Result<TlsPolicy, Failure>,
    resolution: Resolution,
}

impl Run for Args {
    fn run(self, ui: &mut Ui) -> Outcome {
        // What a push would tell about its assumptions is in the lines.
        ui.silence(!self.verbose);
        ui.explain(self.verbose);
        if self.settings {
            return self.print_settings(ui);
        }
        let mut lines = Vec::new();
        let said = self.said(ui);
        let needs_cluster = matches!(said, Ok(None));
        let cluster = self.registry.cluster.find(ui)?;
        lines.push(cluster_line(cluster, needs_cluster));
        let registry = match (said, cluster) {
            (Err(failure), _) => {
                lines.push(Line::fail("registry", &failure, "name it: idpbuilder-doctor HOST:PORT"));
                None
            }
            (Ok(Some((registry, source))), _) => {
                lines.push(Line::ok("registry", format!("{registry} ({source})")));
                Some(registry)
            }
            (Ok(None), Ok(cluster)) => {
                lines.push(Line::ok("registry", format!("{} (cluster {})", cluster.registry(), cluster.context)));
                Some(cluster.registry().to_owned())
            }
            (Ok(None), Err(_)) => {
                lines.push(
                    Line::skip("registry", "nobody says which")
                        .fix("name it: idpbuilder-doctor HOST:PORT, or set default_registry in config.toml"),
                );
                None
            }
        };
        match registry {
            Some(registry) => {
                let plan = self.plan(ui, &registry, cluster.ok().filter(|cluster| cluster.serves(&registry)))?;
                self.registry_lines(ui, &registry, plan, &mut lines)?;
            }
            None => lines.extend(NETWORK_CHECKS.map(|check| Line::skip(check, "no registry to ask"))),
        }
        self.store_lines(ui, &mut lines)?;
        lines.push(self.settings_line(ui));
        report(ui, self.format, &lines)
    }
}

/// The repository that a push is tried for, below its owner.
const PROBED: &str = "idpbuilder-doctor";

const NETWORK_CHECKS: [&str; 8] =
    ["DNS", "TCP", "TLS", "trust", "credential", "authentication", "push permission", "Gitea"];

impl Args {
    /// The registry that arguments or settings name, and who did.
    fn said(&self, ui: &Ui) -> Result<Option<(String, String)>, Failure> {
        match &self.host {
            Some(host) => Ok(Some((bare_registry(host)?, "as given".to_owned()))),
            None => self.registry.default_registry(ui, self.store.store.as_deref()),
        }
    }

    /// Whom to trust and who we are, as a push would have it.
    fn plan(&self, ui: &Ui, registry: &str, cluster: Option<&ClusterRegistry>) -> Result<Plan, Failure> {
        let given = self.registry.given(ui)?;
        self.registry.confirm(ui, registry)?;
        let mut resolution = self.resolution(ui, registry, given.as_ref())?;
        // Nobody to own a repository is no reason to look no further.
        let nobody = self.repository.is_none()
            && !matches!(resolution.credential, Some(Credential::Basic { .. }))
            && cluster.is_some_and(|cluster| cluster.owner().is_none());
        let name = self.repository.as_deref().unwrap_or(if nobody { "nobody/idpbuilder-doctor" } else { PROBED });
        let mut reference = Reference::from_parts(Some(registry), name, None)?;
        let mut policy = self.registry.policy(ui, registry);
        if let Some(cluster) = cluster
            && let Ok(own) = policy
        {
            policy = match self.registry.cluster.apply(ui, cluster, &reference, own, &mut resolution) {
                Ok((settled, policy)) => {
                    reference = settled;
                    Ok(policy)
                }
                Err(failure) => Err(failure),
            };
        }
        let repository = reference.repository().to_owned();
        let owned = match (self.repository.is_some() || repository.contains('/'), &resolution.credential) {
            (true, _) => (!nobody).then_some(repository),
            (false, Some(Credential::Basic { username, .. })) if username != ANY_USERNAME => {
                owner(username).map(|owner| format!("{owner}/{repository}"))
            }
            (false, _) => None,
        };
        if let Some(source) = &resolution.source
            && let Err(failure) = ui.audit(Event::Credential, registry, Some(source), None)
        {
            ui.warn(&failure.told());
        }
        Ok(Plan { repository: owned, policy, resolution })
    }

    /// Asks the sources of credentials; helpers that take too long have none.
    fn resolution(
        &self,
        ui: &Ui,
        registry: &str,
        given: Option<&(String, crate::credentials::Secret)>,
    ) -> Result<Resolution, Failure> {
        let chain = chain(ui, given);
        let (registry, repository) = (registry.to_owned(), self.repository.clone().unwrap_or_default());
        let asking = async {
            let asked = tokio::task::spawn_blocking(move || chain.resolve(&registry, &repository));
            Ok::<_, Failure>(tokio::time::timeout(CREDENTIAL_LIMIT, asked).await)
        };
        match ui.block_on(asking)? {
            Ok(resolution) => {
                resolution.map_err(|_| Failure::new(Kind::Failed, "a source of credentials ended without an answer"))
            }
            Err(_) => {
                Ok(Resolution { tried: vec!["a helper that did not answer".to_owned()], ..Resolution::default() })
            }
        }
    }

    fn limits(&self) -> Limits {
        match self.registry.timeout.map(Duration::from_secs) {
            Some(step) => Limits { step, total: step * 5 },
            None => LIMITS,
        }
    }

    fn registry_lines(&self, ui: &Ui, registry: &str, plan: Plan, lines: &mut Vec<Line>) -> Outcome {
        let Plan { repository, policy, resolution } = plan;
        let policy = match policy {
            Ok(policy) => policy,
            Err(failure) => {
                lines.extend(NETWORK_CHECKS[..3].iter().map(|check| Line::skip(check, "trust is not settled")));
                lines.push(Line::fail("trust", &failure, "see what is in ~/.idpbuilder/certs"));
                lines.push(credential_line(&resolution));
                lines.extend(NETWORK_CHECKS[5..].iter().map(|check| Line::skip(check, "no connection")));
                return Ok(());
            }
        };
        let limits = self.limits();
        let config = RegistryConfig {
            host: registry.to_owned(),
            policy: policy.clone(),
            credential: resolution.credential.clone(),
            proxies: proxies(ui),
            timeouts: Timeouts { connect: limits.step, answer: limits.step, stall: limits.step },
            limits: crate::registry::Limits::default(),
            interrupt: ui.interrupt.clone(),
        };
        let client = Registry::open(config).map_err(explain)?;
        let asking = async { Ok::<_, Failure>(network(&client, repository.as_deref(), limits).await) };
        let found = ui.block_on(asking)?;
        let gitea = found.gitea.clone();
        let Network { proxied, dns, tcp, tls, authentication, push, .. } = found;
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
        let answered = tls.passed();
        lines.push(tls_line(tls, &policy));
        lines.push(trust_line(&policy, presented.as_ref()));
        lines.push(credential_line(&resolution));
        let silent = if answered { "does not say, or is none" } else { NO_CONNECTION };
        let authenticated = authentication.passed();
        let who = if resolution.credential.is_some() { "the credential is accepted" } else { "nobody is asked for" };
        lines.push(line("authentication", authentication, NO_CONNECTION, |()| Line::ok("authentication", who)));
        lines.push(match &repository {
            None if authenticated => {
                Line::skip("push permission", "no owner is known").fix("name a repository: --repository OWNER/NAME")
            }
            Some(name) => line("push permission", push, "not authenticated", |()| {
                Line::ok("push permission", format!("{name}: an upload session was opened and cancelled"))
            }),
            None => Line::skip("push permission", "not authenticated"),
        });
        lines.push(match gitea {
            Some(version) => Line::ok("Gitea", version),
            None => Line::skip("Gitea", silent),
        });
        Ok(())
    }

    fn store_lines(&self, ui: &Ui, lines: &mut Vec<Line>) -> Outcome {
        let Ok(settings) = ui.settings(self.store.store.as_deref()) else {
            lines.extend(["disk", "store"].map(|check| Line::skip(check, "the settings cannot be read")));
            return Ok(());
        };
        let root = settings.store.value;
        lines.push(disk_line(&root));
        let limit = (!self.deep).then_some(STORE_LIMIT);
        let looked = ui.run_blocking(|interrupt| Ok(store_health(&root, self.deep, limit, interrupt)))?;
        let place = root.display();
        lines.push(match looked {
            Err(error) => Line::fail("store", &error.into(), "name another store with --store"),
            Ok(None) => Line::ok("store", format!("{place}: none yet")),
            Ok(Some(health)) if !health.damaged.is_empty() => damaged_line(health.damaged),
            Ok(Some(health)) => {
                let size = HumanBytes(health.bytes);
                let found = format!("{place}: {} images, {} blobs, {size}", health.images, health.blobs);
                match (health.left, self.deep) {
                    (0, true) => Line::ok("store", format!("{found}, all hashed")),
                    (0, false) => Line::ok("store", found),
                    (left, _) => Line::warn("store", format!("{found}; {left} images were not looked at"))
                        .fix("look at all of it, for as long as it takes: --deep"),
                }
            }
        });
        Ok(())
    }

    fn settings_line(&self, ui: &Ui) -> Line {
        match self.all_settings(ui) {
            Ok(settings) => {
                let told = settings.iter().map(|row| format!("{} {} ({})", row.setting, row.value, row.source));
                Line::ok("settings", told.collect::<Vec<_>>().join("; "))
            }
            Err(failure) => Line::fail("settings", &failure, "correct config.toml"),
        }
    }

    fn print_settings(&self, ui: &Ui) -> Outcome {
        let rows = self.all_settings(ui)?;
        if self.format == Form::Json {
            return ui.data(&super::format::json(&rows));
        }
        let name = rows.iter().map(|row| row.setting.len()).max().unwrap_or_default();
        let told = rows.iter().map(|row| format!("{:<name$}  {} ({})", row.setting, row.value, row.source));
        ui.data(&told.collect::<Vec<_>>().join("\n"))
    }

    fn all_settings(&self, ui: &Ui) -> Result<Vec<Row>, Failure> {
        let Settings { home, store, .. } = ui.settings(self.store.store.as_deref())?;
        let path = |setting: &'static str, found: Setting<std::path::PathBuf>| Row {
            setting,
            value: found.value.display().to_string(),
            source: found.source.to_string(),
        };
        let (registry, by) =
            self.said(ui)?.unwrap_or_else(|| ("the cluster's".to_owned(), Source::Default.to_string()));
        let (files, source) = self.registry.cluster.kubeconfigs(ui);
        let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        let (progress, because) = ui.progress_setting();
        Ok(vec![
            path("home", home),
            path("store", store),
            Row { setting: "registry", value: registry, source: by },
            Row { setting: "kubeconfig", value: files.join(":"), source: source.to_string() },
            Row { setting: "progress", value: progress.to_owned(), source: because.to_string() },
        ])
    }
}

/// A setting as it is printed.
#[derive(Serialize)]
struct Row {
    setting: &'static str,
    value: String,
    source: String,
}

const NO_CONNECTION: &str = "no connection";

fn cluster_line(found: Result<&ClusterRegistry, &Arc<ClusterError>>, needed: bool) -> Line {
    let because = |error: &Arc<ClusterError>| {
        let (kind, hints) = cluster_causes::advise(error);
        let failure = hints.into_iter().fold(Failure::new(kind, Arc::clone(error)), Failure::hint);
        Line::fail("cluster", &failure, "see whether kubectl get localbuilds works")
    };
    match found {
        Err(error) if needed => because(error),
        Err(error) => because(error).into_warning(),
        Ok(cluster) if !cluster.ready => {
            let line = because(&Arc::new(ClusterError::GiteaNotReady { context: cluster.context.clone() }));
            if needed { line } else { line.into_warning() }
        }
        Ok(cluster) => match (&cluster.login, &cluster.certificate) {
            (Ok(login), Ok(_)) => Line::ok("cluster", format!("{}, user {}", cluster.context, login.username)),
            (Err(error), _) | (_, Err(error)) => because(error).into_warning(),
        },
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
        RegistryError::Network { fault, source: Some(source), .. }
            if matches!(fault, NetworkFault::Dns | NetworkFault::Other) =>
        {
            Some(format!("{fault}: {source}"))
        }
        RegistryError::Network { fault, .. } => Some(fault.to_string()),
        _ => None,
    }
}

fn tls_line(step: Step<Option<Presented>>, policy: &TlsPolicy) -> Line {
    let unknown = matches!(
        &step,
        Step::Failed(RegistryError::Network { fault: NetworkFault::Tls { fault, .. }, .. })
            if matches!(fault, HandshakeFault::UnknownIssuer | HandshakeFault::CaUsedAsEndEntity)
    );
    let built = line("TLS", step, NO_CONNECTION, |presented| {
        let Some(presented) = presented else {
            return Line::warn("TLS", "not used: everything can be read and changed");
        };
        let chain = presented.chain();
        let Some(own) = chain.first() else { return Line::warn("TLS", "no readable certificate was shown") };
        let found = described(own, chain.len());
        if matches!(policy, TlsPolicy::SkipVerify) {
            return Line::warn("TLS", format!("{found}, not verified"));
        }
        if own.not_after.duration_since(jiff::Timestamp::now()) < EXPIRY {
            let fault = HandshakeFault::Expired { not_after: Some(own.not_after) };
            let renew = super::registry_causes::remedy("", &fault).unwrap_or_default();
            return Line::warn("TLS", format!("{found}, soon over")).fix(renew);
        }
        Line::ok("TLS", format!("{found}, trusted"))
    });
    // What is pinned and not shown is most often the certificate of a cluster that is gone.
    match pinned(policy) {
        Some(place) if unknown => built.fix(format!(
            "{place} holds another certificate: if the cluster was made anew, replace it with the one shown"
        )),
        _ => built,
    }
}

fn described(own: &CertificateFacts, count: usize) -> String {
    let names = if own.names.is_empty() { own.subject.clone() } else { own.names.join(", ") };
    let issuer = if own.self_signed { "self-signed".to_owned() } else { format!("issued by {}", own.issuer) };
    let chain = if count > 1 { format!(", chain of {count}") } else { String::new() };
    format!("certificate for {names}, {issuer}{chain}, valid until {}", own.not_after)
}

/// Where certificates for this registry alone are trusted, if any.
fn pinned(policy: &TlsPolicy) -> Option<Origin> {
    let TlsPolicy::Verify(trust) = policy else { return None };
    trust.anchors().iter().find(|anchor| anchor.origin != Origin::System).map(|anchor| anchor.origin.clone())
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

fn credential_line(resolution: &Resolution) -> Line {
    if let Some((source, error)) = resolution.failures.first() {
        let failure =
            Failure::new(Kind::Auth, format!("{source}: {}", Failure::new(Kind::Auth, error.to_string()).told()));
        return Line::fail(
            "credential",
            &failure,
            "complete or remove it there, or give another with -u and --password-stdin",
        );
    }
    match (&resolution.source, &resolution.credential) {
        (Some(source), Some(Credential::Basic { username, .. })) => {
            Line::ok("credential", format!("{username}, from {source}"))
        }
        (Some(source), _) => Line::ok("credential", format!("a token, from {source}")),
        (None, _) => Line::warn("credential", format!("none (asked {})", resolution.tried.join(", "))),
    }
}

fn disk_line(root: &Path) -> Line {
    match room(root) {
        Ok(space) => {
            let found = format!("{} of {} free", HumanBytes(space.free), HumanBytes(space.total));
            if space.free >= LITTLE_ROOM {
                return Line::ok("disk", found);
            }
            let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
            Line::warn("disk", found).fix(super::causes::no_room(&full).unwrap_or_default())
        }
        Err(source) => {
            let error = StoreError::Io { action: "read the file system of", path: root.to_owned(), source };
            Line::fail("disk", &error.into(), "name another store with --store")
        }
    }
}

fn damaged_line(damaged: Vec<(String, StoreError)>) -> Line {
    let names: Vec<String> = damaged.iter().map(|(name, _)| name.clone()).collect();
    let count = names.len();
    let Some((_, first)) = damaged.into_iter().next() else { return Line::ok("store", "") };
    let failure = Failure::from(first);
    let shown = names.into_iter().take(5).collect::<Vec<_>>().join(", ");
    let more = if count > 5 { ", ..." } else { "" };
    let hints = failure.hints().to_vec();
    let told = format!("damaged: {shown}{more}: {}", failure.told());
    let failure = hints.into_iter().fold(Failure::new(failure.kind(), told), Failure::hint);
    Line::fail("store", &failure, "build, load or pull the image again: that repairs its blobs")
}
