//! What a push did or would do: lines for people, JSON for programs.

mod report;

use serde::Serialize;

use super::format::json;
use crate::image::Digest;
use crate::ops::push::{Preview, PreviewStep, PushOutcome, Totals, Uploaded};
use crate::text::{self, counted};
pub(crate) use report::Report;

/// The version of the JSON's schema: fields are only ever added to it.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct BlobRow<'a> {
    digest: Digest,
    size: u64,
    step: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uploaded: Option<u64>,
}

/// Bytes of blobs.
#[derive(Serialize)]
struct Bytes {
    upload: u64,
    skip: u64,
    mount: u64,
    resume: u64,
}

#[derive(Serialize)]
struct Destination<'a> {
    version: u32,
    reference: String,
    digest: Digest,
    pinned: String,
    dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    complete: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent: Option<u64>,
    bytes: Bytes,
    blobs: Vec<BlobRow<'a>>,
}

/// A destination that failed.
#[derive(Serialize)]
struct FailedRow<'a> {
    version: u32,
    reference: String,
    dry_run: bool,
    error: &'a str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Row<'a> {
    Done(Destination<'a>),
    FailedRow(FailedRow<'a>),
}

/// What was done and what not, as JSON.
pub(crate) fn report_as_json(report: &Report) -> String {
    rows(report, false, done)
}

fn rows<'a, T>(report: &'a Report<T>, dry_run: bool, done: impl Fn(&'a T) -> Destination<'a>) -> String {
    let done = report.done.iter().map(|outcome| Row::Done(done(outcome)));
    let undone = report.undone.iter().map(|(reference, error)| {
        Row::FailedRow(FailedRow { version: VERSION, reference: reference.to_string(), dry_run, error })
    });
    json(&done.chain(undone).collect::<Vec<_>>())
}

fn done(outcome: &PushOutcome) -> Destination<'_> {
    let Totals { uploaded, skipped, mounted, resumed } = outcome.totals();
    let row = |blob: &crate::ops::push::BlobOutcome| BlobRow {
        digest: blob.digest,
        size: blob.size,
        step: match blob.how {
            Uploaded::Exists => "skip",
            Uploaded::Mounted => "mount",
            Uploaded::Sent { .. } => "upload",
        },
        from: None,
        uploaded: Some(blob.uploaded),
    };
    Destination {
        version: VERSION,
        reference: outcome.reference.to_string(),
        digest: outcome.digest,
        pinned: outcome.reference.pinned(outcome.digest),
        dry_run: false,
        complete: None,
        current: None,
        requests: Some(outcome.traffic.requests),
        sent: Some(outcome.traffic.sent),
        bytes: Bytes { upload: uploaded, skip: skipped, mount: mounted, resume: resumed },
        blobs: outcome.blobs.iter().map(row).collect(),
    }
}

/// What would be done and what not, as JSON.
pub(crate) fn previews_as_json(report: &Report<Preview>) -> String {
    rows(report, true, planned)
}

fn planned(preview: &Preview) -> Destination<'_> {
    Destination {
        version: VERSION,
        reference: preview.reference.to_string(),
        digest: preview.digest,
        pinned: preview.reference.pinned(preview.digest),
        dry_run: true,
        complete: Some(preview.complete),
        current: preview.current,
        requests: None,
        sent: None,
        bytes: Bytes {
            upload: preview.bytes(|step| *step == PreviewStep::Upload),
            skip: preview.bytes(|step| *step == PreviewStep::Skip),
            mount: preview.bytes(|step| matches!(step, PreviewStep::Mount { .. })),
            resume: 0,
        },
        blobs: preview
            .steps
            .iter()
            .map(|(blob, step)| {
                let (step, from) = named(step);
                BlobRow { digest: blob.digest, size: blob.size, step, from, uploaded: None }
            })
            .collect(),
    }
}

fn named(step: &PreviewStep) -> (&'static str, Option<&str>) {
    match step {
        PreviewStep::Skip => ("skip", None),
        PreviewStep::Mount { from } => ("mount", Some(from)),
        PreviewStep::Upload => ("upload", None),
    }
}

/// What would be done, for people: a line a blob and one for the tag.
pub(crate) fn previews_as_text(previews: &[Preview]) -> String {
    let mut lines = Vec::new();
    for preview in previews {
        lines.push(format!("{} {}", preview.reference, preview.digest));
        for (blob, step) in &preview.steps {
            let (name, from) = named(step);
            let from = from.map_or_else(String::new, |from| format!(" from {from}"));
            lines.push(format!("  {name:8} {:>12}  {}{from}", text::size(blob.size), blob.digest));
        }
        let size: u64 = preview.documents.iter().map(|document| document.size).sum();
        let step = if preview.complete { "skip" } else { "manifest" };
        lines.push(format!("  {step:8} {:>12}  {}", text::size(size), naming(preview)));
    }
    lines.join("\n")
}

fn naming(preview: &Preview) -> String {
    let what = preview.reference.tag().map_or_else(|| "the digest".to_owned(), |tag| format!("tag {tag}"));
    match preview.current {
        Some(current) if current == preview.digest => format!("{what} stands for it already"),
        Some(current) => format!("{what}, which stands for {current} now"),
        None => format!("{what}, which is new"),
    }
}

/// What was done, in one line.
pub(crate) fn outcome_as_line(outcome: &PushOutcome) -> String {
    let Totals { uploaded, skipped, mounted, resumed } = outcome.totals();
    let further = [(mounted, "mounted"), (resumed, "sent by an earlier push")];
    let told = |(bytes, what): &(u64, &str)| format!(", {} {what}", text::size(*bytes));
    let further = further.iter().filter(|(bytes, _)| *bytes > 0).map(told).collect::<Vec<_>>().concat();
    format!(
        "Pushed {}: {} sent, {} already there{further}; {}",
        outcome.reference,
        text::size(uploaded),
        text::size(skipped),
        counted(outcome.traffic.requests, "request")
    )
}
