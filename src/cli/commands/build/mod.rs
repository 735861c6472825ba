//! `idpbuilder-build`.

mod built;
mod explain;
mod platforms;
mod publish;
mod rebase;
mod report;
mod sources;
mod values;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::base_image::{Bases, SCRATCH};
use crate::app::connect::Connection;
use crate::app::now;
use crate::cli::args::cluster::KUBE_CONTEXT;
use crate::cli::args::image_config::{RuntimeArgs, absolute};
use crate::cli::args::names::names;
use crate::cli::args::registry::{BlobHostArgs, RegistryArgs};
use crate::cli::args::transfer::TransferArgs;
use crate::cli::args::{ProgressArgs, StoreArgs, platform_or_host};
use crate::cli::command::Run;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::render::result_files;
use crate::cli::terminal::Ui;
use crate::image::{HealthCheck, Platform, Reference};
use crate::ops::build::{
    BuildConfig, CacheConfig, Compression, ContextSource, DEFAULT_TIMESTAMP, Format, Layers, RacyWindow, Sources,
    StoredLayers,
};
use crate::ops::explain::ExplainConfig;
use crate::progress::Progress;
use crate::store::{ImageStore, Lease};
use built::{Built, make};
use explain::ExplainArgs;
use report::{layer_count, print_triggers};
use sources::{Reading, SourceArgs, is_standard_input};
use values::{layers, owner, pairs};

