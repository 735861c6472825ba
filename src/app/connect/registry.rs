//! A command's connection to registries: address, trust and credential of each.

use std::cell::{OnceCell, RefCell};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Session;
use super::audience::{Audience, Use, check_one_registry, has_variable, same_registry};
use super::cluster::{ClusterConnection, ClusterOptions};
use super::destination::{Place, address, bare_registry, place};
use super::error::ConnectError;
use super::sources::{chain, password_from_stdin, print_report, resolve};
use super::trust::{add_system_roots, ending, other_directories, shown_fingerprint, trust_store, trusted};
use crate::app::{ends_soon, in_one_line};
use crate::audit::Event;
use crate::credentials::{Credential, ExplicitCredential, RegistryRoles, Secret, SecretOrigin};
use crate::image::Reference;
use crate::registry::{Proxies, Timeouts};
use crate::tls::{CertificateFacts, RegistryHost, TlsPolicy, TrustSources, TrustStore};

/// How a command talks to registries.
#[derive(Clone, Default)]
pub struct RegistryOptions {
    /// The registry for references without one.
    pub registry: Option<String>,
    /// The credential for the destination.
    pub login: LoginOptions,
    /// The credentials file that is read before Docker's own.
    pub authfile: Option<PathBuf>,
    /// A file with trusted certificates.
    pub ca_file: Option<PathBuf>,
    /// A directory with certificates to trust and to show.
    pub cert_dir: Option<PathBuf>,
    /// Registries whose certificates are not verified; an empty text stands for every registry.
    pub insecure: Vec<String>,
    /// Whether registries are used without TLS.
    pub plain_http: bool,
    /// Whether questions are answered with yes.
    pub yes: bool,
    /// The longest wait for an answer.
    pub timeout: Option<Duration>,
    /// Which cluster.
    pub cluster: ClusterOptions,
}

/// A credential as flags give it.
#[derive(Clone, Default)]
pub struct LoginOptions {
    /// The user name.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// Whether the password is what standard input has.
    pub password_stdin: bool,
    /// `NAME:PASSWORD`.
    pub creds: Option<Secret>,
}

/// Where a reference is and how to get there.
pub struct Target {
    /// The reference.
    pub reference: Reference,
    /// How its TLS certificate is verified.
    pub policy: TlsPolicy,
    /// Who we are.
    pub credential: Option<Credential>,
}

/// A command's connection to registries: address, trust and credential of each.
pub struct Connection<'a> {
    session: Session<'a>,
    options: RegistryOptions,
    /// The cluster that may say all of this.
    pub cluster: ClusterConnection<'a>,
    /// Registries whose certificate's end was reported.
    ending: RefCell<Vec<RegistryHost>>,
    /// Which registries may see secrets that name none.
    audience: Audience,
    /// The credential of the flags, read once: standard input has it once.
    given: OnceCell<Option<(String, Secret)>>,
}

impl<'a> Connection<'a> {
    /// Returns a connection that asks nothing before an answer is needed.
    pub fn new(session: Session<'a>, options: RegistryOptions) -> Self {
        let cluster = ClusterConnection::new(session, options.cluster.clone());
        Self {
            session,
            options,
            cluster,
            ending: RefCell::default(),
            audience: Audience::default(),
            given: OnceCell::new(),
        }
    }

    /// Returns the options that the connection was made with.
    pub fn options(&self) -> &RegistryOptions {
        &self.options
    }

    /// The registry that a reference without one means, and who said so.
    pub(crate) fn default_registry(
        &self,
        store: Option<&std::path::Path>,
    ) -> Result<Option<(String, String)>, ConnectError> {
        if let Some(text) = &self.options.registry {
            return Ok(Some((bare_registry(text)?, "--registry".to_owned())));
        }
        match self.session.surroundings.settings(store)?.default_registry {
            Some(setting) => Ok(Some((bare_registry(&setting.value)?, setting.source.to_string()))),
            None => Ok(None),
        }
    }

