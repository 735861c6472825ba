//! Arguments about registries: which one, whom to trust, who we are.

use std::cell::{OnceCell, RefCell};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::audience::{Audience, Use, check_one_registry, has_variable, same_registry};
use super::cluster::ClusterArgs;
use super::sources::{chain, password_from_stdin, print_report, resolve};
use crate::app::{ends_soon, in_one_line};
use crate::audit::Event;
use crate::cli::args::size::time;
use crate::cli::failure::{Failure, Kind};
use crate::cli::terminal::Ui;
use crate::credentials::{Credential, ExplicitCredential, RegistryRoles, Secret, SecretOrigin};
use crate::image::{Reference, ReferenceError};
use crate::ops::trust::ask;
use crate::registry::{BlobHosts, Proxies, Timeouts};
use crate::tls::{CertificateFacts, Origin, RegistryHost, TlsPolicy, TrustSources, TrustStore};

/// How long to ask for the certificate that is not going to be verified.
const FINGERPRINT_LIMIT: Duration = Duration::from_secs(5);

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
    pub(crate) authfile: Option<PathBuf>,
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
    pub(crate) timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// Registries whose certificate's end was told.
    #[arg(skip)]
    ending: RefCell<Vec<RegistryHost>>,
    /// Which registries may see secrets that name none.
    #[arg(skip)]
    audience: Audience,
    /// The credential of the flags, read once: standard input has it once.
    #[arg(skip)]
    given: OnceCell<Option<(String, Secret)>>,
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
    /// The hosts, read.
    pub(crate) fn hosts(&self) -> Result<BlobHosts, Failure> {
        BlobHosts::parse(&self.blobs_from).map_err(|text| {
            Failure::usage(format!("`{text}` is no host to fetch blobs from"))
                .hint("give --blobs-from as HOST or HOST:PORT")
        })
    }
}

/// Where a reference is and how to get there.
pub(crate) struct Target {
    pub(crate) reference: Reference,
    pub(crate) policy: TlsPolicy,
    pub(crate) credential: Option<Credential>,
}

/// What a destination argument is.
enum Place {
    Registry(String),
    Reference(Reference),
}

impl RegistryArgs {
    /// The registry that a reference without one means, and who said so.
    pub(crate) fn default_registry(
        &self,
        ui: &Ui,
        store: Option<&std::path::Path>,
    ) -> Result<Option<(String, String)>, Failure> {
        if let Some(text) = &self.registry {
            return Ok(Some((bare_registry(text)?, "--registry".to_owned())));
        }
        match ui.surroundings.settings(store)?.default_registry {
            Some(setting) => Ok(Some((bare_registry(&setting.value)?, setting.source.to_string()))),
            None => Ok(None),
        }
    }

    /// A reference with a registry: its own, else the default, else the cluster's.
    pub(crate) fn locate(
        &self,
        ui: &Ui,
        reference: Reference,
        store: Option<&std::path::Path>,
    ) -> Result<Reference, Failure> {
        if reference.registry().is_some() && self.registry.is_none() {
            return Ok(reference);
        }
        match self.default_registry(ui, store)? {
            Some((registry, source)) => {
                let located = reference.at_registry(&registry)?;
                if source != "--registry" {
                    ui.status(&format!("Using registry {registry} ({source})"));
                }
                Ok(located)
            }
            None => self.cluster.locate(ui, &reference),
        }
    }