/// Build an image from a directory
///
/// Packs CONTEXT into layers and keeps the image in the local store. The image depends on the files, their
/// names and permissions and on the options alone: the same input gives the same digest, anywhere, any time.
/// CONTEXT is needed unless --copy or --add-tar says what goes in, or --from names a base whose configuration alone
/// changes. A Dockerfile is not built: a context with one in its root is refused without --no-dockerfile.
/// .containerignore or .dockerignore in CONTEXT says what stays out, by Docker's rules; of an archive on standard
/// input only --ignorefile and --exclude do, since it is read once. With --from, the layer goes on
/// those of another image, whose configuration holds for what no option says.
#[derive(Debug, clap::Parser)]
#[command(mut_arg(KUBE_CONTEXT, |arg| arg.long("kube-context")))]
pub(crate) struct Args {
    /// Directory to pack, or - for a tar archive on standard input, plain or compressed with gzip or zstd; with --rebase,
    /// the image
    #[arg(value_name = "CONTEXT", conflicts_with = "context_flag")]
    directory: Option<PathBuf>,
    /// The same as CONTEXT
    #[arg(long = "context", value_name = "DIR")]
    context_flag: Option<PathBuf>,
    /// Directory to pack for one of several platforms, in place of CONTEXT; repeatable
    #[arg(long, value_name = "PLATFORM=DIR")]
    context_for: Vec<String>,
    /// Pack a context as it is although there is a Dockerfile or Containerfile in its root; Dockerfiles are not built
    #[arg(long)]
    no_dockerfile: bool,
    /// Name of the image; repeatable
    #[arg(short, long = "tag", value_name = "NAME[:TAG]")]
    tags: Vec<String>,
    /// Image to build on: a name of the local store or of a registry, oci:DIR[:NAME], oci-archive:FILE[:NAME],
    /// docker-archive:FILE[:NAME], or scratch
    #[arg(long, value_name = "BASE", default_value = SCRATCH)]
    from: String,
    /// User name and password for the registry of BASE; without a password, IDPBUILDER_FROM_PASSWORD has it, or you are
    /// asked
    #[arg(long, value_name = "NAME[:PASSWORD]")]
    from_creds: Option<String>,
    /// Ask the registry for BASE even if the local store has it
    #[arg(long)]
    pull: bool,
    /// Put the own layers of a stored image, which stands in CONTEXT's place, on BASE: nothing is packed
    #[arg(long, value_name = "BASE", conflicts_with_all = ["context_flag", "context_for", "from", "labels", "annotations",
          "no_dockerfile", "ignorefile", "exclude", "entrypoint", "cmd", "env", "user", "workdir", "expose", "volume", "stop_signal",
          "healthcheck_cmd", "healthcheck_interval", "healthcheck_timeout", "healthcheck_start_period",
          "healthcheck_start_interval", "healthcheck_retries", "no_healthcheck", "copy_to", "chown", "chmod", "copy", "add_tar", "layers", "no_cache", "verify_reproducible",
          "compression_format", "compression_level", "timestamp"])]
    rebase: Option<String>,
    /// The base that the image has, where its annotation does not tell; scratch means none
    #[arg(long, value_name = "BASE", requires = "rebase")]
    old_base: Option<String>,
    /// Label; repeatable
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// Annotation of the manifest; repeatable
    #[arg(long = "annotation", value_name = "KEY=VALUE")]
    annotations: Vec<String>,
    /// Ignore file to use instead of the context's own
    #[arg(long, visible_alias = "exclude-file", value_name = "FILE")]
    ignorefile: Option<PathBuf>,
    /// Further pattern to leave out, after those of the ignore file; repeatable
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Platform the image says it is for, or several with commas between them, which make an index of an image each
    /// [default: Linux on this machine's architecture; environment: DOCKER_DEFAULT_PLATFORM]
    #[arg(long, value_name = "OS/ARCH[/VARIANT][,...]")]
    platform: Option<String>,
    #[command(flatten)]
    runtime: RuntimeArgs,
    /// Where in the image the context lands
    #[arg(long, value_name = "PATH", default_value = "/")]
    copy_to: String,
    /// Owner of all files, as numbers
    #[arg(long, value_name = "UID[:GID]", default_value = "0:0")]
    chown: String,
    #[command(flatten)]
    sources: SourceArgs,
    /// Into how many layers: `auto`, `single`, or at most so many; auto is one for less than 32 MiB, else about twenty
    #[arg(long, value_name = "auto|single|N", default_value = "auto", value_parser = layers)]
    layers: Layers,
    /// Read every file again instead of taking layers from earlier builds
    #[arg(long)]
    no_cache: bool,
    /// Build the image a second time, from the files and in other conditions, and fail if it is another one
    #[arg(long, conflicts_with_all = ["explain", "list_context"])]
    verify_reproducible: bool,
    /// How the layers are compressed
    #[arg(long, visible_alias = "compression", value_name = "FORMAT", value_enum, default_value = "gzip")]
    compression_format: LayerFormat,
    /// How hard: 1 to 12 for gzip, 1 to 19 for zstd [default: 1 and 3]
    #[arg(long, value_name = "LEVEL")]
    compression_level: Option<u8>,
    /// Time of all files and of the image, in seconds since 1970 [default: 1980-01-01; environment:
    /// SOURCE_DATE_EPOCH]
    #[arg(long, visible_alias = "source-date-epoch", value_name = "SECONDS")]
    timestamp: Option<i64>,
    /// Write the image id to FILE
    #[arg(long, value_name = "FILE")]
    iidfile: Option<PathBuf>,
    /// Write the manifest's digest to FILE
    #[arg(long, visible_alias = "digest-file", value_name = "FILE")]
    digestfile: Option<PathBuf>,
    /// Write name, id and digest as JSON to FILE
    #[arg(long, value_name = "FILE")]
    metadata_file: Option<PathBuf>,
    /// Push the image while it is built, to DEST, a reference or a registry alone; repeatable [default of DEST: where
    /// the image's names say]. Without -t, the first reference is the image's name too
    #[arg(long, value_name = "DEST", num_args = 0..=1, require_equals = true, default_missing_value = "",
          conflicts_with = "rebase", action = clap::ArgAction::Append)]
    push: Option<Vec<String>>,
    /// Print the image id only; with --push, REPOSITORY@DIGEST
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    progress: ProgressArgs,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    questions: ExplainArgs,
    #[command(flatten)]
    transfer: TransferArgs,
    #[command(flatten)]
    blobs: BlobHostArgs,
    // Last, because its headings hold for whatever follows.
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Names of the formats as podman and buildah have them.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum LayerFormat {
    Gzip,
    Zstd,
    None,
}

