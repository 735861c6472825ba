//! `idpbuilder-build`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use indicatif::HumanBytes;
use serde_json::json;

use super::applet::Run;
use super::arguments::{ProgressArgs, StoreArgs, platform_or_host};
use super::failure::{Failure, Kind, Outcome};
use super::runtime_config::{RuntimeArgs, absolute};
use super::tag::{names, now};
use super::ui::Ui;
use crate::build::{
    BuildConfig, BuildOutcome, CacheConfig, Compression, DEFAULT_TIMESTAMP, Format, Layers, MAX_LAYERS, Owner, SETTLE,
    build,
};
use crate::image::Digest;

/// Build an image from a directory
///
/// Packs CONTEXT into layers and keeps the image in the local store. The image depends on the files, their
/// names and permissions and on the options alone: the same input gives the same digest, anywhere, any time.
/// .containerignore or .dockerignore in CONTEXT says what stays out, by Docker's rules.
#[derive(Debug, clap::Parser)]
pub(super) struct Args {
    /// Directory to pack
    #[arg(value_name = "CONTEXT", conflicts_with = "context_flag")]
    context: Option<PathBuf>,
    /// The same as CONTEXT
    #[arg(long = "context", value_name = "DIR")]
    context_flag: Option<PathBuf>,
    /// Name of the image; repeatable
    #[arg(short, long = "tag", value_name = "NAME[:TAG]")]
    tags: Vec<String>,
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
    /// Platform the image says it is for [default: Linux on this machine's architecture; environment:
    /// DOCKER_DEFAULT_PLATFORM]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
    #[command(flatten)]
    runtime: RuntimeArgs,
    /// Where in the image the context lands
    #[arg(long, value_name = "PATH", default_value = "/")]
    copy_to: String,
    /// Owner of all files, as numbers
    #[arg(long, value_name = "UID[:GID]", default_value = "0:0")]
    chown: String,
    /// Into how many layers: `auto`, `single`, or at most so many; auto is one for less than 32 MiB, else about twenty
    #[arg(long, value_name = "auto|single|N", default_value = "auto", value_parser = layers)]
    layers: Layers,
    /// Read every file again instead of taking layers from earlier builds
    #[arg(long)]
    no_cache: bool,
    /// How the layers are compressed
    #[arg(long, visible_alias = "compression", value_name = "FORMAT", value_enum, default_value = "gzip")]
    compression_format: LayerFormat,
    /// How hard: 1 to 12 for gzip, 1 to 19 for zstd, which takes up to 200 MiB of memory from 10 on [default: 6 and 3]
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
    /// Print the image id only
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    progress: ProgressArgs,
    #[command(flatten)]
    store: StoreArgs,
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
        let config = self.config(ui)?;
        let store = self.store.open(ui)?;
        let progress = ui.progress(self.progress.progress);
        let outcome = ui.run_blocking(|interrupt| Ok(build(&config, &store, progress.as_ref(), interrupt)?))?;
        drop(progress);
        self.write_files(ui, &outcome)?;
        if self.quiet {
            return ui.data(&outcome.image_id.to_string());
        }
        tell_replaced(ui, &outcome.replaced);
        ui.data(&summary(&outcome, store.root()))
    }
}