    /// Where an image goes: to the destinations given, else to where its own name says.
    pub(crate) fn destinations(
        &self,
        ui: &Ui,
        image: &Reference,
        given: &[String],
        store: Option<&std::path::Path>,
    ) -> Result<Vec<Reference>, Failure> {
        if given.is_empty() {
            return Ok(vec![self.locate(ui, image.clone(), store)?.with_default_tag()]);
        }
        let mut located = Vec::new();
        for text in given {
            let reference = match place(text)? {
                Place::Registry(registry) => image.at_registry(&registry)?,
                Place::Reference(reference) => self.locate(ui, reference, store)?,
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
    pub(crate) fn note_destinations(&self, references: &[Reference]) -> Result<(), Failure> {
        let registries = || references.iter().filter_map(Reference::registry);
        if self.has_secret() {
            check_one_registry(registries())?;
        }
        registries().for_each(|registry| self.audience.note(registry, Use::Destination));
        Ok(())
    }

    /// Policy and credential for each destination; questions are asked once a registry.
    pub(crate) fn targets(&self, ui: &Ui, references: Vec<Reference>) -> Result<Vec<Target>, Failure> {
        self.note_destinations(&references)?;
        let mut confirmed: Vec<String> = Vec::new();
        let mut targets = Vec::new();
        for reference in references {
            let registry = reference.registry().unwrap_or_default().to_owned();
            let news = !confirmed.iter().any(|other| same_registry(other, &registry));
            targets.push(self.target(ui, reference, None, news)?);
            confirmed.push(registry);
        }
        Ok(targets)
    }

    /// Policy and credential for a base image. `creds` is the value of `--from-creds`.
    pub(crate) fn base(&self, ui: &Ui, reference: Reference, creds: Option<&str>) -> Result<Target, Failure> {
        self.audience.note(reference.registry().unwrap_or_default(), Use::Base);
        let given = self.audience.for_base(ui, creds)?;
        self.target(ui, reference, given, true)
    }

    fn target(
        &self,
        ui: &Ui,
        reference: Reference,
        for_base: Option<ExplicitCredential>,
        ask: bool,
    ) -> Result<Target, Failure> {
        let registry = reference.registry().unwrap_or_default().to_owned();
        if ask {
            self.confirm(ui, &registry)?;
        }
        let mut policy = self.policy(ui, &registry)?;
        let given: Vec<ExplicitCredential> = for_base.into_iter().chain(self.given_source(ui)?).collect();
        let roles = self.roles(ui, &registry, given.iter().any(|given| !given.for_base))?;
        let chain = chain(ui, given, self.authfile.as_deref())?;
        let mut resolution = resolve(ui, &chain, &registry, reference.repository(), roles)?;
        let mut reference = reference;
        if let Some(cluster) = self.cluster.serving(ui, &registry, resolution.credential.is_some())? {
            (reference, policy) = self.cluster.apply(ui, cluster, &reference, policy, &mut resolution)?;
        }
        resolution.close();
        print_report(ui, &registry, &resolution, roles.destination);
        if let Some(path) = &resolution.exposed {
            self.cluster.warn_once(ui, &exposed(path));
        }
        if let Some(source) = &resolution.source
            && let Err(failure) = ui.surroundings.audit(Event::Credential, &registry, Some(source), None)
        {
            ui.warn(&in_one_line(&failure));
        }
        Ok(Target { reference, policy, credential: resolution.credential })
    }

    /// Notes that the command is about `registry` alone.
    pub(crate) fn note_only(&self, registry: &str) {
        self.audience.note(registry, Use::Destination);
    }

    /// The roles that a registry has in this command. The cluster is asked only if its answer can decide something:
    /// with `GITEA_*` set, and no flags that come first.
    pub(crate) fn roles(&self, ui: &Ui, registry: &str, has_flags: bool) -> Result<RegistryRoles, Failure> {
        let destination = self.audience.is_destination(registry);
        let default = match self.default_registry(ui, None)? {
            Some((default, _)) => same_registry(&default, registry),
            None => false,
        };
        let decided = default || (destination && has_flags) || !has_variable(ui, SecretOrigin::GiteaVariables);
        let cluster = match if decided { None } else { self.cluster.find(ui)?.ok() } {
            Some(cluster) => self.cluster.speaks_for(ui, cluster, registry)?,
            None => false,
        };
        Ok(RegistryRoles { destination, base: self.audience.is_base(registry), cluster, default })
    }

    /// The flags as a source of credentials.
    pub(crate) fn given_source(&self, ui: &Ui) -> Result<Option<ExplicitCredential>, Failure> {
        Ok(self.given(ui)?.map(|(username, secret)| ExplicitCredential { username, secret, for_base: false }))
    }

    /// Warns of the end of the certificate that a registry showed, unless that was done.
    pub(crate) fn print_expiry(&self, ui: &Ui, reference: &Reference, shown: Option<&CertificateFacts>) {
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
            ui.warn(&format!("the certificate of {host} ends on {}{renewal}", facts.not_after.strftime("%Y-%m-%d")));
            self.ending.borrow_mut().push(host);
        }
    }

    /// How long to wait.
    pub(crate) fn timeouts(&self) -> Timeouts {
        let default = Timeouts::default();
        match self.timeout {
            Some(limit) => {
                Timeouts { connect: limit.min(default.connect), answer: limit, stall: limit.min(default.stall) }
            }
            None => default,
        }
    }

    /// Whether somebody said that this registry is not to be verified; `true` inside when by its name.
    fn skips_verification(&self, registry: &str) -> Option<bool> {
        if self.insecure.iter().any(|host| host == registry || same_registry(host, registry)) {
            return Some(true);
        }
        let any = self.tls_verify == Some(false) || self.insecure.iter().any(String::is_empty);
        any.then_some(false)
    }

    pub(crate) fn confirm(&self, ui: &Ui, registry: &str) -> Result<(), Failure> {
        if self.plain_http {
            ui.warn(&format!("{registry} is used without TLS: whoever is on the way can read and change everything"));
            return Ok(ui.surroundings.audit(Event::PlainHttp, registry, None, None)?);
        }
        let Some(by_name) = self.skips_verification(registry) else { return Ok(()) };
        let mut pinned = 0;
        for directory in address(registry)?.directories(&trust_store(ui)?) {
            pinned += TrustStore::empty().add_kept(&directory)?;
        }
        if pinned > 0 && !by_name {
            return Err(Failure::usage(format!(
                "{registry} has a trusted certificate; it is not used without verifying"
            ))
            .hint(format!("if you mean it, name the registry: --insecure={registry}"))
            .hint(format!(
                "if its certificate is a new one, replace what {} trusts",
                trust_store(ui)?.join(address(registry)?.to_string()).display()
            )));
        }
        let fingerprint = shown_fingerprint(ui, registry)?;
        let which = fingerprint.as_deref().map_or_else(String::new, |print| format!(" (fingerprint {print})"));
        ui.warn(&format!(
            "the certificate of {registry}{which} will not be verified: whoever is on the way can read the password \
             and change the image"
        ));
        if !self.yes && ui.confirm(&format!("Go on without verifying {registry}?"))? == Some(false) {
            return Err(Failure::usage("not confirmed; nothing was sent")
                .hint("trust the registry's certificate with --ca-file FILE instead"));
        }
        // What is not written down is not done without verifying.
        Ok(ui.surroundings.audit(Event::Insecure, registry, None, fingerprint.as_deref())?)
    }

    pub(crate) fn policy(&self, ui: &Ui, registry: &str) -> Result<TlsPolicy, Failure> {
        if self.plain_http {
            return Ok(TlsPolicy::Plaintext);
        }
        if self.skips_verification(registry).is_some() {
            return Ok(TlsPolicy::SkipVerify);
        }
        let host = address(registry)?;
        let (mut trust, mut warnings) = trusted(ui, &host, self.ca_file.as_deref(), self.cert_dir.as_deref())?;
        if ui.is_verbose() {
            add_system_roots(ui, &mut trust);
        } else {
            trust.use_system_roots_at_need(&ui.surroundings.system_roots);
        }
        if let Some(warning) = ending(&host, &trust) {
            self.ending.borrow_mut().push(host);
            warnings.push(warning);
        }
        for warning in warnings {
            self.cluster.warn_once(ui, &warning);
        }
        Ok(TlsPolicy::Verify(trust))
    }

    /// How hosts are trusted to which a registry leads.
    pub(crate) fn elsewhere(&self, ui: &Ui) -> Result<TrustSources, Failure> {
        Ok(TrustSources {
            file: self.ca_file.as_deref().map(|file| ui.surroundings.absolute(file)),
            kept: Some(trust_store(ui)?),
            client: other_directories(ui),
            system: ui.surroundings.system_roots.clone(),
        })
    }

    /// Whether a secret is given, so that nobody has to be asked for one.
    pub(crate) fn has_secret(&self) -> bool {
        self.password.is_some() || self.password_stdin || self.creds.is_some()
    }

    /// Whether the password is what standard input has.
    pub(crate) fn reads_standard_input(&self) -> bool {
        self.password_stdin
    }

    /// The user name that is given.
    pub(crate) fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// The credential of the flags.
    pub(crate) fn given(&self, ui: &Ui) -> Result<Option<(String, Secret)>, Failure> {
        if let Some(given) = self.given.get() {
            return Ok(given.clone());
        }
        let given = self.read_given(ui)?;
        Ok(self.given.get_or_init(|| given).clone())
    }

    fn read_given(&self, ui: &Ui) -> Result<Option<(String, Secret)>, Failure> {
        if let Some(creds) = &self.creds {
            return match creds.split_once(':') {
                Some((name, password)) if !name.is_empty() && !password.is_empty() => {
                    Ok(Some((name.to_owned(), Secret::new(password.to_owned()))))
                }
                _ => Err(Failure::usage("--creds takes NAME:PASSWORD")),
            };
        }
        let Some(name) = self.username.clone() else { return Ok(None) };
        if let Some(password) = &self.password {
            ui.warn(
                "a password on the command line can be seen by other users of this machine; --password-stdin cannot",
            );
            return Ok(Some((name, Secret::new(password.clone()))));
        }
        if self.password_stdin {
            return Ok(Some((name, password_from_stdin()?)));
        }
        Err(Failure::usage("--username needs a password")
            .hint("give it with --password-stdin, for example: idpbuilder-push ... -u NAME --password-stdin < FILE"))
    }
}

/// The warning about a file with secrets that other users can read.
pub(crate) fn exposed(path: &Path) -> String {
    format!("other users of this machine can read the passwords in `{0}`: chmod 600 {0}", path.display())
}

/// `host:port`, or what is wrong with it.
pub(crate) fn address(text: &str) -> Result<RegistryHost, Failure> {
    text.parse().map_err(|error| Failure::new(Kind::Usage, error).hint("an address is host or host:port"))
}

/// The directory of certificates that are kept for one host each.
pub(crate) fn trust_store(ui: &Ui) -> Result<PathBuf, Failure> {
    Ok(ui.surroundings.settings(None)?.home.value.join("certs"))
}

/// Where other programs keep certificates for one host each, in the order of use.
pub(crate) fn other_directories(ui: &Ui) -> Vec<PathBuf> {
    let own = ui.surroundings.home().ok().map(|home| home.join(".config/containers/certs.d"));
    let system = ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(PathBuf::from);
    own.into_iter().chain(system).collect()
}

/// Adds the system's roots, and tells what of them cannot be read.
pub(crate) fn add_system_roots(ui: &Ui, trust: &mut TrustStore) {
    trust.add_system_roots(&ui.surroundings.system_roots);
    for failure in trust.failures() {
        ui.detail(failure);
    }
}

/// Who is trusted as `host`, in the order of use, the cluster and the system's roots excepted; and what to warn of.
pub(crate) fn trusted(
    ui: &Ui,
    host: &RegistryHost,
    ca_file: Option<&Path>,
    cert_dir: Option<&Path>,
) -> Result<(TrustStore, Vec<String>), Failure> {
    let mut trust = TrustStore::empty();
    let mut warnings = Vec::new();
    if let Some(file) = ca_file {
        trust.add_file(&ui.surroundings.absolute(file))?;
    }
    if let Some(directory) = cert_dir
        && let Some(error) = trust.add_client_directory(&ui.surroundings.absolute(directory)).into_iter().next()
    {
        return Err(error.into());
    }
    for directory in host.directories(&trust_store(ui)?) {
        trust.add_kept(&directory)?;
    }
    // What is wrong there is not for us to stop at.
    for root in other_directories(ui) {
        for directory in host.directories(&root) {
            if directory.is_dir() {
                warnings.extend(trust.add_client_directory(&directory).iter().map(|error| in_one_line(error)));
            }
        }
    }
    if let Some(identity) = trust.identity() {
        ui.detail(&format!("client certificate for {host}: `{}`", identity.path.display()));
        if let Some(key) = &identity.exposed_key {
            warnings.push(format!("everybody on this machine can read the key `{0}`: chmod 600 {0}", key.display()));
        }
    }
    Ok((trust, warnings))
}

/// A warning where a certificate that is kept for `host` ends soon or is over.
fn ending(host: &RegistryHost, trust: &TrustStore) -> Option<String> {
    let now = jiff::Timestamp::now();
    for anchor in trust.anchors().iter().filter(|anchor| matches!(anchor.origin, Origin::Kept(_))) {
        let Ok(facts) = CertificateFacts::from_der(&anchor.certificate) else { continue };
        if ends_soon(facts.not_after, now) {
            let what = if facts.not_after < now { "ended" } else { "ends" };
            return Some(format!(
                "the certificate kept for {host} in {} {what} on {}; when the registry has a new one: idpbuilder-trust \
                 add {host} --from-server",
                anchor.origin,
                facts.not_after.strftime("%Y-%m-%d")
            ));
        }
    }
    None
}

/// Fingerprint of the certificate that the registry shows right now. Not knowing it stops nothing: what cannot be
/// reached is told by the work itself.
fn shown_fingerprint(ui: &Ui, registry: &str) -> Result<Option<String>, Failure> {
    let host = address(registry)?;
    let asked = ask(&host, &TlsPolicy::SkipVerify, FINGERPRINT_LIMIT);
    let chain = ui.block_on(asked)?.map(|answer| answer.chain).unwrap_or_default();
    Ok(chain.first().and_then(|own| CertificateFacts::from_der(own).ok()).map(|facts| facts.fingerprint))
}

/// `host[:port]` out of what people copy: with a scheme, with a trailing slash.
pub(crate) fn bare_registry(text: &str) -> Result<String, Failure> {
    let text = text.trim();
    let scheme = |scheme: &&str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    let scheme = ["https://", "http://", "docker://"].into_iter().find(scheme).unwrap_or_default();
    let bare = text[scheme.len()..].trim_end_matches('/');
    let bare = bare.strip_suffix("/v2").unwrap_or(bare);
    // A reference is the one place that knows what an address looks like.
    Reference::from_parts(Some(bare), "x", None).map_err(|error| match error {
        ReferenceError::UserInfo { .. } => error.into(),
        _ => Failure::usage(format!(
            "`{}` is not a registry address (expected host or host:port)",
            crate::text::without_user_info(bare)
        )),
    })?;
    Ok(bare.to_owned())
}

/// A registry alone (`https://host:port`, `host:5000`, `localhost`) or a full reference.
fn place(text: &str) -> Result<Place, Failure> {
    let with_scheme = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let bare = with_scheme.unwrap_or(text).trim_end_matches('/');
    if !bare.contains('/') {
        let (host, port) = bare.rsplit_once(':').unwrap_or((bare, ""));
        let address = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let host_like = host == "localhost" || host.contains('.') || host.starts_with('[');
        if with_scheme.is_some() || bare == "localhost" || (address && host_like) {
            return Ok(Place::Registry(bare_registry(bare)?));
        }
    }
    Ok(Place::Reference(text.parse()?))
}

/// Whether a destination names an image, and not a registry alone.
pub(crate) fn names_image(text: &str) -> Result<bool, Failure> {
    Ok(matches!(place(text)?, Place::Reference(_)))
}

/// Proxies as the usual variables name them, lower case first as curl has it.
pub(crate) fn proxies(ui: &Ui) -> Proxies {
    let first = |names: &[&str]| {
        names.iter().find_map(|name| ui.env.var(name).filter(|value| !value.is_empty())).map(str::to_owned)
    };
    Proxies {
        http: first(&["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]),
        https: first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
        no: first(&["no_proxy", "NO_PROXY"]),
    }
}
