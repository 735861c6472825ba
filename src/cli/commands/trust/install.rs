//! `idpbuilder-trust install`: kept certificates for other programs.

use std::path::PathBuf;
use std::time::Duration;

use super::written_down;
use crate::app::connect::{address, trust_store};
use crate::audit::Event;
use crate::cli::args::cluster::ClusterArgs;
use crate::cli::failure::{Failure, Kind, Outcome};
use crate::cli::terminal::Ui;
use crate::cluster::ClusterRegistry;
use crate::ops::trust::{Change, Install, InstallError, KeptError, Reader, TrustError, install, kept, uninstall};
use crate::tls::{CertificateFacts, RegistryHost};

/// How long the program may take that makes the system's store: seconds on a slow machine.
const PATIENCE: Duration = Duration::from_mins(2);

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("reader").required(true).multiple(true)))]
pub(crate) struct InstallArgs {
    /// Registry
    #[arg(value_name = "HOST[:PORT]")]
    host: String,
    /// For the Docker daemon: /etc/docker/certs.d
    #[arg(long, group = "reader")]
    docker: bool,
    /// For this user's podman, skopeo and buildah: ~/.config/containers/certs.d
    #[arg(long, group = "reader")]
    podman: bool,
    /// For containerd: /etc/containerd/certs.d, with a hosts.toml
    #[arg(long, group = "reader")]
    containerd: bool,
    /// For every program of this system, and then for every host that the certificate's key signs for; asks first
    #[arg(long, group = "reader")]
    system: bool,
    /// Remove what install wrote; files that were changed since, or are not its own, stay
    #[arg(long)]
    undo: bool,
    /// Say what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Answer yes to questions
    #[arg(short = 'y', long)]
    yes: bool,
    /// Directory instead of / for what belongs to the system
    #[arg(long, value_name = "DIR", hide = true, default_value = "/")]
    root: PathBuf,
    #[command(flatten)]
    cluster: ClusterArgs,
}

impl InstallArgs {
    pub(crate) fn run(&self, ui: &Ui) -> Outcome {
        let host = address(&self.host)?;
        let user = ui.surroundings.home()?.join(".config/containers/certs.d");
        let to =
            Install { root: ui.surroundings.absolute(&self.root), user, dry_run: self.dry_run, patience: PATIENCE };
        let readers = self.readers();
        let (changes, fingerprint) = if self.undo {
            (ui.run_blocking::<_, Failure>(|_| Ok(uninstall(&to, &readers, &host)?))?, None)
        } else {
            let certificates = match kept(&trust_store(ui.session())?, &host) {
                Err(KeptError::Store(error @ TrustError::NotFound(_))) => {
                    return Err(self.not_kept(ui, &host, error)?);
                }
                kept => kept?,
            };
            self.check(ui, &host)?;
            let own = certificates.first().and_then(|der| CertificateFacts::from_der(der).ok());
            let installed = ui.run_blocking::<_, Failure>(|_| Ok(install(&to, &readers, &host, &certificates)?))?;
            (installed, own.map(|facts| facts.fingerprint))
        };
        if changes.is_empty() {
            ui.status(&format!("There is nothing of {host} to remove"));
        }
        for change in &changes {
            self.print_report(ui, &host, change, fingerprint.as_deref())?;
        }
        if self.containerd && !self.undo {
            ui.status("containerd reads this where its config_path is /etc/containerd/certs.d");
        }
        Ok(())
    }

    /// The failure where nothing is kept for `host`. A cluster that vouches for it is asked for: `show` names it, and
    /// what it says is kept with one command.
    fn not_kept(&self, ui: &Ui, host: &RegistryHost, error: TrustError) -> Result<Failure, Failure> {
        let connection = self.cluster.connect(ui);
        let cluster = connection.serving(&host.to_string(), false)?;
        let failure = Failure::from(error);
        Ok(match cluster {
            Some(ClusterRegistry { context, certificate: Ok(_), .. }) => failure.first_hint(format!(
                "only cluster {context} vouches for it; keep its certificate first: idpbuilder-trust add {host} \
                 --from-cluster"
            )),
            _ => failure.first_hint(format!("keep the certificate first: idpbuilder-trust add {host} --from-server")),
        })
    }

    fn readers(&self) -> Vec<Reader> {
        let asked = [
            (self.docker, Reader::Docker),
            (self.podman, Reader::Podman),
            (self.containerd, Reader::Containerd),
            (self.system, Reader::System),
        ];
        asked.into_iter().filter(|(asked, _)| *asked).map(|(_, reader)| reader).collect()
    }

    fn check(&self, ui: &Ui, host: &RegistryHost) -> Result<(), Failure> {
        if self.system && !self.dry_run {
            ui.warn(&format!(
                "every program of this system will trust the certificate of {host}; if it is an authority's, the \
                 owner of its key can pretend to be any host"
            ));
            if !self.yes && ui.confirm("Go on?")? != Some(true) {
                return Err(Failure::usage("not confirmed; nothing was changed")
                    .hint("answer on a terminal, or give --yes")
                    .hint("--docker, --podman and --containerd trust it for this registry alone"));
            }
        }
        Ok(())
    }

    fn print_report(&self, ui: &Ui, host: &RegistryHost, change: &Change, fingerprint: Option<&str>) -> Outcome {
        let would = |done: &str, to_do: &str| if self.dry_run { format!("would {to_do}") } else { done.to_owned() };
        let (line, recorded) = match change {
            Change::Write(path) => (format!("{} {}", would("wrote", "write"), path.display()), Some(path)),
            Change::Remove(path) => (format!("{} {}", would("removed", "remove"), path.display()), Some(path)),
            Change::Keep(path) => (format!("unchanged {}", path.display()), None),
            Change::Leave(path) => (format!("left alone {}", path.display()), None),
            Change::Run(program, words) => {
                let line = std::iter::once(program.display().to_string()).chain(words.iter().cloned());
                (format!("{} {}", would("ran", "run"), line.collect::<Vec<_>>().join(" ")), None)
            }
        };
        if let Some(path) = recorded.filter(|_| !self.dry_run) {
            let source = if self.undo { format!("removed {}", path.display()) } else { path.display().to_string() };
            written_down(ui, Event::TrustInstall, host, &source, fingerprint);
        }
        Ok(ui.data(&line)?)
    }
}

impl From<KeptError> for Failure {
    fn from(error: KeptError) -> Self {
        match error {
            KeptError::Store(error) => error.into(),
            KeptError::Tls(error) => error.into(),
        }
    }
}

impl From<InstallError> for Failure {
    fn from(error: InstallError) -> Self {
        let hint: String = match &error {
            InstallError::Foreign(_) => {
                "nothing was changed; move these files away first if they are not needed".into()
            }
            InstallError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                "do it as root, with your own home: sudo --preserve-env=HOME idpbuilder-trust install ...".into()
            }
            InstallError::Io { .. } => return Self::new(Kind::Failed, error),
            InstallError::NoSystemStore { .. } => {
                "this system's store is not known; --docker, --podman and --containerd do without it".into()
            }
            InstallError::Endless { program, .. } => {
                format!("what was written for it was removed again; run {} to see what it waits for", program.display())
            }
            InstallError::Program { program, .. } => {
                format!("what was written for it was removed again; run {} to see more", program.display())
            }
        };
        Self::new(Kind::Failed, error).hint(hint)
    }
}
