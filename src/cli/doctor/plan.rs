//! What is settled before anything is sent to the registry: repository, trust, credential.

use std::time::Duration;

use super::Args;
use crate::audit::Event;
use crate::cli::diagnosis::Line;
use crate::cli::failure::{Failure, Kind};
use crate::cli::sources::chain;
use crate::cli::ui::Ui;
use crate::cluster::{ClusterRegistry, owner};
use crate::credentials::{ANY_USERNAME, Credential, Given, Resolution};
use crate::image::Reference;
use crate::tls::TlsPolicy;

/// The repository that a push is tried for, below its owner.
const PROBED: &str = "idpbuilder-doctor";
/// How long the sources of credentials may take.
const CREDENTIAL_LIMIT: Duration = Duration::from_secs(2);

/// What is known before anything is sent to the registry.
pub(super) struct Plan {
    pub(super) repository: Option<String>,
    pub(super) policy: Result<TlsPolicy, Failure>,
    pub(super) resolution: Resolution,
}

impl Args {
    /// Whom to trust and who we are, as a push would have it.
    pub(super) fn plan(&self, ui: &Ui, registry: &str, cluster: Option<&ClusterRegistry>) -> Result<Plan, Failure> {
        let given = self.registry.given_source(ui)?;
        self.registry.note_only(registry);
        self.registry.confirm(ui, registry)?;
        let mut resolution = self.resolution(ui, registry, given)?;
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
        resolution.close();
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
        // How many there are is told.
        if let Ok(TlsPolicy::Verify(trust)) = &mut policy {
            trust.add_system_roots(ui.system_roots());
        }
        Ok(Plan { repository: owned, policy, resolution })
    }

    /// Asks the sources of credentials; helpers that take too long have none.
    fn resolution(&self, ui: &Ui, registry: &str, given: Option<Given>) -> Result<Resolution, Failure> {
        let roles = self.registry.roles(ui, registry, given.is_some())?;
        let chain = chain(ui, given.into_iter().collect(), self.registry.authfile.as_deref())?;
        let (registry, repository) = (registry.to_owned(), self.repository.clone().unwrap_or_default());
        let asking = async {
            let asked = tokio::task::spawn_blocking(move || chain.resolve(&registry, &repository, roles));
            Ok::<_, Failure>(tokio::time::timeout(CREDENTIAL_LIMIT, asked).await)
        };
        let Ok(resolution) = ui.block_on(asking)? else {
            let mut resolution = Resolution::default();
            resolution.tried.push("a helper that did not answer".to_owned());
            return Ok(resolution);
        };
        resolution.map_err(|_| Failure::new(Kind::Failed, "a source of credentials ended without an answer"))
    }
}

pub(super) fn credential_line(resolution: &Resolution) -> Line {
    if let Some((source, error)) = &resolution.failure {
        let failure =
            Failure::new(Kind::Auth, format!("{source}: {}", Failure::new(Kind::Auth, error.to_string()).told()));
        return Line::fail(
            "credential",
            &failure,
            "complete or remove it there, or give another with -u and --password-stdin",
        );
    }
    let line = match (&resolution.source, &resolution.credential) {
        (Some(source), Some(Credential::Basic { username, .. })) => {
            Line::ok("credential", format!("{username}, from {source}"))
        }
        (Some(source), _) => Line::ok("credential", format!("a token, from {source}")),
        (None, _) => Line::warn("credential", format!("none (asked {})", resolution.tried.join(", "))),
    };
    if let Some(path) = &resolution.exposed {
        return line
            .into_warning()
            .fix(format!("other users can read the passwords there: chmod 600 {}", path.display()));
    }
    match resolution.warnings.first() {
        Some((source, error)) => line.into_warning().fix(format!("correct `credsStore` in {source}: {error}")),
        None => line,
    }
}
