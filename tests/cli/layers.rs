use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::sandbox::Sandbox;

/// A tree of some small files.
fn tree(sandbox: &Sandbox) {
    // Whatever the umask is: modes show in digests.
    let mode = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("mode");
    for number in 0..40 {
        let file = sandbox.file(&format!("app/d{}/f{number}", number % 5), "x".repeat(number * 100));
        mode(&file, 0o644);
        mode(file.parent().expect("inside"), 0o755);
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

#[test]
fn unchanged_layers_are_told_and_no_cache_reads_them_again() {
    let sandbox = Sandbox::new();
    tree(&sandbox);
    let run = |flags: &[&str]| {
        let words = ["idpbuilder-build", "app", "-t", "app:v1", "--layers", "6", "--platform", "linux/amd64"];
        sandbox.run(&[&words, flags].concat())
    };
    let layers = |output: &str| {
        let line = output.lines().find(|line| line.starts_with("  layers ")).expect("a line about layers");
        line.trim_start_matches("  layers ").trim().to_owned()
    };
    let first = run(&[]).success();
    let count = layers(&first);
    assert!(count.parse::<usize>().expect("a number alone") > 1, "{first}");
    // Files are not trusted before they were left alone for two seconds.
    let all = format!("{count} ({count} unchanged)");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let unchanged = loop {
        let output = run(&[]);
        if output.stdout.contains(&all) {
            break output;
        }
        assert!(std::time::Instant::now() < deadline, "{output}");
    };
    insta::assert_snapshot!("layers_unchanged", unchanged);
    assert_eq!(layers(&run(&["--no-cache"]).success()), count);
    let digest = |output: &str| output.lines().find(|line| line.starts_with("  digest ")).map(str::to_owned);
    assert_eq!(digest(&unchanged.stdout), digest(&first));
    sandbox.file("app/d0/f0", "edited");
    let edited = layers(&run(&[]).success());
    let fewer = count.parse::<usize>().expect("a number") - 1;
    assert_eq!(edited, format!("{count} ({fewer} unchanged)"));
    let cache = sandbox.home().join(".idpbuilder/cache/layers");
    assert!(std::fs::read_dir(cache).expect("kept").count() >= fewer);
}