impl Args {
    fn config(&self, ui: &Ui) -> Result<BuildConfig, Failure> {
        let context = self.context.as_ref().or(self.context_flag.as_ref());
        // As it was typed: messages name it so.
        let context = context.map_or_else(|| PathBuf::from("."), PathBuf::clone);
        if self.tags.is_empty() {
            return Err(Failure::usage("the image has no name").hint("name it with -t, for example -t app:v1"));
        }
        let platform = self.platform.as_deref().or_else(|| ui.env.var("DOCKER_DEFAULT_PLATFORM"));
        Ok(BuildConfig {
            context,
            names: names(&self.tags)?,
            platform: platform_or_host(ui, platform)?,
            labels: pairs("--label", &self.labels)?,
            annotations: pairs("--annotation", &self.annotations)?,
            ignore_file: self.ignorefile.clone(),
            exclude: self.exclude.clone(),
            runtime: self.runtime.resolve(ui)?,
            copy_to: absolute("--copy-to", &self.copy_to)?,
            owner: owner(&self.chown)?,
            timestamp: self.timestamp(ui)?,
            compression: self.compression()?,
            layers: self.layers,
            cache: Some(CacheConfig {
                state: ui.settings(self.store.store.as_deref())?.home.value,
                reuse: !self.no_cache,
                settle: SETTLE,
            }),
            built_at: now(),
        })
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

    fn write_files(&self, ui: &Ui, outcome: &BuildOutcome) -> Result<(), Failure> {
        let metadata = json!({
            "containerimage.config.digest": outcome.image_id,
            "containerimage.digest": outcome.document.digest(),
            "containerimage.descriptor": outcome.document.descriptor,
            "image.name": outcome.names.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        });
        write_result(ui, self.iidfile.as_deref(), &outcome.image_id.to_string())?;
        write_result(ui, self.digestfile.as_deref(), &outcome.document.digest().to_string())?;
        write_result(ui, self.metadata_file.as_deref(), &super::format::json(&metadata))
    }
}

/// Writes a result where a script asked for it.
pub(super) fn write_result(ui: &Ui, path: Option<&Path>, text: &str) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    let path = ui.absolute(path);
    crate::fs::replace_file(&path, text.as_bytes())
        .map_err(|source| Failure::new(Kind::Failed, format!("cannot write `{}`: {source}", path.display())))
}

/// Says which images have no name any more.
pub(super) fn tell_replaced(ui: &Ui, replaced: &[Digest]) {
    if let [_, ..] = replaced {
        let digests: Vec<String> = replaced.iter().map(Digest::short).collect();
        ui.status(&format!("No name is left for {}; idpbuilder-rm --prune frees its space", digests.join(", ")));
    }
}

fn summary(outcome: &BuildOutcome, store: &Path) -> String {
    let names: Vec<String> = outcome.names.iter().map(ToString::to_string).collect();
    let mut lines: Vec<String> = names.iter().map(|name| format!("Image saved to local store: {name}")).collect();
    let uncompressed: u64 = outcome.layers.iter().map(|layer| layer.uncompressed).sum();
    lines.push(format!("  image id  {}", outcome.image_id));
    lines.push(format!("  digest    {}", outcome.document.digest()));
    lines.push(format!(
        "  size      {} ({} uncompressed, {} files, {} directories)",
        HumanBytes(outcome.size),
        HumanBytes(uncompressed),
        outcome.files,
        outcome.directories
    ));
    let reused = outcome.layers.iter().filter(|layer| layer.reused).count();
    let reused = if reused > 0 { format!(" ({reused} unchanged)") } else { String::new() };
    lines.push(format!("  layers    {}{reused}", outcome.layers.len()));
    if let Some(file) = &outcome.ignore_file {
        lines.push(format!("  ignored   {} entries by {}", outcome.excluded, file.display()));
    }
    lines.push(format!("  store     {}", store.display()));
    lines.join("\n")
}

/// `KEY=VALUE` arguments; a key alone has an empty value, as docker has it.
fn pairs(flag: &str, given: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let mut pairs = BTreeMap::new();
    for text in given {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        if key.trim().is_empty() {
            return Err(Failure::usage(format!("{flag} takes KEY=VALUE, not `{text}`")));
        }
        pairs.insert(key.to_owned(), value.to_owned());
    }
    Ok(pairs)
}

/// `--layers` as it is typed.
fn layers(text: &str) -> Result<Layers, String> {
    match text {
        "auto" => Ok(Layers::Auto),
        "single" => Ok(Layers::AtMost(1)),
        number => match number.parse() {
            Ok(number) if (1..=MAX_LAYERS).contains(&number) => Ok(Layers::AtMost(number)),
            _ => Err(format!("give `auto`, `single` or a number from 1 to {MAX_LAYERS}")),
        },
    }
}

fn owner(text: &str) -> Result<Owner, Failure> {
    let (uid, gid) = text.split_once(':').unwrap_or((text, text));
    let number = |part: &str| part.parse::<u32>().ok().map(u64::from);
    match (number(uid), number(gid)) {
        (Some(uid), Some(gid)) => Ok(Owner { uid, gid }),
        _ => Err(Failure::usage(format!("--chown takes UID[:GID] as numbers, not `{text}`"))
            .hint("names mean nothing without the image's /etc/passwd; look the number up there")),
    }
}
