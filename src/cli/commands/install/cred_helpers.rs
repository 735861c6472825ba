//! `install --docker --podman` and its reversal: the files, the registries, and the report.

use std::path::{Path, PathBuf};

use crate::app::connect::NotAdmitted;
use crate::app::connect::{ClusterConnection, bare_registry};
use crate::app::in_one_line;
use crate::audit::Event;
use crate::cli::args::cluster::ClusterArgs;
use crate::cli::failure::{Failure, Kind, Outcome};
use crate::cli::terminal::Ui;
use crate::cluster::DEFAULT_NAMES;
use crate::credentials::OWN_HELPER;
use crate::fs::LockError;
use crate::ops::cred_helpers::{
    Change, CredHelperError, Place, Plan, Reader, Step, plan_install, plan_uninstall, wired,
};

/// Which programs.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options about other programs")]
#[group(id = "reader", multiple = true)]
pub(crate) struct ReaderArgs {
    /// Docker: credHelpers in config.json [environment: DOCKER_CONFIG] [default: ~/.docker]
    #[arg(long)]
    docker: bool,
    /// Podman, skopeo and buildah: credHelpers in auth.json [environment: REGISTRY_AUTH_FILE] [default:
    /// ~/.config/containers, and the runtime directory's where there is one]
    #[arg(long)]
    podman: bool,
}

/// Which registries.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options about other programs")]
pub(crate) struct RegistriesArgs {
    /// Registry that they ask our helper for; can be repeated [default: the cluster's, by every name it can have]
    #[arg(long, value_name = "HOST[:PORT]", requires = "reader")]
    registry: Vec<String>,
    /// Replace the helpers that others have set for these registries
    #[arg(long, requires = "reader")]
    force: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

impl ReaderArgs {
    fn readers(&self) -> Vec<Reader> {
        let asked = [(self.docker, Reader::Docker), (self.podman, Reader::Podman)];
        asked.into_iter().filter(|(asked, _)| *asked).map(|(_, reader)| reader).collect()
    }

    /// The plan for `install`; none where no program was named.
    pub(crate) fn plan_install(
        &self,
        ui: &Ui,
        registries: &RegistriesArgs,
        connection: &ClusterConnection<'_>,
    ) -> Result<Option<Plan>, Failure> {
        if self.readers().is_empty() {
            return Ok(None);
        }
        let places = self.places(ui)?;
        let registries_found = registries.found(ui, connection)?;
        Ok(Some(plan_install(&home(ui)?, &places, &registries_found, registries.force)?))
    }

    /// The plan for `uninstall`; none where no program was named.
    pub(crate) fn plan_uninstall(&self, ui: &Ui) -> Result<Option<Plan>, Failure> {
        let readers = self.readers();
        if readers.is_empty() {
            return Ok(None);
        }
        Ok(Some(plan_uninstall(&home(ui)?, &readers, &self.places(ui)?)?))
    }

    /// Where the programs look. The containers tools read several files, and a login in the first beats a helper in a
    /// later one; that of the runtime directory is gone after the session, so it is never the only one.
    fn places(&self, ui: &Ui) -> Result<Vec<Place>, Failure> {
        let user = |below: &str| Ok::<_, Failure>(ui.surroundings.home()?.join(below));
        let variable = |name: &str| ui.env.os(name).map(|path| ui.surroundings.absolute(Path::new(path)));
        let mut places = Vec::new();
        if self.docker {
            let directory = variable("DOCKER_CONFIG").map_or_else(|| user(".docker"), Ok)?;
            places.push(Place { reader: Reader::Docker, path: directory.join("config.json") });
        }
        if self.podman {
            let mut podman = |path| places.push(Place { reader: Reader::Podman, path });
            if let Some(file) = variable("REGISTRY_AUTH_FILE") {
                podman(file);
            } else {
                let lasting = variable("XDG_CONFIG_HOME").map_or_else(|| user(".config"), Ok)?;
                podman(lasting.join("containers/auth.json"));
                let passing = variable("XDG_RUNTIME_DIR").map_or_else(
                    || PathBuf::from(format!("/run/containers/{}", rustix::process::getuid().as_raw())),
                    |directory| directory.join("containers"),
                );
                let passing = passing.join("auth.json");
                if passing.exists() {
                    podman(passing);
                }
            }
        }
        Ok(places)
    }
}

impl RegistriesArgs {
    /// Returns the connection to the cluster whose registries these may be.
    pub(crate) fn connect<'a>(&self, ui: &'a Ui) -> ClusterConnection<'a> {
        self.cluster.connect(ui)
    }

    fn found(&self, ui: &Ui, connection: &ClusterConnection<'_>) -> Result<Vec<String>, Failure> {
        if !self.registry.is_empty() {
            // Programs compare letter by letter, and references have no others.
            return self.registry.iter().map(|text| Ok(bare_registry(text)?.to_ascii_lowercase())).collect();
        }
        match connection.find()? {
            Ok(cluster) => {
                let names = connection.admitted_names(cluster)?;
                if names.is_empty() {
                    return Err(NotAdmitted::new(cluster, cluster.registry()).into());
                }
                connection.print_use(cluster, &names.join(", "));
                Ok(cluster.every_name(&names))
            }
            Err(error) if connection.is_given() => {
                Err(Failure::new(Kind::Network, format!("no registry from a cluster: {}", in_one_line(error)))
                    .hint("name it: --registry HOST:PORT"))
            }
            Err(error) => {
                ui.status(&format!(
                    "Using the names that idpbuilder gives by default, {} (--registry names others): {}",
                    DEFAULT_NAMES.join(" and "),
                    in_one_line(error)
                ));
                Ok(DEFAULT_NAMES.map(str::to_owned).into())
            }
        }
    }
}

