//! `idpbuilder-login` and `idpbuilder-logout`.

use crate::app::Echo;
use crate::app::connect::{
    ClusterConnection, Connection, bare_registry, before_stored, chain, credential_store, kept, proxies, resolve,
};
use crate::app::in_one_line;
use crate::audit::Event;
use crate::cli::args::cluster::ClusterArgs;
use crate::cli::args::registry::RegistryArgs;
use crate::cli::command::Run;
use crate::cli::failure::advice::cluster::{advise, failure};
use crate::cli::failure::advice::registry::explain;
use crate::cli::failure::{Failure, Kind, Outcome};
use crate::cli::terminal::Ui;
use crate::credentials::{Credential, CredentialSource as _, HostKey, Secret, SecretOrigin};
use crate::ops::login::{Proof, check};
use crate::registry::{RegistryConfig, RegistryError};

/// Keep a login for a registry, after the registry accepted it
///
/// It is used by every command here and, through the credential helper, by Docker and Podman; for the cluster's own
/// registry it wins over the cluster's credential. It goes to the session's keyring, or where there is none to a file of
/// mode 0600. What is not given is asked for on the terminal.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    /// Registry [default: default_registry of the settings, else the cluster's]
    #[arg(value_name = "HOST[:PORT]", conflicts_with = "registry")]
    host: Option<String>,
    /// Say more about each step
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Forget the login for a registry
#[derive(Debug, clap::Parser)]
pub(crate) struct LogoutArgs {
    /// Registry [default: default_registry of the settings, else the cluster's]
    #[arg(value_name = "HOST[:PORT]", conflicts_with = "all")]
    host: Option<String>,
    /// Forget every login
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

impl Run for Args {
    fn run(self, ui: &mut Ui) -> Outcome {
        ui.explain(self.verbose);
        let ui = &*ui;
        let connection = self.registry.connect(ui);
        let named = match &self.host {
            Some(host) => Some((bare_registry(host)?, None)),
            None => connection.default_registry(None)?.map(|(registry, source)| (registry, Some(source))),
        };
        let registry = registry(ui, named, &connection.cluster)?;
        let key: HostKey = registry.parse()?;
        let (username, secret) = Self::login(ui, &connection, &registry)?;
        let credential = Credential::Basic { username: username.clone(), secret };
        Self::check(ui, &connection, &registry, &credential)?;
        let place = kept(
            ui.session(),
            &ui.run_blocking::<_, Failure>(|_| {
                Ok(credential_store(ui.session())?.put(&key, &registry, &credential)?)
            })?,
        );
        written_down(ui, Event::Login, &key, &place);
        Self::print_if_unused(ui, &connection, &registry)?;
        Ok(ui.data(&format!("Logged in to {registry} as {username} (kept in {place})"))?)
    }
}

impl Args {
    /// Who and by which proof: given, or asked for.
    fn login(ui: &Ui, connection: &Connection<'_>, registry: &str) -> Result<(String, Secret), Failure> {
        if connection.options().login.has_secret() {
            return connection.given()?.ok_or_else(|| nobody_to_ask(registry));
        }
        let asked = |question: &str, echo, what: &str| match ui.ask_line(question, echo)? {
            Some(line) if line.is_empty() => Err(Failure::usage(format!("no {what} was typed; nothing was kept"))),
            Some(line) => Ok(line),
            None => Err(nobody_to_ask(registry)),
        };
        let username = match &connection.options().login.username {
            Some(username) => username.clone(),
            None => asked(&format!("User name for {registry}: "), Echo::On, "user name")?.trim().to_owned(),
        };
        let secret = asked(&format!("Password or token of {username}: "), Echo::Off, "password")?;
        Ok((username, Secret::new(secret.to_string())))
    }

    /// Warns where another source goes before what was just stored.
    fn print_if_unused(ui: &Ui, connection: &Connection<'_>, registry: &str) -> Outcome {
        connection.note_only(registry);
        let roles = connection.roles(registry, false)?;
        let chain = chain(ui.session(), Vec::new(), connection.options().authfile.as_deref())?;
        let resolution = resolve(ui.session(), &chain, registry, "", roles)?;
        if let Some(why) = before_stored(&resolution, &credential_store(ui.session())?.name()) {
            ui.warn(&format!("this login will not be used: {why}"));
        }
        Ok(())
    }

