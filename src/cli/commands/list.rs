//! `idpbuilder-list`.

use crate::cli::args::StoreArgs;
use crate::cli::command::Run;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::render::format::{Column, Format, key_value};
use crate::cli::terminal::Ui;
use crate::image::Digest;
use crate::ops::list::{Filter, Listed, Listing, list};
use crate::text::size;

/// List the images in the local store
///
/// One line for each name, newest first. FORMAT is table, json, or a template with .Repository, .Tag, .ID,
/// .Digest, .Created, .CreatedSince, .CreatedAt, .Size, .Platform, .Layers, .Name and .Type in double braces, as docker
/// has it. .Created is the image's own time, as in idpbuilder-inspect; the others say when it was stored here. TYPE is
/// shown where there are artifacts, which containers do not run.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    /// Only images whose name fits the shell pattern
    #[arg(value_name = "PATTERN")]
    pattern: Option<String>,
    /// table, json, yaml, a template, or `table` and a template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// json, table or yaml
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<String>,
    /// Show digests
    #[arg(long)]
    digests: bool,
    /// Show ids and digests whole
    #[arg(long)]
    no_trunc: bool,
    /// Print ids only
    #[arg(short, long, conflicts_with_all = ["format", "output"])]
    quiet: bool,
    /// reference=PATTERN, label=KEY[=VALUE] or dangling=true|false; all given must hold
    #[arg(short, long, value_name = "FILTER")]
    filter: Vec<String>,
    #[command(flatten)]
    store: StoreArgs,
}

const COLUMNS: &[Column] = &[
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("ID", "IMAGE ID"),
    ("CreatedSince", "CREATED"),
    ("Size", "SIZE"),
    ("CreatedAt", "CREATED AT"),
    ("Created", "IMAGE CREATED"),
    ("Platform", "PLATFORM"),
    ("Layers", "LAYERS"),
    ("Name", "NAME"),
    ("Type", "TYPE"),
];

impl Run for Args {
    fn run(self, ui: &mut Ui) -> Outcome {
        let format = Format::parse(self.format.as_deref(), self.output.as_deref(), COLUMNS)?;
        let filter = self.filters()?;
        let store = self.store.open(ui)?;
        let Listing { listed, damaged } = list(&store, &filter)?;
        for (entry, error) in &damaged {
            let name = entry.name.clone().unwrap_or_else(|| entry.descriptor.digest.to_string());
            ui.warn(&format!("`{name}` cannot be listed: {error}"));
        }
        let id = |digest: Digest| if self.no_trunc { digest.to_string() } else { digest.short() };
        if self.quiet {
            let mut ids: Vec<String> = Vec::new();
            for line in &listed {
                let id = id(line.id);
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            return Ok(ui.data(&ids.join("\n"))?);
        }
        let mut shown = vec!["Repository", "Tag", "ID", "CreatedSince", "Size"];
        if self.digests {
            shown.insert(2, "Digest");
        }
        // Images of containers are what is expected.
        if listed.iter().any(|line| !["image", "index"].contains(&line.kind.as_str())) {
            shown.push("Type");
        }
        let rows: Vec<(Vec<String>, Listed)> = listed.into_iter().map(|line| (values(&line, &id), line)).collect();
        Ok(ui.data_verbatim(&format.render(COLUMNS, &shown, &rows)?)?)
    }
}

impl Args {
    fn filters(&self) -> Result<Filter, Failure> {
        let mut filter = Filter { references: self.pattern.iter().cloned().collect(), ..Filter::default() };
        for text in &self.filter {
            match key_value("--filter", text)? {
                ("reference", pattern) => filter.references.push(pattern.to_owned()),
                ("label", label) => filter.labels.push(match label.split_once('=') {
                    Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                    None => (label.to_owned(), None),
                }),
                ("dangling", "true") => filter.dangling = Some(true),
                ("dangling", "false") => filter.dangling = Some(false),
                _ => {
                    return Err(Failure::usage(format!("`{text}` is not a filter"))
                        .hint("the filters are reference=PATTERN, label=KEY[=VALUE] and dangling=true|false"));
                }
            }
        }
        Ok(filter)
    }
}

fn values(line: &Listed, id: &dyn Fn(Digest) -> String) -> Vec<String> {
    let none = || "<none>".to_owned();
    vec![
        line.repository.clone().unwrap_or_else(none),
        line.tag.clone().unwrap_or_else(none),
        line.digest.to_string(),
        id(line.id),
        line.created.as_deref().map_or_else(none, ago),
        size(line.size),
        line.created.clone().unwrap_or_else(none),
        line.made.clone().unwrap_or_default(),
        line.platforms.join(","),
        line.layers.to_string(),
        line.name.clone().unwrap_or_else(none),
        line.kind.clone(),
    ]
}

/// `5 minutes ago`, for an RFC 3339 time; the time itself when it is none.
fn ago(created: &str) -> String {
    let Ok(created_at) = created.parse::<jiff::Timestamp>() else { return created.to_owned() };
    let seconds = jiff::Timestamp::now().as_second() - created_at.as_second();
    let seconds = u64::try_from(seconds).unwrap_or(0);
    format!("{} ago", indicatif::HumanDuration(std::time::Duration::from_secs(seconds)))
}
