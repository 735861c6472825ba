//! Arguments about registries: address, trust and credential.

use std::path::PathBuf;
use std::time::Duration;

use super::cluster::ClusterArgs;
use super::size::time;
use crate::app::connect::{Connection, LoginOptions, RegistryOptions};
use crate::cli::failure::Failure;
use crate::cli::terminal::Ui;
use crate::credentials::Secret;
use crate::registry::BlobHosts;

/// How to talk to a registry.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Registry options")]
pub(crate) struct RegistryArgs {
    /// Registry to use for a reference without one; a scheme is accepted and dropped [environment:
    /// IDPBUILDER_REGISTRY]
    #[arg(long, value_name = "HOST[:PORT]")]
    registry: Option<String>,
    /// User name
    #[arg(short, long, value_name = "NAME", conflicts_with = "creds")]
    username: Option<String>,
    /// Password or token; visible to other users of this machine, so prefer --password-stdin
    #[arg(short, long, value_name = "PASSWORD", requires = "username", conflicts_with = "password_stdin")]
    password: Option<String>,
    /// Read the password from standard input
    #[arg(long, requires = "username")]
    password_stdin: bool,
    /// User name and password in one, for the destination alone (without one, for the base)
    #[arg(long, value_name = "NAME:PASSWORD")]
    creds: Option<String>,
    /// Credentials file of Docker's form, before Docker's and the containers tools' own [environment:
    /// REGISTRY_AUTH_FILE]
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
    /// File with trusted certificates (PEM): authorities, or the registry's own self-signed certificate
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Directory with *.crt to trust and *.cert with *.key to show to the registry
    #[arg(long, value_name = "DIR")]
    cert_dir: Option<PathBuf>,
    /// Do not verify the certificate of the registry, or of HOST alone (still TLS); asks first on a terminal
    #[arg(long, value_name = "HOST[:PORT]", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    insecure: Vec<String>,
    /// --tls-verify=false is the same as --insecure
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          action = clap::ArgAction::Set, conflicts_with = "insecure")]
    tls_verify: Option<bool>,
    /// Use http without TLS: everything can be read and changed on the way
    #[arg(long, conflicts_with_all = ["insecure", "tls_verify", "ca_file", "cert_dir"])]
    plain_http: bool,
    /// Answer yes to questions
    #[arg(short = 'y', long)]
    yes: bool,
    /// Longest wait for an answer of the registry [default: 10m]; a short one also limits the wait for a connection
    /// and for the next byte
    #[arg(long, value_name = "TIME", value_parser = time)]
    timeout: Option<Duration>,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Hosts that blobs may come from.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Registry options")]
pub(crate) struct BlobHostArgs {
    /// Follow the registry to HOST for its blobs, even without TLS or at an internal address; no credential goes there,
    /// and every blob that is read is checked by its digest; repeatable
    #[arg(long, value_name = "HOST[:PORT]")]
    blobs_from: Vec<String>,
}

impl BlobHostArgs {
    /// Returns the hosts as they were typed.
    pub(crate) fn texts(&self) -> &[String] {
        &self.blobs_from
    }

    /// Returns the hosts, parsed.
    pub(crate) fn hosts(&self) -> Result<BlobHosts, Failure> {
        BlobHosts::parse(&self.blobs_from).map_err(|text| {
            Failure::usage(format!("`{text}` is no host to fetch blobs from"))
                .hint("give --blobs-from as HOST or HOST:PORT")
        })
    }
}

impl RegistryArgs {
    /// Returns the options as plain data.
    fn options(&self) -> RegistryOptions {
        let mut insecure = self.insecure.clone();
        if self.tls_verify == Some(false) {
            insecure.push(String::new());
        }
        RegistryOptions {
            registry: self.registry.clone(),
            login: LoginOptions {
                username: self.username.clone(),
                password: self.password.clone().map(Secret::new),
                password_stdin: self.password_stdin,
                creds: self.creds.clone().map(Secret::new),
            },
            authfile: self.authfile.clone(),
            ca_file: self.ca_file.clone(),
            cert_dir: self.cert_dir.clone(),
            insecure,
            plain_http: self.plain_http,
            yes: self.yes,
            timeout: self.timeout,
            cluster: self.cluster.options(),
        }
    }

    /// Returns the connection that the options describe.
    pub(crate) fn connect<'a>(&self, ui: &'a Ui) -> Connection<'a> {
        Connection::new(ui.session(), self.options())
    }

    /// Returns whether the password is what standard input has.
    pub(crate) fn reads_standard_input(&self) -> bool {
        self.password_stdin
    }
}