    /// A reference with a registry: its own, else the default, else the cluster's.
    pub(crate) fn locate(
        &self,
        reference: Reference,
        store: Option<&std::path::Path>,
    ) -> Result<Reference, ConnectError> {
        if reference.registry().is_some() && self.options.registry.is_none() {
            return Ok(reference);
        }
        match self.default_registry(store)? {
            Some((registry, source)) => {
                let located = reference.at_registry(&registry)?;
                if source != "--registry" {
                    self.session.console.status(&format!("Using registry {registry} ({source})"));
                }
                Ok(located)
            }
            None => self.cluster.locate(&reference),
        }
    }

    /// Where an image goes: to the destinations given, else to where its own name says.
    pub(crate) fn destinations(
        &self,
        image: &Reference,
        given: &[String],
        store: Option<&std::path::Path>,
    ) -> Result<Vec<Reference>, ConnectError> {
        if given.is_empty() {
            return Ok(vec![self.locate(image.clone(), store)?.with_default_tag()]);
        }
        let mut located = Vec::new();
        for text in given {
            let reference = match place(text)? {
                Place::Registry(registry) => image.at_registry(&registry)?,
                Place::Reference(reference) => self.locate(reference, store)?,
            };
            let reference = reference.with_default_tag();
            if !located.contains(&reference) {
                located.push(reference);
            }
        }
        Ok(located)
    }

    /// Notes where the command writes to, before it reads anything: from then on, secrets that name no registry are for
    /// the first of these registries. Flags cannot be meant for several.
    pub(crate) fn note_destinations(&self, references: &[Reference]) -> Result<(), ConnectError> {
        let registries = || references.iter().filter_map(Reference::registry);
        if self.options.login.has_secret() {
            check_one_registry(registries())?;
        }
        registries().for_each(|registry| self.audience.note(registry, Use::Destination));
        Ok(())
    }

    /// Policy and credential for each destination; questions are asked once a registry.
    pub(crate) fn targets(&self, references: Vec<Reference>) -> Result<Vec<Target>, ConnectError> {
        self.note_destinations(&references)?;
        let mut confirmed: Vec<String> = Vec::new();
        let mut targets = Vec::new();
        for reference in references {
            let registry = reference.registry().unwrap_or_default().to_owned();
            let news = !confirmed.iter().any(|other| same_registry(other, &registry));
            targets.push(self.target(reference, None, news)?);
            confirmed.push(registry);
        }
        Ok(targets)
    }

    /// Policy and credential for a base image. `creds` is the value of `--from-creds`.
    pub(crate) fn base(&self, reference: Reference, creds: Option<&str>) -> Result<Target, ConnectError> {
        self.audience.note(reference.registry().unwrap_or_default(), Use::Base);
        let given = self.audience.for_base(self.session, creds)?;
        self.target(reference, given, true)
    }

    fn target(
        &self,
        reference: Reference,
        for_base: Option<ExplicitCredential>,
        ask: bool,
    ) -> Result<Target, ConnectError> {
        let registry = reference.registry().unwrap_or_default().to_owned();
        if ask {
            self.confirm(&registry)?;
        }
        let mut policy = self.policy(&registry)?;
        let given: Vec<ExplicitCredential> = for_base.into_iter().chain(self.given_source()?).collect();
        let roles = self.roles(&registry, given.iter().any(|given| !given.for_base))?;
        let chain = chain(self.session, given, self.options.authfile.as_deref())?;
        let mut resolution = resolve(self.session, &chain, &registry, reference.repository(), roles)?;
        let mut reference = reference;
        if let Some(cluster) = self.cluster.serving(&registry, resolution.credential.is_some())? {
            (reference, policy) = self.cluster.apply(cluster, &reference, policy, &mut resolution)?;
        }
        resolution.close();
        print_report(self.session, &registry, &resolution, roles.destination);
        if let Some(path) = &resolution.exposed {
            self.cluster.warn_once(&exposed(path));
        }
        if let Some(source) = &resolution.source
            && let Err(failure) = self.session.surroundings.audit(Event::Credential, &registry, Some(source), None)
        {
            self.session.console.warn(&in_one_line(&failure));
        }
        Ok(Target { reference, policy, credential: resolution.credential })
    }

