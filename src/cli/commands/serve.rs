//! `idpbuilder-serve`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::cli::args::{StoreArgs, open_store};
use crate::cli::command::Run;
use crate::cli::failure::{Failure, Kind, Outcome};
use crate::cli::terminal::Ui;
use crate::cli::terminal::access_log::AccessLog;
use crate::serve::{ServeConfig, ServeTls, Server};

/// How long the last log lines may take at the end.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Serve the local store as a registry
///
/// Any client of the OCI distribution API can pull from it and push to it. Prints its address first. Ends on
/// Ctrl-C.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5000")]
    listen: SocketAddr,
    /// Use TLS with a self-signed certificate made for this run
    #[arg(long, conflicts_with_all = ["tls_cert", "tls_key"])]
    tls: bool,
    /// Further name in the self-signed certificate; repeatable
    #[arg(long, value_name = "NAME", requires = "tls")]
    tls_name: Vec<String>,
    /// Write the self-signed certificate to FILE (PEM), for clients to trust
    #[arg(long, value_name = "FILE", requires = "tls")]
    tls_cert_out: Option<PathBuf>,
    /// Use TLS with this certificate chain (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of --tls-cert (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Ask for a login found in FILE (bcrypt, as `htpasswd -B` writes it)
    #[arg(long, value_name = "FILE")]
    htpasswd: Option<PathBuf>,
    /// Refuse pushes and deletions
    #[arg(long)]
    read_only: bool,
    /// The same as --store
    #[arg(long, value_name = "DIR", conflicts_with = "store")]
    storage: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArgs,
    /// Print the address only
    #[arg(short, long)]
    quiet: bool,
}

impl Run for Args {
    fn run(self, ui: &mut Ui) -> Outcome {
        ui.silence(self.quiet);
        let store = open_store(ui, self.storage.as_deref().or(self.store.store.as_deref()))?;
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => ServeTls::Files {
                certificate: ui.surroundings.absolute(certificate),
                key: ui.surroundings.absolute(key),
            },
            _ if self.tls => ServeTls::SelfSigned { names: self.names() },
            _ => ServeTls::Off,
        };
        self.warn_if_open(ui, &tls);
        let config = ServeConfig {
            listen: self.listen,
            tls,
            htpasswd: self.htpasswd.as_deref().map(|path| ui.surroundings.absolute(path)),
            read_only: self.read_only,
            store,
        };
        let runtime = crate::cli::terminal::runtimes::for_serving()?;
        let mut signals = ui.stop_signals()?;
        runtime.block_on(async {
            let server = tokio::select! {
                server = Server::bind(config) => server?,
                signal = signals.next() => {
                    // Another command may hold the store's lock.
                    ui.interrupt.request();
                    return Err(Failure::stopped_by(signal));
                }
            };
            if let (Some(path), Some(pem)) = (&self.tls_cert_out, server.certificate_pem()) {
                // A pipe of that name may never be read.
                let written = write_certificate(ui.surroundings.absolute(path), pem.to_owned())?;
                tokio::select! {
                    written = written => written.expect("the thread answers")?,
                    signal = signals.next() => return Err(Failure::stopped_by(signal)),
                }
            }
            let (log, writing) =
                AccessLog::start(std::io::stderr()).map_err(|source| Failure::new(Kind::Failed, source))?;
            let panics = crate::cli::terminal::panics::log_panics(log.clone());
            announce(format!("Serving on {}", server.url()), log.clone())?;
            let quiet = self.quiet;
            let lines = log.clone();
            let record = Arc::new(move |line: &crate::serve::AccessLine| {
                if !quiet {
                    lines.line(crate::text::escaped(&access(line)).into_owned());
                }
            });
            let stop = async {
                signals.next().await;
            };
            let ended = server.run(stop, record).await;
            // A request that was cut off may still wait for a lock that another command holds.
            ui.interrupt.request();
            drop(panics);
            if ended.is_ok() && !quiet {
                // Not by `ui`, which would wait for a reader of standard error.
                log.line("Stopped".to_owned());
            }
            drop(log);
            writing.finish(LAST_LINES);
            Ok(ended?)
        })
    }
}

/// Writes the certificate on a thread of its own, which nothing waits for but its answer.
fn write_certificate(path: PathBuf, pem: String) -> Result<oneshot::Receiver<Result<(), Failure>>, Failure> {
    let (answer, answered) = oneshot::channel();
    crate::threads::spawn("certificate", move || {
        let written = crate::fs::replace_file(&path, pem.as_bytes());
        // A signal may have ended the wait.
        let _ = answer.send(
            written
                .map_err(|source| Failure::new(Kind::Failed, format!("cannot write `{}`: {source}", path.display()))),
        );
    })
    .map_err(|source| Failure::new(Kind::Failed, source))?;
    Ok(answered)
}

/// Prints the address on a thread of its own: a pipe that is never read holds up neither requests nor
/// signals, and one whose reader has left costs a line in the log.
fn announce(text: String, log: AccessLog) -> Result<(), Failure> {
    crate::threads::spawn("address", move || {
        if let Err(failure) = crate::cli::terminal::print(&text) {
            log.line(format!("warning: the address cannot be printed: {failure}"));
        }
    })
    .map(drop)
    .map_err(|source| Failure::new(Kind::Failed, source))
}

/// One request on one line.
fn access(line: &crate::serve::AccessLine) -> String {
    let status = line.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    let user = line.user.as_deref().unwrap_or("-");
    let fault = line.fault.as_deref().map_or_else(String::new, |fault| format!(" ({fault})"));
    format!(
        "{} {user} {} {} {status} in {} out {} {} ms{fault}",
        line.peer,
        line.method,
        line.path,
        line.received,
        line.sent,
        line.elapsed.as_millis()
    )
}

impl Args {
    fn names(&self) -> Vec<String> {
        let mut names = self.tls_name.clone();
        let address = self.listen.ip();
        if !address.is_unspecified() && !address.is_loopback() {
            names.push(address.to_string());
        }
        names
    }

    fn warn_if_open(&self, ui: &Ui, tls: &ServeTls) {
        let reachable = match self.listen.ip() {
            IpAddr::V4(address) => !address.is_loopback(),
            IpAddr::V6(address) => !address.is_loopback(),
        };
        if !reachable {
            return;
        }
        if self.htpasswd.is_none() && !self.read_only {
            ui.warn("everybody who reaches this address may push and delete; --htpasswd or --read-only changes that");
        }
        if matches!(tls, ServeTls::Off) {
            ui.warn("without --tls everything can be read and changed on the way");
        }
    }
}
