//! `idpbuilder-inspect`.

use serde::Serialize;

use crate::cli::args::StoreArgs;
use crate::cli::command::Run;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::render::difference::{details, printable};
use crate::cli::render::format::{Column, Format};
use crate::cli::terminal::Ui;
use crate::image::{ContainerConfig, Platform};
use crate::layer::tar::read::{EntryKind, TarEntry};
use crate::ops::inspect::{self, About, Change, Difference, LayerInfo, Overview, Step, Uncompressed};
use crate::progress::Interrupt;
use crate::store::ImageStore;
use crate::text::{self, counted, escaped};

/// Look inside a stored image
///
/// Without a flag, an overview. --config and --manifest print the exact documents; --history, --layers, --files and
/// --diff are tables that take --format.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    /// Name, digest or id of a stored image
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Print the image configuration as it is stored
    #[arg(long, group = "what")]
    config: bool,
    /// Print the manifest as it is stored
    #[arg(long, group = "what")]
    manifest: bool,
    /// Show how the image came to be
    #[arg(long, group = "what")]
    history: bool,
    /// Show the layers
    #[arg(long, group = "what")]
    layers: bool,
    /// List the files in the layers
    #[arg(long, group = "what")]
    files: bool,
    /// Show how IMAGE differs from FIRST: paths, and fields of the configuration
    #[arg(long, group = "what", value_name = "FIRST")]
    diff: Option<String>,
    /// Only files of this layer: its number (the first is 1), or the start of its digest
    #[arg(long, value_name = "LAYER", requires = "files")]
    layer: Option<String>,
    /// table, json, yaml, a template, or `table` and a template
    #[arg(long, value_name = "FORMAT", conflicts_with_all = ["config", "manifest"])]
    format: Option<String>,
    /// json, table or yaml
    #[arg(short, long, value_name = "FORMAT", conflicts_with_all = ["config", "manifest"])]
    output: Option<String>,
    /// Show digests whole
    #[arg(long)]
    no_trunc: bool,
    /// Platform to take out of an index
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
}

const OVERVIEW: &[Column] = &[
    ("Names", "NAMES"),
    ("ID", "IMAGE ID"),
    ("Digest", "DIGEST"),
    ("Platform", "PLATFORM"),
    ("Created", "CREATED"),
    ("Size", "SIZE"),
    ("Layers", "LAYERS"),
    ("ArtifactType", "ARTIFACT TYPE"),
];
const HISTORY: &[Column] = &[
    ("CreatedBy", "CREATED BY"),
    ("Created", "CREATED"),
    ("Size", "SIZE"),
    ("Layer", "LAYER"),
    ("Comment", "COMMENT"),
];
const LAYERS: &[Column] = &[
    ("Number", "LAYER"),
    ("Digest", "DIGEST"),
    ("Size", "SIZE"),
    ("Uncompressed", "UNCOMPRESSED"),
    ("DiffID", "DIFF ID"),
    ("MediaType", "MEDIA TYPE"),
];
const FILES: &[Column] = &[
    ("Mode", "MODE"),
    ("Owner", "OWNER"),
    ("Size", "SIZE"),
    ("Modified", "MODIFIED"),
    ("Path", "PATH"),
    ("Link", "LINK"),
    ("Layer", "LAYER"),
];

