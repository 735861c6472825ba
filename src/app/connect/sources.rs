//! The sources of credentials, from the surroundings; the search among them, and its report.

use std::path::{Path, PathBuf};

use super::Session;
use super::entries::credential_store;
use super::error::ConnectError;
use crate::app::in_one_line;
use crate::credentials::{
    AuthPlaces, CredentialChain, CredentialError, DockerConfig, Environment, ExplicitCredential, Helpers,
    RegistryRoles, Resolution, Secret, SecretOrigin, auth_files,
};

/// The most we read from standard input as a password.
const MAX_PASSWORD_BYTES: u64 = 64 << 10;

/// Returns the password that standard input has.
pub(crate) fn password_from_stdin(session: Session<'_>) -> Result<Secret, ConnectError> {
    let text = session.console.input(MAX_PASSWORD_BYTES + 1).map_err(|_| ConnectError::PasswordNotText)?;
    if text.len() as u64 > MAX_PASSWORD_BYTES {
        return Err(ConnectError::PasswordTooLong);
    }
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        return Err(ConnectError::NoPassword);
    }
    Ok(Secret::new(password.to_owned()))
}

/// The sources of credentials in their order.
pub(crate) fn chain(
    session: Session<'_>,
    given: Vec<ExplicitCredential>,
    authfile: Option<&Path>,
) -> Result<CredentialChain, ConnectError> {
    let mut chain = CredentialChain::new();
    for given in given {
        chain = chain.with(given);
    }
    for variables in Environment::sources(|name| variable(session, name)) {
        chain = chain.with(variables);
    }
    let helpers =
        Helpers::new(session.surroundings.variables.clone()).with_interrupt(session.surroundings.interrupt.clone());
    if let Some(value) = session.surroundings.text("DOCKER_AUTH_CONFIG") {
        let value = Secret::new(value.to_owned());
        chain = chain.with(DockerConfig::variable("DOCKER_AUTH_CONFIG", value, helpers.clone()));
    }
    if let Some(file) = authfile {
        chain = chain.with(DockerConfig::named_file(session.surroundings.absolute(file), helpers.clone()));
    } else if let Some(file) = session.surroundings.variable("REGISTRY_AUTH_FILE") {
        chain = chain.with(DockerConfig::file(session.surroundings.absolute(Path::new(file)), helpers.clone()));
    }
    for file in docker_config(session).into_iter().chain(auth_files(&places(session))) {
        chain = chain.with(DockerConfig::file(file, helpers.clone()));
    }
    Ok(chain.with_own(credential_store(session)?))
}

/// A variable's value, also where it is empty.
pub(crate) fn variable(session: Session<'_>, name: &str) -> Option<String> {
    Some(session.surroundings.variables.get(std::ffi::OsStr::new(name))?.to_str()?.to_owned())
}

fn places(session: Session<'_>) -> AuthPlaces {
    AuthPlaces {
        runtime: session.surroundings.variable("XDG_RUNTIME_DIR").map(PathBuf::from),
        config: session.surroundings.variable("XDG_CONFIG_HOME").map(PathBuf::from),
        home: session.surroundings.home().ok(),
        user: rustix::process::getuid().as_raw(),
    }
}

fn docker_config(session: Session<'_>) -> Option<PathBuf> {
    let directory = match session.surroundings.variable("DOCKER_CONFIG") {
        Some(directory) => session.surroundings.absolute(Path::new(directory)),
        None => session.surroundings.home().ok()?.join(".docker"),
    };
    Some(directory.join("config.json"))
}

/// Asks the sources; a signal ends the wait for a helper or a keyring.
pub(crate) fn resolve(
    session: Session<'_>,
    chain: &CredentialChain,
    registry: &str,
    repository: &str,
    roles: RegistryRoles,
) -> Result<Resolution, ConnectError> {
    session.console.run_blocking::<_, ConnectError>(|_| {
        let resolution = chain.resolve(registry, repository, roles);
        match resolution.failure {
            Some((_, error)) if error.is_interrupt() => Err(ConnectError::Interrupted(error)),
            _ => Ok(resolution),
        }
    })
}

/// Why a source has nothing, after its name; a file that the reason names is named once.
pub(crate) fn with_source(source: &str, error: &CredentialError) -> String {
    let reason = in_one_line(error);
    if reason.contains(source) { reason } else { format!("{source}: {reason}") }
}

/// What keeps the login that is stored for a registry from being used: a source that is asked before it, and that has
/// another credential or fails.
pub(crate) fn before_stored(resolution: &Resolution, stored: &str) -> Option<String> {
    let remove = |source: &String| {
        let variables = matches!(resolution.origin, Some(SecretOrigin::Variables | SecretOrigin::GiteaVariables));
        let how = if variables { "unset the variables" } else { "remove it there" };
        format!("{source} has another credential, which goes before the stored one; {how} if the stored one is meant")
    };
    match (&resolution.source, &resolution.failure) {
        (Some(source), _) if source != stored => Some(remove(source)),
        (None, Some((source, error))) if source != stored => {
            Some(format!("{}; that goes before the stored one", with_source(source, error)))
        }
        _ => None,
    }
}

/// Names the winner in verbose output, with the sources that were withheld, and what went wrong before it in any.
/// `asked_for` says that the credential of a withheld source was probably meant for this registry.
pub(crate) fn print_report(session: Session<'_>, registry: &str, resolution: &Resolution, asked_for: bool) {
    for (source, error) in resolution.warnings.iter().chain(&resolution.failure) {
        let reason = in_one_line(error);
        let from = if reason.contains(source.as_str()) { String::new() } else { format!(" from {source}") };
        session.console.warn(&format!("no credential{from}: {reason}"));
    }
    for source in &resolution.withheld {
        let text = format!("{source} is not for {registry} and is not sent there");
        if asked_for && resolution.credential.is_none() {
            session.console.status(&text);
        } else {
            session.console.detail(&text);
        }
    }
    match &resolution.source {
        Some(source) => session.console.detail(&format!("credential for {registry} from {source}")),
        None => {
            session.console.detail(&format!("no credential for {registry} (asked {})", resolution.tried.join(", ")));
        }
    }
}
