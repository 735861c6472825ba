//! What is settled before anything is sent to the registry: repository, trust, credential.

use std::time::Duration;

use super::Args;
use crate::app::connect::{Connection, before_stored, chain, credential_store, with_source};
use crate::audit::Event;
use crate::cli::failure::{Failure, Kind};
use crate::cli::render::diagnosis::Line;
use crate::cli::terminal::Ui;
use crate::cluster::{ClusterRegistry, owner};
use crate::credentials::{
    ANY_USERNAME, Credential, CredentialSource as _, ExplicitCredential, HostKey, Resolution, SecretOrigin,
};
use crate::image::Reference;
use crate::tls::TlsPolicy;

/// The repository that a push is tried for, below its owner.
const PROBED: &str = "idpbuilder-doctor";
/// How long the sources of credentials may take.
const CREDENTIAL_LIMIT: Duration = Duration::from_secs(2);

/// What is known before anything is sent to the registry.
pub(crate) struct Plan {
    pub(crate) repository: Option<String>,
    pub(crate) policy: Result<TlsPolicy, Failure>,
    pub(crate) resolution: Resolution,
    /// Why a login that is stored for the registry is not used.
    pub(crate) unused: Option<String>,
}

impl Args {
    /// Returns the trust and the credential that a push would use.
    pub(crate) fn plan(
        &self,
        ui: &Ui,
        connection: &Connection<'_>,
        registry: &str,
        cluster: Option<&ClusterRegistry>,
    ) -> Result<Plan, Failure> {
        let given = connection.given_source()?;
        connection.note_only(registry);
        connection.confirm(registry)?;
        let mut resolution = self.resolution(ui, connection, registry, given)?;
        // Without an owner for the repository, the other checks go on.
        let ownerless = self.repository.is_none()
            && resolution.credential.as_ref().and_then(Credential::username).is_none()
            && cluster.is_some_and(|cluster| cluster.owner().is_none());
        let name = self.repository.as_deref().unwrap_or(if ownerless { "unowned/idpbuilder-doctor" } else { PROBED });
        let mut reference = Reference::from_parts(Some(registry), name, None)?;
        let mut policy = connection.policy(registry).map_err(Failure::from);
        if let Some(cluster) = cluster
            && let Ok(own) = policy
        {
            policy = match connection.cluster.apply(cluster, &reference, own, &mut resolution) {
                Ok((settled, policy)) => {
                    reference = settled;
                    Ok(policy)
                }
                Err(error) => Err(error.into()),
            };
        }
        resolution.close();
        let repository = reference.repository().to_owned();
        let user = resolution.credential.as_ref().and_then(Credential::username);
        let owned = if self.repository.is_some() || repository.contains('/') {
            (!ownerless).then_some(repository)
        } else {
            let owner = user.filter(|username| *username != ANY_USERNAME).and_then(owner);
            owner.map(|owner| format!("{owner}/{repository}"))
        };
        if let Some(source) = &resolution.source
            && let Err(error) = ui.surroundings.audit(Event::Credential, registry, Some(source), None)
        {
            ui.warn(&Failure::from(error).summary());
        }
        // The number of roots is part of the report.
        if let Ok(TlsPolicy::Verify(trust)) = &mut policy {
            trust.add_system_roots(&ui.surroundings.system_roots);
        }
        let unused = unused(ui, registry, &resolution)?;
        Ok(Plan { repository: owned, policy, resolution, unused })
    }

    /// Asks the sources of credentials; helpers that take too long have none.
    fn resolution(
        &self,
        ui: &Ui,
        connection: &Connection<'_>,
        registry: &str,
        given: Option<ExplicitCredential>,
    ) -> Result<Resolution, Failure> {
        let roles = connection.roles(registry, given.is_some())?;
        let chain = chain(ui.session(), given.into_iter().collect(), connection.options().authfile.as_deref())?;
        let (registry, repository) = (registry.to_owned(), self.repository.clone().unwrap_or_default());
        let asking = async {
            let asked = tokio::task::spawn_blocking(move || chain.resolve(&registry, &repository, roles));
            tokio::time::timeout(CREDENTIAL_LIMIT, asked).await
        };
        let Ok(resolution) = ui.block_on(asking)? else {
            let mut resolution = Resolution::default();
            resolution.tried.push("a helper that did not answer".to_owned());
            return Ok(resolution);
        };
        resolution.map_err(|_| Failure::new(Kind::Failed, "a source of credentials ended without an answer"))
    }
}

/// Why the login that is stored for a registry is not used, where there is one and flags do not say which is.
fn unused(ui: &Ui, registry: &str, resolution: &Resolution) -> Result<Option<String>, Failure> {
    let entries = credential_store(ui.session())?;
    let Ok(key) = registry.parse::<HostKey>() else { return Ok(None) };
    let is_stored = entries.list().is_ok_and(|stored| stored.iter().any(|entry| entry.key == key));
    let is_said = resolution.origin == Some(SecretOrigin::Flags);
    Ok(if is_stored && !is_said { before_stored(resolution, &entries.name()) } else { None })
}

pub(crate) fn credential_line(resolution: &Resolution, unused: Option<String>) -> Line {
    let line = found_line(resolution);
    match unused {
        Some(why) if resolution.failure.is_none() => line.into_warning().fix(why),
        _ => line,
    }
}

fn found_line(resolution: &Resolution) -> Line {
    if let Some((source, error)) = &resolution.failure {
        let failure = Failure::new(Kind::Auth, with_source(source, error));
        return Line::fail(
            "credential",
            &failure,
            "complete or remove it there, or give another with -u and --password-stdin",
        );
    }
    let username = resolution.credential.as_ref().and_then(Credential::username);
    let line = match (&resolution.source, username) {
        (Some(source), Some(username)) => Line::ok("credential", format!("{username}, from {source}")),
        (Some(source), _) => Line::ok("credential", format!("a token, from {source}")),
        (None, _) => Line::warn("credential", format!("none (asked {})", resolution.tried.join(", "))),
    };
    if let Some(path) = &resolution.exposed {
        return line
            .into_warning()
            .fix(format!("other users can read the passwords there: chmod 600 {}", path.display()));
    }
    match resolution.warnings.first() {
        Some((source, error)) => {
            let what = if error.is_of_helper() { "correct its `credsStore`" } else { "correct or remove it" };
            line.into_warning().fix(format!("{}; {what}", with_source(source, error)))
        }
        None => line,
    }
}
