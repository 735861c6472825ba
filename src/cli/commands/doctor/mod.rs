//! `idpbuilder-doctor`.

mod network;
mod plan;
mod settings;
mod store;

use std::sync::Arc;

use crate::app::connect::{Connection, bare_registry};
use crate::cli::args::StoreArgs;
use crate::cli::args::registry::RegistryArgs;
use crate::cli::command::Run;
use crate::cli::failure::advice::cluster;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::render::diagnosis::{Form, Line, report};
use crate::cli::terminal::Ui;
use crate::cluster::{ClusterError, ClusterRegistry};

/// Check every step from here to a pushed image
///
/// One line for each: cluster, registry, DNS, TCP, TLS, trust, credential, authentication, push permission, Gitea,
/// disk, store, settings. A line that fails says what fixes it. Permission to push is found out by opening an upload
/// session and cancelling it; nothing is pushed. Ends with the exit code of the first line that failed.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    /// Registry to check [default: the one that a push without a registry would use]
    #[arg(value_name = "HOST[:PORT]", conflicts_with = "registry")]
    host: Option<String>,
    /// Repository to try a push for [default: OWNER/idpbuilder-doctor]
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
    /// Hash every blob of the store; takes as long as reading them
    #[arg(long)]
    deep: bool,
    /// Repair the store and do nothing else: what can be read is kept, damaged files are renamed
    #[arg(long, conflicts_with_all = ["host", "registry", "repository", "deep", "settings"])]
    repair: bool,
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

impl Run for Args {
    fn run(self, ui: &mut Ui) -> Outcome {
        // What a push would tell about its assumptions is in the lines.
        ui.silence(!self.verbose);
        ui.explain(self.verbose);
        let ui = &*ui;
        let connection = self.registry.connect(ui);
        if self.settings {
            return self.print_settings(ui);
        }
        if self.repair {
            return self.repair(ui);
        }
        let mut lines = Vec::new();
        let said = self.said(&connection);
        let needs_cluster = matches!(said, Ok(None));
        let cluster = connection.cluster.find()?;
        connection.cluster.leave_lacks_to_caller();
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
            (Ok(None), Ok(cluster)) => match connection.cluster.admit(cluster) {
                Ok(()) => {
                    lines.push(Line::ok("registry", format!("{} (cluster {})", cluster.registry(), cluster.context)));
                    Some(cluster.registry().to_owned())
                }
                Err(error) => {
                    lines.push(Line::fail("registry", &error.into(), "name it: idpbuilder-doctor HOST:PORT"));
                    None
                }
            },
            (Ok(None), Err(_)) => {
                lines.push(
                    Line::skip("registry", "no source names one")
                        .fix("name it: idpbuilder-doctor HOST:PORT, or set default_registry in config.toml"),
                );
                None
            }
        };
        match registry {
            Some(registry) => {
                let cluster = match cluster {
                    Ok(cluster) if connection.cluster.speaks_for(cluster, &registry)? => Some(cluster),
                    _ => None,
                };
                let plan = self.plan(ui, &connection, &registry, cluster)?;
                Self::registry_lines(ui, &connection, &registry, plan, &mut lines)?;
            }
            None => lines.extend(network::CHECKS.map(|check| Line::skip(check, "no registry to ask"))),
        }
        self.store_lines(ui, &mut lines)?;
        lines.push(self.settings_line(ui));
        report(ui, self.format, &lines)
    }
}

impl Args {
    /// The registry that arguments or settings name, and who did.
    fn said(&self, connection: &Connection<'_>) -> Result<Option<(String, String)>, Failure> {
        match &self.host {
            Some(host) => Ok(Some((bare_registry(host)?, "as given".to_owned()))),
            None => Ok(connection.default_registry(self.store.store.as_deref())?),
        }
    }
}

fn cluster_line(found: Result<&ClusterRegistry, &Arc<ClusterError>>, needed: bool) -> Line {
    let because = |error: &Arc<ClusterError>| {
        Line::fail("cluster", &cluster::failure(error), "see whether kubectl get localbuilds works")
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
            (Err(login), Err(certificate)) => because(login).and(because(certificate)).into_warning(),
            (Err(error), _) | (_, Err(error)) => because(error).into_warning(),
        },
    }
}