    /// Notes that the command is about `registry` alone.
    pub(crate) fn note_only(&self, registry: &str) {
        self.audience.note(registry, Use::Destination);
    }

    /// The roles that a registry has in this command. The cluster is asked only if its answer can decide something:
    /// with `GITEA_*` set, and no flags that come first.
    pub(crate) fn roles(&self, registry: &str, has_flags: bool) -> Result<RegistryRoles, ConnectError> {
        let destination = self.audience.is_destination(registry);
        let default = match self.default_registry(None)? {
            Some((default, _)) => same_registry(&default, registry),
            None => false,
        };
        let decided =
            default || (destination && has_flags) || !has_variable(self.session, SecretOrigin::GiteaVariables);
        let cluster = match if decided { None } else { self.cluster.find()?.ok() } {
            Some(cluster) => self.cluster.speaks_for(cluster, registry)?,
            None => false,
        };
        Ok(RegistryRoles { destination, base: self.audience.is_base(registry), cluster, default })
    }

    /// The flags as a source of credentials.
    pub(crate) fn given_source(&self) -> Result<Option<ExplicitCredential>, ConnectError> {
        Ok(self.given()?.map(|(username, secret)| ExplicitCredential { username, secret, for_base: false }))
    }

    /// Warns of the end of the certificate that a registry showed, unless that was done.
    pub(crate) fn print_expiry(&self, reference: &Reference, shown: Option<&CertificateFacts>) {
        let registry = reference.registry().unwrap_or_default();
        let (Some(facts), Ok(host)) = (shown, registry.parse::<RegistryHost>()) else { return };
        let told = self.ending.borrow().contains(&host) || self.skips_verification(registry).is_some();
        if !told && ends_soon(facts.not_after, jiff::Timestamp::now()) {
            // A cluster's certificate is made with the cluster; the registry's operator renews any other.
            let renewal = if self.cluster.has_certificate(&facts.fingerprint) {
                "; idpbuilder create --recreate makes a cluster with a new one"
            } else {
                ""
            };
            self.session
                .console
                .warn(&format!("the certificate of {host} ends on {}{renewal}", facts.not_after.strftime("%Y-%m-%d")));
            self.ending.borrow_mut().push(host);
        }
    }

    /// How long to wait.
    pub(crate) fn timeouts(&self) -> Timeouts {
        let default = Timeouts::default();
        match self.options.timeout {
            Some(limit) => {
                Timeouts { connect: limit.min(default.connect), answer: limit, stall: limit.min(default.stall) }
            }
            None => default,
        }
    }

    /// Returns whether flags turn verification of this registry off; `Some(true)` if they name it.
    fn skips_verification(&self, registry: &str) -> Option<bool> {
        if self.options.insecure.iter().any(|host| host == registry || same_registry(host, registry)) {
            return Some(true);
        }
        let any = self.options.insecure.iter().any(String::is_empty);
        any.then_some(false)
    }

    pub(crate) fn confirm(&self, registry: &str) -> Result<(), ConnectError> {
        if self.options.plain_http {
            self.session
                .console
                .warn(&format!("{registry} is used without TLS: everything can be read and changed on the way"));
            return Ok(self.session.surroundings.audit(Event::PlainHttp, registry, None, None)?);
        }
        let Some(by_name) = self.skips_verification(registry) else { return Ok(()) };
        let mut pinned = 0;
        for directory in address(registry)?.directories(&trust_store(self.session)?) {
            pinned += TrustStore::empty().add_kept(&directory)?;
        }
        if pinned > 0 && !by_name {
            let kept = trust_store(self.session)?.join(address(registry)?.to_string());
            return Err(ConnectError::Pinned { registry: registry.to_owned(), kept });
        }
        let fingerprint = shown_fingerprint(self.session, registry)?;
        let which = fingerprint.as_deref().map_or_else(String::new, |print| format!(" (fingerprint {print})"));
        self.session.console.warn(&format!(
            "the certificate of {registry}{which} will not be verified: the password can be read and the \
             image changed on the way"
        ));
        if !self.options.yes
            && self.session.console.confirm(&format!("Go on without verifying {registry}?"))? == Some(false)
        {
            return Err(ConnectError::NotConfirmed);
        }
        // What is not written down is not done without verifying.
        Ok(self.session.surroundings.audit(Event::Insecure, registry, None, fingerprint.as_deref())?)
    }

