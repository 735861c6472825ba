//! Running other programs, with failures that tell everything there is to know.

use std::process::{Command, Stdio};

use idpbuilder_oci::ops::archive::{self, ArchiveFormat};
use idpbuilder_oci::progress::{Interrupt, Silent};
use idpbuilder_oci::store::ImageStore;

/// Runs a program and answers its standard output.
pub(crate) fn run(command: &mut Command) -> Vec<u8> {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\nstdout: {}\nstderr: {}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Runs a program and answers its standard output as text without the final line feed.
pub(crate) fn text(command: &mut Command) -> String {
    String::from_utf8(run(command)).expect("text").trim_end().to_owned()
}

/// Saves images into the standard input of a program, as a shell pipe would.
pub(crate) fn save_into(store: &ImageStore, names: &[&str], format: ArchiveFormat, command: &mut Command) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stdin = child.stdin.take().expect("piped");
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let saved = archive::save(store, &names, format, None, stdin, &Silent, &Interrupt::default());
    let output = child.wait_with_output().expect("waited for");
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    assert!(output.status.success(), "{command:?}: {}: {told}", output.status);
    saved.unwrap_or_else(|error| panic!("{error}: {told}"));
    told
}

/// Loads what a program writes to its standard output.
pub(crate) fn load_from(store: &ImageStore, command: &mut Command) -> archive::LoadOutcome {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stdout = child.stdout.take().expect("piped");
    let loaded = archive::load(store, stdout, "2026-01-02T03:04:05Z", None, &Silent, &Interrupt::default());
    assert!(child.wait().expect("waited for").success(), "{command:?}");
    loaded.expect("loads")
}

/// Saves images into a file.
pub(crate) fn save_file(store: &ImageStore, names: &[&str], format: ArchiveFormat, path: &std::path::Path) {
    let file = std::fs::File::create(path).expect("created");
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    archive::save(store, &names, format, None, file, &Silent, &Interrupt::default()).expect("saved");
}
