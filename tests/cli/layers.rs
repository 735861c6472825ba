use crate::sandbox::Sandbox;

/// A tree of some small files.
fn tree(sandbox: &Sandbox) {
    for number in 0..40 {
        sandbox.file(&format!("app/d{}/f{number}", number % 5), "x".repeat(number * 100));
    }
}

fn built(sandbox: &Sandbox, flags: &[&str]) -> (String, usize) {
    let words = ["idpbuilder-build", "app", "-t", "app:v1", "-q", "--platform", "linux/amd64"];
    let id = sandbox.run(&[&words, flags].concat()).success();
    let manifest = sandbox.run(&["idpbuilder-inspect", "app:v1", "--manifest"]).success();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
    (id, manifest["layers"].as_array().expect("layers").len())
}

#[test]
fn the_number_of_layers_is_chosen_and_the_files_stay_the_same() {
    let sandbox = Sandbox::new();
    tree(&sandbox);
    let files = || {
        let listed = sandbox.run(&["idpbuilder-inspect", "app:v1", "--files", "--format", "{{.Path}}"]).success();
        let mut paths: Vec<String> = listed.lines().map(str::to_owned).collect();
        paths.sort();
        paths.dedup();
        paths
    };
    let single = built(&sandbox, &[]);
    assert_eq!(single.1, 1);
    let expected = files();
    for flags in [&["--layers", "auto"][..], &["--layers=single"], &["--layers", "1"]] {
        assert_eq!(built(&sandbox, flags), single, "{flags:?}");
    }
    for (most, format) in [("2", "gzip"), ("7", "zstd"), ("32", "none")] {
        let (id, count) = built(&sandbox, &["--layers", most, "--compression-format", format]);
        assert!((2..=most.parse().expect("a number")).contains(&count), "{count} of {most}");
        assert_ne!(id, single.0);
        assert_eq!(files(), expected, "{most}");
    }
    let refused = |count| sandbox.run(&["idpbuilder-build", "app", "-t", "app:v1", "--layers", count]);
    insta::assert_snapshot!("layers_none", refused("0"));
    insta::assert_snapshot!("layers_too_many", refused("33"));
}