impl Run for Args {
    fn run(self, ui: &mut Ui) -> Outcome {
        ui.silence(self.quiet);
        ui.explain(self.progress.verbose);
        let ui = &*ui;
        let connection = self.registry.connect(ui);
        if self.questions.asks() {
            self.questions.answer(ui, &self.context_rules(ui)?, self.no_dockerfile)?;
            self.print_unlisted(ui);
            return Ok(());
        }
        self.check_push(ui)?;
        let names = self.names()?;
        for file in [&self.iidfile, &self.digestfile, &self.metadata_file] {
            result_files::check(ui, file.as_deref())?;
        }
        if let Some(base) = &self.rebase {
            return self.rebase(ui, &connection, base, names);
        }
        let mut configs = self.configs(ui, names)?;
        let store = self.store.open(ui)?.removing_unpublished();
        let progress = self.transfer.traced(ui, ui.progress(self.progress.progress))?;
        // Until the image is built, nothing of its base is pruned.
        let lease = store.lease()?;
        // Known before a base is asked for: the credential of the destination is not for the base's registry.
        let destinations = self.push_destinations(&connection, &configs[0].names)?;
        let bases = self.bases(ui, &connection, &store, &lease, &progress);
        for config in &mut configs {
            config.base = bases.find(&self.from, &config.platform)?;
        }
        drop(bases);
        if let Some(base) = configs.iter().find_map(|config| config.base.as_ref()) {
            print_triggers(ui, &self.from, base);
        }
        for config in &configs {
            check_health(config)?;
        }
        let base = configs[0].base.clone();
        let push = self.push_config(ui, &connection, destinations)?;
        let (built, pushed) = if let Some(push) = push {
            let (built, pushed) = Self::build_and_push(ui, configs, self.verify_reproducible, push, &store, &progress)?;
            (built, Some(pushed))
        } else {
            let verify = self.verify_reproducible;
            (ui.run_blocking::<_, Failure>(|stop| make(&configs, verify, &store, progress.as_ref(), stop))?, None)
        };
        drop(progress);
        if self.verify_reproducible {
            verify::print_report(ui, &built.images());
        }
        self.print_report(ui, &built, base.as_ref(), &store, pushed.is_some())?;
        pushed.map_or(Ok(()), |report| Self::print_push(ui, &connection, report))
    }
}

/// Refuses settings of a health check where neither a flag nor the base has a command for it.
fn check_health(config: &BuildConfig) -> Result<(), Failure> {
    let has_command = |check: &HealthCheck| !check.test.is_empty() && check.test != ["NONE"];
    let base = config.base.as_ref().and_then(|base| base.config.config.healthcheck.as_ref());
    match &config.runtime.healthcheck {
        Some(own) if own.test.is_empty() && !base.is_some_and(has_command) => {
            Err(Failure::usage("there are settings of a health check, and no command for it")
                .hint("give one with --healthcheck-cmd, or build on a base that has one"))
        }
        _ => Ok(()),
    }
}

/// Nothing says what to pack.
fn no_context() -> Failure {
    Failure::usage("CONTEXT is missing: name the directory to pack")
        .hint("the current directory is `.`, for example: idpbuilder-build . -t NAME")
}

/// Whether the text is what docker fetches a context from, and not a path.
fn is_address(text: &str) -> bool {
    ["http://", "https://", "git://", "ssh://", "git@"].iter().any(|start| text.starts_with(start))
        && !Path::new(text).exists()
}

