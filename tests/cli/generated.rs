use std::collections::BTreeSet;
use std::path::Path;

use crate::sandbox::Sandbox;

/// Files below `directory`, relative to it.
fn files(directory: &Path, below: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(below).into_iter().flatten() {
        let path = entry.expect("listed").path();
        if path.is_dir() {
            files(directory, &path, found);
        } else {
            let relative = path.strip_prefix(directory).expect("below");
            found.insert(relative.display().to_string());
        }
    }
}

#[test]
fn completions_and_man_pages_are_those_of_the_applet_table() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(&["idpbuilder-oci", "generate", "out"]).success();
    let generated: BTreeSet<String> = output.lines().map(str::to_owned).collect();
    assert!(generated.contains("completions/bash/idpbuilder-oci"), "{output}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let remedy = "run `cargo run -- generate .` and commit the result";
    let mut committed = BTreeSet::new();
    for folder in ["completions", "man"] {
        files(root, &root.join(folder), &mut committed);
    }
    assert_eq!(committed, generated, "{remedy}");
    for path in generated {
        let fresh = std::fs::read_to_string(sandbox.work().join("out").join(&path)).expect("generated");
        let kept = std::fs::read_to_string(root.join(&path)).expect("committed");
        assert!(fresh == kept, "{path} is stale: {remedy}");
    }
}