    pub(crate) fn policy(&self, registry: &str) -> Result<TlsPolicy, ConnectError> {
        if self.options.plain_http {
            return Ok(TlsPolicy::Plaintext);
        }
        if self.skips_verification(registry).is_some() {
            return Ok(TlsPolicy::SkipVerify);
        }
        let host = address(registry)?;
        let (mut trust, mut warnings) =
            trusted(self.session, &host, self.options.ca_file.as_deref(), self.options.cert_dir.as_deref())?;
        if self.session.console.is_verbose() {
            add_system_roots(self.session, &mut trust);
        } else {
            trust.use_system_roots_at_need(&self.session.surroundings.system_roots);
        }
        if let Some(warning) = ending(&host, &trust) {
            self.ending.borrow_mut().push(host);
            warnings.push(warning);
        }
        for warning in warnings {
            self.cluster.warn_once(&warning);
        }
        Ok(TlsPolicy::Verify(trust))
    }

    /// How hosts are trusted to which a registry leads.
    pub(crate) fn elsewhere(&self) -> Result<TrustSources, ConnectError> {
        Ok(TrustSources {
            file: self.options.ca_file.as_deref().map(|file| self.session.surroundings.absolute(file)),
            kept: Some(trust_store(self.session)?),
            client: other_directories(self.session),
            system: self.session.surroundings.system_roots.clone(),
        })
    }

    /// Returns the credential of the flags.
    pub(crate) fn given(&self) -> Result<Option<(String, Secret)>, ConnectError> {
        if let Some(given) = self.given.get() {
            return Ok(given.clone());
        }
        let given = self.read_given()?;
        Ok(self.given.get_or_init(|| given).clone())
    }

    fn read_given(&self) -> Result<Option<(String, Secret)>, ConnectError> {
        let login = &self.options.login;
        if let Some(creds) = &login.creds {
            return match creds.expose().split_once(':') {
                Some((name, password)) if !name.is_empty() && !password.is_empty() => {
                    Ok(Some((name.to_owned(), Secret::new(password.to_owned()))))
                }
                _ => Err(ConnectError::CredsForm),
            };
        }
        let Some(name) = login.username.clone() else { return Ok(None) };
        if let Some(password) = &login.password {
            self.session.console.warn(
                "a password on the command line can be seen by other users of this machine; --password-stdin cannot",
            );
            return Ok(Some((name, password.clone())));
        }
        if login.password_stdin {
            return Ok(Some((name, password_from_stdin(self.session)?)));
        }
        Err(ConnectError::UsernameAlone)
    }
}

impl LoginOptions {
    /// Returns whether a secret is given.
    pub fn has_secret(&self) -> bool {
        self.password.is_some() || self.password_stdin || self.creds.is_some()
    }
}

/// The warning about a file with secrets that other users can read.
pub(crate) fn exposed(path: &Path) -> String {
    format!("other users of this machine can read the passwords in `{0}`: chmod 600 {0}", path.display())
}

/// Proxies as the usual variables name them, lower case first as curl has it.
pub(crate) fn proxies(session: Session<'_>) -> Proxies {
    let first = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| session.surroundings.text(name).filter(|value| !value.is_empty()))
            .map(str::to_owned)
    };
    Proxies {
        http: first(&["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]),
        https: first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
        no: first(&["no_proxy", "NO_PROXY"]),
    }
}