    /// Fails unless the registry accepts the credential.
    fn check(ui: &Ui, connection: &Connection<'_>, registry: &str, credential: &Credential) -> Outcome {
        connection.confirm(registry)?;
        let mut policy = connection.policy(registry)?;
        if let Some(cluster) = connection.cluster.serving(registry, false)? {
            let shown = Some(("the flags or the terminal", SecretOrigin::Flags));
            policy = connection.cluster.trust(cluster, registry, policy, shown)?;
        }
        let config = RegistryConfig {
            credential: Some(credential.clone()),
            proxies: proxies(ui.session()),
            timeouts: connection.timeouts(),
            interrupt: ui.interrupt.clone(),
            ..RegistryConfig::new(registry, policy, connection.elsewhere()?)
        };
        let proof = ui.block_on(check(config))?.map_err(|error| match error {
            RegistryError::Unauthorized { .. } => Failure::new(Kind::Auth, error)
                .hint("check the user name and the password; an account with a second factor needs a token instead")
                .hint("nothing was kept"),
            other => explain(other),
        })?;
        if proof == Proof::NotAsked {
            ui.warn(&format!("{registry} asks for no login, so this one was not checked"));
        }
        Ok(())
    }
}

impl Run for LogoutArgs {
    fn run(self, ui: &mut Ui) -> Outcome {
        let entries = credential_store(ui.session())?;
        let keys: Vec<HostKey> = if self.all {
            entries.list()?.into_iter().map(|entry| entry.key).collect()
        } else {
            let named = match &self.host {
                Some(host) => Some((bare_registry(host)?, None)),
                None => match ui.surroundings.settings(None)?.default_registry {
                    Some(setting) => Some((bare_registry(&setting.value)?, Some(setting.source.to_string()))),
                    None => None,
                },
            };
            vec![registry(ui, named, &self.cluster.connect(ui))?.parse()?]
        };
        let mut failure = None;
        let mut forgotten = 0;
        for key in keys {
            match ui.run_blocking::<_, Failure>(|_| Ok(entries.erase(&key)))? {
                Ok(false) => {}
                Ok(true) => {
                    forgotten += 1;
                    written_down(ui, Event::Logout, &key, "forgotten");
                    ui.data(&format!("Logged out of {key}"))?;
                }
                // The others are not kept for that.
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if let Some(error) = failure {
            return Err(
                Failure::from(error).hint("the login is kept, in the keyring too; log out again when it answers")
            );
        }
        if forgotten == 0 {
            ui.status("There is no login to forget");
        }
        Ok(())
    }
}

/// The registry that is named, else the cluster's.
fn registry(
    ui: &Ui,
    named: Option<(String, Option<String>)>,
    cluster: &ClusterConnection<'_>,
) -> Result<String, Failure> {
    if let Some((registry, source)) = named {
        if let Some(source) = source.filter(|source| source != "--registry") {
            ui.status(&format!("Using registry {registry} ({source})"));
        }
        return Ok(registry);
    }
    match cluster.find()? {
        Ok(found) => {
            cluster.admit(found)?;
            cluster.print_use(found, found.registry());
            Ok(found.registry().to_owned())
        }
        Err(error) if cluster.is_given() => Err(failure(error)),
        Err(error) => {
            let (kind, hints) = advise(error);
            let failure = Failure::new(kind, format!("no source names the registry: {}", in_one_line(error)));
            if kind == Kind::Interrupted {
                return Err(failure);
            }
            Err(hints.into_iter().fold(failure, Failure::hint).hint("or name it, HOST[:PORT]"))
        }
    }
}

fn nobody_to_ask(registry: &str) -> Failure {
    Failure::usage("there is no terminal to ask for user name and password")
        .hint(format!("give both, for example: idpbuilder-login {registry} -u NAME --password-stdin < FILE"))
}

/// A line of the audit log. What is done is done: a log that cannot be written is a warning.
fn written_down(ui: &Ui, event: Event, key: &HostKey, place: &str) {
    if let Err(error) = ui.surroundings.audit(event, &key.to_string(), Some(place), None) {
        ui.warn(&Failure::from(error).summary());
    }
}
