//! Arguments about the cluster.

use std::path::PathBuf;

use crate::app::connect::{ClusterConnection, ClusterOptions};
use crate::cli::terminal::Ui;

/// Id of the flag `--context`, which a command whose own `--context` is something else gives another name.
pub(crate) const KUBE_CONTEXT: &str = "kube_context";

/// Which cluster.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Cluster options")]
pub(crate) struct ClusterArgs {
    /// Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]
    #[arg(id = KUBE_CONTEXT, long = "context", value_name = "NAME")]
    context: Option<String>,
    /// Name that idpbuilder gave the cluster: the context kind-NAME
    #[arg(long, value_name = "NAME", conflicts_with = KUBE_CONTEXT)]
    cluster_name: Option<String>,
}

impl ClusterArgs {
    /// Returns the options as plain data.
    pub(crate) fn options(&self) -> ClusterOptions {
        let Self { kubeconfig, context, cluster_name } = self;
        let (kubeconfig, context) = (kubeconfig.clone(), context.clone());
        ClusterOptions { kubeconfig, context, cluster_name: cluster_name.clone() }
    }

    /// Returns the connection that the options describe.
    pub(crate) fn connect<'a>(&self, ui: &'a Ui) -> ClusterConnection<'a> {
        ClusterConnection::new(ui.session(), self.options())
    }
}