impl Args {
    fn bases<'a>(
        &'a self,
        ui: &'a Ui,
        connection: &'a Connection<'a>,
        store: &'a ImageStore,
        lease: &'a Lease,
        progress: &Arc<dyn Progress>,
    ) -> Bases<'a> {
        Bases {
            session: ui.session(),
            store,
            store_flag: self.store.store.as_deref(),
            lease,
            connection,
            blobs_from: self.blobs.texts(),
            creds: self.from_creds.as_deref(),
            timeouts: self.transfer.timeouts(connection.timeouts()),
            retry: self.transfer.retry(),
            rates: self.transfer.rates(),
            progress: Arc::clone(progress),
            pull: self.pull,
        }
    }

    /// The directory to pack, as it was typed: messages name it so.
    fn given_context(&self) -> Option<&PathBuf> {
        self.directory.as_ref().or(self.context_flag.as_ref())
    }

    /// Refuses a build that was told nothing to pack: neither for all platforms nor, with `uncovered`, for that one.
    fn check_given(&self, uncovered: Option<&Platform>) -> Result<(), Failure> {
        if let Some(address) = self.given_context().and_then(|path| path.to_str()).filter(|text| is_address(text)) {
            return Err(Failure::usage(format!("CONTEXT is a directory or `-`, and `{address}` is an address"))
                .hint("fetch it first, for example with git clone, and name the directory"));
        }
        let Some(platform) = uncovered else { return Ok(()) };
        if self.given_context().is_some() || !self.sources.is_empty() {
            return Ok(());
        }
        if !self.context_for.is_empty() {
            return Err(Failure::usage(format!("there is no directory to pack for {platform}"))
                .hint(format!("add --context-for {platform}=DIR, or name a CONTEXT for the platforms without one")));
        }
        if self.from == SCRATCH { Err(no_context()) } else { Ok(()) }
    }

    fn context_rules(&self, ui: &Ui) -> Result<ExplainConfig, Failure> {
        let Some(context) = self.given_context() else {
            if self.sources.is_empty() && self.context_for.is_empty() {
                return Err(no_context());
            }
            return Err(Failure::usage("questions are about the context, and there is none")
                .hint("ask about each directory by itself, for example: idpbuilder-build DIR --list-context"));
        };
        if is_standard_input(context) {
            return Err(Failure::usage("questions are about a directory, not about standard input"));
        }
        let settings = ui.surroundings.settings(self.store.store.as_deref())?;
        Ok(ExplainConfig {
            context: context.clone(),
            ignore_file: self.ignorefile.clone(),
            exclude: self.exclude.clone(),
            private: vec![settings.store.value, settings.home.value],
        })
    }

    /// The image's names: without any, what it is pushed as.
    fn names(&self) -> Result<Vec<Reference>, Failure> {
        if !self.tags.is_empty() {
            return names(&self.tags);
        }
        if let Some(destination) = self.pushed_name()? {
            return names(std::slice::from_ref(destination));
        }
        Err(Failure::usage("the image has no name").hint("name it with -t, for example -t app:v1"))
    }

    /// Says what an answer about the context leaves open.
    fn print_unlisted(&self, ui: &Ui) {
        if !(self.sources.is_empty() && self.context_for.is_empty()) {
            ui.status(
                "This is about CONTEXT alone: what --copy, --add-tar and --context-for put in is not looked at; ask \
                 about each directory by itself",
            );
        }
    }

    /// Refuses what only a context has a use for, where there is none.
    fn check_context(&self, sources: &Sources) -> Result<(), Failure> {
        if !self.context_for.is_empty() || !matches!(sources.context, ContextSource::Absent) {
            return Ok(());
        }
        let used = [
            ("--copy-to", self.copy_to != "/"),
            ("--exclude", !self.exclude.is_empty()),
            ("--ignorefile", self.ignorefile.is_some()),
        ];
        match used.iter().find(|(_, used)| *used) {
            Some((flag, _)) => Err(Failure::usage(format!("{flag} is about the context, and there is none")).hint(
                "name a CONTEXT; --copy and --add-tar take DEST behind a colon, and a directory's own ignore file \
                 counts",
            )),
            None => Ok(()),
        }
    }

    /// What to build, for each platform.
    fn configs(&self, ui: &Ui, names: Vec<Reference>) -> Result<Vec<BuildConfig>, Failure> {
        let platform = self.platform.as_deref().or_else(|| ui.env.var("DOCKER_DEFAULT_PLATFORM"));
        let platforms = match platform {
            Some(text) => platforms::platforms(text)?,
            None => vec![platform_or_host(ui, None)?],
        };
        let contexts = platforms::contexts(&self.context_for, &platforms)?;
        let is_covered = |platform: &Platform| contexts.iter().any(|(other, _)| other == platform);
        self.check_given(platforms.iter().find(|platform| !is_covered(platform)))?;
        let reading = Reading {
            times: platforms.len() * if self.verify_reproducible { 2 } else { 1 },
            password: self.registry.reads_standard_input(),
        };
        let sources = self.sources.resolve(ui, self.given_context(), reading)?;
        self.check_context(&sources)?;
        let home = ui.surroundings.settings(self.store.store.as_deref())?.home.value;
        let config = BuildConfig {
            context: self.given_context().cloned().unwrap_or_default(),
            packs_dockerfile: self.no_dockerfile,
            names,
            base: None,
            platform: platforms[0].clone(),
            labels: pairs("--label", &self.labels)?,
            annotations: pairs("--annotation", &self.annotations)?,
            ignore_file: self.ignorefile.clone(),
            exclude: self.exclude.clone(),
            private: vec![home.clone()],
            sources,
            runtime: self.runtime.resolve(ui)?,
            resets: self.runtime.resets(),
            copy_to: absolute("--copy-to", &self.copy_to)?,
            owner: owner("--chown", &self.chown)?,
            mode: self.sources.mode()?,
            timestamp: self.timestamp(ui)?,
            compression: self.compression()?,
            layers: self.layers,
            cache: Some(CacheConfig { state: home, reuse: !self.no_cache, settling: RacyWindow::default() }),
            built_at: now(),
            conditions: None,
            stored: StoredLayers::default(),
        };
        let own = |platform: &Platform| contexts.iter().find(|(other, _)| other == platform);
        let configured = |platform: Platform| match own(&platform) {
            Some((_, context)) => {
                let sources = config.sources.clone().with_directory();
                BuildConfig { context: context.clone(), sources, platform, ..config.clone() }
            }
            None => BuildConfig { platform, ..config.clone() },
        };
        Ok(platforms.into_iter().map(configured).collect())
    }

    fn compression(&self) -> Result<Compression, Failure> {
        let format = match self.compression_format {
            LayerFormat::Gzip => Format::Gzip,
            LayerFormat::Zstd => Format::Zstd,
            LayerFormat::None => Format::None,
        };
        // `none` has no levels, and a script that sets one always does no harm.
        let level = self.compression_level.filter(|_| format != Format::None);
        Compression::new(format, level).map_err(|error| Failure::usage(format!("--compression-level: {error}")))
    }

    fn timestamp(&self, ui: &Ui) -> Result<i64, Failure> {
        let (seconds, from) = match (self.timestamp, ui.env.var("SOURCE_DATE_EPOCH")) {
            (Some(seconds), _) => (seconds, "--timestamp"),
            (None, Some(text)) => {
                let seconds = text.parse().map_err(|_| {
                    Failure::usage(format!("SOURCE_DATE_EPOCH is `{text}`, not a number of seconds since 1970"))
                })?;
                (seconds, "SOURCE_DATE_EPOCH")
            }
            (None, None) => (DEFAULT_TIMESTAMP, "the default"),
        };
        // Tar keeps times as unsigned numbers; 9999-12-31 is the last one RFC 3339 can write.
        if (0..=253_402_300_799).contains(&seconds) {
            return Ok(seconds);
        }
        Err(Failure::usage(format!("{from} is {seconds}; it must lie between 1970 and 9999")))
    }
}
