//! `--format` and `-o`: tables, JSON, YAML, and templates with `{{.Field}}` as docker has them.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Serialize;

use crate::cli::failure::Failure;
use crate::text::{escaped, escaped_json, escaped_lines};

/// How to print rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Format {
    /// Aligned columns under headings.
    Table,
    /// Aligned columns of a template's fields, under headings.
    TableOf(Template),
    /// A JSON array.
    Json,
    /// A YAML list.
    Yaml,
    /// The template once a row.
    Template(Template),
}

/// Text with fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(String),
    Json,
}

/// A column: the template's name for it and its heading.
pub(crate) type Column = (&'static str, &'static str);

impl Format {
    /// From `--format` or `-o`, which mean the same and exclude each other.
    pub(crate) fn parse(format: Option<&str>, output: Option<&str>, columns: &[Column]) -> Result<Self, Failure> {
        match (format, output) {
            (Some(_), Some(_)) => Err(Failure::usage("--format and --output are two names for one thing; give one")),
            (None, None | Some("table")) | (Some("table" | ""), None) => Ok(Self::Table),
            (None, Some("json")) | (Some("json"), None) => Ok(Self::Json),
            (None, Some("yaml")) | (Some("yaml"), None) => Ok(Self::Yaml),
            (None, Some(other)) => {
                Err(Failure::usage(format!("`{other}` is not an output format (json, table or yaml)")))
            }
            (Some(text), None) => match text.strip_prefix("table ") {
                Some(template) => Ok(Self::TableOf(Template::parse(template, columns)?)),
                None => Ok(Self::Template(Template::parse(text, columns)?)),
            },
        }
    }

    /// Renders rows; `values` has the columns' texts, `data` what JSON and YAML show.
    ///
    /// A person reads tables: what cannot be seen in a cell is escaped. A program reads templates, which print each value
    /// as it is, as docker's do. JSON and YAML escape by their own rules.
    pub(crate) fn render<T: Serialize>(
        &self,
        columns: &[Column],
        shown: &[&str],
        rows: &[(Vec<String>, T)],
    ) -> Result<String, Failure> {
        let data: Vec<&T> = rows.iter().map(|(_, data)| data).collect();
        match self {
            Self::Json => Ok(json(&data)),
            Self::Yaml => yaml(&data),
            Self::Table => {
                let picked: Vec<usize> =
                    shown.iter().filter_map(|name| columns.iter().position(|(field, _)| field == name)).collect();
                let heading = picked.iter().map(|i| columns[*i].1.to_owned()).collect();
                let lines = rows.iter().map(|(values, _)| picked.iter().map(|i| values[*i].clone()).collect());
                Ok(align(std::iter::once(heading).chain(lines).collect()))
            }
            Self::TableOf(template) => {
                let headings: Vec<String> = columns.iter().map(|(_, heading)| (*heading).to_owned()).collect();
                let mut lines = vec![split(&template.fill(columns, &headings, "JSON"))];
                for (values, data) in rows {
                    lines.push(split(&template.fill(columns, values, &json(data))));
                }
                Ok(align(lines))
            }
            Self::Template(template) => {
                let mut text = String::new();
                for (values, data) in rows {
                    let _ = writeln!(text, "{}", template.fill(columns, values, &compact(data)));
                }
                Ok(text)
            }
        }
    }
}

/// Indented JSON with a final newline.
pub(crate) fn json<T: Serialize + ?Sized>(data: &T) -> String {
    let mut text = serde_json::to_string_pretty(data).expect("rows have only string keys");
    text.push('\n');
    escaped_json(text)
}

fn compact<T: Serialize>(data: &T) -> String {
    escaped_json(serde_json::to_string(data).expect("rows have only string keys"))
}

/// YAML; as JSON, which is YAML too, where a text has characters that the serializer would show as they are.
fn yaml<T: Serialize>(data: &T) -> Result<String, Failure> {
    let text = serde_saphyr::to_string(data).map_err(|error| Failure::new(crate::cli::failure::Kind::Failed, error))?;
    Ok(match escaped_lines(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(_) => json(data),
    })
}

fn split(line: &str) -> Vec<String> {
    line.split('\t').map(str::to_owned).collect()
}

