use std::fs::File;

use crate::sandbox::Sandbox;

#[test]
fn a_large_directory_that_is_seldom_meant_is_told() {
    let sandbox = Sandbox::new();
    let modules = sandbox.file("app/web/node_modules/pkg/index.js", "");
    File::options().write(true).open(modules).and_then(|file| file.set_len(11 << 20)).expect("grown");
    let words = ["idpbuilder-build", "app", "-t", "app:v1", "-q", "--platform", "linux/amd64"];
    insta::assert_snapshot!("unlikely_directory", sandbox.run(&words).stderr);
    let excluded = sandbox.run(&[&words[..], &["--exclude", "web/node_modules"]].concat());
    assert_eq!(excluded.stderr, "", "{excluded}");
}
