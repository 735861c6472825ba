//! `idpbuilder-build --explain` and `--list-context`: what of the context would go into the image, and why the rest
//! would not.

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::failure::{Failure, Outcome};
use crate::cli::render::difference::printable;
use crate::cli::render::format::{Column, Format};
use crate::cli::terminal::Ui;
use crate::layer::REMOVES;
use crate::ops::explain::{Contents, DecidedBy, ExplainConfig, ExplainError, Explanation, Kept, contents, explain};
use crate::text::{counted, escaped, size};

/// Questions about the context; nothing is built where one is asked.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Questions about the context (nothing is built)")]
pub(crate) struct ExplainArgs {
    /// Say whether PATH of the context would go into the image and which rule decides; repeatable
    #[arg(long, value_name = "PATH", conflicts_with = "list_context")]
    explain: Vec<PathBuf>,
    /// List what of the context would go into the image, and tell what each rule keeps and leaves out
    #[arg(long)]
    list_context: bool,
    /// Order of the list
    #[arg(long, value_name = "BY", value_enum, default_value = "path", requires = "list_context")]
    sort: Sort,
}

/// What the list is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Sort {
    /// The bytes of the path
    Path,
    /// The size, largest first
    Size,
}

#[derive(Serialize)]
struct Row {
    size: u64,
    kind: &'static str,
    path: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    secret: bool,
}

const COLUMNS: &[Column] = &[("Size", "SIZE"), ("Kind", "KIND"), ("Path", "PATH"), ("Note", "NOTE")];

impl ExplainArgs {
    /// Whether something is asked.
    pub(crate) fn asks(&self) -> bool {
        self.list_context || !self.explain.is_empty()
    }

    /// Answers; `packs_dockerfile` says that a build would pack a Dockerfile as it is.
    pub(crate) fn answer(&self, ui: &Ui, config: &ExplainConfig, packs_dockerfile: bool) -> Outcome {
        if !self.explain.is_empty() {
            let told: Vec<String> =
                explain(config, &self.explain)?.iter().map(|told| escaped(&sentence(told)).into_owned()).collect();
            return Ok(ui.data(&told.join("\n"))?);
        }
        let contents = ui.run_blocking::<_, Failure>(|interrupt| Ok(contents(config, interrupt)?))?;
        let rows = self.rows(&contents.kept);
        let mut shown = vec!["Size", "Kind", "Path"];
        if contents.secrets.is_some() {
            shown.push("Note");
        }
        ui.data_verbatim(&Format::Table.render(COLUMNS, &shown, &rows)?)?;
        summary(ui, &contents);
        if let Some(name) = contents.dockerfile.filter(|_| !packs_dockerfile) {
            ui.warn(&format!("`{name}` is not built: a build refuses this context without --no-dockerfile"));
        }
        Ok(())
    }

    fn rows(&self, kept: &[Kept]) -> Vec<(Vec<String>, Row)> {
        let mut kept: Vec<&Kept> = kept.iter().collect();
        if self.sort == Sort::Size {
            kept.sort_by(|one, other| other.size.cmp(&one.size).then_with(|| one.path.cmp(&other.path)));
        }
        let row = |kept: &&Kept| {
            let row = Row { size: kept.size, kind: kept.kind, path: printable(&kept.path), secret: kept.secret };
            let note = if row.secret { "looks like a secret" } else { "" };
            (vec![size(row.size), row.kind.to_owned(), row.path.clone(), note.to_owned()], row)
        };
        kept.iter().map(row).collect()
    }
}

fn sentence(told: &Explanation) -> String {
    let path = printable(told.path.as_os_str().as_encoded_bytes());
    let there = if told.exists { "" } else { " (there is no such file)" };
    if told.private {
        return format!("{path}: stays out whatever the rules say, it is this program's own{there}");
    }
    if told.removes && !told.excluded {
        return format!("{path}: is refused, it {REMOVES}{there}");
    }
    match (&told.rule, told.excluded) {
        (None, _) => format!("{path}: goes in, no rule matches{there}"),
        (Some((origin, written)), false) => format!("{path}: goes in by {origin}: {written}{there}"),
        (Some((origin, written)), true) => format!("{path}: stays out by {origin}: {written}{there}"),
    }
}

fn summary(ui: &Ui, contents: &Contents) {
    let bytes: u64 = contents.kept.iter().map(|kept| kept.size).sum();
    let verb = if contents.kept.len() == 1 { "goes" } else { "go" };
    ui.status(&format!("{} with {} {verb} in", counted(contents.kept.len(), "entry"), size(bytes)));
    for kept in contents.kept.iter().filter(|kept| kept.removes) {
        ui.warn(&format!("`{}` {REMOVES}: a build refuses it", printable(&kept.path)));
    }
    for directory in &contents.skipped {
        ui.warn(&format!("`{}` stays out whatever the rules say, it is this program's own", directory.display()));
    }
    for DecidedBy { origin, written, exception, entries, bytes } in &contents.decided {
        let verb = match (exception, entries) {
            (true, 1) => "is kept",
            (true, _) => "are kept",
            (false, 1) => "stays out",
            (false, _) => "stay out",
        };
        ui.status(&match entries {
            0 => format!("nothing is decided by {origin}: {written}"),
            _ => format!("{} with {} {verb} by {origin}: {written}", counted(*entries, "entry"), size(*bytes)),
        });
    }
    for advice in contents.secrets.iter().chain(&contents.advice) {
        ui.warn(advice);
    }
}

impl From<ExplainError> for Failure {
    fn from(error: ExplainError) -> Self {
        match error {
            ExplainError::Context(error) => error.into(),
            outside @ ExplainError::Outside { .. } => Self::usage(outside.to_string()),
        }
    }
}
