//! SECURITY.md names the test that holds each line of the threat model: every line has one, and every one exists.

use super::root;

/// The document that is checked.
const DOCUMENT: &str = "SECURITY.md";

/// A line of a threat table, and the tests it names as `path::function`.
struct Line<'a> {
    number: usize,
    text: &'a str,
    tests: Vec<(&'a str, &'a str)>,
}

/// Returns the body rows of the tables whose last column is headed "held by".
fn lines(document: &str) -> Vec<Line<'_>> {
    let mut inside = false;
    let mut found = Vec::new();
    for (index, text) in document.lines().enumerate() {
        if !text.starts_with('|') {
            inside = false;
        } else if text.trim_end().ends_with("| held by |") {
            inside = true;
        } else if inside && !text.starts_with("|--") {
            let cell = text.trim_end().trim_end_matches('|').rsplit(" | ").next().unwrap_or_default();
            let tests = cell.split('`').skip(1).step_by(2).filter_map(|name| name.rsplit_once("::")).collect();
            found.push(Line { number: index + 1, text, tests });
        }
    }
    found
}

/// Whether `source` has a test function of that name; property tests count.
fn has_test(source: &str, function: &str) -> bool {
    let declaration = format!("fn {function}(");
    source.split_once(&declaration).is_some_and(|(before, _)| {
        let attributes = before.rsplit("\n\n").next().unwrap_or_default();
        attributes.contains("#[test]") || attributes.contains("#[tokio::test")
    })
}

#[test]
fn every_line_of_the_threat_model_names_a_test_that_exists() {
    let document = std::fs::read_to_string(root().join(DOCUMENT)).expect("the threat model");
    let lines = lines(&document);
    assert!(lines.len() > 20, "only {} lines were found", lines.len());
    let mut missing = Vec::new();
    for line in lines {
        if line.tests.is_empty() {
            missing.push(format!("{DOCUMENT}:{}: names no test: {}", line.number, line.text));
        }
        for (path, function) in line.tests {
            let source = std::fs::read_to_string(root().join(path)).unwrap_or_default();
            if !has_test(&source, function) {
                missing.push(format!("{DOCUMENT}:{}: there is no test `{path}::{function}`", line.number));
            }
        }
    }
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}

#[test]
fn lines_without_a_test_and_tests_that_are_gone_are_seen() {
    let document = "| may not | held by |\n|---|---|\n| read | `src/fs.rs::gone` |\n| write | no test |\n\n| a | b |\n";
    let found = lines(document);
    let tests: Vec<_> = found.iter().map(|line| (line.number, line.tests.clone())).collect();
    assert_eq!(tests, [(3, vec![("src/fs.rs", "gone")]), (4, vec![])]);
    assert!(has_test("use x;\n\n#[test]\nfn there() {}", "there"));
    assert!(!has_test("fn helper() {}\n\n#[test]\nfn there() {}", "helper"));
    assert!(!has_test("#[test]\nfn there() {}", "the"));
}
