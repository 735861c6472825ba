//! What a diagnosis looks like: a line a check, with the fix where something is wrong.

use std::fmt::Write as _;

use serde::Serialize;

use crate::cli::failure::{Failure, Kind, Outcome, Paint};
use crate::cli::terminal::Ui;
use crate::text::escaped;

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Ok,
    Warn,
    Fail,
    Skip,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skip => "skip",
        }
    }

    fn painted(self, paint: Paint) -> String {
        let word = format!("{:<4}", self.word());
        match self {
            Self::Fail => paint.error(&word),
            Self::Warn => paint.warning(&word),
            Self::Ok | Self::Skip => word,
        }
    }
}

/// One check.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    check: &'static str,
    status: Status,
    found: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fix: Vec<String>,
    #[serde(skip)]
    kind: Kind,
}

impl Line {
    fn new(check: &'static str, status: Status, found: impl Into<String>) -> Self {
        Self { check, status, found: found.into(), fix: Vec::new(), kind: Kind::Failed }
    }

    pub(crate) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, Status::Ok, found)
    }

    pub(crate) fn skip(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, Status::Skip, found)
    }

    pub(crate) fn warn(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, Status::Warn, found)
    }

    /// What failed; `fallback` is the fix where the failure itself knows none.
    pub(crate) fn fail(check: &'static str, failure: &Failure, fallback: &str) -> Self {
        let mut line = Self::new(check, Status::Fail, failure.summary());
        line.fix = failure.hints().to_vec();
        line.kind = failure.kind();
        if line.fix.is_empty() {
            line.fix.push(fallback.to_owned());
        }
        line
    }

    /// Turns a failed check into a warning.
    pub(crate) fn into_warning(mut self) -> Self {
        self.status = Status::Warn;
        self
    }

    /// Joins two lines, under the name and with the status of the first.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.found = format!("{}; {}", self.found, other.found);
        for fix in other.fix {
            if !self.fix.contains(&fix) {
                self.fix.push(fix);
            }
        }
        self
    }

    /// Replaces the text by a shorter one.
    pub(crate) fn found(mut self, text: String) -> Self {
        self.found = text;
        self
    }

    pub(crate) fn fix(mut self, text: impl Into<String>) -> Self {
        self.fix.push(text.into());
        self
    }
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// Lines for people
    Text,
    /// An array of objects
    Json,
}

/// Prints the lines; the outcome is that of the first one that failed.
pub(crate) fn report(ui: &Ui, form: Form, lines: &[Line]) -> Outcome {
    let printed = match form {
        Form::Json => ui.data_verbatim(&super::format::json(lines)),
        Form::Text => ui.data_verbatim(&text(lines, ui.data_paint())),
    };
    outcome(verdict(lines), printed.map_err(Failure::from))
}

/// The verdict counts, whether or not its reader stayed for all the lines.
fn outcome(verdict: Outcome, printed: Outcome) -> Outcome {
    match (verdict, printed) {
        (Err(failed), _) => Err(failed),
        (Ok(()), Err(failure)) if failure.is_output_closed() => Ok(()),
        (Ok(()), printed) => printed,
    }
}

fn verdict(lines: &[Line]) -> Outcome {
    let failed: Vec<&Line> = lines.iter().filter(|line| line.status == Status::Fail).collect();
    match failed[..] {
        [] => Ok(()),
        [only] => Err(Failure::new(only.kind, format!("the check `{}` failed", only.check))),
        [first, ..] => {
            Err(Failure::new(first.kind, format!("{} checks failed, the first is `{}`", failed.len(), first.check)))
        }
    }
}

fn text(lines: &[Line], paint: Paint) -> String {
    let width = lines.iter().map(|line| line.check.len()).max().unwrap_or_default();
    let mut text = String::new();
    for line in lines {
        let _ = writeln!(text, "{}  {:<width$}  {}", line.status.painted(paint), line.check, escaped(&line.found));
        for fix in &line.fix {
            let _ =
                writeln!(text, "{:width$}  {} {fix}", "", paint.hint("fix:"), fix = escaped(fix), width = width + 6);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_outlives_its_reader() {
        let closed = || Failure::of_output(std::io::ErrorKind::BrokenPipe.into());
        let full = || Failure::of_output(std::io::ErrorKind::StorageFull.into());
        let network = || Failure::new(Kind::Network, "refused");
        let code = |verdict, printed| outcome(verdict, printed).map_or_else(|failure| failure.code(), |()| 0);
        assert_eq!(code(Ok(()), Ok(())), 0);
        assert_eq!(code(Ok(()), Err(closed())), 0);
        assert_eq!(code(Ok(()), Err(full())), 1);
        for printed in [Ok(()), Err(closed()), Err(full())] {
            assert_eq!(code(Err(network()), printed), 3);
        }
    }

    #[test]
    fn what_others_wrote_steers_no_terminal() {
        let failure = Failure::new(Kind::Registry, "no \u{1b}[2J\u{202e}");
        let line = Line::fail("TLS", &failure, "").fix("say \u{9b}31m");
        let shown = text(&[line], Paint(false));
        assert_eq!(
            shown,
            "fail  TLS  no \\x1b[2J\\xe2\\x80\\xae\n           fix: \n           fix: say \\xc2\\x9b31m\n"
        );
    }

    #[test]
    fn a_line_has_status_check_what_was_found_and_the_fix() {
        let failure = Failure::new(Kind::Network, "connection refused");
        let lines = [
            Line::ok("DNS", "127.0.0.1"),
            Line::fail("TCP", &failure, "start it"),
            Line::fail("TLS", &failure, "x").into_warning().fix("y"),
            Line::skip("push permission", "not tried"),
        ];
        let expected = "\
ok    DNS              127.0.0.1
fail  TCP              connection refused
                       fix: start it
warn  TLS              connection refused
                       fix: x
                       fix: y
skip  push permission  not tried
";
        assert_eq!(text(&lines, Paint(false)), expected);
        assert_eq!(
            super::super::format::json(&lines[..2]),
            "[\n  {\n    \"check\": \"DNS\",\n    \"status\": \"ok\",\n    \"found\": \"127.0.0.1\"\n  },\n  {\n    \
             \"check\": \"TCP\",\n    \"status\": \"fail\",\n    \"found\": \"connection refused\",\n    \"fix\": [\n      \
             \"start it\"\n    ]\n  }\n]\n"
        );
    }
}