const DIFFERENCES: &[Column] = &[("Change", "CHANGE"), ("Place", "PLACE"), ("Details", "DETAILS"), ("About", "ABOUT")];
impl Run for Args {
    fn run(self, ui: &mut Ui) -> Outcome {
        let store = self.store.open(ui)?;
        let platform = self.platform.as_deref().map(str::parse::<Platform>).transpose()?;
        let (store, platform) = (&store, platform.as_ref());
        if self.config {
            return Ok(ui.data_bytes(&inspect::config(store, &self.image, platform)?)?);
        }
        if self.manifest {
            return Ok(ui.data_bytes(&inspect::manifest(store, &self.image, platform)?.bytes)?);
        }
        if self.history {
            let steps = inspect::history(store, &self.image, platform)?;
            let rows = steps.into_iter().map(|step| (self.step(&step), step)).collect::<Vec<_>>();
            return self.table(ui, HISTORY, &["CreatedBy", "Created", "Size", "Comment"], &rows);
        }
        if self.layers {
            let layers = ui.run_blocking::<_, Failure>(|stop| {
                Ok(inspect::layers(store, &self.image, platform, Uncompressed::Measure, stop)?)
            })?;
            let rows = layers.into_iter().map(|layer| (self.layer(&layer), layer)).collect::<Vec<_>>();
            return self.table(ui, LAYERS, &["Number", "Digest", "Size", "Uncompressed", "MediaType"], &rows);
        }
        if self.files {
            return self.list_files(ui, store, platform);
        }
        if let Some(first) = &self.diff {
            let found =
                ui.run_blocking::<_, Failure>(|stop| Ok(inspect::diff(store, first, &self.image, platform, stop)?))?;
            if found.is_empty() {
                ui.status("There is no difference");
            }
            if found.is_empty() && self.format.is_none() && self.output.is_none() {
                return Ok(());
            }
            let rows = found.into_iter().map(|found| (difference(&found), found)).collect::<Vec<_>>();
            return self.table(ui, DIFFERENCES, &["Change", "Place", "Details"], &rows);
        }
        let overview = inspect::overview(store, &self.image, platform)?;
        if self.format.is_none() && self.output.is_none() {
            return Ok(ui.data(&prose(&overview))?);
        }
        let row = vec![(self.overview(&overview), overview)];
        self.table(ui, OVERVIEW, &["Names", "ID", "Platform", "Created", "Size", "Layers"], &row)
    }
}

/// A file of a layer, for JSON and YAML.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileRow {
    layer: usize,
    path: String,
    kind: &'static str,
    mode: String,
    uid: u64,
    gid: u64,
    size: u64,
    mtime: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

impl Args {
    fn table<T: Serialize>(&self, ui: &Ui, columns: &[Column], shown: &[&str], rows: &[(Vec<String>, T)]) -> Outcome {
        let format = Format::parse(self.format.as_deref(), self.output.as_deref(), columns)?;
        Ok(ui.data_verbatim(&format.render(columns, shown, rows)?)?)
    }

    fn digest(&self, digest: crate::image::Digest) -> String {
        if self.no_trunc { digest.to_string() } else { digest.short() }
    }

    fn overview(&self, image: &Overview) -> Vec<String> {
        vec![
            image.names.join(","),
            self.digest(image.id),
            image.digest.to_string(),
            image.platform.clone(),
            image.created.clone().unwrap_or_default(),
            text::size(image.size),
            image.layers.to_string(),
            image.artifact_type.clone().unwrap_or_default(),
        ]
    }

    fn step(&self, step: &Step) -> Vec<String> {
        vec![
            step.created_by.clone().unwrap_or_default(),
            step.created.clone().unwrap_or_default(),
            text::size(step.size),
            step.layer.map_or_else(String::new, |digest| self.digest(digest)),
            step.comment.clone().unwrap_or_default(),
        ]
    }

    fn layer(&self, layer: &LayerInfo) -> Vec<String> {
        vec![
            layer.number.to_string(),
            self.digest(layer.digest),
            text::size(layer.size),
            layer.uncompressed_size.map_or_else(String::new, text::size),
            layer.diff_id.map_or_else(String::new, |digest| self.digest(digest)),
            layer.media_type.clone(),
        ]
    }

    fn list_files(&self, ui: &Ui, store: &ImageStore, platform: Option<&Platform>) -> Outcome {
        let layers = inspect::layers(store, &self.image, platform, Uncompressed::Skip, &Interrupt::default())?;
        let chosen: Vec<&LayerInfo> = match &self.layer {
            Some(wanted) => vec![inspect::find_layer(&layers, wanted)?],
            None => layers.iter().collect(),
        };
        let mut rows = Vec::new();
        for layer in chosen {
            for entry in inspect::files(store, layer)? {
                rows.push(file(layer.number, &entry?));
            }
        }
        if rows.is_empty() && self.format.is_none() && self.output.is_none() {
            return Ok(());
        }
        self.table(ui, FILES, &["Mode", "Owner", "Size", "Modified", "Path", "Link"], &rows)
    }
}

