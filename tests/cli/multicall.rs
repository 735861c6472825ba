use std::os::unix::fs::symlink;

use crate::sandbox::{Sandbox, executable};

#[test]
fn every_link_runs_its_applet() {
    let sandbox = Sandbox::new();
    let bin = sandbox.work().join("bin");
    let made = sandbox.run(&["idpbuilder-oci", "install", "--dir", "bin"]).success();
    let listed = sandbox.run(&["idpbuilder-oci", "--list"]).success();
    let names: Vec<&str> = listed.lines().collect();
    assert!(names.contains(&"idpbuilder-list"), "{listed}");
    assert_eq!(made.lines().count(), names.len() + 1, "one link an applet, one for the executable: {made}");
    for name in names {
        let output = std::process::Command::new(bin.join(name)).arg("--help").env_clear().output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{name}: {text}");
        assert!(text.contains(&format!("Usage: {name}")), "{name}: {text}");
        let version = std::process::Command::new(bin.join(name)).arg("--version").output().expect("it runs");
        let version = String::from_utf8_lossy(&version.stdout).into_owned();
        // A protocol of others fixes what the credential helper says.
        if name == "docker-credential-idpbuilder" {
            let expected = format!("{name} (idpbuilder-oci) v{}\n", env!("CARGO_PKG_VERSION"));
            assert_eq!((version, text.lines().count()), (expected, 1), "{text}");
            continue;
        }
        assert!(text.contains("Exit codes:"), "{name}: {text}");
        assert_eq!(version, format!("{name} {}\n", env!("CARGO_PKG_VERSION")));
    }
    assert!(sandbox.run(&["idpbuilder-oci", "install", "--dir", "bin"]).success().is_empty(), "idempotent");
    let removed = sandbox.run(&["idpbuilder-oci", "uninstall", "--dir", "bin"]).success();
    assert_eq!(removed.lines().count(), made.lines().count());
    assert_eq!(std::fs::read_dir(bin).expect("there").count(), 0);
}

#[test]
fn installing_leaves_foreign_files_alone() {
    let sandbox = Sandbox::new();
    sandbox.file("bin/idpbuilder-list", "mine");
    symlink("/nowhere", sandbox.work().join("bin/idpbuilder-tag")).expect("a link");
    let planned = sandbox.run(&["idpbuilder-oci", "install", "--dir", "bin", "--dry-run"]);
    assert_eq!(planned.code, Some(1));
    assert!(
        planned.stderr.contains("bin/idpbuilder-list") && planned.stderr.contains("bin/idpbuilder-tag"),
        "{planned}"
    );
    assert_eq!(std::fs::read_dir(sandbox.work().join("bin")).expect("there").count(), 2, "a dry run does nothing");
    sandbox.run(&["idpbuilder-oci", "install", "--dir", "bin"]).failure(1);
    sandbox.run(&["idpbuilder-oci", "uninstall", "--dir", "bin"]).success();
    let content = std::fs::read(sandbox.work().join("bin/idpbuilder-list")).expect("still there");
    assert_eq!(content, b"mine");
}

#[test]
fn words_that_are_no_applet() {
    let sandbox = Sandbox::new();
    insta::assert_snapshot!("unknown_applet", sandbox.run(&["idpbuilder-oci", "bild"]));
    let bare = sandbox.run(&["idpbuilder-oci"]);
    assert!(bare.stdout.is_empty() && bare.stderr.contains("Usage: idpbuilder-oci"), "{bare}");
    bare.failure(64);
    // A renamed executable is asked by its first word.
    assert!(sandbox.run(&["mytool", "list", "-q"]).success().is_empty());
    insta::assert_snapshot!("list_of_applets", sandbox.run(&["idpbuilder-oci", "--list"]));
    insta::assert_snapshot!("unknown_flag", sandbox.run(&["idpbuilder-list", "--no-such-flag"]));
    assert!(executable().is_file());
}
