//! Files that scripts ask a result to be written to: `--iidfile`, `--digestfile`, `--metadata-file`.

use std::io;
use std::path::Path;

use crate::cli::failure::{Failure, Kind};
use crate::cli::terminal::Ui;
use crate::fs::{check_replaceable, replace_shared_file};

/// Fails before the build if its result file could not be written.
pub(crate) fn check(ui: &Ui, path: Option<&Path>) -> Result<(), Failure> {
    at(ui, path, check_replaceable)
}

/// Writes a result.
pub(crate) fn write(ui: &Ui, path: Option<&Path>, text: &str) -> Result<(), Failure> {
    at(ui, path, |path| replace_shared_file(path, text.as_bytes()))
}

fn at(ui: &Ui, path: Option<&Path>, act: impl Fn(&Path) -> io::Result<()>) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    let path = ui.surroundings.absolute(path);
    act(&path).map_err(|source| Failure::new(Kind::Failed, format!("cannot write `{}`: {source}", path.display())))
}