fn difference(found: &Difference) -> Vec<String> {
    let (change, about) = (
        match found.change {
            Change::Added => "added",
            Change::Removed => "removed",
            Change::Changed => "changed",
        },
        match found.about {
            About::Path => "path",
            About::Configuration => "configuration",
        },
    );
    let (place, details) = details(found);
    vec![change.to_owned(), place, details, about.to_owned()]
}

fn file(layer: usize, entry: &TarEntry) -> (Vec<String>, FileRow) {
    let (letter, kind) = match entry.kind {
        EntryKind::File => ('-', "file"),
        EntryKind::HardLink => ('h', "hardlink"),
        EntryKind::Symlink => ('l', "symlink"),
        EntryKind::Directory => ('d', "directory"),
        EntryKind::CharDevice => ('c', "charDevice"),
        EntryKind::BlockDevice => ('b', "blockDevice"),
        EntryKind::Fifo => ('p', "fifo"),
        EntryKind::Other(_) => ('?', "other"),
    };
    let slash = if kind == "directory" { "/" } else { "" };
    let path = format!("{}{slash}", printable(&entry.path));
    let link = entry.link.as_deref().map(printable);
    let modified =
        jiff::Timestamp::from_second(entry.mtime).map_or_else(|_| entry.mtime.to_string(), |t| t.to_string());
    let values = vec![
        format!("{letter}{}", permissions(entry.mode)),
        format!("{}:{}", entry.uid, entry.gid),
        entry.size.to_string(),
        modified,
        path.clone(),
        link.clone().map_or_else(String::new, |link| format!("-> {link}")),
        layer.to_string(),
    ];
    let row = FileRow {
        layer,
        path,
        kind,
        mode: format!("{:04o}", entry.mode),
        uid: entry.uid,
        gid: entry.gid,
        size: entry.size,
        mtime: entry.mtime,
        link,
    };
    (values, row)
}

/// `rwxr-xr-x`, with set-uid, set-gid and sticky as ls shows them.
fn permissions(mode: u32) -> String {
    let mut text = String::with_capacity(9);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & 1 != 0, mode & special != 0) {
            (true, false) => 'x',
            (false, false) => '-',
            (true, true) => letter,
            (false, true) => letter.to_ascii_uppercase(),
        });
    }
    text
}

fn prose(image: &Overview) -> String {
    let mut lines = Vec::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("{name:12} {}", escaped(&value)));
        }
    };
    line("names", image.names.join(", "));
    line("image id", image.id.to_string());
    line("digest", image.digest.to_string());
    line("artifact", image.artifact_type.clone().unwrap_or_default());
    line("platform", image.platform.clone());
    line("platforms", image.platforms.join(", "));
    line("created", image.created.clone().unwrap_or_default());
    line("saved", image.tagged.clone().unwrap_or_default());
    line("size", format!("{} in {}", text::size(image.size), counted(image.layers, "layer")));
    let ContainerConfig {
        user,
        exposed_ports,
        env,
        entrypoint,
        cmd,
        healthcheck,
        volumes,
        working_dir,
        labels,
        stop_signal,
        // --config shows all of it.
        extra: _,
    } = &image.config;
    let words = |words: &[String]| {
        if words.is_empty() { String::new() } else { serde_json::to_string(words).expect("strings serialise") }
    };
    let set = |set: &std::collections::BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(", ");
    line("entrypoint", words(entrypoint));
    line("cmd", words(cmd));
    line("env", words(env));
    line("user", user.clone().unwrap_or_default());
    line("workdir", working_dir.clone().unwrap_or_default());
    line("expose", set(exposed_ports));
    line("volumes", set(volumes));
    line("stop signal", stop_signal.clone().unwrap_or_default());
    line("health check", healthcheck.as_ref().map_or_else(String::new, |check| words(&check.test)));
    for (key, value) in labels {
        line("label", format!("{key}={value}"));
    }
    for (key, value) in &image.annotations {
        line("annotation", format!("{key}={value}"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permission_letters() {
        for (mode, text) in [(0o755, "rwxr-xr-x"), (0o4755, "rwsr-xr-x"), (0o2644, "rw-r-Sr--"), (0o1777, "rwxrwxrwt")]
        {
            assert_eq!(permissions(mode), text);
        }
    }
}