impl Template {
    fn parse(text: &str, columns: &[Column]) -> Result<Self, Failure> {
        let known = || columns.iter().map(|(field, _)| format!(".{field}")).collect::<Vec<_>>().join(", ");
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((action, after)) = after.split_once("}}") else {
                return Err(Failure::usage(format!("`{text}` has an opening {{{{ without its }}}}")));
            };
            parts.push(Part::Text(unescape(before)));
            let action = action.trim();
            let field = action.strip_prefix('.').unwrap_or_default();
            if matches!(action.split_whitespace().collect::<Vec<_>>()[..], ["json", "."]) {
                parts.push(Part::Json);
            } else if columns.iter().any(|(name, _)| *name == field) {
                parts.push(Part::Field(field.to_owned()));
            } else {
                return Err(Failure::usage(format!("`{{{{{action}}}}}` is not a field of this template"))
                    .hint(format!("the fields are {}, and {{{{json .}}}} for all", known())));
            }
            rest = after;
        }
        parts.push(Part::Text(unescape(rest)));
        if parts.len() == 1 {
            return Err(Failure::usage(format!("`{text}` is neither json, table nor a template with fields"))
                .hint(format!("the fields are {}, written {{{{.Field}}}}", known())));
        }
        Ok(Self(parts))
    }

    fn fill(&self, columns: &[Column], values: &[String], whole: &str) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Json => text.push_str(whole.trim_end()),
                Part::Field(field) => {
                    let at = columns.iter().position(|(name, _)| name == field).expect("checked when parsed");
                    text.push_str(&values[at]);
                }
            }
        }
        text
    }
}

/// `\t` and `\n` as people type them in a shell.
fn unescape(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n")
}

/// Pads columns to a common width, three spaces apart. What cannot be seen in a cell is escaped.
fn align(mut lines: Vec<Vec<String>>) -> String {
    for cell in lines.iter_mut().flatten() {
        if let Cow::Owned(plain) = escaped(cell) {
            *cell = plain;
        }
    }
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |text: &str| text.chars().count();
    let widths: Vec<usize> = (0..columns)
        .map(|i| lines.iter().filter_map(|line| line.get(i)).map(|text| width(text)).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for line in lines {
        let mut row = String::new();
        for (i, cell) in line.iter().enumerate() {
            let pad = if i + 1 == line.len() { 0 } else { widths[i] - width(cell) + 3 };
            let _ = write!(row, "{cell}{}", " ".repeat(pad));
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// `--filter KEY=VALUE`.
pub(crate) fn key_value<'a>(flag: &str, text: &'a str) -> Result<(&'a str, &'a str), Failure> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key, value)),
        _ => Err(Failure::usage(format!("{flag} takes KEY=VALUE, not `{text}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[("Name", "NAME"), ("Size", "SIZE")];

    fn rows() -> Vec<(Vec<String>, serde_json::Value)> {
        vec![
            (vec!["app".into(), "1 B".into()], serde_json::json!({"name": "app"})),
            (vec!["longer".into(), "22 B".into()], serde_json::json!({"name": "longer"})),
        ]
    }

    fn rendered(format: &str) -> String {
        Format::parse(Some(format), None, COLUMNS)
            .expect(format)
            .render(COLUMNS, &["Name", "Size"], &rows())
            .expect(format)
    }

    #[test]
    fn every_form() {
        assert_eq!(rendered("table"), "NAME     SIZE\napp      1 B\nlonger   22 B\n");
        assert_eq!(rendered("{{.Name}}={{ .Size }}"), "app=1 B\nlonger=22 B\n");
        assert_eq!(rendered("table {{.Size}}\\t{{.Name}}"), "SIZE   NAME\n1 B    app\n22 B   longer\n");
        assert_eq!(rendered("{{json .}}"), "{\"name\":\"app\"}\n{\"name\":\"longer\"}\n");
        assert!(rendered("json").starts_with("[\n  {\n    \"name\": \"app\""));
        assert!(rendered("yaml").contains("name: app"));
    }

    #[test]
    fn what_steers_a_terminal_is_escaped_but_in_templates() {
        let name = "a\u{1b}[31m\u{9b}2J\u{7f}\u{202e}\nb";
        let rows = [(vec![name.to_owned(), "1 B".to_owned()], serde_json::json!({ "name": name }))];
        let rendered = |format: &str| {
            let format = Format::parse(Some(format), None, COLUMNS).expect(format);
            format.render(COLUMNS, &["Name", "Size"], &rows).expect("rendered")
        };
        let escaped = "a\\x1b[31m\\xc2\\x9b2J\\x7f\\xe2\\x80\\xae\\x0ab";
        assert_eq!(rendered("table").lines().nth(1), Some(&*format!("{escaped}   1 B")));
        assert_eq!(rendered("table {{.Name}}\\t{{.Size}}").lines().nth(1), Some(&*format!("{escaped}   1 B")));
        assert_eq!(rendered("{{.Name}}"), format!("{name}\n"));
        for format in ["json", "{{json .}}", "yaml"] {
            let text = rendered(format);
            assert_eq!(crate::text::escaped_lines(&text), text, "{format}");
        }
    }

    #[test]
    fn mistakes_are_usage_errors() {
        for (format, output) in [
            (Some("{{.Nmae}}"), None),
            (Some("{{.Name"), None),
            (Some("jsn"), None),
            (None, Some("xml")),
            (Some("json"), Some("json")),
        ] {
            let failure = Format::parse(format, output, COLUMNS).expect_err("a mistake");
            assert_eq!(failure.kind(), crate::cli::failure::Kind::Usage, "{format:?} {output:?}");
        }
    }
}