/// How often a plan is made anew because another program changed a file meanwhile.
const MAX_PLANS: usize = 8;

/// Shows a plan, or carries it out and tells. Where another program changes a file meanwhile, `again` makes a plan for
/// what is there by then.
pub(crate) fn carry_out(
    ui: &Ui,
    mut plan: Plan,
    again: impl Fn() -> Result<Option<Plan>, Failure>,
    dry_run: bool,
) -> Outcome {
    if plan.steps().is_empty() {
        ui.status(&format!("No file names docker-credential-{OWN_HELPER}"));
    }
    if dry_run {
        for step in plan.steps() {
            let what = match step.change {
                Change::Create => "would create",
                Change::Write => "would change",
                Change::Remove => "would remove",
                Change::Keep => "unchanged",
            };
            ui.data(&format!("{what} {}\n{}", step.path.display(), step.diff))?;
        }
        return Ok(());
    }
    let home = home(ui)?;
    let mut plans = 1;
    while let Err(error) = plan.carry_out(&home) {
        match error {
            CredHelperError::Changed(_) if plans < MAX_PLANS => plan = again()?.unwrap_or(plan),
            error => return Err(error.into()),
        }
        plans += 1;
    }
    for step in plan.steps() {
        let what = match step.change {
            Change::Create => "created",
            Change::Write => "changed",
            Change::Remove => "removed",
            Change::Keep => "unchanged",
        };
        let which =
            if step.registries.is_empty() { String::new() } else { format!(" ({})", step.registries.join(", ")) };
        written_down(ui, step);
        ui.data(&format!("{what} {}{which}", step.path.display()))?;
    }
    Ok(())
}

/// Lines of the audit log. What is done is done: a log that cannot be written is a warning.
fn written_down(ui: &Ui, step: &Step) {
    for registry in &step.registries {
        if let Err(error) =
            ui.surroundings.audit(Event::HelperInstall, registry, Some(&step.path.display().to_string()), None)
        {
            ui.warn(&Failure::from(error).summary());
            return;
        }
    }
}

/// Warns where the programs would not find our helper: podman and skopeo then fail, docker goes on without a login.
pub(crate) fn warn_of_missing_helper(ui: &Ui) {
    let program = format!("docker-credential-{OWN_HELPER}");
    let path = ui.env.os("PATH").unwrap_or_default();
    if !std::env::split_paths(path).any(|directory| directory.join(&program).is_file()) {
        ui.warn(&format!(
            "{program} is not on PATH: until it is, podman and skopeo refuse these registries, and docker uses them \
             without a login"
        ));
    }
}

/// Warns where programs still ask for a helper that is going away. Not knowing it is no reason to keep the links.
pub(crate) fn warn_of_wired(ui: &Ui) {
    let Ok(home) = home(ui) else { return };
    let files = wired(&home).unwrap_or_default();
    if !files.is_empty() {
        let files: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
        ui.warn(&format!(
            "docker-credential-{OWN_HELPER} is still named in {}: idpbuilder-oci uninstall --docker --podman takes that back",
            files.join(", ")
        ));
    }
}

fn home(ui: &Ui) -> Result<PathBuf, Failure> {
    Ok(ui.surroundings.settings(None)?.home.value)
}

impl From<CredHelperError> for Failure {
    fn from(error: CredHelperError) -> Self {
        let (kind, hint) = match &error {
            CredHelperError::Foreign(_) => (
                Kind::Failed,
                Some("nothing was changed; --force replaces them, and uninstall brings them back".into()),
            ),
            CredHelperError::Content { path, .. } => {
                (Kind::Failed, Some(format!("nothing was changed; correct `{}` first", path.display())))
            }
            CredHelperError::Changed(_) => (Kind::Failed, Some("try again".to_owned())),
            CredHelperError::Record(path) => (
                Kind::Failed,
                Some(format!(
                    "remove `{}`; uninstall then removes the entries, and does not restore what they replaced",
                    path.display()
                )),
            ),
            CredHelperError::Lock(LockError::Deadline { .. }) => {
                (Kind::Deadline, Some("try again when the other command is done".to_owned()))
            }
            CredHelperError::Lock(LockError::Interrupted(_)) => (Kind::Interrupted, None),
            CredHelperError::Io { .. } | CredHelperError::TooLarge(_) | CredHelperError::Lock(LockError::Io { .. }) => {
                (Kind::Failed, None)
            }
        };
        let failure = Self::new(kind, error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
